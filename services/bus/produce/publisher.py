"""A producer that tells the truth: a record is published once every in-sync replica has it, or KafkaUnreachable is raised.

aiokafka's idempotent producer retries for ever and keeps what it was given meanwhile. A door can't wait for ever: an attempt has
a deadline; when it passes, or any send fails, the producer is thrown away with all it still held, and another is started with
back-off. A record that was reported unreachable may still have arrived: a repeat is safe, since its ids are the same. Order holds
among records that were reported published.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from aiokafka.errors import KafkaConnectionError

from services.backoff import Backoff
from services.bus import topics
from services.bus.client.producer import TROUBLE, Producer, Promise
from services.bus.security import Bootstrap, connection
from services.bus.topics import MAX_RECORD_BYTES
from services.errors import KafkaUnreachable, TopicsMismatch

log = logging.getLogger("pumasi.bus")

Headers = Sequence[tuple[str, bytes | None]]
_BACKOFF_SECONDS = (0.2, 2.0)
_STOP_SECONDS = 5.0
LOG_APPEND_TIME = 1
"""Kafka's number for a time of its own, on what was sent."""


class Outgoing(NamedTuple):
    """A record to be published; `partition` is always said."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Pending(NamedTuple):
    """Records in line, each with the promise of its place; `producer` holds them."""

    producer: Producer | None
    futures: list[Promise]

    @property
    def appended(self) -> list[int]:
        """When the broker appended each, once all are confirmed, in microseconds since 1970; without those that it didn't stamp."""
        told = (future.result() for future in self.futures)
        stamps = (one.timestamp for one in told if one.timestamp_type == LOG_APPEND_TIME)
        return [stamp * 1000 for stamp in stamps if stamp is not None]


