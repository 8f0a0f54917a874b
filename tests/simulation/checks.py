"""What must hold: held against a fault-free execution whenever entries become visible, and once more when all is quiet.

The expectation is made from the commands alone, by the same `answer` that the audit uses: no fault can touch it. Whatever readers of
committed records get to see of a ledger must be a beginning of it, byte by byte: so nothing is lost, doubled, torn, reordered,
out of the chain, or decided on a stale state. At the end each unreadable command has one dead letter, and what is left of the
checkpoints leads, by the matcher's own recovery, to the state that the ledger leads to.

Where Kafka forgot a marker and the transaction was ended otherwise than decided (with the next, which had begun on top of it, or since
nobody knew any more), less can hold: the parts of one transaction have ended differently (`Log.torn`). The ledger is as it must be
even so; but the checkpoint may be of no use, and a dead letter may be there twice, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import NamedTuple

from schemas.commands import Unreadable
from schemas.ledger import GENESIS
from services.bus.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, LEDGER
from services.matcher.checkpoint.differences import differences
from services.matcher.checkpoint.recovery import Recovered, recover
from services.matcher.checkpoint.writing import HEAD
from services.matcher.engine.engine import Engine
from services.matcher.ledger.answer import answer, linked
from tests.records import CommandRecord
from tests.simulation.batches import Entry
from tests.simulation.log import Log


class Finding(Exception):
    """Something is not as it must be; `kind` is stable, the message tells where."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class Expected(NamedTuple):
    """An entry that there must be.

    Attributes:
        value: its bytes.
        offset: its command's.
        last: whether it ends its answer.
    """

    value: bytes
    offset: int
    last: bool


class Partition:
    """One partition's expectation, and how far the ledger has come."""

    def __init__(self, number: int, partitions: int, commands: Log, ledger: Log) -> None:
        self.number, self._partitions = number, partitions
        self._commands, self._ledger = commands, ledger
        self.engine = Engine()
        self.entries: list[Expected] = []
        self.unreadable: list[int] = []
        self.seen = 0
        self._hash, self._read_to, self._looked_to = GENESIS, 0, 0

    def expect(self) -> None:
        """Decide all commands that can be seen by now."""
        stable = self._commands.stable
        if stable == self._read_to:
            return
        for entry in self._commands.committed(self._read_to):
            self._decide(entry)
        self._read_to = stable

    def _decide(self, entry: Entry) -> None:
        record = CommandRecord(COMMANDS, self.number, *entry)
        seq = len(self.entries)
        made = answer(self.engine, record, self._partitions, seq)
        values, self._hash = linked(made, self._hash)
        if isinstance(made.command, Unreadable):
            self.unreadable.append(entry.offset)
        self.entries += [Expected(value, entry.offset, value is values[-1]) for value in values]

    def look(self) -> None:
        """Hold what has become visible of the ledger against the expectation.

        Raises:
            Finding: if it isn't what must be next.
        """
        stable = self._ledger.stable
        if stable == self._looked_to:
            return
        self.expect()
        for entry in self._ledger.committed(self._looked_to):
            self._compare(entry)
        self._looked_to = stable
        if self.seen and not self.entries[self.seen - 1].last:
            raise Finding("torn", f"partition {self.number}: an answer is visible in part, up to entry {self.seen}")

    def _compare(self, entry: Entry) -> None:
        due = self.entries[self.seen] if self.seen < len(self.entries) else None
        if due is None or entry.value != due.value:
            raise Finding(*self._difference(entry, due))
        self.seen += 1

    def _difference(self, entry: Entry, due: Expected | None) -> tuple[str, str]:
        where = f"partition {self.number}, ledger offset {entry.offset}"
        try:
            told = json.loads(entry.value or b"")
            seq, offset = told["seq"], told["cause"]["offset"]
        except (ValueError, KeyError, TypeError):
            return "not an entry", f"{where}: {entry.value!r:.80}"
        what = f"{where}: entry {seq} for the command at {offset}"
        if any(before.offset == offset for before in self.entries[: self.seen] if before.last):
            return "doubled", f"{what}, which is answered already"
        if due is None:
            return "from nowhere", what
        if offset != due.offset:
            return "lost", f"{what}; the one at {due.offset} has no answer yet"
        return "differs", f"{what} is not what it must be: {entry.value!r:.300} instead of {due.value!r:.300}"

    @property
    def answered(self) -> bool:
        """Whether all commands that can be seen have their answers."""
        self.expect()
        return self.seen == len(self.entries)


