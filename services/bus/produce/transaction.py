"""A fenced writer: one transactional id, one writer; what it appends becomes visible all at once or not at all.

Two things are relied on, which Kafka does without fail: `InitProducerId` for a transactional id shuts out whoever had it before and
ends their open transaction, and the records of a transaction become visible all or none. So a writer that has fenced, and has read to
the end what the former one committed, knows what is written, and nobody else can add to it unseen. After any error the writer must
fence again: the outcome of the transaction at hand is then whatever the log says. `tests/protocol` holds all this as a model that SPIN
checks exhaustively.

Until a writer that died in the middle is fenced or timed out by the broker, readers of committed records wait at its open transaction.
So transactions are kept short, and a writer that does not fence again at once ends the one that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RequestTimedOutError,
)

from services.bus.client.open_transactions import Leftovers
from services.bus.client.producer import TROUBLE, TransactionalProducer
from services.bus.client.record_batch import PreparedBatch, Row, laid_out, row
from services.bus.produce.publisher import Headers
from services.bus.security import connection
from services.bus.topics import MAX_RECORD_BYTES
from services.errors import Fenced, KafkaUnreachable

TRANSACTION_TIMEOUT_MS = 10_000
"""After which the broker aborts the transaction of a writer that fell silent (it looks every 10 s)."""
BATCH_BYTES = 1 << 20
"""Size of a produce batch, bytes."""

Parts = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record."""

_RETRY_BACKOFF_MS = (
    5  # the broker answers NOT_ENOUGH_REPLICAS to transactions back to back; the default would idle 100 ms
)
_FENCE_SECONDS_MAX = 60.0
_STOP_SECONDS_MAX = 5.0
_SETTLE_SECONDS_MAX = 5.0  # nothing is appended meanwhile
_SETTLE_EVERY_SECONDS = 0.02
_FENCED = (ProducerFenced, InvalidProducerEpoch, OutOfOrderSequenceNumber)


class Sent(NamedTuple):
    """A batch on its way: the promise of the place of its first record, as aiokafka gives it, and how many records it has."""

    place: asyncio.Future[Any]
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks for


class Transaction:
    """An open transaction; what it sends is seen once it is committed.

    Args:
        producer: whose.
        limit: ends the transaction.
        seconds: how long Kafka may take.
    """

    def __init__(self, producer: TransactionalProducer, limit: asyncio.Timeout, seconds: float) -> None:
        self._producer, self._limit, self._seconds = producer, limit, seconds
        self._sent: list[Sent] = []

    def begin_anew(self) -> None:
        """Start Kafka's time limit anew: until now it was not Kafka that was waited for."""
        self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)

    async def send(self, topic: str, partition: int, portions: Iterable[Sequence[Row]]) -> list[Sent]:
        """Send portions in batches, each on its way as soon as it is full; others get a turn between two portions."""
        sent: list[Sent] = []

        async def send(batch: PreparedBatch) -> None:
            place = await self._producer.send_batch(batch, topic, partition=partition)
            sent.append(Sent(place, batch.record_count()))

        batch = PreparedBatch(BATCH_BYTES)
        for number, portion in enumerate(portions):
            if number:
                await asyncio.sleep(0)
            done = 0
            while (done := batch.extend(portion, done)) < len(portion):
                await send(batch)
                batch = PreparedBatch(BATCH_BYTES)
        if batch.record_count():
            await send(batch)
        self._sent += sent
        return sent

    async def append(self, topic: str, partition: int, records: Sequence[Parts]) -> list[int]:
        """Append records in order; their offsets, once the broker has them."""
        rows = [row(key, value, laid_out(headers)) for key, value, headers in records]
        offsets: list[int] = []
        for place, count in await self.send(topic, partition, [rows]):
            first = (await place).offset
            if first < 0:  # the broker had it already and has forgotten where
                raise KafkaConnectionError("no offset")
            offsets += range(first, first + count)
        return offsets

    async def arrived(self) -> None:
        """Wait until the broker has all that was sent."""
        await asyncio.gather(*(one.place for one in self._sent))


