"""The situations of `deploy/OPERATING.md`, each made for real: what an operator sees, types and gets, as the page says it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
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
    assert "findings" in told, told
    return {finding["code"] for finding in told["findings"]}


async def until(code: str, *where: str, there: bool = True) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while (code in (found := await codes(*where))) != there:
        assert time.monotonic() < deadline, f"{code} {'not ' if there else 'still '}there: {found}"


@asynccontextmanager
async def serving(where: tuple[str, ...]) -> AsyncIterator[dict[str, Any]]:
    """A broker and an intake, and nobody who decides. `key` is a file, as `up` has it."""
    assert (await typed("keys", "make", *where))[0] == 0
    async with (
        pumasi("kafka", *where, "--kafka-port", "0") as (_, kafka),
        pumasi("intake", *where, "--http-port", "0") as (_, intake),
    ):
        scopes = [f"--scope={scope}" for scope in ("funds", "cases", "pledges")]
        status, made = await typed("keys", "add", "form", *scopes, "--all-funds", *where)
        assert status == 0
        key = Path(where[-1]).with_name("form")
        key.write_text(made["key"])
        yield {**kafka, **intake, "key": str(key)}


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

    def pledge(self, name: str, **data: Any) -> dict[str, Any]:
        contact = _contact(name)
        return self.event("pledge.made", pledge=name, contact=contact, amount=1_000, currency="CNY", **data)


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


async def test_commands_wait_until_a_matcher_comes(data_dir: Path) -> None:
    """Lag grows: nobody decides, nothing is lost, and one command mends it."""
    where, sender = ("--data", str(data_dir)), Sender()
    async with serving(where) as ready:
        await sender.begin(ready)
        receipts = await sender.send(ready, *(sender.pledge(f"p-{n}") for n in range(50)))
        assert "no_matcher" in await codes(*where)
        async with pumasi("matcher", *where):
            await answered(ready, *receipts)
            assert "no_matcher" not in await codes(*where)


GENEROUS = """
import services
from services.matcher.rules.waterfill import Book
share_out = Book.share_out
def one_more(self, amount):
    return [(key, case, given + 1, *rest) for key, case, given, *rest in share_out(self, amount)]
