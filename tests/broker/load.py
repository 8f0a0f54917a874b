"""Constant load on all partitions, watched from outside: what was sent, what was answered, and how long each answer took."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.broker.raw import COMMANDS, LEDGER, PARTITION, PARTITIONS, Client

_EVERY_SECONDS = 0.05
_DEADLINE_SECONDS = 90


class Load:
    """Pledges to the fund of every partition, twenty a second each, from `begin` to `end`.

    Attributes:
        sent: by partition, when each command was sent, by its offset.
        answered: by partition, when its answer was seen, by the command's offset.
    """

    def __init__(self, client: Client) -> None:
        self.sent: list[dict[int, float]] = [{} for _ in range(PARTITIONS)]
        self.answered: list[dict[int, float]] = [{} for _ in range(PARTITIONS)]
        self._client = client
        self._ending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Open the funds, and begin."""
        for fund in PARTITION:
            await self._client.fund(fund)
            await self._client.case(fund, "c-1", 50_000_000)
        await self._client.flush()
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._watch())]

    async def end(self, *stopped: int) -> None:
        """Send no more, and wait until everything has its answer, but for partitions that have stopped."""
        self._ending.set()
        sending, watching = self._tasks
        await sending
        going = set(range(PARTITIONS)) - set(stopped)
        await self.until(lambda: all(map(self._all_answered, going)))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    async def until(self, condition: Callable[[], bool], seconds: float = _DEADLINE_SECONDS) -> None:
        """Wait for a condition, and hear at once if the load itself fails."""
        deadline = time.monotonic() + seconds
        while not condition():
            for task in self._tasks:
                if task.done():
                    task.result()
            assert time.monotonic() < deadline, f"waited {seconds} s in vain"
            await asyncio.sleep(0.02)

    async def flows(self, *partitions: int) -> None:
        """Wait until commands sent from now on are answered in these partitions, or in all."""
        now = time.monotonic()
        wanted = partitions or range(PARTITIONS)
        await self.until(lambda: all(self._answered_since(partition, now) for partition in wanted))

    def longest(self, partition: int, since: float) -> float:
        """The longest that a command sent since waited for its answer, seconds; those without one yet count up to now."""
        now, answered = time.monotonic(), self.answered[partition]
        return max((answered.get(o, now) - at for o, at in self.sent[partition].items() if at >= since), default=0.0)

    def _answered_since(self, partition: int, since: float) -> bool:
        return any(self.sent[partition].get(offset, 0.0) >= since for offset in [*self.answered[partition]][-50:])

    def _all_answered(self, partition: int) -> bool:
        return self.sent[partition].keys() <= self.answered[partition].keys()

    async def _send(self) -> None:
        number = 0
        while not self._ending.is_set():
            for partition, fund in enumerate(PARTITION):
                number += 1
                at = time.monotonic()
                given = {"pledge": f"p-{number}", "donor": "d", "amount": 1 + number * 37 % 9000, "currency": "CNY"}
                placed = await self._client.command("pledge.made", fund=fund, **given)
                placed.add_done_callback(lambda done, p=partition, at=at: self._note(p, done, at))
            await asyncio.sleep(_EVERY_SECONDS)
        await self._client.flush()
        await asyncio.sleep(0)  # the last callbacks

    def _note(self, partition: int, placed: asyncio.Future, at: float) -> None:
        self.sent[partition][placed.result().offset] = at

    async def _watch(self) -> None:
        places = [TopicPartition(LEDGER, partition) for partition in range(PARTITIONS)]
        async with AIOKafkaConsumer(
            bootstrap_servers=self._client.bootstrap, isolation_level="read_committed", fetch_max_wait_ms=50
        ) as consumer:
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            while True:
                for place, records in (await consumer.getmany(timeout_ms=100)).items():
                    now = time.monotonic()
                    for record in records:
                        offset = json.loads(record.value)["cause"]["offset"]
                        assert offset not in self.answered[place.partition], f"{place}: {offset} is answered twice"
                        self.answered[place.partition][offset] = now


class Process:
    """A matcher as a process of its own, whose events are heard.

    Attributes:
        events: what it told, in order.
        held: the partitions that the group gave it last.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.events: list[dict[str, Any]] = []
        self.held: set[int] = set()
        self.process = process
        self._ready = asyncio.Event()
        self._hearing = asyncio.create_task(self._hear())

    @classmethod
    async def start(cls, bootstrap: str, checkout: Path | None = None) -> Process:
        """Start one, of this checkout or of another, and wait until it is ready."""
        place = {} if checkout is None else {"cwd": checkout}
        source = {} if checkout is None else {"PYTHONPATH": str(checkout)}
        process = cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.cli", "matcher", "--json",
                env={**os.environ, "PUMASI_KAFKA": bootstrap, "PUMASI_SESSION_TIMEOUT_MS": "6000", **source},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, **place,
            )
        )  # fmt: skip
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await process._ready.wait()
        return process

    def told(self, event: str) -> list[dict[str, Any]]:
        """Its events of a kind."""
        return [one for one in self.events if one.get("event") == event]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def kill(self) -> None:
        """`kill -9`."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.ended()

    async def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end; its exit status."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            self.log = (await self.process.stderr.read()).decode()
            await self._hearing
            return await self.process.wait()

    async def _hear(self) -> None:
        while line := await self.process.stdout.readline():
            event = json.loads(line)
            self.events.append({**event, "heard": time.monotonic()})
            if event.get("event") == "assigned":
                self.held = set(event["partitions"])
            if "ready" in event:
                self._ready.set()


@contextlib.asynccontextmanager
async def several(bootstrap: str, number: int) -> AsyncIterator[list[Process]]:
    """Matcher processes; whoever of them, or of what is added to the list, still lives at the end is killed."""
    running = list(await asyncio.gather(*(Process.start(bootstrap) for _ in range(number))))
    try:
        yield running
    finally:
        for process in running:
            await process.kill()


async def each_answered_once(client: Client, load: Load) -> None:
    """Every command on the topic has one answer, and the ledger holds by the contract's own text."""
    for partition, fund in enumerate(PARTITION):
        commands = await client.read(COMMANDS, partition, len(load.sent[partition]) + 2)
        entries = await client.ledger(fund, len(commands))
        causes = [entry["cause"]["offset"] for entry in entries if not entry.get("more")]
        assert causes == [record.offset for record in commands]
