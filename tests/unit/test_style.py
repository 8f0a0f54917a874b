"""Style: ruff finds nothing, and would write no line otherwise. What it is to look at stands in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("asked", ["check", "format --check"])
def test_ruff_finds_nothing(asked: str) -> None:
    """Mend what can be by itself with: .venv/bin/ruff check --fix . && .venv/bin/ruff format ."""
    command = [sys.executable, "-m", "ruff", *asked.split(), "--no-cache", "."]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
