"""The audit: reads commands and ledger from the start and explains every byte of the ledger by the commands.

A second engine executes every command again and must write the very same bytes: number, facts, hash, headers. Where all bytes are
equal, chain and facts are as the engine made them, and its sums are checked. Where any is not, the ledger is read once more by itself:
whether the chain holds (no gap in the numbers, each hash follows), and whether the facts alone conserve money and fit together.
Only what a command leads to is its answer; anything else on the ledger was written by somebody else. Commands without an answer yet are
listed, and are a finding only if they were left behind (`services.bus.waiting`).

A checkpoint is compared with the ledger as well: the engine it describes must remember the same entities as the one that has come to
the entry that it names. A checkpoint decides nothing, so a wrong one costs time at the next recovery and no money; it is a finding all
the same. A missing checkpoint, or one that only another version can read, is none.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from schemas.ledger import GENESIS
from services.bus.consume.scan import TopicReader
from services.bus.envelope import Headers, Record, entry_headers
from services.bus.topics import CHECKPOINTS, COMMANDS, LEDGER
from services.bus.waiting import PATIENCE_SECONDS, Waiting
from services.errors import LedgerTampered, TopicsMismatch, TopicUnreadable
from services.matcher.checkpoint.differences import differences
from services.matcher.checkpoint.restoring import OfAnotherVersion, Restored, Unusable, newest, restored
from services.matcher.checkpoint.writing import HEAD
from services.matcher.engine import conservation
from services.matcher.engine.engine import Engine
from services.matcher.engine.fund import Fund
from services.matcher.ledger.answer import answer, linked
from services.matcher.ledger.replay import Replay
from services.matcher.model.breach import ConservationBreach
from services.processes import side_by_side

Portions = AsyncIterator[list[Record]]
"""Records of a partition, in order, as they are fetched."""
FINDINGS_MAX = 20
"""Findings kept a partition; after the first broken link, more tell little."""
SMALL = 20_000
"""Commands in all, below which processes take longer to start than they save."""
_DIFFERENCES_TOLD = 5
_READINGS = 3


@dataclass(frozen=True)
class Books:
    """What a fund comes to, minor units: promised = placed + waiting + released, and placed ≥ settled ≥ delivered."""

    fund: str
    currency: str
    promised: int
    placed: int
    settled: int
    delivered: int
    waiting: int
    released: int


@dataclass
class PartitionAudit:
    """What was found in one partition.

    Attributes:
        commands: those that were answered.
        unanswered: those that were not; the first of them and when it came (RFC 3339).
        checkpoint: the entry whose checkpoint was held against the ledger; None if there was none to hold.
        last_hash: of the last entry, if the chain holds so far.
        books: what its funds come to by the facts, if the chain holds.
    """

    partition: int
    commands: int = 0
    entries: int = 0
    unanswered: int = 0
    unanswered_from: int | None = None
    unanswered_since: str | None = None
    last_hash: str | None = None
    checkpoint: int | None = None
    findings: list[str] = field(default_factory=list)
    books: list[Books] = field(default_factory=list)

    def find(self, what: str) -> None:
        """Note a finding."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(what)


