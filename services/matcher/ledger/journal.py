"""The journal: one partition of the ledger, fenced, read back, appended to in transactions.

The offset of the last command answered stands in the ledger itself; so input, output and progress can't part. The fenced
writer does all that this needs of Kafka (`services.bus.produce.transaction`). Consumer group offsets and KIP-447 are not relied on
(contract, 7).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

from services.bus.client.open_transactions import Leftovers
from services.bus.client.record_batch import Row
from services.bus.consume.scan import Extent, TopicReader
from services.bus.envelope import Record
from services.bus.produce.transaction import FencedWriter, Sent, Transaction
from services.bus.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, LEDGER
from services.errors import LedgerMoved

_MARKER = 1  # the offset that the end of a transaction takes
_READ_BACK_STALL_SECONDS = (
    10.0  # whoever fenced us meanwhile may have died with a transaction open; fencing anew ends it
)


class Journal:
    """The sole writer of one partition of the ledger.

    Args:
        bootstrap: Kafka's servers, `host:port,…`.
        partition: the partition, of commands and ledger alike.
        transaction_timeout_ms: after which Kafka aborts a transaction of a writer that fell silent.
    """

    def __init__(self, bootstrap: str, partition: int, transaction_timeout_ms: int = 60_000) -> None:
        self.bootstrap, self.partition = bootstrap, partition
        self.transaction_timeout_ms = transaction_timeout_ms
        name = f"pumasi-matcher-{partition}"
        left = Leftovers(name, (LEDGER, partition), (CHECKPOINTS, partition), (DEADLETTERS, partition))
        self._writer = FencedWriter(bootstrap, name, left, timeout_ms=transaction_timeout_ms, fences_again=True)
        self._next_offset: int | None = None

    async def fence(self) -> None:
        """Become the writer; see `FencedWriter.fence`.

        Raises:
            KafkaUnreachable: if no broker answers.
        """
        await self._writer.fence()
        self._next_offset = None

    async def checkpoint(self) -> AsyncIterator[list[tuple[bytes, bytes | None]]]:
        """Key and value of all committed records of the checkpoints' partition, in order, in portions; call after `fence`.

        Raises:
            KafkaUnreachable: if the end can't be reached in time. Fence and read back anew.
        """
        async for records in self._committed(CHECKPOINTS, 0):
            yield [
                (record.key or b"", record.value) for record in records
            ]  # a compacted topic has no record without a key

    async def read_back(self, begin: int = 0) -> AsyncIterator[list[bytes | None]]:
        """The values of all committed entries from an offset on, in order, in portions, up to the end as of now; call after `fence`.

        Raises:
            KafkaUnreachable: if the end can't be reached in time. Fence and read back anew.
        """
        async for records in self._committed(LEDGER, begin):
            yield [record.value for record in records]

    async def _committed(self, topic: str, begin: int) -> AsyncIterator[Sequence[Record]]:
        async with TopicReader(self.bootstrap) as reader:
            end = await reader.high_watermark(topic, self.partition)
            if topic == LEDGER:
                self._next_offset = end
            here = {self.partition: Extent(begin, end)}
            async for records in reader.portions(topic, here, stall_seconds=_READ_BACK_STALL_SECONDS):
                yield records
                await asyncio.sleep(0)  # what is fetched already comes without a pause, and others wait for their turn

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Appending]:
        """A transaction that appends an entry at least: committed at the end of the block; not if the block fails.

        Raises:
            Fenced: if another writer has taken the partition, or writes to it without having taken it; nothing was appended.
            KafkaUnreachable: if the outcome is unknown: it may or may not have been appended. Fence and read back.
        """
        async with self._writer.transaction() as transaction:
            appending = Appending(transaction, self.partition, self._follows_on)
            yield appending
            await appending.arrived()
        self._next_offset = appending.end

    async def settle(self) -> bool:
        """See to it that what was appended can be read; see `FencedWriter.settle`.

        Returns:
            False if the last transaction's end is still under way; look again.

        Raises:
            Fenced: if what is appended next would not be.
            KafkaUnreachable: if it isn't known.
        """
        return await self._writer.settle()

    async def close(self) -> None:
        """Let go of the partition; an open transaction is aborted by whoever takes it next, or by its timeout."""
        await self._writer.close()

    async def _follows_on(self, offset: int) -> None:
        """Look whether entries came to lie right behind the last ones: else somebody else writes here, and reading back will tell who.

        Nothing is committed then. An offset of -1 says that the broker had the entries already, and not where. If they lie one place
        too early, Kafka has forgotten the last transaction's marker (`open_transactions`), and this one's will be for both. Where a
        leader moves, Kafka may write a marker twice. Nobody reads a marker as an entry; so what counts is whether anybody can read
        something there. Somebody else's open transaction is waited for, and can't be overlooked.
        """
        begin = self._next_offset
        if begin is None or offset in (begin, begin - _MARKER, -1):
            return
        if offset < begin or await self._holds_entries(begin, offset):
            raise LedgerMoved(f"its entries came to offset {offset} of the ledger, not to {begin}")

    async def _holds_entries(self, begin: int, end: int) -> bool:
        async with TopicReader(self.bootstrap) as reader:
            here = {self.partition: Extent(begin, end)}
            portions = reader.portions(LEDGER, here, stall_seconds=_READ_BACK_STALL_SECONDS)
            async with contextlib.aclosing(portions):
                async for records in portions:
                    if records:
                        return True
                return False


class Appending:
    """A journal's open transaction.

    Args:
        transaction: its writer's.
        partition: where all of it goes.
        follows_on: told where the entries came to lie; raises if that is not right behind the last ones.

    Attributes:
        end: the ledger's next offset, once this is committed; None if unknown.
    """

    def __init__(self, transaction: Transaction, partition: int, follows_on: Callable[[int], Awaitable[None]]) -> None:
        self._transaction, self._partition, self._follows_on = transaction, partition, follows_on
        self._entries: list[Sent] = []
        self.end: int | None = None

    async def append(self, topic: str, portions: Iterable[Sequence[Row]]) -> None:
        """Put rows on their way; others get a turn between two portions."""
        if topic != LEDGER:
            await self._transaction.send(topic, self._partition, portions)
            return
        self._transaction.begin_anew()  # deciding takes what time it takes: only Kafka is given a limited one
        if self._entries:
            await asyncio.sleep(0)
        self._entries += await self._transaction.send(topic, self._partition, portions)

    async def arrived(self) -> int:
        """Wait until the broker has all that was appended; an offset of the ledger at or before the last entry.

        Raises:
            LedgerMoved: if somebody else writes there.
            KafkaUnreachable: if it can't be seen who does.
        """
        await self._transaction.arrived()
        offsets: list[int] = [one.place.result().offset for one in self._entries]
        await self._follows_on(offsets[0])
        rows = sum(one.count for one in self._entries)
        self.end = offsets[0] + rows + _MARKER if offsets[0] >= 0 else None
        return max(offsets)


async def first_at_or_after(bootstrap: str, partition: int, offset: int) -> int | None:
    """The offset of the first committed command at or after `offset`, or None at the end.

    Raises:
        KafkaUnreachable: if no broker answers.
    """
    async with TopicReader(bootstrap) as reader:
        end = await reader.high_watermark(COMMANDS, partition)
        async with contextlib.aclosing(reader.records(COMMANDS, {partition: Extent(offset, end)})) as records:
            async for record in records:
                return record.offset
    return None
