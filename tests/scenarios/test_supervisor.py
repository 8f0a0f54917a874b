"""The supervisor keeps services running, and never leaves one behind; `pumasi up` is made of it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from aiokafka import AIOKafkaConsumer

from services.bus import access, topics
from services.bus.embedded import EmbeddedKafka, running_broker
from services.bus.security import connection, servers
from services.errors import ServiceFailed
from services.settings import load
from services.system.supervisor import Service, Supervisor
from tests.waiting import is_gone, until

DEADLINE_S = 60
PUMASI = (sys.executable, "-P", "-m", "services.cli")


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, int, float]] = []
        self.events: list[dict[str, Any]] = []
        self.lines: list[str] = []

    def said(self, service: str, line: str) -> None:
        self.lines.append(f"{service}: {line}")

    def event(self, _service: str, event: dict[str, Any]) -> None:
        self.events.append(event)

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self.ends.append((service, status, pause_s))


def family_of(pid: int) -> list[int]:
    return [one.pid for one in psutil.Process(pid).children(recursive=True)]


def matcher_on(kafka: EmbeddedKafka, *options: str) -> Service:
    environment = {"PUMASI_KAFKA": kafka.bootstrap, "PUMASI_SESSION_TIMEOUT_MS": "6000"}
    return Service("matcher", lambda _: ("matcher", "--json", *options), environment)


@pytest.fixture
async def supervisor() -> AsyncIterator[tuple[Supervisor, Heard]]:
    heard = Heard()
    kept = Supervisor(heard)
    yield kept, heard
    await kept.stop()


async def test_a_service_that_is_killed_is_started_again(
    topics_reset: EmbeddedKafka, supervisor: tuple[Supervisor, Heard]
) -> None:
    kept, heard = supervisor
    [ready] = await kept.start([matcher_on(topics_reset)])
    assert ready["ready"] == "matcher"
    keeper = kept.keeper("matcher")
    killed = keeper.kill()
    await until(lambda: keeper.starts == 2 and keeper.ready.is_set(), "a second matcher is ready")
    assert keeper.pid not in (0, killed)
    assert heard.ends == [("matcher", 128 + signal.SIGKILL, 0.1)]


async def test_a_service_that_refuses_its_options_is_not_tried_again(
    kafka: EmbeddedKafka, supervisor: tuple[Supervisor, Heard]
) -> None:
    kept, heard = supervisor
    with pytest.raises(ServiceFailed, match="matcher does not start: No such option: --no-such-option") as failed:
        await kept.start([matcher_on(kafka, "--no-such-option")])
    assert (failed.value.exit_status, failed.value.to_dict()["reason"]) == (2, "usage")
    assert not heard.ends
    assert heard.events == [], "who started it says why, and nobody says it twice"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PUMASI_HTTP_HOST", "999.1.1.1", "PUMASI_HTTP_HOST: not an address"),
        ("PUMASI_HTTP_HOST", "192.0.2.1", "PUMASI_HTTP_HOST: 192.0.2.1 is no address of this machine"),
        ("PUMASI_WEBHOOK_URL", "https://hooks.example.org/", "PUMASI_WEBHOOK_SECRET"),
        ("PUMASI_WEBHOOK_URL", "http://hooks.example.org/", "PUMASI_WEBHOOK_"),
        ("PUMASI_PSEUDONYM_KEY", "c2hvcnQ=", "PUMASI_PSEUDONYM_KEY is not a key"),
        ("PUMASI_TYPO", "1", "no such setting: PUMASI_TYPO"),
    ],
)
async def test_settings_that_a_service_would_refuse_are_told_before_anything_is_made(
    data_dir: Path, variable: str, value: str, says: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *PUMASI, "up", "--json", "--data", str(data_dir), stderr=asyncio.subprocess.PIPE, env={**os.environ, variable: value}
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    told = json.loads(errors)
    assert (process.returncode, told["code"], says in told["message"]) == (2, "invalid_setting", True), told
    assert not list(data_dir.iterdir())


async def test_a_stop_ends_nursery_and_service(
    topics_reset: EmbeddedKafka, supervisor: tuple[Supervisor, Heard]
) -> None:
    kept, _ = supervisor
    await kept.start([matcher_on(topics_reset)])
    pid = kept.keepers[0].pid
    nursery = psutil.Process(pid).ppid()
    assert os.getsid(pid) == nursery != os.getsid(0), "Ctrl-C in our terminal doesn't reach it"
    await kept.stop()
    assert is_gone(pid)
    assert is_gone(nursery)


async def test_a_nursery_that_is_killed_takes_its_services_along_and_another_starts_them_again(
    topics_reset: EmbeddedKafka, supervisor: tuple[Supervisor, Heard]
) -> None:
    kept, heard = supervisor
    await kept.start([matcher_on(topics_reset)])
    keeper = kept.keepers[0]
    killed, nursery = keeper.pid, psutil.Process(keeper.pid).ppid()
    os.kill(nursery, signal.SIGKILL)
    await until(lambda: keeper.starts == 2 and keeper.ready.is_set(), "a second matcher is ready")
    assert is_gone(killed)
    assert psutil.Process(keeper.pid).ppid() not in (os.getpid(), nursery)
    assert heard.ends == [("matcher", 128 + signal.SIGKILL, 0.1)]


@asynccontextmanager
async def starting(data: Path, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`pumasi up --json` as a process of its own, from its first moment."""
    process = await asyncio.create_subprocess_exec(
        *PUMASI, "up", "--json", "--data", str(data), "--kafka-port", "0", "--http-port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **variables},
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        _, said = await process.communicate()
        print(said.decode())  # pytest shows it where a test failed


@asynccontextmanager
async def up(data: Path, **variables: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """`pumasi up --json` once its line has come."""
    async with starting(data, **variables) as process:
        line = await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)
        assert line, (await process.stderr.read()).decode()
        yield process, json.loads(line)


@pytest.mark.usefixtures("guarded_kafka")
async def test_up_takes_submissions_keeps_its_door_and_stops_at_once(data_dir: Path) -> None:
    async with up(data_dir / "data") as (process, line):
        assert list(line) == ["kafka", "http", "key", "kafka_config"]
        config = Path(line["kafka_config"])
        assert config.stat().st_mode & 0o077 == 0
        assert f"bootstrap.servers={line['kafka']}" in config.read_text()
        assert 'username="pumasi-operator"' in config.read_text()
        async with httpx.AsyncClient(base_url=line["http"], trust_env=False) as client:
            assert (await client.get("/healthz")).status_code == 200
            headers = {"content-type": "application/cloudevents+json"}
            assert (await client.post("/v1/events", json=event("before"), headers=headers)).status_code == 401
            headers["authorization"] = f"Bearer {Path(line['key']).read_text().strip()}"
            assert (await client.post("/v1/events", json=event("before"), headers=headers)).status_code == 202
            intake = next(
                one for one in psutil.Process(process.pid).children(recursive=True) if _is_service(one, "intake")
            )
            intake.kill()

            async def answers() -> bool:
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            deadline = time.monotonic() + DEADLINE_S
            await until(lambda: is_gone(intake.pid), "the intake is gone")
            while not await answers():
                assert time.monotonic() < deadline, "a new intake answers at the same address"
                await asyncio.sleep(0.05)
        family, began = family_of(process.pid), time.monotonic()
        process.send_signal(signal.SIGINT)
        output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_S)
        assert time.monotonic() - began < 20
    assert (process.returncode, output) == (0, b"")
    assert all(map(is_gone, family))


