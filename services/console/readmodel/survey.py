"""A survey of a cluster: is Kafka there, are the topics right, who runs, has every command its entry and every entry been told, what
waits and for whom, what are the funds' figures.

Whatever can be looked up is looked up. What waits on a topic is read, and not computed from offsets: offsets also count the ends
of transactions, and an unreadable record would look like any other that waits. *Of late* is within a day: by then somebody has
seen what was given up, or nobody looks.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter, itemgetter
from shlex import quote

from pydantic import ValidationError

from schemas.currencies import format_money
from schemas.notices import Notice
from services.bus import access, heartbeat, topics
from services.bus.consume.scan import Extent, Group, Progress, TopicReader, group_of
from services.bus.deadletters.box import DeadLetter, read
from services.bus.topics import COMMANDS, DEADLETTERS, LEDGER, NOTICES, SERVICES, SUBMISSIONS
from services.bus.waiting import waiting
from services.console.readmodel import running
from services.console.readmodel.figures import Figures, figures_of
from services.console.readmodel.model import Case, Fund, Pledge, ReadModel, unbalanced
from services.console.readmodel.reading import PartitionRead, read_ledger
from services.console.readmodel.running import Finding, Process
from services.counted import counted
from services.errors import TopicUnreadable

CLOCK_AHEAD_TOLD_SECONDS = 600
"""How long a refusal for a clock that was ahead is a finding."""
LATE_SECONDS = 86_400
GROUPS = {
    "intake": (access.GROUPS[access.INTAKE], SUBMISSIONS),
    "matcher": (access.GROUPS[access.MATCHER], COMMANDS),
    "notifier": (access.GROUPS[access.NOTIFIER], LEDGER),
}
"""The consumer group of each service, and what it reads by it."""
_COUNTED_ONE_BY_ONE = 100_000
"""More offsets than these are taken for as many dead letters."""
_OLDEST = 3
"""So many of those that wait are named."""
_LATEST = 3
"""So many dead letters are shown, and so many notices given up."""
_GIVEN_UP = (b'"outcome":"gave-up"', b'"outcome":"failed"')


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
        untold: entries of which the notifier has not told yet.
        untaken: submissions on the topic that intake has not brought through yet.
    """

    partition: int
    commands: int
    watermark: int
    lag: int
    seq: int
    at: str | None
    finding: Finding | None
    remark: str | None = None
    untold: int = 0
    untaken: int = 0


@dataclass(frozen=True)
class Oldest:
    """One of the cases or pledges (`kind`) that have waited longest.

    Attributes:
        since: since when, RFC 3339, by its fund's time.
        explain: the command that tells more.
    """

    kind: str
    id: str
    since: str
    explain: str


@dataclass(frozen=True)
class Waits:
    """Cases or pledges that wait, as they should, for somebody outside.

    Attributes:
        code: `voucher`, `rate` or `case`: what they wait for; stable, for programs.
        number: how many wait.
        message: one line.
    """

    code: str
    fund: str
    number: int
    message: str
    oldest: Sequence[Oldest] = ()


@dataclass(frozen=True)
class Late:
    """Failed records and notices: dead letters by partition, how many of these of late, the latest; notices given up of late, the
    latest."""

    letters: Mapping[int, int] = field(default_factory=dict)
    letters_of_late: int = 0
    given_up: int = 0
    latest: Sequence[DeadLetter] = ()
    latest_given_up: Sequence[Notice] = ()


@dataclass(frozen=True)
class Survey:
    """What was found; `findings` says what needs attention, `waits` what rightly waits for somebody outside; `warning` that the
    topics have no second copy."""

    bootstrap: str
    topics: list[topics.Report]
    matchers: int = 0
    services: list[Process] = field(default_factory=list)
    partitions: list[Partition] = field(default_factory=list)
    funds: list[Figures] = field(default_factory=list)
    waits: list[Waits] = field(default_factory=list)
    late: Late = Late()
    warning: str | None = None
    findings: list[Finding] = field(default_factory=list)


