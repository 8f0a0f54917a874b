"""One partition's committed records, batch by batch, by a subscription of its own.

A handler that takes long holds up nobody else, and being called no more is all the back-pressure that its partition needs. What it
raises is swallowed by FastStream, so it may raise nothing; annotate its argument with `Any`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from faststream.kafka import KafkaBroker, TopicPartition
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage

from services.bus.app import raw_batches
from services.bus.envelope import Record

_FETCH_BYTES = 8 << 20  # one fetch is one poll at most, and so bounds a transaction; the next is fetched meanwhile


def partition_batches(
    broker: KafkaBroker,
    topic: str,
    partition: int,
    handle: Callable[[Any], Awaitable[None]],
    *,
    poll_ms: int,
    records_max: int,
) -> Any:
    """A subscription to the committed records of one partition, in no group; to start and stop by itself on a started `broker`.

    It begins with the first record, unless its `consumer` is told to seek before the loop has its next turn.

    Args:
        broker: from `broker_factory`.
        topic, partition: which.
        handle: called with the records of one poll; the next is polled once it returns.
        poll_ms: how long a poll waits; FastStream sleeps as long again after an empty one.
        records_max: records of one poll at most.
    """
    subscriber = broker.subscriber(
        partitions=[TopicPartition(topic, partition, declare=False)],
        **raw_batches(poll_ms, records_max) | {"parser": _unread},
        max_partition_fetch_bytes=_FETCH_BYTES,
        persistent=False,
    )
    subscriber(handle)
    return subscriber


async def _unread(records: Sequence[Record]) -> KafkaMessage:
    """A value is made when it is asked for: here the engine asks, and nobody else."""
    return KafkaMessage(body=b"", raw_message=records, consumer=FAKE_CONSUMER)