class Audit:
    """The audit of one partition, fed with commands and entries in order.

    Args:
        checkpoint: what its checkpoint tells, read before the ledger's end was looked up; None if there is none.

    Attributes:
        equal: whether the ledger is, byte for byte, what the commands make so far. If not, `follow` it.
    """

    def __init__(self, partition: int, partitions: int, checkpoint: Restored | None = None) -> None:
        self.result = PartitionAudit(partition)
        self.partitions = partitions
        self.waiting = Waiting()
        self.equal = True
        self._checkpoint = checkpoint
        self._engine = Engine()
        self._seq, self._hash = 0, GENESIS

    def expected(self, command: Record) -> Iterator[tuple[int, Headers, bytes]]:
        """The entries that a command must have brought about: number, headers and value of each."""
        made = answer(self._engine, command, self.partitions, self._seq)
        values, self._hash = linked(made, self._hash)
        first, self._seq = self._seq + 1, self._seq + len(values)
        partition, time, trace = command.partition, made.time, made.trace
        return (
            (number, entry_headers(partition, number, time, trace), value) for number, value in enumerate(values, first)
        )

    def compare(self, command: Record, number: int, headers: Headers, value: bytes, entry: Record) -> bool:
        """Compare one entry with what it must be, byte by byte; returns whether they are equal."""
        self.result.entries += 1
        if entry.value != value:
            self._unlike(f"entry {number}: not what the command at offset {command.offset} makes by the rule")
        if list(entry.headers) != headers:
            self.result.find(f"entry {number}: its headers are not the contract's")
        return entry.value == value

    def answered(self, command: Record) -> None:
        """Note that a command has its answer."""
        self.result.commands += 1
        self.waiting.came(command)
        if self.equal:
            self._hold(self._engine, self._seq, self._hash, command.offset)

    def lacking(self, command: Record, part: str) -> None:
        """Note that a command's answer is not there, though later ones have theirs, or not whole."""
        self._unlike(f"the answer to the command at offset {command.offset} {part}")

    def unheld(self, _entry: Record) -> None:
        """Take in an entry whose command can't be read."""
        self.result.entries += 1
        self.equal = False

    def surplus(self, entry: Record) -> None:
        """Note an entry that no command explains."""
        self.result.entries += 1
        self._unlike(f"entry at ledger offset {entry.offset}: no command explains it")

    async def follow(self, entries: AsyncIterator[Record]) -> None:
        """Follow the chain and the facts of a ledger that is not what the commands make, as far as they hold."""
        replay = Replay(self.result.partition)
        try:
            async for entry in entries:
                replay.feed(entry.value)
                if not replay.tail:
                    self._hold(replay.engine, replay.seq, replay.hash, replay.watermark)
            replay.finish()
        except LedgerTampered as tampered:
            self.result.find(tampered.message)
            self._checkpoint = None  # nothing after a broken link can be judged by the chain
            return
        except TopicUnreadable:
            pass  # a finding already
        self._engine, self._hash = replay.engine, replay.hash
        self._check_sums()

    def close(self, now_ms: int | None = None, patience_seconds: float = PATIENCE_SECONDS) -> PartitionAudit:
        """End the audit; for the arguments see `Waiting.left`."""
        waiting = self.waiting
        self.result.unanswered, self.result.unanswered_from = waiting.commands, waiting.offset
        self.result.unanswered_since = waiting.since
        if waiting.left(now_ms, patience_seconds):
            self.result.find(str(waiting))
        if self.equal:
            self._check_sums()
        if self._checkpoint is not None:
            self.result.find(f"the checkpoint is of entry {self._checkpoint.head.seq}, which the ledger does not hold")
        return self.result

    def _unlike(self, what: str) -> None:
        self.equal = False
        self.result.find(what)

    def _check_sums(self) -> None:
        """Check all sums of the state that the facts have led to."""
        self.result.last_hash = self._hash.hex()
        self.result.books = [_books_of(fund) for _, fund in sorted(self._engine.funds.items())]
        try:
            for fund in self._engine.funds.values():
                conservation.check_all(fund)
        except ConservationBreach as breach:
            self.result.find(str(breach))

    def _hold(self, engine: Engine, seq: int, digest: bytes, watermark: int) -> None:
        """Compare the checkpoint of this entry, if it is of this one, with the state that the facts have led to."""
        checkpoint = self._checkpoint
        if checkpoint is None or checkpoint.head.seq > seq:
            return
        self._checkpoint, head = None, checkpoint.head
        self.result.checkpoint = head.seq
        if (head.seq, head.hash, head.watermark) != (seq, digest, watermark):
            self.result.find(f"the checkpoint of entry {head.seq} is of another ledger")
            return
        unlike = differences(checkpoint.engine, engine)
        if some := list(islice(unlike, _DIFFERENCES_TOLD)):
            more = sum(1 for _ in unlike)
            self.result.find(
                f"the checkpoint of entry {head.seq} tells something else than the ledger of {', '.join(some)}"
                + (f" and {more} more" if more else "")
            )


def _books_of(fund: Fund) -> Books:
    (waiting, awarded, settled, delivered, released), _ = fund.totals.told()
    paid = settled + delivered
    placed = awarded + paid
    promised = waiting + placed + released
    return Books(fund.name, fund.policy.currency, promised, placed, paid, delivered, waiting, released)


def audit_all(
    bootstrap: str, partitions: int, progress: Callable[[int, int, int], None], *, matched: bool, commands: int
) -> list[PartitionAudit]:
    """Audit every partition of a live cluster as of now, side by side; there are about so many `commands` in all.

    As `audit_partition` does; `progress` is called with the partition first.
    """
    return side_by_side(
        _audit_one, (bootstrap, partitions, matched), range(partitions), progress, small=commands < SMALL
    )


def _audit_one(given: tuple[str, int, bool], partition: int, told: Callable[[int, int], None]) -> PartitionAudit:
    gc.set_threshold(200_000, 20, 100)  # what an audit makes lives on
    bootstrap, partitions, matched = given
    return asyncio.run(audit_partition(bootstrap, partition, partitions, told, matched=matched))


