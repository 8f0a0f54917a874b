"""A short soak: every kind of fault within three quarters of a minute, and nothing to be found afterwards; and three brokers, of which
one at a time is killed, paused, filled and restarted."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.soak.plan import KINDS, OF_SEVERAL

SEED = 4
MINUTES = 0.75
WITHIN_S = 600
SOAK = (sys.executable, "-P", "-m", "tests.soak", "soak")
SHORT = ("--seed", str(SEED), "--minutes", str(MINUTES), "--rate", "40")
DRILL = ("kill-broker", "kill-controller", "pause-broker", "roll-brokers", "disk-full")
DRILL_SEED, DRILL_MINUTES = 72, 3
"""With this seed they come far apart."""
STALL_S_MAX = 60.0
"""One broker of three is missed for seconds: its session, and what its clients take to look elsewhere. This is for a machine that
carries all of it, and other tests beside."""


async def soak(*options: str) -> tuple[int | None, dict[str, Any]]:
    """The exit status of a soak, and what it says as JSON."""
    process = await asyncio.create_subprocess_exec(
        *SOAK, *options, "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), WITHIN_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert said, complaint.decode()
    return process.returncode, json.loads(said)


@pytest.mark.broker
@pytest.mark.timeout(WITHIN_S + 60)
async def test_of_three_brokers_one_may_be_killed_paused_filled_and_restarted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    only = [word for kind in DRILL for word in ("--only", kind)]
    seed, minutes = ("--seed", str(DRILL_SEED)), ("--minutes", str(DRILL_MINUTES))
    status, told = await soak("--brokers", "3", *seed, *minutes, "--rate", "40", *only)
    with capsys.disabled():
        print("".join(f"\n{kind}: {row['longest_stall_s']} s" for kind, row in told["faults"].items()))
    assert (status, told["ok"], told["findings"]) == (0, True, {}), told["first_findings"]
    assert set(told["faults"]) == set(DRILL) - told["skipped"].keys()
    assert all(row["struck"] for row in told["faults"].values())
    assert 0 < told["longest_stall_s"] < STALL_S_MAX, told["longest_stalls"]
    assert told["ends"] == {}, "no service ended of it"
    assert told["checked"]["commands"] == told["checked"]["entries"] > DRILL_MINUTES * 60 * 40
    assert told["audit"]["ok"]


@pytest.mark.broker
@pytest.mark.timeout(WITHIN_S + 60)
async def test_no_fault_loses_doubles_or_over_allocates_a_unit_of_money() -> None:
    status, told = await soak(*SHORT)
    assert (status, told["ok"], told["findings"]) == (0, True, {}), told["first_findings"]
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
    process = await asyncio.create_subprocess_exec(*SOAK, *SHORT, "--plan", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    lines = said.decode().splitlines()
    assert process.returncode == 0
    assert {line.split()[2] for line in lines} == KINDS.keys()
    assert lines == sorted(lines, key=lambda line: float(line.split()[0]))


async def test_the_help_names_every_kind_of_fault() -> None:
    process = await asyncio.create_subprocess_exec(
        *SOAK, "--help", stdout=asyncio.subprocess.PIPE, env={**os.environ, "COLUMNS": "200"}
    )
    said, _ = await process.communicate()
    assert not [kind for kind in OF_SEVERAL if kind not in said.decode()]


async def test_a_directory_that_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    process = await asyncio.create_subprocess_exec(
        *SOAK, *SHORT, "--keep", str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert b"is not empty" in complaint
