"""A second intake whose clock is ten years ahead, among traffic, on a real broker: nobody's time moves, and it says so itself.

The clock is the soak's: a library preloaded into a true process, so that all of it lives ten years ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.bus.embedded.ports import free_port
from services.console.readmodel.survey import survey
from tests.broker.raw import PARTITIONS
from tests.broker.test_intake import event, pledge, post, read
from tests.broker.test_intake import running as intake_in
from tests.broker.test_matcher import assert_audit_holds
from tests.broker.test_matcher import running as matcher_in
from tests.soak.clocks import Clock, library

TEN_YEARS_S = 3650 * 86_400
DEADLINE_S = 60
NEXT_YEAR = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")
MONTHLY = {"recurrence": {"every": "P1M"}}


class Wrong:
    """An intake as a process of its own, with a clock to be set; and a client of it."""

    def __init__(self, process: asyncio.subprocess.Process, clock: Clock, client: httpx.AsyncClient) -> None:
        self.clock, self.client, self.log = clock, client, ""
        self._process = process
        self._hearing = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        while line := await self._process.stderr.readline():
            self.log += line.decode()

    async def health(self) -> str:
        with contextlib.suppress(httpx.TransportError):
            body = (await self.client.get("/healthz")).json()
            return body.get("code") or body["status"]
        return "away"

    async def ends(self) -> None:
        self._process.terminate()
        await self._process.wait()
        await self._hearing
        await self.client.aclose()


@contextlib.asynccontextmanager
async def wrong_intake(bootstrap: str, data: Path) -> AsyncIterator[Wrong]:
    """An intake that is ten years ahead from its first moment on."""
    preloaded = library(data)
    if preloaded is None:
        pytest.skip("no C compiler for the clock")
    clock, port = Clock(data / "clock", preloaded), free_port()
    clock.step(TEN_YEARS_S)
    own = {
        "PUMASI_KAFKA": bootstrap,
        "PUMASI_DATA": str(data),
        "PUMASI_HTTP_PORT": str(port),
        "PUMASI_TICK_SECONDS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "intake", "--json",
        env={**os.environ, **own, **clock.environment}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    wrong = Wrong(process, clock, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S))
    try:
        yield wrong
    finally:
        await wrong.ends()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():
            await asyncio.sleep(0.1)


async def ledger(bootstrap: str) -> list[dict[str, Any]]:
    """All entries, once every command has its own."""
    commands = await read(bootstrap, topics.COMMANDS)
    found = await read(bootstrap, topics.LEDGER, least=len(commands))
    return [json.loads(record.value) for record in found]


def refused(entries: list[dict[str, Any]]) -> Counter[str]:
    """How many commands of a type were told that their clock was ahead."""
    return Counter(
        entry["cause"]["type"] for entry in entries for fact in entry["facts"] if fact.get("code") == "clock_ahead"
    )


async def opened(client: httpx.AsyncClient) -> None:
    """A fund with all that time could move: a case that ages and one with a deadline, a pledge that ends, one that comes again."""
    case = {"beneficiary": "b-1", "need": "test", "route": "home", "goal": 10**6, "priority": "routine"}
    assert (
        await post(
            client,
            event("fund.configured", 1, currency="CNY", vouchers_required=0),
            event("case.submitted", 2, case="c-1", **case),
            event("case.submitted", 3, case="c-2", **{**case, "beneficiary": "b-2"}, needed_by=NEXT_YEAR),
            pledge(4, pledge="p-ends", amount=500, expires_at=NEXT_YEAR),
            pledge(5, pledge="p-monthly", amount=700, **MONTHLY),
        )
    ).status_code == 202


async def submit_on_topic(bootstrap: str, numbers: range) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number in numbers:
            value = json.dumps(pledge(number)).encode()
            headers = [("content-type", b"application/cloudevents+json")]
            await producer.send_and_wait(topics.SUBMISSIONS, value, partition=number % 4, headers=headers)


async def test_an_intake_ten_years_ahead_moves_nobodys_time_and_stamps_nothing_more(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    bootstrap = topics_reset.bootstrap
    async with matcher_in(bootstrap), intake_in(topics_reset, tmp_path) as (_, right):
        await opened(right)
        async with wrong_intake(bootstrap, tmp_path) as wrong:
            # From its start: its first tick tells it, before anything is taken.
            await until(lambda: is_(wrong.health, "clock_off"))
            assert (await post(wrong.client, pledge(10))).json()["code"] == "clock_off"
            assert "THIS MACHINE'S CLOCK IS OFF, 31535" in wrong.log
            assert set(refused(await ledger(bootstrap))) == {"pumasi.clock.ticked"}

            wrong.clock.step(0)
            await until(lambda: is_(wrong.health, "ok"))
            assert (await post(wrong.client, pledge(11))).status_code == 202

            # While it works: what it stamps at that moment is refused, and it stops by itself.
            wrong.clock.step(TEN_YEARS_S)
            told = [await post(wrong.client, pledge(100 + n)) for n in range(20)]
            assert {r.status_code for r in told[2:]} == {503}
            await until(lambda: is_(wrong.health, "clock_off"))
            before = refused(await ledger(bootstrap))
            await submit_on_topic(bootstrap, range(200, 220))
            assert (await post(right, *(pledge(300 + n, expires_at=NEXT_YEAR) for n in range(20)))).status_code == 202
            await until(lambda: many_more_ticks(bootstrap, before))
            assert (await post(right, pledge(400, expires_at=NEXT_YEAR, **MONTHLY))).status_code == 202
            assert wrong.log.count("CLOCK IS OFF") == 2, "once each time"

            wrong.clock.step(0)
            await until(lambda: is_(wrong.health, "ok"))
            taken = {f"e-{n}" for n in range(200, 220)}
            await until(lambda: all_there(bootstrap, taken))
            again = [await post(wrong.client, pledge(100 + n)) for n in range(20)]
            assert {r.status_code for r in again} == {202}
        entries = await ledger(bootstrap)
        assert_no_time_passed(entries)
        answers = {entry["cause"]["id"]: entry["facts"][0]["fact"] for entry in entries if entry["fund"]}
        assert {answers[f"e-{300 + n}"] for n in range(20)} == {"pledge_accepted"}
        assert answers["e-400"] == "pledge_accepted", "next year is not over"
        assert refused(entries)["pumasi.clock.ticked"] > 4
        assert refused(entries)["pumasi.pledge.made"] <= 2, "those whose stamp told of the clock"
        assert [r.status_code for r in told].count(202) == refused(entries)["pumasi.pledge.made"]
    await assert_audit_holds(bootstrap)
    assert any(finding.code == "clock_ahead" for finding in (await survey(bootstrap, PARTITIONS, 1)).findings)
    async with matcher_in(bootstrap), intake_in(topics_reset, tmp_path) as (_, right):  # recovered from the ledger
        assert (await post(right, pledge(500, expires_at=NEXT_YEAR))).status_code == 202
        assert_no_time_passed(await ledger(bootstrap))
    await assert_audit_holds(bootstrap)


async def is_(health: Callable[[], Awaitable[str]], wanted: str) -> bool:
    return await health() == wanted


async def many_more_ticks(bootstrap: str, before: Counter[str]) -> bool:
    """Whether the clock that is off has been looked at three times more, on each partition."""
    ticks = "pumasi.clock.ticked"
    return refused(await ledger(bootstrap))[ticks] >= before[ticks] + 3 * 4


async def all_there(bootstrap: str, ids: set[str]) -> bool:
    found = [dict(record.headers)["ce_id"].decode() for record in await read(bootstrap, topics.COMMANDS)]
    assert max(Counter(found).values()) <= 4, "once each; a tick on every partition"
    return ids <= set(found)


def assert_no_time_passed(entries: list[dict[str, Any]]) -> None:
    facts = Counter(fact["fact"] for entry in entries for fact in entry["facts"])
    for timers in ("pledge_expired", "pledge_instalment", "case_escalated", "case_renewed"):
        assert facts[timers] == 0, timers
    assert max(entry["at"] for entry in entries) < NEXT_YEAR


async def test_without_append_times_matcher_and_intake_refuse_to_begin(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    bootstrap = topics_reset.bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        changed = {"message.timestamp.type": "CreateTime"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.COMMANDS, changed)])
    finally:
        await admin.close()
    own = {"PUMASI_KAFKA": bootstrap, "PUMASI_DATA": str(tmp_path), "PUMASI_HTTP_PORT": "0"}
    arguments = {"env": {**os.environ, **own}, "stderr": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.DEVNULL}
    matcher = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.cli", "matcher", **arguments)
    _, said = await asyncio.wait_for(matcher.communicate(), DEADLINE_S)
    assert matcher.returncode == 1
    assert b"pumasi.commands.v1" in said
    assert b"does not carry append times" in said
    intake = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.cli", "intake", **arguments)
    try:
        async with asyncio.timeout(DEADLINE_S):
            while b"does not carry append times" not in (line := await intake.stderr.readline()):
                assert line
    finally:
        intake.terminate()
        await intake.communicate()
