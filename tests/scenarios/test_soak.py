"""A short soak: every kind of fault within three quarters of a minute, and nothing to be found afterwards."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from tests.soak.plan import KINDS

SEED = 4
MINUTES = 0.75
WITHIN_S = 600
COMMAND = (
    sys.executable,
    "-P",
    "-m",
    "tests.soak",
    "soak",
    "--seed",
    str(SEED),
    "--minutes",
    str(MINUTES),
    "--rate",
    "40",
)


@pytest.mark.broker
@pytest.mark.timeout(WITHIN_S + 60)
async def test_no_fault_loses_doubles_or_over_allocates_a_unit_of_money() -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), WITHIN_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert said, complaint.decode()
    told = json.loads(said)
    assert (process.returncode, told["ok"], told["findings"]) == (0, True, {}), told["first_findings"]
    assert set(told["faults"]) == KINDS.keys() - told["skipped"].keys()
    assert told["kills"] >= 3
    struck = [kind for kind, row in told["faults"].items() if row["struck"]]
    assert len(struck) >= len(told["faults"]) * 2 / 3, "a broker that is away for long leaves little else to be struck"
    checked, submitted = told["checked"], told["submitted"]
    assert checked["commands"] == checked["entries"] > MINUTES * 60 * 40
    assert submitted["pumasi.pledge.made"] > 700
    assert min(checked[name] for name in ("unreadable", "duplicate", "notices", "dead letters")) > 0
    assert told["audit"]["ok"]
    assert told["longest_stall_s"] > 0
    assert told["evidence"] is None, "nothing was found, so nothing is kept"
    assert not list(soaks()), "and nothing is left running"


def soaks() -> list[int]:
    """Processes that run on a soak's directory."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        data = (process.info["environ"] or {}).get("PUMASI_DATA", "")
        if "pumasi-soak-" in data and Path(data).parent.name.startswith("pumasi-soak-"):
            found.append(process.pid)
    return found


async def test_the_plan_can_be_looked_at() -> None:
    process = await asyncio.create_subprocess_exec(*COMMAND, "--plan", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    lines = said.decode().splitlines()
    assert process.returncode == 0
    assert {line.split()[2] for line in lines} == KINDS.keys()
    assert lines == sorted(lines, key=lambda line: float(line.split()[0]))


async def test_the_help_names_every_kind_of_fault() -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND[:5], "--help", stdout=asyncio.subprocess.PIPE, env={**os.environ, "COLUMNS": "200"}
    )
    said, _ = await process.communicate()
    assert not [kind for kind in KINDS if kind not in said.decode()]


async def test_a_directory_that_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    process = await asyncio.create_subprocess_exec(*COMMAND, "--keep", str(tmp_path), stderr=asyncio.subprocess.PIPE)
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert b"is not empty" in complaint
