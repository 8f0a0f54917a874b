"""How the report of access looks: a table where there is room, else one block per group; money is never cut."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.currencies import format_money
from services.console.readmodel.figures import FEWEST
from services.console.report.access import AccessReport, Sums
from services.counted import counted
from services.terminal import fits
from services.visible import visible

_COLUMNS = ("people", "asked", "paid themselves", "promised to them", "days waited (median)")


def show(console: Console, report: AccessReport) -> None:
    """Show one fund's report."""
    title = f"Access in {visible(report.fund)}, by province and papers"
    rows = list(_rows(report))
    table = Table("province", "papers", box=box.SIMPLE, title=Text(title), title_justify="left")
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    if not rows:
        console.print(Text(f"{title}: nothing can be told of fewer than {FEWEST} people."))
    elif fits(table, console):
        console.print(table)
    else:
        console.print(Text(title, "italic"))
        for province, papers, *cells in rows:
            console.print(Text(f"  {province} {papers}".rstrip()))
            for name, cell in zip(_COLUMNS, cells, strict=True):
                console.print(Text(f"      {name}: {cell}"))
    for line in _notes(report):
        console.print(Text(line, "italic"))


def _rows(report: AccessReport) -> Iterator[list[str]]:
    for group in report.groups:
        yield [group.province, group.status, *_cells(group.sums, report.currency)]
    if report.rest is not None:
        yield ["all others", "", *_cells(report.rest, report.currency)]


def _cells(sums: Sums, currency: str) -> list[str]:
    money = [format_money(amount, currency) for amount in (sums.asked, sums.own, sums.funded)]
    return [str(sums.people), *money, "–" if sums.days is None else str(sums.days)]


def _notes(report: AccessReport) -> Iterator[str]:
    if any(sums and sums.days is None for sums in (*(group.sums for group in report.groups), report.rest)):
        yield "– where fewer than five were promised all they asked: a median would tell of single people."
    if report.hidden:
        yield f"{counted(report.hidden, 'group is', 'groups are')} not shown alone: too few people, or too few would be left."
