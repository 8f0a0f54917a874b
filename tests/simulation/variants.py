"""The real code with one safeguard removed: simulation must find out each of them, or it is worth nothing.

The list answers to that of `tests/protocol`, where SPIN removes the same safeguards from the model; here they are removed from the
code, and there are more of them, since content counts as well: checkpoints, dead letters, memory. Each says by which findings it may
show. Some removals do no harm, for another safeguard stands behind each: of three of them SPIN says so too, and an epoch is waited for
by aiokafka's own start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import RecordMetadata, TopicPartition

from services.bus.client.consumer import Consumer
from services.bus.client.open_transactions import Leftovers
from services.bus.client.producer import TransactionalProducer
from services.bus.client.record_batch import Row
from services.bus.consume import scan
from services.bus.produce import transaction
from services.bus.produce.transaction import Sent, Transaction
from services.bus.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, LEDGER
from services.errors import KafkaUnreachable
from services.matcher.checkpoint import recovery
from services.matcher.checkpoint.writing import Head, Keeper
from services.matcher.ledger.journal import Journal
from services.matcher.ledger.replay import Replay
from services.matcher.partition.processor import Processor
from services.matcher.partition.tenure import Tenure
from tests.simulation.clock import process_of_this_step
from tests.simulation.plan import BROKER_AWAY, FENCED_LATE, Fault, Plan, plan_of
from tests.simulation.world import World

Changed = AbstractContextManager[Any]
HOLDS = frozenset[str]()
WRONG = frozenset({"doubled", "lost", "differs", "from nowhere", "stopped", "not an entry"})
"""Findings on the ledger; which of them comes first depends on what the chance of a seed makes of it."""


@dataclass(frozen=True)
class Variant:
    """One safeguard less.

    Attributes:
        name: for people and for pytest.
        means: what is missing, in a sentence.
        change: makes it so, for one run.
        shows: the kinds of findings by which it may be found out; none if it does no harm.
        faults: what goes wrong in its worlds, if chance would bring that too rarely.
    """

    name: str
    means: str
    change: Callable[[World], Changed]
    shows: frozenset[str]
    faults: tuple[Fault, ...] = ()

    def plan(self, seed: int) -> Plan:
        """The plan of a seed, with the faults that tell."""
        return replace(plan_of(seed), faults=self.faults) if self.faults else plan_of(seed)


# What Pumasi does: fencing and reading back


def _no_fence(_world: World) -> Changed:
    def producer(**options: Any) -> TransactionalProducer:
        options["transactional_id"] += f"-{process_of_this_step().name}"
        return TransactionalProducer(**options)

    return patch.object(transaction, "TransactionalProducer", producer)


def _no_look(_world: World) -> Changed:
    return patch.object(Journal, "_follows_on", lambda _journal, _offset: asyncio.sleep(0))


def _read_back_before_fence(_world: World) -> Changed:
    really = Processor.take

    async def take(processor: Processor) -> None:
        fence = processor.journal.fence
        processor.journal.fence = partial(asyncio.sleep, 0)
        try:
            await really(processor)
        finally:
            del processor.journal.fence
        await fence()

    return patch.object(Processor, "take", take)


def _no_wait_for_epoch(_world: World) -> Changed:
    return patch.object(TransactionalProducer, "identified", lambda _producer, _seconds: asyncio.sleep(0))


def _read_uncommitted(_world: World) -> Changed:
    return patch.object(
        scan,
        "Consumer",
        lambda **options: Consumer(**options | {"isolation_level": "read_uncommitted"}),
    )


def _offsets_from_group(world: World) -> Changed:
    really = Processor.take

    async def take(processor: Processor) -> None:
        await really(processor)
        processor.next_offset = max(0, world.broker.group.offsets.get((COMMANDS, processor.partition), 0))

    return patch.object(Processor, "take", take)


def _watermark_not_advanced(_world: World) -> Changed:
    really = Processor.take

    async def take(processor: Processor) -> None:
        await really(processor)
        processor.next_offset = max(0, processor.recovered.replay.watermark)

    return patch.object(Processor, "take", take)


def _no_lso_wait(_world: World) -> Changed:
    async def stable(reader: scan.TopicReader, topic: str, partition: int) -> int:
        place = TopicPartition(topic, partition)
        return (await reader._held.end_offsets([place]))[place]

    return patch.object(scan.TopicReader, "high_watermark", stable)


# What Pumasi does: appending, and what it makes of a failure


class _Told:
    """What a transaction is to append, and doesn't yet."""

    def __init__(self) -> None:
        self.rows: dict[str, list[list[Row]]] = defaultdict(list)

    async def append(self, topic: str, portions: Iterable[list[Row]]) -> None:
        """As `Appending.append`."""
        self.rows[topic] += [list(portion) for portion in portions]

    async def arrived(self) -> int:
        """As `Appending.arrived`: at or before the last entry."""
        return 0


