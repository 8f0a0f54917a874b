"""The audit: commands and ledger read from the start, and every byte of the ledger explained by the commands.

Three things are checked, each by itself: the chain (numbers without a gap, hashes that follow), the fold (facts alone conserve money
and fit together), and the decision (an engine of its own executes every command again, and must write the very same bytes).
Commands after the watermark are not yet answered, which is no finding.

The checkpoint is held against the ledger besides: the engine it tells of must remember, one entity like the other, what the facts lead
to at the entry that it names. A checkpoint never decides anything, so whatever is wrong with one costs time at the next recovery and
no money; it is a finding all the same. None at all, or one that only another version can read, is not.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice

from services.bus.envelope import Record, entry_headers
from services.bus.reading import TopicReader
from services.bus.topics import CHECKPOINTS, COMMANDS, LEDGER
from services.errors import LedgerTampered, TopicsMismatch
from services.matcher import conservation
from services.matcher.alike import differences
from services.matcher.answer import Answer, answer
from services.matcher.checkpoint import HEAD
from services.matcher.engine import Engine
from services.matcher.replay import Replay
from services.matcher.restoring import OfAnotherVersion, Restored, Unusable, newest, restored

FINDINGS_MAX = 20
"""Findings kept a partition; after the first broken link, more tell little."""
_DIFFERENCES_TOLD = 5
_READINGS = 3


@dataclass
class PartitionAudit:
    """What was found in one partition.

    Attributes:
        checkpoint: the entry whose checkpoint was held against the ledger; None if there was none to hold.
        last_hash: of the last entry, if the chain holds so far.
    """

    partition: int
    commands: int = 0
    entries: int = 0
    unanswered: int = 0
    last_hash: str | None = None
    checkpoint: int | None = None
    findings: list[str] = field(default_factory=list)

    def find(self, what: str) -> None:
        """Note a finding."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(what)


class Audit:
    """The audit of one partition, fed with commands and entries in order.

    Args:
        partition: which.
        partitions: how many there are.
        checkpoint: what its checkpoint tells, read before the ledger's end was looked up; None if there is none.
    """

    def __init__(self, partition: int, partitions: int, checkpoint: Restored | None = None) -> None:
        self.result = PartitionAudit(partition)
        self.partitions = partitions
        self._checkpoint = checkpoint
        self._engine = Engine()
        self._replay: Replay | None = Replay(partition)
        self._seq, self._hash = 0, self._replay.hash

    def expected(self, command: Record) -> Answer:
        """What a command must have brought about."""
        made = answer(self._engine, command, self.partitions, self._seq, self._hash)
        self._seq, self._hash = made.values[-1][0], made.hash
        self.result.commands += 1
        return made

    def compare(self, command: Record, time: str, value: bytes, entry: Record) -> None:
        """Hold one entry against what it must be, byte by byte."""
        self._fold(entry)
        if entry.value != value:
            self.result.find(
                f"entry {self.result.entries}: not what the command at offset {command.offset} makes by the rule"
            )
        if list(entry.headers) != entry_headers(entry.partition, self.result.entries, time):
            self.result.find(f"entry {self.result.entries}: its headers are not the contract's")

    def _fold(self, entry: Record) -> None:
        self.result.entries += 1
        if self._replay is None:
            return
        try:
            self._replay.feed(entry.value)
        except LedgerTampered as tampered:
            self.result.find(tampered.message)
            self._replay = self._checkpoint = None  # nothing after a broken link can be judged by the chain
            return
        if self._checkpoint is not None and self._checkpoint.head.seq == self._replay.seq:
            self._hold(self._replay, self._checkpoint)
            self._checkpoint = None

    def _hold(self, replay: Replay, checkpoint: Restored) -> None:
        """Hold the checkpoint of this entry against the state that the facts have led to."""
        head = checkpoint.head
        self.result.checkpoint = head.seq
        if (head.hash, head.watermark) != (replay.hash, replay.watermark) or replay.tail:
            self.result.find(f"the checkpoint of entry {head.seq} is of another ledger")
            return
        unlike = differences(checkpoint.engine, replay.engine)
        if some := list(islice(unlike, _DIFFERENCES_TOLD)):
            more = sum(1 for _ in unlike)
            self.result.find(
                f"the checkpoint of entry {head.seq} tells something else than the ledger of {', '.join(some)}"
                + (f" and {more} more" if more else "")
            )

    def surplus(self, entry: Record) -> None:
        """Note an entry that no command explains."""
        self._fold(entry)
        self.result.find(f"entry at ledger offset {entry.offset}: no command explains it")

    def close(self) -> PartitionAudit:
        """Check all sums of the state that the facts lead to, and end the audit."""
        if self._replay is not None:
            try:
                self._replay.finish()
                for fund in self._replay.engine.funds.values():
                    conservation.check_all(fund)
            except (LedgerTampered, conservation.ConservationBreach) as error:
                self.result.find(str(error))
            self.result.last_hash = self._replay.hash.hex()
        if self._checkpoint is not None:
            self.result.find(f"the checkpoint is of entry {self._checkpoint.head.seq}, which the ledger does not hold")
        return self.result


async def audit_partition(
    bootstrap: str, partition: int, partitions: int, progress: Callable[[int, int], None] = lambda *_: None
) -> PartitionAudit:
    """Audit one partition of a live cluster as of now.

    Args:
        bootstrap: Kafka's servers.
        partition: which.
        partitions: how many there are.
        progress: called with the partition and the number of commands checked, now and then.

    Raises:
        KafkaUnreachable: if Kafka can't be read.
    """
    checkpoint, amiss = await _checkpoint(bootstrap, partition)
    audit = Audit(partition, partitions, checkpoint)
    if amiss:
        audit.result.find(f"the checkpoint can't be relied on: {amiss}")
    async with TopicReader(bootstrap) as of_ledger, TopicReader(bootstrap) as of_commands:
        ledger = of_ledger.records(LEDGER, {partition})
        first = await anext(
            ledger, None
        )  # its end is fixed before that of the commands: whatever it holds has a command
        commands = of_commands.records(COMMANDS, {partition})
        checked = count(1)
        async for command in commands:
            if first is None:
                audit.result.unanswered += 1
                continue
            made = audit.expected(command)
            for _number, value in made.values:
                if first is None:
                    audit.result.find(f"the answer to the command at offset {command.offset} is not whole")
                    break
                audit.compare(command, made.time, value, first)
                first = await anext(ledger, None)
            if (done := next(checked)) % 500 == 0:
                progress(partition, done)
        while first is not None:
            audit.surplus(first)
            first = await anext(ledger, None)
    progress(partition, audit.result.commands)
    return audit.close()


async def _checkpoint(bootstrap: str, partition: int) -> tuple[Restored | None, str | None]:
    """What the partition's checkpoint tells, if there is one; else what is amiss with it, if anything is.

    While it is read, a newer one may be written and the former be compacted away; then it is read again.
    """
    amiss = None
    for _ in range(_READINGS):
        records: dict[bytes, bytes] = {}
        async with TopicReader(bootstrap) as reader:
            with suppress(TopicsMismatch):  # commands and ledger alone can be audited
                async for record in reader.records(CHECKPOINTS, {partition}):
                    newest(records, [(record.key, record.value)])
        try:
            return (restored(records), None) if HEAD in records else (None, None)
        except OfAnotherVersion:
            return None, None
        except Unusable as unusable:
            amiss = str(unusable)
    return None, amiss
