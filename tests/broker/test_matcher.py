"""The matcher on a real broker: what only a broker decides, transactions, fencing, restart, rebalance."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from services.bus.envelope import entry_headers
from services.errors import Fenced, KafkaUnreachable
from services.matcher.app import Matcher
from services.matcher.audit import audit_partition
from services.matcher.ledger.journal import Appending
from services.matcher.partition.processor import Processor
from services.news import MatcherNews, Stopped
from services.settings import Settings
from tests.broker.poison import POISON, TOLD_WITHOUT
from tests.broker.raw import COMMANDS, DEADLETTERS, LEDGER, PARTITION, PARTITIONS, Client, headers, kinds
from tests.waiting import until

SETTINGS = Settings(session_timeout_ms=6000)


@contextlib.asynccontextmanager
async def running(bootstrap: str) -> AsyncIterator[Matcher]:
    """A matcher in this process, with all its partitions recovered."""
    matcher = Matcher(bootstrap, SETTINGS)
    await matcher.start()
    try:
        await until(lambda: all_ready(matcher))
        yield matcher
    finally:
        await matcher.stop()


def all_ready(*matchers: Matcher) -> bool:
    held = [partition for matcher in matchers for partition in matcher.held]
    return sorted(held) == list(range(PARTITIONS)) and all(
        partition in matcher.stopped or matcher.tenures[partition].processor.ready
        for matcher in matchers
        for partition in matcher.held
    )


async def assert_audit_holds(bootstrap: str, unanswered: int = 0) -> None:
    for partition in range(PARTITIONS):
        result = await audit_partition(bootstrap, partition, PARTITIONS)
        assert result.findings == []
        assert result.unanswered == unanswered


@pytest.fixture
async def client(topics_reset) -> AsyncIterator[Client]:
    async with Client(topics_reset.bootstrap) as client:
        yield client


async def spawn(bootstrap: str) -> asyncio.subprocess.Process:
    """A matcher as a process of its own, ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "matcher", "--json",
        env={**os.environ, "PUMASI_KAFKA": bootstrap, "PUMASI_SESSION_TIMEOUT_MS": "6000"},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        while b'"ready"' not in await process.stdout.readline():
            assert process.returncode is None
    return process


async def test_each_command_gets_one_entry_as_the_contract_has_it(client: Client) -> None:
    await client.fund("jilin", share=5000)
    await client.case("jilin", "c-1", 20_000)
    await client.case("jilin", "c-2", 20_000)
    await client.pledge("jilin", "p-1", 10_000)
    await client.command("pledge.withdrawn", fund="jilin", pledge="p-9")
    await client.command("payment.received", fund="yanji", pledge="p-1", payment="y-1", amount=5)
    await client.flush()
    async with running(client.bootstrap):
        await client.ledger("jilin", 5)
        await client.ledger("yanji", 1)
    entries = await client.ledger("jilin", 5)
    [stray] = await client.ledger("yanji", 1)
    assert [e["cause"] for e in entries] == [
        {"id": f"e-{n + 1}", "type": f"pumasi.{kind}", "offset": n}
        for n, kind in enumerate(
            ["fund.configured", "case.submitted", "case.submitted", "pledge.made", "pledge.withdrawn"]
        )
    ]
    accepted, first, second = entries[3]["facts"]
    assert accepted["fact"] == "pledge_accepted"
    why = {"class": "urgent", "key": 5000, "before": 0, "after": 5000, "claim": 20_000}
    assert first == {"fact": "awarded", "award": "p-1/1", "pledge": "p-1", "case": "c-1", "amount": 5000, "why": why}
    assert second == {"fact": "awarded", "award": "p-1/2", "pledge": "p-1", "case": "c-2", "amount": 5000, "why": why}
    assert [f["code"] for f in entries[4]["facts"]] == ["unknown_pledge"]
    assert [f["code"] for f in stray["facts"]] == ["unknown_fund"]
    await assert_audit_holds(client.bootstrap)


