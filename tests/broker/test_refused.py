"""Refused is no answer for ever: what comes again is decided again, at either door; and no record of the submissions topic twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.intake import app, sequencer
from services.intake.events import GROUP
from tests.broker.raw import put_out
from tests.broker.test_intake import (
    DEADLINE_S,
    acknowledged,
    commands,
    event,
    nothing_acknowledged,
    pledge,
    post,
    read,
    record,
    running,
)  # fmt: skip
from tests.broker.test_matcher import assert_audit_holds
from tests.broker.test_matcher import running as matching

FUND = event("fund.configured", 0, currency="CNY", vouchers_required=0)
PARTITION = 3
KILLS = 3


async def decided(client: httpx.AsyncClient, receipt: str) -> dict[str, Any]:
    """What a receipt tells once its command is decided."""
    async with asyncio.timeout(DEADLINE_S):
        while (told := (await client.get(f"/v1/receipts/{receipt}")).json())["state"] == "accepted":
            await asyncio.sleep(0.02)
    return told


async def sent(client: httpx.AsyncClient, one: dict[str, Any]) -> str:
    """The receipt of an event that is taken."""
    response = await post(client, one)
    assert response.status_code == 202, response.text
    return response.json()["accepted"][0]["receipt"]


def payment(number: int, of: str, amount: int = 5) -> dict[str, Any]:
    return event("payment.received", number, pledge=of, payment=f"y-{number}", amount=amount)


def header(command: Any, name: str) -> str | None:
    value = dict(command.headers).get(name)
    return value and value.decode()


@contextlib.asynccontextmanager
async def submitting(kafka: EmbeddedKafka) -> AsyncIterator[Any]:
    """Puts records on one partition of the submissions topic; each call tells the offset."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:

        async def submit(**one: Any) -> int:
            return (await producer.send_and_wait(topics.SUBMISSIONS, partition=PARTITION, **one)).offset

        yield submit


