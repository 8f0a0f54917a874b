"""Checkpoints on a real broker: written with the entries they stand for or not at all, and never believed against the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaTimeoutError

from services.bus import topics
from services.bus.produce.transaction import Sent, Transaction
from services.errors import KafkaUnreachable
from services.matcher.app import Matcher
from services.matcher.audit import PartitionAudit, audit_partition
from services.matcher.checkpoint import restoring
from services.matcher.checkpoint.differences import differences
from services.matcher.checkpoint.restoring import Restored, restored
from services.matcher.checkpoint.writing import HEAD, VERSION, mark_of
from services.matcher.ledger.journal import Journal
from services.matcher.ledger.replay import Replay
from services.matcher.partition import processor as processors
from services.matcher.partition.processor import Processor
from services.news import MatcherNews, Taken
from services.settings import Settings
from tests.broker.raw import COMMANDS, LEDGER, PARTITION, PARTITIONS, Client

NEXT = VERSION + 1
CHECKPOINTS = "pumasi.checkpoints.v1"
PLACE = PARTITION["jilin"]
NEVER = 10**9


@pytest.fixture
async def client(topics_reset) -> AsyncIterator[Client]:
    async with Client(topics_reset.bootstrap) as client:
        yield client


async def some_life(client: Client, begin: int = 0, count: int = 12) -> int:
    """Commands of all kinds for one fund, to be answered with an entry each; how many."""
    told = 0
    if not begin:
        await client.fund("jilin", share=5000, ageing_days=1)
        told += 1
    for number in range(begin, begin + count):
        case, pledge, amount = f"c-{number}", f"p-{number}", 10_000
        await client.case("jilin", case, amount)
        await client.pledge("jilin", pledge, amount, designation={"case": case})
        await client.command("payment.received", fund="jilin", pledge=pledge, payment=f"y-{number}", amount=amount)
        await client.pledge("jilin", f"waits-{number}", 700, expires_at="2027-01-01T00:00:00Z")
        told += 4
        if number % 2:
            await client.command("case.delivered", fund="jilin", case=case, delivery=f"d-{number}", amount=amount)
            await client.command("case.closed", fund="jilin", case=case, outcome="completed")
            told += 2
    await client.flush()
    return told


async def current(client: Client) -> dict[bytes, bytes]:
    """The newest value of every key in the checkpoints' partition, as a reader of its own finds it."""
    records: dict[bytes, bytes] = {}
    for record in await every(client):
        if record.value is None:
            records.pop(record.key, None)
        else:
            records[record.key] = record.value
    return records


async def every(client: Client) -> list:
    """Every committed record of the checkpoints' partition."""
    return await client.read(CHECKPOINTS, PLACE, 0)


def seq_of(records: dict[bytes, bytes]) -> int:
    """The entry that a checkpoint stands for."""
    return json.loads(records[HEAD])["seq"]


async def put(client: Client, *rows: tuple[bytes, bytes | None]) -> None:
    """Write records past the matcher."""
    for key, value in rows:
        await client.producer.send_and_wait(CHECKPOINTS, value, key, partition=PLACE)


def a_processor(client: Client, entries: int = 1, seconds: float = NEVER, timeout_ms: int = 60_000) -> Processor:
    return Processor(client.bootstrap, PLACE, PARTITIONS, timeout_ms, entries, seconds)


async def commands(client: Client, count: int) -> list:
    found = await client.read(COMMANDS, PLACE, count)
    assert len(found) == count
    return found


@contextlib.asynccontextmanager
async def at_work(processor: Processor) -> AsyncIterator[Processor]:
    """A processor that has taken its partition."""
    await processor.take()
    try:
        yield processor
    finally:
        await processor.close()


async def from_the_ledger(client: Client) -> Replay:
    """What all entries lead to, no checkpoint asked."""
    replay = Replay(PLACE)
    for record in await client.read(LEDGER, PLACE, 0):
        replay.feed(record.value)
    return replay


async def assert_whole_and_right(client: Client) -> Restored:
    """The checkpoint is of the last entry, tells what the ledger does, and nothing else lies in its partition."""
    records, replay = await current(client), await from_the_ledger(client)
    found = restored(records)
    assert found.head.seq == replay.seq
    assert list(differences(found.engine, replay.engine)) == []
    assert found.keeper.records == len(records) - 1
    return found