Begin = Callable[[Journal], AbstractAsyncContextManager[Any]]


def _appending(really_append: Callable[[Journal, Begin, _Told], Awaitable[None]]) -> Changed:
    """Have what a transaction appends appended so, once it is all known."""
    really = Journal.transaction

    @contextlib.asynccontextmanager
    async def transaction(journal: Journal) -> AsyncIterator[_Told]:
        told = _Told()
        yield told
        await really_append(journal, really, told)

    return patch.object(Journal, "transaction", transaction)


async def _append(journal: Journal, begin: Begin, told: _Told, *topics: str) -> None:
    async with begin(journal) as begun:
        for topic in topics:
            await begun.append(topic, told.rows[topic])


_ALL = (LEDGER, DEADLETTERS, CHECKPOINTS)


def _as_if_appended(_world: World) -> Changed:
    really = Journal.transaction

    @contextlib.asynccontextmanager
    async def transaction(journal: Journal) -> AsyncIterator[Any]:
        try:
            async with really(journal) as begun:
                yield begun
        except KafkaUnreachable:
            await journal.fence()

    return patch.object(Journal, "transaction", transaction)


def _as_if_not_appended(_world: World) -> Changed:
    async def append(journal: Journal, begin: Begin, told: _Told) -> None:
        try:
            await _append(journal, begin, told, *_ALL)
        except KafkaUnreachable:
            await journal.fence()
            await _append(journal, begin, told, LEDGER, DEADLETTERS)

    return _appending(append)


def _no_leftovers(_world: World) -> Changed:
    return patch.object(Leftovers, "end", lambda _self, _producer: asyncio.sleep(0))


def _no_settling(_world: World) -> Changed:
    return patch.object(Journal, "settle", lambda _self: asyncio.sleep(0, True))


def _leftovers_aborted(_world: World) -> Changed:
    return patch.object(Leftovers, "_commits", lambda _self, _producer, _left: False)


def _same_epoch_after_silence(_world: World) -> Changed:
    return patch.object(TransactionalProducer, "_watch_ends", lambda _producer: None)


def _send_not_awaited(_world: World) -> Changed:
    really = Transaction.send

    async def send(self: Transaction, topic: str, partition: int, portions: Any) -> list[Sent]:
        for future, _count in await really(self, topic, partition, portions):
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._sent.clear()
        done = asyncio.get_running_loop().create_future()
        done.set_result(RecordMetadata(topic, partition, None, -1, -1, 0, None))
        return [Sent(done, 0)]

    return patch.object(Transaction, "send", send)


def _transaction_per_entry(_world: World) -> Changed:
    async def append(journal: Journal, begin: Begin, told: _Told) -> None:
        *first, last = [entry for portion in told.rows[LEDGER] for entry in portion]
        for entry in first:
            async with begin(journal) as apart:
                await apart.append(LEDGER, [[entry]])
        told.rows[LEDGER] = [[last]]
        await _append(journal, begin, told, *_ALL)

    return _appending(append)


