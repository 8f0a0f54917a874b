"""Records as they lie on a topic, and reading them: everything committed, from the first to the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

SUBMISSIONS, COMMANDS, LEDGER = "pumasi.submissions.v1", "pumasi.commands.v1", "pumasi.ledger.v1"
CHECKPOINTS, NOTICES, DEADLETTERS = "pumasi.checkpoints.v1", "pumasi.notices.v1", "pumasi.deadletters.v1"
CONTACTS = "pumasi.contacts.v1"
_STALL_S = 60.0


Kafka = Mapping[str, Any]
"""Where it answers, and how to connect: options of aiokafka's consumer."""


class Raw(NamedTuple):
    """A record: where it lies, and its bytes."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int = 0  # of its append, milliseconds since 1970

    def header(self, name: str) -> str | None:
        """The last header of a name as text; None if there is none, or it is none."""
        found = None
        for each, value in self.headers:
            if each == name:
                found = value
        try:
            return None if found is None else found.decode()
        except UnicodeDecodeError:
            return None


async def partitions_of(kafka: Kafka, topic: str) -> list[int]:
    """The numbers of a topic's partitions."""
    consumer = AIOKafkaConsumer(topic, **kafka)
    await consumer.start()
    try:
        return sorted(place.partition for place in consumer.assignment())
    finally:
        await consumer.stop()


async def read(kafka: Kafka, topic: str, partition: int) -> AsyncIterator[list[Raw]]:
    """All committed records of a partition, in portions, up to where it ends now.

    Raises:
        TimeoutError: if nothing moves for a minute.

    """
    consumer = AIOKafkaConsumer(
        **kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
    )
    await consumer.start()
    place, loop = TopicPartition(topic, partition), asyncio.get_running_loop()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        moved, position = loop.time(), await consumer.position(place)
        while position < end:
            for records in (await consumer.getmany(place, timeout_ms=500, max_records=5000)).values():
                yield [
                    Raw(r.partition, r.offset, r.key, r.value, r.headers, r.timestamp)
                    for r in records
                    if r.offset < end
                ]
            before, position = position, await consumer.position(place)
            moved = loop.time() if position > before else moved
            if loop.time() - moved > _STALL_S:
                raise TimeoutError(f"{topic}-{partition} has not moved for {_STALL_S:.0f} s")
    finally:
        await consumer.stop()


async def read_all(kafka: Kafka, topic: str, partition: int) -> list[Raw]:
    """The same, all at once."""
    return [record async for portion in read(kafka, topic, partition) for record in portion]