def _is_service(process: psutil.Process, name: str) -> bool:
    command = process.cmdline()
    return "services.cli" in command and name in command and "guard.py" not in " ".join(command)


def jvm_of(data: Path) -> int:
    running = running_broker(data)
    assert running is not None
    return running.pid


def event(fund: str) -> dict[str, Any]:
    data = {"fund": fund, "currency": "CNY"}
    return {"specversion": "1.0", "id": fund, "source": "/test", "type": "pumasi.fund.configured", "data": data}


async def applied(bootstrap: str, funds: set[str]) -> None:
    """Return once the ledger (read_committed) has an entry of each fund."""
    consumer = AIOKafkaConsumer(
        topics.LEDGER, **connection(bootstrap), isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while funds:
                funds = funds - {json.loads((await consumer.getone()).value)["fund"]}
    finally:
        await consumer.stop()


@pytest.mark.usefixtures("guarded_kafka")
async def test_up_survives_kill_9_of_its_broker_and_goes_on_at_the_same_addresses(data_dir: Path) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    async with up(data_dir) as (_, line), httpx.AsyncClient(base_url=line["http"], trust_env=False) as client:
        headers["authorization"] = f"Bearer {Path(line['key']).read_text().strip()}"
        assert (await client.post("/v1/events", json=event("before"), headers=headers)).status_code == 202
        killed = jvm_of(data_dir)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: jvm_of(data_dir) != killed, "a new broker is there")
        deadline = time.monotonic() + DEADLINE_S
        while (await client.post("/v1/events", json=event("after"), headers=headers)).status_code != 202:
            assert time.monotonic() < deadline, "intake takes submissions again"
            await asyncio.sleep(0.1)
        await applied(servers(load(data=data_dir), line["kafka"], access.OPERATOR), {"before", "after"})


@pytest.mark.usefixtures("guarded_kafka")
async def test_a_broker_killed_while_the_services_start_comes_back_and_up_is_ready(data_dir: Path) -> None:
    async with starting(data_dir) as process:
        await until(lambda: running_broker(data_dir) is not None, "the broker answers")
        killed = jvm_of(data_dir)
        os.kill(killed, signal.SIGKILL)
        line = json.loads(await asyncio.wait_for(process.stdout.readline(), DEADLINE_S))
        assert jvm_of(data_dir) != killed
        assert line["kafka"] == running_broker(data_dir).bootstrap


@pytest.mark.broker
async def test_an_http_port_that_is_taken_is_told_before_anything_is_made(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *PUMASI, "up", "--json", "--data", str(data_dir), "--http-port", str(port), stderr=asyncio.subprocess.PIPE
        )
        _, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    told = json.loads(errors)
    assert (process.returncode, told["code"]) == (1, "port_taken")
    assert f"(process {os.getpid()})" in told["message"]
    assert "--http-port" in told["hint"]
    assert not list(data_dir.iterdir())


@pytest.mark.usefixtures("guarded_kafka")
async def test_kill_9_of_up_leaves_nothing(data_dir: Path) -> None:
    async with up(data_dir) as (process, _):
        family = family_of(process.pid)
        assert len(family) == 7, "the broker and its guard, the nursery and four services"
        process.kill()
        await until(lambda: all(map(is_gone, family)), "every service, the broker, and who guards them are gone")
