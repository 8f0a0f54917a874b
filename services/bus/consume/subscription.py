"""Raw batches by FastStream: how every service here consumes, said once.

FastStream acknowledges first, creates topics that are missing, parses headers in a way that loses records, builds a model of whatever a
handler is annotated with, and logs two lines a message, unless told not to. Here it is told not to: a handler gets the records of
one poll as they came, and says itself how far it has come. What a handler raises is swallowed by FastStream, so it may raise nothing;
annotate its argument with `Any`.

`batches` reads what a consumer group gives this process, all in one poll after the other. `partition_batches` reads one partition by
itself: a handler that takes long holds up nobody else, and being called no more is all the back-pressure that its partition needs.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, TopicPartition
from faststream.kafka.message import KafkaMessage

from services.bus.client.consumer import Consumer
from services.bus.envelope import Record

_HEARTBEATS_PER_SESSION = 5
_FETCH_BYTES = 8 << 20  # one fetch is one poll at most, and so bounds a transaction; the next is fetched meanwhile


def heartbeat_ms(session_timeout_ms: int) -> int:
    """Milliseconds between two heartbeats of a member whose session ends after so many without one."""
    return session_timeout_ms // _HEARTBEATS_PER_SESSION


def batches(
    bootstrap: str,
    topic: str,
    group: str,
    handle: Callable[[Any], Awaitable[None]],
    *,
    session_timeout_ms: int,
    poll_ms: int,
    records_max: int,
    poll_interval_max_ms: int = 600_000,
    stop_seconds: float = 15.0,
    parse: Callable[[Any], Awaitable[Any]] | None = None,
    **consumer: Any,
) -> tuple[KafkaBroker, Any]:
    """A FastStream broker with one batch subscription to committed records, not started yet.

    Args:
        bootstrap: Kafka's servers.
        topic: which.
        group: the consumer group; also the client's name.
        handle: called with the records of one poll (or with what `parse` made of them).
        session_timeout_ms: silence after which the group gives our partitions to another.
        poll_ms: how long a poll waits; FastStream sleeps as long again after an empty one.
        records_max: records of one poll at most.
        poll_interval_max_ms: how long `handle` may take before the group gives our partitions to another.
        stop_seconds: how long a stop waits for `handle` (FastStream would not wait at all if told None).
        parse: makes a FastStream message of the raw records, if the handler needs one to acknowledge.
        consumer: further arguments of the subscriber, such as `listener`.

    Returns:
        The broker, to start and stop, and its subscriber, whose `consumer` is there once started.
    """
    broker = connection(bootstrap, group, stop_seconds)
    subscriber = broker.subscriber(
        topic,
        group_id=group,
        **_how(poll_ms, records_max),
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=heartbeat_ms(session_timeout_ms),
        max_poll_interval_ms=poll_interval_max_ms,
        parser=parse or _as_they_came,
        decoder=_as_it_is if parse else _raw,
        **consumer,
    )
    subscriber(handle)
    return broker, subscriber


def connection(
    bootstrap: str, client_id: str, stop_seconds: float, logger: logging.Logger | None = None
) -> KafkaBroker:
    """A FastStream broker, not started yet.

    Args:
        bootstrap: Kafka's servers.
        client_id: the client's name.
        stop_seconds: how long a stop waits for handlers (FastStream would not wait at all if told None).
        logger: hears of what goes wrong between polls.
    """
    return _Broker(
        bootstrap,
        apply_types=False,
        logger=logger,
        log_level=logging.DEBUG,
        client_id=client_id,
        allow_auto_create_topics=False,
        graceful_timeout=stop_seconds,
    )


class _Broker(KafkaBroker):
    """FastStream's, whose consumers are ours."""

    async def _connect(self) -> Callable[..., Consumer]:
        theirs = await super()._connect()
        self.config.broker_config.builder = partial(Consumer, **theirs.keywords)
        return self.config.broker_config.builder


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
        broker: from `connection`.
        topic, partition: which.
        handle: called with the records of one poll; the next is polled once it returns.
        poll_ms: how long a poll waits; FastStream sleeps as long again after an empty one.
        records_max: records of one poll at most.
    """
    subscriber = broker.subscriber(
        partitions=[TopicPartition(topic, partition, declare=False)],
        **_how(poll_ms, records_max),
        max_partition_fetch_bytes=_FETCH_BYTES,
        parser=_as_they_came,
        decoder=_raw,
        persistent=False,
    )
    subscriber(handle)
    return subscriber


def _how(poll_ms: int, records_max: int) -> dict[str, Any]:
    return {
        "batch": True,
        "batch_timeout_ms": poll_ms,
        "max_records": records_max,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "ack_policy": AckPolicy.MANUAL,
    }


async def _as_they_came(records: Sequence[Record]) -> KafkaMessage:
    return KafkaMessage(body=records, raw_message=records, consumer=None)


async def _raw(message: KafkaMessage) -> Any:
    return message.raw_message


async def _as_it_is(message: KafkaMessage) -> KafkaMessage:
    return message