async def survey(
    bootstrap: str, partitions: int, replication: int, progress: Progress | None = None, *, needs_ender: bool = False
) -> Survey:
    """Look at a cluster whose topics should have so many partitions and replicas.

    Args:
        needs_ender: whether an ender has to run where other services do; none is needed where Kafka asks for no rights.

    Raises:
        KafkaUnreachable: if no broker answers.
    """
    reports = await topics.check(bootstrap, partitions, replication)
    findings = [_topic(report) for report in reports if report.is_finding]
    missing = {report.topic.name for report in reports if report.state is topics.State.MISSING}
    if missing & {COMMANDS, LEDGER}:
        return Survey(bootstrap, reports, findings=findings)
    groups = {service: await group_of(bootstrap, *place) for service, place in GROUPS.items()}
    heard: list[heartbeat.Heard] = []
    try:
        heard = await heartbeat.heard(bootstrap) if SERVICES not in missing else []
    except TopicUnreadable as unreadable:
        findings.append(Finding("topic_unreadable", unreadable.message))
    now_ms = time.time() * 1000
    found = running.processes(heard, now_ms)
    model = ReadModel()
    async with TopicReader(bootstrap) as reader:
        chains = await read_ledger(reader, model, progress=progress)
        runs = {name: bool(group.members) for name, group in groups.items()}
        look = partial(_partition, reader, groups, {name: int(now_ms) if one else None for name, one in runs.items()})
        extents = {
            topic: await reader.extents(topic) for topic in (COMMANDS, LEDGER, SUBMISSIONS) if topic not in missing
        }
        rows = [await look(number, chains.get(number), extents) for number in sorted(extents[COMMANDS])]
        findings += [one for _, more in rows for one in more]
        late = await _of_late(reader, missing, now_ms, findings)
    behind = [row for row, _ in rows]
    findings += _clocks_ahead(chains.values(), now_ms)
    members = {name: group.members for name, group in groups.items()}
    expected = members | ({"ender": 0} if needs_ender else {})
    findings += running.findings(found, heard, expected, _waiting(behind))
    findings += [Finding("does_not_add_up", line, "Run `pumasi audit`.") for line in unbalanced(model.funds.values())]
    funds = [model.funds[name] for name in sorted(model.funds)]
    matchers = max(members["matcher"], sum(one.running and one.service == "matcher" for one in found))
    figures, waits = [figures_of(fund) for fund in funds], [one for fund in funds for one in _waits(fund)]
    warning = topics.one_copy(reports, await topics.brokers(bootstrap))
    return Survey(bootstrap, reports, matchers, found, behind, figures, waits, late, warning, findings)


def _topic(report: topics.Report) -> Finding:
    told = f"topic {report.topic.name}: {', '.join(report.details) or report.state}"
    if report.state is topics.State.MISSING:
        return Finding("topic_missing", told, "Make it with `pumasi topics --apply`.")
    return Finding(
        "topic_differs", told, "See `pumasi topics`; set PUMASI_PARTITIONS and PUMASI_REPLICATION as they were."
    )


async def _partition(
    reader: TopicReader,
    groups: Mapping[str, Group],
    now_ms: Mapping[str, int | None],
    number: int,
    chain: PartitionRead | None,
    extents: Mapping[str, Mapping[int, Extent]],
) -> tuple[Partition, list[Finding]]:
    """One partition, and what is amiss there; `now_ms` is the time for each service that runs."""
    chain = chain or PartitionRead(number, finding=f"ledger partition {number} is missing")
    commands, remark = extents[COMMANDS][number], groups["matcher"].remarks.get(number)
    waits = await waiting(reader, COMMANDS, number, chain.watermark + 1, commands)
    finding = _wrong(number, chain, commands)
    if finding is None and waits.unreadable:
        finding = Finding("topic_unreadable", waits.unreadable)
    if finding is None and remark is None and waits.left(now_ms["matcher"]):
        finding = Finding("commands_left", f"partition {number}: {waits}", "See the matchers' logs.")
    findings = [finding] if finding else []
    if remark:
        code = "partition_stopped" if remark.startswith("STOPPED") else "partition_stands_still"
        where = f"partition {number}, where {counted(waits.commands, 'command waits', 'commands wait')}"
        findings.append(Finding(code, f"{where}: {remark}", "See `pumasi audit`, and the matcher's log."))
    behind = {}
    for service in ("intake", "notifier"):
        group, topic = groups[service], GROUPS[service][1]
        extent = extents.get(topic, {}).get(number, Extent(0, 0))
        left = await waiting(reader, topic, number, group.offsets.get(number, 0), extent)
        behind[service] = left.commands
        if left.unreadable and topic == SUBMISSIONS:  # of the ledger it is reported above
            findings.append(Finding("topic_unreadable", left.unreadable))
        elif now_ms[service] and left.left(now_ms[service]):
            what = counted(left.commands, *_ON[service])
            told = f"partition {number}: {what} since {left.since}, and the {service} does not get to it"
            findings.append(Finding(f"{service}_behind", told, f"See the {service}'s log."))
    total = chain.answered + waits.commands
    row = Partition(
        number, total, chain.watermark, waits.commands, chain.seq, chain.at, finding, remark, behind["notifier"], behind["intake"]
    )  # fmt: skip
    return row, findings


_ON = {
    "intake": ("submission waits", "submissions wait"),
    "matcher": ("command has no answer", "commands have no answer"),
    "notifier": ("entry is untold", "entries are untold"),
}
"""What waits for a service, one or many."""


def _wrong(number: int, chain: PartitionRead, commands: Extent) -> Finding | None:
    """What is wrong with a partition of the ledger."""
    told = chain.finding
    if told is None and chain.unfinished is not None:
        told = f"ledger partition {number} ends within an answer"
    if told is None and chain.watermark >= commands.end:
        told = f"ledger partition {number} answers a command at {chain.watermark}, and there are only {commands.end}"
    hint = "Run `pumasi audit`, and see who may write the ledger topic."
    return Finding("ledger_tampered", told, hint) if told else None


