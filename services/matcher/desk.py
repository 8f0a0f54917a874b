"""A desk: one partition at work. It reads commands in order, decides them in memory, and appends the answers in one transaction.

    taken ──► recovered ──► answering ──► answering …
                 ▲              │ fenced, unknown outcome, any error
                 └── forgotten ◄┘

Memory may run ahead of the ledger only within `answer`; whatever goes wrong there, the memory is forgotten and rebuilt from the
ledger, which alone is true. So a lost reply to a commit costs a recovery and never an entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

from schemas.commands import Unreadable
from services.bus.deadletters import dead_letter
from services.bus.envelope import Record, entry_headers
from services.errors import ConservationBreach
from services.matcher import conservation
from services.matcher.answer import answer
from services.matcher.journal import Journal, Row, first_at_or_after
from services.matcher.replay import Replay

BATCH_COMMANDS_MAX = 2000
"""Commands answered in one transaction at most: bounds what a failure makes do again."""


class Desk:
    """One partition's engine and journal.

    Args:
        bootstrap: Kafka's servers.
        partition: which.
        partitions: how many there are, to tell a command that lies in the wrong one.
        transaction_timeout_ms: see `Journal`.
    """

    def __init__(self, bootstrap: str, partition: int, partitions: int, transaction_timeout_ms: int) -> None:
        self.bootstrap, self.partition, self.partitions = bootstrap, partition, partitions
        self.journal = Journal(bootstrap, partition, transaction_timeout_ms)
        self.lock = asyncio.Lock()
        self._replay: Replay | None = None
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
        """Fence the former owner, then rebuild state and watermark from the ledger.

        Raises:
            KafkaUnreachable: try again later.
            LedgerTampered: the partition must stop.
        """
        async with self.lock:
            self._replay = None
            await self.journal.fence()
            replay = Replay(self.partition)
            async for value in self.journal.read_back():
                replay.feed(value)
            replay.finish()
            self._replay, self._next = replay, replay.watermark + 1

    async def answer(self, records: Sequence[Record]) -> bool:
        """Answer the commands that are not answered yet, in order, in transactions of bounded size.

        Returns:
            False if the records do not follow on what was answered; the caller must seek to `next_offset`.

        Raises:
            Fenced, KafkaUnreachable: the memory is forgotten; take the partition anew.
            ConservationBreach: a defect; the partition must stop.
        """
        async with self.lock:
            fresh = [record for record in records if record.offset >= self._next] if self.ready else []
            if not fresh:
                return self.ready
            if fresh[0].offset > self._next and not await self._follows(fresh[0].offset):
                return False
            try:
                for start in range(0, len(fresh), BATCH_COMMANDS_MAX):
                    await self._answer(fresh[start : start + BATCH_COMMANDS_MAX])
            except conservation.ConservationBreach as breach:
                self._replay = None
                raise ConservationBreach(
                    f"partition {self.partition}: {breach}",
                    hint="Nothing was written. The partition stops; see `pumasi audit`.",
                ) from breach
            except BaseException:
                self._replay = None
                raise
            return True

    async def close(self) -> None:
        """Let go of the partition after the transaction at hand."""
        async with self.lock:
            self._replay = None
            await self.journal.close()

    async def _follows(self, offset: int) -> bool:
        """Whether there is no committed command between what was answered and `offset`.

        Offsets skip where a transaction of commands ended. They also seem to skip where records come from a position that a
        seek has left since; only the log can tell.
        """
        return await first_at_or_after(self.bootstrap, self.partition, self._next) == offset

    async def _answer(self, records: Sequence[Record]) -> None:
        replay = self._replay
        written: list[Row] = []
        dead: list[Row] = []
        seq, digest = replay.seq, replay.hash
        for record in records:
            command, fund, time, values, digest = answer(replay.engine, record, self.partitions, seq, digest)
            key = fund.encode() if fund else None
            for seq, value in values:
                written.append((key, value, entry_headers(self.partition, seq, time)))
            if isinstance(command, Unreadable):
                dead.append(dead_letter(record, "unreadable", command.detail))
        await self.journal.append(written, dead)
        replay.seq, replay.hash, replay.watermark = seq, digest, records[-1].offset
        self._next = records[-1].offset + 1


def by_partition(records: Sequence[Record]) -> dict[int, list[Record]]:
    """Records of one poll by partition, each in order."""
    ordered = sorted(records, key=lambda record: record.partition)  # stable: offsets stay in order
    return {partition: list(group) for partition, group in groupby(ordered, key=lambda record: record.partition)}
