"""How soon is an answer readable? Pledges come at a fixed rate; reckoned from when each was due to when a `read_committed` reader has
it.

An open loop: the sender (`sender`, a process of its own) goes by its schedule whether answers come or not. The reader does nothing
but count: record n after the load is the answer to pledge n, since order is kept, and what it read is held against the load
afterwards. Both cost something too, so there is a **floor**: the same sender and the same reader with nobody in between, on the
commands topic itself.

Every contender first goes through the same cases and the same pledges, so that JVMs are warm and the matcher has its open cases;
the first seconds of each rate don't count. Quantiles are of all pledges that were due within the measured time (nearest rank).
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.errors import PumasiError
from tests.bench import ground, verify
from tests.bench.curve import watch
from tests.bench.load import Load, fill
from tests.bench.peers import MATCHER, Peer, Place, Start
from tests.bench.running import Ended, Running, running
from tests.bench.stats import quantile
from tests.bench.throughput import Watcher

FLOOR = "floor"
FLOOR_TITLE = "nobody in between (the floor)"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
WARM_SECONDS = 4.0
"""Seconds of each rate that don't count."""
BEFORE = 50_000
"""Pledges that every contender goes through before."""
_GRACE_SECONDS = 20.0
_CATCH_UP_SECONDS_MAX = 300.0
_STALL_SECONDS_MAX = 45.0
_QUIET_SECONDS = 1.0
_FETCH_WAIT_MS = 5


@dataclass(frozen=True)
class Latency:
    """What was found at one rate, milliseconds.

    Attributes:
        rate: pledges a second, as scheduled.
        counted: pledges measured.
        ms: by quantile.
        transactions: a second, as their ends in the target tell.
        late_ms_p99: how late the sender itself was.
    """

    rate: float
    counted: int
    ms: dict[str, float]
    transactions: float
    late_ms_p99: float


@dataclass
class Found:
    """Of one contender, by round and rate.

    Attributes:
        name, title: who.
        rows: what was found, in order.
        failed: why there is nothing, or not all.
    """

    name: str
    title: str
    rows: list[Latency] = field(default_factory=list)
    failed: str | None = None

    def at(self, rate: float) -> list[Latency]:
        """The rounds at a rate."""
        return [row for row in self.rows if row.rate == rate]

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"title": self.title, "rows": [asdict(row) for row in self.rows]}
        return told | ({"failed": self.failed} if self.failed else {})


async def latency(
    load: Load, peers: Sequence[Peer], rates: Sequence[float], seconds: float, rounds: int, watcher: Watcher
) -> list[Found]:
    """Measure the floor, then `peers`, each at all rates; so often.

    Raises:
        Wrong: if the matcher's ledger isn't right.
    """
    found = [Found(FLOOR, FLOOR_TITLE), *(Found(peer.name, peer.title) for peer in peers)]
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        starts: dict[str, Start] = {}
        for peer, each in zip(peers, found[1:], strict=True):
            watcher.doing(f"getting {peer.title} ready")
            home = directory / peer.name
            home.mkdir()
            try:
                starts[peer.name] = peer.made(home)
            except PumasiError as error:
                each.failed = error.message
        watcher.doing("starting a broker")
        async with EmbeddedKafka(directory / "kafka", 0) as broker:
            for number in range(rounds):
                for each in found:
                    if each.name == FLOOR or each.name in starts:
                        place = Place(broker.bootstrap, f"latency.{each.name}.{number}", directory)
                        await measure(each, load, place, starts.get(each.name), rates, seconds, watcher)
    return found