def _waiting(rows: Sequence[Partition]) -> dict[str, str]:
    """What waits for each service, in words."""
    numbers = {
        "intake": sum(row.untaken for row in rows),
        "matcher": sum(row.lag for row in rows),
        "notifier": sum(row.untold for row in rows),
    }
    return {service: counted(number, *_ON[service]) if number else "" for service, number in numbers.items()}


async def _of_late(reader: TopicReader, missing: set[str], now_ms: float, findings: list[Finding]) -> Late:
    """What was given up; a topic that can't be read, and notices given up of late, are findings."""
    since_ms, letters, given_up, of_late = int(now_ms - LATE_SECONDS * 1000), Counter[int](), 0, list[DeadLetter]()
    lost = list[tuple[int, Notice]]()
    try:
        if NOTICES not in missing:
            spans = await reader.since(NOTICES, since_ms)
            async for record in reader.records(NOTICES, spans):
                if any(mark in (value := record.value or b"") for mark in _GIVEN_UP):
                    given_up += 1
                    with suppress(ValidationError):  # of another version; it counts
                        notice = Notice.model_validate_json(value, extra="ignore")
                        lost = sorted([*lost, (record.timestamp, notice)], key=itemgetter(0))[-_LATEST:]
        if DEADLETTERS not in missing:
            spans = await reader.extents(DEADLETTERS)
            if sum(extent.end - extent.begin for extent in spans.values()) > _COUNTED_ONE_BY_ONE:
                letters.update({number: extent.end - extent.begin for number, extent in spans.items()})
            else:
                async for record in reader.records(DEADLETTERS):
                    letter = read(record)
                    if isinstance(letter, DeadLetter):
                        letters[record.partition] += 1
                        of_late += [letter] * (record.timestamp >= since_ms)
    except TopicUnreadable as unreadable:
        findings.append(Finding("topic_unreadable", unreadable.message))
    if given_up:
        told = f"{counted(given_up, 'notice')} of the last 24 hours could not be told, and will not be told again"
        findings.append(
            Finding("notices_given_up", told, "See the webhook's receiver; they stand on pumasi.notices.v1.")
        )
    latest = sorted(of_late, key=attrgetter("at"))[-_LATEST:]
    return Late(dict(sorted((+letters).items())), len(of_late), given_up, latest, [notice for _, notice in lost])


def _clocks_ahead(chains: Iterable[PartitionRead], now_ms: float) -> list[Finding]:
    """Whether an event of late was stamped by a clock ahead of Kafka's: nothing that it stamps gets through."""
    seconds = min((now_ms - chain.ahead_ms for chain in chains if chain.ahead_ms is not None), default=1e12) / 1000
    if seconds > CLOCK_AHEAD_TOLD_SECONDS:
        return []
    told = f"an intake's clock is ahead: {seconds:.0f} s ago what it had stamped was refused (clock_ahead); set its clock right"
    return [Finding("clock_ahead", told)]


def _waits(fund: Fund) -> Iterable[Waits]:
    """What waits in a fund for somebody outside."""
    unvouched = [case for case in fund.cases.values() if case.status == "submitted"]
    unvalued = [pledge for pledge in fund.pledges.values() if pledge.rate is None and pledge.closed is None]
    currencies = ", ".join(sorted({pledge.currency for pledge in unvalued}))
    placeless = [pledge for pledge in fund.pledges.values() if pledge.waiting]
    amount = format_money(sum(pledge.waiting for pledge in placeless), fund.currency)
    why = "its donors chose other needs" if any(number for number, _ in fund.lacking) else "no open case lacks money"
    waits: list[tuple[str, Sequence[Case | Pledge], str]] = [
        ("voucher", unvouched, f"{counted(len(unvouched), 'case waits', 'cases wait')} for vouchers"),
        ("rate", unvalued, f"{counted(len(unvalued), 'pledge waits', 'pledges wait')} for a rate of {currencies}"),
        ("case", placeless, f"{amount} of {counted(len(placeless), 'pledge')} waits for a case: {why}"),
    ]
    for code, who, told in waits:
        if who:
            yield Waits(code, fund.name, len(who), told, _oldest(fund, who))


def _oldest(fund: Fund, waiting: Iterable[Case | Pledge]) -> list[Oldest]:
    """Those that have waited longest; of the same age, the first on the ledger."""
    found = []
    for at, one in sorted(((one.since.at, one) for one in waiting if one.since), key=itemgetter(0))[:_OLDEST]:
        kind = type(one).__name__.lower()
        name, where = quote(one.id), f"--fund {quote(fund.name)}"
        asked = f"{where} -- {name}" if name.startswith("-") else f"{name} {where}"  # else it is read as an option
        found.append(Oldest(kind, one.id, at, f"pumasi explain {kind} {asked}"))
    return found