async def test_a_payment_before_its_pledge_is_applied_when_it_comes_again_after_it(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    async with matching(topics_reset.bootstrap):
        async with running(topics_reset, tmp_path) as (_, client):
            await sent(client, FUND)
            early, typo = [await sent(client, payment(n, of)) for n, of in ((1, "p-1"), (2, "p-typo"))]
            assert [(await decided(client, one))["code"] for one in (early, typo)] == ["unknown_pledge"] * 2
            await sent(client, pledge(3, pledge="p-1", amount=10))
            again, corrected = [await sent(client, payment(n, "p-1")) for n in (1, 2)]
            for one in (again, corrected):
                assert (await decided(client, one))["state"] == "applied"
            assert (await decided(client, again))["progress"]["settled"] == 0, "nobody is in need"
            assert await sent(client, payment(1, "p-1")) == again, "applied, it is a repeat"
            misuse = await post(client, payment(2, "p-1", amount=6))
            assert (misuse.status_code, misuse.json()["code"]) == (409, "id_conflict")
        async with running(topics_reset, tmp_path) as (_, client), running(topics_reset, tmp_path) as (_, other):
            for one in (client, other):
                for old, new in ((early, again), (typo, corrected)):
                    told = await decided(one, old)
                    assert (told["state"], told["code"]) == ("rejected", "unknown_pledge")
                    assert told["superseded_by"] == new
                assert await sent(one, payment(1, "p-1")) == again
    assert len(await commands(topics_reset.bootstrap)) == 6
    await assert_audit_holds(topics_reset.bootstrap)


async def test_on_the_topic_too_and_the_receipt_that_http_told_names_the_new_one(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    early = payment(1, "p-1")
    same = record(0, value=early["data"], ce_id=b"e-1", ce_source=b"/forms", ce_type=b"pumasi.payment.received")
    made = pledge(2, pledge="p-1", amount=10)["data"]
    async with matching(topics_reset.bootstrap), running(topics_reset, tmp_path) as (_, client):
        await sent(client, FUND)
        old = await sent(client, early)
        assert (await decided(client, old))["code"] == "unknown_pledge"
        async with submitting(topics_reset) as submit:
            await submit(**record(2, value=made))
            place = await submit(**same)
            await submit(**same)
        await acknowledged(topics_reset.bootstrap, PARTITION)
        told = await decided(client, old)
        assert (await decided(client, told["superseded_by"]))["state"] == "applied"
    found = await commands(topics_reset.bootstrap)
    assert [header(one, "ce_id") for one in found] == ["e-0", "e-1", "t-2", "e-1"]
    assert header(found[3], "pumasi_submission") == f"{PARTITION}-{place}"
    assert header(found[3], "pumasi_supersedes") == f"{found[1].partition}-{found[1].offset}"
    assert await read(topics_reset.bootstrap, topics.DEADLETTERS) == []


async def test_what_comes_again_undecided_waits_for_a_matcher_that_starts_later(
    topics_reset: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(topics_reset, tmp_path) as (_, client), submitting(topics_reset) as submit:
        await sent(client, payment(1, "p-1"))
        monkeypatch.setattr(sequencer, "PATIENCE_SECONDS", 0.05)
        old = await sent(client, payment(1, "p-1"))  # true: it is accepted
        assert (await post(client, payment(1, "p-2"))).status_code == 409
        for _ in range(2):  # both in one poll, or the second while the first waits
            await submit(**record(7))
        await submit(**record(8))
        async with asyncio.timeout(DEADLINE_S):
            while "submissions wait for the matcher" not in caplog.text:
                await asyncio.sleep(0.02)
        assert [header(one, "ce_id") for one in await commands(topics_reset.bootstrap)] == ["e-1", "t-7"]
        monkeypatch.setattr(sequencer, "PATIENCE_SECONDS", DEADLINE_S)
        again = asyncio.create_task(sent(client, payment(1, "p-2")))
        await sent(client, pledge(9))  # held up by nobody
        assert not again.done()
        async with matching(topics_reset.bootstrap):
            new = await again
            assert (await decided(client, old))["superseded_by"] == new != old
            await acknowledged(topics_reset.bootstrap, PARTITION)
    found = Counter(header(one, "ce_id") for one in await commands(topics_reset.bootstrap))
    assert found == {"e-1": 2, "t-7": 2, "t-8": 1, "e-9": 1}
    assert caplog.text.count("submissions wait for the matcher") == 1


async def test_a_door_that_waits_closes_at_once_and_its_records_come_again(
    topics_reset: EmbeddedKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with submitting(topics_reset) as submit:
        for _ in range(2):
            await submit(**record(7))
    async with running(topics_reset, tmp_path), asyncio.timeout(DEADLINE_S):
        while "submissions wait for the matcher" not in caplog.text:
            await asyncio.sleep(0.02)
    assert len(await commands(topics_reset.bootstrap)) == 1
    async with matching(topics_reset.bootstrap), running(topics_reset, tmp_path):
        await acknowledged(topics_reset.bootstrap, PARTITION)
    assert len(await commands(topics_reset.bootstrap)) == 2, "no fund: the second record was decided by itself"


async def test_what_was_published_and_not_acknowledged_is_through_though_it_was_refused_and_is_long_forgotten(
    topics_reset: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "CAPACITY", 4)  # one command of each partition
    async with matching(topics_reset.bootstrap):
        async with running(topics_reset, tmp_path) as (_, client), submitting(topics_reset) as submit:
            with nothing_acknowledged():
                for number in range(30):
                    await submit(**record(number))
                await commands(topics_reset.bootstrap, least=30)
                last = await sent(client, pledge(1000))
                assert (await decided(client, last))["code"] == "unknown_fund"
        async with running(topics_reset, tmp_path), submitting(topics_reset) as submit:
            again = await submit(**record(3))  # a new record, whose event was refused
            await acknowledged(topics_reset.bootstrap, PARTITION)
    found = await commands(topics_reset.bootstrap)
    places = [header(one, "pumasi_submission") for one in found]
    assert places == [*(f"{PARTITION}-{n}" for n in range(30)), None, f"{PARTITION}-{again}"]


NEVER_ACKNOWLEDGES = """
from services.cli import main
from tests.broker.test_intake import nothing_acknowledged

with nothing_acknowledged():
    main()
"""


async def spawned(kafka: EmbeddedKafka, data: Path) -> asyncio.subprocess.Process:
    """An intake as a process of its own, which publishes and acknowledges nothing."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", NEVER_ACKNOWLEDGES, "intake", "--json", "--data", str(data), "--http-port", "0",
        env={**os.environ, "PUMASI_KAFKA": kafka.bootstrap, "PUMASI_TICK_SECONDS": "86400"},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def flowing(kafka: EmbeddedKafka, enough: asyncio.Event) -> int:
    """Submissions without end, to funds that there aren't; how many these were."""
    number = 0
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        while not enough.is_set():
            for _ in range(20):
                data = {**pledge(0)["data"], "fund": f"fund-{number % 7}"}
                one = record(number, value=data)
                await producer.send(topics.SUBMISSIONS, partition=number % 4, **one)
                number += 1
            await producer.flush()
            await asyncio.sleep(0.01)
    return number


async def until_more(kafka: EmbeddedKafka) -> None:
    """Wait until commands have been published that were not there."""
    places = [TopicPartition(topics.COMMANDS, n) for n in range(4)]
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=None) as asking:
        before = await asking.end_offsets(places)
        async with asyncio.timeout(DEADLINE_S):
            while await asking.end_offsets(places) == before:
                await asyncio.sleep(0.005)


async def each_once(kafka: EmbeddedKafka, sent: int) -> None:
    """Wait until all is acknowledged; then each submission has one command."""
    for partition in range(4):
        await acknowledged(kafka.bootstrap, partition)
    found = Counter(header(one, "pumasi_submission") for one in await commands(kafka.bootstrap))
    assert len(found) == sent
    assert [place for place, number in found.items() if number > 1] == []


async def test_kill_9_between_publishing_and_acknowledging_decides_no_refused_record_twice(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    async with matching(topics_reset.bootstrap), submitting(topics_reset) as submit:
        for number in range(KILLS):
            await submit(**record(number))
            process = await spawned(topics_reset, tmp_path)
            await commands(topics_reset.bootstrap, least=number + 1)
            process.kill()
            await process.wait()
            await put_out(topics_reset.bootstrap, GROUP)
        async with running(topics_reset, tmp_path) as (_, client):
            await each_once(topics_reset, KILLS)
            receipt = await sent(client, pledge(1000))
            assert (await decided(client, receipt))["code"] == "unknown_fund", "as the others were"


async def test_two_intakes_that_hand_partitions_over_decide_no_record_twice(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    enough = asyncio.Event()
    flow = asyncio.create_task(flowing(topics_reset, enough))
    async with matching(topics_reset.bootstrap), running(topics_reset, tmp_path):
        for _ in range(KILLS):
            async with running(topics_reset, tmp_path):
                for _ in range(10):
                    await until_more(topics_reset)
        enough.set()
        await each_once(topics_reset, await flow)