class FencedWriter:
    """The sole writer under a transactional id.

    Args:
        bootstrap: Kafka's servers, `host:port,…`.
        transactional_id: also the client's name.
        leftovers: what Kafka may have left open under that id.
        timeout_ms: after which Kafka aborts a transaction of a writer that fell silent; also how long one may take.
        fences_again: whether its user fences again at once after a failure, which ends what is open. Else that is ended before anybody
            hears of the failure, so that no reader waits for the timeout.
    """

    def __init__(
        self,
        bootstrap: str,
        transactional_id: str,
        leftovers: Leftovers | None = None,
        *,
        timeout_ms: int = TRANSACTION_TIMEOUT_MS,
        fences_again: bool = False,
    ) -> None:
        self.bootstrap, self.transactional_id, self._leftovers = bootstrap, transactional_id, leftovers
        self._timeout_ms, self._fences_again = timeout_ms, fences_again
        self._producer: TransactionalProducer | None = None

    @property
    def held(self) -> bool:
        """True from `fence` on until it is let go of."""
        return self._producer is not None

    async def fence(self) -> None:
        """Become the writer: the former one is shut out, its open transaction ended, also one that Kafka had forgotten to end.

        Raises:
            KafkaUnreachable: if no broker answers.
        """
        await self.close()
        producer = TransactionalProducer(
            **connection(self.bootstrap),
            client_id=self.transactional_id,
            transactional_id=self.transactional_id,
            transaction_timeout_ms=self._timeout_ms,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + BATCH_BYTES,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
        )
        if self._leftovers is not None:
            self._leftovers.listen(producer, self.bootstrap)
        try:
            async with asyncio.timeout(_FENCE_SECONDS_MAX):
                await producer.start()
                await producer.identified(_FENCE_SECONDS_MAX)
                if self._leftovers is not None:
                    await self._leftovers.end(producer)
        except TROUBLE as error:
            await _stop(producer)
            raise self._unreachable(error) from error
        except BaseException:  # cancelled: it is somebody else's meanwhile
            await _stop(producer)
            raise
        self._producer = producer

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction: committed at the end of the block; not if the block fails or is cancelled.

        Raises:
            Fenced: if another has taken the id; nothing was appended.
            KafkaUnreachable: if the outcome is unknown: it may or may not have been appended. Fence and read.
        """
        producer, seconds = self._producer, self._timeout_ms / 1000
        if producer is None:
            raise Fenced(f"{self.transactional_id} is not held")
        try:
            async with asyncio.timeout(seconds) as limit:
                await producer.begin_transaction()
                transaction = Transaction(producer, limit, seconds)
                yield transaction
                await transaction.arrived()  # aiokafka commits even if a send failed that nobody awaited
                await self._commit(producer)
            if producer.end_unanswered:  # committed, but by a repetition: this epoch is not to be used again
                raise RequestTimedOutError("the end of a transaction went unanswered")
        # A future of aiokafka's holds its error, whose traceback would hold these frames and with them the user's whole memory: a
        # ring that the garbage collector, told to spare what lives long, might never look at again.
        except _FENCED as error:
            await self._failed(abort=False)
            raise Fenced(f"another process writes as {self.transactional_id}") from error.with_traceback(None)
        except TROUBLE as error:
            await self._failed(abort=True)
            raise self._unreachable(error) from error.with_traceback(None)
        except BaseException:
            await self._failed(abort=True)
            raise

    async def settle(self) -> bool:
        """See to it that what was appended can be read: Kafka may have forgotten a marker. Call while nothing is being appended.

        Returns:
            False if the last transaction's end is still under way; look again.

        Raises:
            Fenced: if what is appended next would not be.
            KafkaUnreachable: if it isn't known.
        """
        if self._producer is None or self._leftovers is None:
            return True
        try:
            async with asyncio.timeout(_SETTLE_SECONDS_MAX):
                return await self._leftovers.settle(self._producer)
        except TROUBLE as error:
            if self._leftovers.asked:  # a late marker would end the next transaction, if that were of this epoch
                raise Fenced(f"what {self.transactional_id} left open may yet be ended") from error.with_traceback(None)
            raise self._unreachable(error) from error.with_traceback(None)

    async def settle_soon(self) -> None:
        """The same, looking again, if it can be done within seconds; else whoever fences next does it."""
        with contextlib.suppress(Fenced, KafkaUnreachable, TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS_MAX):
                while not await self.settle():
                    await asyncio.sleep(_SETTLE_EVERY_SECONDS)

    async def close(self) -> None:
        """Let go; whatever is open is aborted by whoever fences next, or by its timeout."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)

    async def _commit(self, producer: TransactionalProducer) -> None:
        """Commit. A user that doesn't fence again learns the outcome even if cancelled meanwhile, and leaves nothing half ended."""
        if self._fences_again:
            await producer.commit_transaction()
            return
        commit = asyncio.ensure_future(asyncio.wait_for(producer.commit_transaction(), self._timeout_ms / 1000))
        try:
            await asyncio.shield(commit)
        except asyncio.CancelledError:
            await asyncio.wait({commit})
            if not commit.cancelled():
                commit.exception()  # taken, or asyncio would complain of it: the cancellation says that the outcome is unknown
            raise

    async def _failed(self, *, abort: bool) -> None:
        producer = self._producer
        if self._fences_again or producer is None:
            return
        if abort and producer.in_transaction:
            with contextlib.suppress(*TROUBLE, AssertionError):
                await asyncio.wait_for(producer.abort_transaction(), _STOP_SECONDS_MAX)
        await self.close()

    def _unreachable(self, error: BaseException) -> KafkaUnreachable:
        why = f"Kafka at {self.bootstrap}: {type(error).__name__}"
        return KafkaUnreachable(why, hint="Nothing is lost: it can be tried again.")


def hush_told_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Keep asyncio from complaining of Kafka errors that nobody retrieved.

    A producer that is fenced leaves several futures failed that aiokafka itself never looks at; the writer has told of the failure by
    then. Everything else is complained of as ever.
    """

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), KafkaError):
            loop.default_exception_handler(context)

    loop.set_exception_handler(complain)


async def _stop(producer: TransactionalProducer) -> None:
    with contextlib.suppress(*TROUBLE, asyncio.CancelledError):
        await asyncio.wait_for(producer.stop(), _STOP_SECONDS_MAX)