Book.share_out = one_more
from services.cli.__main__ import main
main()
"""


async def test_a_defective_matcher_writes_nothing_wrong_and_the_former_goes_on(data_dir: Path) -> None:
    """A bad deploy: a matcher that awards more than a pledge has."""
    where, sender = ("--data", str(data_dir)), Sender()
    async with serving(where) as ready:
        await sender.begin(ready)
        async with pumasi("matcher", *where):
            await answered(ready, *await sender.send(ready, sender.pledge("p-1")))
        receipts = await sender.send(ready, sender.pledge("p-2", designation={"need": "surgery"}))
        bad = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", GENEROUS, "matcher", *where,
            env={**os.environ, "PUMASI_PURE": "1"}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert bad.stderr is not None
        try:
            async with asyncio.timeout(DEADLINE_S):
                while b"STOPPED" not in await bad.stderr.readline():
                    pass
            assert "partition_stopped" in await codes(*where)
        finally:
            bad.send_signal(signal.SIGINT)
            await bad.communicate()
        assert bad.returncode == 1
        assert (await typed("audit", *where))[0] == 0, "the entry was never written"
        async with pumasi("matcher", *where):
            await answered(ready, *receipts)


async def test_a_lost_disk_comes_back_as_far_as_its_copy_and_senders_send_the_rest_again(data_dir: Path) -> None:
    where, sender = ("--data", str(data_dir)), Sender()
    everything = ("up", *where, "--kafka-port", "0", "--http-port", "0")
    async with pumasi(*everything) as (_, ready):
        await sender.begin(ready)
        await answered(ready, *await sender.send(ready, sender.pledge("p-1")))
    shutil.copytree(data_dir, copy := data_dir.with_name("copy"))
    async with pumasi(*everything) as (_, ready):
        await answered(ready, *await sender.send(ready, sender.pledge("p-2")))
    shutil.rmtree(data_dir)
    shutil.copytree(copy, data_dir)
    async with pumasi(*everything) as (_, ready):
        await answered(ready, *await sender.send(ready, *sender.sent))
        status, told = await typed("status", *where)
        assert (status, told["funds"][0]["pledges"]) == (0, 2), "what the copy had is a repeat, the rest is new"
        assert (await typed("audit", *where))[0] == 0


async def test_a_lost_key_stops_the_start_until_it_is_back(data_dir: Path) -> None:
    where, sender = ("--data", str(data_dir)), Sender()
    everything = ("up", *where, "--kafka-port", "0", "--http-port", "0")
    kept = data_dir.with_name("data-keys")
    async with pumasi(*everything) as (_, ready):
        await sender.begin(ready)
    lost = kept / "pseudonym.key"
    content = lost.read_bytes()
    lost.unlink()
    status, told = await typed(*everything)
    assert (status, told["code"]) == (2, "key_missing")
    lost.write_bytes(content)
    lost.chmod(0o600)
    async with pumasi(*everything) as (_, ready):
        await answered(ready, *await sender.send(ready, *sender.sent, sender.pledge("p-1")))
        assert (await typed("status", *where))[0] == 0


async def test_all_that_may_have_leaked_is_renewed_while_all_runs(data_dir: Path) -> None:
    where, sender = ("--data", str(data_dir)), Sender()
    everything = ("up", *where, "--kafka-port", "0", "--http-port", "0")
    async with pumasi(*everything) as (_, ready):
        await sender.begin(ready)
        former = await asyncio.to_thread(Path(ready["key"]).read_text)
        for what in ("notifier", "webhook", "reporter", "intake"):
            assert (await typed("keys", "rotate", what, *where))[0] == 0, what
        status, told = await typed("keys", "rotate", "this-machine", *where)
        assert status == 0
        assert (await typed("keys", "revoke", "this-machine", "--old", *where))[0] == 0
        await sender.send(ready, sender.pledge("p-1"), key=told["key"])
        async with httpx.AsyncClient(base_url=ready["http"], timeout=DEADLINE_S) as client:
            refused = await client.post("/v1/events", headers={"authorization": f"Bearer {former.strip()}"})
        assert refused.status_code == 401
        assert (await typed("status", *where))[0] == 0


async def test_what_a_receiver_missed_is_said_and_the_rest_is_told_once_it_is_back(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, sender = ("--data", str(data_dir)), Sender()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("PUMASI_WEBHOOK_URL", f"http://127.0.0.1:{port}/")
    monkeypatch.setenv("PUMASI_WEBHOOK_ALLOW_PRIVATE", "1")
    monkeypatch.setenv("PUMASI_WEBHOOK_SECRET", f"whsec_{base64.b64encode(bytes(32)).decode()}")
    async with pumasi("up", *where, "--kafka-port", "0", "--http-port", "0") as (_, ready):
        await sender.begin(ready)
        await answered(ready, *await sender.send(ready, sender.pledge("p-1")))
        await until("notices_given_up", *where)
        lost = (await typed("status", *where))[1]["latest_notices_given_up"]
        assert {(one["role"], one["outcome"]) for one in lost} <= {
            (role, "gave-up") for role in ("donor", "beneficiary")
        }
        assert 1 <= len(lost) <= 3
        heard = asyncio.Queue[bytes]()
        async with await asyncio.start_server(partial(_take, heard), "127.0.0.1", port):
            await answered(ready, *await sender.send(ready, sender.pledge("p-2")))
            async with asyncio.timeout(DEADLINE_S):
                while b'"pledge":"p-2"' not in await heard.get():
                    pass
            await until("webhook_down", *where, there=False)


async def _take(heard: asyncio.Queue[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take one notice a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
    heard.put_nowait(await reader.readexactly(int(length.partition(b":")[2])))
    writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
