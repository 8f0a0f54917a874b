"""The journal: one partition of the ledger, fenced, read back, appended to in transactions.

Kafka is asked for just two things that it does without fail: that `InitProducerId` for a transactional id shuts out whoever had it
before and ends their open transaction, and that a transaction's records become visible all or none. The offset of the last
command answered stands in the ledger itself; so input, output and progress can't part. Consumer group offsets and KIP-447 are
not relied on (design contract, 7). `tests/protocol` holds all this as a model that SPIN checks exhaustively.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RequestTimedOutError,
)

from services.bus.client.open_transactions import Leftovers
from services.bus.client.producer import TransactionalProducer
from services.bus.client.record_batch import PreparedBatch, Row
from services.bus.consume.scan import TopicReader
from services.bus.envelope import Record
from services.bus.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, LEDGER, MAX_RECORD_BYTES
from services.errors import Fenced, KafkaUnreachable, LedgerMoved

BATCH_BYTES = 1 << 20
"""Size of a produce batch, bytes."""
_RETRY_BACKOFF_MS = (
    5  # the broker answers NOT_ENOUGH_REPLICAS to transactions back to back; the default would idle 100 ms
)
_MARKER = 1  # the offset that the end of a transaction takes
_FENCE_SECONDS_MAX = 60.0
_SETTLE_SECONDS_MAX = 5.0  # nothing is appended meanwhile
_READ_BACK_STALL_SECONDS = (
    10.0  # whoever fenced us meanwhile may have died with a transaction open; fencing anew ends it
)

Checkpoint = Callable[[int], Iterable[Sequence[Row]] | None]
"""Given an offset of the ledger at or before the last entry, the records of a checkpoint, in portions; None if none is due."""


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
        self._producer: TransactionalProducer | None = None
        self._id = f"pumasi-matcher-{partition}"
        self._leftovers = Leftovers(self._id, (LEDGER, partition), (CHECKPOINTS, partition), (DEADLETTERS, partition))
        self._next_offset: int | None = None

    async def fence(self) -> None:
        """Become the writer: the former one is shut out, its open transaction ended, also one that Kafka had forgotten to end.

        Raises:
            KafkaUnreachable: if no broker answers.
        """
        await self.close()
        producer = TransactionalProducer(
            bootstrap_servers=self.bootstrap,
            client_id=self._id,
            transactional_id=self._id,
            transaction_timeout_ms=self.transaction_timeout_ms,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + BATCH_BYTES,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
        )
        self._leftovers.listen(producer)
        try:
            await producer.start()
            await producer.identified(_FENCE_SECONDS_MAX)
            await self._leftovers.end(producer)
        except (KafkaError, OSError, TimeoutError) as error:
            await _stop(producer)
            raise _unreachable(self.bootstrap, error) from error
        except BaseException:  # cancelled: the partition went elsewhere meanwhile
            await _stop(producer)
            raise
        self._producer, self._next_offset = producer, None

    async def checkpoint(self) -> AsyncIterator[list[tuple[bytes, bytes | None]]]:
        """Key and value of all committed records of the checkpoints' partition, in order, in portions; call after `fence`.

        Raises:
            KafkaUnreachable: if the end can't be reached in time. Fence and read back anew.
        """
        async for records in self._committed(CHECKPOINTS, 0):
            yield [(record.key, record.value) for record in records]

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
            begins, ends = {self.partition: begin}, {self.partition: end}
            async for records in reader.portions(topic, begins, ends, stall_seconds=_READ_BACK_STALL_SECONDS):
                yield records
                await asyncio.sleep(0)  # what is fetched already comes without a pause, and others wait for their turn

    async def append(
        self, entries: Iterable[Sequence[Row]], dead_letters: Sequence[Row], checkpoint: Checkpoint | None = None
    ) -> None:
        """Append entries, dead letters and a checkpoint in one transaction; returns once it is committed.

        Args:
            entries: to the ledger, in portions. The first is asked for before the transaction begins, the others while what came
                before is on its way; others get a turn between two.
            dead_letters: to dead letters; looked at once all entries are known.
            checkpoint: called, once all entries are known, with an offset of the ledger at or before the last of them; gives portions
                of records, or None. No more is asked for than can be sent.

        Raises:
            Fenced: if another writer has taken the partition, or writes to it without having taken it; nothing was appended.
            KafkaUnreachable: if the outcome is unknown: it may or may not have been appended. Fence and read back.
        """
        producer = self._producer
        if producer is None:
            raise Fenced(f"partition {self.partition} is not held")
        portions = iter(entries)
        first = next(portions, None)
        if not first:
            return
        try:
            async with asyncio.timeout(self.transaction_timeout_ms / 1000) as limit:
                await self._transact(producer, self._unhurried(limit, first, portions), dead_letters, checkpoint)
        # A future of aiokafka's holds its error, whose traceback would hold these frames and with them the partition's whole memory: a
        # ring that the garbage collector, told to spare what lives long, might never look at again.
        except (ProducerFenced, InvalidProducerEpoch, OutOfOrderSequenceNumber) as error:
            raise Fenced("another matcher has taken it") from error.with_traceback(None)
        except (KafkaError, OSError, TimeoutError) as error:
            raise _unreachable(self.bootstrap, error) from error.with_traceback(None)

    def _unhurried(
        self, limit: asyncio.Timeout, first: Sequence[Row], others: Iterator[Sequence[Row]]
    ) -> Iterator[Sequence[Row]]:
        """Portions whose making doesn't count: only Kafka is given a limited time."""
        yield first
        for portion in others:
            limit.reschedule(asyncio.get_running_loop().time() + self.transaction_timeout_ms / 1000)
            yield portion

    async def _transact(
        self,
        producer: TransactionalProducer,
        entries: Iterable[Sequence[Row]],
        dead_letters: Sequence[Row],
        checkpoint: Checkpoint | None,
    ) -> None:
        await producer.begin_transaction()
        rows = 0

        def counted() -> Iterator[Sequence[Row]]:
            nonlocal rows
            for portion in entries:
                rows += len(portion)
                yield portion

        sent = await self._send(producer, LEDGER, counted())
        sent += await self._send(producer, DEADLETTERS, [dead_letters])
        # aiokafka commits even if a send failed that nobody awaited
        placed = await asyncio.gather(*sent)
        offsets = [place.offset for place in placed if place.topic == LEDGER]
        self._follows_on(offsets[0])
        last = max(offsets)
        if checkpoint is not None and (portions := checkpoint(last)) is not None:
            await asyncio.gather(*await self._send(producer, CHECKPOINTS, portions))
        await producer.commit_transaction()
        self._next_offset = offsets[0] + rows + _MARKER if offsets[0] >= 0 else None
        if producer.end_unanswered:  # committed, but by a repetition: this epoch is not to be used again
            raise RequestTimedOutError("the end of a transaction went unanswered")

    async def settle(self) -> bool:
        """See to it that what was appended can be read: Kafka may have forgotten a marker. Call while nothing is being appended.

        Returns:
            False if the last transaction's end is still under way; look again.

        Raises:
            Fenced: if what is appended next would not be.
            KafkaUnreachable: if it isn't known.
        """
        if self._producer is None:
            return True
        try:
            async with asyncio.timeout(_SETTLE_SECONDS_MAX):
                return await self._leftovers.settle(self._producer)
        except (KafkaError, OSError, TimeoutError) as error:
            raise _unreachable(self.bootstrap, error) from error.with_traceback(None)

    async def close(self) -> None:
        """Let go of the partition; an open transaction is aborted by whoever takes it next, or by its timeout."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)

    def _follows_on(self, offset: int) -> None:
        """Look whether entries came to lie right behind the last ones: else somebody else writes here, and reading back will tell who.

        Nothing is committed then. An offset of -1 says that the broker had the entries already, and not where. If they lie one place
        too early, Kafka has forgotten the last transaction's marker (`open_transactions`), and this one's will be for both.
        """
        if self._next_offset is not None and offset not in (self._next_offset, self._next_offset - _MARKER, -1):
            raise LedgerMoved(f"its entries came to offset {offset} of the ledger, not to {self._next_offset}")

    async def _send(
        self, producer: TransactionalProducer, topic: str, portions: Iterable[Sequence[Row]]
    ) -> list[asyncio.Future]:
        """Send portions in batches, each on its way as soon as it is full; the promises of their places."""
        sent: list[asyncio.Future] = []
        batch = PreparedBatch(BATCH_BYTES)
        for number, portion in enumerate(portions):
            if number:
                await asyncio.sleep(0)
            done = 0
            while (done := batch.extend(portion, done)) < len(portion):
                sent.append(await producer.send_batch(batch, topic, partition=self.partition))
                batch = PreparedBatch(BATCH_BYTES)
        if batch.record_count():
            sent.append(await producer.send_batch(batch, topic, partition=self.partition))
        return sent


def hush_told_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Keep asyncio from complaining of Kafka errors that nobody retrieved.

    A producer that is fenced leaves several futures failed that aiokafka itself never looks at; the journal has told of the failure by
    then. Everything else is complained of as ever.
    """

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), KafkaError):
            loop.default_exception_handler(context)

    loop.set_exception_handler(complain)


async def first_at_or_after(bootstrap: str, partition: int, offset: int) -> int | None:
    """The offset of the first committed command at or after `offset`, or None at the end.

    Raises:
        KafkaUnreachable: if no broker answers.
    """
    async with TopicReader(bootstrap) as reader:
        end = await reader.high_watermark(COMMANDS, partition)
        async with contextlib.aclosing(reader.between(COMMANDS, {partition: offset}, {partition: end})) as records:
            async for record in records:
                return record.offset
    return None


async def _stop(producer: TransactionalProducer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError, asyncio.CancelledError):
        await asyncio.wait_for(producer.stop(), 5)


def _unreachable(bootstrap: str, error: BaseException) -> KafkaUnreachable:
    return KafkaUnreachable(f"Kafka at {bootstrap}: {type(error).__name__}", hint="It is tried again; nothing is lost.")
