"""One partition's committed records, fetched on request from any offset, in no group.

While nobody asks, one fetch lies ready and no other is made: that is all the back-pressure there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from aiokafka import TopicPartition

from services.bus.client.consumer import Consumer
from services.bus.client.fetching import Stuck
from services.bus.client.producer import TROUBLE
from services.bus.consume.scan import reading
from services.bus.envelope import Record
from services.errors import KafkaUnreachable

_MUCH: dict[str, Any] = {
    "max_partition_fetch_bytes": 8 << 20,  # as much is given out at once, at most; the next is fetched meanwhile
    "fetch_max_bytes": 50 << 20,
    "fetch_max_wait_ms": 500,
}


class PartitionReader:
    """Reads one partition; `seek` comes first."""

    def __init__(self, bootstrap: str, client_id: str, topic: str, partition: int) -> None:
        self._bootstrap, self._client_id = bootstrap, client_id
        self._place = TopicPartition(topic, partition)
        self._open = AsyncExitStack()
        self._consumer: Consumer | None = None

    async def seek(self, offset: int) -> None:
        """Go on with the first record at or after `offset`.

        Raises:
            KafkaUnreachable: if no broker answers the first time.
        """
        if self._consumer is None:
            try:
                begun = reading(self._bootstrap, self._client_id, **_MUCH)
                self._consumer = await self._open.enter_async_context(begun)
            except TROUBLE as error:
                raise KafkaUnreachable(f"Kafka: {type(error).__name__}") from error
            self._consumer.assign([self._place])
        self._consumer.seek(self._place, offset)

    async def fetch(self, records_max: int, seconds: float) -> Sequence[Record]:
        """The next records, as soon as there are any; none if none come for so long."""
        found = await self._held.getmany(timeout_ms=round(seconds * 1000), max_records=records_max)
        return found.get(self._place, ())

    @property
    def stuck(self) -> Stuck | None:
        """Why the next record can't be read, if it can't."""
        return next(iter(self._held.stuck), None)

    async def held_up_at(self) -> int | None:
        """The offset of the first record that is there and not committed yet, if all before it are given out."""
        stable, end = self._held.last_stable_offset(self._place), self._held.highwater(self._place)
        there = stable is not None and end is not None and stable < end
        return stable if there and await self._held.position(self._place) >= stable else None

    @property
    def end(self) -> int | None:
        """Where the topic's partition ended when it was last asked, one past its last record; None before."""
        return None if self._consumer is None else self._consumer.highwater(self._place)

    def passed(self, offset: int) -> int:
        """Where to go on once all before `offset` is done with; see `Consumer.passed`."""
        return offset if self._consumer is None else self._consumer.passed(self._place, offset)

    async def close(self) -> None:
        """Let go. Safe to repeat."""
        await self._open.aclose()

    @property
    def _held(self) -> Consumer:
        assert self._consumer is not None, "told where to begin"
        return self._consumer
