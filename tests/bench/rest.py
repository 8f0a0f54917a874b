"""What a whole Pumasi takes at rest: memory and processor time of each process of `pumasi up`, when nobody sends anything.

`up` runs as a user would run it, on a directory of its own. It is left alone until its JVM has compiled what a start and the first
minutes need. Then processor time (user and system, as a part of one core) is taken over a while, and memory at its end: PSS, in which
a page that several processes share counts once. Wall time plays no part, so other work on the machine does little to the figures.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from services.errors import PumasiError
from tests.bench.memory import taken
from tests.bench.running import running
from tests.bench.throughput import Watcher

MIB_MAX, SHARE_MAX = 400.0, 0.03
"""What is aimed at: MiB, and the part of a core."""
SETTLED_SECONDS, TAKEN_SECONDS = 90.0, 60.0
_READY_SECONDS_MAX = 300.0
_STOP_SECONDS_MAX = 60
_GUARD, _BROKER, _NURSERY = "guard", "broker", "nursery"


class NotAtRest(PumasiError):
    """A process came or went while they were measured."""

    code = "bench_failed"


@dataclass(frozen=True)
class Process:
    """What one process takes at rest.

    Attributes:
        name: `up`, `broker`, a service's, `nursery`, or `guard`.
        mib: PSS; RSS where the system doesn't tell that.
        share: of a core.
    """

    name: str
    mib: float
    share: float


@dataclass(frozen=True)
class Rest:
    """All processes, the largest first."""

    processes: list[Process]

    @property
    def mib(self) -> float:
        return sum(one.mib for one in self.processes)

    @property
    def share(self) -> float:
        return sum(one.share for one in self.processes)

    def as_json(self) -> dict[str, Any]:
        return {"mib": self.mib, "share": self.share, "processes": [asdict(one) for one in self.processes]}


async def rest(watcher: Watcher, settled: float = SETTLED_SECONDS, seconds: float = TAKEN_SECONDS) -> Rest:
    """Start a Pumasi, leave it alone for `settled` seconds, and measure for `seconds`.

    Raises:
        Ended: if it does not start.
        NotAtRest: if one of its processes was restarted meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        watcher.doing("starting a whole Pumasi")
        command = [sys.executable, "-P", "-m", "services.cli", "up", "--json", "--data", str(directory / "data")]
        ours = {"PUMASI_KEYS": str(directory / "keys"), "PUMASI_OPEN": "0"}  # as people have it
        async with running([*command, "--kafka-port", "0", "--http-port", "0"], directory / "up.log", ours) as up:
            await up.told("kafka", _READY_SECONDS_MAX)
            watcher.doing(f"leaving it alone for {settled:.0f} s, then watching it for {seconds:.0f} s")
            await asyncio.sleep(settled)
            found = await _watched(psutil.Process(up.process.pid), seconds)
            up.process.terminate()
            await asyncio.wait_for(up.process.wait(), _STOP_SECONDS_MAX)
    return found


async def _watched(up: psutil.Process, seconds: float) -> Rest:
    family = [up, *up.children(recursive=True)]
    began, used = time.monotonic(), [_seconds_of(one) for one in family]
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    if [up, *up.children(recursive=True)] != family:
        raise NotAtRest("a process came or went while they were watched", hint="Try again.")
    found = []
    for one, before in zip(family, used, strict=True):
        memory = taken(one.pid)
        share = (_seconds_of(one) - before) / passed
        found.append(Process(_name(one.cmdline()), memory.pss or memory.rss, round(share, 4)))
    return Rest(sorted(found, key=lambda one: -one.mib))


def _seconds_of(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _name(command: Sequence[str]) -> str:
    if "services.cli" in command and _GUARD not in " ".join(command[:5]):
        return command[command.index("services.cli") + 1]
    if "services.system.nursery" in command:
        return _NURSERY
    return _BROKER if os.path.basename(command[0]) == "java" else _GUARD
