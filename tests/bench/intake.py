"""How much intake takes in: over HTTP, one event a request and a hundred, and from the topic of submissions.

HTTP is a closed loop: so many connections, each of which sends as soon as it has its answer; every answer must be 202, and 202
means that Kafka has the command. The client is of the plainest kind (prepared bytes over a socket) but runs on the same machine.
What lies on the commands topic afterwards is counted and summed.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiokafka import AIOKafkaProducer

from services import keys
from services.bus import topics
from services.bus.consume.scan import TopicReader
from services.bus.embedded import EmbeddedKafka
from services.senders import Issued, signed
from services.settings import load
from services.system.own_senders import own_sender
from tests.bench import ground
from tests.bench.curve import watch, window
from tests.bench.load import FUND, Row, pledges
from tests.bench.running import Ended, Running, running
from tests.bench.throughput import WARM, Watcher
from tests.bench.verify import Wrong

CONNECTIONS, BATCH = 16, 100
_FEWER = 5
_READY_SECONDS_MAX = 60.0
_SECONDS_MAX = 300.0
_STALL_SECONDS_MAX = 30.0
_QUIET_SECONDS = 1.0
_ACCEPTED = b"HTTP/1.1 202"
_NEVER = 1e18
_ENVIRONMENT = {
    "PUMASI_TICK_SECONDS": "86400",
    "PUMASI_LOG_LEVEL": "WARNING",
    "PUMASI_OPEN": "",
    "PUMASI_KAFKA_SECURITY": "plain",
    "PUMASI_SENDER_RATE": "1000000",  # counted, as in service, and never too many
    "PUMASI_ADDRESS_RATE": "1000000",
}


@dataclass(frozen=True)
class Intake:
    """Events a second through each door.

    Attributes:
        single: HTTP, one event a request.
        batch: HTTP, a hundred a request.
        topic: from `pumasi.submissions.v1`.
        events: how many went through each.
    """

    single: float
    batch: float
    topic: float
    events: int

    def as_json(self) -> dict[str, Any]:
        return {name: round(value) for name, value in asdict(self).items()}


async def intake(events: int, seed: int, watcher: Watcher) -> Intake:
    """Measure each door with so many pledges; by single requests a fifth as many.

    Raises:
        Ended, Wrong: if a figure would be worth nothing.
    """
    draw = random.Random(f"{seed}/intake")  # a load, not a secret
    few, rows = (
        list(pledges(draw, max(1, events // _FEWER))),
        list(pledges(draw, events)),
    )  # a repeat would be no new command
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        watcher.doing("starting a broker")
        async with EmbeddedKafka(directory / "kafka", 0) as broker:
            await topics.ensure(broker.bootstrap, 1)
            keys.make(load(data=directory / "data"))
            sender = await own_sender(broker.bootstrap, load(data=directory / "data"), "bench")
            command = [
                *(sys.executable, "-P", "-m", "services.cli", "intake", "--json", "--http-port", "0"),
                *("--kafka", broker.bootstrap, "--data", str(directory / "data")),
            ]
            async with running(command, directory / "http.log", _ENVIRONMENT) as process:
                door = (await process.told("http", _READY_SECONDS_MAX))["http"]
                single = await _http(broker.bootstrap, door, sender, few, 1, watcher)
                batch = await _http(broker.bootstrap, door, sender, rows, BATCH, watcher)
            await _submit(broker.bootstrap, sender, rows)
            async with running(command, directory / "topic.log", _ENVIRONMENT) as process:
                topic = await _from_topic(broker.bootstrap, rows, process, watcher)
    return Intake(single, batch, topic, events)


async def _http(
    bootstrap: str, door: str, sender: Issued, rows: Sequence[Row], together: int, watcher: Watcher
) -> float:
    """Events a second over HTTP, all of them taken in."""
    watcher.doing(f"{len(rows):,} events over HTTP, {together} a request", len(rows))
    await _clear(bootstrap)
    host, port = urlsplit(door).hostname, urlsplit(door).port
    requests = [_request(sender, rows[n : n + together], together > 1) for n in range(0, len(rows), together)]
    waiting = iter(requests)
    done = 0

    async def connection() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(host, port)
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            answer = await reader.readexactly(length)
            if not head.startswith(_ACCEPTED):
                raise Wrong(f"intake answered {head[:30]!r}: {answer[:200]!r}")
            done += together
            watcher.reached(done)
        writer.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(connection())
    rate = len(rows) / (time.perf_counter() - began)
    await _hold(bootstrap, rows)
    return rate


def _request(sender: Issued, rows: Sequence[Row], batch: bool) -> bytes:
    told = [_event(row, "/forms/bench") for row in rows]
    body = msgspec.json.encode(told if batch else told[0])
    kind = "cloudevents-batch" if batch else "cloudevents"
    head = (
        f"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {sender.key}\r\n"
        f"content-type: application/{kind}+json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _event(row: Row, source: str) -> dict[str, Any]:
    kind, event, data, _time = row
    return {"specversion": "1.0", "id": event, "source": source, "type": kind, "data": {"fund": FUND, **data}}


async def _submit(bootstrap: str, sender: Issued, rows: Sequence[Row]) -> None:
    """Put events on the topic of submissions, as a partner would: each signed."""
    await _clear(bootstrap)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1 << 20) as producer:
        sent = []
        for row in rows:
            body = msgspec.json.encode(_event(row, "/partner/bench"))
            headers = signed(sender.sender.sender, sender.secret, row[1], body)
            sent.append(await producer.send(topics.SUBMISSIONS, body, headers=headers))
        await asyncio.gather(*sent)


async def _from_topic(bootstrap: str, rows: Sequence[Row], process: Running, watcher: Watcher) -> float:
    """Events a second from the topic of submissions, over the last 60 %."""
    watcher.doing(f"{len(rows):,} events from the topic", len(rows))
    curve = await watch(
        bootstrap, topics.COMMANDS, 1, len(rows), process.still, seconds_max=_SECONDS_MAX,
        stall_seconds_max=_STALL_SECONDS_MAX, quiet_seconds=_QUIET_SECONDS, told=watcher.reached,
    )  # fmt: skip
    if curve.ends[-1][0] < len(rows):
        raise Ended(f"intake stood still: {process.last_words()}")
    await _hold(bootstrap, rows)
    counts = [ends[0] for ends in curve.ends]
    return window(curve.times, counts, 1, int(WARM * len(rows)), _NEVER, len(rows)).rate


async def _hold(bootstrap: str, rows: Sequence[Row]) -> None:
    """All pledges are commands now, and none twice; ticks are left out."""
    count = total = 0
    async with TopicReader(bootstrap) as reader:
        async for record in reader.records(topics.COMMANDS):
            if record.key is not None:
                count += 1
                total += msgspec.json.decode(record.value)["amount"]
    wanted = sum(data["amount"] for _kind, _event, data, _time in rows)
    if (count, total) != (len(rows), wanted):
        raise Wrong(f"{len(rows)} pledges of {wanted} were sent; {count} of {total} are commands")


async def _clear(bootstrap: str) -> None:
    await ground.clear(bootstrap, [topics.COMMANDS, topics.SUBMISSIONS])
