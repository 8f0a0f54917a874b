"""`./run` finds its checkout also through links, absolute and relative, a chain of them, from any directory; and who waits for what."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "run"
RUNS = {"bench": "tests.bench", "soak": "tests.soak"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment is there and whose Python says what it is asked to run."""
    home = tmp_path / "a checkout"
    (home / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(RUN, home / "run")
    for place in (home, home / ".venv"):
        (place / "requirements.lock").write_text("locked\n")
    python = home / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$0" "$@"\n')
    python.chmod(0o755)
    (home / ".venv" / "native.stamp").touch()  # nothing is younger than what was compiled
    return home


def called(program: Path, cwd: Path) -> str:
    return subprocess.run([program, "status", "--json"], cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_called_through_links_it_is_the_same_command(checkout: Path, tmp_path: Path) -> None:
    bin_dir = tmp_path / "bin -> odd"
    bin_dir.mkdir()
    (bin_dir / "absolute").symlink_to(checkout / "run")
    (bin_dir / "relative").symlink_to(Path("..") / "a checkout" / "run")
    (tmp_path / "chain").symlink_to(Path(bin_dir.name) / "relative")
    straight = called(checkout / "run", tmp_path)
    assert straight == f"{checkout}/.venv/bin/python -P -m services.cli status --json\n"
    for link in (bin_dir / "absolute", bin_dir / "relative", tmp_path / "chain"):
        assert called(link, checkout) == straight


@pytest.mark.parametrize(
    ("command", "compiles"),
    [("demo", "--beside"), ("up", "--beside"), ("status", "--beside"), ("bench", ""), ("soak", ""), ("test", "")],
)
def test_only_who_measures_the_hot_path_waits_until_it_is_compiled(checkout: Path, command: str, compiles: str) -> None:
    shutil.copy(checkout / "requirements.lock", checkout / ".venv" / "requirements-dev.lock")
    shutil.copy(checkout / "requirements.lock", checkout / "requirements-dev.lock")
    (checkout / ".venv" / "native.stamp").unlink()
    done = subprocess.run([checkout / "run", command], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == f"{checkout}/.venv/bin/python -P -m services.native.build {compiles}".rstrip()
    assert second.endswith("-m pytest" if command == "test" else f"-m {RUNS.get(command, 'services.cli')} {command}")
    environment = {**os.environ, "PUMASI_PURE": "1"}
    done = subprocess.run([checkout / "run", command], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == [second]
