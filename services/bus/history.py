"""One partition from its start up to a record in hand: what a memory is rebuilt from before that record is taken in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.bus.envelope import Record
from services.errors import KafkaUnreachable

_POLL_MS = 500
_RECORDS_PER_POLL = 2000
_POLLS_IN_VAIN_MAX = 60


async def history(bootstrap: str, topic: str, partition: int, until: int, client_id: str) -> AsyncIterator[Record]:
    """The committed records of a partition before offset `until`, at which a committed record must stand.

    Raises:
        KafkaUnreachable: if Kafka does not answer, or the record at `until` does not come within 30 s of silence.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
    )
    place = TopicPartition(topic, partition)
    try:
        await consumer.start()
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        in_vain = 0
        while in_vain < _POLLS_IN_VAIN_MAX:
            found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_PER_POLL)
            in_vain = 0 if found else in_vain + 1
            for record in found.get(place, ()):
                if record.offset >= until:
                    return
                yield record
        raise KafkaUnreachable(f"{topic}, partition {partition}: nothing more came before offset {until}")
    except (KafkaError, OSError) as error:
        raise KafkaUnreachable(f"reading {topic} failed ({type(error).__name__})") from error
    finally:
        await _close(consumer)


async def _close(consumer: AIOKafkaConsumer) -> None:
    """aiokafka's stop() raises CancelledError if its tasks never had a turn; only a cancellation of ours may go on from here."""
    task = asyncio.current_task()
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if task is None or task.cancelling():
            raise
