"""`pumasi status`: is everything there, has every command its answer, what do the funds stand at."""

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.shared import options
from services.visible import json_line, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from services.console.readmodel.survey import Survey


def register(app: typer.Typer) -> None:
    app.command("status", epilog=_EXAMPLES)(status)


_EXAMPLES = """**Examples**

- `pumasi status`: of what runs on `.pumasi`
- `PUMASI_KAFKA=k1:9092 pumasi status --json`: of a cluster, for a program
- `pumasi status --public`: the funds' figures, fit to be published
"""


def status(
    public: Annotated[
        bool, typer.Option("--public", help="Only the funds' figures, without those about fewer than five people.")
    ] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    partitions: options.Partitions = None,
    replication: options.Replication = None,
    as_json: options.Json = False,
) -> None:
    """Show Kafka, the topics, how far the matcher is, and each fund's figures: asked, promised, settled, delivered.

    For operators: figures are shown however few people they are about. With --public, those about fewer than five are withheld. Dead
    letters (records that could not be read) are counted, but don't change the exit status. Exit status 1 if a topic is missing, differs
    or can't be read; if commands wait and no matcher runs, or one has waited for more than a minute; if a partition has stopped or
    fails again and again; or if the ledger is wrong.
    """
    from services.bus import access
    from services.cli.shared.reading import shown_on
    from services.console.readmodel.survey import survey
    from services.errors import TopicUnreadable
    from services.settings import load

    settings = load(kafka=kafka, data=data, partitions=partitions, replication=replication)
    with shown_on(as_json) as progress:
        bootstrap = options.bootstrap_of(settings, access.OPERATOR)
        found = asyncio.run(survey(bootstrap, settings.partitions, settings.replication, progress))
        try:
            dead = {} if public else asyncio.run(_dead_letters(bootstrap))
        except TopicUnreadable as unreadable:
            dead = {}
            found.findings.append(unreadable.message)
    if as_json:
        print(json_line(_as_dict(found, dead, public)))
    else:
        _print(found, dead, public)
    if found.findings:
        raise typer.Exit(1)


async def _dead_letters(bootstrap: str) -> dict[int, int]:
    """How many dead letters lie in each partition that has some; none if the topic is missing, which the survey tells.

    Offsets count the ends of transactions and the marks of letters put back as well; so letters are counted, unless very many.
    """
    from services.bus.consume.scan import TopicReader
    from services.bus.deadletters.box import DeadLetter, read
    from services.bus.topics import DEADLETTERS
    from services.errors import TopicsMismatch

    try:
        async with TopicReader(bootstrap) as reader:
            extents = await reader.extents(DEADLETTERS)
            spans = {number: extent.end - extent.begin for number, extent in extents.items()}
            if sum(spans.values()) > _COUNTED_ONE_BY_ONE:
                return {number: span for number, span in spans.items() if span}
            found: Counter[int] = Counter()
            async for record in reader.records(DEADLETTERS):
                found[record.partition] += isinstance(read(record), DeadLetter)
            return dict(sorted((+found).items()))
    except TopicsMismatch:
        return {}


_COUNTED_ONE_BY_ONE = 100_000
"""More offsets than these are taken for as many dead letters."""


def _as_dict(found: "Survey", dead: dict[int, int], public: bool) -> dict[str, Any]:
    from services.console.readmodel.figures import FEWEST, for_everyone, for_operators

    if public:
        funds = [for_everyone(figures) for figures in found.funds]
        return {"audience": "public", "suppressed_below": FEWEST, "funds": funds, "ok": not found.findings}
    return {
        "audience": "operator",
        "kafka": found.bootstrap,
        "topics": {report.topic.name: report.state.value for report in found.topics},
        "matchers": found.matchers,
        "partitions": [asdict(partition) for partition in found.partitions],
        "dead_letters": {"total": sum(dead.values()), "partitions": dead},
        "funds": [for_operators(figures) for figures in found.funds],
        "findings": found.findings,
        "ok": not found.findings,
    }


