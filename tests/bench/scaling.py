"""More partitions, more processes: each partition holds a fund with a load of its own, each process is a matcher of one group.

The load grows with the partitions, up to four times that of one, so nobody runs dry early. The clock runs from when all cases and the
first 40 % of all pledges are readable to when 85 % are: towards the end partitions finish one by one, and a rate over that tail would
be that of fewer. The broker and all matchers share the machine, so with more processes than cores nothing can be gained; the table
says how many there are. What can be told on any machine is what a command costs: the processor time of all matchers, from the first
command to the last. Where four processes cost what one does, four machines do four times as much.

Nobody begins before all have their partitions: the processes are stopped (SIGSTOP, with a session that lasts) while the load is put
there. In the last plan one of the processes is killed half-way, and its partitions go to the others once its session is over: this
session is the usual one, so there the load comes first.
"""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from tests.bench import verify
from tests.bench.curve import Curve, watch, window
from tests.bench.load import Load, fill
from tests.bench.peers import matcher_command
from tests.bench.running import Running, running
from tests.bench.throughput import WARM, Watcher


class Plan(NamedTuple):
    """So many partitions and processes; `killed` of these end half-way, by kill -9."""

    partitions: int
    processes: int
    killed: int = 0


PLANS = tuple(
    Plan(*each) for each in ((1, 1), (2, 1), (2, 2), (3, 3), (4, 1), (4, 2), (4, 4), (12, 1), (12, 4), (12, 4, 1))
)
UNTIL, KILLED_AT = 0.85, 0.5
_LOADS_MAX = 4
_SESSION_LASTS = {"PUMASI_SESSION_TIMEOUT_MS": "300000"}
_SETTLED_SECONDS_MAX = 120.0
_LOOK_SECONDS = 0.1
_SECONDS_MAX = 900.0
_STALL_SECONDS_MAX = 60.0
_QUIET_SECONDS = 1.0
_NEVER = 1e18


@dataclass(frozen=True)
class Row:
    """What a plan came to, in each round.

    Attributes:
        plan: what was run.
        rates: pledges a second.
        costs: processor time of all matchers, microseconds a command.
        stalls: where processes were killed, the longest that a partition stood still from then on, seconds; else 0.
    """

    plan: Plan
    rates: tuple[float, ...]
    costs: tuple[float, ...]
    stalls: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        figures = {name: [round(one, 1) for one in asdict(self)[name]] for name in ("rates", "costs", "stalls")}
        return self.plan._asdict() | figures


class _Measured(NamedTuple):
    rate: float
    cost: float
    stall: float


