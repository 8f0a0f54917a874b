"""The figures at the end of a story and of the demo, for a screen."""

from rich import box
from rich.console import Console
from rich.table import Table

from services.lab import routes
from services.lab.access import AccessReport, Group, access_report
from services.lab.outcome import FundOutcome, Outcome
from services.lab.scenario import FIGURES
from services.lab.screen import Screen
from services.notifier.phrases import money

MONEY = FIGURES[:-1]


def show_story(screen: Screen, end: Outcome) -> None:
    """A story's figures, and the report or plot that is its own."""
    for fund in end.funds:
        sums = ", ".join(f"{name} {money(fund.told[name], fund.currency)}" for name in MONEY)
        screen.say(f"{fund.fund}: {sums}; {fund.told['notices']} notices.", "bold")
        screen.say(_how_long(fund), margin=" " * 4)
        for name in FIGURES:
            if fund.told[name] != fund.expected[name]:
                screen.say(f"{'':4}{name} is {fund.told[name]}, and {fund.expected[name]} was expected", "bold red")
    if end.story.name == "two-routes":
        for line in routes.bars(end.figures):
            screen.say(line)
    if end.story.name == "provinces":
        _show_access(
            screen, access_report(case for fund in end.figures for case in fund.cases.values()), end.funds[0].currency
        )


def _how_long(fund: FundOutcome) -> str:
    if fund.cases == fund.funded == 1:
        return f"All that was asked was promised {_days(fund.first_funded_hours)} after the case opened."
    text = f"{fund.funded} of {fund.cases} cases that ask for money are promised all of it"
    if fund.median_funded_hours is not None:
        text += (
            f", the median {_days(fund.median_funded_hours)} after opening, the first {_days(fund.first_funded_hours)}"
        )
    return text + "."


def _days(hours: float | None) -> str:
    assert hours is not None, "asked only where one was funded"
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.0f} h" if hours >= 1 else "at once"


def _show_access(screen: Screen, report: AccessReport, currency: str) -> None:
    if screen.quiet:
        return
    table = Table("province", "papers", box=box.SIMPLE, title="Access, by province and papers", title_justify="left")
    for name in ("people", "asked", "paid themselves", "promised to them", "days waited (median)"):
        table.add_column(name, justify="right")
    for group in (*report.groups, *([report.rest] if report.rest else [])):
        table.add_row(*_cells(group, currency, group is report.rest))
    screen.console.print(table)
    screen.say(f"{report.hidden} groups of fewer than five people are not shown by themselves.", "italic")


def _cells(group: Group, currency: str, together: bool) -> list[str]:
    place = ["smaller groups", "together"] if together else [group.province, group.status]
    sums = [money(amount, currency) for amount in (group.asked, group.own, group.funded)]
    return [*place, str(group.people), *sums, "–" if group.days is None else f"{group.days:.1f}"]


def show_end(console: Console, ends: list[Outcome]) -> None:
    """One line a fund: all figures beside one another, and whether they are the expected ones."""
    table = Table("story", "fund", box=box.SIMPLE, title="What the ledger says", title_justify="left")
    for name in (*MONEY, "notices", "as expected"):
        table.add_column(name, justify="right")
    for end in ends:
        for fund in end.funds:
            sums = [money(fund.told[name], fund.currency).partition(" ")[2] for name in MONEY]
            mark = "[green]yes[/]" if fund.ok else "[bold red]NO[/]"
            table.add_row(end.story.name, f"{fund.fund} ({fund.currency})", *sums, str(fund.told["notices"]), mark)
    console.print(table)
