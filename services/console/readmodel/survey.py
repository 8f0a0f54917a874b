"""A survey of a cluster: is Kafka there, are the topics right, has every command its entry, what are the funds' figures.

Whatever can be looked up is looked up. Waiting commands are read, and not computed from offsets: offsets also count the ends of
transactions, and a record that nobody can read would look like any other that waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.bus import topics
from services.bus.consume.scan import Extent, Progress, TopicReader, group_of
from services.bus.waiting import waiting
from services.console.readmodel.figures import Figures, figures_of
from services.console.readmodel.model import ReadModel, unbalanced
from services.console.readmodel.reading import PartitionRead, read_ledger
from services.errors import TopicUnreadable

CLOCK_AHEAD_TOLD_SECONDS = 600
"""How long a refusal for a clock that was ahead is a finding."""
MATCHERS = "pumasi-matcher"
"""The matchers' consumer group."""
INTAKES = "pumasi-intake"
"""The consumer group of those that read submissions."""


@dataclass(frozen=True)
class Partition:
    """One partition of commands beside its ledger.

    Attributes:
        commands: how many there are, answered or not.
        watermark: the offset of the last command answered; -1 before the first.
        lag: commands not answered yet (at most so many, where there are very many).
        seq: number of the last entry; 0 before the first.
        at: time of the last entry, RFC 3339.
        finding: what is wrong with the ledger or the commands here.
        remark: what is amiss here, as the matcher says itself; None if nothing is.
    """

    partition: int
    commands: int
    watermark: int
    lag: int
    seq: int
    at: str | None
    finding: str | None
    remark: str | None = None


@dataclass(frozen=True)
class Survey:
    """What was found; `findings` says, one line each, what needs somebody's hand."""

    bootstrap: str
    topics: list[topics.Report]
    matchers: int = 0
    partitions: list[Partition] = field(default_factory=list)
    funds: list[Figures] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


async def survey(bootstrap: str, partitions: int, replication: int, progress: Progress | None = None) -> Survey:
    """Look at a cluster.

    Args:
        bootstrap: Kafka's servers.
        partitions: how many partitions each topic should have.
        replication: how many replicas.
        progress: told how far the reading of the ledger is.

    Raises:
        KafkaUnreachable: if no broker answers.
    """
    reports = await topics.check(bootstrap, partitions, replication)
    findings = [
        f"topic {report.topic.name}: {', '.join(report.details) or report.state}"
        for report in reports
        if report.is_finding
    ]
    missing = {report.topic.name for report in reports if report.state is topics.State.MISSING}
    if missing & {topics.COMMANDS, topics.LEDGER}:
        return Survey(bootstrap, reports, findings=findings)
    group = await group_of(bootstrap, MATCHERS, topics.COMMANDS)
    model = ReadModel()
    async with TopicReader(bootstrap) as reader:
        chains = await read_ledger(reader, model, progress=progress)
        extents = await reader.extents(topics.COMMANDS)
        now_ms = int(time.time() * 1000) if group.members else None
        found = [
            await _partition(reader, number, chains.get(number), extents[number], group.remarks.get(number), now_ms)
            for number in sorted(extents)
        ]
        if topics.SUBMISSIONS not in missing:
            findings += await _unreadable_submissions(bootstrap, reader)
    findings += _clocks_ahead(chains.values(), time.time() * 1000)
    funds = [model.funds[name] for name in sorted(model.funds)]
    findings += _findings(found, group.members) + unbalanced(funds)
    return Survey(bootstrap, reports, group.members, found, [figures_of(fund) for fund in funds], findings)


async def _partition(
    reader: TopicReader,
    number: int,
    chain: PartitionRead | None,
    commands: Extent,
    remark: str | None,
    now_ms: int | None,
) -> Partition:
    chain = chain or PartitionRead(number, finding=f"ledger partition {number} is missing")
    waits = await waiting(reader, topics.COMMANDS, number, chain.watermark + 1, commands)
    finding = chain.finding or waits.unreadable
    if finding is None and chain.unfinished is not None:
        finding = f"ledger partition {number} ends within an answer"
    if finding is None and chain.watermark >= commands.end:
        finding = f"ledger partition {number} answers a command at {chain.watermark}, and there are only {commands.end}"
    if finding is None and remark is None and waits.left(now_ms):
        finding = f"partition {number}: {waits}"
    total = chain.answered + waits.commands
    return Partition(number, total, chain.watermark, waits.commands, chain.seq, chain.at, finding, remark)


async def _unreadable_submissions(bootstrap: str, reader: TopicReader) -> list[str]:
    """Where submissions can't be read on, one line each."""
    group = await group_of(bootstrap, INTAKES, topics.SUBMISSIONS)
    extents = await reader.extents(topics.SUBMISSIONS)
    found = []
    for number, extent in sorted(extents.items()):
        begin = max(group.offsets.get(number, 0), extent.begin)
        try:
            await reader.any_from(topics.SUBMISSIONS, number, begin, extent.end)
        except TopicUnreadable as unreadable:
            found.append(unreadable.message)
    return found


def _clocks_ahead(chains: Iterable[PartitionRead], now_ms: float) -> list[str]:
    """Whether something came of late that was stamped by a clock ahead of Kafka's: whoever stamps so gets nothing through."""
    seconds = min((now_ms - chain.ahead_ms for chain in chains if chain.ahead_ms is not None), default=1e12) / 1000
    if seconds > CLOCK_AHEAD_TOLD_SECONDS:
        return []
    return [
        f"an intake's clock is ahead: {seconds:.0f} s ago what it had stamped was refused (clock_ahead); set its clock right"
    ]


def _findings(partitions: list[Partition], matchers: int) -> list[str]:
    findings = [partition.finding for partition in partitions if partition.finding]
    findings += [
        f"partition {partition.partition}, where {_waiting(partition.lag)}: {partition.remark}"
        for partition in partitions
        if partition.remark
    ]
    behind = sum(partition.lag for partition in partitions)
    if behind and not matchers:
        which = "1 command has" if behind == 1 else f"{behind} commands have"
        findings.append(f"{which} no answer, and no matcher runs (nobody is in the group {MATCHERS})")
    return findings


def _waiting(commands: int) -> str:
    return "1 command waits" if commands == 1 else f"{commands:,} commands wait"
