"""Intake and the notifier as applications for an ASGI server of one's own. Kafka is away: they say so, and end in good order."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from services.settings import OPEN

DEADLINE_S = 60


@pytest.mark.parametrize("service", ["intake", "notifier"])
async def test_uvicorn_serves_a_service_by_its_factory(service: str, tmp_path: Path, unused_tcp_port: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "uvicorn", f"services.{service}.app:get_application", "--factory",
        "--port", str(unused_tcp_port),
        env={**os.environ, "PUMASI_KAFKA": "127.0.0.1:1", "PUMASI_DATA": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = b""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while b"Uvicorn running" not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}", timeout=DEADLINE_S) as client:
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/readyz")).status_code == 503
            assert "\npumasi_ready 0.0\n" in (await client.get("/metrics")).text
            assert (await client.get("/v1/receipts/a-secret")).status_code == 404
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            said += await process.stdout.read()
            await process.wait()
        assert b"Application shutdown complete" in said
        assert service == "notifier" or b"a-secret" not in said, "no path of intake's is logged"
        assert b"Traceback" not in said
        assert OPEN.encode() in said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("service", ["intake", "matcher", "notifier", "ender"])
async def test_a_service_that_asks_nobody_says_so_at_every_start(service: str, tmp_path: Path) -> None:
    where = {"PUMASI_KAFKA": "127.0.0.1:1", "PUMASI_DATA": str(tmp_path), "PUMASI_HTTP_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", service, "--json", env={**os.environ, **where},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_S):
            first = (await process.stderr.readline()).decode()
        assert first.endswith(f"WARNING pumasi: {OPEN}\n")
    finally:
        process.kill()
        await process.wait()
