"""The situations of `deploy/OPERATING.md`, each made for real: what an operator sees, types and gets, as the page says it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from services.bus import access, topics
from services.bus.bootstrap import bootstrap_of
from services.bus.consume.scan import TopicReader
from services.bus.security import connection
from services.settings import load

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("guarded_kafka")]

DEADLINE_S = 120
FUND = "jilin"


@asynccontextmanager
async def pumasi(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """What runs until it is stopped, and the line that it prints once it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", *arguments, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=1 << 22,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            ready = json.loads(await process.stdout.readline())
        yield process, ready
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.communicate()


async def typed(*arguments: str) -> tuple[int, dict[str, Any]]:
    """What a command comes to: its exit status, and what it says under `--json`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", *arguments, "--json",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    said = out.splitlines() or errors.splitlines()
    return process.returncode or 0, json.loads(said[-1])


async def codes(*where: str) -> set[str]:
    _, told = await typed("status", *where)
    return {finding["code"] for finding in told["findings"]}


async def until(code: str, *where: str, there: bool = True) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while (code in (found := await codes(*where))) != there:
        assert time.monotonic() < deadline, f"{code} {'not ' if there else 'still '}there: {found}"


class Sender:
    """A form: what it sent, and whether each event was answered. It sends again whatever it is asked to."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self._number = 0

    def event(self, kind: str, **data: Any) -> dict[str, Any]:
        self._number += 1
        return {
            "specversion": "1.0", "id": f"e-{self._number}", "source": "form", "type": f"pumasi.{kind}",
            "data": {"fund": FUND, **data},
        }  # fmt: skip

    async def send(self, ready: dict[str, Any], *events: dict[str, Any], key: str | None = None) -> list[str]:
        """Their receipts."""
        bearer = key or await asyncio.to_thread(Path(ready["key"]).read_text)
        headers = {"authorization": f"Bearer {bearer.strip()}", "content-type": "application/cloudevents-batch+json"}
        async with httpx.AsyncClient(base_url=ready["http"], headers=headers, timeout=DEADLINE_S) as client:
            answer = await client.post("/v1/events", content=json.dumps(events))
        assert answer.status_code == 202, answer.text
        self.sent += events
        return [one["receipt"] for one in answer.json()["accepted"]]

    async def begin(self, ready: dict[str, Any]) -> None:
        await self.send(
            ready,
            self.event("fund.configured", currency="CNY", vouchers_required=0),
            self.event("case.submitted", case="c-1", contact=_contact("wei"), need="surgery", route="clinic",
                       goal=500_000, priority="stat"),
        )  # fmt: skip

    def pledge(self, name: str) -> dict[str, Any]:
        contact = _contact(name)
        return self.event("pledge.made", pledge=name, contact=contact, amount=1_000, currency="CNY")


def _contact(name: str) -> dict[str, str]:
    return {"address": f"mailto:{name}@example.org", "language": "en"}


async def answered(ready: dict[str, Any], *receipts: str, state: str = "applied") -> None:
    deadline = time.monotonic() + DEADLINE_S
    async with httpx.AsyncClient(base_url=ready["http"], timeout=DEADLINE_S) as client:
        for receipt in receipts:
            while (told := (await client.get(f"/v1/receipts/{receipt}?wait=2s")).json()).get("state") != state:
                assert time.monotonic() < deadline, told


async def test_a_stopped_partitions_ledger_comes_back_from_the_commands(data_dir: Path) -> None:
    where = ("--data", str(data_dir))
    everything = ("up", *where, "--kafka-port", "0", "--http-port", "0")
    sender = Sender()
    async with pumasi(*everything) as (_, ready):
        await sender.begin(ready)
        await answered(ready, *await sender.send(ready, sender.pledge("p-1"), sender.pledge("p-2")))
        await write_junk(data_dir)
        await until("partition_stopped", *where)
        assert (await typed("audit", *where))[0] == 1
        status, refused = await typed("topics", "--rebuild-ledger", "--yes", *where)
        assert (status, refused["code"]) == (2, "usage"), "nothing is deleted below what runs"
    async with pumasi("kafka", *where, "--kafka-port", "0"):
        status, refused = await typed("topics", "--rebuild-ledger", *where)
        assert (status, refused["code"]) == (2, "usage"), "nobody could be asked"
        status, told = await typed("topics", "--rebuild-ledger", "--yes", *where)
        assert (status, told["ok"]) == (0, True)
    async with pumasi(*everything) as (_, ready):
        await answered(ready, *await sender.send(ready, sender.pledge("p-3")))
        assert (await typed("audit", *where))[0] == 0
        while "p-3/1" not in str(notices := await notices_of(data_dir)) and len(notices) < 4:
            await asyncio.sleep(0.2)
        assert len(notices) == len(set(notices)) > 0, "nobody is told twice"


async def write_junk(data: Path) -> None:
    """An entry that doesn't follow, as somebody with the matcher's password might write it."""
    bootstrap = bootstrap_of(load(data=data), access.MATCHER)
    producer = AIOKafkaProducer(**connection(bootstrap))
    await producer.start()
    try:
        for partition in range(4):
            await producer.send_and_wait(topics.LEDGER, b'{"seq":1000,"fund":null}', partition=partition)
    finally:
        await producer.stop()


async def notices_of(data: Path) -> list[str]:
    """The ids of all notices that were told."""
    bootstrap, told = bootstrap_of(load(data=data), access.OPERATOR), []
    async with TopicReader(bootstrap) as reader:
        async for record in reader.records(topics.NOTICES):
            told += [value.decode() for name, value in record.headers if name == "ce_id" and value]
    return told
