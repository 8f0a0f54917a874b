"""A fenced writer: one transactional id, one writer; what it appends becomes visible all at once or not at all.

The same two things are asked of Kafka as in the matcher's journal: `InitProducerId` shuts out whoever had the id before and ends their
open transaction, and a transaction is atomic. So who has fenced, and has read to the end what the former writer committed, knows
what is written, and nobody else can add to it unseen. After any error the writer must fence again: the outcome of the
transaction at hand is then whatever the log says.

Transactions are kept short and time out soon: until a writer that died in the middle is fenced or timed out by the broker, readers of
committed records wait at its open transaction, and one of these readers is the matcher.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)

from services.bus.client.open_transactions import Leftovers
from services.bus.client.producer import TROUBLE, TransactionalProducer
from services.bus.produce.publisher import Headers
from services.bus.topics import MAX_RECORD_BYTES
from services.errors import Fenced, KafkaUnreachable

TRANSACTION_TIMEOUT_MS = 10_000
"""After which the broker aborts the transaction of a writer that fell silent (it looks every 10 s)."""

Row = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record."""

_BATCH_BYTES = 1 << 20
_RETRY_BACKOFF_MS = 5  # transactions back to back are told to try again; the default would idle 100 ms
_FENCE_SECONDS_MAX = 30.0
_STOP_SECONDS = 5.0
_SETTLE_EVERY_SECONDS = 0.02
_FENCED = (ProducerFenced, InvalidProducerEpoch, OutOfOrderSequenceNumber)


class Transaction:
    """An open transaction; the records of `append` are seen once it is committed."""

    def __init__(self, producer: TransactionalProducer) -> None:
        self._producer = producer

    async def append(self, topic: str, partition: int, rows: Sequence[Row]) -> list[int]:
        """Append records in order; their offsets, once the broker has them."""
        sent = [
            (await self._producer.send_batch(batch, topic, partition=partition), batch.record_count())
            for batch in self._batches(rows)
        ]
        offsets: list[int] = []
        for future, count in sent:  # aiokafka commits even if a send failed that nobody awaited
            first = (await future).offset
            if first < 0:  # the broker had it already and has forgotten where
                raise KafkaConnectionError("no offset")
            offsets += range(first, first + count)
        return offsets

    def _batches(self, rows: Sequence[Row]) -> list[Any]:
        """Batches rather than single sends: aiokafka sends no record that has neither key nor value."""
        batches: list[Any] = []
        for key, value, headers in rows:
            given = {"timestamp": None, "key": key, "value": value, "headers": list(headers)}
            if not batches or batches[-1].append(**given) is None:
                batches.append(self._producer.create_batch())
                batches[-1].append(**given)  # the first record of a batch may be as large as it likes
        for batch in batches:
            batch.close()
        return batches


class FencedWriter:
    """The sole writer under a transactional id.

    Args:
        bootstrap: Kafka's servers, `host:port,…`.
        transactional_id: also the client's name.
        leftovers: what Kafka may have left open under that id.
    """

    def __init__(self, bootstrap: str, transactional_id: str, leftovers: Leftovers | None = None) -> None:
        self.bootstrap, self.transactional_id, self._leftovers = bootstrap, transactional_id, leftovers
        self._producer: TransactionalProducer | None = None

    @property
    def held(self) -> bool:
        """True between `fence` and the first error."""
        return self._producer is not None

    async def fence(self) -> None:
        """Become the writer: the former one is shut out, its open transaction ended, also one that Kafka had forgotten to end.

        Raises:
            KafkaUnreachable: if no broker answers.
        """
        await self.close()
        producer = TransactionalProducer(
            bootstrap_servers=self.bootstrap,
            client_id=self.transactional_id,
            transactional_id=self.transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + _BATCH_BYTES,
            request_timeout_ms=TRANSACTION_TIMEOUT_MS,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
        )
        if self._leftovers is not None:
            self._leftovers.listen(producer)
        try:
            async with asyncio.timeout(_FENCE_SECONDS_MAX):
                await producer.start()
                await producer.identified(_FENCE_SECONDS_MAX)
                if self._leftovers is not None:
                    await self._leftovers.end(producer)
        except TROUBLE as error:
            await _stop(producer)
            raise self._unreachable(error) from error
        except BaseException:
            await _stop(producer)
            raise
        self._producer = producer

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction: committed at the end of the block, aborted if the block fails or is cancelled.

        Raises:
            Fenced: if another has taken the id; nothing was appended.
            KafkaUnreachable: if the outcome is unknown: it may or may not have been appended. Fence and read.
        """
        producer = self._producer
        if producer is None:
            raise Fenced(f"{self.transactional_id} is not held")
        try:
            async with asyncio.timeout(TRANSACTION_TIMEOUT_MS / 1000):
                await producer.begin_transaction()
                yield Transaction(producer)
            await _to_the_end(producer)
        except _FENCED as error:
            await self._give_up(abort=False)
            raise Fenced(f"another process writes as {self.transactional_id}") from error
        except TROUBLE as error:
            await self._give_up(abort=True)
            raise self._unreachable(error) from error
        except BaseException:
            await self._give_up(abort=True)
            raise

    async def settle(self) -> None:
        """See to it that what was committed can be read, if that can be done within seconds: Kafka may have forgotten a marker."""
        producer, left = self._producer, self._leftovers
        if producer is None or left is None:
            return
        with contextlib.suppress(*TROUBLE, Fenced):  # whoever fences next ends it
            async with asyncio.timeout(_STOP_SECONDS):
                while not await left.settle(producer):
                    await asyncio.sleep(_SETTLE_EVERY_SECONDS)

    async def close(self) -> None:
        """Let go; whatever is open is aborted by whoever fences next, or by its timeout."""
        await self._give_up(abort=False)

    async def _give_up(self, *, abort: bool) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        if abort and producer.in_transaction:
            with contextlib.suppress(*TROUBLE, AssertionError):  # at once, so that no reader waits for the timeout
                await asyncio.wait_for(producer.abort_transaction(), _STOP_SECONDS)
        await _stop(producer)

    def _unreachable(self, error: BaseException) -> KafkaUnreachable:
        return KafkaUnreachable(f"Kafka at {self.bootstrap}: {type(error).__name__}", hint="Try again in a moment.")


def hush_told_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Keep asyncio from complaining of Kafka errors that nobody retrieved.

    A producer that is fenced leaves several futures failed that aiokafka itself never looks at; the writer has told of the failure by
    then. Everything else is complained of as ever.
    """

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), KafkaError):
            loop.default_exception_handler(context)

    loop.set_exception_handler(complain)


async def _to_the_end(producer: TransactionalProducer) -> None:
    """Commit, and hear what came of it even if we are cancelled meanwhile: an unknown outcome is worse than a moment."""
    commit = asyncio.ensure_future(asyncio.wait_for(producer.commit_transaction(), TRANSACTION_TIMEOUT_MS / 1000))
    try:
        await asyncio.shield(commit)
    except asyncio.CancelledError:
        await asyncio.wait({commit})
        raise


async def _stop(producer: TransactionalProducer) -> None:
    with contextlib.suppress(*TROUBLE, asyncio.CancelledError):
        await asyncio.wait_for(producer.stop(), _STOP_SECONDS)
