"""Many seeds on a terminal: the median and the range of each measure and policy, and which policy is best in most seeds."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from services.policies.comparison import rules_of
from services.policies.measures import BY_NAME
from services.policies.report.figures import shown
from services.policies.report.terminal import is_bold, say
from services.policies.report.verdict import verdict
from services.policies.spread import Over, Spread

_INDENT = 2
_GAP = 2


def show(told: Spread, console: Console) -> None:
    """Print it."""
    for line in verdict(told):
        say(console, line, "bold")
    console.print()
    say(console, head(told))
    console.print()
    letters = told.letters
    for letter, policy in zip(letters, told.policies, strict=True):
        console.print(Text.assemble((f"  {letter}  ", "bold"), policy.name), soft_wrap=True)
    for rule, meaning in rules_of(told.policies):
        say(console, f"{rule}: {meaning.sentence}", "dim")
    cells = cells_of(told)
    width = max(len(cell) for row in cells.values() for cell in row) + _GAP
    room = max(1, (console.width - _INDENT) // width)
    for first in range(0, len(letters), room):
        console.print()
        shown_now = range(first, min(first + room, len(letters)))
        console.print(Text(" " * _INDENT + "".join(f"{letters[n]:>{width}}" for n in shown_now), "bold cyan"))
        for name, row in cells.items():
            console.print(Text(title_of(told, name)))
            console.print(_line(row, told.best(name), shown_now, width, is_bold(console)))
    console.print()
    mark = "Bold" if is_bold(console) else "*"
    say(console, f"The median over the seeds, and the least and the most. {mark}: best in more than half of the seeds.")
    say(console, "Without a mark no policy is: another draw may turn the difference round.", "dim")


def head(told: Spread) -> str:
    """What was run."""
    funds = f"{told.season.funds} funds" if told.season.funds > 1 else "one fund"
    seeds = f"seeds {told.seeds[0]} to {told.seeds[-1]}"
    return f"{len(told.seeds)} generated seasons of {told.season.days} days, {seeds}, {funds}."


def title_of(told: Spread, name: str) -> str:
    """A measure with its unit, where a cell doesn't say it."""
    return BY_NAME[name].title + {"part": ", %", "money": f", {told.currency}"}.get(BY_NAME[name].unit, "")


def cells_of(told: Spread) -> dict[str, list[str]]:
    """Measure → a text a policy: the median, the least and the most."""
    return {name: [_cell(name, one, told.currency) for one in overs] for name, overs in told.over.items()}


def _cell(name: str, over: Over, currency: str) -> str:
    middle, low, high = (shown(name, figure, currency) for figure in (over.median, over.least, over.most))
    return f"{middle} ({low} to {high})"


def _line(row: list[str], best: set[int], shown_now: range, width: int, bold: bool) -> Text:
    parts: list[str | tuple[str, str]] = [" " * _INDENT]
    for number in shown_now:
        text = f"*{row[number]}" if number in best and not bold else row[number]
        parts += [" " * (width - len(text)), (text, "bold green" if number in best else "")]
    return Text.assemble(*parts)
