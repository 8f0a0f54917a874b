"""Consumer groups: who has which partition, and how a process hears of it.

A group's rebalance is eager in aiokafka: every member gives up all it has, and reads nothing until all have joined anew. `Membership`
is a place in a group *that reads nothing by it*. It only says which partitions are ours; their records are read without the group
(`partition_reader`), so a rebalance interrupts nobody who keeps a partition. That is safe for those, and only those, who don't rely on
the group for correctness: two processes may for a moment both believe a partition to be theirs, and fencing decides.

A membership lives in a thread of its own. However long the process computes without a pause, its heartbeats go on, and nobody's
rebalance waits for it: otherwise a command that takes longer than the session would put its matcher out of the group, the next matcher
after it, and so on for ever. In return the thread looks whether the rest of the process is alive, and leaves the group if it isn't.

Each partition stays with its member as far as balance allows (`services.bus.client.assignor`).

aiokafka swallows what a listener raises and goes on as if nothing had happened; so the callables given here must deal with their
own errors. They are plain functions that return at once: a rebalance waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from services.backoff import Backoff
from services.bus.client.assignor import sticky
from services.bus.client.consumer import Consumer
from services.bus.produce.transaction import hush_told_errors
from services.bus.security import connection

log = logging.getLogger("pumasi.bus")

HEARTBEATS_PER_SESSION = 5
"""How often in a session a membership asks whether the group is sharing out anew; a hand-over waits that long for it."""
HOME_SILENT_SECONDS_MAX = 300.0
"""A process whose loop is silent for so long is taken for dead and leaves its partitions to others (Kafka's max.poll.interval)."""
_LOOK_MS = 2000
"""How often progress is told, and the rest of the process looked at."""
_PROGRESS_SECONDS_MAX = 2.0
_BACKOFF_SECONDS = (0.2, 5.0)
_LEAVE_SECONDS_MAX = 5.0
_NEVER_MS = (1 << 31) - 1


class Rebalance(ConsumerRebalanceListener):
    """Hands a rebalance on.

    Args:
        revoked: called with the partitions that are being taken away; a coroutine is awaited.
        assigned: called with all partitions that are ours from now on.
    """

    def __init__(self, revoked: Callable[[Iterable[Any]], Any], assigned: Callable[[Iterable[Any]], None]) -> None:
        self._revoked, self._assigned = revoked, assigned

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Any:
        return self._revoked(revoked)

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._assigned(assigned)


class Membership:
    """A place in a consumer group that reads nothing by it. All callables are called in the loop that called `start`.

    Args:
        group: the group; also the client's name.
        session_timeout_ms: silence after which the group gives our partitions to another.
        instance: a name of this member, or None. Whoever comes back under it after a crash has their place, and partitions, at once.
        assigned: called with the numbers of all partitions that are ours from now on, and how many the topic has.
        unsettled: called when the group begins to share out anew; `assigned` ends it.
        waiting: called with the reason when Kafka is out of reach; it is tried again.
        apart: whether to live in a thread of its own; False is for simulations, whose time is theirs to tell.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        group: str,
        *,
        session_timeout_ms: int,
        instance: str | None = None,
        assigned: Callable[[frozenset[int], int], None],
        unsettled: Callable[[], None] = lambda: None,
        waiting: Callable[[str], None] = lambda _why: None,
        apart: bool = True,
    ) -> None:
        self.bootstrap, self.topic, self.group = bootstrap, topic, group
        self.session_timeout_ms, self.instance = session_timeout_ms, instance
        self._assigned, self._unsettled, self._waiting = assigned, unsettled, waiting
        self._apart = apart
        self._assignor = sticky()
        self._progress: dict[int, tuple[int, str]] = {}
        self._home: asyncio.AbstractEventLoop | None = None
        self._heard = 0.0
        self._away: asyncio.AbstractEventLoop | None = None
        self._life: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    @property
    def heartbeat_seconds(self) -> float:
        """Seconds between two heartbeats: by then a member that was put out of the group knows."""
        return self.session_timeout_ms / HEARTBEATS_PER_SESSION / 1000

    def start(self) -> None:
        """Begin to be a member; for as long as Kafka is out of reach, keep trying."""
        self._home, self._heard = asyncio.get_running_loop(), time.monotonic()
        if not self._apart:
            self._life = asyncio.create_task(self._live())
            return
        self._thread = threading.Thread(target=self._run, name=f"{self.group}-membership", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Leave the group, so that others have our partitions at once. Safe to repeat."""
        thread, self._thread = self._thread, None
        if not self._apart and self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        if thread is None:
            return
        while thread.is_alive():
            if self._away is not None and self._life is not None:
                with contextlib.suppress(RuntimeError):  # its loop has just ended
                    self._away.call_soon_threadsafe(self._life.cancel)
            await asyncio.to_thread(thread.join, 2 * _LEAVE_SECONDS_MAX if self._life else 0.05)

    def report(self, partition: int, offset: int, remark: str = "") -> None:
        """Tell the group how far we are: for lag tools and `pumasi status`. Nothing depends on it; a failure is no failure.

        Args:
            offset: of the next record.
            remark: what is to be known of the partition, short; replaces the one before.
        """
        self._progress[partition] = (offset, remark)

    # What follows runs in the membership's own thread.

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._live())

    async def _live(self) -> None:
        if self._apart:
            self._away, self._life = asyncio.get_running_loop(), asyncio.current_task()
            hush_told_errors(self._away)
        backoff = Backoff(*_BACKOFF_SECONDS, spread=(0.5, 1.0))
        while True:
            began = time.monotonic()
            await self._until_home_answers()
            consumer = self._consumer()
            try:
                await consumer.start()
                await self._stay(consumer)
            except Exception as error:  # noqa: BLE001  # whatever it is: join anew, with back-off
                log.warning(
                    "the place in group %(group)s is lost (%(cause)s); joining anew",
                    {"event": "place_lost", "group": self.group, "cause": type(error).__name__},
                )
                self._tell(self._waiting, f"{type(error).__name__} at {self.bootstrap}")
            finally:
                await _leave(consumer)
            if time.monotonic() - began > backoff.most:
                backoff.succeeded()
            await asyncio.sleep(backoff.failed())

    def _consumer(self) -> Consumer:
        consumer = Consumer(
            **connection(self.bootstrap),
            client_id=self.group,
            group_id=self.group,
            group_instance_id=self.instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self.session_timeout_ms,
            heartbeat_interval_ms=round(self.heartbeat_seconds * 1000),
            max_poll_interval_ms=_NEVER_MS,  # `_look_home` is our own
            partition_assignment_strategy=(self._assignor,),
        )
        consumer.subscribe([self.topic], listener=Rebalance(self._on_revoked, lambda _all: self._on_assigned(consumer)))
        return consumer

    def _on_revoked(self, _all: Iterable[Any]) -> None:
        self._tell(self._unsettled)

    def _on_assigned(self, consumer: Consumer) -> None:
        places = consumer.assignment()
        consumer.pause(*places)
        self._assignor.generation = consumer.generation  # aiokafka forgets to
        numbers = frozenset(place.partition for place in places)
        self._tell(self._assigned, numbers, len(consumer.partitions_for_topic(self.topic) or ()))

    async def _stay(self, consumer: Consumer) -> None:
        """Be a member, and alive; raises what ends it."""
        written: dict[int, tuple[int, str]] = {}
        try:
            while True:
                await consumer.getmany(
                    timeout_ms=_LOOK_MS
                )  # no records, all is paused; raises what the coordinator met
                self._look_home()
                await self._write_progress(consumer, written)
        finally:
            await self._write_progress(consumer, written)

    async def _until_home_answers(self) -> None:
        asked = time.monotonic()
        while self._heard < asked:
            self._tell(self._hear)
            await asyncio.sleep(0.01)

    def _look_home(self) -> None:
        silent = time.monotonic() - self._heard
        if silent > HOME_SILENT_SECONDS_MAX:
            log.critical(
                "the process has not answered for %(seconds).0f s: it leaves its partitions to others",
                {"event": "process_silent", "seconds": silent},
            )
            raise TimeoutError
        self._tell(self._hear)

    def _hear(self) -> None:
        self._heard = time.monotonic()

    async def _write_progress(self, consumer: Consumer, written: dict[int, tuple[int, str]]) -> None:
        ours = {place.partition for place in consumer.assignment()}
        for gone in set(written) - ours:
            del written[gone]  # another may have written meanwhile
        news = {number: told for number, told in self._progress.copy().items() if number in ours}
        news = {number: told for number, told in news.items() if written.get(number) != told}
        if not news:
            return
        try:
            async with asyncio.timeout(_PROGRESS_SECONDS_MAX):
                await consumer.commit({TopicPartition(self.topic, number): told for number, told in news.items()})
        except (KafkaError, IllegalStateError, TimeoutError) as error:  # a rebalance at this moment, a broker away
            log.debug(
                "group offsets not written: %(cause)s",
                {"event": "group_offsets_not_written", "cause": type(error).__name__},
            )
        else:
            written |= news

    def _tell(self, what: Callable[..., None], *told: Any) -> None:
        if not self._apart:
            what(*told)
            return
        with contextlib.suppress(RuntimeError):  # the process is ending
            assert self._home is not None, "it is started"
            self._home.call_soon_threadsafe(what, *told)


async def _leave(consumer: Consumer) -> None:
    """Leave the group in good order: a member's name is for the moment after a crash; one that goes is not waited for."""
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(consumer.leave(), _LEAVE_SECONDS_MAX)
