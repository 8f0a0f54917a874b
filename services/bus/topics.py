"""Pumasi's topics as data, and whether a cluster has them as it should.

Names, keys and what is kept for ever are fixed (contract, 2); the rest is sized here. `plan` is pure: it turns what a cluster says into
a list of findings. `check` and `apply` ask the cluster; `apply` makes what is missing and never alters what exists: with another number
of partitions a fund would lie in another one, and what a shorter retention has deleted does not come back.

What only makes a topic quicker to read (`Topic.tuning`) is set where Pumasi makes it. An installation made before that works as it did:
there it is advice, with the command that follows it, and no finding.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from services.errors import TopicsMismatch

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

SUBMISSIONS: Final = "pumasi.submissions.v1"
COMMANDS: Final = "pumasi.commands.v1"
LEDGER: Final = "pumasi.ledger.v1"
CHECKPOINTS: Final = "pumasi.checkpoints.v1"
CONTACTS: Final = "pumasi.contacts.v1"
NOTICES: Final = "pumasi.notices.v1"
DEADLETTERS: Final = "pumasi.deadletters.v1"
SENDERS: Final = "pumasi.senders.v1"
SERVICES: Final = "pumasi.services.v1"
PREFIX: Final = "pumasi."
"""How the names of all our topics begin."""
_PLACED_ALIKE: Final = (COMMANDS, SUBMISSIONS, LEDGER, CHECKPOINTS, DEADLETTERS)
"""A fund lies in the partition of the same number in each of these, so all have as many."""

MAX_RECORD_BYTES: Final = 4 << 20
"""Room for an entry of 512 KiB and for a 2 MiB record that is poison, in its own topic and again in the dead letters."""

FOREVER: Final = "-1"
SEGMENT_MS: Final = "segment.ms"
"""After how many milliseconds Kafka begins a new file of a partition, once something is appended."""
_DAY_MS: Final = 86_400_000
COMPACTED_SOON: Final = {
    "segment.bytes": str(16 << 20),
    "min.cleanable.dirty.ratio": "0.2",
    "min.compaction.lag.ms": "60000",
    "max.compaction.lag.ms": "3600000",
    "delete.retention.ms": "3600000",
}
"""So that reading all of a compacted topic costs about what lives in it. By default it may cost as much again, tombstones of a day, and
up to 1 GiB besides, since the segment that is being written is never compacted. A minute's lag lets whoever has begun to read find
the records that stood there when it began."""
FORGOTTEN_SOON: Final = {
    **COMPACTED_SOON,
    "segment.ms": "600000",
    "max.compaction.lag.ms": "1200000",
    "min.cleanable.dirty.ratio": "0.01",
}
"""So that whoever is forgotten leaves the disk within an hour: ten minutes until a new file is begun, of which the notifier takes care
by a record now and then, another ten at most until the old one is compacted, and a minute until it is deleted."""
STAMPED_BY_BROKER: Final = {"message.timestamp.type": "LogAppendTime"}
"""Else a broker refuses whatever is stamped more than an hour ahead of its own clock, so a service whose clock is fast would write no
more; and one whose clock is slow would have its records forgotten early. On commands it is more than tuning: by their append time
the matcher tells which of them a wrong clock stamped."""
_GOOD_FOR: Final = {"message.timestamp.type": "safe from a writer's wrong clock"}
_AT_LEAST: Final = {"max.message.bytes", "min.insync.replicas"}  # more than asked for is no finding
_AT_MOST: Final = {"segment.ms"}  # nor is less


@dataclass(frozen=True)
class Topic:
    """A topic as wanted: `config` is Kafka's own names and values, milliseconds and bytes as text; `tuning` changes no meaning."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    tuning: Mapping[str, str] = field(default_factory=dict)