async def scaling(load: Load, plans: Sequence[Plan], rounds: int, watcher: Watcher) -> list[Row]:
    """Measure each plan `rounds` times, in turn.

    Args:
        load: of each of four partitions; of more, each has a part of it.
        plans: what to run.
        rounds: how often.
        watcher: is told.

    Raises:
        Ended, Wrong: if a figure would be worth nothing.
    """
    found: dict[Plan, list[_Measured]] = {plan: [] for plan in plans}
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        for number in range(rounds):
            for plan in plans:
                # A broker of its own: the number of partitions is fixed once topics exist.
                home = directory / "-".join(map(str, (number, *plan)))
                home.mkdir()
                each = max(1, -(-plan.partitions // _LOADS_MAX))
                part = replace(load, cases=-(-load.cases // each), pledges=-(-load.pledges // each))
                async with EmbeddedKafka(home / "kafka", 0) as broker:
                    measured = await _measured(broker.bootstrap, part, plan, home, watcher)
                found[plan].append(measured)
                watcher.say(
                    f"{title(plan)}: {measured.rate:9,.0f} pledges/s in all, {measured.cost:,.1f} µs of a processor a command"
                )
    return [Row(plan, *zip(*measured, strict=True)) for plan, measured in found.items()]


def title(plan: Plan) -> str:
    """A plan in words."""
    killed = f", {plan.killed} killed" if plan.killed else ""
    return f"{plan.partitions} partitions, {plan.processes} processes{killed}"


class _Costs:
    """The processor time of all matchers until the ledger moved last; and the end of some of them, half-way.

    Attributes:
        seconds: since this was made, of matchers that live and that ended.
        killed_at: when, by `time.perf_counter`.
    """

    def __init__(self, matchers: Sequence[Running], killed: int, after: int) -> None:
        self._matchers, self._killed, self._after = list(matchers), killed, after
        self._processes = {one: psutil.Process(one.process.pid) for one in matchers}
        self._began, self._ended = sum(map(_processor_seconds, self._processes.values())), 0.0
        self.seconds = 0.0
        self.killed_at: float | None = None

    def moved(self, reached: int) -> None:
        self.seconds = self._ended + sum(map(_processor_seconds, self._processes.values())) - self._began
        if reached >= self._after and self.killed_at is None and self._killed:
            self.killed_at = time.perf_counter()
            for one in self._matchers[: self._killed]:
                self._ended += _processor_seconds(self._processes.pop(one))
                one.process.kill()

    def still(self) -> None:
        for one in self._processes:
            one.still()


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _measured(bootstrap: str, load: Load, plan: Plan, home: Path, watcher: Watcher) -> _Measured:
    partitions = plan.partitions
    await topics.ensure(bootstrap, partitions)
    commands = load.commands * partitions
    watcher.doing(f"{title(plan)}: filling")
    if plan.killed:
        await fill(bootstrap, load, partitions)
    async with AsyncExitStack() as stack:
        session = {} if plan.killed else _SESSION_LASTS
        matchers = [
            await stack.enter_async_context(running(matcher_command(bootstrap), home / f"{number}.log", session))
            for number in range(plan.processes)
        ]
        if not plan.killed:
            await _settled(matchers, partitions)
            with _stopped(matchers):
                await fill(bootstrap, load, partitions)
        watcher.doing(title(plan), commands)
        costs = _Costs(matchers, plan.killed, int(KILLED_AT * commands))

        def told(reached: int) -> None:
            costs.moved(reached)
            watcher.reached(reached)

        curve = await watch(
            bootstrap, topics.LEDGER, partitions, commands, costs.still, seconds_max=_SECONDS_MAX,
            stall_seconds_max=_STALL_SECONDS_MAX, quiet_seconds=_QUIET_SECONDS, told=told,
        )  # fmt: skip
    watcher.doing("holding the ledgers against the load")
    outputs = [
        await verify.ledger(bootstrap, load.commands, load.pledged(number), number) for number in range(partitions)
    ]
    counts = curve.counts({number: output.offsets for number, output in enumerate(outputs)})
    before, pledges = load.before * partitions, load.pledges * partitions
    begin, end = before + int(WARM * pledges), before + int(UNTIL * pledges)
    stall = 0.0 if costs.killed_at is None else _longest_stall(curve, costs.killed_at)
    return _Measured(
        window(curve.times, counts, before, begin, _NEVER, end).rate, costs.seconds / commands * 1e6, stall
    )


async def _settled(matchers: Sequence[Running], partitions: int) -> None:
    """Wait until each has its equal part of the partitions. Raises Ended, TimeoutError."""
    async with asyncio.timeout(_SETTLED_SECONDS_MAX):
        while sorted(number for matcher in matchers for number in _taken(matcher)) != list(
            range(partitions)
        ) or not all(
            len(_taken(matcher)) in (partitions // len(matchers), -(-partitions // len(matchers)))
            for matcher in matchers
        ):
            for matcher in matchers:
                matcher.still()
            await asyncio.sleep(_LOOK_SECONDS)


def _taken(matcher: Running) -> set[int]:
    """The partitions that are a matcher's, and that it has taken."""
    mine: set[int] = set()
    taken: set[int] = set()
    for line in matcher.output.read_text(errors="replace").splitlines():
        match json.loads(line) if line.startswith("{") else {}:
            case {"event": "assigned", "partitions": numbers}:
                mine = set(numbers)
                taken &= mine
            case {"event": "taken", "partition": number}:
                taken.add(number)
    return taken & mine


@contextmanager
def _stopped(matchers: Sequence[Running]) -> Iterator[None]:
    for matcher in matchers:
        matcher.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for matcher in matchers:
            matcher.process.send_signal(signal.SIGCONT)


def _longest_stall(curve: Curve, since: float) -> float:
    """The longest time, seconds, between two movements of a partition of which the second came after `since`."""
    longest, moved = 0.0, dict.fromkeys(curve.ends[0], curve.times[0])
    for before, now, at in zip(curve.ends, curve.ends[1:], curve.times[1:], strict=False):
        for number in now:
            if now[number] != before[number]:
                longest = max(longest, at - moved[number]) if at > since else longest
                moved[number] = at
    return longest