class _Written:
    """What a partition has written, straight from the logs (`recovery.Written`): how it is fetched is tried all along."""

    def __init__(self, logs: dict[tuple[str, int], Log], partition: int) -> None:
        self._checkpoints, self._ledger = logs[CHECKPOINTS, partition], logs[LEDGER, partition]

    async def checkpoint(self) -> AsyncIterator[list[tuple[bytes | None, bytes | None]]]:
        yield [(entry.key, entry.value) for entry in self._checkpoints.committed()]

    async def read_back(self, begin: int = 0) -> AsyncIterator[list[bytes | None]]:
        yield [entry.value for entry in self._ledger.committed(begin)]


class Checks:
    """All partitions.

    Args:
        logs: the broker's.
        partitions: how many.
    """

    def __init__(self, logs: dict[tuple[str, int], Log], partitions: int) -> None:
        self._logs = logs
        self.partitions = [
            Partition(number, partitions, logs[COMMANDS, number], logs[LEDGER, number]) for number in range(partitions)
        ]

    @property
    def answered(self) -> bool:
        """Whether every command has its answer."""
        return all(partition.answered for partition in self.partitions)

    @property
    def entries(self) -> int:
        """Entries seen, and found right."""
        return sum(partition.seen for partition in self.partitions)

    def shown(self, log: Log) -> None:
        """More of a log may be visible. Raises Finding."""
        if log.topic == LEDGER:
            self.partitions[log.partition].look()

    def recovered(self, partition: int, found: Recovered) -> None:
        """A matcher has recovered, and nobody has shut it out meanwhile. Raises Finding."""
        if found.without is not None and self._has_checkpoint(partition) and not self._torn(partition):
            raise Finding("checkpoint of no use", f"partition {partition}: {found.without}")

    def _torn(self, partition: int) -> bool:
        return any(self._logs[topic, partition].torn for topic in (LEDGER, CHECKPOINTS, DEADLETTERS))

    def _has_checkpoint(self, partition: int) -> bool:
        heads = [record.value for record in self._logs[CHECKPOINTS, partition].committed() if record.key == HEAD]
        return bool(heads) and heads[-1] is not None

    async def finish(self) -> None:
        """Hold all that can only be held at the end.

        Raises:
            Finding: if something is not as it must be.
        """
        for partition in self.partitions:
            self._letters(partition)
            await self._checkpoints(partition)
            log = self._logs[CHECKPOINTS, partition.number]
            if log.compact(log.end, tombstones=True):
                await self._checkpoints(partition)

    def _letters(self, partition: Partition) -> None:
        letters = self._logs[DEADLETTERS, partition.number].committed()
        found = [int(dict(letter.headers)["__streams.errors.offset"]) for letter in letters]
        if found != partition.unreadable and not self._torn(partition.number):
            raise Finding(
                "dead letters", f"partition {partition.number}: of {found}, and should be of {partition.unreadable}"
            )

    async def _checkpoints(self, partition: Partition) -> None:
        """Recover as a matcher would; what it remembers must be what has been decided."""
        found = await recover(partition.number, _Written(self._logs, partition.number))
        self.recovered(partition.number, found)
        unlike = [*differences(found.replay.engine, partition.engine)]
        if found.replay.seq != len(partition.entries) or unlike:
            raise Finding(
                "recovered otherwise",
                f"partition {partition.number}: from {found.head}, entry {found.replay.seq} of {len(partition.entries)}, "
                f"{', '.join(unlike[:3])}",
            )