def wanted_topics(partitions: int = 4, replication: int = 1) -> tuple[Topic, ...]:
    """Pumasi's topics, in the order of the flow.

    With three replicas or more a write must reach all but one of them, so that a broker may fail and nothing told is lost.
    """
    durable = {"max.message.bytes": str(MAX_RECORD_BYTES), "min.insync.replicas": str(max(1, replication - 1))}
    kept = {"cleanup.policy": "delete", "retention.ms": FOREVER, "retention.bytes": FOREVER, **durable}
    compacted = {"cleanup.policy": "compact", **durable}
    # Intake deletes what is answered; age deletes nothing, since an intake may be away for long. Kafka takes files off the disk whole,
    # so they are small, and the broker's own clock tells their age.
    until_answered = {**kept, **STAMPED_BY_BROKER, SEGMENT_MS: "60000"}
    return (
        Topic(SUBMISSIONS, partitions, until_answered),
        Topic(COMMANDS, partitions, {**kept, **STAMPED_BY_BROKER}),
        Topic(LEDGER, partitions, kept, STAMPED_BY_BROKER),
        Topic(CHECKPOINTS, partitions, compacted, {**COMPACTED_SOON, **STAMPED_BY_BROKER}),
        Topic(CONTACTS, partitions, {**compacted, **FORGOTTEN_SOON}, STAMPED_BY_BROKER),
        Topic(NOTICES, partitions, kept, STAMPED_BY_BROKER),  # tells a restarted notifier what it has told already
        Topic(DEADLETTERS, partitions, {**kept, "retention.ms": str(90 * _DAY_MS)}, STAMPED_BY_BROKER),
        Topic(SERVICES, 1, compacted, {**COMPACTED_SOON, **STAMPED_BY_BROKER}),  # one order for all that is said there
        Topic(SENDERS, 1, compacted, {**COMPACTED_SOON, **STAMPED_BY_BROKER}),  # small, and read whole at each start
    )


class State(StrEnum):
    """How a topic stands against what is wanted."""

    OK = "ok"
    CREATED = "created"
    MISSING = "missing"
    DIFFERS = "differs"


@dataclass(frozen=True)
class Found:
    """A topic as the cluster has it."""

    partitions: int
    config: Mapping[str, str]
    replicas: int = 1


@dataclass(frozen=True)
class Report:
    """One topic's standing; `details` says, one line each, what differs; `found` is what is there, None if nothing is.

    `advice` says, one line each, what would make it quicker to read, or safer to write; that is no finding.
    """

    topic: Topic
    state: State
    details: tuple[str, ...] = ()
    found: Found | None = None
    advice: tuple[str, ...] = ()

    @property
    def is_finding(self) -> bool:
        return self.state in (State.MISSING, State.DIFFERS)


def plan(wanted: tuple[Topic, ...], found: Mapping[str, Found]) -> list[Report]:
    """How each wanted topic stands; pure. Topics that aren't Pumasi's are none of its business."""
    return [_compare(topic, found.get(topic.name)) for topic in wanted]


def _compare(topic: Topic, found: Found | None) -> Report:
    if found is None:
        return Report(topic, State.MISSING)
    details = []
    if found.partitions != topic.partitions:
        details.append(f"partitions: {found.partitions}, wanted {topic.partitions}")
    for name, value in topic.config.items():
        has = found.config.get(name, "")
        if not _suits(name, has, value):
            bound = "at least " if name in _AT_LEAST else "at most " if name in _AT_MOST else ""
            details.append(f"{name}: {has or 'unknown'}, wanted {bound}{value}")
    advice = tuple(
        f"{name}: {found.config.get(name) or 'unknown'}, {_GOOD_FOR.get(name, 'quicker to read')} with {value}"
        for name, value in topic.tuning.items()
        if found.config.get(name) != value
    )
    return Report(topic, State.DIFFERS if details else State.OK, tuple(details), found, advice)


def _suits(name: str, has: str, wants: str) -> bool:
    if name in _AT_LEAST | _AT_MOST and has.isdigit():
        return int(has) >= int(wants) if name in _AT_LEAST else int(has) <= int(wants)
    return has == wants


def one_copy(reports: Iterable[Report], brokers: int) -> str | None:
    """What to say of topics that lie on one broker alone though there are more; None if none does."""
    alone = [report.topic.name for report in reports if report.found and report.found.replicas == 1]
    if brokers < 2 or not alone:
        return None
    which = "the topics" if len(alone) == len(wanted_topics()) else ", ".join(alone)
    return (
        f"there is one copy of {which}, though Kafka has {brokers} brokers: with the broker that has it, it is lost. Set "
        f"PUMASI_REPLICATION={min(brokers, 3)} before topics are made; those that exist get copies by kafka-reassign-partitions.sh"
    )


