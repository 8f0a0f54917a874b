"""The journal: one partition of the ledger, fenced, read back, appended to in transactions.

Kafka is asked for just two things that it does without fail: that `InitProducerId` for a transactional id shuts out whoever had it
before and ends their open transaction, and that a transaction's records become visible all or none. The offset of the last
command answered stands in the ledger itself; so input, output and progress can't part. Consumer group offsets and KIP-447 are
not relied on (design contract, 7).

This is the only module beside `services.bus` that knows aiokafka.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)

from services.bus.topics import COMMANDS, DEADLETTERS, LEDGER, MAX_RECORD_BYTES
from services.errors import Fenced, KafkaUnreachable

BATCH_BYTES = 1 << 20
"""Size of a produce batch, bytes."""
_RETRY_BACKOFF_MS = 5  # the broker answers NOT_ENOUGH_REPLICAS to transactions back to back; the default would idle 100 ms
_READ_SECONDS_MAX = 60.0

Row = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Key, value and headers of a record to append."""


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
        self._producer: AIOKafkaProducer | None = None

    async def fence(self) -> None:
        """Become the writer: the former one is shut out, its open transaction ended.

        Raises:
            KafkaUnreachable: if no broker answers.
        """
        await self.close()
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            client_id=f"pumasi-matcher-{self.partition}",
            transactional_id=f"pumasi-matcher-{self.partition}",
            transaction_timeout_ms=self.transaction_timeout_ms,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + BATCH_BYTES,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
        )
        try:
            await producer.start()
            await _identified(producer)
        except (KafkaError, OSError, TimeoutError) as error:
            await _stop(producer)
            raise _unreachable(self.bootstrap, error) from error
        except BaseException:  # cancelled: the partition went elsewhere meanwhile
            await _stop(producer)
            raise
        self._producer = producer

    async def read_back(self) -> AsyncIterator[bytes | None]:
        """The values of all committed entries, in order, up to the end as of now; call after `fence`.

        Raises:
            KafkaUnreachable: if the end can't be reached in time.
        """
        async with reader(self.bootstrap, LEDGER, self.partition) as (consumer, place):
            async for record in read_to_end(consumer, place):
                yield record.value

    async def append(self, entries: Iterable[Row], dead_letters: Iterable[Row]) -> None:
        """Append entries and dead letters in one transaction; returns once it is committed.

        Raises:
            Fenced: if another writer has taken the partition; nothing was appended.
            KafkaUnreachable: if the outcome is unknown: it may or may not have been appended. Fence and read back.
        """
        producer = self._producer
        if producer is None:
            raise Fenced(f"partition {self.partition} is not held")
        try:
            await asyncio.wait_for(self._transact(producer, entries, dead_letters), self.transaction_timeout_ms / 1000)
        except (ProducerFenced, InvalidProducerEpoch, OutOfOrderSequenceNumber) as error:
            raise Fenced(f"partition {self.partition}: another matcher has taken it") from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise _unreachable(self.bootstrap, error) from error

    async def _transact(self, producer: AIOKafkaProducer, entries: Iterable[Row], dead_letters: Iterable[Row]) -> None:
        await producer.begin_transaction()
        sent = await self._send(producer, LEDGER, entries) + await self._send(producer, DEADLETTERS, dead_letters)
        await asyncio.gather(*sent)  # aiokafka commits even if a send failed that nobody awaited
        await producer.commit_transaction()

    async def close(self) -> None:
        """Let go of the partition; an open transaction is aborted by whoever takes it next, or by its timeout."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)

    async def _send(self, producer: AIOKafkaProducer, topic: str, rows: Iterable[Row]) -> list[asyncio.Future]:
        sent: list[asyncio.Future] = []
        batch = None
        for key, value, headers in rows:
            if batch is None or batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                if batch is not None:
                    sent.append(await producer.send_batch(batch, topic, partition=self.partition))
                batch = producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        if batch is not None:
            sent.append(await producer.send_batch(batch, topic, partition=self.partition))
        return sent


@contextlib.asynccontextmanager
async def reader(bootstrap: str, topic: str, partition: int) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
    """A consumer of committed records on one partition, at its start, in no group.

    Raises:
        KafkaUnreachable: if no broker answers.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * BATCH_BYTES,
        fetch_max_bytes=16 * BATCH_BYTES,
        retry_backoff_ms=_RETRY_BACKOFF_MS,
    )
    try:
        await consumer.start()
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        yield consumer, place
    except (KafkaError, OSError) as error:
        raise _unreachable(bootstrap, error) from error
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await consumer.stop()


async def read_to_end(consumer: AIOKafkaConsumer, place: TopicPartition) -> AsyncIterator:
    """All committed records from the consumer's position to the end as of now.

    The end is the high watermark, so that a transaction still being ended is waited for and not overlooked.

    Raises:
        KafkaUnreachable: if there is no progress for a minute.
    """
    end = await _high_watermark(consumer, place)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _READ_SECONDS_MAX
    while await consumer.position(place) < end:
        batches = await consumer.getmany(place, timeout_ms=200, max_records=5000)
        for record in batches.get(place, ()):
            if record.offset < end:
                yield record
        if batches:
            deadline = loop.time() + _READ_SECONDS_MAX
        elif loop.time() > deadline:
            raise KafkaUnreachable(
                f"{place.topic}-{place.partition}: no progress at offset {await consumer.position(place)} of {end}",
                hint="A transaction may hang open on the broker; it ends with its timeout.",
            )


async def _high_watermark(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    """The end of the partition, uncommitted records included (`end_offsets` would stop at an open transaction)."""
    async with _plain(consumer) as plain:
        ends = await plain.end_offsets([place])
    return ends[place]


@contextlib.asynccontextmanager
async def _plain(consumer: AIOKafkaConsumer) -> AsyncIterator[AIOKafkaConsumer]:
    plain = AIOKafkaConsumer(bootstrap_servers=consumer._client._bootstrap_servers, isolation_level="read_uncommitted")
    await plain.start()
    try:
        yield plain
    finally:
        await plain.stop()


async def first_at_or_after(bootstrap: str, partition: int, offset: int) -> int | None:
    """The offset of the first committed command at or after `offset`, or None at the end.

    Raises:
        KafkaUnreachable: if no broker answers.
    """
    async with reader(bootstrap, COMMANDS, partition) as (consumer, place):
        consumer.seek(place, offset)
        async for record in read_to_end(consumer, place):
            return record.offset
    return None


async def _identified(producer: AIOKafkaProducer) -> None:
    """Wait for InitProducerId, which `start` leaves to a task of its own; nobody is fenced before it is answered."""
    sender = producer._sender.sender_task
    pid = asyncio.ensure_future(producer._txn_manager.wait_for_pid())
    try:
        await asyncio.wait({pid, sender}, timeout=_READ_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        if sender.done():
            sender.result()
        if not pid.done():
            raise TimeoutError
    finally:
        pid.cancel()


async def _stop(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError, asyncio.CancelledError):
        await asyncio.wait_for(producer.stop(), 5)


def _unreachable(bootstrap: str, error: BaseException) -> KafkaUnreachable:
    return KafkaUnreachable(f"Kafka at {bootstrap}: {type(error).__name__}", hint="It is tried again; nothing is lost.")
