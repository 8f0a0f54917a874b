"""`pumasi topics`: are the topics as they should be, and make those that are missing."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import options

if TYPE_CHECKING:
    from services.bus.topics import Report


def register(app: typer.Typer) -> None:
    app.command("topics", epilog=_EXAMPLES)(topics)


_EXAMPLES = """**Examples**

- `pumasi topics`: check those of the broker that runs on `.pumasi`
- `PUMASI_KAFKA=k1:9092 pumasi topics --apply`: make what is missing on a cluster
- `pumasi topics --apply --replication 3 --partitions 12`: on three brokers, for up to twelve matchers
"""


def topics(
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the topics that are missing. Never alters one that exists.")
    ] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    partitions: options.Partitions = None,
    replication: options.Replication = None,
    as_json: options.Json = False,
) -> None:
    """Show Pumasi's topics and check them: partitions, what is kept for how long, how large a record may be.

    Exit status 1 if one is missing or differs. A topic that exists is never altered: with another number of partitions its funds lie
    elsewhere, and what a shorter retention has removed is gone.
    """
    from services.bus import topics as bus
    from services.settings import load

    settings = load(kafka=kafka, data=data, partitions=partitions, replication=replication)
    look = bus.apply if apply else bus.check
    reports = asyncio.run(look(options.bootstrap_of(settings), settings.partitions, settings.replication))
    (_print_json if as_json else _print_table)(reports)
    if any(report.is_finding for report in reports):
        raise typer.Exit(1)


def _print_json(reports: "list[Report]") -> None:
    told = [
        {
            "topic": report.topic.name,
            "state": report.state.value,
            "partitions": report.found.partitions if report.found else None,
            "config": dict(report.found.config) if report.found else None,
            "wanted": {"partitions": report.topic.partitions, "config": dict(report.topic.config)},
            "findings": list(report.details),
        }
        for report in reports
    ]
    print(json.dumps({"topics": told, "ok": not any(report.is_finding for report in reports)}))


def _print_table(reports: "list[Report]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("topic", "partitions", "kept", "state", box=None, pad_edge=False, header_style="bold")
    for report in reports:
        colour = "red" if report.is_finding else "green"
        state = "\n".join([f"[{colour}]{report.state.value}[/]", *report.details])
        there = str(report.found.partitions) if report.found else "–"
        table.add_row(report.topic.name, there, _kept(report), state)
    console = Console()
    console.print(table)
    if any(report.state.value == "missing" for report in reports):
        console.print("\nMake what is missing with [bold]pumasi topics --apply[/].")


def _kept(report: "Report") -> str:
    """What the cluster keeps, as it is there and not as it should be."""
    if report.found is None:
        return "–"
    config = report.found.config
    if config.get("cleanup.policy") == "compact":
        return "latest of each key"
    text = config.get("retention.ms", "")
    if not text.lstrip("-").isdigit():
        return "unknown"
    days = int(text) / 86_400_000
    return "for ever" if days < 0 else f"{days:g} days" if days.is_integer() else f"{days:.1f} days"
