"""The bench: how many pledges a second one matcher process takes from commands to committed ledger, beside a bare echo.

Both drain the same commands on the same broker in the same run, in turn, so that the ratio holds where the machine is noisy. The
rate is taken from outside, from what a reader sees in the topic between 5 % and 100 % of the work, so that starting up doesn't
count for either. Pledges are lognormal around CNY 100 with a share of CNY 100 (about two and a half awards each), goals
heavy-tailed, classes even; all from one seed.
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
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.bus import topics
from services.bus.envelope import command_headers
from services.bus.kafka import EmbeddedKafka

ECHO = "pumasi.bench.echo"
FUND = "bench"
_COUNT_FROM = 0.05


@dataclass(frozen=True)
class Load:
    """What is drained: so many cases, then so many pledges, from a seed."""

    cases: int
    pledges: int
    seed: int

    @property
    def commands(self) -> int:
        """All commands, the fund's own among them."""
        return 1 + self.cases + self.pledges

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Type and data of each command, in order."""
        draw = random.Random(self.seed)  # noqa: S311  # a load, not a secret
        yield "pumasi.fund.configured", {"currency": "CNY", "share": 10_000, "vouchers_required": 0}
        for n in range(self.cases):
            goal = int(min(draw.paretovariate(1.3), 1000) * 300_000)
            yield (
                "pumasi.case.submitted",
                {"case": f"c-{n}", "beneficiary": f"b-{n}", "need": "treatment", "route": "clinic", "goal": goal,
                 "priority": draw.choice(["routine", "urgent", "asap", "stat"])},
            )  # fmt: skip
        for n in range(self.pledges):
            amount = max(1, int(draw.lognormvariate(9.2, 1)))
            yield "pumasi.pledge.made", {"pledge": f"p-{n}", "donor": f"d-{n}", "amount": amount, "currency": "CNY"}


async def bench(load: Load, runs: int, told: Callable[[str], None]) -> dict[str, Any]:
    """Run matcher and echo in turn on a broker of the bench's own.

    Returns:
        Rates in commands a second of each run, medians, and the ratio matcher / echo pair by pair.
    """
    rates: dict[str, list[float]] = {"matcher": [], "echo": []}
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as directory:
        async with EmbeddedKafka(Path(directory), 0) as broker:
            for run in range(1, runs + 1):
                await _fresh_topics(broker.bootstrap)
                await _fill(broker.bootstrap, load)
                for name, (command, topic) in _contenders(broker.bootstrap, load).items():
                    rate = await _drain(broker.bootstrap, command, topic, load.commands)
                    rates[name].append(rate)
                    told(f"run {run}/{runs}  {name:8} {rate:9,.0f} commands/s")
                await _verify(broker.bootstrap, load)
    ratios = [m / e for m, e in zip(rates["matcher"], rates["echo"], strict=True)]
    return {
        "cases": load.cases,
        "pledges": load.pledges,
        "seed": load.seed,
        "commands_per_second": {name: [round(rate) for rate in found] for name, found in rates.items()},
        "median": {name: round(statistics.median(found)) for name, found in rates.items()},
        "ratio": {"runs": [round(r, 3) for r in ratios], "median": round(statistics.median(ratios), 3)},
    }


def _contenders(bootstrap: str, load: Load) -> dict[str, tuple[list[str], str]]:
    python = [sys.executable, "-m"]
    return {
        "matcher": ([*python, "services.cli", "matcher", "--json", "--kafka", bootstrap], topics.LEDGER),
        "echo": ([*python, "services.lab.echo", bootstrap, topics.COMMANDS, ECHO, str(load.commands)], ECHO),
    }


async def _fresh_topics(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if topics.LEDGER in await admin.list_topics():
            await topics.remove(bootstrap)
            await admin.delete_topics([ECHO])
            while ECHO in await admin.list_topics():
                await asyncio.sleep(0.05)
        await topics.ensure(bootstrap, 1)
        await admin.create_topics([NewTopic(ECHO, 1, 1)])
    finally:
        await admin.close()


async def _fill(bootstrap: str, load: Load) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=1 << 20)
    await producer.start()
    try:
        batch = producer.create_batch()
        for number, (kind, data) in enumerate(load.rows()):
            value = json.dumps({"fund": FUND, **data}, separators=(",", ":")).encode()
            row = {"timestamp": None, "key": FUND.encode(), "value": value,
                   "headers": command_headers(kind, f"e-{number}", "/bench", "2026-11-22T10:00:00Z")}  # fmt: skip
            if batch.append(**row) is None:
                await (await producer.send_batch(batch, topics.COMMANDS, partition=0))
                batch = producer.create_batch()
                batch.append(**row)
        await (await producer.send_batch(batch, topics.COMMANDS, partition=0))
    finally:
        await producer.stop()


async def _drain(bootstrap: str, command: list[str], topic: str, records: int) -> float:
    """Records a second that become readable in `topic` while `command` runs."""
    async with _reader(bootstrap, topic) as consumer:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, env={**os.environ})
        seen = from_count = 0
        began = 0.0
        while seen < records:
            found = await consumer.getmany(timeout_ms=50)
            seen += sum(map(len, found.values()))
            if not began and seen >= records * _COUNT_FROM:
                began, from_count = time.perf_counter(), seen
            if process.returncode not in (None, 0):
                raise RuntimeError(f"{command[2]} ended with {process.returncode}")
        rate = (seen - from_count) / (time.perf_counter() - began)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    return rate


@contextlib.asynccontextmanager
async def _reader(bootstrap: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        max_poll_records=20_000,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        yield consumer
    finally:
        await consumer.stop()


async def _verify(bootstrap: str, load: Load) -> None:
    """What was measured must have been right: every byte of the ledger by the audit."""
    from services.matcher.audit import audit_partition

    result = await audit_partition(bootstrap, 0, 1)
    if result.findings or result.entries < load.commands:
        raise RuntimeError(f"the ledger does not hold: {result.findings or result.entries}")
