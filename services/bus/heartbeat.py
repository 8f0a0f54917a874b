"""Heartbeats: each service says every ten seconds that it lives, how far it is and what is amiss; `status` reads the last of each.

    service ─ told of its process ─► pumasi.services.v1 (compacted) ─► status
            ─ taken back at a clean end ─►

Nothing depends on a heartbeat, and none may cost a service anything: it has a producer of its own, whose troubles concern nobody.
A process that dies can't take its heartbeat back: it is *silent*, and `status` should see that. Whoever takes its place takes the
heartbeat back, too; a process that was alive after all beats again ten seconds later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from schemas.numbers import holds_number
from schemas.services import Amiss, ServiceName, ServiceTold, WentWrong
from schemas.times import datetime_of, text_of
from services import __version__
from services.bus.client.producer import TROUBLE, Producer
from services.bus.consume.scan import TopicReader
from services.bus.envelope import Record, service_headers
from services.bus.produce.publisher import LOG_APPEND_TIME
from services.bus.security import Bootstrap, connection
from services.bus.topics import SERVICES
from services.errors import PumasiError
from services.metrics import CLOCK_OFFSET, Metrics

log = logging.getLogger("pumasi.bus")

ABOUT = (
    "What a process tells of itself: its heartbeat, taken back at its end; or which keys are in use; key: the process"
)
"""For AsyncAPI."""
BEGINNING = frozenset({"recovering", "warming_up"})
"""Codes that are there at each start, and pass: nothing went wrong."""
BEAT_SECONDS = 10.0
SILENT_SECONDS = 35.0
"""A process that has said nothing for so long is dead, cut off or frozen."""
_LOOK_SECONDS = 2.0
_SEND_SECONDS_MAX = 3.0
_TIDIED_AT, _TIDIED_EVERY = 6, 360  # beats: a minute after the start, then each hour
_PROCESS_MAX = 64


class Heard(NamedTuple):
    """The last word of a process, and when Kafka appended it, milliseconds since 1970."""

    told: ServiceTold
    at_ms: int


class Condition(NamedTuple):
    """How a service is: by partition the offset that it goes on from, and what is amiss."""

    positions: Mapping[int, int]
    amiss: Sequence[Amiss] = ()


async def heard(bootstrap: str) -> list[Heard]:
    """The last word of each process that has not taken it back, in the order in which they came.

    Raises:
        KafkaUnreachable, TopicsMismatch: if it can't be read.
    """
    found: dict[bytes | None, Heard] = {}
    async with TopicReader(bootstrap) as reader:
        async for record in reader.records(SERVICES):
            found.pop(record.key, None)
            if told := read(record):
                found[record.key] = Heard(told, record.timestamp)
    return list(found.values())


async def living(bootstrap: str) -> list[Heard]:
    """The services that have been heard of lately: the same, without those that are silent."""
    since_ms = (time.time() - SILENT_SECONDS) * 1000
    return [one for one in await heard(bootstrap) if one.told.service is not None and one.at_ms > since_ms]


def read(record: Record) -> ServiceTold | None:
    """What a process told; None if it is taken back, or something else."""
    try:
        return ServiceTold.model_validate_json(record.value or b"", extra="ignore") if record.value else None
    except ValidationError:
        return None


def process_name(service: ServiceName, instance: str | None) -> str:
    """The name of a process: its instance's, or one made up now."""
    name = instance if instance and instance.startswith(service) else f"{service}-{instance or secrets.token_hex(4)}"
    return f"{service}-{secrets.token_hex(4)}" if len(name) > _PROCESS_MAX or holds_number(name) else name


class Heartbeat:
    """One process's. Use as an async context manager around its life.

    Args:
        condition: asked every two seconds how it is.
        keys: asked likewise for the fingerprints of the keys that it uses.
        metrics: the process's, which learn how far its clock is off.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        service: ServiceName,
        instance: str | None,
        condition: Callable[[], Condition],
        keys: Callable[[], Mapping[str, str]] = dict,
        metrics: Metrics | None = None,
    ) -> None:
        self._clock_offset: float | None = None
        if metrics is not None:
            metrics.reads(CLOCK_OFFSET, lambda: self._clock_offset)
        self._bootstrap, self._condition = bootstrap, condition
        self.process, self._service = process_name(service, instance), service
        self._keys, self._since = keys, _now()
        self._went_wrong: WentWrong | None = None
        self._amiss: tuple[Amiss, ...] = ()
        self._producer: Producer | None = None
        self._beats = 0
        self._life: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Heartbeat:
        self._life = asyncio.create_task(self._live())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._life is not None, "entered"
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
        if self._producer is not None:
            with contextlib.suppress(PumasiError, *TROUBLE):
                await self._send(self.process, None)
            await self._let_go()

    def went_wrong(self, code: str, partition: int | None = None) -> None:
        """Remember the last thing that went wrong, by its stable code."""
        self._went_wrong = WentWrong(code=code, partition=partition, at=datetime_of(_now()))

    def told(self) -> ServiceTold:
        """What is told now."""
        positions, amiss = self._condition()
        for one in amiss:
            if one not in self._amiss and one.code not in BEGINNING:
                self.went_wrong(one.code, one.partition)
        self._amiss = tuple(amiss)
        return ServiceTold(
            process=self.process,
            version=__version__,
            keys=dict(self._keys()),
            service=self._service,
            pid=os.getpid(),
            since=datetime_of(self._since),
            positions={str(number): offset for number, offset in sorted(positions.items())},
            amiss=self._amiss,
            went_wrong=self._went_wrong,
        )

    async def _live(self) -> None:
        """Beat when it is time, or when what is amiss or the keys have changed; whatever fails waits for the next time.

        It is time for all at once, by the clock: who follows the topic is then woken once for all of them.
        """
        last: object = None
        while True:
            told = self.told()
            if (now := (time.time() // BEAT_SECONDS, told.amiss, told.keys)) != last:
                last = now
                try:
                    await self._send(self.process, told.wire())
                    self._beats += 1
                    if self._beats % _TIDIED_EVERY == _TIDIED_AT:
                        await self._tidy()
                except (PumasiError, *TROUBLE) as error:
                    log.debug(
                        "a heartbeat was not heard (%(cause)s)",
                        {"event": "heartbeat_not_heard", "cause": type(error).__name__},
                    )
                    await self._let_go()
            await asyncio.sleep(_LOOK_SECONDS - time.time() % _LOOK_SECONDS)

    async def _tidy(self) -> None:
        """Take back the words of processes of our service that have died."""
        for one, at_ms in await heard(self._bootstrap()):
            if one.service == self._service and time.time() - at_ms / 1000 > SILENT_SECONDS:
                await self._send(one.process, None)

    async def _send(self, process: str, value: bytes | None) -> None:
        async with asyncio.timeout(_SEND_SECONDS_MAX):
            producer = self._producer = self._producer or await self._connected()
            headers = service_headers(process, text_of(_now()))
            sent, started = time.time(), time.monotonic()
            placed = await producer.send_and_wait(SERVICES, value, process.encode(), headers=headers)
            if placed.timestamp_type == LOG_APPEND_TIME:  # somewhere between the two; off by half of the way at most
                self._clock_offset = sent + (time.monotonic() - started) / 2 - placed.timestamp / 1000

    async def _connected(self) -> Producer:
        producer = Producer(**connection(self._bootstrap()), client_id="pumasi-heartbeat", acks="all")
        try:
            await producer.start()
        except BaseException:
            await producer.give_up()
            raise
        return producer

    async def _let_go(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.give_up()


def _now() -> int:
    return time.time_ns() // 1000