async def measure(
    found: Found,
    load: Load,
    place: Place,
    start: Start | None,
    rates: Sequence[float],
    seconds: float,
    watcher: Watcher,
) -> None:
    """One contender through all rates, on a broker whose topics it takes for itself."""
    watcher.doing(f"{found.title}: {load.commands:,} commands before")
    await topics.ensure(place.bootstrap, 1)
    await ground.clear(place.bootstrap, [topic.name for topic in topics.wanted_topics(1)])
    await fill(place.bootstrap, load)
    sent, pledged = load.commands, load.pledged()
    target = {FLOOR: topics.COMMANDS, MATCHER: topics.LEDGER}.get(found.name, place.target)
    if target == place.target:
        await ground.make(place.bootstrap, target)
    try:
        async with _started(start, place) as process:
            await _caught_up(place.bootstrap, target, load.commands, process)
            for rate in rates:
                count = round(rate * (WARM_SECONDS + seconds))
                watcher.doing(f"{found.title}: {rate:,.0f} pledges/s for {WARM_SECONDS + seconds:.0f} s", count)
                row, summed = await _at(place.bootstrap, target, rate, count, f"{place.target}/{rate}", process)
                sent, pledged = sent + count, pledged + summed
                found.rows.append(row)
                shown = "  ".join(f"{name} {row.ms[name]:.1f}" for name in QUANTILES)
                watcher.say(f"{found.title:36} {rate:7,.0f}/s  {shown} ms")
        if found.name == MATCHER:
            watcher.doing("holding the ledger against what was sent")
            await verify.ledger(place.bootstrap, sent, pledged)
    except Ended as error:
        if found.name == MATCHER:
            raise
        found.failed = str(error)
        watcher.say(f"{found.title}: failed, {error}")


@asynccontextmanager
async def _started(start: Start | None, place: Place) -> AsyncIterator[Running | None]:
    if start is None:
        yield None
        return
    async with running(start(place), place.directory / f"{place.target}.log") as process:
        yield process


async def _caught_up(bootstrap: str, target: str, commands: int, process: Running | None) -> None:
    """Wait until what came before is answered."""
    curve = await watch(
        bootstrap, target, 1, commands, process.still if process else lambda: None, seconds_max=_CATCH_UP_SECONDS_MAX,
        stall_seconds_max=_STALL_SECONDS_MAX, quiet_seconds=_QUIET_SECONDS,
    )  # fmt: skip
    if curve.ends[-1][0] < commands:
        raise Ended(f"stood still before it had done what came before: {process.last_words() if process else ''}")


async def _at(
    bootstrap: str, target: str, rate: float, count: int, seed: str, process: Running | None
) -> tuple[Latency, int]:
    """One rate; the latencies, and the sum of what was sent."""
    async with _reader(bootstrap, target) as consumer:
        command = [sys.executable, "-P", "-m", "tests.bench.sender", bootstrap, seed, str(rate), str(count)]
        sender = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            start = json.loads(await sender.stdout.readline())["start"]
            times, offsets = await _read(consumer, count, start + count / rate + _GRACE_SECONDS)
            if process:
                process.still()
            if len(times) < count:
                raise Ended(f"only {len(times):,} of {count:,} answers came in time at {rate:,.0f}/s")
            told = json.loads(await sender.stdout.readline())
        finally:
            if sender.returncode is None:
                sender.kill()
            await sender.wait()
    return summary(rate, start, times, offsets, told["late_ms_p99"]), told["sum"]


def summary(rate: float, start: float, times: Sequence[float], offsets: Sequence[int], late_ms_p99: float) -> Latency:
    """Quantiles of what counts.

    Args:
        rate: pledge n was due at `start + n / rate`.
        start: when the first was due, seconds.
        times: when each was read, seconds.
        offsets: where each lies; what lies between is ends of transactions.
        late_ms_p99: of the sender.
    """
    first = min(round(rate * WARM_SECONDS), len(times) - 1)
    ms = sorted((times[n] - start - n / rate) * 1000 for n in range(first, len(times)))
    ends = offsets[-1] - offsets[first] - (len(times) - 1 - first)
    return Latency(
        rate=rate,
        counted=len(ms),
        ms={name: round(quantile(ms, q), 2) for name, q in QUANTILES.items()},
        transactions=round(ends / max(1e-9, (len(times) - first) / rate), 1),
        late_ms_p99=late_ms_p99,
    )


async def _read(consumer: AIOKafkaConsumer, count: int, deadline: float) -> tuple[array, array]:
    """When each record was read, and its offset; fewer than `count` if time is up."""
    times, offsets = array("d"), array("q")
    while len(times) < count and time.monotonic() < deadline:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            now = time.monotonic()
            times.extend([now] * len(records))
            offsets.extend([record.offset for record in records])
    return times, offsets


@asynccontextmanager
async def _reader(bootstrap: str, target: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A `read_committed` reader of what comes from now on."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )  # fmt: skip
    await consumer.start()
    try:
        place = TopicPartition(target, 0)
        consumer.assign([place])
        await consumer.seek_to_end()
        yield consumer
    finally:
        await consumer.stop()