async def assert_audit_holds(client: Client, checkpoint: int | None = None) -> PartitionAudit:
    result = await audit_partition(client.bootstrap, PLACE, PARTITIONS)
    assert (result.findings, result.unanswered) == ([], 0)
    assert checkpoint is None or result.checkpoint == checkpoint
    return result


async def test_what_was_written_with_an_entry_is_there_with_it(client: Client) -> None:
    count = await some_life(client)
    async with at_work(a_processor(client, entries=5)) as processor:
        for record in await commands(client, count):
            await processor.answer([record])
            records = await current(client)
            if seq := processor.seq // 5 * 5:
                assert seq_of(records) == seq
                assert restored(records).head.watermark == seq - 1
            else:
                assert not records
    assert all(not record.headers for record in await every(client))  # state, no events
    await assert_audit_holds(client, count // 5 * 5)


async def test_entries_that_are_not_committed_bring_no_checkpoint(client: Client, monkeypatch) -> None:
    count = await some_life(client)
    records = await commands(client, count)
    async with at_work(a_processor(client)) as processor:
        await processor.answer(records[:20])
        before = await current(client)

        async def broken(_producer: AIOKafkaProducer) -> None:
            raise KafkaTimeoutError

        monkeypatch.setattr(AIOKafkaProducer, "commit_transaction", broken)
        with pytest.raises(KafkaUnreachable):
            await processor.answer(records[20:])
        monkeypatch.undo()
        await processor.take()
        assert (processor.seq, processor.recovered.head.seq) == (20, 20)
        assert await current(client) == before
        processor._rhythm.written(20)  # as after a while
        await processor.answer(records[20:])
    await assert_whole_and_right(client)
    await assert_audit_holds(client, count)


async def test_the_half_of_a_zombies_checkpoint_is_never_read(client: Client) -> None:
    count = await some_life(client)
    records = await commands(client, count)
    async with at_work(a_processor(client)) as processor:
        await processor.answer(records[:20])
    dying = AIOKafkaProducer(bootstrap_servers=client.bootstrap, transactional_id=f"pumasi-matcher-{PLACE}")
    await dying.start()
    await dying.begin_transaction()
    for key, value in (await current(client)).items():
        await dying.send_and_wait(CHECKPOINTS, None if key == HEAD else value[:-1] + b" ]", key, partition=PLACE)
    async with at_work(a_processor(client)) as heir:
        assert (heir.recovered.head.seq, heir.seq) == (20, 20)
        await heir.answer(records[20:])
    with contextlib.suppress(Exception):  # it was fenced, which is the point
        await dying.stop()
    await assert_whole_and_right(client)
    await assert_audit_holds(client, count)


@pytest.mark.parametrize("at", [1, 2, 7, 30])
async def test_a_restart_goes_on_from_the_checkpoint_and_the_entries_since(client: Client, at: int) -> None:
    """After each answer a matcher dies and another goes on: straight after a checkpoint, and any number of entries later."""
    count = await some_life(client, count=6)
    records = await commands(client, count)
    checkpoints = set()
    for number in range(0, count, 3):
        async with at_work(a_processor(client, entries=at)) as processor:
            head = processor.recovered.head
            checkpoints.add(head and head.seq)
            assert processor.seq == number
            assert not head or 0 <= number - head.seq < at + 3
            await processor.answer(records[number : number + 3])
    assert len(checkpoints) > count // (at + 3)
    await assert_audit_holds(client)


async def test_a_restart_amid_an_answer_in_several_entries(client: Client) -> None:
    await client.fund("jilin", share=1)
    for number in range(4000):
        await client.case("jilin", f"c-{number}", 10)
    await client.pledge("jilin", "p-1", 30_000)
    await client.pledge("jilin", "p-2", 5)
    await client.flush()
    records = await commands(client, 4003)
    async with at_work(a_processor(client, entries=4001)) as processor:
        await processor.answer(records[:4001])
        assert processor.seq == 4001
        await processor.answer(records[4001:4002])
        assert processor.seq >= 4003, "the answer is in several entries"
    async with at_work(a_processor(client)) as processor:  # a checkpoint before it
        assert processor.recovered.head.seq == 4001
        await processor.answer(records[4002:])
    async with at_work(a_processor(client)) as processor:  # and one after it
        assert processor.recovered.head.seq == processor.seq
        last = processor.seq
    head = json.loads((await current(client))[HEAD])
    within = (await client.read(LEDGER, PLACE, last))[4001]
    assert json.loads(within.value)["more"]
    forged = {"seq": 4002, "hash": json.loads(within.value)["hash"], "watermark": 4001, "ledger_offset": 0}
    await put(client, (HEAD, json.dumps(head | forged).encode()))
    async with at_work(a_processor(client)) as processor:  # one that claims to be of a part of it
        assert "do not fit" in processor.recovered.without
        assert processor.seq == last
    await assert_audit_holds_but_for(client, "of another ledger")


async def assert_audit_holds_but_for(client: Client, finding: str) -> None:
    result = await audit_partition(client.bootstrap, PLACE, PARTITIONS)
    assert len(result.findings) == 1
    assert finding in result.findings[0]


def deleted(records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    return [(next(key for key in records if key.startswith(b"pledge/")), None)]


def altered(records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    key = next(key for key in records if key.startswith(b"case/"))
    return [(key, records[key].replace(b"10000", b"10001", 1))]


def added(_records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    return [(b"pledge/jilin/nobody", b'[%d,["nobody"]]' % VERSION), (b"no-such-kind", b"")]


def of_a_newer_version(records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    return [(HEAD, records[HEAD].replace(b'"version":%d' % VERSION, b'"version":%d' % NEXT))]


def unreadable(_records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    return [(HEAD, b'{"version":%d}' % VERSION)]


def of_another_entry(records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    return [(HEAD, json.dumps(json.loads(records[HEAD]) | {"hash": "00" * 32}).encode())]


def of_an_entry_to_come(records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    return [(HEAD, json.dumps(json.loads(records[HEAD]) | {"seq": 900, "ledger_offset": 5000}).encode())]


def of_money_made_up(records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    """By someone who knows how the state hash is made."""
    key = next(key for key, value in records.items() if b',"1",700,700,' in value)
    return resealed(records, key, records[key].replace(b',"1",700,700,', b',"1",900,700,'))


def of_another_donor(records: dict[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    """Likewise; and all sums hold."""
    key = next(key for key in records if key.startswith(b"pledge/jilin/waits-"))
    return resealed(records, key, records[key].replace(b'"d-', b'"x-', 1))


def resealed(records: dict[bytes, bytes], key: bytes, value: bytes) -> list[tuple[bytes, bytes | None]]:
    marks = [mark_of(*record) for record in (records | {key: value}).items() if record[0] != HEAD]
    head = json.loads(records[HEAD]) | {"state": f"{sum(marks) % 2**128:032x}"}
    return [(key, value), (HEAD, json.dumps(head).encode())]


DAMAGE = {
    deleted: "state hash",
    altered: "state hash",
    added: "state hash",
    of_a_newer_version: f"version {NEXT}",
    unreadable: "head",
    of_another_entry: "does not hold entry",
    of_an_entry_to_come: "does not hold entry",
    of_money_made_up: "does not conserve money",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__.replace("_", " "))
async def test_a_damaged_checkpoint_is_told_and_written_anew(client: Client, damage, caplog) -> None:
    count = await some_life(client)
    records = await commands(client, count)
    async with at_work(a_processor(client)) as processor:
        await processor.answer(records[:40])
        await processor.answer(records[40:41])
    await put(client, *damage(await current(client)))
    result = await audit_partition(client.bootstrap, PLACE, PARTITIONS)
    assert bool(result.findings) == (damage is not of_a_newer_version), "another version's is no finding"
    with caplog.at_level(logging.WARNING, "pumasi.matcher"):
        async with running(client.bootstrap, 1) as (_matcher, told):
            await client.ledger("jilin", count)
    [taken] = [news for news in told if isinstance(news, Taken) and news.partition == PLACE]
    assert (taken.checkpoint, taken.seq) == (None, 41)
    [line] = [record.message for record in caplog.records if "checkpoint" in record.message]
    assert DAMAGE[damage] in line
    assert f"partition {PLACE}: no checkpoint was of use" in line
    await assert_whole_and_right(client)
    await assert_audit_holds(client, count)


async def test_a_checkpoint_that_fits_and_lies_is_found_by_the_audit(client: Client) -> None:
    count = await some_life(client)
    async with at_work(a_processor(client)) as processor:
        await processor.answer(await commands(client, count))
    await put(client, *of_another_donor(await current(client)))
    await assert_audit_holds_but_for(client, "tells something else than the ledger of pledge jilin/waits-")


@contextlib.asynccontextmanager
async def running(bootstrap: str, entries: int) -> AsyncIterator[tuple[Matcher, list[MatcherNews]]]:
    """A matcher in this process, with all its partitions recovered, and what it tells."""
    told: list[MatcherNews] = []
    matcher = Matcher(bootstrap, Settings(checkpoint_entries=entries), told.append)
    await matcher.start()
    try:
        async with asyncio.timeout(60):
            while sum(isinstance(news, Taken) for news in told) < PARTITIONS:
                await asyncio.sleep(0.02)
        yield matcher, told
    finally:
        await matcher.stop()


async def test_another_lifes_checkpoint_is_left_alone_until_there_is_an_own_one(client: Client) -> None:
    """Ledger and commands are made anew; the checkpoints' topic stays, as after an installation was begun again by hand."""
    count = await some_life(client)
    async with at_work(a_processor(client)) as processor:
        await processor.answer(await commands(client, count))
    before = await current(client)
    admin = AIOKafkaAdminClient(bootstrap_servers=client.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([LEDGER, COMMANDS])
        while {LEDGER, COMMANDS} & set(await admin.list_topics()):
            await asyncio.sleep(0.05)
    finally:
        await admin.close()
    await topics.ensure(client.bootstrap)
    async with Client(client.bootstrap) as anew:
        async with at_work(a_processor(anew)) as processor:  # an empty ledger
            assert (processor.seq, processor.recovered.head) == (0, None)
            assert "does not hold entry" in processor.recovered.without
            assert await current(anew) == before
        await anew.fund("jilin", share=77)
        await anew.case("jilin", "c-of-this-life", 500)
        await anew.flush()
        async with at_work(a_processor(anew, entries=NEVER)) as processor:
            await processor.answer(await commands(anew, 2))
        async with at_work(a_processor(anew)) as processor:  # a shorter one
            assert (processor.seq, processor.recovered.head) == (2, None)
            await anew.pledge("jilin", "p-of-this-life", 50)
            await anew.flush()
            await processor.answer(await commands(anew, 3))
        found = await assert_whole_and_right(anew)
        assert set(found.engine.funds["jilin"].pledges) == {"p-of-this-life"}
        await assert_audit_holds(anew, 3)


async def test_a_ledger_made_again_from_the_same_commands_fits_its_checkpoint(client: Client) -> None:
    """It is a function of the commands, so it is the same ledger; only its offsets may be others."""
    count = await some_life(client)
    records = await commands(client, count)
    async with at_work(a_processor(client)) as processor:
        for record in records:  # transactions of one entry each: offsets spread wide
            await processor.answer([record])
    admin = AIOKafkaAdminClient(bootstrap_servers=client.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([LEDGER])
        while LEDGER in set(await admin.list_topics()):
            await asyncio.sleep(0.05)
    finally:
        await admin.close()
    await topics.ensure(client.bootstrap)
    async with at_work(a_processor(client, entries=NEVER)) as processor:
        assert processor.seq == 0
        await processor.answer(records)
    async with at_work(a_processor(client)) as processor:
        assert processor.seq == count
    await assert_audit_holds(client, count)


async def test_a_version_that_knows_no_checkpoints_may_take_turns_with_this_one(client: Client, monkeypatch) -> None:
    """It reads the whole ledger, writes none, and leaves one behind that is older than the ledger."""

    async def knows_none(_journal: Journal) -> AsyncIterator[list]:
        for nothing in ():
            yield nothing

    count = await some_life(client)
    records = await commands(client, count)
    of_the_new = 0
    for number, end in enumerate(range(6, count + 6, 6)):
        if number % 2:
            with monkeypatch.context() as patch:
                patch.setattr(Journal, "checkpoint", knows_none)
                old = a_processor(client, entries=NEVER)
                await old.take()
            assert old.recovered.head is None
            await old.answer(records[:end])
            await old.close()
        else:
            async with at_work(a_processor(client)) as processor:
                head = processor.recovered.head
                assert (head.seq if head else 0) == of_the_new
                await processor.answer(records[:end])
                of_the_new = processor.seq
    async with at_work(a_processor(client)) as processor:
        assert processor.recovered.head.seq == of_the_new
        assert processor.seq == count
    await assert_audit_holds(client, of_the_new)


async def test_an_older_versions_records_are_brought_up_to_date(client: Client, monkeypatch) -> None:
    """As the next version will do it: rows of the old one are read through `UPCASTS`, and stay until they change."""
    count = await some_life(client)
    records = await commands(client, count)
    async with at_work(a_processor(client)) as processor:
        await processor.answer(records[:30])
    seen = []

    def upcast(key: bytes, row: Any) -> Any:
        seen.append(key)
        return {**row, "version": NEXT} if key == HEAD else row

    monkeypatch.setattr(restoring, "VERSION", NEXT)
    monkeypatch.setattr("services.matcher.checkpoint.writing.VERSION", NEXT)
    async with at_work(a_processor(client)) as processor:
        assert f"version {VERSION}; this matcher knows {NEXT}" in processor.recovered.without
    monkeypatch.setitem(restoring.UPCASTS, VERSION, upcast)
    async with at_work(a_processor(client)) as processor:
        assert (processor.recovered.head.seq, processor.seq) == (30, 30)
        assert set(seen) == set(await current(client))
        await processor.answer(records[30:])
    newer = await current(client)
    versions = {json.loads(value)[0] for key, value in newer.items() if key != HEAD}
    assert versions == {VERSION, NEXT}
    await assert_whole_and_right(client)
    monkeypatch.undo()
    async with at_work(a_processor(client)) as processor:  # and back to the older version
        assert f"version {NEXT}; this matcher knows {VERSION}" in processor.recovered.without
        assert processor.seq == count


async def test_a_whole_checkpoint_may_take_several_transactions(client: Client, monkeypatch) -> None:
    monkeypatch.setattr(processors, "RECORDS_AT_ONCE", 10)
    monkeypatch.setattr("services.matcher.checkpoint.writing.PORTION", 4)
    count = await some_life(client, count=24)
    records = await commands(client, count)
    async with at_work(a_processor(client, entries=NEVER)) as processor:
        await processor.answer(records[:60])
    async with at_work(a_processor(client)) as processor:
        await processor.answer(records[60:61])
        part = await current(client)
        assert part and HEAD not in part, "begun"
    async with at_work(
        a_processor(client)
    ) as processor:  # who dies in between leaves no checkpoint, and what lies there is in nobody's way
        assert processor.recovered.head is None
        heads = []
        for record in records[61:]:
            await processor.answer([record])
            heads.append(HEAD in await current(client))
        assert heads[0] is False
        assert heads[-1] is True
        assert heads == sorted(heads), "once it is whole, each next one is written at once"
    await assert_whole_and_right(client)
    await assert_audit_holds(client, count)


async def test_a_checkpoint_that_takes_too_long_does_not_keep_entries_from_being_written(
    client: Client, monkeypatch
) -> None:
    monkeypatch.setattr(
        "services.matcher.partition.batch.TURN_SECONDS", 60.0
    )  # what is at hand goes into one transaction
    count = await some_life(client)
    records = await commands(client, count)

    async with at_work(a_processor(client, entries=10, timeout_ms=5000)) as processor:
        await processor.answer(records[:20])
        assert seq_of(await current(client)) == 20
        send = Transaction.send

        async def stalls(self: Transaction, topic: str, partition: int, portions: Any) -> list[Sent]:
            if topic == CHECKPOINTS:
                await asyncio.sleep(60)
            return await send(self, topic, partition, portions)

        monkeypatch.setattr(Transaction, "send", stalls)
        with pytest.raises(KafkaUnreachable):
            await processor.answer(records[20:31])
        await processor.take()
        assert processor.seq == 20
        await processor.answer(records[20:31])  # this time without
        assert (processor.seq, seq_of(await current(client))) == (31, 20)
        monkeypatch.setattr(Transaction, "send", send)
        await processor.answer(records[31:35])
        assert seq_of(await current(client)) == 20, "not yet"
        await processor.answer(records[35:])
        assert seq_of(await current(client)) == count
    await assert_audit_holds(client, count)


async def test_kill_9_is_survived_from_checkpoint_and_tail(client: Client) -> None:
    funds = list(PARTITION)
    for fund in funds:
        await client.fund(fund)
        for number in range(20):
            await client.case(fund, f"c-{number}", 500_000)
    for number in range(4000):
        await client.pledge(funds[number % 4], f"p-{number}", 1 + number * 37 % 9000)
    await client.flush()
    first = await spawn(client.bootstrap)
    await client.read(LEDGER, PARTITION["jilin"], 100)
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()
    second = await spawn(client.bootstrap)
    for fund in funds:
        assert len(await client.ledger(fund, 1021)) == 1021
    os.kill(second.pid, signal.SIGKILL)
    await second.wait()
    third = await spawn(client.bootstrap)
    assert third.taken.keys() == set(range(PARTITIONS))
    for taken in third.taken.values():
        assert taken["seq"] == 1021
        assert 0 <= 1021 - taken["checkpoint"] < 150
    third.send_signal(signal.SIGTERM)
    assert await third.wait() == 0
    for partition in range(PARTITIONS):
        result = await audit_partition(client.bootstrap, partition, PARTITIONS)
        assert (result.findings, result.unanswered, result.entries) == ([], 0, 1021)
        assert result.checkpoint


async def spawn(bootstrap: str, **settings: str) -> Any:
    """A matcher as a process of its own, ready; `taken` holds what it said of each partition."""
    environment = {"PUMASI_KAFKA": bootstrap, "PUMASI_CHECKPOINT_ENTRIES": "150", "PUMASI_INSTANCE": "m-1", **settings}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "matcher", "--json",
        env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    process.taken = {}
    async with asyncio.timeout(100):
        while True:
            told = json.loads(await process.stdout.readline())
            if told.get("event") == "taken":
                process.taken[told["partition"]] = told
            if "ready" in told:
                return process


async def test_a_named_matcher_is_back_long_before_its_session_is_over(client: Client) -> None:
    session = {"PUMASI_SESSION_TIMEOUT_MS": "120000"}
    first = await spawn(client.bootstrap, **session)
    first.kill()
    await first.wait()
    second = await spawn(client.bootstrap, **session)  # within 100 s
    assert second.taken.keys() == set(range(PARTITIONS))
    second.send_signal(signal.SIGTERM)
    assert await second.wait() == 0
    other = await spawn(client.bootstrap, **session, PUMASI_INSTANCE="m-2")  # who stops in good order is not waited for
    assert other.taken.keys() == set(range(PARTITIONS))
    other.send_signal(signal.SIGTERM)
    assert await other.wait() == 0


async def test_a_partition_compacted_by_the_broker_still_restores(client: Client) -> None:
    await remake(client.bootstrap, {"segment.bytes": str(1 << 20), "max.compaction.lag.ms": "1000"})
    await client.fund("jilin")
    for number in range(50):
        await client.case("jilin", f"c-{number}", 10**9)
    for number in range(3000):
        await client.pledge("jilin", f"p-{number}", 10_000 + number)
    for number in range(0, 3000, 2):
        await client.command("payment.received", fund="jilin", pledge=f"p-{number}", payment=f"y-{number}", amount=10)
    for number in range(0, 3000, 3):
        await client.command("pledge.withdrawn", fund="jilin", pledge=f"p-{number}")
    await client.flush()
    count = 51 + 3000 + 1500 + 1000
    records = await commands(client, count)
    async with at_work(a_processor(client)) as processor:
        for start in range(0, count - 1, 200):
            await processor.answer(records[start : min(start + 200, count - 1)])
        written = await every(client)
        before = await current(client)
        async with asyncio.timeout(100):  # the cleaner looks every 15 s
            while len(await every(client)) > len(written) * 0.8:
                await put(
                    client, (b"late", b""), (b"late", None)
                )  # a segment is closed by the first record after its time
    assert await current(client) == before
    async with at_work(a_processor(client)) as heir:
        assert heir.recovered.head.seq == heir.seq == count - 1
        await heir.answer(records[-1:])
    await assert_whole_and_right(client)
    await assert_audit_holds(client, count)


async def remake(bootstrap: str, config: dict[str, str]) -> None:
    """Make the checkpoints' topic anew, to be compacted within seconds."""
    [checkpoints] = [topic for topic in topics.wanted_topics() if topic.name == CHECKPOINTS]
    tuning = {
        **checkpoints.config,
        **checkpoints.tuning,
        "min.cleanable.dirty.ratio": "0.01",
        "min.compaction.lag.ms": "0",
    }
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([CHECKPOINTS])
        while CHECKPOINTS in await admin.list_topics():
            await asyncio.sleep(0.05)
        await admin.create_topics([NewTopic(CHECKPOINTS, PARTITIONS, 1, topic_configs={**tuning, **config})])
        while CHECKPOINTS not in await admin.list_topics():
            await asyncio.sleep(0.05)
    finally:
        await admin.close()
