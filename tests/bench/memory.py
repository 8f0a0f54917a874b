"""How much a matcher remembers: its process from outside, with so many live cases and some pledges awarded to them.

A matcher answers the whole load first, and is killed. What is measured is its heir: once it has recovered (from a checkpoint, as it
would in service), and again once it has answered more. RSS counts pages shared with others in full, PSS (Linux) by its share; `peak` is
the largest RSS that the kernel ever saw of the process, recovery included.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from tests.bench import verify
from tests.bench.curve import watch
from tests.bench.load import Load, fill
from tests.bench.peers import matcher_command
from tests.bench.running import Ended, Running, running
from tests.bench.throughput import Watcher

_READY_SECONDS_MAX = 300.0
_ANSWER_SECONDS_MAX = 900.0
_STALL_SECONDS_MAX = 60.0
_QUIET_SECONDS = 1.0
_NAME = {"PUMASI_INSTANCE": "pumasi-bench-memory"}


@dataclass(frozen=True)
class Taken:
    """Memory of a process, MiB; `pss` and `peak` are None where the system doesn't tell."""

    rss: float
    pss: float | None
    peak: float | None


@dataclass(frozen=True)
class Memory:
    """What was found.

    Attributes:
        cases, pledges: live, when the heir had recovered.
        more: pledges that it then answered.
        recovered, answered: after each.
        first: of the matcher that had answered everything itself.
    """

    cases: int
    pledges: int
    more: int
    recovered: Taken
    answered: Taken
    first: Taken

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def memory(load: Load, more: int, watcher: Watcher) -> Memory:
    """Measure.

    Args:
        load: cases, and pledges to them, that are live from the start.
        more: pledges that come after the recovery.

    Raises:
        Ended: if a matcher doesn't get through.
        Wrong: if the ledger isn't right.
    """
    whole = Load(load.cases, load.pledges + more, load.seed)
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        watcher.doing("starting a broker")
        async with EmbeddedKafka(directory / "kafka", 0) as broker:
            await topics.ensure(broker.bootstrap, 1)
            watcher.doing(f"putting {load.commands:,} commands on it")
            await fill(broker.bootstrap, whole, until=load.commands)
            command = matcher_command(broker.bootstrap)
            async with running(command, directory / "first.log", _NAME) as first:
                await _answered(broker.bootstrap, load.commands, first, watcher)
                before = taken(first.process.pid)
            async with running(command, directory / "heir.log", _NAME) as heir:
                watcher.doing("a new matcher recovers")
                await heir.told("ready", _READY_SECONDS_MAX)
                recovered = taken(heir.process.pid)
                await fill(broker.bootstrap, whole, begin=load.commands)
                await _answered(broker.bootstrap, whole.commands, heir, watcher)
                answered = taken(heir.process.pid)
            watcher.doing("holding the ledger against the load")
            await verify.ledger(broker.bootstrap, whole.commands, whole.pledged())
    return Memory(load.cases, load.pledges, more, recovered, answered, before)


async def _answered(bootstrap: str, commands: int, process: Running, watcher: Watcher) -> None:
    watcher.doing(f"a matcher answers {commands:,} commands", commands)
    curve = await watch(
        bootstrap, topics.LEDGER, 1, commands, process.still, seconds_max=_ANSWER_SECONDS_MAX,
        stall_seconds_max=_STALL_SECONDS_MAX, quiet_seconds=_QUIET_SECONDS, told=watcher.reached,
    )  # fmt: skip
    if curve.ends[-1][0] < commands:
        raise Ended(f"the matcher stood still: {process.last_words()}")


def taken(process: int) -> Taken:
    """What a process takes now."""
    rss = psutil.Process(process).memory_info().rss
    pss = peak = None
    with suppress(OSError):  # not Linux
        pss = _kib(Path(f"/proc/{process}/smaps_rollup").read_text(), "Pss")
        peak = _kib(Path(f"/proc/{process}/status").read_text(), "VmHWM")
    return Taken(round(rss / 2**20, 1), pss, peak)


def _kib(text: str, name: str) -> float | None:
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return round(int(found[1]) / 1024, 1) if found else None
