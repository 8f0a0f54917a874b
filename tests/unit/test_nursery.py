"""Services are copies of one process that has imported what they need; each is what it is told to be, and nothing of another."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.system.nursery import GRACE_S, Child, Nursery

DEADLINE_S = 60
AWAY = {"PUMASI_KAFKA": "127.0.0.1:1"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="what is asked for is Linux's")


class Watched(Nursery):
    """A nursery whose children end with the test."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        super().__init__(grace_s)
        self.children: list[Child] = []

    async def child(self, arguments: Sequence[str], environment: Mapping[str, str], afresh: bool = False) -> Child:
        self.children.append(await super().child(arguments, environment, afresh))
        return self.children[-1]


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    made = Watched()
    yield made
    for child in made.children:
        child.close()
    await asyncio.wait_for(made.stop(), DEADLINE_S)


def around(**variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", **variables}


async def told(child: Child) -> dict[str, Any]:
    """The next line of JSON that it prints."""
    async with asyncio.timeout(DEADLINE_S):
        while not (line := await child.output.readline()).startswith(b"{"):
            assert line, "it says something"
    return json.loads(line)


async def ended(child: Child) -> int:
    """Its status, once all that it said is heard."""
    async with asyncio.timeout(DEADLINE_S):
        await child.output.read()
        status = int(await child.line.readline())
    child.close()
    return status


async def waiting(nursery: Nursery, **variables: str) -> tuple[Child, psutil.Process]:
    """A matcher that waits for Kafka."""
    child = await nursery.child(["matcher", "--json"], around(**AWAY, **variables))
    process = psutil.Process(int(await child.line.readline()))
    assert (await told(child))["event"] == "waiting"
    return child, process


async def test_a_child_does_what_it_is_told_in_the_environment_that_it_is_told(nursery: Nursery) -> None:
    version, refused = await asyncio.gather(
        nursery.child(["--version"], around()), nursery.child(["matcher", "--json"], around(PUMASI_TYPO="1"))
    )
    for child in (version, refused):
        await child.line.readline()
    assert (await version.output.readline()).startswith(b"pumasi ")
    assert "PUMASI_TYPO" in (await told(refused))["message"]
    assert (await ended(version), await ended(refused)) == (0, 2)


async def test_a_child_ends_in_good_order_when_it_is_to_end(nursery: Nursery) -> None:
    child, process = await waiting(nursery)
    child.end()
    assert await ended(child) == 0
    assert not process.is_running()


async def test_a_child_that_does_not_end_is_killed() -> None:
    nursery = Nursery(grace_s=0.1)
    child, process = await waiting(nursery)
    process.suspend()
    child.end()
    assert await ended(child) == -signal.SIGKILL
    await asyncio.wait_for(nursery.stop(), DEADLINE_S)


async def test_a_child_ends_when_nobody_hears_it_any_more(nursery: Nursery) -> None:
    child, process = await waiting(nursery)
    child.close()
    await asyncio.to_thread(process.wait, DEADLINE_S)


async def test_a_nursery_that_is_told_to_end_ends_its_children_and_another_has_the_next(nursery: Nursery) -> None:
    child, process = await waiting(nursery)
    first = process.ppid()
    os.kill(first, signal.SIGTERM)
    assert await ended(child) == 0
    child, process = await waiting(nursery)
    assert process.ppid() != first
    child.end()
    assert await ended(child) == 0


@linux
async def test_a_nursery_that_is_killed_leaves_no_child(nursery: Nursery) -> None:
    _, process = await waiting(nursery)
    os.kill(process.ppid(), signal.SIGKILL)
    await asyncio.to_thread(process.wait, DEADLINE_S)


@linux
async def test_a_child_is_called_what_it_is(nursery: Nursery) -> None:
    child, process = await waiting(nursery)
    assert [word for word in process.cmdline() if word] == [
        sys.executable,
        "-P",
        "-m",
        "services.cli",
        "matcher",
        "--json",
    ]
    child.end()
    await ended(child)


@linux
async def test_the_nursery_holds_no_secret(monkeypatch: pytest.MonkeyPatch, nursery: Nursery) -> None:
    monkeypatch.setenv("PUMASI_WEBHOOK_SECRET", "whsec_c2VjcmV0")
    child, process = await waiting(nursery)
    for pid in (process.pid, process.ppid()):
        assert b"whsec_" not in Path(f"/proc/{pid}/environ").read_bytes()
    child.end()
    await ended(child)


@linux
async def test_what_only_a_start_reads_has_one(nursery: Nursery) -> None:
    child = await nursery.child(["matcher", "--json"], around(**AWAY, PYTHONHASHSEED="7"), afresh=True)
    process = psutil.Process(int(await child.line.readline()))
    assert (await told(child))["event"] == "waiting"
    assert process.environ()["PYTHONHASHSEED"] == "7"
    child.end()
    assert await ended(child) == 0


@linux
async def test_no_child_has_a_file_of_another(nursery: Nursery) -> None:
    first, one = await waiting(nursery)
    second, other = await waiting(nursery)
    links = [{os.readlink(link) for link in Path(f"/proc/{who.pid}/fd").iterdir()} for who in (one, other)]
    sockets = [{link for link in found if link.startswith("socket:")} for found in links]
    assert not sockets[0] & sockets[1]
    assert psutil.Process(one.ppid()).num_threads() == 1, "a copy would have none of the others"
    for child in (first, second):
        child.end()
        await ended(child)
