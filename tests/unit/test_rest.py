"""What runs for months takes little while nothing happens: it holds nothing that it needs for a moment, and asks nobody in vain."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services import cli
from services.bus import app, heartbeat
from services.bus.client.consumer import Consumer
from services.bus.consume.tail import Tail
from services.bus.embedded import EmbeddedKafka, jars
from services.bus.embedded.broker import GUARD
from services.bus.heartbeat import Condition, Heartbeat
from services.errors import JarsUnavailable
from services.notifier import languages

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 20


def finder(monkeypatch: pytest.MonkeyPatch, directory: Path, *said: str, status: int = 0) -> None:
    """Have somebody else look for jars, who says so much, and ends with that status."""
    program = directory / "finder"
    program.write_text("\n".join(["#!/bin/sh", "cat <<'END'", *said, "END", f"exit {status}", ""]))
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))


def test_jars_are_found_by_another_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finder(monkeypatch, tmp_path, '{"come": [1, 46, 1000]}', '{"jars": ["/one.jar", "/other.jar"]}')
    told: list[tuple[int, ...]] = []
    assert jars.ensure_jars_apart(lambda *come: told.append(come)) == [Path("/one.jar"), Path("/other.jar")]
    assert told == [(1, 46, 1000)]


def test_why_jars_cannot_be_had_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finder(monkeypatch, tmp_path, '{"message": "no network", "hint": "Check it."}')
    with pytest.raises(JarsUnavailable, match="no network") as raised:
        jars.ensure_jars_apart()
    assert raised.value.hint == "Check it."


def test_who_looks_for_jars_and_dies_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finder(monkeypatch, tmp_path, "{}", status=3)
    with pytest.raises(JarsUnavailable, match="status 3"):
        jars.ensure_jars_apart()


def test_a_start_that_is_given_up_ends_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finder(monkeypatch, tmp_path, '{"come": [1, 46, 1000]}', '{"jars": []}')

    def give_up(*_come: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        jars.ensure_jars_apart(give_up)


def test_what_supervises_holds_no_library_of_downloads() -> None:
    code = "import services.cli.up, services.system.whole, sys; print({'jgo', 'requests', 'faststream'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-P", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


@pytest.mark.parametrize(
    ("given", "loaded"),
    [
        (["ender", "--json"], ["ender"]),
        (["deadletters", "list"], ["deadletters"]),
        (["--help"], cli.COMMANDS),
        (["nonsense"], cli.COMMANDS),
        ([], cli.COMMANDS),
    ],
    ids=str,
)
def test_a_command_loads_no_others(monkeypatch: pytest.MonkeyPatch, given: list[str], loaded: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["pumasi", *given])
    assert list(cli._called_for(cli.COMMANDS)) == list(loaded)


@pytest.mark.parametrize(
    ("loads", "not_these"),
    [
        ("from services.cli import build; build()", {"pydantic", "aiokafka"}),
        ("import services.cli.intake, services.cli.matcher, services.cli.notifier, services.cli.ender", {"rich"}),
    ],
    ids=["help", "services"],
)
def test_help_is_quick_and_a_service_draws_nothing(loads: str, not_these: set[str]) -> None:
    code = f"import sys; {loads}; print({not_these} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-P", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


async def test_a_poll_lasts_until_there_is_something(monkeypatch: pytest.MonkeyPatch) -> None:
    polls = iter([{}, {}, {"place": ["record"]}])

    async def getmany(*_places: Any, **_how: Any) -> Any:
        return next(polls)

    monkeypatch.setattr(Consumer, "getmany", getmany)
    assert await app._Waiting.getmany(object.__new__(app._Waiting)) == {"place": ["record"]}


async def test_fetching_is_looked_at_seldom_whoever_makes_the_consumer() -> None:
    """FastStream says aiokafka's own default by name: five times a second."""
    assert Consumer("topic", consumer_timeout_ms=200)._consumer_timeout == 5.0


async def test_contacts_are_asked_for_only_where_a_box_is_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "_LOOK_EVERY_SECONDS", 0)
    held, asked = languages.Languages("en"), asyncio.Event()

    async def read_all() -> None:
        asked.set()

    monkeypatch.setattr(held, "read_all", read_all)
    opening = asyncio.create_task(held._open_all())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asked.is_set()
    held._unopened["somebody"] = object()  # type: ignore[assignment]
    await asyncio.wait_for(asked.wait(), DEADLINE_SECONDS)
    opening.cancel()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_guard_that_is_told_to_stop_at_once_stops_what_it_has_just_started(number: signal.Signals) -> None:
    """However early it comes: it must reach the command, and not who is about to become it."""
    theirs, ours = os.pipe()
    command = [sys.executable, "-I", "-S", str(GUARD), str(theirs), "60", "sleep", "60"]
    with subprocess.Popen(command, pass_fds=(theirs,), stdout=subprocess.PIPE) as guard:
        assert guard.stdout is not None and int(guard.stdout.readline())
        guard.send_signal(number)
        assert guard.wait(DEADLINE_SECONDS) == 128 + signal.SIGTERM
    os.close(theirs)
    os.close(ours)


async def test_that_a_broker_has_ended_is_heard_at_once_and_asked_of_nobody(tmp_path: Path) -> None:
    theirs, ours = os.pipe()
    command = [sys.executable, "-I", "-S", str(GUARD), str(theirs), "60", "sleep", "60"]
    broker = EmbeddedKafka(tmp_path, 0)
    with subprocess.Popen(command, pass_fds=(theirs,), stdout=subprocess.PIPE) as guard:
        assert guard.stdout is not None
        java, broker._guard = int(guard.stdout.readline()), guard
        assert await broker._runs_for(0.01)
        waiting = asyncio.create_task(broker._runs_for(3600))
        await asyncio.sleep(0)
        os.kill(java, signal.SIGKILL)
        await asyncio.wait_for(waiting, DEADLINE_SECONDS)
        guard.wait(DEADLINE_SECONDS)
        assert not await broker._runs_for(3600)
    os.close(theirs)
    os.close(ours)


@pytest.mark.parametrize("begun", [3.0, 7.9])
async def test_heartbeats_come_together_whenever_their_services_began(
    monkeypatch: pytest.MonkeyPatch, begun: float
) -> None:
    """So that who follows their topic is woken once for all."""
    now, beats, sleep = begun, list[float](), asyncio.sleep

    async def slept(seconds: float) -> None:
        nonlocal now
        now = round(now + seconds, 6)
        await sleep(0)

    async def send(_self: Heartbeat, _process: str, _value: bytes | None) -> None:
        beats.append(now)

    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(time=lambda: now, time_ns=lambda: round(now * 1e9)))
    monkeypatch.setattr(heartbeat.asyncio, "sleep", slept)
    monkeypatch.setattr(Heartbeat, "_send", send)
    one = Heartbeat(lambda: "h:1", "matcher", None, lambda: Condition({}))
    living = asyncio.create_task(one._live())
    while now < 35:
        await sleep(0)
    living.cancel()
    assert beats == [begun, 10, 20, 30]


async def test_who_awaits_a_topics_end_ends_a_poll_that_would_last() -> None:
    woken, tail = asyncio.Event(), Tail(lambda: "h:1", "topic", "client", lambda _record: None)

    async def end_offsets(_places: Any) -> dict[Any, int]:
        return {}

    tail._reading = SimpleNamespace(wake=woken.set, assignment=set, end_offsets=end_offsets, stuck=[])  # type: ignore[assignment]
    await asyncio.wait_for(tail.reach_end(), DEADLINE_SECONDS)
    assert woken.is_set()
