"""Reading a topic without a group: all partitions, from the start or near the end, for memories that are rebuilt at each start.

Nothing is committed: where a reader stands is part of its memory. Kafka's troubles are waited out with back-off, and a reader goes on
where it stood.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiokafka.errors import ConsumerStoppedError, KafkaError

from services.backoff import Backoff
from services.bus.client.consumer import Consumer
from services.bus.client.fetching import Stuck
from services.bus.envelope import Record
from services.bus.security import connection
from services.errors import KafkaUnreachable, TopicUnreadable

log = logging.getLogger("pumasi.bus")

_BACKOFF_SECONDS = (0.2, 5.0)
_POLL_MS = 200
_RECORDS_PER_POLL = 2000
_START_SECONDS = 15.0


@asynccontextmanager
async def _started(bootstrap: str, client_id: str, *topics: str) -> AsyncIterator[Consumer]:
    """A consumer of all partitions of `topics`; of none, to ask."""
    consumer = Consumer(
        *topics,
        **connection(bootstrap),
        client_id=client_id,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=_POLL_MS,
        max_partition_fetch_bytes=4 << 20,
    )
    try:
        async with asyncio.timeout(_START_SECONDS):
            await consumer.start()
            await asyncio.sleep(0)  # aiokafka's stop() raises CancelledError if its tasks never had a turn
        yield consumer
    finally:
        await consumer.stop()


class Tail:
    """Follows a topic for ever; use `run` as a task.

    Args:
        bootstrap: says where Kafka is, asked at every attempt; may raise KafkaUnreachable.
        topic: which.
        client_id: the name in the broker's logs.
        handle: called with each record, in order of its partition. What it raises is logged, and the record skipped.
        last: begin so many records before the end, the same number in each partition; None for the start.
    """

    def __init__(
        self,
        bootstrap: Callable[[], str],
        topic: str,
        client_id: str,
        handle: Callable[[Record], None],
        last: int | None = None,
    ) -> None:
        self._bootstrap, self._topic, self._client_id, self._handle = bootstrap, topic, client_id, handle
        self._last = last
        self._next: dict[int, int] = {}
        self._reading: tuple[Consumer, Consumer] | None = None
        self._handled: dict[int, int] = {}
        self._polled = asyncio.Event()

    @property
    def stuck(self) -> list[Stuck]:
        """The partitions that can't be read on; the others are followed."""
        return self._reading[0].stuck if self._reading else []

    @property
    def in_reach(self) -> bool:
        """Whether the topic is being read at this moment."""
        return self._reading is not None

    async def reach_end(self) -> None:
        """Wait until all that stands on the topic now is handled; while Kafka is away, that long. Needs `run` to run.

        Nobody is kept waiting by a partition that can't be read on: `stuck` tells of it.
        """
        ends: dict[int, int] | None = None
        while ends is None or self._is_short_of(ends):
            polled = self._polled
            if ends is None and self._reading is not None:
                consumer, asking = self._reading
                with suppress(KafkaError, ConsumerStoppedError, OSError, TimeoutError):
                    found = await asking.end_offsets(sorted(consumer.assignment()))
                    ends = {place.partition: end for place, end in found.items()}
                    continue
            await polled.wait()

    def _is_short_of(self, ends: dict[int, int]) -> bool:
        stuck = {one.partition for one in self.stuck}
        return any(self._handled.get(number, 0) < end for number, end in ends.items() if number not in stuck)

    async def run(self) -> None:
        """Follow until cancelled."""
        backoff = Backoff(*_BACKOFF_SECONDS)
        while True:
            try:
                bootstrap = self._bootstrap()
                async with (
                    _started(bootstrap, self._client_id, self._topic) as consumer,
                    # A broker answers a connection's requests one by one: a question would wait until a fetch has found something.
                    _started(bootstrap, self._client_id) as asking,
                ):
                    await self._begin(consumer)
                    self._reading = consumer, asking
                    while True:
                        await self._poll(consumer)
                        backoff.succeeded()
            except (KafkaError, KafkaUnreachable, OSError, TimeoutError) as error:
                log.warning("following %s: %s; trying again", self._topic, type(error).__name__)
            finally:
                self._reading = None
            await asyncio.sleep(backoff.failed())

    async def _begin(self, consumer: Consumer) -> None:
        """Seek to where each partition goes on."""
        places = sorted(consumer.assignment())  # without a group it is all partitions
        if self._last is not None and (new := [place for place in places if place.partition not in self._next]):
            begins, ends = await consumer.beginning_offsets(new), await consumer.end_offsets(new)
            share = self._last // len(places)
            self._next |= {place.partition: max(begins[place], ends[place] - share) for place in new}
        for place in places:
            consumer.seek(place, self._next.get(place.partition, 0))

    async def _poll(self, consumer: Consumer) -> None:
        for place, records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_PER_POLL)).items():
            for record in records:
                try:
                    self._handle(record)
                except Exception as error:  # noqa: BLE001  # one bad record must not end the following
                    log.error(
                        "%s: partition %d, offset %d passed over (%s)",
                        self._topic, place.partition, record.offset, type(error).__name__,
                    )  # fmt: skip
                self._next[place.partition] = record.offset + 1
            await asyncio.sleep(0)  # doors come first
        for place in consumer.assignment():  # not from the records: compaction and markers leave offsets without any
            self._handled[place.partition] = await consumer.position(place)
        self._polled.set()
        self._polled = asyncio.Event()


async def read_last(bootstrap: str, topic: str, client_id: str, last: int, handle: Callable[[Record], None]) -> None:
    """Hand on the last `last` records of each partition, as far as the topic reached when this began.

    Raises:
        KafkaUnreachable: if Kafka does not answer.
        TopicUnreadable: once all that can be read is handed on, if something can't be.
    """
    unreadable: dict[int, str] = {}
    try:
        async with _started(bootstrap, client_id, topic) as consumer:
            places = sorted(consumer.assignment())
            begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            for place in places:
                consumer.seek(place, max(begins[place], ends[place] - last))
            unread = {place for place in places if begins[place] < ends[place]}
            while unread:
                consumer.pause(*(place for place in places if place not in unread))
                for records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_PER_POLL)).values():
                    for record in records:
                        handle(record)
                for place in list(unread):
                    if await consumer.position(place) >= ends[place]:
                        unread.discard(place)
                unreadable |= {stuck.partition: str(stuck) for stuck in consumer.stuck}
                unread = {place for place in unread if place.partition not in unreadable}
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnreachable(
            f"Kafka does not answer ({type(error).__name__})", hint="Try again in a moment."
        ) from error
    if unreadable:
        raise TopicUnreadable(unreadable)
