"""A tenure: one partition in the hands of this process, from when the group gives it until the group takes it.

    ┌─► take (fence, recover) ─► seek ─► fetch ─► decide → link → append → commit ─► report ─┐
    │                                    ▲  └── nothing for a second: look around ───────────┤
    │                                    └───────────────────────────────────────────────────┘
    └── forget, pause ◄── any failure; the pause doubles

    a breach of conservation, a tampered ledger: stop with an alarm, until the group gives it anew

One task does all of it, over a reader of its own. So a transaction that hangs, a long recovery or a partition that fails for ever
delays no other.

Records come in order, and again only from where this tenure seeks: where the ledger says, whenever the memory was recovered. If
a record comes twice or is missing nevertheless, the offset tells.

If it fails at one place again and again, or a command can't be read, it waits there with an alarm and goes on once it can.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from services.backoff import Backoff
from services.bus.consume.partition_reader import PartitionReader
from services.bus.envelope import Record
from services.bus.topics import COMMANDS
from services.bus.waiting import PATIENCE_SECONDS
from services.errors import ConservationBreach, Fenced, KafkaUnreachable, LedgerTampered, PumasiError
from services.matcher.checkpoint.restoring import NONE_YET
from services.matcher.partition.backlog import Backlog
from services.matcher.partition.batch import BATCH_COMMANDS_MAX
from services.matcher.partition.processor import Processor
from services.news import Answered, Forgotten, MatcherNews, StandsStill, Stopped, Taken

log = logging.getLogger("pumasi.matcher")

BACKOFF_SECONDS = (0.1, 15.0)
"""The first pause and the longest; each is lengthened by up to a half."""
AWAY_SECONDS_MAX = 3.0
"""The longest pause while Kafka is out of reach: asking costs little then, and what has been away for long may be back any moment."""
FAILURES_REMARKED = 5
"""So many failures without an answer in between, and it is an alarm; `pumasi status` says so."""
_CLIENT = "pumasi-matcher"
_QUIET_SECONDS = 1.0
_GROUP_SETTLED_SECONDS_MAX = 30.0
_HELD_UP_SECONDS = 30.0  # who writes commands in transactions has 10 s for one, and the broker looks every 10 s
_FINISH_SECONDS_MAX = 5.0


class Tenure:
    """One partition in the hands of this process; it begins at once.

    Args:
        processor: the partition's; not taken yet.
        group_settled: set unless the group is sharing out partitions at this moment; nobody is fenced meanwhile.
        fenced_pause: seconds to wait at least after another has fenced us; by then the group has told whose the partition is.
        release: ends transactions that were left open among the commands.
        told: hears the news.
        progress: called with the next command's offset and a remark (empty, or what is amiss).

    Attributes:
        stopped: why it stopped with an alarm, if it did.
        looked: what waited when somebody last looked, while it did not get on (`partition.backlog`).
    """

    def __init__(
        self,
        processor: Processor,
        group_settled: asyncio.Event,
        fenced_pause: float,
        release: Callable[[], Awaitable[None]],
        told: Callable[[MatcherNews], None],
        progress: Callable[[int, str], None],
    ) -> None:
        self.processor, self.partition = processor, processor.partition
        self.stopped: PumasiError | None = None
        self.looked: Backlog | None = None
        self._group_settled, self._fenced_pause = group_settled, fenced_pause
        self._release, self._told, self._progress = release, told, progress
        self._commands = PartitionReader(processor.bootstrap, _CLIENT, COMMANDS, self.partition)
        self._over = False
        self._at_hand = asyncio.Lock()  # held while there are commands that an end must wait for
        self._backoff = Backoff(*BACKOFF_SECONDS, spread=(1.0, 1.5))
        self._pause = 0.0
        self._standing = ""
        self._settled = True  # what was answered can be read
        self._held_up: tuple[int, float] | None = None  # at which offset, since when
        self._taken, self._got_on_at = False, -math.inf
        self._task = asyncio.create_task(self._live())

    @property
    def amiss(self) -> str | None:
        """Why it does not get on, as a stable code; None if it does."""
        if self.stopped:
            return self.stopped.code
        if self._standing:
            return "stands_still"
        return None if self.processor.ready else "recovering"

    @property
    def backlog(self) -> Backlog | None:
        """What waits; None while nobody knows."""
        ours, end = self.processor, self._commands.end
        if not ours.ready or end is None:
            return self.looked
        waits = max(0, end - self._commands.passed(ours.next_offset))
        if ours.since_ms is None and waits and self.looked is not None:  # there, and not fetched: held up perhaps
            return Backlog(waits, self.looked.since_ms)
        return Backlog(waits, ours.since_ms)

    @property
    def unknown_from(self) -> int | None:
        """From which offset on nobody here knows what waits, so that it has to be looked up; None if all is known."""
        ours, found = self.processor, self.backlog
        gets_on = ours.ready and (ours.since_ms is not None or found is None or not found.records)
        return None if gets_on or not self._taken else ours.next_offset

    @property
    def stalled(self) -> bool:
        """Whether a command waits for longer than it may, and none was answered since."""
        found, now = self.backlog, asyncio.get_running_loop().time()
        waits = found is not None and found.since_ms is not None and time.time() - found.since_ms / 1000
        return bool(waits and waits > PATIENCE_SECONDS and now - self._got_on_at > PATIENCE_SECONDS)

    async def end(self) -> None:
        """Finish the transaction at hand and let go. Safe to repeat."""
        self._over = True  # should the task's cancellation be lost in aiokafka
        with contextlib.suppress(TimeoutError):  # a transaction that hangs is not waited for
            await asyncio.wait_for(self._at_hand.acquire(), _FINISH_SECONDS_MAX)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._commands.close()
        await self.processor.close()

    async def _live(self) -> None:
        while self.stopped is None and not self._over:
            await self._rest()
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001  # whatever it is: forget, and rebuild from the ledger
                self._failed(error)
            # Out here the error is gone, whose traceback holds the memory: it need not lie beside the one being rebuilt.
            self.processor.forget()

    async def _work(self) -> None:
        """Take the partition, and answer its commands; raises what ends it."""
        await self.processor.take()
        self._tell_taken()
        await self._commands.seek(self.processor.next_offset)
        while not self._over:
            if records := await self._commands.fetch(BATCH_COMMANDS_MAX, _QUIET_SECONDS):
                async with self._at_hand:
                    await self._go_on(records)
            else:
                await self._look_around()

    async def _go_on(self, records: Sequence[Record]) -> None:
        before = self.processor.next_offset
        if not await self.processor.answer(records):
            await self._commands.seek(self.processor.next_offset)
        elif commands := self.processor.next_offset - before:
            self._backoff.succeeded()
            self._got_on_at = asyncio.get_running_loop().time()
            self._standing, self._settled = "", False
            self._tell_progress()
            self._told(Answered(self.partition, commands, self.processor.seq))

    async def _look_around(self) -> None:
        """While nothing comes: see whether what was answered can be read, and whether there is more that can't be."""
        if not self._settled:
            try:
                self._settled = await self.processor.journal.settle()
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is: it is asked again, and nothing depends on it
                log.debug("partition %d: not known to be settled: %s", self.partition, error)
        if stuck := self._commands.stuck:
            self._stands_still(str(stuck))
        elif not self._backoff.failures:
            self._standing = ""
            self._tell_progress()
        await self._look_for_leftovers()

    async def _look_for_leftovers(self) -> None:
        """Commands behind an open transaction are waited for; one that stays open too long is a leftover (`open_transactions`)."""
        now, at = asyncio.get_running_loop().time(), await self._commands.held_up_at()
        if at is None or self._held_up is None or self._held_up[0] != at:
            self._held_up = None if at is None else (at, now)
        elif now - self._held_up[1] > _HELD_UP_SECONDS:
            self._held_up = at, now
            log.warning(
                "partition %d: commands from offset %d on are held up by an open transaction", self.partition, at
            )
            try:
                await self._release()
            except Exception as error:  # noqa: BLE001  # whatever it is: it is tried again
                log.warning("partition %d: it could not be ended: %s", self.partition, error)

    def _tell_progress(self) -> None:
        """Tell how far all is answered, past the markers that came behind; a remark stays until there is an answer."""
        self._progress(self._commands.passed(self.processor.next_offset), "")

    def _stands_still(self, why: str) -> None:
        """Raise the alarm, once; it ends with the next answer."""
        self._progress(self.processor.next_offset, why)
        if why != self._standing:
            self._standing = why
            log.critical("partition %d STANDS STILL: %s", self.partition, why)
            self._told(StandsStill(self.partition, self.processor.next_offset, why))

    async def _rest(self) -> None:
        """Wait out the pause, and the group if it is sharing out anew."""
        pause, self._pause = self._pause, 0.0
        await asyncio.sleep(pause)
        with contextlib.suppress(TimeoutError):  # beyond that fencing decides by itself
            await asyncio.wait_for(self._group_settled.wait(), _GROUP_SETTLED_SECONDS_MAX)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, ConservationBreach | LedgerTampered):
            self._alarm(error)
        elif not self._over:
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
        self._progress(self.processor.next_offset, f"STOPPED, {error.code}: {error.message}")
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
                self._progress(self.processor.next_offset, f"has failed {self._backoff.failures} times in a row: {why}")
            else:
                self._stands_still(why)
        code = error.code if isinstance(error, PumasiError) else "unforeseen"
        self._told(Forgotten(self.partition, why, round(self._pause, 2), code))

    def _tell_taken(self) -> None:
        processor, found = self.processor, self.processor.recovered
        assert found is not None, "it was just taken"
        self._taken, self._got_on_at = True, asyncio.get_running_loop().time()
        if found.without and processor.seq and found.without != NONE_YET:
            log.warning(
                "partition %d: no checkpoint was of use: %s; all entries were read", self.partition, found.without
            )
        if not self._backoff.failures:  # else the next answer will show
            self._tell_progress()
        checkpoint = found.head.seq if found.head else None
        self._told(Taken(self.partition, processor.seq, processor.next_offset - 1, checkpoint, found.seconds))