async def audit_partition(
    bootstrap: str,
    partition: int,
    partitions: int,
    progress: Callable[[int, int], None] = lambda *_: None,
    *,
    matched: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
) -> PartitionAudit:
    """Audit one partition of a live cluster as of now.

    Args:
        progress: called with the number of commands checked, and how many there are, about; now and then.
        matched: whether a matcher runs.

    Raises:
        KafkaUnreachable: if Kafka can't be read.
    """
    checkpoint, amiss = await _checkpoint(bootstrap, partition)
    audit = Audit(partition, partitions, checkpoint)
    if amiss:
        audit.result.find(f"the checkpoint can't be relied on: {amiss}")
    now_ms = int(time.time() * 1000) if matched else None
    async with TopicReader(bootstrap) as of_ledger, TopicReader(bootstrap) as of_commands:
        extent = (await of_commands.extents(COMMANDS))[partition]
        total = extent.end - extent.begin
        entries, commands = of_ledger.portions(LEDGER, {partition}), of_commands.portions(COMMANDS, {partition})
        await hold(audit, commands, entries, lambda done: progress(done, total))
        if not audit.equal:
            await audit.follow(of_ledger.records(LEDGER, {partition}))
    progress(audit.result.commands, total)
    return audit.close(now_ms, patience_seconds)


async def hold(
    audit: Audit, commands: Portions, entries: Portions, progress: Callable[[int], None] = lambda _done: None
) -> None:
    """Hold a partition's entries against its commands; `progress` is called with the number of commands, now and then."""
    ledger = _Entries(entries, audit)
    await ledger.step()  # its end is fixed before that of the commands: whatever it holds has a command
    take_in: Callable[[Record], None] = audit.surplus
    checked = 0
    try:
        async for portion in commands:
            for command in portion:
                await _hold_answer(audit, command, ledger)
            checked += len(portion)
            progress(checked)
    except TopicUnreadable as unreadable:
        audit.result.find(unreadable.message)
        take_in = audit.unheld
    while ledger.first is not None:
        take_in(ledger.first)
        await ledger.step()


class _Entries:
    """A partition's entries, one after the other."""

    def __init__(self, portions: Portions, audit: Audit) -> None:
        self._portions, self._audit = portions, audit
        self._rest: Iterator[Record] = iter(())
        self.first: Record | None = None

    @property
    def command(self) -> int:
        """The offset of the command that the first says it answers; -1 if it is no entry."""
        try:
            return _CAUSE.decode(self.first.value or b"").cause.offset if self.first else -1
        except msgspec.DecodeError:
            return -1

    async def step(self) -> None:
        """Go on to the next."""
        self.first = next(self._rest, None)
        if self.first is None:
            try:
                async for portion in self._portions:
                    self._rest = iter(portion)
                    if (first := next(self._rest, None)) is not None:
                        self.first = first
                        return
            except TopicUnreadable as unreadable:
                self._audit.result.find(unreadable.message)


async def _hold_answer(audit: Audit, command: Record, ledger: _Entries) -> None:
    """Hold a command's answer, if it has one, against what it must be."""
    if ledger.first is None:
        audit.waiting.add(command)
        return
    whole = True
    for held, (number, headers, value) in enumerate(audit.expected(command)):
        if ledger.first is None or ledger.first.value != value:
            while not held and ledger.first is not None and ledger.command < command.offset:
                audit.surplus(ledger.first)
                await ledger.step()
            if ledger.command != command.offset:
                whole = False
                if held or ledger.first is not None:
                    audit.lacking(command, "is not whole" if held else "is missing, and later ones have theirs")
                break
        whole &= audit.compare(command, number, headers, value, ledger.first)
        await ledger.step()
    audit.answered(command) if whole else audit.waiting.add(command)


class _Cause(msgspec.Struct):
    offset: int


class _Caused(msgspec.Struct):
    cause: _Cause


_CAUSE = msgspec.json.Decoder(_Caused)


async def _checkpoint(bootstrap: str, partition: int) -> tuple[Restored | None, str | None]:
    """What the partition's checkpoint tells, if there is one; else what is amiss with it, if anything is.

    While it is read, a newer one may be written and the former be compacted away; then it is read again.
    """
    amiss = None
    for _ in range(_READINGS):
        records: dict[bytes, bytes] = {}
        try:
            async with TopicReader(bootstrap) as reader:
                with suppress(TopicsMismatch):  # commands and ledger alone can be audited
                    async for record in reader.records(CHECKPOINTS, {partition}):
                        newest(records, [(record.key or b"", record.value)])
            return (restored(records), None) if HEAD in records else (None, None)
        except OfAnotherVersion:
            return None, None
        except (Unusable, TopicUnreadable) as unusable:
            amiss = str(unusable)
    return None, amiss
