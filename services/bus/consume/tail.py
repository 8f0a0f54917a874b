"""Reading a topic without a group: all partitions, from the start or near the end, for memories that are rebuilt at each start.

Nothing is committed: where a reader stands is part of its memory. Kafka's troubles are waited out with back-off, and a reader goes on
where it stood.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress

from aiokafka.errors import ConsumerStoppedError

from services.backoff import Backoff
from services.bus.client.consumer import Consumer
from services.bus.client.fetching import Stuck
from services.bus.client.producer import TROUBLE
from services.bus.consume.scan import TopicReader, reading
from services.bus.envelope import Record
from services.bus.security import Bootstrap
from services.errors import KafkaUnreachable

log = logging.getLogger("pumasi.bus")

_BACKOFF_SECONDS = (0.2, 5.0)
_POLL_MS = 200
_POLL_UNAWAITED_MS = 10_000
_RECORDS_PER_POLL = 2000


class Tail:
    """Follows a topic for ever; use `run` as a task.

    Args:
        handle: called with each record, in order of its partition. What it raises is logged, and the record skipped.
        last: begin so many records before the end, the same number in each partition; None for the start.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        topic: str,
        client_id: str,
        handle: Callable[[Record], None],
        last: int | None = None,
    ) -> None:
        self._bootstrap, self._topic, self._client_id, self._handle = bootstrap, topic, client_id, handle
        self._last = last
        self._next: dict[int, int] = {}
        self._reading: Consumer | None = None
        self._handled: dict[int, int] = {}
        self._polled = asyncio.Event()
        self._awaited = 0  # by how many the end is

    @property
    def stuck(self) -> list[Stuck]:
        """The partitions that can't be read on; the others are followed."""
        return self._reading.stuck if self._reading else []

    @property
    def in_reach(self) -> bool:
        """Whether the topic is being read at this moment."""
        return self._reading is not None

    async def reach_end(self) -> None:
        """Wait until all that stands on the topic now is handled; while Kafka is away, that long. Needs `run` to run.

        Nobody is kept waiting by a partition that can't be read on: `stuck` tells of it.
        """
        ends: dict[int, int] | None = None
        self._awaited += 1
        if self._reading is not None:
            self._reading.wake()
        try:
            while ends is None or self._is_short_of(ends):
                polled = self._polled
                if ends is None and self._reading is not None:
                    consumer = self._reading
                    with suppress(ConsumerStoppedError, *TROUBLE):
                        found = await consumer.end_offsets(sorted(consumer.assignment()))
                        ends = {place.partition: end for place, end in found.items()}
                        continue
                await polled.wait()
        finally:
            self._awaited -= 1

    def _is_short_of(self, ends: dict[int, int]) -> bool:
        stuck = {one.partition for one in self.stuck}
        return any(self._handled.get(number, 0) < end for number, end in ends.items() if number not in stuck)

    async def run(self) -> None:
        """Follow until cancelled."""
        backoff = Backoff(*_BACKOFF_SECONDS)
        while True:
            try:
                bootstrap = self._bootstrap()
                async with reading(bootstrap, self._client_id, self._topic) as consumer:
                    await self._begin(consumer)
                    self._reading = consumer
                    while True:
                        await self._poll(consumer)
                        backoff.succeeded()
            except (KafkaUnreachable, *TROUBLE) as error:
                log.warning(
                    "following %(topic)s: %(cause)s; trying again",
                    {"event": "following_failed", "topic": self._topic, "cause": type(error).__name__},
                )
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
        timeout = _POLL_MS if self._awaited else _POLL_UNAWAITED_MS
        for place, records in (await consumer.getmany(timeout_ms=timeout, max_records=_RECORDS_PER_POLL)).items():
            for record in records:
                try:
                    self._handle(record)
                except Exception as error:  # noqa: BLE001  # one bad record must not end the following
                    log.error(
                        "%(topic)s: partition %(partition)d, offset %(offset)d passed over (%(cause)s)",
                        {"event": "passed_over", "topic": self._topic, "partition": place.partition, "offset": record.offset,
                         "cause": type(error).__name__},
                    )  # fmt: skip
                self._next[place.partition] = record.offset + 1
            await asyncio.sleep(0)  # doors come first
        for place in consumer.assignment():  # not from the records: compaction and markers leave offsets without any
            self._handled[place.partition] = await consumer.position(place)
        self._polled.set()
        self._polled = asyncio.Event()


async def read_last(bootstrap: str, topic: str, last: int, handle: Callable[[Record], None]) -> None:
    """Hand on the last `last` records of each partition, as far as the topic reached when this began.

    Raises:
        KafkaUnreachable, TopicsMismatch: if Kafka does not answer, or there is no such topic.
        TopicUnreadable: once all that can be read is handed on, if something can't be.
    """
    async with TopicReader(bootstrap) as reader:
        extents = await reader.extents(topic)
        near = {n: extent._replace(begin=max(extent.begin, extent.end - last)) for n, extent in extents.items()}
        async with aclosing(reader.records(topic, near)) as records:
            async for record in records:
                handle(record)
