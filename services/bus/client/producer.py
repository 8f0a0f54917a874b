"""aiokafka's producer, whose `stop` really stops, and which tells a fenced writer what it must know.

aiokafka's own stop waits for ever for a broker that is away. Its start leaves InitProducerId to a task of its own, and it
silently repeats an EndTxn that gets no reply. No public part shows or changes this.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.producer import sender
from aiokafka.protocol.transaction import EndTxnRequest
from aiokafka.structs import RecordMetadata

from services.bus.client.sending import send_unjoined

TROUBLE = (KafkaError, OSError, TimeoutError)
"""What clients of Kafka raise when it can't be reached or refuses; for those who must not know aiokafka."""
Promise = asyncio.Future[RecordMetadata]
"""Of a record's place."""

_CLOSE_SECONDS_MAX = 5.0

sender.BACKOFF_OVERRIDE = 0.002
"""Seconds until a transaction that comes too soon after the last is begun again: the broker still writes that one's markers, for a
millisecond or two. aiokafka would idle for 20 ms, which is most of the time that a pledge waits for its award. A constant of aiokafka's
module is the only place to say so; it concerns transactional producers alone."""


class Producer(AIOKafkaProducer):
    """The same, and it can be given up."""

    async def give_up(self) -> None:
        """Close at once; whoever waits for what it still held hears of a KafkaConnectionError.

        aiokafka's own way to fail batches trips over those that were tried more than once. So the sender is ended, the promises it left
        are broken, the connections closed.
        """
        self._closed = True
        try:
            async with asyncio.timeout(_CLOSE_SECONDS_MAX):
                await self._sender.close()
        except TROUBLE:
            pass
        held = self._message_accumulator
        held._exception = KafkaConnectionError("given up")  # for whoever is about to add
        for batch in [*(one for line in held._batches.values() for one in line), *held._pending_batches]:
            for future, _ in batch._msg_futures:
                if not future.done():
                    future.set_exception(KafkaConnectionError("given up"))
        await self.client.close()


class TransactionalProducer(Producer):
    """A producer with a transactional id; it sends its batches without copying them (`sending`).

    Attributes:
        end_unanswered: whether an EndTxn got no reply: aiokafka repeats it, and the first may still come. One epoch serves many
            transactions (aiokafka speaks Kafka's transactions v1), so it would end the next one half-way.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.end_unanswered = False
        send_unjoined(self)
        self._watch_ends()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, and nobody has begun to end it."""
        return bool(self._txn_manager.is_in_transaction())

    async def identified(self, seconds_max: float) -> None:
        """Wait for InitProducerId, which `start` leaves to a task of its own; nobody is fenced before it is answered.

        Raises:
            KafkaError: if it is refused.
            TimeoutError: if it isn't answered in time.
        """
        sending = self._sender.sender_task
        pid = asyncio.ensure_future(self._txn_manager.wait_for_pid())
        try:
            await asyncio.wait({pid, sending}, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            if not pid.done():
                raise TimeoutError
        finally:
            pid.cancel()

    def _watch_ends(self) -> None:
        send = self.client.send

        async def watched(node: int, request: Any, **options: Any) -> Any:
            try:
                return await send(node, request, **options)
            except BaseException:
                if isinstance(request, EndTxnRequest):
                    self.end_unanswered = True
                raise

        self.client.send = watched  # type: ignore[method-assign,assignment]  # nowhere else are requests seen
