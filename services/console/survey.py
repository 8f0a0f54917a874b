"""A survey of a cluster: is Kafka there, are the topics as they should be, has every command its entry, what do the funds stand at."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.bus import topics
from services.bus.reading import Extent, Progress, TopicReader, group_of
from services.console.figures import Figures, figures_of
from services.console.model import ReadModel, unbalanced
from services.console.reading import Chain, read_ledger

MATCHERS = "pumasi-matcher"
"""The matchers' consumer group."""


@dataclass(frozen=True)
class Partition:
    """One partition of commands beside its ledger.

    Attributes:
        commands: one past the last command's offset.
        watermark: the offset of the last command answered; -1 before the first.
        lag: commands not answered yet; 0 where behind the watermark nothing stands but markers of transactions.
        seq: number of the last entry; 0 before the first.
        at: time of the last entry, RFC 3339.
        finding: what is wrong with the ledger here.
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
        found = [
            await _partition(reader, number, chains.get(number), extents[number], group.remarks.get(number))
            for number in sorted(extents)
        ]
    funds = [model.funds[name] for name in sorted(model.funds)]
    findings += _findings(found, group.members) + unbalanced(funds)
    return Survey(bootstrap, reports, group.members, found, [figures_of(fund) for fund in funds], findings)


async def _partition(
    reader: TopicReader, number: int, chain: Chain | None, commands: Extent, remark: str | None
) -> Partition:
    chain = chain or Chain(number, finding=f"ledger partition {number} is missing")
    begin = max(chain.watermark + 1, commands.begin)
    lag = commands.end - begin
    if lag > 0 and not await reader.any_from(topics.COMMANDS, number, begin, commands.end):
        lag = 0
    finding = chain.finding
    if finding is None and chain.unfinished:
        finding = f"ledger partition {number} ends within an answer"
    if finding is None and chain.watermark >= commands.end:
        finding = f"ledger partition {number} answers a command at {chain.watermark}, and there are only {commands.end}"
    return Partition(number, commands.end, chain.watermark, max(lag, 0), chain.seq, chain.at, finding, remark)


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
