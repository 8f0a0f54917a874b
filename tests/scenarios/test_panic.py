"""`pumasi panic` beside a Pumasi that runs: keys are gone in a second, what runs stops, and nothing starts again without them."""

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from services import keys
from services.settings import load

pytestmark = pytest.mark.broker


async def pumasi(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", *arguments, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_panic_ends_all_that_runs_and_nothing_starts_again(guarded_kafka: None, data_dir: Path) -> None:
    where = ["--data", str(data_dir)]
    up = await pumasi("up", *where, "--kafka-port", "0", "--http-port", "0")
    assert up.stdout is not None
    async with asyncio.timeout(90):
        ready = json.loads(await up.stdout.readline())
    assert Path(ready["key"]).exists()
    kept = keys.directory(load(data=data_dir))
    (kept / "backup").mkdir()
    (kept / "backup" / "notifier.key").write_bytes((kept / "notifier.key").read_bytes())
    panic = await pumasi("panic", "--yes", *where)
    began = time.monotonic()
    out, _ = await panic.communicate()
    told = json.loads(out)
    assert panic.returncode == 0
    assert told["seconds"] < 1
    assert {*keys.MADE, "bearer", "client.properties", "pumasi-intake.password"} <= {*told["destroyed"]}
    async with asyncio.timeout(60):
        await up.communicate()
    assert time.monotonic() - began < 60
    assert not kept.exists()
    again = await pumasi("up", *where, "--kafka-port", "0", "--http-port", "0")
    async with asyncio.timeout(90):
        _, errors = await again.communicate()
    assert again.returncode == 2
    assert json.loads(errors.splitlines()[-1])["code"] == "key_missing"
