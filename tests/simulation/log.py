"""One partition as its leader keeps it: batches, transactions that are open, markers, and how far readers may read.

`end` is where the next record goes, `high` (the high watermark) how far all replicas in sync have come: only what lies below it is
acknowledged, and survives the leader's death for certain. `stable` (the last stable offset) is how far a reader of committed records
gets: below it every transaction has ended, and its marker is below the high watermark too. Writers are told apart as Kafka
does: by epoch, and by numbers that make a batch that comes twice be kept once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from tests.simulation.batches import Batch, Entry, placed, thinned

REMEMBERED_BATCHES = 5
"""Of how many batches a leader remembers the numbers, for each producer."""


class Refused(Exception):
    """A batch that the leader does not take; `code` is Kafka's error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE, DUPLICATE_SEQUENCE = 47, 45, 46


class Writer:
    """What a leader remembers of one producer."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches: deque[Batch] = deque(maxlen=REMEMBERED_BATCHES)


class Ended(NamedTuple):
    """A transaction that has ended here: its first offset, and its marker's."""

    producer: int
    first: int
    marker: int
    commits: bool


class Log:
    """One partition.

    Args:
        topic, partition: which.

    Attributes:
        begin, end, high: the first offset, one past the last, and the high watermark.
        open: producer → first offset of its transaction that is open here.
        ended: transactions that have ended here, in the order of their markers.
        owed: producer and first offset → whether it was to be committed, of each transaction here that was decided and got no marker
            (KAFKA-20734).
        torn: whether such a transaction was ended otherwise after all: with what its producer wrote on top of it, or since
            nobody knew any more.
        idempotent: whether a batch that comes twice is kept once; a variant takes that away.
    """

    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        self.idempotent = True
        self.owed: dict[tuple[int, int | None], bool] = {}
        self.torn = False
        self.batches: list[Batch] = []
        self.begin = self.end = self.high = 0
        self.open: dict[int, int] = {}
        self.ended: list[Ended] = []
        self.writers: dict[int, Writer] = {}

    @property
    def stable(self) -> int:
        """The last stable offset."""
        unstable = list(self.open.values())
        for ended in reversed(self.ended):  # markers come in order, so the first that is replicated ends the search
            if ended.marker < self.high:
                break
            unstable.append(ended.first)
        return min([self.high, *unstable])

    def earlier(self, batch: Batch) -> Batch | None:
        """The batch that this one repeats, if the leader has it already.

        Raises:
            Refused: if it can't be next.
        """
        writer = self.writers.get(batch.producer)
        if batch.producer < 0 or writer is None:
            return None
        if batch.epoch < writer.epoch:
            raise Refused(INVALID_PRODUCER_EPOCH)
        if not self.idempotent:
            return None
        if batch.epoch > writer.epoch:
            if batch.sequence != 0:
                raise Refused(OUT_OF_ORDER_SEQUENCE)
            return None
        if not writer.batches:  # compacted away; Kafka's cleaner leaves an empty one behind, which isn't modelled
            return None
        for kept in writer.batches:
            if (kept.sequence, kept.records) == (batch.sequence, batch.records):
                return kept
        last = writer.batches[-1]
        if batch.sequence == last.sequence + last.records:
            return None
        raise Refused(DUPLICATE_SEQUENCE if batch.sequence <= last.sequence else OUT_OF_ORDER_SEQUENCE)

    def append(self, batch: Batch) -> Batch:
        """Append a batch, or a marker, at the end; visible to nobody before it is replicated (`replicated`)."""
        batch = placed(batch, self.end)
        self.batches.append(batch)
        owed = self.owed.get((batch.producer, self.open.get(batch.producer)))
        if None not in (batch.commits, owed) and batch.commits != owed:
            self.torn = True
        self._note(batch)
        return batch

    def _note(self, batch: Batch) -> None:
        self.end = batch.end
        if batch.producer < 0:
            return
        writer = self.writers.get(batch.producer)
        if writer is None or writer.epoch < batch.epoch:
            writer = self.writers[batch.producer] = Writer(batch.epoch)
        if batch.commits is not None:
            first = self.open.pop(batch.producer, None)
            if first is not None:
                self.ended.append(Ended(batch.producer, first, batch.begin, batch.commits))
            return
        writer.batches.append(batch)
        if batch.transactional:
            self.open.setdefault(batch.producer, batch.begin)

    def replicated(self, end: int) -> None:
        """All replicas in sync have everything below `end`."""
        self.high = max(self.high, min(end, self.end))

    def elect(self, r: Random) -> None:
        """The leader died. Its heir has all that was replicated, and of the rest as much as it had got."""
        unsure = [batch.end for batch in self.batches if batch.end > self.high]
        end = r.choice([self.high, *unsure])
        self.batches = [batch for batch in self.batches if batch.end <= end]
        self.end, self.open, self.ended, self.writers = self.begin, {}, [], {}
        for batch in self.batches:
            self._note(batch)
        self.end = self.high = end  # what a new leader has, it tells of, once its followers have it

    # Reading

    def read(self, offset: int, *, committed: bool, batches_max: int = 64) -> tuple[bytes, list[tuple[int, int]]]:
        """Batches from an offset on, as bytes, and the aborted transactions among them: (producer, first offset)."""
        limit = self.stable if committed else self.high
        wanted = [batch for batch in self.batches if offset < batch.end and batch.end <= limit][:batches_max]
        if not wanted:
            return b"", []
        upto = wanted[-1].end
        aborted = [
            (ended.producer, ended.first)
            for ended in self.ended
            if not ended.commits and ended.marker >= offset and ended.first < upto
        ]
        return b"".join(batch.data for batch in wanted), aborted

    def committed(self, offset: int = 0) -> Iterator[Entry]:
        """What a reader of committed records gets to see from an offset on."""
        stable = self.stable
        for batch in self.batches:
            if batch.end > offset and batch.end <= stable and not self.is_aborted(batch):
                yield from (entry for entry in batch.entries() if entry.offset >= offset)

    def is_aborted(self, batch: Batch) -> bool:
        """Whether a batch is of a transaction that was aborted."""
        return batch.transactional and any(
            not ended.commits and ended.producer == batch.producer and ended.first <= batch.begin < ended.marker
            for ended in self.ended
        )

    # Compaction

    def compact(self, upto: int, *, tombstones: bool) -> int:
        """Leave out, below `upto`, what a later committed record of the same key replaces, and what was aborted.

        Args:
            upto: an offset; the cleaner never goes beyond the last stable one.
            tombstones: whether tombstones go too, as they do once `delete.retention.ms` is over.

        Returns:
            How many batches changed or went.
        """
        upto = min(upto, self.stable)
        newest = {entry.key: entry.offset for entry in self.committed() if entry.offset < upto}
        before = self.batches
        self.batches = [
            kept for batch in before if (kept := self._cleaned(batch, upto, newest, tombstones)) is not None
        ]
        return sum(a is not b for a, b in zip(before, self.batches, strict=False)) + len(before) - len(self.batches)

    def _cleaned(self, batch: Batch, upto: int, newest: dict[bytes | None, int], tombstones: bool) -> Batch | None:
        if batch.end > upto or batch.commits is not None:
            return batch
        if self.is_aborted(batch):
            return None
        keep: Callable[[Entry], bool] = lambda entry: (  # noqa: E731
            newest.get(entry.key) == entry.offset and not (tombstones and entry.value is None)
        )
        return thinned(batch, keep)
