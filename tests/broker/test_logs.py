"""A whole Pumasi at `PUMASI_LOG_LEVEL=DEBUG`: no word of any field, sent through any door, comes into a line of a log."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.submissions import SUBMISSIONS as MODELS
from tests.broker.raw import COMMANDS, DEADLETTERS, LEDGER, PARTITION, Client, headers

SUBMISSIONS, NOTICES = "pumasi.submissions.v1", "pumasi.notices.v1"
DEADLINE_S = 90
JILIN = PARTITION["jilin"]
STRUCTURED = {"content-type": "application/cloudevents+json"}
CANARY = re.compile(r"canary\w*", re.IGNORECASE)


class Canaries:
    """Words that stand nowhere else, a new one each time, and numbers such as nothing else counts."""

    def __init__(self) -> None:
        self.amounts: list[int] = []
        self._count = 0

    def word(self) -> str:
        self._count += 1
        return f"canary{self._count:04d}"

    def amount(self) -> int:
        self._count += 1
        self.amounts.append(7_654_320_000 + self._count)
        return self.amounts[-1]

    def event(self, kind: str, **data: Any) -> dict[str, Any]:
        """An event; its type and its fund apart, every word of it is a canary."""
        told = {"specversion": "1.0", "id": self.word(), "source": "/" + self.word(), "type": "pumasi." + kind}
        return {**told, "subject": self.word(), "data": {"fund": "jilin", **data}}

    def told_of(self, line: str) -> bool:
        return bool(CANARY.search(line)) or any(str(amount) in line for amount in self.amounts)


@dataclass
class Process:
    """A service at DEBUG, and what it writes."""

    name: str
    process: asyncio.subprocess.Process
    ready: dict[str, Any] = field(default_factory=dict)
    log: bytes = b""


@asynccontextmanager
async def service(name: str, bootstrap: str, data: Path, *arguments: str) -> AsyncIterator[Process]:
    """One, ready; stopped at the end, with all of its log."""
    environment = {
        "PUMASI_KAFKA": bootstrap, "PUMASI_DATA": str(data), "PUMASI_LOG_LEVEL": "DEBUG", "PUMASI_HTTP_PORT": "0",
        "PUMASI_TRUST_TIME": "1", "PUMASI_TICK_SECONDS": "86400", "PYTHONASYNCIODEBUG": "1", "PYTHONWARNINGS": "default",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", name, "--json", *arguments,
        env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told = Process(name, process)
    assert process.stdout is not None and process.stderr is not None
    hearing = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(DEADLINE_S):
            while "ready" not in told.ready:
                line = await process.stdout.readline()
                assert line, (await hearing).decode()
                told.ready = json.loads(line)
        aside = asyncio.create_task(process.stdout.read())  # results, not a log
        yield told
        process.send_signal(signal.SIGTERM)
        await aside
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        told.log = await asyncio.wait_for(hearing, DEADLINE_S)
        await process.wait()


async def until_there_are(bootstrap: str, topic: str, least: int) -> None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed") as consumer:
        places = [TopicPartition(topic, number) for number in range(4)]
        async with asyncio.timeout(DEADLINE_S):
            while sum((await consumer.end_offsets(places)).values()) < least:
                await asyncio.sleep(0.05)


def good(canaries: Canaries) -> list[dict[str, Any]]:
    """What is taken: a fund, a case, a pledge that is matched and paid, thanks."""
    case, pledge, payment = (canaries.word() for _ in range(3))
    contact = {"address": f"mailto:{canaries.word()}@{canaries.word()}.example", "language": "ko"}
    goal = canaries.amount()
    return [
        canaries.event("fund.configured", currency="CNY", vouchers_required=0),
        canaries.event(
            "case.submitted", case=case, contact=contact, need="treatment", route="clinic", priority="urgent", goal=goal
        ),
        canaries.event("pledge.made", pledge=pledge, donor=canaries.word(), amount=canaries.amount(), currency="CNY"),
        canaries.event("payment.received", pledge=pledge, payment=payment, amount=canaries.amount()),
        canaries.event("case.delivered", case=case, delivery=canaries.word(), amount=1),
        canaries.event("payment.failed", pledge=pledge, payment=canaries.word(), reason=canaries.word()),
    ]


def bad(canaries: Canaries) -> list[bytes]:
    """What is refused, each in its own way, with a canary wherever one can stand."""
    events = [canaries.event(kind.removeprefix("pumasi."), **{canaries.word(): canaries.word()}) for kind in MODELS]
    fields = [name for model in MODELS.values() for name in model.model_fields]
    events += [canaries.event("pledge.made", **{name: canaries.word() for name in fields})]
    events += [canaries.event(canaries.word()), {canaries.word(): canaries.word()}]
    torn = [b"{" + canaries.word().encode(), b"\xff" + canaries.word().encode(), canaries.word().encode() * 100_000]
    return [json.dumps(event).encode() for event in events] + torn


@pytest.fixture
async def client(topics_reset) -> AsyncIterator[Client]:
    async with Client(topics_reset.bootstrap) as client:
        yield client


@pytest.mark.parametrize("as_json", [False, True], ids=["for people", "JSON"])
async def test_no_word_of_any_field_comes_into_a_log_at_any_level(
    client: Client, tmp_path: Path, as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMASI_LOG_JSON", str(int(as_json)))
    canaries, logs = Canaries(), []
    async with (
        service("notifier", client.bootstrap, tmp_path) as notifier,
        service("matcher", client.bootstrap, tmp_path) as matcher,
    ):
        async with service("intake", client.bootstrap, tmp_path) as intake:
            async with httpx.AsyncClient(base_url=intake.ready["http"], timeout=DEADLINE_S) as door:
                for event in good(canaries):
                    answer = await door.post(
                        "/v1/events", json=event, headers={**STRUCTURED, "x-note": canaries.word()}
                    )
                    assert answer.status_code == 202, answer.text
                for content in bad(canaries):
                    answer = await door.post(f"/v1/events?{canaries.word()}", content=content, headers=STRUCTURED)
                    assert 400 <= answer.status_code < 500, answer.text
                await door.get(f"/v1/receipts/{canaries.word()}")
            poison = bad(canaries)
            for number, content in enumerate(poison):
                heads = [("content-type", b"application/cloudevents+json"), (canaries.word(), canaries.word().encode())]
                heads = heads if number % 2 else headers("pumasi.pledge.made", canaries.word())
                key = canaries.word().encode()
                await client.producer.send(SUBMISSIONS, key=key, value=content, partition=number % 4, headers=heads)
                await client.producer.send(COMMANDS, key=key, value=content, partition=number % 4, headers=heads)
            await client.flush()
            await until_there_are(client.bootstrap, DEADLETTERS, 2 * len(poison))
            await until_there_are(client.bootstrap, NOTICES, 1)
        logs.append(intake)
    await until_there_are(client.bootstrap, LEDGER, len(poison))
    for each in (*logs, matcher, notifier):
        lines = each.log.decode().splitlines()
        assert [line for line in lines if canaries.told_of(line)] == [], each.name
        assert [line for line in lines if re.search(r" (DEBUG|INFO) (?!pumasi)", line)] == [], each.name
        if as_json:
            told = [json.loads(line) for line in lines]
            assert [one for one in told if not one["logger"].startswith("pumasi") and one["event"] != "library"] == []
            assert {"at", "level", "logger", "event", "message"} <= set.intersection(*map(set, told))
    assert b"went to dead letters" in intake.log, "it does log, at that"
