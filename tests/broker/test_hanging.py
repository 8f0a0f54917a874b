"""Transactions that Kafka has left open (KAFKA-20734): found when their writer fences or rests, and ended as had been decided.

Kafka is brought to it as an old producer did: a batch that goes to a partition of which the coordinator was told nothing. For that,
leaders are kept from asking the coordinator (KIP-890).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidTxnState

from services.bus.client.open_transactions import Leftovers
from services.bus.client.record_batch import row
from services.bus.client.requests import WriteTxnMarkers
from services.bus.consume.scan import TopicReader
from services.bus.embedded import EmbeddedKafka
from services.bus.produce.transaction import FencedWriter
from services.bus.topics import CHECKPOINTS, COMMANDS, DEADLETTERS
from services.errors import Fenced, LedgerMoved
from services.matcher.app import Matcher
from services.matcher.ledger.journal import Journal
from services.matcher.partition import tenure
from services.settings import load
from tests.broker.raw import LEDGER, PARTITION, Client

PLACE = PARTITION["jilin"]
ID = f"pumasi-matcher-{PLACE}"


@pytest.fixture
async def client(topics_reset: EmbeddedKafka) -> AsyncIterator[Client]:
    """A client of a broker whose leaders don't ask whether a transaction may begin."""
    admin = AIOKafkaAdminClient(bootstrap_servers=topics_reset.bootstrap)
    await admin.start()

    async def leaders_ask(ask: bool) -> None:
        setting = {"transaction.partition.verification.enable": str(ask).lower()}
        await admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", setting)])

    await leaders_ask(False)
    async with Client(topics_reset.bootstrap) as client:
        yield client
    await leaders_ask(True)
    await admin.close()


async def write_unasked(producer: AIOKafkaProducer, topic: str, value: bytes) -> None:
    """Write, in the transaction that has begun, into a partition of which the coordinator is told nothing."""
    manager, place = producer._txn_manager, TopicPartition(topic, PLACE)
    state, sequence = manager.state, manager.sequence_number(place)
    manager._txn_partitions.add(place)
    async with asyncio.timeout(30):
        while True:
            batch = producer.create_batch()
            batch.append(timestamp=None, key=b"k", value=value)
            batch.close()
            try:
                await (await producer.send_batch(batch, topic, partition=PLACE))
                return
            except InvalidTxnState:  # the leader has not heard yet that it need not ask
                manager.state = state
                manager._sequence_numbers[place] = sequence
                await asyncio.sleep(0.05)


async def leave_open(producer: AIOKafkaProducer, topic: str, value: bytes) -> None:
    """Write into a partition what the coordinator does not know of, and nobody ends."""
    manager = producer._txn_manager
    state = manager.state
    await producer.begin_transaction()
    await write_unasked(producer, topic, value)
    manager._txn_partitions.clear()
    manager.state = state


async def is_stuck(client: Client, topic: str = LEDGER) -> bool:
    """Whether readers of committed records can't get to the end."""
    async with TopicReader(client.bootstrap) as reader:
        return (await reader.extents(topic))[PLACE].end < await reader.high_watermark(topic, PLACE)


async def committed(journal: Journal) -> list[bytes | None]:
    return [value async for values in journal.read_back() for value in values]


async def append(journal: Journal, value: bytes) -> None:
    """Append one entry in a transaction of its own."""
    async with journal.transaction() as transaction:
        await transaction.append(LEDGER, [[row(None, value)]])


async def journal_after_a_commit(client: Client) -> Journal:
    """A journal that has appended one entry, and whose transaction has ended everywhere."""
    journal = Journal(client.bootstrap, PLACE)
    await journal.fence()
    await append(journal, b"1")
    while not await journal.settle():  # the markers are on their way, and would end what comes now
        await asyncio.sleep(0.01)
    return journal


async def an_older_version_fences(client: Client) -> None:
    """And dies. It asks for nothing, and afterwards the coordinator has forgotten what was decided."""
    async with AIOKafkaProducer(bootstrap_servers=client.bootstrap, transactional_id=ID):
        pass


async def test_what_was_to_be_committed_is_committed_by_who_fences_next(client: Client) -> None:
    dead = await journal_after_a_commit(client)
    for topic in (LEDGER, CHECKPOINTS, DEADLETTERS):
        await leave_open(dead._writer._producer, topic, b"2")
        assert await is_stuck(client, topic)
    heir = Journal(client.bootstrap, PLACE)
    await heir.fence()
    assert await committed(heir) == [b"1", b"2"]
    assert not any([await is_stuck(client, topic) for topic in (LEDGER, CHECKPOINTS, DEADLETTERS)])
    with pytest.raises(Fenced):
        await append(dead, b"never")
    await append(heir, b"3")
    assert await committed(heir) == [b"1", b"2", b"3"]
    await heir.close()
    await dead.close()


async def test_what_was_under_way_when_its_writer_was_shut_out_is_aborted(client: Client) -> None:
    """Though the transaction before it, of the same epoch, was committed."""
    dead = await journal_after_a_commit(client)
    producer = dead._writer._producer
    await producer.begin_transaction()
    await producer.send_and_wait(CHECKPOINTS, b"1", key=b"k", partition=PLACE)
    manager = producer._txn_manager
    await write_unasked(producer, LEDGER, b"half")
    heir = Journal(client.bootstrap, PLACE)
    heir._writer._leftovers._decided[manager.producer_id, manager.producer_epoch] = (
        True  # as it heard of the one before
    )
    await heir.fence()
    assert await committed(heir) == [b"1"]
    assert not any([await is_stuck(client, topic) for topic in (LEDGER, CHECKPOINTS)])
    await heir.close()
    await dead.close()


