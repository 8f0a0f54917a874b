"""The small port at which a service tells its health: what it answers, to whom, and that nobody can hold it up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from schemas.services import Amiss
from services import health
from services.errors import SettingError
from services.health import Health
from services.metrics import Metrics
from services.settings import load
from tests.deploy_files import DEPLOY


class Service:
    """Some service whose health is asked for."""

    def __init__(self, **settings: object) -> None:
        self.amiss: list[Amiss] = []
        self.health = Health(Metrics("matcher"), lambda: self.amiss, load(**{"health_port": 0, **settings}))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        assert self.health.url is not None
        async with self.health.serving(), httpx.AsyncClient(base_url=self.health.url) as client:
            yield client


async def test_a_service_that_gets_on_is_alive_and_ready_and_tells_what_it_measures() -> None:
    async with Service().running() as client:
        for path in ("/livez", "/readyz?verbose"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        answer = await client.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "\npumasi_ready 1.0\n" in answer.text
        head = await client.head("/metrics")
        assert (head.content, int(head.headers["content-length"]) > 1000) == (b"", True)
        assert (await client.get("/")).json() == {"hint": "Here are /livez, /readyz and /metrics."}
        assert (await client.post("/readyz")).status_code == 405


async def test_one_that_does_not_get_on_is_alive_and_says_why_it_is_not_ready() -> None:
    service = Service()
    service.amiss = [Amiss(code="recovering", partition=2), Amiss(code="webhook_down")]
    async with service.running() as client:
        assert (await client.get("/livez")).status_code == 200
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["amiss"]) == (
            503,
            [{"code": "recovering", "partition": 2}, {"code": "webhook_down"}],
        )
        assert "\npumasi_ready 0.0\n" in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("10.1.2.3:9100", 200), ("[::1]:9100", 200), ("localhost", 200), ("matcher:9100", 200), ("", 200),
        ("evil.example", 421), ("127.0.0.1.evil.example:9100", 421), ("[", 421),
    ],
)  # fmt: skip
async def test_no_web_page_reads_it_under_a_name_of_its_own(host: str, status: int) -> None:
    async with Service().running() as client:
        assert (await client.get("/metrics", headers={"host": host})).status_code == status


def test_it_answers_to_the_name_that_it_listens_under() -> None:
    service = Service(health_port=None, health_host="pumasi.example.org")
    told = service.health._response(b"GET /livez HTTP/1.1\r\nHost: pumasi.example.org:9100\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_whoever_sends_no_request_or_too_much_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "REQUEST_SECONDS", 0.05)
    async with Service().running() as client:
        for said in (b"GET /livez HTTP/1.1\r\n", b"x" * (health.HEAD_BYTES_MAX + 1)):
            reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
            writer.write(said)
            async with asyncio.timeout(10):
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
            writer.close()
        assert (await client.get("/livez")).status_code == 200


async def test_whoever_holds_many_connections_keeps_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CONNECTIONS_MAX", 3)
    monkeypatch.setattr(health, "REQUEST_SECONDS", 3600.0)
    async with Service().running() as client:
        held = [await asyncio.open_connection(client.base_url.host, client.base_url.port) for _ in range(5)]
        for _ in range(3):
            assert (await client.get("/livez")).status_code == 200
        async with asyncio.timeout(10):
            for reader, _ in held[:3]:
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b"", "whoever came first has gone"
        for _, writer in held:
            writer.close()


def test_without_a_port_it_listens_nowhere_and_one_that_is_taken_is_a_setting_at_fault() -> None:
    assert Service(health_port=None).health.url is None
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingError, match="PUMASI_HEALTH_PORT"):
        Service(health_port=taken.getsockname()[1])


@pytest.mark.parametrize(
    ("command", "port", "well"),
    [("matcher", "theirs", True), ("notifier", "nobody's", False), ("topics", "nobody's", True)],
)
async def test_the_image_asks_a_service_and_no_other_command(
    command: str, port: str, well: bool, tmp_path: Path, unused_tcp_port: int
) -> None:
    image = (DEPLOY / "Containerfile").read_text()
    [said] = re.findall(r'^HEALTHCHECK .* CMD (\[(?:.|\n)*?"\])$', image, re.MULTILINE)
    program = json.loads(said.replace("\\\n", ""))[-1]
    cmdline = tmp_path / "cmdline"
    cmdline.write_bytes(b"\0".join([b"python", b"-P", b"-m", b"services.cli", command.encode(), b""]))
    service = Service()
    async with service.running() as client:
        asked = client.base_url.port if port == "theirs" else unused_tcp_port
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-P", "-c", program.replace("/proc/1/cmdline", str(cmdline))],
            env={"PUMASI_HEALTH_PORT": str(asked)}, capture_output=True,
        )  # fmt: skip
    assert (done.returncode == 0) is well, done.stderr
