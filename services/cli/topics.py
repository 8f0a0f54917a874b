"""`pumasi topics`: are the topics as they should be, and make those that are missing."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.bus import access
from services.bus import topics as bus
from services.bus.topics import Report
from services.cli.shared import options
from services.cli.shared.renewal import ask
from services.errors import UsageError
from services.terminal import Terminal, marked
from services.visible import visible

EXAMPLES = """**Examples**

- `pumasi topics`: check the topics of the broker running on `.pumasi`
- `PUMASI_KAFKA=k1:9092 pumasi topics --apply`: make what is missing on a cluster
- `pumasi topics --apply --replication 3 --partitions 12`: on three brokers, for up to twelve matchers
- `pumasi topics --rebuild-ledger`: where `pumasi audit` found a ledger that doesn't follow from its commands
"""


def topics(
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the topics that are missing. Never alters one that exists.")
    ] = False,
    rebuild_ledger: Annotated[
        bool,
        typer.Option(
            "--rebuild-ledger", help="Delete the ledger and its checkpoints; matchers make them anew from the commands."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --rebuild-ledger: don't ask.")] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    partitions: options.Partitions = None,
    replication: options.Replication = None,
    as_json: options.Json = False,
) -> None:
    """Show and check Pumasi's topics: partitions, retention, largest record.

    Exit status 1 if one is missing or differs. What would only make a topic quicker to read is mentioned, but is no finding. A topic
    that exists is never altered: with another number of partitions its funds would lie elsewhere, and a shorter retention would have
    removed records already.

    --rebuild-ledger is for a ledger that somebody else wrote to. Copy the data first, stop all services, and leave the broker alone
    running (`pumasi kafka`). Each sound entry comes back byte for byte, and nobody is told anything twice.
    """
    settings = options.load(kafka=kafka, data=data, partitions=partitions, replication=replication)
    if rebuild_ledger:
        _rebuild(settings, yes)
    look = bus.apply if apply else bus.check
    bootstrap = options.bootstrap_of(settings, access.ADMIN)
    reports = asyncio.run(look(bootstrap, settings.partitions, settings.replication))
    warning = bus.one_copy(reports, asyncio.run(bus.brokers(bootstrap)))
    if as_json:
        _print_json(reports, warning)
    else:
        _print_table(reports, bootstrap, warning, settings.way_in)
    if any(report.is_finding for report in reports):
        raise typer.Exit(1)


def _rebuild(settings: "options.Settings", yes: bool) -> None:
    """Raises UsageError while a service runs that reads or writes the ledger, or if nobody can be asked."""
    from services.bus.heartbeat import living

    told = asyncio.run(living(options.bootstrap_of(settings, access.OPERATOR)))
    if running := sorted(one.told.process for one in told):
        raise UsageError(
            f"still running, or killed less than a minute ago: {', '.join(running)}",
            hint="Stop all services first, and leave Kafka alone running: `pumasi kafka`.",
        )
    if not yes:
        ask("The ledger and its checkpoints will be deleted, and come back from the commands.", "rebuild")
    asyncio.run(bus.rebuild(options.bootstrap_of(settings, access.ADMIN)))


def _print_json(reports: "list[Report]", warning: str | None) -> None:
    """What the table shows: only the parts of a topic's configuration that Pumasi asks for."""
    told = [
        {
            "topic": report.topic.name,
            "state": report.state.value,
            "partitions": report.found.partitions if report.found else None,
            "replicas": report.found.replicas if report.found else None,
            "kept": _kept(report),
            "config": {name: report.found.config.get(name) for name in _wanted(report)} if report.found else None,
            "wanted": {"partitions": report.topic.partitions, "config": _wanted(report)},
            "findings": list(report.details),
            "advice": list(report.advice),
        }
        for report in reports
    ]
    print(json.dumps({"topics": told, "warning": warning, "ok": not any(report.is_finding for report in reports)}))


def _wanted(report: "Report") -> dict[str, str]:
    return {**report.topic.config, **report.topic.tuning}


def _print_table(reports: "list[Report]", bootstrap: str, warning: str | None, way_in: str) -> None:
    table = Table("topic", "partitions", "kept", "state", box=None, pad_edge=False, header_style="bold")
    for report in reports:
        colour = "red" if report.is_finding else "green"
        state = Text("\n").join([Text(report.state.value, colour), *(Text(visible(one)) for one in report.details)])
        there = str(report.found.partitions) if report.found else "–"
        table.add_row(report.topic.name, there, _kept(report), state)
    console = Terminal()
    console.print(table)
    if any(report.state.value == "missing" for report in reports):
        console.print(marked("\nMake what is missing with [bold]pumasi topics --apply[/]."))
    if warning:
        console.print(marked("\n[bold yellow]![/] {}.", warning))
    for report in reports:
        if report.advice and report.found:
            _print_advice(console, report, bootstrap, way_in)


def _print_advice(console: "Console", report: "Report", bootstrap: str, way_in: str) -> None:
    """What would make a topic quicker to read, and the command for it, which an administrator of the cluster may give: Pumasi never
    alters a topic that exists."""
    has = report.found.config if report.found else {}
    better = {name: value for name, value in report.topic.tuning.items() if has.get(name) != value}
    config = ",".join(f"{name}={value}" for name, value in better.items())
    console.print(f"\n{report.topic.name} works as it is, and would be quicker to read, so matchers sooner ready, with")
    who = "" if way_in == "plain" else " --command-config YOUR-ADMIN.properties"
    console.print(
        f"  kafka-configs.sh --bootstrap-server {bootstrap}{who} --alter --entity-type topics \\\n"
        f"    --entity-name {report.topic.name} \\\n    --add-config {config}",
        soft_wrap=True,
    )  # fmt: skip


def _kept(report: "Report") -> str:
    """What the cluster keeps: as it is, not as it should be."""
    if report.found is None:
        return "–"
    config = report.found.config
    if config.get("cleanup.policy") == "compact":
        return "latest of each key"
    if report.topic.name == bus.SUBMISSIONS:
        return "until answered"
    text = config.get("retention.ms", "")
    if not text.lstrip("-").isdigit():
        return "unknown"
    days = int(text) / 86_400_000
    return "for ever" if days < 0 else f"{days:g} days" if days.is_integer() else f"{days:.1f} days"
