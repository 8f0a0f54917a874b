"""How soon is a matcher ready after kill -9? Measured from outside, on a broker of its own, from the blow to the word "ready".

The ledger is made by the real matcher from real commands. Most of its entries tell of what has ended: cases asked for, pledged, paid,
handed over and closed. What lives on is one open case in ten entities and nine pledges awarded to them. The blow falls as late as it
can after a checkpoint: one entry short of the next, so the longest tail is replayed.

The heir is a new process, started in the same moment under the same name, as a supervisor does it. How the time is spent is its own
word (`taken`): fencing, fetching the checkpoint's records, restoring the engine from them, replaying the tail; the rest is Python's
start and the group. At last the checkpoint is taken away and the whole ledger is read, for comparison, and the audit holds it all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import psutil
from aiokafka import AIOKafkaProducer

from schemas.commands import TICK
from services.bus import topics
from services.bus.consume.scan import Extent, TopicReader
from services.bus.embedded import EmbeddedKafka
from services.bus.envelope import command_headers
from services.matcher.checkpoint.writing import HEAD
from services.settings import Settings
from tests.bench.load import FUND

_PARTITION = 0
_READY_SECONDS_MAX = 600.0
_STALL_SECONDS_MAX = 120.0
_LOOK_EVERY_SECONDS = 0.5
_NAME = "pumasi-bench-matcher"
_FAMILY = 9
"""Entries of a case that has ended: submitted, three pledges, three payments, handed over, closed."""

Command = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Past:
    """A ledger to be made: so many entries, so many entities that live on at its end, from a seed."""

    entries: int
    live: int
    seed: int

    def commands(self) -> Iterator[Command]:
        """Each command's type and data, in order; what has ended and what lives on well mixed."""
        draw = random.Random(self.seed)  # a load, not a secret
        yield "pumasi.fund.configured", {"currency": "CNY", "share": 10_000, "vouchers_required": 0}
        families, ticks = divmod(self.entries - 1 - self.live, _FAMILY)
        cases = max(1, self.live // 10)
        living = iter([("case", n) for n in range(cases)] + [("pledge", n) for n in range(self.live - cases)])
        scale = max(300_000, 2_000_000_000 // cases)  # so much is asked for that no pledge has to wait
        for number in range(max(families, self.live)):
            if number < families:
                yield from _family(number)
            begin, end = (self.live * step // max(families, self.live) for step in (number, number + 1))
            for _ in range(begin, end):
                yield _living(*next(living), draw, scale, cases)
        for _ in range(ticks):
            yield "pumasi.clock.ticked", {}


def _family(number: int) -> Iterator[Command]:
    case = f"ended-{number}"
    yield "pumasi.case.submitted", _case(case, 30_000, "urgent")
    for pledge in (f"{case}-p{n}" for n in range(3)):
        yield "pumasi.pledge.made", {**_pledge(pledge, 10_000), "designation": {"case": case}}
        yield "pumasi.payment.received", {"pledge": pledge, "payment": f"{pledge}-y", "amount": 10_000}
    yield "pumasi.case.delivered", {"case": case, "delivery": f"{case}-d", "amount": 30_000}
    yield "pumasi.case.closed", {"case": case, "outcome": "completed"}


def _living(kind: str, number: int, draw: random.Random, scale: int, cases: int) -> Command:
    if kind == "case":
        goal = int(min(draw.paretovariate(1.3), 1000) * scale)
        return "pumasi.case.submitted", _case(
            f"case-{number}", goal, draw.choice(("routine", "urgent", "asap", "stat"))
        )
    amount = max(1, int(draw.lognormvariate(9.2, 1)))
    return "pumasi.pledge.made", _pledge(f"pledge-{number}", amount)


def _case(case: str, goal: int, priority: str) -> dict[str, Any]:
    given = {"case": case, "beneficiary": f"b-{case}", "need": "treatment", "route": "clinic"}
    return {**given, "goal": goal, "priority": priority}


def _pledge(pledge: str, amount: int) -> dict[str, Any]:
    return {"pledge": pledge, "donor": f"d-{pledge}", "amount": amount, "currency": "CNY"}


@dataclass
class Recovery:
    """One matcher's way from the blow to being ready, seconds.

    Attributes:
        ready: in all.
        start: until the group gave it its partition: Python, imports, joining.
        stages: of the matcher, by its own word.
        processor: processor time that the process had used when it was ready.
        memory: resident then, MiB.
        checkpoint: the entry of the checkpoint used; None if the whole ledger was read.
        seq: the last entry.
    """

    ready: float
    start: float
    stages: dict[str, float]
    processor: float
    memory: int
    checkpoint: int | None
    seq: int


@dataclass
class Row:
    """What was measured of one ledger.

    Attributes:
        entries, live: of the ledger.
        tail: entries after the checkpoint.
        records, megabytes: what lies in the checkpoint's partition, superseded records and all.
        killed_at: when the last matcher was killed, by `time.perf_counter`.
        runs: each way from the blow to being ready.
        without: the same without a checkpoint.
    """

    entries: int
    live: int
    tail: int
    records: int
    megabytes: float
    killed_at: float
    runs: list[Recovery] = field(default_factory=list)
    without: Recovery | None = None

    @property
    def median(self) -> float:
        """Seconds until ready with a checkpoint, the median of runs."""
        return round(statistics.median(run.ready for run in self.runs), 2)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        told = asdict(self)
        del told["killed_at"]
        return {**told, "median": self.median}


async def measure(past: Past, runs: int, told: Callable[[str], None]) -> Row:
    """Make a ledger, then kill and start its matcher `runs` times, and once more without a checkpoint.

    Raises:
        RuntimeError: if a matcher ends by itself or doesn't get ready, or what was measured was not right.
    """
    tail = min(Settings.model_fields["checkpoint_entries"].default, past.entries // 2) - 1
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as directory:
        async with EmbeddedKafka(Path(directory), 0) as broker:
            kafka = broker.bootstrap
            await topics.ensure(kafka, 1)
            row = await _make(kafka, past, tail, told)
            for number in range(runs):
                row.runs.append(await _recover(kafka, row.killed_at))
                row.killed_at = time.perf_counter()
                told(f"  run {number + 1}/{runs}: ready after {row.runs[-1].ready:.2f} s")
                _hold(row, row.runs[-1])
            told("  the audit reads and decides all of it again …")
            await _audit(kafka, past)
            await _take_away_checkpoint(kafka)
            row.without = await _recover(kafka, time.perf_counter())
            told(f"  without a checkpoint: ready after {row.without.ready:.2f} s")
    return row


async def _make(bootstrap: str, past: Past, tail: int, told: Callable[[str], None]) -> Row:
    """A ledger with a checkpoint just before its tail, and its matcher just killed."""
    told(f"{past.entries:,} entries, {past.live:,} entities alive at the end; made by a real matcher …")
    began, commands = time.perf_counter(), past.commands()
    done = await _answered(bootstrap, commands, past.entries - tail - 1, 0, {})
    done = await _answered(bootstrap, commands, 1, done, {"PUMASI_CHECKPOINT_ENTRIES": "1"})
    async with _matcher(bootstrap) as process:
        await _fill(bootstrap, commands, tail, done)
        await _until_answered(bootstrap, past.entries, process)
        records, megabytes = await _extent(bootstrap)
        process.kill()
        killed_at = time.perf_counter()
    told(f"  made in {time.perf_counter() - began:.0f} s")
    return Row(past.entries, past.live, tail, records, megabytes, killed_at)


async def _answered(bootstrap: str, commands: Iterator[Command], count: int, before: int, environment: dict) -> int:
    """Put so many more commands on the bus and have a matcher answer them; how many are answered then."""
    await _fill(bootstrap, commands, count, before)
    async with _matcher(bootstrap, environment) as process:
        await _until_answered(bootstrap, before + count, process)
        process.terminate()
        await process.wait()
    return before + count


async def _fill(bootstrap: str, commands: Iterator[Command], count: int, before: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=1 << 20)
    await producer.start()
    try:
        batch = producer.create_batch()
        for number, (kind, data) in enumerate(islice(commands, count), before):
            fund = {} if kind == TICK else {"fund": FUND}
            value = json.dumps(fund | data, separators=(",", ":")).encode()
            row = {"timestamp": None, "key": FUND.encode(), "value": value,
                   "headers": command_headers(kind, f"e-{number}", "/bench", "2026-11-22T10:00:00Z")}  # fmt: skip
            if batch.append(**row) is None:
                await (await producer.send_batch(batch, topics.COMMANDS, partition=_PARTITION))
                batch = producer.create_batch()
                batch.append(**row)
        await (await producer.send_batch(batch, topics.COMMANDS, partition=_PARTITION))
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def _matcher(bootstrap: str, environment: dict[str, str] | None = None) -> AsyncIterator[Process]:
    """A matcher as a process of its own; killed at the end if it still runs."""
    command = [sys.executable, "-m", "services.cli", "matcher", "--json", "--kafka", bootstrap]
    given = {**os.environ, "PUMASI_INSTANCE": _NAME, **(environment or {})}
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=given)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _until_answered(bootstrap: str, entries: int, process: Process) -> None:
    """Wait until the ledger has so many entries."""
    found, moved = -1, time.monotonic()
    while found < entries:
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
        last = await _last_entry(bootstrap)
        if last > found:
            found, moved = last, time.monotonic()
        if process.returncode is not None or time.monotonic() - moved > _STALL_SECONDS_MAX:
            raise RuntimeError(f"the matcher stopped at entry {found} of {entries} (status {process.returncode})")


async def _last_entry(bootstrap: str) -> int:
    """The number of the last committed entry; 0 if there is none."""
    async with TopicReader(bootstrap) as reader:
        extent = (await reader.extents(topics.LEDGER))[_PARTITION]
        begin = max(extent.begin, extent.end - 2)  # the last offset is the mark of the last transaction's end
        last = 0
        async for record in reader.records(topics.LEDGER, {_PARTITION: Extent(begin, extent.end)}):
            last = msgspec.json.decode(record.value)["seq"]
        return last


async def _recover(bootstrap: str, killed: float) -> Recovery:
    """Start a matcher and hear it until it is ready; it is killed then."""
    async with _matcher(bootstrap) as process:
        came: dict[str, tuple[float, dict[str, Any]]] = {}
        async with asyncio.timeout(_READY_SECONDS_MAX):
            while "ready" not in came:
                line = await process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the matcher ended with {await process.wait()}")
                told = json.loads(line)
                came["ready" if "ready" in told else told["event"]] = time.perf_counter() - killed, told
        used = psutil.Process(process.pid)
        processor, memory = used.cpu_times(), used.memory_info().rss
    taken = came["taken"][1]
    return Recovery(
        ready=round(came["ready"][0], 2),
        start=round(came["assigned"][0], 2),
        stages=taken["seconds"],
        processor=round(processor.user + processor.system, 2),
        memory=memory >> 20,
        checkpoint=taken["checkpoint"],
        seq=taken["seq"],
    )


def _hold(row: Row, run: Recovery) -> None:
    """What was measured must have been what was meant: from the checkpoint, with the whole tail, to the last entry."""
    if (run.seq, run.checkpoint) != (row.entries, row.entries - row.tail):
        raise RuntimeError(f"recovered entry {run.seq} from checkpoint {run.checkpoint}: not what was to be measured")


async def _extent(bootstrap: str) -> tuple[int, float]:
    """Records in the checkpoints' partition, and MB."""
    count = size = 0
    async with TopicReader(bootstrap) as reader:
        async for record in reader.records(topics.CHECKPOINTS, {_PARTITION}):
            count += 1
            size += len(record.key) + len(record.value or b"")
    return count, round(size / 1e6, 1)


async def _take_away_checkpoint(bootstrap: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topics.CHECKPOINTS, None, HEAD, partition=_PARTITION)


async def _audit(bootstrap: str, past: Past) -> None:
    from services.matcher.audit import audit_partition

    result = await audit_partition(bootstrap, _PARTITION, 1)
    if result.findings or result.entries != past.entries:
        raise RuntimeError(f"the ledger does not hold: {result.findings or result.entries}")
