"""More partitions, more processes: each partition holds a fund with a load of its own, each process is a matcher of one group.

The load grows with the partitions, so nobody runs dry early. The clock runs from when all cases and the first 40 % of all pledges
are readable to when 85 % are: towards the end partitions finish one by one, and a rate over that tail would be that of fewer. The
broker and all matchers share the machine, so with more processes than cores nothing can be gained; the table says how many there
are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from tests.bench import verify
from tests.bench.curve import watch, window
from tests.bench.load import Load, fill
from tests.bench.peers import matcher_command
from tests.bench.running import running
from tests.bench.throughput import WARM, Watcher

PLANS = ((1, 1), (2, 1), (2, 2), (3, 3), (4, 1), (4, 2), (4, 4))
"""Partitions and processes of each row."""
UNTIL = 0.85
_SECONDS_MAX = 900.0
_STALL_SECONDS_MAX = 60.0
_QUIET_SECONDS = 1.0
_NEVER = 1e18


@dataclass(frozen=True)
class Row:
    """One plan.

    Attributes:
        partitions, processes: of the plan.
        rates: pledges a second, of each round.
    """

    partitions: int
    processes: int
    rates: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "rates": [round(rate) for rate in self.rates]}


async def scaling(load: Load, plans: Sequence[tuple[int, int]], rounds: int, watcher: Watcher) -> list[Row]:
    """Measure each plan `rounds` times, in turn.

    Args:
        load: of each partition.
        plans: partitions and processes.
        rounds: how often.
        watcher: is told.

    Raises:
        Ended, Wrong: if a figure would be worth nothing.
    """
    rates: dict[tuple[int, int], list[float]] = {plan: [] for plan in plans}
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        for number in range(rounds):
            for partitions, processes in plans:
                # A broker of its own: the number of partitions is fixed once topics exist.
                home = directory / f"{number}-{partitions}-{processes}"
                home.mkdir()
                async with EmbeddedKafka(home / "kafka", 0) as broker:
                    rate = await _measured(broker.bootstrap, load, partitions, processes, home, watcher)
                rates[partitions, processes].append(rate)
                watcher.say(f"{partitions} partitions, {processes} processes: {rate:9,.0f} pledges/s in all")
    return [Row(*plan, tuple(found)) for plan, found in rates.items()]


async def _measured(bootstrap: str, load: Load, partitions: int, processes: int, home: Path, watcher: Watcher) -> float:
    await topics.ensure(bootstrap, partitions)
    watcher.doing(f"{partitions} partitions, {processes} processes: filling")
    await fill(bootstrap, load, partitions)
    commands = load.commands * partitions
    watcher.doing(f"{partitions} partitions, {processes} processes", commands)
    async with AsyncExitStack() as stack:
        matchers = [
            await stack.enter_async_context(running(matcher_command(bootstrap), home / f"{number}.log"))
            for number in range(processes)
        ]

        def still() -> None:
            for matcher in matchers:
                matcher.still()

        curve = await watch(
            bootstrap, topics.LEDGER, partitions, commands, still, seconds_max=_SECONDS_MAX,
            stall_seconds_max=_STALL_SECONDS_MAX, quiet_seconds=_QUIET_SECONDS, told=watcher.reached,
        )  # fmt: skip
    watcher.doing("holding the ledgers against the load")
    outputs = [
        await verify.ledger(bootstrap, load.commands, load.pledged(number), number) for number in range(partitions)
    ]
    counts = curve.counts({number: output.offsets for number, output in enumerate(outputs)})
    before, pledges = load.before * partitions, load.pledges * partitions
    begin, end = before + int(WARM * pledges), before + int(UNTIL * pledges)
    return window(curve.times, counts, before, begin, _NEVER, end).rate
