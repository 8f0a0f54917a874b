"""A consumer's end: what aiokafka makes of it reaches nobody who isn't cancelled."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import NodeNotReadyError

from services.bus.client.consumer import Consumer


class _Client:
    """Of a broker that has died."""

    def __init__(self) -> None:
        self.closed = False

    async def send(self, _node: int, _request: object) -> None:
        raise NodeNotReadyError

    async def close(self) -> None:
        self.closed = True


async def _waiting_after_a_failure(kind: type[AIOKafkaConsumer]) -> AIOKafkaConsumer:
    """A consumer with a fetch that has failed, and waits before the next."""
    consumer = kind(group_id=None)
    consumer._client = client = _Client()
    fetcher = consumer._fetcher = object.__new__(Fetcher)
    fetcher._client, fetcher._retry_backoff, fetcher._fetch_waiters, fetcher._preferred_read_replica = (
        client,
        60,
        set(),
        {},
    )
    fetcher._fetch_task = asyncio.create_task(asyncio.sleep(60))
    request = type("Request", (), {"topics": [("t", [(0, 0, 1)])]})
    fetcher._pending_tasks = {asyncio.create_task(fetcher._proc_fetch_request(None, 0, request))}
    await asyncio.sleep(0)
    return consumer


@pytest_asyncio.fixture(loop_scope="session")
async def consumer() -> AsyncIterator[AIOKafkaConsumer]:
    yield await _waiting_after_a_failure(Consumer)


async def test_aiokafkas_own_end_looks_as_if_its_caller_had_been_cancelled() -> None:
    theirs = await _waiting_after_a_failure(AIOKafkaConsumer)
    with pytest.raises(asyncio.CancelledError):
        await theirs.stop()
    assert not theirs._client.closed, "once aiokafka has mended this, `Consumer` can go"
    assert asyncio.current_task().cancelling() == 0


async def test_ours_ends(consumer: AIOKafkaConsumer) -> None:
    await consumer.stop()
    assert consumer._client.closed


async def test_who_is_cancelled_hears_of_it(consumer: AIOKafkaConsumer) -> None:
    ending = asyncio.create_task(consumer.stop())
    asyncio.get_running_loop().call_soon(ending.cancel)
    await asyncio.wait({ending})
    assert ending.cancelled()
    assert consumer._client.closed
