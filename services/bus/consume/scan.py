"""Reading a topic once, from its start to where it ends now, in bounded memory: for questions, not for services.

Only what is committed is read; the end is the last stable offset, so a transaction that hangs open delays nobody who only asks. What
is fetched and not yet handed on stays under some 16 MiB, however long the topic is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError

from services.bus.client.consumer import Consumer
from services.bus.client.producer import TROUBLE
from services.bus.client.unreachable import unreachable, why_unreachable
from services.bus.envelope import Record
from services.bus.security import connection
from services.bus.topics import admin_of
from services.errors import KafkaUnreachable, TopicsMismatch, TopicUnreadable

Progress = Callable[[int, int], None]
"""Called with the offsets passed so far and their number in all."""

_CLIENT = "pumasi-reader"
_START_SECONDS = 15.0
_STALL_SECONDS = 60.0
_RETRY_SECONDS = 0.1
_POLL_MS = 200
_RECORDS_PER_POLL = 2000
_LITTLE = {"fetch_max_wait_ms": _POLL_MS, "max_partition_fetch_bytes": 4 << 20, "fetch_max_bytes": 16 << 20}


class Extent(NamedTuple):
    """Where a partition, or what is read of it, begins and ends, as offsets; `end` is one past the last committed record."""

    begin: int
    end: int


Where = Mapping[int, Extent] | Collection[int] | None
"""What is read of a topic: extents by partition; partitions; all."""


@asynccontextmanager
async def reading(
    bootstrap: str, client_id: str, *topics: str, committed: bool = True, **how: Any
) -> AsyncIterator[Consumer]:
    """A consumer in no group, of all partitions of `topics`, or of none yet; what fails is raised as aiokafka has it.

    Args:
        committed: read committed records only, and wait at an open transaction.
        how: options of aiokafka's in place of ours, which fetch little at once.
    """
    consumer = Consumer(
        *topics,
        **connection(bootstrap),
        client_id=client_id,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed" if committed else "read_uncommitted",
        auto_offset_reset="earliest",
        **{**_LITTLE, **how},
    )
    try:
        async with asyncio.timeout(_START_SECONDS):
            await consumer.start()
            await asyncio.sleep(0)  # aiokafka's stop() raises CancelledError if its tasks never had a turn
        yield consumer
    finally:
        with suppress(*TROUBLE):
            await consumer.stop()


class TopicReader:
    """Reads topics in no group. Use as an async context manager; arguments as `reading` has them.

    Raises:
        KafkaUnreachable: on entering or from any method, if no broker answers.
    """

    def __init__(self, bootstrap: str, committed: bool = True) -> None:
        self._bootstrap, self._committed = bootstrap, committed
        self._open = AsyncExitStack()
        self._consumer: Consumer | None = None

    async def __aenter__(self) -> TopicReader:
        begun = reading(self._bootstrap, _CLIENT, committed=self._committed)
        try:
            self._consumer = await self._open.enter_async_context(begun)
        except TROUBLE as error:
            raise await why_unreachable(self._bootstrap, error) from error
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        await self._open.aclose()
        if isinstance(error, TROUBLE):
            raise unreachable(self._bootstrap, error) from error

    async def extents(self, topic: str) -> dict[int, Extent]:
        """Where each partition of `topic` begins and ends now.

        Raises:
            TopicsMismatch: if there is no such topic.
        """
        consumer = self._held
        numbers = await consumer.numbers_of(topic)
        if not numbers:
            raise TopicsMismatch(f"the topic {topic} is missing", hint="Make it with `pumasi topics --apply`.")
        places = [TopicPartition(topic, number) for number in sorted(numbers)]
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        return {place.partition: Extent(begins[place], ends[place]) for place in places}

    async def since(self, topic: str, time_ms: int) -> dict[int, Extent]:
        """The same, but from the first record on whose timestamp is `time_ms`, milliseconds since 1970, or later."""
        extents = await self.extents(topic)
        found = await self._held.offsets_for_times({TopicPartition(topic, number): time_ms for number in extents})
        first = {place.partition: at.offset for place, at in found.items() if at is not None}
        return {number: Extent(first.get(number, one.end), one.end) for number, one in extents.items()}

    async def high_watermark(self, topic: str, partition: int) -> int:
        """Where a partition ends now, uncommitted records included: an open transaction is to be waited for, not overlooked."""
        place = TopicPartition(topic, partition)
        async with reading(self._bootstrap, _CLIENT, committed=False) as plain:
            return int((await plain.end_offsets([place]))[place])

    async def records(
        self, topic: str, where: Where = None, progress: Progress | None = None
    ) -> AsyncGenerator[Record, None]:
        """Every committed record of `topic`, each partition in order.

        Args:
            where: extents by partition; or partitions, None for all, up to their ends as of when the first record is asked for.

        Raises:
            TopicsMismatch: if there is no such topic.
            TopicUnreadable: once all that can be read has been given, if something can't be.
            KafkaUnreachable: if nothing moves for a minute.
        """
        async with aclosing(self.portions(topic, where, progress)) as portions:
            async for records in portions:
                for record in records:
                    yield record

    async def portions(
        self,
        topic: str,
        where: Where = None,
        progress: Progress | None = None,
        stall_seconds: float = _STALL_SECONDS,
    ) -> AsyncGenerator[list[Record], None]:
        """The same as they are fetched, each portion of one partition; KafkaUnreachable, if nothing moves for `stall_seconds`."""
        if not isinstance(where, Mapping):
            extents = await self.extents(topic)
            where = {number: extent for number, extent in extents.items() if where is None or number in where}
        consumer = self._held
        begins = {TopicPartition(topic, number): begin for number, (begin, end) in where.items() if begin < end}
        unread = {place: where[place.partition].end for place in begins}
        total = sum(unread.values()) - sum(begins.values())
        consumer.assign(list(unread))
        for place, begin in begins.items():
            consumer.seek(place, begin)
        reached, unreadable = dict.fromkeys(unread, 0), {}
        loop = asyncio.get_running_loop()
        stalled = loop.time() + stall_seconds
        while unread:
            for place, records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_PER_POLL)).items():
                if records[-1].offset < unread[place]:
                    yield records
                else:
                    yield [record for record in records if record.offset < unread[place]]
            for place in list(unread):
                position = min(await consumer.position(place), unread[place])
                if position - begins[place] > reached[place]:
                    reached[place] = position - begins[place]
                    stalled = loop.time() + stall_seconds
                if position >= unread[place]:
                    del unread[place]
                    consumer.pause(place)
            for stuck in consumer.stuck:
                if unread.pop(TopicPartition(stuck.topic, stuck.partition), None) is not None:
                    unreadable[stuck.partition] = str(stuck)
            if progress:
                progress(sum(reached.values()), total)
            if loop.time() > stalled:
                raise KafkaUnreachable(
                    f"{topic} has not moved for {stall_seconds:.0f} s", hint="Try again in a moment."
                )
        if unreadable:
            raise TopicUnreadable(unreadable)

    @property
    def _held(self) -> Consumer:
        assert self._consumer is not None, "entered"
        return self._consumer


@dataclass(frozen=True)
class Group:
    """A consumer group as it is now.

    Attributes:
        members: how many consumers are in it; 0 if nobody ever was.
        offsets: by partition, where it goes on, if it has reported that.
        remarks: by partition, what its member remarked with its last offset; partitions without a remark are left out.
    """

    members: int
    offsets: dict[int, int]
    remarks: dict[int, str]


async def group_of(bootstrap: str, group: str, topic: str) -> Group:
    """A consumer group of `topic`.

    Raises:
        KafkaUnreachable: if no broker answers.
    """
    async with admin_of(bootstrap, _CLIENT) as admin, asyncio.timeout(_START_SECONDS):
        while True:
            try:
                answer: Any
                (answer,) = await admin.describe_consumer_groups([group])
                offsets = await admin.list_consumer_group_offsets(group)
                told = {place.partition: at for place, at in offsets.items() if place.topic == topic}
                return Group(
                    len(answer.groups[0][5]),
                    {number: at.offset for number, at in told.items()},
                    {number: at.metadata for number, at in told.items() if at.metadata},
                )
            except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError):
                await asyncio.sleep(_RETRY_SECONDS)  # a new cluster makes its group topic when first asked