async def test_what_nobody_remembers_is_aborted_so_that_it_is_answered_anew(client: Client) -> None:
    dead = await journal_after_a_commit(client)
    await leave_open(dead._writer._producer, LEDGER, b"2")
    await an_older_version_fences(client)
    assert await is_stuck(client)
    heir = Journal(client.bootstrap, PLACE)
    await heir.fence()
    assert await committed(heir) == [b"1"]
    assert not await is_stuck(client)
    await heir.close()
    await dead.close()


async def test_what_nobody_remembers_is_committed_where_its_ledger_has_ended(client: Client) -> None:
    dead = await journal_after_a_commit(client)
    await leave_open(dead._writer._producer, DEADLETTERS, b"a letter")
    await an_older_version_fences(client)
    heir = Journal(client.bootstrap, PLACE)
    await heir.fence()
    assert [record.value for record in await client.read(DEADLETTERS, PLACE, 1)] == [b"a letter"]
    await heir.close()
    await dead.close()


async def test_a_journal_at_rest_sees_to_it_that_what_it_appended_can_be_read(client: Client) -> None:
    journal = await journal_after_a_commit(client)
    await leave_open(journal._writer._producer, LEDGER, b"2")
    assert await is_stuck(client)
    assert await journal.settle()
    assert await committed(journal) == [b"1", b"2"]
    await append(journal, b"3")
    assert await committed(journal) == [b"1", b"2", b"3"]
    await journal.close()


async def mark_again(journal: Journal) -> None:
    """Have the end of the last transaction written once more, as Kafka itself does where a leader moves."""
    producer, place = journal._writer._producer, TopicPartition(LEDGER, PLACE)
    ids = producer._txn_manager
    leader = producer.client.cluster.leader_for_partition(place)
    again = WriteTxnMarkers(ids.producer_id, ids.producer_epoch, True, [(place, 0)])
    answer = await producer.client.send(leader, again)
    [(_producer, [(_topic, [(_partition, code, _tags)], _)], _)] = answer.markers
    assert code == 0


async def end_of_ledger(client: Client) -> int:
    async with TopicReader(client.bootstrap) as reader:
        return await reader.high_watermark(LEDGER, PLACE)


async def test_a_marker_that_kafka_wrote_twice_is_no_entry_of_somebody_else(client: Client) -> None:
    journal = await journal_after_a_commit(client)
    await committed(journal)
    end = await end_of_ledger(client)
    for _ in range(2):
        await mark_again(journal)
    assert await end_of_ledger(client) == end + 2
    for value in (b"2", b"3"):
        await append(journal, value)
    assert await committed(journal) == [b"1", b"2", b"3"]
    await journal.close()


async def test_an_entry_of_somebody_else_beside_such_a_marker_is_noticed(client: Client) -> None:
    journal = await journal_after_a_commit(client)
    await committed(journal)
    await mark_again(journal)
    await client.producer.send_and_wait(LEDGER, b"foreign", partition=PLACE)
    await mark_again(journal)
    with pytest.raises(LedgerMoved):
        await append(journal, b"never")
    await journal.close()
    heir = Journal(client.bootstrap, PLACE)
    await heir.fence()
    assert await committed(heir) == [b"1", b"foreign"]
    await heir.close()


async def test_others_transactions_are_let_be(client: Client) -> None:
    other = AIOKafkaProducer(bootstrap_servers=client.bootstrap, transactional_id="somebody-else")
    await other.start()
    await other.begin_transaction()
    await other.send_and_wait(CHECKPOINTS, b"1", key=b"k", partition=PLACE)
    journal = Journal(client.bootstrap, PLACE)
    await journal.fence()
    assert await journal.settle()
    assert await is_stuck(client, CHECKPOINTS)
    await other.commit_transaction()
    assert [record.value for record in await client.read(CHECKPOINTS, PLACE, 1)] == [b"1"]
    await journal.close()
    await other.stop()


async def test_a_fenced_writer_ends_what_was_left_open_in_any_partition_that_it_may_reach(client: Client) -> None:
    name = "some-replay"
    dead = FencedWriter(client.bootstrap, name)
    await dead.fence()
    async with dead.transaction() as transaction:
        await transaction.append(DEADLETTERS, PLACE, [(b"k", b"a mark", [])])
    await leave_open(dead._producer, CHECKPOINTS, b"a record")
    heir = FencedWriter(client.bootstrap, name, Leftovers(name, (DEADLETTERS, PLACE), (CHECKPOINTS, None)))
    await heir.fence()
    assert [record.value for record in await client.read(CHECKPOINTS, PLACE, 1)] == [b"a record"]
    await heir.close()
    await dead.close()


async def test_commands_that_a_forgotten_replay_holds_up_are_answered_all_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenure, "_HELD_UP_SECONDS", 1.0)
    dead = FencedWriter(client.bootstrap, "pumasi-replay-1")
    await dead.fence()
    await leave_open(dead._producer, COMMANDS, b"{}")
    await client.fund("jilin")
    await client.flush()
    assert await is_stuck(client, COMMANDS)
    matcher = Matcher(client.bootstrap, load(session_timeout_ms=6000))
    await matcher.start()
    try:
        await client.read(LEDGER, PLACE, 2)
    finally:
        await matcher.stop()
    first, second = await client.read(LEDGER, PLACE, 2)
    assert [json.loads(record.value)["cause"]["offset"] for record in (first, second)] == [0, 1]
    assert not await is_stuck(client, COMMANDS)
    await dead.close()
