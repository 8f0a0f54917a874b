"""`pumasi status`: is everything there, has every command its answer, what do the funds stand at."""

import asyncio
from dataclasses import asdict
from shutil import disk_usage
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.currencies import format_amount
from services.bus import access
from services.called import as_called
from services.cli.shared import options
from services.cli.shared.bars import reading
from services.counted import counted
from services.terminal import Terminal, fits, marked, wide
from services.visible import json_line, visible

if TYPE_CHECKING:
    from services.bus.client.disks import Disk
    from services.console.readmodel.survey import Survey


_GB = 10**9
EXAMPLES = """**Examples**

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
    """Show who runs, how far they are, each fund's figures, what waits and why, and what needs somebody's hand.

    For operators: figures are shown however few people they are about. With --public, those about fewer than five are withheld. Exit
    status 1 if there is a finding: a service is silent or not there, its keys are others than those in use, its clock is off; a topic
    is missing, differs or can't be read; commands, entries or submissions wait that shouldn't; a partition has stopped or fails again
    and again; notices were given up in the last 24 hours; or the ledger is wrong. What waits for vouchers, rates or cases is told,
    the oldest by name, as are the latest dead letters, and is no finding; of notices given up the latest are named.
    Where all was stopped, and nothing waits, all is well. How much room is left on the disk is shown of a broker on this machine.
    """
    from services.console.readmodel.survey import survey

    settings = options.load(kafka=kafka, data=data, partitions=partitions, replication=replication)
    with reading(as_json) as progress:
        bootstrap = options.bootstrap_of(settings, access.OPERATOR)
        needs = settings.way_in != "plain"
        found = asyncio.run(survey(bootstrap, settings.partitions, settings.replication, progress, needs_ender=needs))
    disk = None if settings.kafka else _disk_of(settings)
    if as_json:
        print(json_line(_as_dict(found, public, disk)))
    else:
        _print(found, public, disk)
    if found.findings:
        raise typer.Exit(1)


def _disk_of(settings: "options.Settings") -> "Disk":
    """The disk of the broker on this machine; those of a cluster only the ender may ask about."""
    from services.bus.client.disks import Disk

    found = disk_usage(settings.data)
    return Disk(found.total, found.free)


def _as_dict(found: "Survey", public: bool, disk: "Disk | None" = None) -> dict[str, Any]:
    from services.console.readmodel.figures import FEWEST, for_everyone, for_operators

    if public:
        funds = [for_everyone(figures) for figures in found.funds]
        return {"audience": "public", "suppressed_below": FEWEST, "funds": funds, "ok": not found.findings}
    late = found.late
    return {
        "audience": "operator",
        "kafka": found.bootstrap,
        "disk": disk and {"total_bytes": disk.total, "usable_bytes": disk.usable},
        "topics": {report.topic.name: report.state.value for report in found.topics},
        "matchers": found.matchers,
        "services": [asdict(process) for process in found.services],
        "partitions": [asdict(partition) for partition in found.partitions],
        "dead_letters": {
            "total": sum(late.letters.values()), "of_late": late.letters_of_late, "partitions": dict(late.letters),
            "latest": [
                {"id": one.id, "code": one.code, "message": one.message, "sender": one.sender, "fund": one.fund}
                for one in late.latest
            ],
        },
        "notices_given_up_of_late": late.given_up,
        "latest_notices_given_up": [
            one.model_dump(mode="json", include={"id", "kind", "to", "role", "fund", "entry", "told_at", "outcome"})
            for one in late.latest_given_up
        ],
        "funds": [for_operators(figures) for figures in found.funds],
        "waits": [
            asdict(one) | {"oldest": [asdict(old) | {"explain": as_called(old.explain)} for old in one.oldest]}
            for one in found.waits
        ],
        "warning": found.warning,
        "findings": [{**asdict(one), "hint": one.hint and as_called(one.hint)} for one in found.findings],
        "ok": not found.findings,
    }  # fmt: skip


def _print(found: "Survey", public: bool, disk: "Disk | None" = None) -> None:
    from services.console.readmodel.figures import FEWEST, for_everyone, for_operators

    console = wide()
    if not public:
        _print_cluster(console, found, disk)
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
    console.print()
    for one in found.waits:
        console.print_whole(marked("[cyan]·[/] {}: {}.", one.fund, one.message))
        for oldest in one.oldest:
            since = oldest.since[:16].replace("T", " ")
            told = "  {} {}, since {} UTC: [bold]{}[/]"
            console.print_whole(marked(told, oldest.kind, oldest.id, since, as_called(oldest.explain)))
        if one.number > len(one.oldest):
            console.print_whole(marked("  [dim]and {} more[/]", f"{one.number - len(one.oldest):,}"))
    if found.late.letters:
        _print_dead_letters(console, found)
    if found.warning:
        console.print_whole(marked("[bold yellow]![/] {}.", found.warning))
    for finding in found.findings:
        console.print_whole(marked("[bold red]✗[/] {}. [dim]({})[/]", finding.message, finding.code))
        if finding.code == "notices_given_up":
            for lost in found.late.latest_given_up:
                day = f"{lost.told_at or lost.at:%Y-%m-%d}"
                console.print_whole(marked("  [red]{}[/] to {}, {}: {}", lost.kind, lost.to, day, lost.outcome))
        if finding.hint:
            console.print_whole(marked("  [dim]{}[/]", as_called(finding.hint)))
    if not found.findings:
        who = "Every service runs" if found.services else "Nothing runs, and nothing needs to"
        console.print_whole(
            marked("[bold green]✓[/] {}; topics and ledger are sound, and nothing is left behind.", who)
        )


def _print_dead_letters(console: "Terminal", found: "Survey") -> None:
    number, places = sum(found.late.letters.values()), ", ".join(map(str, found.late.letters))
    late = f"{found.late.letters_of_late:,} in the last 24 hours" if found.late.letters_of_late else "none of late"
    told = counted(number, "record could not be read and lies", "records could not be read and lie")
    console.print_whole(
        marked(
            "[bold yellow]![/] [bold]Dead letters[/]: {} in pumasi.deadletters.v1 (partition {}), {}. "
            "`pumasi deadletters list` says which and why.",
            told, places, late,
        )
    )  # fmt: skip
    for one in found.late.latest:
        whose = one.whose if one.whose != one.sender else f"from {one.sender or 'nobody known'}"
        console.print_whole(marked("  [yellow]{}[/], {}: {}", one.code, whose, one.message))


def _print_cluster(console: "Terminal", found: "Survey", disk: "Disk | None") -> None:
    well = sum(not report.is_finding for report in found.topics)
    topics = f"{well} of {len(found.topics)} topics are as they should be"
    console.print(marked("[bold]Kafka[/] answers at [green]{}[/]; {}.", found.bootstrap, topics))
    room = (
        f"Its disk has {disk.usable / _GB:,.0f} of {disk.total / _GB:,.0f} GB left."
        if disk
        else "How much room its disks have, the ender measures: pumasi_kafka_disk_usable_bytes."
    )
    console.print_whole(marked("[dim]{}[/]", room))
    console.print()
    _print_services(console, found)
    if found.partitions:
        _print_partitions(console, found)


def _print_services(console: "Console", found: "Survey") -> None:
    """One line per process; and one for each service without a known process."""
    from services.console.readmodel.running import SERVICES, span

    table = _table("service", "process", "runs since", "version", fold="process")
    for service in SERVICES:
        ours = [one for one in found.services if one.service == service]
        for one in ours:
            pid = f" (pid {one.pid})" if one.pid else ""
            silent = Text(f"silent for {span(one.told_seconds_ago)}{pid}", "red")
            well = Text((one.since or "")[:16].replace("T", " ") + " UTC", "yellow" if one.amiss else "green")
            table.add_row(
                marked("[bold]{}[/]", service), visible(one.process), well if one.running else silent, one.version
            )
        if not ours:
            missing = any(finding.code == f"no_{service}" for finding in found.findings)
            table.add_row(marked("[bold]{}[/]", service), Text("none known", "red" if missing else "dim"), "", "")
    console.print(table)
    console.print()


def _print_partitions(console: "Console", found: "Survey") -> None:
    """One line per partition: how many commands are unanswered, entries untold, and submissions (if any) untaken."""
    untaken = ("untaken",) if any(row.untaken for row in found.partitions) else ()
    columns = ("partition", *untaken, "commands", "unanswered", "entries", "untold", "last entry")
    table = _table(*columns, fold="last entry", right=len(columns) - 1)
    for row in found.partitions:
        told: dict[str, str | Text] = {
            name: Text(f"{number:,}", "yellow" if number else "green")
            for name, number in (("untaken", row.untaken), ("unanswered", row.lag), ("untold", row.untold))
        }
        state = (
            Text("see below", "red")
            if row.finding or row.remark
            else Text(row.at or "none yet", "" if row.at else "dim")
        )
        told |= {
            "partition": str(row.partition),
            "commands": f"{row.commands:,}",
            "entries": f"{row.seq:,}",
            "last entry": state,
        }
        table.add_row(*(told[name] for name in columns))
    console.print(table)
    console.print()


def _table(*columns: str, fold: str, right: int = 0) -> "Table":
    """A table without lines; the first `right` columns hold numbers, and `fold` is the one that gives way."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        if name == fold:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right" if index < right else "left", no_wrap=True)
    return table


def _print_funds(console: "Console", funds: list[dict[str, Any]]) -> None:
    """One line per fund where all figures have room, else a block: money is never cut."""
    table = _funds(funds)
    if fits(table, console):
        console.print(table)
    else:
        for fund in funds:
            console.print(_block(fund))


def _funds(funds: list[dict[str, Any]]) -> "Table":
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


_CASES = ("open", "funded", "closed")
_MONEY = {
    "asked": "",
    "placed": "blue",
    "settled": "magenta",
    "delivered": "green",
    "waiting": "yellow",
    "released": "dim",
}


def _amount(fund: dict[str, Any], name: str) -> str:
    return "–" if fund[name] is None else format_amount(fund[name], fund["currency"])


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