def require(reports: Iterable[Report], names: Collection[str], bootstrap: str) -> None:
    """Check that a service can work with these topics: they are there, and commands carry their append time.

    Raises TopicsMismatch naming those with which it can't.
    """
    needed = {report.topic.name: report for report in reports if report.topic.name in names}
    if missing := [name for name in names if needed[name].state is State.MISSING]:
        raise TopicsMismatch(
            f"{', '.join(missing)} missing at {bootstrap}", hint="Make the topics with `pumasi topics --apply`."
        )
    commands = needed.get(COMMANDS)
    if commands and commands.found and STAMPED_BY_BROKER.items() - commands.found.config.items():
        raise TopicsMismatch(
            f"{COMMANDS} at {bootstrap} does not carry append times, without which a wrong clock can't be told",
            hint="Set message.timestamp.type=LogAppendTime on it with kafka-configs.sh; see `pumasi topics`.",
        )


async def check(bootstrap: str, partitions: int = 4, replication: int = 1) -> list[Report]:
    """How the topics of the cluster at `bootstrap` stand. Raises KafkaUnreachable."""
    async with admin_of(bootstrap) as admin:
        wanted = wanted_topics(partitions, replication)
        return plan(wanted, await _look(admin, wanted))


async def brokers(bootstrap: str) -> int:
    """How many brokers the cluster has now. Raises KafkaUnreachable."""
    async with admin_of(bootstrap) as admin:
        return len((await admin.describe_cluster())["brokers"])


async def partition_counts(bootstrap: str) -> dict[str, int]:
    """How many partitions each of Pumasi's topics that exist has. Raises KafkaUnreachable."""
    async with admin_of(bootstrap) as admin:
        return {name: found.partitions for name, found in (await _look(admin, wanted_topics())).items()}


async def config_of(bootstrap: str, name: str) -> Mapping[str, str]:
    """How one of Pumasi's topics is configured. Raises KafkaUnreachable, and TopicsMismatch if it is not there."""
    async with admin_of(bootstrap) as admin:
        found = await _look(admin, tuple(topic for topic in wanted_topics() if topic.name == name))
    if name not in found:
        raise TopicsMismatch(f"{name} missing at {bootstrap}", hint="Make the topics with `pumasi topics --apply`.")
    return found[name].config


async def apply(bootstrap: str, partitions: int = 4, replication: int = 1) -> list[Report]:
    """Make the topics that are missing; then how all stand, once the cluster knows them. Safe to repeat, and by several at once.

    Raises KafkaUnreachable, and TopicsMismatch if the cluster refuses to make one, or has others with which it must share its
    number of partitions, and doesn't.
    """
    async with admin_of(bootstrap) as admin:
        wanted = wanted_topics(partitions, replication)
        found = await _look(admin, wanted)
        missing = [report.topic for report in plan(wanted, found) if report.state is State.MISSING]
        if missing:
            _require_alike(missing, found, bootstrap)
            await _create(admin, missing, replication)
        reports = plan(wanted, await _look_until(admin, wanted, len(wanted)))
    made = {topic.name for topic in missing}
    return [replace(r, state=State.CREATED) if r.topic.name in made and r.state is State.OK else r for r in reports]


def _require_alike(missing: Iterable[Topic], found: Mapping[str, Found], bootstrap: str) -> None:
    """Check that what is to be made gets as many partitions as what it shares funds with. Raises TopicsMismatch."""
    there = {name: found[name].partitions for name in _PLACED_ALIKE if name in found}
    for topic in missing:
        for name, has in there.items():
            if topic.name in _PLACED_ALIKE and topic.partitions != has:
                raise TopicsMismatch(
                    f"{topic.name} can't be made with {topic.partitions} partitions at {bootstrap}: {name} has {has}, and a fund lies "
                    "in the same one of both",
                    hint=f"Use as many: PUMASI_PARTITIONS={has}, or --partitions {has}.",
                )


async def ensure(bootstrap: str, partitions: int = 4, replication: int = 1) -> list[Report]:
    """`apply`, for a service that can't go on without. Raises TopicsMismatch naming each finding."""
    reports = await apply(bootstrap, partitions, replication)
    findings = [report for report in reports if report.is_finding]
    if findings:
        told = "; ".join(f"{r.topic.name} {r.state} {', '.join(r.details)}".strip() for r in findings)
        raise TopicsMismatch(
            f"the topics at {bootstrap} are not as wanted: {told}",
            hint="If PUMASI_PARTITIONS or PUMASI_REPLICATION is other than when they were made, set it back. "
            "Otherwise repair them with Kafka's own tools: Pumasi never alters a topic that exists.",
        )
    return reports


# ---- asking a cluster -------------------------------------------------------------------------------------------------

