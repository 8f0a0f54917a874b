"""How many entries a second does `pumasi audit` hold? The command itself, on a ledger of mixed commands over four partitions.

A matcher answers all of it first, on a broker of the bench's own. Then `pumasi audit` runs as people run it, several times, its start
included. Processor time is that of the command and its processes together, without the broker's.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from tests.bench.curve import watch
from tests.bench.load import fill
from tests.bench.peers import matcher_command
from tests.bench.running import Ended, running
from tests.bench.season import Season
from tests.bench.stats import Spread
from tests.bench.throughput import Watcher
from tests.bench.verify import Wrong

PARTITIONS = 4
_CASES = 1_000
_SECONDS_MAX, _STALL_SECONDS_MAX, _QUIET_SECONDS = 900.0, 60.0, 1.0


@dataclass
class Auditing:
    """What was found.

    Attributes:
        commands, entries: of the ledger.
        seconds: that the command took, run by run.
        processor: of processor time likewise, all its processes together.
    """

    commands: int
    entries: int = 0
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @property
    def rate(self) -> Spread:
        """Entries a second."""
        return Spread.of([self.entries / each for each in self.seconds])

    @property
    def microseconds(self) -> Spread:
        """Of processor time an entry."""
        return Spread.of([each / self.entries * 1e6 for each in self.processor])

    def as_json(self) -> dict[str, Any]:
        return {
            "partitions": PARTITIONS,
            "commands": self.commands,
            "entries": self.entries,
            "entries_per_second": self.rate.as_json(),
            "microseconds": self.microseconds.as_json(1),
        }


async def auditing(entries: int, runs: int, seed: int, watcher: Watcher) -> Auditing:
    """Make a ledger of so many entries, and audit it so many times.

    Raises:
        Ended: if the matcher doesn't get through.
        Wrong: if the audit doesn't hold every command.
    """
    season = Season(_CASES, max(1, entries // PARTITIONS - 2 - 2 * _CASES), seed=seed)
    found = Auditing(season.commands * PARTITIONS)
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        watcher.doing("starting a broker")
        async with EmbeddedKafka(directory / "kafka", 0) as broker:
            await topics.ensure(broker.bootstrap, PARTITIONS)
            watcher.doing(f"putting {found.commands:,} commands on it")
            await fill(broker.bootstrap, season, PARTITIONS)
            await _answered(broker.bootstrap, found.commands, directory, watcher)
            for number in range(runs):
                watcher.doing(f"audit {number + 1}/{runs}")
                await _audited(broker.bootstrap, found)
                watcher.say(f"audit {number + 1}/{runs}  {found.rate.runs[-1]:9,.0f} entries/s")
    return found


async def _answered(bootstrap: str, commands: int, directory: Path, watcher: Watcher) -> None:
    watcher.doing(f"a matcher answers {commands:,} commands", commands)
    async with running(matcher_command(bootstrap), directory / "matcher.log") as process:
        curve = await watch(
            bootstrap, topics.LEDGER, PARTITIONS, commands, process.still, seconds_max=_SECONDS_MAX,
            stall_seconds_max=_STALL_SECONDS_MAX, quiet_seconds=_QUIET_SECONDS, told=watcher.reached,
        )  # fmt: skip
        if sum(curve.ends[-1].values()) < commands:
            raise Ended(f"the matcher stood still: {process.last_words()}")


async def _audited(bootstrap: str, found: Auditing) -> None:
    """Run the command once."""
    command = [sys.executable, "-P", "-m", "services.cli", "audit", "--json", "--kafka", bootstrap]
    before, began = _processor_seconds(), time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    output, _ = await process.communicate()
    found.seconds.append(time.perf_counter() - began)
    found.processor.append(_processor_seconds() - before)
    told = json.loads(output)
    if not told["ok"] or sum(each["commands"] for each in told["partitions"]) != found.commands:
        raise Wrong(f"the audit: {told}")
    found.entries = sum(each["entries"] for each in told["partitions"])


def _processor_seconds() -> float:
    """Of all processes that this one has started and that have ended, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
