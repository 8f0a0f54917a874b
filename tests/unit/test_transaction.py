"""The fenced writer's ends: what it says when Kafka doesn't answer, and that nobody else complains then."""

import asyncio
import gc
from typing import Any

import pytest

from services.bus.produce.transaction import FencedWriter
from services.errors import KafkaUnreachable


class Silent:
    """A producer whose broker doesn't answer a commit."""

    in_transaction = end_unanswered = False

    async def begin_transaction(self) -> None: ...

    async def commit_transaction(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def stop(self) -> None: ...


async def test_a_commit_that_goes_unanswered_is_told_once() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    writer = FencedWriter("127.0.0.1:1", "some-service", timeout_ms=20)
    writer._producer = Silent()  # type: ignore[assignment]
    with pytest.raises(KafkaUnreachable):
        async with writer.transaction():
            pass
    del writer
    gc.collect()
    await asyncio.sleep(0)
    assert not complaints
