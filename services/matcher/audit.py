"""The audit: commands and ledger read from the start, and every byte of the ledger explained by the commands.

Three things are checked, each by itself: the chain (numbers without a gap, hashes that follow), the fold (facts alone conserve money
and fit together), and the decision (an engine of its own executes every command again, and must write the very same bytes).
Commands after the watermark are not yet answered, which is no finding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from services.bus.envelope import Record, entry_headers
from services.bus.reading import TopicReader
from services.bus.topics import COMMANDS, LEDGER
from services.errors import LedgerTampered
from services.matcher import conservation
from services.matcher.answer import Answer, answer
from services.matcher.engine import Engine
from services.matcher.replay import Replay

FINDINGS_MAX = 20
"""Findings kept a partition; after the first broken link, more tell little."""


@dataclass
class PartitionAudit:
    """What was found in one partition."""

    partition: int
    commands: int = 0
    entries: int = 0
    unanswered: int = 0
    last_hash: str | None = None
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
    """

    def __init__(self, partition: int, partitions: int) -> None:
        self.result = PartitionAudit(partition)
        self.partitions = partitions
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
            self._replay = None  # nothing after a broken link can be judged by the chain

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
    audit = Audit(partition, partitions)
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
