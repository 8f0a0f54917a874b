"""The FastStream broker of a service, and how its subscribers take records: said once.

FastStream acknowledges first, creates topics that are missing, parses headers in a way that loses records, makes models of what a
handler is annotated with, and swallows what it raises, unless told not to. Here it is told not to: a handler gets one partition's
records unchanged (`Each` says what one should hold, for AsyncAPI alone), and may raise. `ByPartition` calls it and hands the
outcome to the service, which decides: acknowledge, try again, go back or stop.

FastStream's broker has no producer here: what a service writes goes through `services.bus.produce`, whose guarantees it lacks. Its
publishers are declared so that AsyncAPI tells of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from faststream import AckPolicy, BaseMiddleware, ContextRepo
from faststream.kafka import KafkaBroker, KafkaRouter
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from faststream.kafka.prometheus import KafkaPrometheusMiddleware
from faststream.kafka.subscriber.usecase import LogicSubscriber
from pydantic_core import core_schema

from services import traces
from services.backoff import Backoff
from services.bus.client.consumer import Consumer
from services.bus.client.fetching import Stuck
from services.bus.client.producer import TROUBLE
from services.bus.envelope import TRACE, Record, trace_of
from services.bus.security import Bootstrap, connection
from services.bus.topics import LEDGER
from services.errors import KafkaUnreachable
from services.metrics import Metrics, Values

log = logging.getLogger("pumasi.bus")

SHAPES = "x-shapes"
"""Stands in AsyncAPI for the shapes of a group, until they are filled in."""
_HEARTBEATS_PER_SESSION = 3
_BACKOFF_SECONDS = (0.2, 5.0)
_LOOK_MS = 5_000
"""How often a poll ends although nothing has come."""


async def _at_once() -> None:
    pass


def broker_factory(
    bootstrap: Bootstrap,
    client_id: str,
    *routers: KafkaRouter,
    opening: Callable[[], Awaitable[Any]] = _at_once,
    context: Mapping[str, Any] | None = None,
    middlewares: Sequence[Any] = (),
    stop_seconds: float = 15.0,
) -> KafkaBroker:
    """A service's broker, not started yet.

    Args:
        opening: awaited by each start before the consumers join; what is out of reach is tried again.
        context: what handlers may ask for with `Context()`, by name.
        middlewares: around every handler, such as metrics and traces.
        stop_seconds: how long a stop waits for handlers (FastStream would not wait at all if told None).
    """
    return _Broker(
        bootstrap,
        opening,
        client_id=client_id,
        routers=routers,
        context=ContextRepo(dict(context or {})),
        middlewares=middlewares,
        graceful_timeout=stop_seconds,
        logger=None,
        log_level=logging.DEBUG,
        consumer_only=True,
        allow_auto_create_topics=False,
        specification_url="kafka:9092",
    )


class _Broker(KafkaBroker):
    """FastStream's broker with our consumers; it keeps trying to start, and asks each time where Kafka is."""

    def __init__(self, bootstrap: Bootstrap, opening: Callable[[], Awaitable[Any]], **options: Any) -> None:
        super().__init__(**options)
        self._where, self._opening = bootstrap, opening

    async def start(self) -> None:
        """Join the groups, however often it takes; cancel to give up."""
        backoff = Backoff(*_BACKOFF_SECONDS)
        while True:
            try:
                await self._opening()
                return await super().start()
            except (KafkaUnreachable, *TROUBLE) as error:
                log.warning(
                    "%(client)s can't read yet (%(cause)s); trying again",
                    {"event": "not_reading_yet", "client": self.config.client_id, "cause": type(error).__name__},
                )
                await self.stop()
            await asyncio.sleep(backoff.failed())

    async def _connect(self) -> Callable[..., Consumer]:
        self._connection_kwargs |= connection(self._where())
        theirs = await super()._connect()
        assert isinstance(theirs, partial), "what makes a consumer, with how it connects"
        self.config.broker_config.builder = partial(_Waiting, **theirs.keywords)
        return self.config.broker_config.builder


def unreadable(broker: KafkaBroker) -> list[Stuck]:
    """The partitions that can't be read on; nobody can answer what can't be read, so they stand still, with an alarm."""
    return [stuck for consumer in _consumers(broker) for stuck in consumer.stuck]


def acknowledged(broker: KafkaBroker) -> dict[TopicPartition, int]:
    """How far each partition that is ours is done, as its group has recorded it."""
    return {place: at for consumer in _consumers(broker) for place, at in consumer.acknowledged.items()}