class Publisher:
    """One producer, made anew whenever it fails.

    Args:
        needed: topics that must exist.
        deadline_seconds: how long a publication may take before it counts as failed.
        told: called with a line for people when Kafka comes into reach, or why it isn't; each once.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        needed: Sequence[str],
        client_id: str,
        deadline_seconds: float = 10.0,
        told: Callable[[str], None] = log.info,
    ) -> None:
        self._bootstrap, self._needed, self._client_id = bootstrap, needed, client_id
        self.deadline_seconds, self._told = deadline_seconds, told
        self._producer: Producer | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._counts: dict[str, int] = {}
        self._said = ""
        self._wanted = asyncio.Event()
        self.in_reach = asyncio.Event()
        """Set while there is a producer that has not failed."""
        self.why_not = "Kafka has not been reached yet"
        """Why Kafka is out of reach, while it is."""
        self._reached = False

    def start(self) -> None:
        """Begin to connect, and keep at it; `in_reach` tells when."""
        self._wanted.set()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Finish what is in flight, within seconds, and close."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        producer, self._producer = self._producer, None
        self.in_reach.clear()
        if producer is not None:
            await _close(producer, finish=True)

    def partitions(self, topic: str) -> int:
        """How many partitions a needed topic has.

        Raises:
            KafkaUnreachable: if Kafka was never reached.
        """
        if topic not in self._counts:
            raise self._unreachable()
        return self._counts[topic]

    async def enqueue(self, records: Sequence[Outgoing]) -> Pending:
        """Put records in line, in order; await `confirm` of what this returns.

        Raises:
            KafkaUnreachable: if there is no producer or its lines stay full; some records may have gone out.
        """
        producer = self._producer
        if producer is None:
            raise self._unreachable()
        futures: list[Promise] = []
        try:
            async with asyncio.timeout(self.deadline_seconds):
                for r in records:
                    future = await producer.send(r.topic, r.value, r.key, r.partition, headers=list(r.headers))
                    futures.append(future)
        except TROUBLE as error:
            _forget(futures)
            raise self._lose(producer, error) from error
        except asyncio.CancelledError:
            _forget(futures)
            raise
        return Pending(producer, futures)

    async def confirm(self, pending: Pending) -> list[int]:
        """The offsets of records, once every in-sync replica has all of them.

        Raises:
            KafkaUnreachable: if one was not confirmed in time; the others may have arrived.
        """
        producer, futures = pending
        if not futures:
            return []
        done, late = await asyncio.wait(futures, timeout=self.deadline_seconds)
        failed = [error for future in done if (error := future.exception())]
        if late or failed:
            _forget(late)
            raise self._lose(producer, failed[0] if failed else TimeoutError())
        offsets = [future.result().offset for future in futures]
        if min(offsets) < 0:  # the broker had it already and has forgotten where
            raise self._lose(producer, KafkaConnectionError("no offset"))
        return offsets

    async def publish(self, records: Sequence[Outgoing]) -> list[int]:
        """Publish and wait: `enqueue`, then `confirm`; raises KafkaUnreachable as they do."""
        return await self.confirm(await self.enqueue(records))

    async def flush(self) -> None:
        """Return once nothing of what is in line now is under way: it is published, or given up."""
        producer = self._producer
        if producer is None:
            return
        try:
            async with asyncio.timeout(self.deadline_seconds):
                await producer.flush()
        except TROUBLE as error:
            self._lose(producer, error)

    # ---- keeping a producer -------------------------------------------------------------------------------------------

    def _lose(self, producer: Producer | None, error: BaseException) -> KafkaUnreachable:
        """Throw `producer` away, if it is still the one in use, and have another made."""
        if producer is not None and producer is self._producer:
            self._producer = None
            self.in_reach.clear()
            self._say_not(f"Kafka did not confirm what was published ({type(error).__name__})")
            self._wanted.set()
            closing = asyncio.create_task(_close(producer, finish=False))
            closing.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._unreachable()

    def _unreachable(self) -> KafkaUnreachable:
        """What senders hear; where Kafka should be and why it isn't is the operator's business (`why_not`)."""
        return KafkaUnreachable("Kafka is out of reach", hint="Try again in a moment: a repeat is safe.")

    async def _keep(self) -> None:
        backoff = Backoff(*_BACKOFF_SECONDS)
        while True:
            await self._wanted.wait()
            try:
                await self._connect()
            except (KafkaUnreachable, TopicsMismatch) as error:
                hint = None if self._reached else error.hint  # how to get there is known to who has been there
                self._say_not(f"{error.message}. {hint or ''}".strip())
            except TROUBLE as error:
                self._say_not(f"Kafka does not answer ({type(error).__name__})")
            except Exception as error:
                log.exception("connecting to Kafka failed", {"event": "connecting_failed"})
                self._say_not(f"connecting to Kafka failed ({type(error).__name__})")
            else:
                backoff.succeeded()
                continue
            await asyncio.sleep(backoff.failed())

    async def _connect(self) -> None:
        bootstrap = self._bootstrap()
        topics.require(await topics.check(bootstrap), self._needed, bootstrap)
        producer = Producer(
            **connection(bootstrap) | {"request_timeout_ms": int(self.deadline_seconds * 1000)},
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            max_batch_size=512 * 1024,
            max_request_size=2 * MAX_RECORD_BYTES,
        )
        try:
            async with asyncio.timeout(self.deadline_seconds):
                await producer.start()
                self._counts = {name: len(await producer.partitions_for(name)) for name in self._needed}
        except BaseException:
            await _close(producer, finish=False)
            raise
        self._producer, self._reached = producer, True
        self._wanted.clear()
        self.why_not = ""
        self.in_reach.set()
        self._say(f"Kafka is in reach at {bootstrap}")

    def _say_not(self, why: str) -> None:
        self.why_not = why
        self._say(why)

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._told(line)


@asynccontextmanager
async def publishing(
    bootstrap: str,
    topic: str,
    client_id: str,
    deadline_seconds: float = 10.0,
    patience_seconds: float = 30.0,
) -> AsyncIterator[Publisher]:
    """A publisher to one topic for one piece of work; arguments as `Publisher` has them.

    Raises:
        KafkaUnreachable: if Kafka, and the topic there, are not in reach within `patience_seconds`.
    """
    publisher = Publisher(lambda: bootstrap, [topic], client_id, deadline_seconds, told=lambda _line: None)
    publisher.start()
    try:
        try:
            await asyncio.wait_for(publisher.in_reach.wait(), patience_seconds)
        except TimeoutError:
            hint = "Check PUMASI_KAFKA, and that the topics are there."
            raise KafkaUnreachable(publisher.why_not, hint=hint) from None
        yield publisher
    finally:
        await publisher.stop()


def _forget(futures: Sequence[Promise] | set[Promise]) -> None:
    """Nobody awaits these any more; their outcome is no unhandled error."""
    for future in futures:
        future.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _close(producer: Producer, *, finish: bool) -> None:
    """Close a producer; what it still holds is finished within seconds, or without `finish` given up at once."""
    if finish:
        with suppress(*TROUBLE):
            async with asyncio.timeout(_STOP_SECONDS):
                await producer.stop()
                return
    await producer.give_up()