async def test_each_poison_gets_an_entry_and_a_dead_letter_and_its_neighbours_go_on(client: Client) -> None:
    partition = PARTITION["jilin"]
    await client.fund("jilin")
    await client.flush()
    for key, value, heads in POISON.values():
        await client.raw(partition, key, value, heads)
    await client.case("jilin", "c-1", 20_000)
    await client.flush()
    async with running(client.bootstrap):
        await client.ledger("jilin", len(POISON) + 2)
        await client.read(DEADLETTERS, partition, len(POISON))
    entries = await client.ledger("jilin", len(POISON) + 2)
    letters = await client.read(DEADLETTERS, partition, len(POISON))
    assert len(entries) == len(POISON) + 2
    assert kinds(entries[-1]) == ["case_submitted", "case_opened"]
    assert len(letters) == len(POISON)
    for number, (name, (key, value, heads)) in enumerate(POISON.items(), 1):
        entry, letter = entries[number], letters[number - 1]
        assert [f["code"] for f in entry["facts"]] == ["unreadable"], name
        assert entry["cause"]["id"] is None and entry["fund"] is None, name
        told = dict(letter.headers)
        assert told["__streams.errors.exception"] == b"unreadable", name
        assert told["__streams.errors.topic"] == COMMANDS.encode(), name
        assert told["__streams.errors.partition"] == str(partition).encode(), name
        assert told["__streams.errors.offset"] == str(number).encode(), name
        assert told["__streams.errors.message"].decode() == entry["facts"][0]["detail"], name
        whole = name not in TOLD_WITHOUT  # names and free text are no business of the bus
        assert (told["pumasi.withheld"] == b"nothing") is whole, name
        expected = value if whole else TOLD_WITHOUT[name]
        if isinstance(expected, str):
            assert json.loads(letter.value) == {"withheld": expected, "bytes": len(value)}, name
        else:
            assert (letter.value or b"") == expected, name
        if whole:
            assert (letter.key, list(letter.headers)[: len(heads)]) == (key, heads), name
    await assert_audit_holds(client.bootstrap)


async def test_an_answer_beyond_the_limit_goes_on_in_further_entries(client: Client) -> None:
    await client.fund("jilin", share=1)
    for number in range(4000):
        await client.case("jilin", f"c-{number}", 10)
    await client.pledge("jilin", "p-1", 40_000)
    await client.flush()
    async with running(client.bootstrap):
        entries = await client.ledger("jilin", 4003)
    answer = [entry for entry in entries if entry["cause"]["type"] == "pumasi.pledge.made"]
    assert len(answer) > 1
    assert [entry.get("more", False) for entry in answer] == [True] * (len(answer) - 1) + [False]
    assert sum(f["amount"] for entry in answer for f in entry["facts"] if f["fact"] == "awarded") == 40_000
    async with running(client.bootstrap) as again:  # and is recovered as one
        assert again.tenures[PARTITION["jilin"]].processor.seq == len(entries)
    await assert_audit_holds(client.bootstrap)


async def test_who_takes_a_partition_shuts_out_the_former_owner(client: Client) -> None:
    partition = PARTITION["jilin"]
    first, second = (Processor(client.bootstrap, partition, PARTITIONS, 60_000) for _ in range(2))
    await client.fund("jilin")
    await client.case("jilin", "c-1", 20_000)
    await client.flush()
    commands = await client.read(COMMANDS, partition, 2)
    await first.take()
    await first.answer(commands[:1])
    await second.take()
    assert second.next_offset == 1
    with pytest.raises(Fenced):
        await first.answer(commands[1:])
    assert not first.ready
    await second.answer(commands)
    assert len(await client.ledger("jilin", 2)) == 2
    await first.close()
    await second.close()