_TOPIC_EXISTS, _NO_TOPIC = 36, 3  # Kafka's error codes
_KNOWN_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.05


@asynccontextmanager
async def admin_of(bootstrap: str, client_id: str = "pumasi-topics") -> AsyncIterator["AIOKafkaAdminClient"]:
    """aiokafka's admin client for one piece of work, its failures told as KafkaUnreachable."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    from services.bus.client.unreachable import unreachable, why_unreachable
    from services.bus.security import connection

    admin = AIOKafkaAdminClient(**connection(bootstrap), client_id=client_id)
    try:
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            raise await why_unreachable(bootstrap, error) from error
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise unreachable(bootstrap, error) from error
    finally:
        await admin.close()


async def _look(admin: "AIOKafkaAdminClient", wanted: Sequence[Topic]) -> dict[str, Found]:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    names = {topic.name for topic in wanted}
    told = {t["topic"]: t for t in await admin.describe_topics() if t["topic"] in names and not t["error_code"]}
    if not told:
        return {}
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in told])
    configs = {
        resource[3]: {entry[0]: entry[1] or "" for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
        if resource[0] == 0
    }
    return {
        name: Found(len(t["partitions"]), configs[name], min(len(one["replicas"]) for one in t["partitions"]))
        for name, t in told.items()
        if name in configs
    }


async def _create(admin: "AIOKafkaAdminClient", topics: list[Topic], replication: int) -> None:
    from aiokafka.admin import NewTopic

    answer: Any = await admin.create_topics(
        [NewTopic(t.name, t.partitions, replication, topic_configs={**t.config, **t.tuning}) for t in topics]
    )
    refused = [f"{name}: {why or code}" for name, code, why in answer.topic_errors if code not in (0, _TOPIC_EXISTS)]
    if refused:
        raise TopicsMismatch(
            f"Kafka refused to make topics: {'; '.join(refused)}",
            hint="Replicas need as many brokers (PUMASI_REPLICATION); a user needs the right to create topics.",
        )


async def _look_until(admin: "AIOKafkaAdminClient", wanted: Sequence[Topic], there: int) -> dict[str, Found]:
    """Which of these the broker asked knows, as soon as so many are `there`, or after 30 s; other brokers may know later."""
    deadline = time.monotonic() + _KNOWN_WITHIN_S
    while len(found := await _look(admin, wanted)) != there and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_EVERY_S)
    return found


async def rebuild(bootstrap: str) -> None:
    """Delete ledger and checkpoints, and make them anew, as many partitions and copies as commands have. Cut short, run it again.

    All that was in them comes back from the commands. Nobody may use them meanwhile.

    Raises:
        KafkaUnreachable: if no broker answers.
        TopicsMismatch: if there are no commands, or the cluster refuses.
    """
    async with admin_of(bootstrap) as admin:
        like = (await _look(admin, wanted_topics())).get(COMMANDS)
        if like is None:
            raise TopicsMismatch(
                f"{COMMANDS} missing at {bootstrap}, from which the others come back",
                hint="Is PUMASI_KAFKA that of this installation, and PUMASI_DATA?",
            )
        await _remove(admin, (LEDGER, CHECKPOINTS))
        wanted = [one for one in wanted_topics(like.partitions, like.replicas) if one.name in (LEDGER, CHECKPOINTS)]
        await _create(admin, wanted, like.replicas)
        await _look_until(admin, wanted, len(wanted))


async def remove(bootstrap: str) -> None:
    """Delete every Pumasi topic, with all in it, and wait until none is known. For tests; no command offers it."""
    async with admin_of(bootstrap) as admin:
        await _remove(admin, [topic.name for topic in wanted_topics()])


async def _remove(admin: "AIOKafkaAdminClient", names: Collection[str]) -> None:
    answer: Any = await admin.delete_topics(list(names))
    refused = [f"{name}: {code}" for name, code in answer.topic_error_codes if code not in (0, _NO_TOPIC)]
    if refused:
        raise TopicsMismatch(
            f"Kafka refused to delete topics: {', '.join(refused)}",
            hint="Its user needs the right to delete them: `pumasi access --apply`, or start the embedded broker anew.",
        )
    wanted = [topic for topic in wanted_topics() if topic.name in names]
    if await _look_until(admin, wanted, 0):
        raise TopicsMismatch(f"{', '.join(names)} could not be deleted within {_KNOWN_WITHIN_S:.0f} s")
