"""Compiling beside the first command: nobody waits for it, two never do the same, and what is killed half-way does no harm."""

import os
import signal
import subprocess
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60
_CYTHON = """
import os, pathlib, sys, time
here = pathlib.Path(os.environ["GATE"])
(here / f"begun-{os.getpid()}").touch()
while not (here / "open").exists():
    time.sleep(0.01)
pathlib.Path(sys.argv[sys.argv.index("-o") + 1]).touch()
"""
"""Instead of Cython: waits for a gate to be opened."""


class Environment:
    """An environment whose Cython and compiler take as long as a test wants."""

    def __init__(self, home: Path) -> None:
        self.home, self.gate = home / ".venv", home / "gate"
        self.gate.mkdir()
        venv.create(self.home, with_pip=False, symlinks=True)
        fakes = home / "fakes" / "cython"
        fakes.mkdir(parents=True)
        (fakes / "__main__.py").write_text(_CYTHON)
        compiler = home / "cc"
        compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\ntouch "$2"\n')
        compiler.chmod(0o755)
        self.environ = {
            "PATH": os.environ["PATH"], "PYTHONPATH": f"{fakes.parent}:{ROOT}", "CC": str(compiler), "GATE": str(self.gate),
            "PUMASI_ID_KEY": "secret",
        }  # fmt: skip

    def call(self, *arguments: str) -> subprocess.Popen[str]:
        command = [self.home / "bin" / "python", "-P", "-m", "services.native.build", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=self.environ, stderr=subprocess.PIPE, text=True)

    def said(self, *arguments: str) -> str:
        called = self.call(*arguments)
        _, said = called.communicate(timeout=DEADLINE_S)
        assert called.returncode == 0, said
        return said

    def open(self) -> None:
        (self.gate / "open").touch()

    @property
    def begun(self) -> list[Path]:
        return list(self.gate.glob("begun-*"))

    @property
    def builds(self) -> list[Path]:
        return [path for path in (self.home / "native").iterdir() if path.is_dir() and not path.name.startswith(".")]

    @property
    def stamped(self) -> bool:
        return (self.home / "native.stamp").exists()

    def at_work(self) -> list[psutil.Process]:
        """Processes that compile here."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("GATE") == str(self.gate) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Environment]:
    environment = Environment(tmp_path)
    yield environment
    for process in environment.at_work():
        process.kill()


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.01)


def test_beside_a_command_it_says_one_line_goes_on_by_itself_and_is_there_for_the_next(there: Environment) -> None:
    assert there.said("--beside") == "Compiling the hot path beside it; the next start is faster.\n"
    until(lambda: there.begun, "it compiles, though its caller has ended")
    leader = next(one for one in there.at_work() if one.ppid() not in {other.pid for other in there.at_work()})
    assert leader.nice() == 19
    assert "PUMASI_ID_KEY" not in leader.environ()
    assert os.getsid(leader.pid) != os.getsid(0), "a Ctrl-C in this terminal does not reach it"
    assert there.builds == [] and not there.stamped
    there.open()
    until(lambda: there.stamped, "it is built")
    assert len(there.builds) == 1
    assert there.said("--beside") == ""


def test_a_second_call_beside_leaves_it_to_the_first_and_who_needs_it_waits(there: Environment) -> None:
    there.said("--beside")
    until(lambda: there.begun, "it compiles")
    assert there.said("--beside") == ""
    waiting = there.call()
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == "The hot path is being compiled already; waiting for that.\n"
    begun = len(there.begun)
    there.open()
    assert waiting.wait(DEADLINE_S) == 0
    assert there.stamped and len(there.builds) == 1
    modules = list(there.builds[0].rglob("*.so"))
    assert begun < len(there.begun) == len(modules), "each module was compiled once"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_killed_half_way_is_cleared_away_and_done_anew(there: Environment, how: signal.Signals) -> None:
    there.said("--beside")
    until(lambda: there.begun, "it compiles")
    for process in there.at_work():
        process.send_signal(how)
    until(lambda: not there.at_work(), "it is dead")
    assert there.builds == [] and not there.stamped
    there.open()
    assert "Compiling the hot path" in there.said()
    assert [path.name for path in (there.home / "native").iterdir() if path.is_dir()] == [there.builds[0].name]


def test_a_source_that_changes_meanwhile_is_not_taken_for_what_was_compiled(there: Environment, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    subprocess.run(["cp", "-r", ROOT / "services", ROOT / "schemas", copy], check=True)
    there.environ["PYTHONPATH"] = there.environ["PYTHONPATH"].replace(str(ROOT), str(copy))
    command = [there.home / "bin" / "python", "-P", "-m", "services.native.build"]
    building = subprocess.Popen(command, cwd=copy, env=there.environ, stderr=subprocess.PIPE, text=True)
    until(lambda: there.begun, "it compiles")
    changed = copy / "services" / "matcher" / "rules" / "waterfill.py"
    changed.write_text(changed.read_text() + "\n")
    there.open()
    _, said = building.communicate(timeout=DEADLINE_S)
    assert (building.returncode, there.builds) == (1, [])
    assert "its source was changed meanwhile" in said
    assert (there.home / "native.stamp").stat().st_mtime < changed.stat().st_mtime, "so the next ./run compiles it"


def test_without_a_compiler_it_is_said_once_and_everything_runs_in_python(there: Environment) -> None:
    del there.environ["CC"]
    there.environ["PATH"] = str(there.gate)
    called = there.call("--beside")
    _, said = called.communicate(timeout=DEADLINE_S)
    assert said == "The hot path runs in Python, about half as fast: no C compiler\n"
    assert there.stamped, "so ./run asks no more"