async def test_a_transaction_left_open_is_never_seen_and_its_commands_are_answered_anew(client: Client) -> None:
    partition = PARTITION["jilin"]
    await client.fund("jilin")
    await client.flush()
    dying = AIOKafkaProducer(bootstrap_servers=client.bootstrap, transactional_id=f"pumasi-matcher-{partition}")
    await dying.start()
    await dying.begin_transaction()
    await dying.send_and_wait(
        LEDGER,
        b'{"seq":1,"half":"done"}',
        partition=partition,
        headers=entry_headers(partition, 1, "2026-11-22T10:00:00Z"),
    )
    async with running(client.bootstrap):
        await client.ledger("jilin", 1)
    [entry] = await client.ledger("jilin", 1)
    assert kinds(entry) == ["fund_configured"]
    with contextlib.suppress(Exception):  # it was fenced, which is the point
        await dying.stop()
    await assert_audit_holds(client.bootstrap)


async def test_a_lost_reply_to_a_commit_costs_a_recovery_and_no_entry(client: Client, monkeypatch) -> None:
    partition = PARTITION["jilin"]
    processor = Processor(client.bootstrap, partition, PARTITIONS, 60_000)
    await client.fund("jilin")
    await client.case("jilin", "c-1", 20_000)
    await client.flush()
    commands = await client.read(COMMANDS, partition, 2)
    await processor.take()
    transaction = processor.journal.transaction

    @contextlib.asynccontextmanager
    async def lose_the_reply() -> AsyncIterator[Appending]:
        async with transaction() as begun:
            yield begun
        raise KafkaUnreachable("the reply was lost")

    monkeypatch.setattr(processor.journal, "transaction", lose_the_reply)
    with pytest.raises(KafkaUnreachable):
        await processor.answer(commands)
    assert not processor.ready
    monkeypatch.undo()
    await processor.take()
    assert processor.next_offset == 2
    await processor.answer(commands)
    assert len(await client.ledger("jilin", 2)) == 2
    await processor.close()


async def test_records_that_do_not_follow_on_the_watermark_are_not_answered(client: Client) -> None:
    partition = PARTITION["jilin"]
    processor = Processor(client.bootstrap, partition, PARTITIONS, 60_000)
    await client.fund("jilin")
    await client.case("jilin", "c-1", 20_000)
    await client.flush()
    commands = await client.read(COMMANDS, partition, 2)
    await processor.take()
    assert not await processor.answer(commands[1:])
    assert processor.next_offset == 0
    assert await processor.answer(commands)
    assert processor.next_offset == 2
    await processor.close()


async def test_commands_written_in_transactions_leave_gaps_that_are_followed(client: Client) -> None:
    partition = PARTITION["jilin"]
    await client.fund("jilin")
    await client.flush()
    writer = AIOKafkaProducer(bootstrap_servers=client.bootstrap, transactional_id="replayer")
    await writer.start()
    for number, good in enumerate([True, False, True]):
        await writer.begin_transaction()
        value = b'{"fund":"jilin","pledge":"p-%d","donor":"d","amount":5,"currency":"CNY"}' % number
        await writer.send_and_wait(
            COMMANDS, value, key=b"jilin", partition=partition, headers=headers("pumasi.pledge.made", f"w-{number}")
        )
        await (writer.commit_transaction() if good else writer.abort_transaction())
    await writer.stop()
    async with running(client.bootstrap):
        await client.ledger("jilin", 3)
    entries = await client.ledger("jilin", 3)
    assert [e["cause"]["id"] for e in entries] == ["e-1", "w-0", "w-2"]
    await assert_audit_holds(client.bootstrap)


async def test_kill_9_in_mid_stream_loses_and_doubles_nothing(client: Client) -> None:
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
    first.kill()
    await first.wait()
    second = await spawn(client.bootstrap)
    for fund in funds:
        await client.ledger(fund, 1021)
    second.send_signal(signal.SIGTERM)
    assert await second.wait() == 0
    for fund in funds:
        assert len(await client.ledger(fund, 1021)) == 1021
    await assert_audit_holds(client.bootstrap)


