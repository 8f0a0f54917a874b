"""`pumasi audit`: is the ledger what the commands make it, to the byte?"""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from schemas.currencies import format_money
from services.bus import access, topics
from services.cli.shared import options
from services.cli.shared.bars import bars
from services.errors import TopicsMismatch
from services.terminal import Terminal, marked

if TYPE_CHECKING:
    from services.matcher.audit import PartitionAudit


EXAMPLES = """**Examples**

- `pumasi audit`: of the broker running on `.pumasi`
- `PUMASI_KAFKA=k1:9092 pumasi audit --json`: `{"ok": true, "partitions": [{"partition": 0, "commands": 812, …, "books": […]}]}`
"""
_SUMS = ("promised", "placed", "settled", "delivered", "waiting", "released")


def audit(kafka: options.Kafka = None, data: options.Data = None, as_json: options.Json = False) -> None:
    """Read commands and ledger from the start and check everything: gaps, hash chain, conservation, and every byte.

    The commands are decided again, and each entry is compared with the result. A checkpoint, if there is one, is compared too. Exit
    status 1 if anything is wrong. Commands without an answer yet are listed; they are a finding only if one has waited for more than a
    minute while a matcher runs, or while others came after it. Nothing is written.

    At the end stands what each fund comes to by the ledger: what was promised is placed, waiting or released; of what is placed a part
    is settled (paid), and of that a part delivered.
    """
    bootstrap = options.bootstrap_of(options.load(kafka=kafka, data=data), access.OPERATOR)
    results = _audit(bootstrap, quiet=as_json)
    found = any(result.findings for result in results)
    if as_json:
        print(json.dumps({"ok": not found, "partitions": [asdict(result) for result in results]}))
    else:
        _print_table(results)
    if found:
        raise typer.Exit(1)


def _audit(bootstrap: str, quiet: bool) -> "list[PartitionAudit]":
    from services.matcher.audit import audit_all

    partitions, commands, matched = asyncio.run(_looked_up(bootstrap))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with bars(quiet, *columns) as shown:
        task = shown.add_task("commands executed again", total=commands)
        far: dict[int, int] = {}

        def progress(partition: int, done: int, _total: int) -> None:
            far[partition] = done  # some partitions begin only when others are through
            shown.update(task, completed=sum(far.values()))

        return audit_all(bootstrap, partitions, progress, matched=matched, commands=commands)


async def _looked_up(bootstrap: str) -> tuple[int, int, bool]:
    """How many partitions commands and ledger have, how many commands there are, about, and whether a matcher runs.

    Raises TopicsMismatch, KafkaUnreachable.
    """
    from services.bus.consume.scan import TopicReader, group_of
    from services.matcher.app import GROUP

    matched = (await group_of(bootstrap, GROUP, topics.COMMANDS)).members > 0
    counts = await topics.partition_counts(bootstrap)
    partitions, of_ledger = counts.get(topics.COMMANDS), counts.get(topics.LEDGER)
    if not partitions or partitions != of_ledger:
        raise TopicsMismatch(
            f"{topics.COMMANDS} has {partitions or 'no'} partitions, {topics.LEDGER} {of_ledger or 'none'}",
            hint="Make the topics with `pumasi topics --apply`.",
        )
    async with TopicReader(bootstrap) as reader:
        commands = sum(one.end - one.begin for one in (await reader.extents(topics.COMMANDS)).values())
    return partitions, commands, matched


def _print_table(results: "list[PartitionAudit]") -> None:
    from services.matcher.audit import FINDINGS_MAX

    table = Table("partition", "commands", "entries", "unanswered", "checkpoint", "last hash", "verdict", box=None,
                  pad_edge=False, header_style="bold")  # fmt: skip
    for r in results:
        at_least = "at least " if len(r.findings) >= FINDINGS_MAX else ""
        verdict = marked("[red]{}{} found[/]", at_least, len(r.findings)) if r.findings else marked("[green]holds[/]")
        table.add_row(
            str(r.partition), str(r.commands), str(r.entries), str(r.unanswered), str(r.checkpoint or "–"),
            (r.last_hash or "–")[:12], verdict,
        )  # fmt: skip
    console = Terminal()
    console.print(table)
    for r in results:
        for finding in r.findings:
            console.print(marked("[red]partition {}[/]: {}", r.partition, finding))
    for r in results:
        if r.unanswered and not r.findings:
            told = f"{r.unanswered:,} without an answer yet, from offset {r.unanswered_from} on, since {r.unanswered_since}"
            console.print(marked("[yellow]partition {}[/]: {}", r.partition, told))
    for r in results:
        for books in r.books:
            sums = ", ".join(f"{name} {format_money(getattr(books, name), books.currency)}" for name in _SUMS)
            console.print(marked("[bold]{}[/]: {}", books.fund, sums))
    total = sum(r.entries for r in results)
    if not any(r.findings for r in results):
        told = (
            "\n[green]The ledger holds.[/] {} entries: no gap, one chain of hashes a partition, money conserved, and every byte as the "
            "commands make it when executed again."
        )
        console.print(marked(told, total))
