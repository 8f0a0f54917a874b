"""`./run` finds its checkout also through links, absolute and relative, a chain of them, from any directory."""

import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "run"


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
