"""The table of faults (`tests/FAULTS.md`) names tests that exist, and no row goes without one."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = [
    line for line in (TESTS / "FAULTS.md").read_text().splitlines() if line.startswith("|") and not re.match(r"\|(-|\s*fault)", line)
]  # fmt: skip


def test_every_test_named_exists() -> None:
    there = {name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", file.read_text())}
    named = re.findall(r"`(test_\w+)`", (TESTS / "FAULTS.md").read_text())
    assert len(named) > 40
    assert sorted(set(named) - there) == []


def test_every_fault_has_a_test() -> None:
    assert len(ROWS) > 30
    assert [row for row in ROWS if not re.search(r"`test_\w+`", row)] == []