def lag(broker: KafkaBroker) -> Values:
    """By partition that is ours, how many records lie behind those that are done, where that is known."""
    found: dict[tuple[str, ...], float] = {}
    for consumer in _consumers(broker):
        for place, done in consumer.acknowledged.items():
            if (end := consumer.highwater(place)) is not None:
                found[str(place.partition),] = max(0, end - done)
    return found


def measured(metrics: Metrics) -> KafkaPrometheusMiddleware:
    """FastStream's own measures of what its handlers take; given to `broker_factory` among the middlewares."""
    return KafkaPrometheusMiddleware(registry=metrics.registry, app_name=metrics.service)


def _consumers(broker: KafkaBroker) -> list[Consumer]:
    found = [one.consumer for one in broker.subscribers if isinstance(one, LogicSubscriber)]
    return [consumer for consumer in found if isinstance(consumer, Consumer)]


class _Waiting(Consumer):
    """Polls until there is something: FastStream sleeps after an empty poll, and what came meanwhile would wait."""

    async def getmany(self, *places: TopicPartition, **how: Any) -> dict[TopicPartition, list[Any]]:
        while not (found := await super().getmany(*places, **how)):
            pass
        return found


def raw_batches(
    group: str, records_max: int, session_timeout_ms: int, poll_interval_max_ms: int = 600_000
) -> dict[str, Any]:
    """Options of a subscriber that shares a topic's partitions with others, takes batches of committed records unchanged, and
    acknowledges them itself.

    Args:
        records_max: records of one poll at most.
        session_timeout_ms: silence after which the group gives our partitions to another.
        poll_interval_max_ms: how long a handler may take before it does.
    """
    return {
        "batch": True,
        "batch_timeout_ms": _LOOK_MS,
        "max_records": records_max,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "ack_policy": AckPolicy.MANUAL,
        "parser": _as_they_came,
        "decoder": _raw,
        "group_id": group,
        "session_timeout_ms": session_timeout_ms,
        "heartbeat_interval_ms": session_timeout_ms // _HEARTBEATS_PER_SESSION,
        "max_poll_interval_ms": poll_interval_max_ms,
    }


async def _as_they_came(records: Sequence[Record]) -> KafkaMessage:
    # FastStream's middlewares for metrics and traces measure the body; the latter links its span to the traces that it is told of
    traced = (trace for r in records if r.topic == LEDGER and (trace := trace_of(r))) if traces.is_on() else ()
    return KafkaMessage(
        body=[r.value or b"" for r in records],
        raw_message=tuple(records),
        batch_headers=[{"correlation_id": trace.decode(), TRACE: trace.decode()} for trace in traced],
        consumer=FAKE_CONSUMER,
    )


async def _raw(message: KafkaMessage) -> Any:
    return message.raw_message


class Each:
    """In an annotation, `Annotated[Sequence[Record], Each(group)]`: what each record holds, one of the shapes of a group.

    It documents, and validates nothing. Groups are those of `schemas.generate`; `services.bus.asyncapi` fills in their shapes.
    """

    def __init__(self, group: str) -> None:
        self.group = group

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.any_schema(metadata={"pydantic_js_functions": [lambda *_: {SHAPES: self.group}]})


class Part(NamedTuple):
    """What a poll brought of one partition; `handle` calls the handler with it, and raises what that raises."""

    partition: int
    records: Sequence[Record]
    handle: Callable[[], Awaitable[None]]


class ByPartition(BaseMiddleware):
    """A middleware that calls the handler for each partition separately, made as `partial(ByPartition, decide)`.

    `decide` is given the parts of a poll and the consumer; it calls their handlers, decides what to do next, and must not raise.
    """

    def __init__(self, decide: Callable[[list[Part], Any], Awaitable[None]], *message: Any, **how: Any) -> None:
        super().__init__(*message, **how)
        self._decide = decide

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> None:
        """FastStream calls it with each poll."""
        parts = []
        for partition, records in groupby(msg.raw_message, attrgetter("partition")):
            one = copy(msg)
            one.raw_message = tuple(records)
            parts.append(Part(partition, one.raw_message, partial(call_next, one)))
        await self._decide(parts, self.context.get("handler_").consumer)


def writes(router: KafkaRouter, service: str, *topics: tuple[str, str, Any]) -> None:
    """Declare what a service writes: topics, each with what it says and its shape."""
    for topic, what, schema in topics:
        router.publisher(topic, title=f"{topic}:{service}", description=what, schema=schema)
