"""One partition at work: commands are decided in memory, and their answers appended in transactions.

A transaction reads from top to bottom in `_transact`: decide → link → append → commit. While a turn of commands is decided, the turns
before it are on their way to Kafka.

Memory may run ahead of the ledger only within `answer`; whatever goes wrong there, it is forgotten, to be rebuilt from the ledger,
which alone is true. So a lost reply to a commit costs a recovery and never an entry. When to take the partition, and when again, is
for `tenure` to say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from services import traces
from services.bus.client.record_batch import Row, row
from services.bus.envelope import Record
from services.bus.topics import CHECKPOINTS, DEADLETTERS, LEDGER
from services.errors import ConservationBreach, Fenced, KafkaUnreachable, Unanswerable
from services.matcher.checkpoint.recovery import Recovered, recover
from services.matcher.checkpoint.writing import Head
from services.matcher.ledger.draft import Draft
from services.matcher.ledger.journal import Journal, first_at_or_after
from services.matcher.partition.batch import Batch
from services.metrics import (
    DECISIONS,
    LETTERS,
    OTHER,
    RECOVERIES,
    RECOVERY_SECONDS,
    REJECTIONS,
    TRANSACTION_COMMANDS,
    TRANSACTION_SECONDS,
    TRANSACTIONS,
    TYPES,
    Metrics,
)

RECORDS_AT_ONCE = 50_000
"""Records of a whole checkpoint in one transaction, about: some tenths of a second, for which readers of the ledger wait."""
_PART_OF_TIMEOUT = 0.25
_DOUBLINGS_MAX = 6

_WORDS = ("pumasi.case.vouched", "pumasi.case.thanked")
_REPEATED = ("duplicate", "id_conflict")
"""What comes under an id that stands: counted alike, or whoever sees figures could guess what was sent under it."""
_HITS = (*_REPEATED, "own_voucher", "case_closed")
"""What a word about a case may come to that tells whose it was: counted as applied, or whoever sees figures could guess people.
(`case_closed`, too: a word that was there comes to `duplicate` even then.)"""


class Processor:
    """One partition's memory and journal. One call at a time; after a failure, `take` comes first.

    Args:
        bootstrap: Kafka's servers.
        partition: which.
        partitions: how many there are, to tell a command that lies in the wrong one.
        transaction_timeout_ms: see `Journal`.
        checkpoint_entries: a checkpoint is due after so many entries …
        checkpoint_seconds: … or so many seconds, if there were any.
        metrics: the process's.

    Attributes:
        recovered: the memory; None unless it agrees with the ledger, and the partition is believed to be ours.
        next_offset: of the first command that may not be answered yet: watermark + 1.
        since_ms: when the oldest command at hand was appended, milliseconds since 1970; None while all are answered.
    """

    def __init__(
        self,
        bootstrap: str,
        partition: int,
        partitions: int,
        transaction_timeout_ms: int,
        checkpoint_entries: int = 100_000,
        checkpoint_seconds: float = 300.0,
        metrics: Metrics | None = None,
    ) -> None:
        self.bootstrap, self.partition, self.partitions = bootstrap, partition, partitions
        self.journal = Journal(bootstrap, partition, transaction_timeout_ms)
        self.recovered: Recovered | None = None
        self.next_offset = 0
        self.since_ms: int | None = None
        self._metrics = metrics or Metrics("matcher")
        self._patience = transaction_timeout_ms / 1000 * _PART_OF_TIMEOUT
        self._rhythm = Rhythm(checkpoint_entries, checkpoint_seconds)
        self._untried = True  # nothing was appended since the partition was taken
        self._careful_until = -1  # the offset of the last command in a transaction that failed

    @property
    def ready(self) -> bool:
        """Whether there is a memory."""
        return self.recovered is not None

    @property
    def seq(self) -> int:
        """The number of the last entry; 0 before the first."""
        return self.recovered.replay.seq if self.recovered else 0

    async def take(self) -> None:
        """Fence the former owner, then rebuild state and watermark from checkpoint and ledger.

        Raises:
            KafkaUnreachable: try again later.
            LedgerTampered: the partition must stop.
        """
        self.forget()
        began = time.perf_counter()
        await self.journal.fence()
        fenced = time.perf_counter() - began
        found = await recover(self.partition, self.journal)
        self.recovered = found._replace(seconds={"fence": round(fenced, 3), **found.seconds})
        self.next_offset = found.replay.watermark + 1
        self._rhythm.begin(found.head.seq if found.head else 0)
        self._untried, self.since_ms = True, None
        self._metrics.count(RECOVERIES)
        self._metrics.observe(RECOVERY_SECONDS, time.perf_counter() - began)

    async def answer(self, records: Sequence[Record]) -> bool:
        """Answer the commands that are not answered yet, in order, in transactions of bounded size.

        Returns:
            False if the records do not follow on what was answered; the caller must seek to `next_offset`.

        Raises:
            Fenced, KafkaUnreachable: the memory is forgotten; take the partition anew.
            ConservationBreach: a defect; the partition must stop. What comes before the command at fault is answered.
            Unanswerable: a defect; what comes before is answered, and it may be tried again.
        """
        if records and records[0].offset < self.next_offset:
            records = [record for record in records if record.offset >= self.next_offset]
        if records and records[0].offset > self.next_offset and not await self._follows(records[0].offset):
            return False
        try:
            while records:
                self.since_ms = records[0].timestamp
                records = records[await self._transact(records) :]
        except BaseException:
            self.forget()
            raise
        self.since_ms = None
        return True

    async def close(self) -> None:
        """Let go of the partition."""
        self.forget()
        await self.journal.close()

    def forget(self) -> None:
        """Let go of the memory; it is untied by hand, since the collector leaves recovered memory alone."""
        found, self.recovered = self.recovered, None
        if found is not None:
            found.replay.engine.untie()

    async def _follows(self, offset: int) -> bool:
        """Whether there is no committed command between what was answered and `offset`.

        Offsets skip where a transaction of commands ended. They also seem to skip where records come from a position that a
        seek has left since; only the log can tell.
        """
        return await first_at_or_after(self.bootstrap, self.partition, self.next_offset) == offset

    async def _transact(self, records: Sequence[Record]) -> int:
        """Answer as many of the records as go into one transaction, at least one; returns how many."""
        found = self.recovered
        assert found is not None, "`take` comes first"
        replay, keeper = found.replay, found.keeper
        began = time.perf_counter()
        draft = Draft(self.partition, replay.seq, replay.hash, replay.watermark)
        careful = self._untried or self.next_offset <= self._careful_until
        batch = Batch(records, draft, replay.engine, self.partitions, careful, self._patience)
        portion, due = batch.decide(), False  # before the transaction begins, and Kafka's patience with it
        if portion is None:
            raise self._fault(records, batch)
        try:
            async with self.journal.transaction() as transaction:
                while portion is not None:
                    following = batch.decide()  # while a thread links this one, and those before are on their way
                    linked = portion.linked()  # waits for that thread: each entry now holds the hash of the one before
                    await transaction.append(LEDGER, [linked])
                    portion = following
                await transaction.append(DEADLETTERS, [batch.dead])
                due = batch.fault is None and self._rhythm.due(draft.seq)
                if due:
                    await transaction.append(CHECKPOINTS, self._checkpoint(found, draft, await transaction.arrived()))
        except (Fenced, KafkaUnreachable) as error:
            self._metrics.count(TRANSACTIONS, "failed")
            self._careful_until = draft.watermark  # it may be one command that takes too long for an open transaction
            if due and isinstance(error, KafkaUnreachable):
                self._rhythm.failed(draft.seq)
            raise
        if due and keeper.whole:
            self._rhythm.written(draft.seq)
        replay.seq, replay.hash, replay.watermark = draft.seq, draft.hash, draft.watermark
        self.next_offset, self._untried = draft.watermark + 1, False
        self._measure(batch, draft, time.perf_counter() - began)
        for began_ns, command, trace in draft.traced or ():
            place = {
                "messaging__destination__partition__id": self.partition,
                "messaging__kafka__offset": command.offset,
            }
            traces.tell(trace, f"answer {command.type}", "CONSUMER", began_ns, **place)
        if batch.fault is not None:
            raise self._fault(records, batch)
        return batch.done

    def _measure(self, batch: Batch, draft: Draft, seconds: float) -> None:
        """Count what a transaction has committed."""
        metrics = self._metrics
        metrics.count(TRANSACTIONS, "committed")
        metrics.observe(TRANSACTION_SECONDS, seconds)
        metrics.observe(TRANSACTION_COMMANDS, batch.done)
        told = ((kind, *each) for kind, of_kind in draft.verdicts.items() for each in of_kind.items())
        for kind, said, number in told:
            verdict = "applied" if kind in _WORDS and said in _HITS else said
            outcome = "rejected" if verdict in REJECTIONS.labels["code"] else "applied"
            if verdict in _REPEATED:
                outcome = "repeated"
            elif verdict == "unreadable":
                outcome = verdict
            metrics.count(DECISIONS, kind if kind in TYPES else OTHER, outcome, by=number)
            if outcome in ("rejected", "unreadable"):
                metrics.count(REJECTIONS, verdict, by=number)
        if batch.dead:
            metrics.count(LETTERS, "unreadable", by=len(batch.dead))

    def _fault(self, records: Sequence[Record], batch: Batch) -> ConservationBreach | Unanswerable:
        what = f"partition {self.partition}, command at offset {records[batch.done].offset}: {batch.fault}"
        if isinstance(batch.fault, Unanswerable):
            return Unanswerable(
                what, hint="No answer to it was written, and none behind it is. Report it: it is a defect."
            )
        return ConservationBreach(
            what,
            hint="No answer to it was written. The partition stops; see `pumasi audit`, and report it: it is a defect.",
        )

    def _checkpoint(self, found: Recovered, draft: Draft, ledger_offset: int) -> Iterator[list[Row]]:
        """What has changed since the last checkpoint, and the head that makes it one; of a whole one, as much as goes at once."""
        engine, keeper = found.replay.engine, found.keeper
        told, late = 0, time.monotonic() + self._patience
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
