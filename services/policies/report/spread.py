"""Many seeds on a terminal: of each measure and policy the median and the range, and which policy is best in most seeds."""

from __future__ import annotations

from string import ascii_uppercase

from rich.console import Console
from rich.text import Text

from services.policies.meaning import TOLD
from services.policies.measures import BY_NAME
from services.policies.report.figures import shown
from services.policies.report.terminal import is_bold, say
from services.policies.spread import Over, Spread

_INDENT = 2
_GAP = 2


def show(told: Spread, console: Console) -> None:
    """Print it."""
    season, seeds = told.season, told.seeds
    funds = f"{season.funds} funds" if season.funds > 1 else "one fund"
    say(console, f"{len(seeds)} generated seasons of {season.days} days, seeds {seeds[0]} to {seeds[-1]}, {funds}.")
    console.print()
    letters = [ascii_uppercase[number % 26] + str(number // 26 or "") for number in range(len(told.policies))]
    for letter, policy in zip(letters, told.policies, strict=True):
        console.print(Text.assemble((f"  {letter}  ", "bold"), policy.name), soft_wrap=True)
    for rule in dict.fromkeys(dict(policy.changes).get("rule") for policy in told.policies):
        if rule:
            say(console, f"{rule}: {TOLD[rule].sentence}", "dim")
    cells = {name: [_cell(name, one, told.currency) for one in overs] for name, overs in told.over.items()}
    width = max(len(cell) for row in cells.values() for cell in row) + _GAP
    room = max(1, (console.width - _INDENT) // width)
    for first in range(0, len(letters), room):
        console.print()
        shown_now = range(first, min(first + room, len(letters)))
        console.print(Text(" " * _INDENT + "".join(f"{letters[n]:>{width}}" for n in shown_now), "bold cyan"))
        for name, row in cells.items():
            unit = {"part": ", %", "money": f", {told.currency}"}.get(BY_NAME[name].unit, "")
            console.print(Text(BY_NAME[name].title + unit))
            console.print(_line(row, told.best(name), shown_now, width, is_bold(console)))
    console.print()
    mark = "Bold" if is_bold(console) else "*"
    say(console, f"The median over the seeds, and the least and the most. {mark}: best in more than half of the seeds.")
    say(console, "Without a mark no policy is: another draw may turn the difference round.", "dim")


def _cell(name: str, over: Over, currency: str) -> str:
    middle, low, high = (shown(name, figure, currency) for figure in (over.median, over.least, over.most))
    return f"{middle} ({low} to {high})"


def _line(row: list[str], best: set[int], shown_now: range, width: int, bold: bool) -> Text:
    parts: list[str | tuple[str, str]] = [" " * _INDENT]
    for number in shown_now:
        text = f"*{row[number]}" if number in best and not bold else row[number]
        parts += [" " * (width - len(text)), (text, "bold green" if number in best else "")]
    return Text.assemble(*parts)
