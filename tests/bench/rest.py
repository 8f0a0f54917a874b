"""What a whole Pumasi takes at rest: memory and processor time of each process of `pumasi up`, when nobody sends anything.

`up` runs as a user would run it, on a directory of its own, with Kafka's classes ready, as after any first start. From when it is
ready processor time (user and system, as a part of one core) is taken minute by minute, since the first ones are dearer: the JVM still
compiles. Memory is taken at the end: PSS, in which a page that several processes share counts once. Wall time plays no part, so other
work on the machine does little to the figures.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from services.bus.embedded import classes
from services.errors import PumasiError
from tests.bench.memory import taken
from tests.bench.running import running
from tests.bench.throughput import Watcher

MIB_MAX, SHARE_MAX = 400.0, 0.03
"""What is aimed at: MiB, and the part of a core in any minute."""
MINUTES = 3
_MINUTE_SECONDS = 60.0
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
        shares: of a core, minute by minute.
    """

    name: str
    mib: float
    shares: list[float]


@dataclass(frozen=True)
class Rest:
    """All processes, the largest first.

    Attributes:
        ready_seconds: how long the start took; formatting included.
    """

    processes: list[Process]
    ready_seconds: float

    @property
    def mib(self) -> float:
        return sum(one.mib for one in self.processes)

    @property
    def shares(self) -> list[float]:
        """Of a core, minute by minute."""
        return [sum(minute) for minute in zip(*(one.shares for one in self.processes), strict=True)]

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        processes = [asdict(one) for one in self.processes]
        return {"mib": self.mib, "shares": self.shares, "ready_seconds": self.ready_seconds, "processes": processes}


async def rest(watcher: Watcher, minutes: int = MINUTES) -> Rest:
    """Start a Pumasi, leave it alone, and measure for its first minutes.

    Raises:
        Ended: if it does not start.
        NotAtRest: if one of its processes was restarted meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        watcher.doing("making Kafka's classes ready, if they aren't")
        await asyncio.to_thread(classes.make)
        watcher.doing("starting a whole Pumasi")
        command = [sys.executable, "-P", "-m", "services.cli", "up", "--json", "--data", str(directory / "data")]
        ours = {"PUMASI_KEYS": str(directory / "keys"), "PUMASI_OPEN": "0"}  # as people have it
        async with running([*command, "--kafka-port", "0", "--http-port", "0"], directory / "up.log", ours) as up:
            began = time.monotonic()
            await up.told("kafka", _READY_SECONDS_MAX)
            ready = round(time.monotonic() - began, 1)
            watcher.doing("leaving it alone", minutes)
            found = await _watched(psutil.Process(up.process.pid), minutes, watcher)
            up.process.terminate()
            await asyncio.wait_for(up.process.wait(), _STOP_SECONDS_MAX)
    return Rest(found, ready)


async def _watched(up: psutil.Process, minutes: int, watcher: Watcher) -> list[Process]:
    family = [up, *up.children(recursive=True)]
    at, used = [time.monotonic()], [[_seconds_of(one)] for one in family]
    for minute in range(1, minutes + 1):
        await asyncio.sleep(_MINUTE_SECONDS)
        if [up, *up.children(recursive=True)] != family:
            raise NotAtRest("a process came or went while they were watched", hint="Try again.")
        at.append(time.monotonic())
        for one, by_then in zip(family, used, strict=True):
            by_then.append(_seconds_of(one))
        watcher.reached(minute)
    found = []
    for one, by_then in zip(family, used, strict=True):
        memory = taken(one.pid)
        shares = [
            round((after - before) / (end - begin), 4)
            for (before, after), (begin, end) in zip(pairwise(by_then), pairwise(at), strict=True)
        ]
        found.append(Process(_name(one.cmdline()), memory.pss or memory.rss, shares))
    return sorted(found, key=lambda one: -one.mib)


def _seconds_of(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _name(command: Sequence[str]) -> str:
    if "services.cli" in command and _GUARD not in " ".join(command[:5]):
        return command[command.index("services.cli") + 1]
    if "services.system.nursery" in command:
        return _NURSERY
    return _BROKER if os.path.basename(command[0]) == "java" else _GUARD
