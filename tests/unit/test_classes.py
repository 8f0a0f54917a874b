"""Kafka's classes lie ready, or they don't: no start fails for them, and nobody ever sees half a file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.bus.embedded import EmbeddedKafka, classes
from services.bus.embedded import broker as embedded
from services.errors import BrokerFailed
from tests.waiting import is_gone, until


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One of which nobody else knows."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path


def made_by(monkeypatch: pytest.MonkeyPatch, *, raises: Exception | None = None) -> None:
    async def use(_data: Path, made: Path) -> None:
        made.write_bytes(b"classes")
        if raises is not None:
            raise raises

    monkeypatch.setattr(classes, "_use_a_broker", use)


def test_brokers_are_told_of_classes_only_where_they_lie_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    assert classes.options() == []
    made_by(monkeypatch)
    assert classes.make()
    assert classes.home().read_bytes() == b"classes"
    assert classes.options()[0] == f"-XX:AOTCache={classes.home()}"


def test_classes_of_former_jars_are_removed_and_none_are_made_twice(
    monkeypatch: pytest.MonkeyPatch, environment: Path
) -> None:
    former, left = environment / "kafka-0000.aot", environment / "kafka-made-killed"
    former.write_bytes(b"former")
    left.mkdir()
    made_by(monkeypatch)
    assert classes.make()
    assert not former.exists() and not left.exists()
    made_by(monkeypatch, raises=OSError("not again"))
    assert classes.make()


@pytest.mark.parametrize("ends", [TimeoutError(), BrokerFailed("it ended"), OSError("no room")], ids=repr)
def test_classes_that_can_not_be_made_are_told_of_and_leave_no_half_a_file(
    ends: Exception, monkeypatch: pytest.MonkeyPatch, environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_by(monkeypatch, raises=ends)
    assert not classes.make()
    assert [path.name for path in environment.iterdir()] == ["kafka-classes.lock"]
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("named", ["java", "jars", "options"])
def test_other_java_jars_or_options_have_other_classes(
    named: str, monkeypatch: pytest.MonkeyPatch, environment: Path
) -> None:
    before = classes.home()
    if named == "java":
        monkeypatch.setattr(classes, "find_java", lambda: environment / "bin" / "java")
    elif named == "jars":
        (environment / "lock").write_text("others")
        monkeypatch.setattr(classes, "LOCK", environment / "lock")
    else:
        monkeypatch.setattr(classes, "jvm_options", lambda _home, _heap: ["-Xother"])
    assert classes.home() != before


@pytest.mark.parametrize(("java", "started"), [(25, True), (17, False)])
def test_another_process_makes_them_where_java_can(java: int, started: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setenv("PUMASI_ID_KEY", "secret")
    monkeypatch.setattr(classes, "major", lambda _java: java)
    monkeypatch.setattr(classes.subprocess, "Popen", lambda _command, env, **_how: given.append(env))
    assert classes.make_beside() is started
    assert len(given) == started
    assert not any("PUMASI_ID_KEY" in env for env in given)


_LEAVES_ONE = """
import os, subprocess, sys
made = "import time; from services.bus.embedded import classes; "
made += "classes.make = lambda: print('makes', flush=True) or time.sleep(600)"
command = [sys.executable, "-c", f"{made}; classes.apart({os.getpid()})"]
child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdout.readline()
print(child.pid)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells a process that who started it has ended")
async def test_who_makes_them_ends_with_who_started_it() -> None:
    told = subprocess.run([sys.executable, "-c", _LEAVES_ONE], capture_output=True, text=True, check=True).stdout
    await until(lambda: is_gone(int(told)))


def test_where_they_lie_ready_nobody_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    classes.home().write_bytes(b"classes")
    monkeypatch.setattr(classes.subprocess, "Popen", lambda *_command, **_how: pytest.fail("for nothing"))
    assert not classes.make_beside()


@pytest.mark.parametrize(
    ("status", "starts"), [(134, 2), (1, 1), (137, 1)], ids=["crashed", "refused its settings", "killed"]
)
async def test_a_broker_that_crashes_with_them_is_started_without_them(
    status: int, starts: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    classes.home().write_bytes(b"broken")
    broker, told = EmbeddedKafka(tmp_path / "data", 0), list[list[str]]()

    async def answers() -> None:
        if classes.options():
            raise BrokerFailed("it ended")

    def spawn(_port: int) -> None:
        told.append(classes.options())
        broker._guard = SimpleNamespace(returncode=status, stdout=None, wait=lambda _seconds: status)  # type: ignore[assignment]

    monkeypatch.setattr(broker, "_spawn", spawn)
    monkeypatch.setattr(broker, "_until_it_answers", answers)
    starting = asyncio.create_task(broker._start_on_some_port())
    await asyncio.wait({starting})
    broker._reservation.release()
    assert (starting.exception() is None) == (starts == 2)
    assert [bool(one) for one in told] == [True, False][:starts]
    assert classes.home().exists() == (starts == 1)


def test_a_format_that_crashes_with_them_is_done_without_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    classes.home().write_bytes(b"broken")
    broker = EmbeddedKafka(tmp_path / "data", 0)

    def run(command: list[str], **_how: Any) -> Any:
        crashes = any(option.startswith("-XX:AOTCache") for option in command)
        (broker.home / "log.formatting").mkdir(parents=True)
        return SimpleNamespace(returncode=-6 if crashes else 0, stdout="", stderr="")

    monkeypatch.setattr(embedded.subprocess, "run", run)
    broker.home.mkdir(parents=True)
    broker._format("")
    assert (broker.home / "log").exists() and not classes.home().exists()
