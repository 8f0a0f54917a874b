"""How the report of access looks: a table where there is room, else one block per group; money is never cut."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.currencies import format_money
from services.console.readmodel.figures import FEWEST
from services.console.report.access import AccessReport, Sums
from services.visible import visible

_COLUMNS = ("people", "asked", "paid themselves", "promised to them", "days waited (median)")
_ALL = 10_000
"""Columns that no line of ours fills."""


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
    elif table.__rich_measure__(console, console.options.update(max_width=_ALL)).maximum <= console.width:
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
        groups = "1 group is" if report.hidden == 1 else f"{report.hidden} groups are"
        yield f"{groups} not shown alone: too few people, or too few would be left."
