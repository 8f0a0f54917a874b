"""What the model takes for granted of Kafka, asked of a real broker; and the one finding it had, on the journal itself.

Requests come late here as they would on a connection that was given up: by a client of the test's own, after the sender went on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import InvalidTxnState, KafkaConnectionError
from aiokafka.protocol.transaction import EndTxnRequest

from services.errors import KafkaUnreachable
from services.matcher.ledger import journal as journals
from services.matcher.ledger.journal import Journal
from tests.broker.raw import LEDGER, PARTITION, Client
from tests.broker.test_hanging import append

COMMIT = 1
PLACE = PARTITION["jilin"]
ID = f"pumasi-matcher-{PLACE}"
INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, CONCURRENT_TRANSACTIONS = 47, 48, 51

Late = Callable[[EndTxnRequest], Awaitable[int]]


@pytest.fixture
async def client(topics_reset) -> AsyncIterator[Client]:
    async with Client(topics_reset.bootstrap) as client:
        yield client


@pytest.fixture
async def late(client: Client) -> AsyncIterator[Late]:
    """Sends a request from elsewhere, again while markers are on their way, and returns the broker's error code."""
    elsewhere = AIOKafkaClient(bootstrap_servers=client.bootstrap)
    await elsewhere.bootstrap()

    async def send(request: EndTxnRequest) -> int:
        while (
            code := (await elsewhere.send(elsewhere.get_random_node(), request)).error_code
        ) == CONCURRENT_TRANSACTIONS:
            await asyncio.sleep(0.02)
        return code

    yield send
    await elsewhere.close()


async def opened(client: Client) -> AIOKafkaProducer:
    """A producer with the partition's transactional id: whoever had it before is shut out."""
    producer = AIOKafkaProducer(bootstrap_servers=client.bootstrap, transactional_id=ID)
    await producer.start()
    return producer


def end_of(producer: AIOKafkaProducer) -> EndTxnRequest:
    """The EndTxn that commits whatever transaction of `producer` is open when it arrives."""
    held = producer._txn_manager
    return EndTxnRequest(ID, held.producer_id, held.producer_epoch, COMMIT)


async def write(producer: AIOKafkaProducer, value: bytes) -> None:
    await producer.send_and_wait(LEDGER, value, partition=PLACE)


async def values(client: Client, count: int) -> list[bytes]:
    """The first `count` committed values; the test fails by its deadline if there are fewer."""
    return [record.value for record in await client.read(LEDGER, PLACE, count)]


async def test_fencing_aborts_what_was_open_and_refuses_a_late_end(client: Client, late: Late) -> None:
    zombie = await opened(client)
    await zombie.begin_transaction()
    await write(zombie, b"never to be seen")
    heir = await opened(client)
    assert await late(end_of(zombie)) == INVALID_PRODUCER_EPOCH
    await heir.begin_transaction()
    await write(heir, b"seen")
    await heir.commit_transaction()
    assert await values(client, 1) == [b"seen"]
    await heir.stop()
    await zombie.stop()


async def test_an_end_that_is_repeated_is_taken_and_one_of_an_ended_epoch_is_not(client: Client, late: Late) -> None:
    producer = await opened(client)
    assert await late(end_of(producer)) == INVALID_TXN_STATE
    await producer.begin_transaction()
    await write(producer, b"once")
    await producer.commit_transaction()
    assert await late(end_of(producer)) == 0
    assert await values(client, 1) == [b"once"]
    await producer.stop()


async def test_a_late_end_of_the_same_epoch_ends_the_next_transaction_half_way(client: Client, late: Late) -> None:
    """Why a producer is not used again once an EndTxn of its went unanswered (Kafka's transactions v1)."""
    producer = await opened(client)
    await producer.begin_transaction()
    await write(producer, b"whole")
    await producer.commit_transaction()
    end = end_of(producer)
    await producer.begin_transaction()
    await write(producer, b"first half")
    assert await late(end) == 0
    assert await values(client, 2) == [b"whole", b"first half"]
    with pytest.raises(InvalidTxnState):
        await write(producer, b"second half")
    await producer.stop()


async def test_the_journal_takes_a_new_epoch_after_an_end_without_a_reply(
    client: Client, late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up: list[EndTxnRequest] = []
    send = AIOKafkaClient.send

    async def first_end_is_late(self: AIOKafkaClient, node: int, request: object, **options: object) -> object:
        if isinstance(request, EndTxnRequest) and not given_up:
            given_up.append(request)
            raise KafkaConnectionError("the connection broke while the request was under way")
        return await send(self, node, request, **options)

    monkeypatch.setattr(AIOKafkaClient, "send", first_end_is_late)
    journal = Journal(client.bootstrap, PLACE)
    await journal.fence()
    with pytest.raises(KafkaUnreachable):
        await append(journal, b"entry 1")
    assert [values async for values in journal.read_back()] == [[b"entry 1"]]
    await journal.fence()
    assert await late(given_up[0]) == INVALID_PRODUCER_EPOCH
    await append(journal, b"entry 2")
    assert await values(client, 2) == [b"entry 1", b"entry 2"]
    await journal.close()


async def test_reading_back_does_not_wait_for_a_zombie_that_left_a_transaction_open(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_READ_BACK_STALL_SECONDS", 1.0)
    heir = Journal(client.bootstrap, PLACE)
    await heir.fence()
    zombie = await opened(client)  # it fences the heir, and then is silent for as long as its transaction may take
    await zombie.begin_transaction()
    await write(zombie, b"never to be seen")
    with pytest.raises(KafkaUnreachable):
        assert [value async for values in heir.read_back() for value in values] == []
    await heir.fence()
    assert [value async for values in heir.read_back() for value in values] == []
    await append(heir, b"seen")
    assert await values(client, 1) == [b"seen"]
    await heir.close()
    await zombie.stop()