def _letters_apart(_world: World) -> Changed:
    async def append(journal: Journal, begin: Begin, told: _Told) -> None:
        await _append(journal, begin, told, LEDGER, CHECKPOINTS)
        if any(told.rows[DEADLETTERS]):
            async with journal._writer.transaction() as apart:
                await apart.send(DEADLETTERS, journal.partition, told.rows[DEADLETTERS])

    return _appending(append)


def _memory_kept(_world: World) -> Changed:
    forget, really = Processor.forget, Processor.take

    def kept(processor: Processor) -> None:
        if not processor.journal._writer.held:
            forget(processor)

    async def take(processor: Processor) -> None:
        if not processor.ready:
            await really(processor)

    return patch.multiple(Processor, forget=kept, take=take)


def _ends_as_aiokafka(_world: World) -> Changed:
    return patch.object(Consumer, "stop", AIOKafkaConsumer.stop)


def _no_retake(_world: World) -> Changed:
    really = Tenure._rest

    async def rest(tenure: Tenure) -> None:
        if tenure._backoff.failures:
            await asyncio.Event().wait()
        await really(tenure)

    return patch.object(Tenure, "_rest", rest)


# What Pumasi does: checkpoints


def _checkpoint_first(_world: World) -> Changed:
    """The checkpoint in a transaction of its own, before the entries that it stands for."""

    async def append(journal: Journal, begin: Begin, told: _Told) -> None:
        if told.rows[CHECKPOINTS]:
            async with journal._writer.transaction() as apart:
                await apart.send(CHECKPOINTS, journal.partition, told.rows[CHECKPOINTS])
        await _append(journal, begin, told, LEDGER, DEADLETTERS)

    return _appending(append)


def _no_anchor(_world: World) -> Changed:
    """Whatever entry the checkpoint names is believed to be in the ledger."""

    async def resume(replay: Replay, written: Any, head: Head) -> None:
        async for values in written.read_back(head.ledger_offset):
            for value in values:
                if msgspec.json.decode(value)["seq"] > head.seq:
                    replay.feed(value)

    return patch.object(recovery, "_resume", resume)