def _print(found: "Survey", dead: dict[int, int], public: bool) -> None:
    from services.console.readmodel.figures import FEWEST, for_everyone, for_operators
    from services.terminal import Terminal, marked

    console = Terminal()
    if not console.is_terminal:
        console.width = _ROOM  # a pipe has all the room there is
    if not public:
        _print_cluster(console, found)
    if found.funds:
        view = for_everyone if public else for_operators
        _print_funds(console, [view(figures) for figures in found.funds])
    else:
        console.print("No fund is configured yet.")
    if public:
        console.print(f"For anybody: figures about fewer than {FEWEST} people are withheld (–).", style="dim")
        return
    console.print(
        f"For operators: figures about fewer than {FEWEST} people are shown; --public withholds them.", style="dim"
    )
    for finding in found.findings:
        console.print(marked("[bold red]✗[/] {}", finding))
    if dead:
        _print_dead_letters(console, dead)
    if not found.findings:
        rest = "" if dead else ", and no record lies in dead letters"
        console.print(
            marked("[bold green]✓[/] Every topic is there, the ledger holds, no command waits unseen{}.", rest)
        )


def _print_dead_letters(console: "Console", dead: dict[int, int]) -> None:
    from services.bus.topics import DEADLETTERS
    from services.terminal import marked

    number, places = sum(dead.values()), ", ".join(map(str, dead))
    told = "1 record could not be read and lies" if number == 1 else f"{number:,} records could not be read and lie"
    console.print(
        marked(
            "[bold yellow]![/] [bold]Dead letters[/] {} in {} (partition {}). `pumasi deadletters list` says which and why.",
            told,
            DEADLETTERS,
            places,
        )
    )


def _print_cluster(console: "Console", found: "Survey") -> None:
    from rich.table import Table
    from rich.text import Text

    from services.terminal import marked

    well = sum(not report.is_finding for report in found.topics)
    console.print(marked("[bold]Kafka[/] answers at [green]{}[/]", found.bootstrap))
    console.print(marked("[bold]Topics[/] {} of {} as they should be", well, len(found.topics)))
    if found.partitions:
        matchers = "{}" if found.matchers else "[yellow]{}[/]"
        console.print(marked(f"[bold]Matchers[/] {matchers} in the group\n", found.matchers or "none"))
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("partition", "commands", "watermark", "lag", "entries"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("last entry", overflow="fold")
        for row in found.partitions:
            lag = Text(f"{row.lag:,}", "yellow" if row.lag else "green")
            amiss = row.finding or (row.remark and "stands still, see below")
            state = Text(visible(amiss), "red") if amiss else Text(row.at or "none yet", "" if row.at else "dim")
            watermark = f"{row.watermark:,}" if row.watermark >= 0 else "–"
            table.add_row(str(row.partition), f"{row.commands:,}", watermark, lag, f"{row.seq:,}", state)
        console.print(table)
        console.print()


def _print_funds(console: "Console", funds: list[dict[str, Any]]) -> None:
    """A line a fund where all figures have room, else a block a fund: money is never cut."""
    table = _funds(funds)
    needed = console.measure(table, options=console.options.update(max_width=_ROOM)).maximum
    if needed <= console.width:
        console.print(table)
    else:
        for fund in funds:
            console.print(_block(fund))


def _funds(funds: list[dict[str, Any]]) -> "Table":
    from rich.table import Table

    from services.terminal import marked

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("fund", no_wrap=True)
    for name in _CASES:
        table.add_column(name, justify="right", style="cyan", no_wrap=True)
    table.add_column("", style="dim", no_wrap=True)
    for name, style in _MONEY.items():
        table.add_column(name, justify="right", style=style, no_wrap=True)
    for fund in funds:
        money = [_amount(fund, name) for name in _MONEY]
        counts = [_count(fund[name]) for name in _CASES]
        table.add_row(marked("[bold]{}[/]", fund["fund"]), *counts, fund["currency"], *money)
    return table


def _block(fund: dict[str, Any]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, title_justify="left", title_style="bold")
    table.title = Text(visible(fund["fund"]), overflow="fold")
    table.add_column(overflow="fold")
    table.add_column(justify="right", overflow="fold")
    for name in _CASES:
        table.add_row(f"  {name}", _count(fund[name]), style="cyan")
    for name, style in _MONEY.items():
        amount = _amount(fund, name)
        table.add_row(f"  {name}", amount if fund[name] is None else f"{fund['currency']} {amount}", style=style)
    return table


_ROOM = 10_000
"""Columns that no line of ours fills."""
_CASES = ("open", "funded", "closed")
_MONEY = {
    "asked": "",
    "promised": "blue",
    "settled": "magenta",
    "delivered": "green",
    "waiting": "yellow",
    "released": "dim",
}


def _amount(fund: dict[str, Any], name: str) -> str:
    from schemas.currencies import format_amount

    return "–" if fund[name] is None else format_amount(fund[name], fund["currency"])


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
