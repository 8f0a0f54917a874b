"""A tenure: one partition in the hands of this process, from when the group gives it until the group takes it.

    given ──► taken (fenced, recovered) ──► answering ──► …
                 ▲                              │ any failure: forget, and take it again after a pause that doubles
                 └──────────────────────────────┘
                                                │ a breach, a tampered ledger: stop with an alarm, until it is given again

If it fails at one place again and again, or a command can't be read, it waits there with an alarm and goes on once it can.

Each tenure has its own desk and its own subscription to the partition. So a transaction that hangs, a long recovery or a partition
that fails for ever delays no other. While the handler doesn't return, FastStream polls no more for it, and aiokafka keeps what it
has fetched (one fetch, 8 MiB).

Records come in order, and again only where this tenure seeks: to where the ledger says, whenever the desk has recovered. If a
record comes twice or is missing nevertheless, the desk notices by the offset.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.errors import KafkaError

from services.backoff import Backoff
from services.errors import ConservationBreach, Fenced, KafkaUnreachable, LedgerTampered, PumasiError
from services.matcher.checkpoint.restoring import NONE_YET
from services.matcher.partition.processor import Desk
from services.news import Answered, Forgotten, MatcherNews, StandsStill, Stopped, Taken

log = logging.getLogger("pumasi.matcher")

BACKOFF_SECONDS = (0.1, 15.0)
"""The first pause and the longest; each is lengthened by up to a half."""
AWAY_SECONDS_MAX = 3.0
"""The longest pause while Kafka is out of reach: asking costs little then, and what has been away for long may be back any moment."""
FAILURES_REMARKED = 5
"""So many failures without an answer in between, and it is an alarm; `pumasi status` says so."""
_SETTLED_SECONDS_MAX = 30.0
_QUIET_SECONDS = 1.0
_LOOK_SECONDS = 5.0
_HELD_UP_SECONDS = 30.0  # who writes commands in transactions has 10 s for one, and the broker looks every 10 s


class Tenure:
    """One partition in the hands of this process.

    Args:
        desk: the partition's; not taken yet.
        subscribe: makes a subscription that calls its argument with the partition's records, from `batches.partition_batches`.
        settled: set unless the group is sharing out partitions at this moment; nobody is fenced meanwhile.
        fenced_pause: seconds to wait at least after another has fenced us; by then the group has told whose the partition is.
        release: ends transactions that were left open among the commands.
        told: hears the news.
        progress: called with the next command's offset and a remark (empty, or what is amiss).
    """

    def __init__(
        self,
        desk: Desk,
        subscribe: Callable[[Callable[[Any], Any]], Any],
        settled: asyncio.Event,
        fenced_pause: float,
        release: Callable[[], Awaitable[None]],
        told: Callable[[MatcherNews], None],
        progress: Callable[[int, str], None],
    ) -> None:
        self.desk, self.partition = desk, desk.partition
        self.stopped: PumasiError | None = None
        self._subscription = subscribe(self.on_commands)
        self._settled, self._fenced_pause = settled, fenced_pause
        self._release, self._told, self._progress = release, told, progress
        self._over = asyncio.Event()
        self._retaking = asyncio.Lock()
        self._backoff = Backoff(*BACKOFF_SECONDS, spread=(1.0, 1.5))
        self._standing = ""
        self._pause = 0.0
        self._news = asyncio.Event()
        self._tasks = [asyncio.create_task(work) for work in (self._begin(), self._settle(), self._look_out())]

    async def end(self) -> None:
        """Finish the transaction at hand and let go. Safe to repeat."""
        self._over.set()
        self._news.set()  # should a task's cancellation be lost in aiokafka
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._subscription.stop()
        await self.desk.close()

    async def on_commands(self, records: Any) -> None:  # FastStream would build a Pydantic model of a narrower type
        """Answer one poll's records; return once they are answered, or the subscription stands where the ledger says.

        FastStream swallows what is raised here, so nothing may be.
        """
        try:
            before = self.desk.next_offset
            if await self.desk.answer(records):
                self._answered(self.desk.next_offset - before)
            elif self.desk.ready:
                self._seek()
            else:
                raise Fenced(f"partition {self.partition} is not held")
            return
        except asyncio.CancelledError:
            if not self._over.is_set():  # else a transaction hung, and the end waits no longer
                raise
            return
        except Exception as error:  # noqa: BLE001  # whatever it is: forget, and rebuild from the ledger
            self._failed(error)
        # Out here the error is gone, whose traceback holds the former memory: it need not lie beside the one being rebuilt.
        if not await self._retake():
            await self._over.wait()  # stopped: nothing is polled any more

    def _answered(self, commands: int) -> None:
        if commands:
            self._backoff.succeeded()
            self._standing = ""
            self._news.set()
            self._tell_progress()
            self._told(Answered(self.partition, commands, self.desk.seq))

    async def _begin(self) -> None:
        """Take the partition, then let its commands come."""
        while await self._taken():
            try:
                await self._subscription.start()
                self._seek()
                return
            except Exception as error:  # noqa: BLE001  # whatever it is: try again, with back-off
                with contextlib.suppress(Exception):
                    await self._subscription.stop()
                await self.desk.close()
                away = isinstance(error, KafkaError | OSError | TimeoutError)
                self._failed(KafkaUnreachable(f"Kafka: {type(error).__name__}") if away else error)

    async def _settle(self) -> None:
        """Whenever it has become quiet, see to it that what was answered can be read."""
        while not self._over.is_set():
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(_QUIET_SECONDS)
            if self._news.is_set():  # the next transaction tells, too
                continue
            try:
                settled = await self.desk.settle()
            except Fenced as error:
                self._failed(error)
                await self._retake()
                continue
            except Exception as error:  # noqa: BLE001  # whatever it is: it is asked again, and nothing depends on it
                log.debug("partition %d: not known to be settled: %s", self.partition, error)
                settled = False
            if not settled:
                self._news.set()

    def _tell_progress(self) -> None:
        """Tell how far all is answered, past the markers that came behind; a remark stays until there is an answer."""
        consumer, offset = self._subscription.consumer, self.desk.next_offset
        for place in consumer.assignment() if consumer is not None else ():
            offset = consumer.passed(place, offset)
        self._progress(offset, "")

    def _look_at_reading(self) -> None:
        """See whether the next command can be read, and how far reading has come."""
        consumer = self._subscription.consumer
        if consumer is None or self.stopped is not None:
            return
        for stuck in consumer.stuck:
            self._stands_still(str(stuck))
            return
        if self.desk.ready and not self._backoff.failures:
            self._standing = ""
            self._tell_progress()

    def _stands_still(self, why: str) -> None:
        """Raise the alarm, once; it ends with the next answer."""
        self._progress(self.desk.next_offset, why)
        if why != self._standing:
            self._standing = why
            log.critical("partition %d STANDS STILL: %s", self.partition, why)
            self._told(StandsStill(self.partition, self.desk.next_offset, why))

    async def _look_out(self) -> None:
        """Commands behind an open transaction are waited for; one that stays open too long is a leftover (`open_transactions`)."""
        loop = asyncio.get_running_loop()
        at, since = None, loop.time()
        while not self._over.is_set():
            await asyncio.sleep(_LOOK_SECONDS)
            self._look_at_reading()
            was, at = at, await self._held_up_at()
            if at is None or at != was:
                since = loop.time()
            elif loop.time() - since > _HELD_UP_SECONDS:
                since = loop.time()
                log.warning(
                    "partition %d: commands from offset %d on are held up by an open transaction", self.partition, at
                )
                try:
                    await self._release()
                except Exception as error:  # noqa: BLE001  # whatever it is: it is tried again
                    log.warning("partition %d: it could not be ended: %s", self.partition, error)

    async def _held_up_at(self) -> int | None:
        """The offset of the first command that is there and can't be read yet, if all before it are read."""
        consumer = self._subscription.consumer
        if consumer is None or not self.desk.ready or self.stopped is not None:
            return None
        for place in consumer.assignment():
            stable, end = consumer.last_stable_offset(place), consumer.highwater(place)
            if stable is not None and stable < end and await consumer.position(place) >= stable:
                return stable
        return None

    def _seek(self) -> None:
        [place] = self._subscription.consumer.assignment()
        self._subscription.consumer.seek(place, self.desk.next_offset)

    async def _retake(self) -> bool:
        """Take the partition anew and let its commands come from where the ledger says; False if the tenure is over or has stopped."""
        async with self._retaking:
            taken = await self._taken()
            if taken:
                self._seek()
            return taken

    async def _taken(self) -> bool:
        """Make the desk ready, however often it takes; False if the tenure is over or has stopped."""
        while self.stopped is None:
            await self._rest()
            if self._over.is_set():
                break
            try:
                if not self.desk.ready:
                    await self.desk.take()
                    self._tell_taken()
                return True
            except Exception as error:  # noqa: BLE001  # whatever it is: try again, with back-off
                self._failed(error)
        return False

    async def _rest(self) -> None:
        """Wait out the pause, and the group if it is sharing out anew; no longer than until the tenure is over."""
        pause, self._pause = self._pause, 0.0
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), pause)
            return
        with contextlib.suppress(TimeoutError):  # beyond that fencing decides by itself
            await asyncio.wait_for(self._settled.wait(), _SETTLED_SECONDS_MAX)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, ConservationBreach | LedgerTampered):
            self._alarm(error)
        elif not self._over.is_set():
            self._pause = self._next_pause(error)
            self._log_failure(error)

    def _next_pause(self, error: Exception) -> float:
        if isinstance(error, Fenced):
            return self._backoff.failed(at_least=self._fenced_pause)
        return self._backoff.failed(most=AWAY_SECONDS_MAX if isinstance(error, KafkaUnreachable) else None)

    def _alarm(self, error: PumasiError) -> None:
        """Stop, loudly. The partition stays here and at rest; whoever is given it next will find the same, and say so."""
        self.stopped = error.with_traceback(None)  # which would hold the memory that is let go of
        log.critical("partition %d STOPPED: %s: %s", self.partition, error.code, error.message)
        self._progress(self.desk.next_offset, f"STOPPED, {error.code}: {error.message}")
        self._told(Stopped(self.partition, error.code, error.message, error.hint))

    def _log_failure(self, error: Exception) -> None:
        """Another's taking over is no trouble; Kafka's trouble is; anything else is a defect, told with its traceback."""
        expected = isinstance(error, PumasiError)
        log.log(
            logging.INFO if isinstance(error, Fenced) else logging.WARNING,
            "partition %d: %s; forgotten, to be rebuilt in %.1f s",
            self.partition, error, self._pause, exc_info=None if expected else error,
        )  # fmt: skip
        why = str(error) if expected else type(error).__name__
        if self._backoff.failures >= FAILURES_REMARKED:
            if isinstance(error, Fenced | KafkaUnreachable):
                self._progress(self.desk.next_offset, f"has failed {self._backoff.failures} times in a row: {why}")
            else:
                self._stands_still(why)
        self._told(Forgotten(self.partition, why, round(self._pause, 2)))

    def _tell_taken(self) -> None:
        desk, head, without = self.desk, self.desk.recovered.head, self.desk.recovered.without
        if without and desk.seq and without != NONE_YET:
            log.warning("partition %d: no checkpoint was of use: %s; all entries were read", desk.partition, without)
        if not self._backoff.failures:  # else the next answer will show
            self._tell_progress()
        checkpoint = head.seq if head else None
        self._told(Taken(desk.partition, desk.seq, desk.next_offset - 1, checkpoint, desk.recovered.seconds))