async def test_a_zombie_that_wakes_up_writes_nothing(client: Client) -> None:
    await client.fund("jilin")
    await client.flush()
    zombie = await spawn(client.bootstrap)
    await client.ledger("jilin", 1)
    os.kill(zombie.pid, signal.SIGSTOP)
    heir = Matcher(client.bootstrap, SETTINGS)
    await heir.start()
    try:
        await until(lambda: all_ready(heir))  # once the zombie's session is over
        await client.case("jilin", "c-1", 20_000)
        await client.flush()
        await client.ledger("jilin", 2)
        os.kill(zombie.pid, signal.SIGCONT)
        for number in range(200):
            await client.pledge("jilin", f"p-{number}", 10)
        await client.flush()
        await client.ledger("jilin", 202)
        await until(lambda: len(heir.held) < PARTITIONS)  # the zombie has tried what it tries, and is a member again
    finally:
        await heir.stop()
        zombie.kill()
        await zombie.wait()
    assert len(await client.ledger("jilin", 202)) == 202
    await assert_audit_holds(client.bootstrap)


async def test_matchers_share_the_partitions_and_go_on_when_one_leaves(client: Client) -> None:
    async with running(client.bootstrap) as first:
        second = Matcher(client.bootstrap, SETTINGS)
        await second.start()
        await until(lambda: len(first.held) == len(second.held) == 2 and all_ready(first, second))
        for fund in PARTITION:
            await client.fund(fund)
        await client.flush()
        for fund in PARTITION:
            await client.ledger(fund, 1)
        await second.stop()
        await until(lambda: all_ready(first))
        for fund in PARTITION:
            await client.case(fund, "c-1", 100)
        await client.flush()
        for fund in PARTITION:
            await client.ledger(fund, 2)
    for fund in PARTITION:
        assert len(await client.ledger(fund, 2)) == 2
    await assert_audit_holds(client.bootstrap)


async def test_a_tampered_ledger_stops_its_partition_and_no_other(client: Client) -> None:
    broken = PARTITION["jilin"]
    forged = b'{"seq":1,"fund":"jilin","at":"2026-11-22T10:00:00Z","cause":{"id":"x","type":"y","offset":0},"facts":[],"hash":"00"}'
    await client.producer.send_and_wait(
        LEDGER, forged, partition=broken, headers=entry_headers(broken, 1, "2026-11-22T10:00:00Z")
    )
    await client.fund("jilin")
    await client.fund("yanji")
    await client.flush()
    told: list[MatcherNews] = []
    matcher = Matcher(client.bootstrap, SETTINGS, told.append)
    await matcher.start()
    try:
        await until(lambda: all_ready(matcher))
        await client.ledger("yanji", 1)
    finally:
        await matcher.stop()
    [alarm] = [news for news in told if isinstance(news, Stopped)]
    assert (alarm.partition, alarm.code) == (broken, "ledger_tampered")
    assert len(await client.read(LEDGER, broken, 1)) == 1
    assert (await audit_partition(client.bootstrap, broken, PARTITIONS)).findings


async def test_what_somebody_else_writes_to_the_ledger_stops_the_partition_and_nothing_comes_on_top(
    client: Client,
) -> None:
    broken = PARTITION["jilin"]
    async with running(client.bootstrap) as matcher:
        await client.fund("jilin")
        await client.fund("yanji")
        [entry] = await client.ledger("jilin", 1)
        await client.pledge("jilin", "p-1", 5)
        _, sound = await client.read(LEDGER, broken, 2)
        await client.ledger("jilin", 2)
        await client.producer.send_and_wait(LEDGER, sound.value, sound.key, broken, headers=list(sound.headers))
        await client.pledge("jilin", "p-2", 5)
        await client.pledge("yanji", "p-3", 5)
        await client.ledger("yanji", 2)
        await until(lambda: broken in matcher.stopped)
        assert matcher.stopped[broken].code == "ledger_tampered"
    assert entry["seq"] == 1
    written = await client.read(LEDGER, broken, 3)
    assert [record.value for record in written[1:]] == [sound.value] * 2, "the forged copy is the last"
    assert (await audit_partition(client.bootstrap, broken, PARTITIONS)).findings
