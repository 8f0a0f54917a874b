"""A desk: one partition at work. It reads commands in order, decides them in memory, and appends the answers in one transaction.

    taken ──► recovered ──► answering ──► answering …
                 ▲              │ fenced, unknown outcome, any error
                 └── forgotten ◄┘

Memory may run ahead of the ledger only within `answer`; whatever goes wrong there, the memory is forgotten and rebuilt from the
ledger, which alone is true. So a lost reply to a commit costs a recovery and never an entry.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

from services.bus.client.record_batch import Row, row
from services.bus.envelope import Record
from services.errors import ConservationBreach, Fenced, KafkaUnreachable, Unanswerable
from services.matcher.checkpoint.recovery import Recovered, recover
from services.matcher.checkpoint.writing import Head
from services.matcher.fast import lane_of
from services.matcher.fast.express import Express
from services.matcher.ledger.draft import Draft
from services.matcher.ledger.journal import Journal, first_at_or_after
from services.matcher.ledger.replay import Replay
from services.matcher.partition.batch import Batch

RECORDS_AT_ONCE = 50_000
"""Records of a whole checkpoint in one transaction, about: some tenths of a second, for which readers of the ledger wait."""
_PART_OF_TIMEOUT = 0.25
_DOUBLINGS_MAX = 6


class Desk:
    """One partition's engine and journal.

    Args:
        bootstrap: Kafka's servers.
        partition: which.
        partitions: how many there are, to tell a command that lies in the wrong one.
        transaction_timeout_ms: see `Journal`.
        checkpoint_entries: a checkpoint is due after so many entries …
        checkpoint_seconds: … or so many seconds, if there were any.
    """

    def __init__(
        self,
        bootstrap: str,
        partition: int,
        partitions: int,
        transaction_timeout_ms: int,
        checkpoint_entries: int = 100_000,
        checkpoint_seconds: float = 300.0,
    ) -> None:
        self.bootstrap, self.partition, self.partitions = bootstrap, partition, partitions
        self.journal = Journal(bootstrap, partition, transaction_timeout_ms)
        self.lock = asyncio.Lock()
        self.recovered: Recovered | None = None
        self._rhythm = Rhythm(checkpoint_entries, checkpoint_seconds)
        self._replay: Replay | None = None
        self._lane: Express | None = None
        self._untried = True  # nothing was appended since the partition was taken
        self._careful_until = -1  # the offset of the last command in a transaction that failed
        self._next = 0

    @property
    def ready(self) -> bool:
        """True while memory and ledger agree and the partition is believed to be ours."""
        return self._replay is not None

    @property
    def next_offset(self) -> int:
        """The offset of the first command that may not be answered yet: watermark + 1, or beyond offsets that hold none."""
        return self._next

    @property
    def seq(self) -> int:
        """The number of the last entry; 0 before the first."""
        return self._replay.seq if self._replay else 0

    async def take(self) -> None:
        """Fence the former owner, then rebuild state and watermark from checkpoint and ledger.

        Raises:
            KafkaUnreachable: try again later.
            LedgerTampered: the partition must stop.
        """
        async with self.lock:
            self._forget()
            began = time.perf_counter()
            await self.journal.fence()
            fenced = time.perf_counter() - began
            found = await recover(self.partition, self.journal)
            self.recovered = found._replace(seconds={"fence": round(fenced, 3), **found.seconds})
            self._rhythm.begin(found.head.seq if found.head else 0)
            self._replay, self._next = found.replay, found.replay.watermark + 1
            self._lane = lane_of(found.replay.engine, self.partition, self.partitions)
            self._untried = True

    async def answer(self, records: Sequence[Record]) -> bool:
        """Answer the commands that are not answered yet, in order, in transactions of bounded size.

        Returns:
            False if the records do not follow on what was answered; the caller must seek to `next_offset`.

        Raises:
            Fenced, KafkaUnreachable: the memory is forgotten; take the partition anew.
            ConservationBreach: a defect; the partition must stop. What comes before the command at fault is answered.
            Unanswerable: a defect; what comes before is answered, and it may be tried again.
        """
        async with self.lock:
            if not self.ready or not records:
                return self.ready
            fresh = list(records)
            if records[0].offset < self._next:
                fresh = [record for record in records if record.offset >= self._next]
                if not fresh:
                    return True
            if fresh[0].offset > self._next and not await self._follows(fresh[0].offset):
                return False
            start = 0
            try:
                while start < len(fresh):
                    start += await self._answer(fresh[start:] if start else fresh)
            except BaseException:
                self._forget()
                raise
            return True

    async def settle(self) -> bool:
        """See to it that what was answered can be read; False if that is to be looked at again.

        Raises:
            Fenced: the memory is forgotten; take the partition anew.
            KafkaUnreachable: if it isn't known.
        """
        async with self.lock:
            try:
                return not self.ready or await self.journal.settle()
            except Fenced:
                self._forget()
                raise

    async def close(self) -> None:
        """Let go of the partition after the transaction at hand."""
        async with self.lock:
            self._forget()
            await self.journal.close()

    def _forget(self) -> None:
        """Let go of the memory; it is untied by hand, since the collector leaves recovered memory alone."""
        replay, self._replay, self._lane, self.recovered = self._replay, None, None, None
        if replay is not None:
            replay.engine.untie()

    async def _follows(self, offset: int) -> bool:
        """Whether there is no committed command between what was answered and `offset`.

        Offsets skip where a transaction of commands ended. They also seem to skip where records come from a position that a
        seek has left since; only the log can tell.
        """
        return await first_at_or_after(self.bootstrap, self.partition, self._next) == offset

    async def _answer(self, records: Sequence[Record]) -> int:
        """Answer as many of the records as go into one transaction, at least one; returns how many."""
        replay = self._replay
        draft = Draft(self.partition, replay.seq, replay.hash, replay.watermark)
        careful = self._untried or self._next <= self._careful_until
        work = Batch(records, draft, self._lane, careful, self.journal.transaction_timeout_ms / 1000 * _PART_OF_TIMEOUT)
        due = False

        def checkpoint(ledger_offset: int) -> Iterator[list[Row]] | None:
            nonlocal due
            due = work.fault is None and self._rhythm.due(draft.seq)
            return self._checkpoint(draft, ledger_offset) if due else None

        try:
            await self.journal.append(work.portions(), work.dead, checkpoint)
        except (Fenced, KafkaUnreachable) as error:
            self._careful_until = draft.watermark  # it may be one command that takes too long for an open transaction
            if due and isinstance(error, KafkaUnreachable):
                self._rhythm.failed(draft.seq)
            raise
        if due and self.recovered.keeper.whole:
            self._rhythm.written(draft.seq)
        replay.seq, replay.hash, replay.watermark = draft.seq, draft.hash, draft.watermark
        self._next = draft.watermark + 1
        self._untried = False
        if work.fault is not None:
            raise self._fault(records[work.done], work.fault)
        return work.done

    def _fault(self, record: Record, found: Exception) -> ConservationBreach | Unanswerable:
        what = f"partition {self.partition}, command at offset {record.offset}: {found}"
        if isinstance(found, Unanswerable):
            return Unanswerable(
                what, hint="No answer to it was written, and none behind it is. Report it: it is a defect."
            )
        return ConservationBreach(
            what,
            hint="No answer to it was written. The partition stops; see `pumasi audit`, and report it: it is a defect.",
        )

    def _checkpoint(self, draft: Draft, ledger_offset: int) -> Iterator[list[Row]]:
        """What has changed since the last checkpoint, and the head that makes it one; of a whole one, as much as goes at once."""
        engine, keeper = self._replay.engine, self.recovered.keeper
        told, late = 0, time.monotonic() + self.journal.transaction_timeout_ms / 1000 * _PART_OF_TIMEOUT
        for portion in keeper.rows(engine):
            yield portion
            told += len(portion)
            if not keeper.whole and (told >= RECORDS_AT_ONCE or time.monotonic() > late):
                return
        head = Head(draft.seq, draft.hash, draft.watermark, ledger_offset)
        yield [row(*keeper.head(engine, head))]


class Rhythm:
    """When a checkpoint is due.

    One that can't be written must not keep entries from being so: it is tried again a whole interval later, then two, four, ….

    Args:
        entries: after so many entries.
        seconds: or after so many seconds, if there were any entries.
    """

    def __init__(self, entries: int, seconds: float) -> None:
        self.entries, self.seconds = entries, seconds
        self._seq, self._at = 0, time.monotonic()
        self._failures = 0
        self._waiting_until = (0, 0.0)

    def begin(self, seq: int) -> None:
        """Count from entry `seq`, the last one with a checkpoint."""
        self._seq, self._at = seq, time.monotonic()

    def written(self, seq: int) -> None:
        """Entry `seq` has a checkpoint now."""
        self.begin(seq)
        self._failures, self._waiting_until = 0, (0, 0.0)

    def failed(self, seq: int) -> None:
        """The checkpoint that entry `seq` should have brought could not be written."""
        intervals = 1 << min(self._failures, _DOUBLINGS_MAX)
        self._failures += 1
        self._waiting_until = seq + intervals * self.entries, time.monotonic() + intervals * self.seconds

    def due(self, seq: int) -> bool:
        """Whether the answer that ends with entry `seq` should bring a checkpoint."""
        now = time.monotonic()
        if seq < self._waiting_until[0] and now < self._waiting_until[1]:
            return False
        return seq - self._seq >= self.entries or now - self._at >= self.seconds
