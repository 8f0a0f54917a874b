"""A comparison on a terminal: a table that fits its width, policies as columns; more policies than fit come in tables below."""

from textwrap import fill

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from schemas.currencies import format_whole
from services.counted import counted
from services.policies.comparison import Comparison, Judged
from services.policies.measures import MEASURES
from services.policies.report.figures import duration
from services.policies.report.rows import Row, money_rows, sections
from services.policies.report.verdict import verdict
from services.policies.runs import SeasonSource
from services.visible import visible

_LABEL = 16
"""Columns of a class's name with its indent and the number of its cases."""
_GAP = 2
Line = Text | tuple[str, Row]
"""A line of a table: words alone, or what stands before a row's cells, and the row."""


def show(comparison: Comparison, console: Console) -> None:
    """Print the answer, what was run, the policies, and every row."""
    lines: list[Line] = []
    for title, rows in sections(comparison):
        lines.append(Text(title, "bold"))
        lines += [(f"  {row.label}{row.note:>{_LABEL - 2 - len(row.label)}}", row) for row in rows]
    lines.append(Text("Money, of all", "bold"))
    for row in money_rows(comparison):
        lines += [Text(f"  {row.label}"), (" " * _LABEL, row)]
    best = "{mark}: the best of a row, where better can be said. --definitions says what each figure means."
    show_judged(console, comparison, head(comparison), f"{'cases':>{_LABEL}}", lines, best, comparison.caveats())


def show_judged(
    console: Console, told: Judged, run: list[str], before: str, lines: list[Line], best: str, caveats: list[str]
) -> None:
    """Print the answer, what was `run`, the policies, and tables; then what marks the `best`, and caveats.

    Policies are columns, and `before` stands before their letters; more than fit come in tables below.
    """
    for line in verdict(told):
        say(console, line, "bold")
    console.print()
    for line in run:
        say(console, line)
    console.print()
    for letter, policy in zip(told.letters, told.policies, strict=True):
        console.print(Text.assemble((f"  {letter}  ", "bold"), policy.name), soft_wrap=True)
    for rule, meaning in told.rules:
        say(console, f"{rule}: {meaning.sentence}", "dim")
    cell = max(len(text) for line in lines if isinstance(line, tuple) for text in line[1].cells) + _GAP
    room = max(1, (console.width - len(before)) // cell)
    for first in range(0, len(told.policies), room):
        _table(console, told.letters, range(first, min(first + room, len(told.policies))), before, cell, lines)
    console.print()
    say(console, best.format(mark="Bold" if is_bold(console) else "*"))
    for caveat in caveats:
        say(console, caveat, "dim")


def _table(console: Console, letters: list[str], shown: range, before: str, cell: int, lines: list[Line]) -> None:
    console.print()
    heads = ((f"{letters[number]:>{cell}}", "bold cyan") for number in shown)
    console.print(Text.assemble((before, "dim"), *heads))
    for line in lines:
        console.print(line if isinstance(line, Text) else _line(*line, shown, cell, is_bold(console)))


def say(console: Console, text: str, style: str = "") -> None:
    """A sentence, folded into the width; a field's name stands in it as it is."""
    console.print(Text(fill(visible(text).replace("`", ""), console.width, break_on_hyphens=False), style))


def head(comparison: Comparison, shared: bool = False) -> list[str]:
    """What was run, in a sentence or two; `shared`: for others, without folders and servers of this machine."""
    currency = comparison.currency
    opened, *money = (comparison.measured[0][name]["all"] or 0 for name in ("opened", "asked", "pledged"))
    asked, pledged = (f"{currency}\u00a0{format_whole(amount, currency)}" for amount in money)
    sums = f"{counted(opened, 'case')} opened and asked {asked}; donors pledged {pledged}."
    if isinstance(comparison.source, SeasonSource):
        season = comparison.source.season
        funds = f"{season.funds} funds" if season.funds > 1 else "one fund"
        return [f"A generated season of {counted(season.days, 'day')}, seed {season.seed}, {funds}. {sums}"]
    log = comparison.source.log
    names = sorted(comparison.courses[0].currencies)
    named = f"fund {names[0]}" if len(names) == 1 else f"{len(names)} funds"
    over = counted(round(comparison.days), "day") if comparison.days >= 1 else duration(comparison.days)
    return [
        f"{counted(len(log.said), 'command')} over {over}, {named}, from {log.name if shared else log.where}. {sums}"
    ]


def is_bold(console: Console) -> bool:
    """Whether bold can be seen; elsewhere a star marks what is best."""
    return console.is_terminal and console.color_system is not None


def _line(label: str, row: Row, shown: range, cell: int, bold: bool) -> Text:
    cells: list[str | tuple[str, str]] = []
    for number in shown:
        best, text = number in row.best, row.cells[number]
        text = f"*{text}" if best and not bold else text
        cells += [" " * (cell - len(text)), (text, "bold green" if best else "")]
    return Text.assemble(label, *cells)


def definitions(console: Console) -> None:
    """Print what each measure means."""
    for one in MEASURES:
        console.print(Text.assemble((one.title, "bold"), f"  [{one.name}, {one.unit}]"))
        console.print(Padding(Text(one.definition.replace("`", "")), (0, 0, 0, 2)))