@contextlib.contextmanager
def _both(world: World, *changes: Callable[[World], Changed]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for change in changes:
            stack.enter_context(change(world))
        yield


def _keeper_kept(_world: World) -> Changed:
    """After a failure the keeper goes on with what it believes to have written."""
    really = Processor.take

    async def take(processor: Processor) -> None:
        await really(processor)
        kept = processor.__dict__.setdefault("_keeper", processor.recovered.keeper)
        processor.recovered = processor.recovered._replace(keeper=kept)

    return patch.object(Processor, "take", take)


def _tail_unread(_world: World) -> Changed:
    async def resume(_replay: Replay, _written: Any, _head: Head) -> None:
        """The checkpoint is all there is."""

    return patch.object(recovery, "_resume", resume)


def _no_tombstones(_world: World) -> Changed:
    really = Keeper._end

    def end(keeper: Keeper, key: bytes, entity: Any, _portion: list) -> None:
        really(keeper, key, entity, [])

    return patch.object(Keeper, "_end", end)


# What Kafka does


@contextlib.contextmanager
def _broker(world: World, *, idempotent: bool = True, verifies: bool = True, early: bool = False) -> Iterator[None]:
    for log in world.broker.logs.values():
        log.idempotent = idempotent
    world.broker.verifies, world.broker.coordinator.early_fence = verifies, early
    yield


_early_fence = partial(_broker, early=True)

VARIANTS = (
    Variant("no_fence", "A transactional id of its own for each process: nobody is shut out. Who looks where his entries came to lie "
            "notices, but for a moment's chance.", _no_fence, WRONG),
    Variant("no_look", "Nobody looks where his entries came to lie: fencing is enough.", _no_look, HOLDS),
    Variant("no_fence+no_look", "Nobody is shut out, and nobody looks.", lambda world: _both(world, _no_fence, _no_look), WRONG),
    Variant("read_back_before_fence", "The former owner is shut out only after the reading.", _read_back_before_fence, WRONG),
    Variant("read_uncommitted", "What is open or aborted is read too.", _read_uncommitted, WRONG | {"checkpoint of no use"}),
    Variant("offsets_from_group", "The group's offset is the watermark.", _offsets_from_group, WRONG),
    Variant("watermark_not_advanced", "The last command answered counts as the next.", _watermark_not_advanced, WRONG),
    Variant("as_if_appended", "After an unknown outcome memory is kept as if it had succeeded.", _as_if_appended, WRONG),
    Variant("as_if_not_appended", "After an unknown outcome the same is tried again.", _as_if_not_appended, WRONG),
    Variant("same_epoch_after_silence", "A producer that missed a reply to EndTxn is used again.", _same_epoch_after_silence,
            WRONG | {"torn", "dead letters", "checkpoint of no use"}),
    Variant("send_not_awaited", "A transaction is committed though a send of it failed.", _send_not_awaited,
            WRONG | {"torn", "dead letters", "checkpoint of no use"}),
    Variant("transaction_per_entry", "A split answer spans transactions.", _transaction_per_entry, frozenset({"torn"})),
    Variant("letters_apart", "A dead letter has a transaction of its own.", _letters_apart, frozenset({"dead letters"}),
            (Fault("EndTxn", 2, "killed after", 0.1, 1),) * 2),
    Variant("memory_kept", "After a failure it goes on with the memory that it has.", _memory_kept, WRONG | {"stands still"}),
    Variant("no_leftovers", "Nobody looks for transactions that Kafka has left open.", _no_leftovers, frozenset({"stands still"})),
    Variant("no_settling", "Nobody looks whether what is said to be committed can be read.", _no_settling, frozenset({"stands still"})),
    Variant("leftovers_aborted", "What was left open is aborted, whatever had been decided.", _leftovers_aborted,
            frozenset({"checkpoint of no use", "dead letters", "stands still"})),
    Variant("no_retake", "A partition that failed is left alone.", _no_retake, frozenset({"stands still"})),
    Variant("ends_as_aiokafka", "A consumer's end may look as if its caller had been cancelled.", _ends_as_aiokafka,
            frozenset({"stands still"}), BROKER_AWAY),
    Variant("checkpoint_first", "A checkpoint has a transaction of its own, before its entries.", _checkpoint_first,
            frozenset({"checkpoint of no use"})),
    Variant("checkpoint_first+no_anchor", "The same, and believed without its entry in the ledger.",
            lambda world: _both(world, _checkpoint_first, _no_anchor), WRONG),
    Variant("keeper_kept", "After a failure the keeper believes what it had told.", _keeper_kept, frozenset({"checkpoint of no use"})),
    Variant("tail_unread", "The entries since the checkpoint are not read.", _tail_unread, WRONG),
    Variant("no_tombstones", "What has ended stays in the topic.", _no_tombstones, frozenset({"checkpoint of no use"})),
    Variant("broker_no_idempotence", "A batch that comes twice is appended twice.", partial(_broker, idempotent=False), WRONG),
    Variant("no_wait_for_epoch", "Reading does not wait for InitProducerId's reply; aiokafka's start does.", _no_wait_for_epoch,
            HOLDS, FENCED_LATE),
    Variant("no_anchor", "A checkpoint is believed without its entry in the ledger.", _no_anchor, HOLDS),
    Variant("no_lso_wait", "Reading back ends at the last stable offset.", _no_lso_wait, HOLDS),
    Variant("broker_early_fence", "InitProducerId is answered before the former transaction is settled.", _early_fence, HOLDS),
    Variant("broker_no_verification", "The leader does not ask the coordinator.", partial(_broker, verifies=False), HOLDS),
    Variant("no_lso_wait+broker_early_fence", "Both at once: each alone is made good by the other.",
            lambda world: _both(world, _no_lso_wait, _early_fence), WRONG),
)  # fmt: skip
BY_NAME = {variant.name: variant for variant in VARIANTS}
