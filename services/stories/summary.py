"""The figures at the end of a story and of the demo, for a screen."""

from collections.abc import Sequence
from textwrap import wrap

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.currencies import format_amount, format_money
from services.console.report.table import show
from services.stories.outcome import FundOutcome, Outcome
from services.stories.scenario import FIGURES
from services.stories.screen import Screen
from services.terminal import fits

MONEY = FIGURES[:-1]
LEDGER = "What the ledger says"
IN_DAYS_FROM_HOURS = 48
_GLUE = "\u00a0"  # no line breaks there


def show_story(screen: Screen, end: Outcome) -> None:
    """How a story ended, and the report that is its own; its figures come with all others at the end."""
    for fund in end.funds:
        if fund.cases > 1:
            screen.say(f"{fund.fund}: {_how_long(fund)}", "bold")
        for name in FIGURES:
            if fund.told[name] != fund.expected[name]:
                screen.say(f"{'':4}{name} is {fund.told[name]}, and {fund.expected[name]} was expected", "bold red")
    if not screen.quiet:
        for report in end.access:
            show(screen.console, report)


def _how_long(fund: FundOutcome) -> str:
    text = f"{fund.funded} of {fund.cases} cases that ask for money have all of it promised"
    if fund.median_funded_hours is not None:
        in_days = fund.median_funded_hours >= IN_DAYS_FROM_HOURS
        median, first = _days(fund.median_funded_hours, in_days), _days(fund.first_funded_hours, in_days)
        text += f": the first {first} after it opened, half of them within {median}"
    return text + "."


def _days(hours: float | None, in_days: bool | None = None) -> str:
    """A length of time; `in_days` where another that stands beside it is told in days."""
    assert hours is not None, "asked only where one was funded"
    if hours >= IN_DAYS_FROM_HOURS or (in_days and hours >= 1):
        return f"{hours / 24:.1f} days"
    return f"{hours:.0f} h" if hours >= 1 else "at once"


def packed(pieces: Sequence[str], width: int, indent: int) -> list[str]:
    """Pieces with commas between them in lines up to `width`, further lines indented; no piece is ever cut or broken."""
    whole = ", ".join(piece.replace(" ", _GLUE) for piece in pieces)
    lines = wrap(whole, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_GLUE, " ") for line in lines]


def show_end(console: Console, ends: list[Outcome]) -> None:
    """One line a fund: all figures beside one another, and whether they are the expected ones."""
    table = Table("story", "fund", box=box.SIMPLE, title=LEDGER, title_justify="left")
    for name in (*MONEY, "notices", "as expected"):
        table.add_column(name, justify="right", no_wrap=True)
    for end in ends:
        for fund in end.funds:
            sums = [format_amount(fund.told[name], fund.currency) for name in MONEY]
            mark = Text("yes", "green") if fund.ok else Text("NO", "bold red")
            table.add_row(end.story.name, f"{fund.fund} ({fund.currency})", *sums, str(fund.told["notices"]), mark)
    if fits(table, console):
        console.print(table)
        return
    for end in ends:
        for fund in end.funds:
            head = "the ledger is as expected" if fund.ok else "THE LEDGER IS NOT AS EXPECTED"
            console.print(Text(f"{end.story.name}, {fund.fund}: {head}", "bold green" if fund.ok else "bold red"))
            sums = [f"{name} {format_money(fund.told[name], fund.currency)}" for name in MONEY]
            for line in packed(["  " + sums[0], *sums[1:], f"{fund.told['notices']} notices"], console.width, 2):
                console.print(Text(line))
