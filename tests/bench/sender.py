"""Sends pledges by a schedule that nothing slows down: pledge n is due n / rate seconds after the start, come what may.

A process of its own, so that it competes with nobody for an interpreter. It looks at no answer before the next pledge is due;
whoever reads reckons from when a pledge was due, so a sender or a broker that was late is part of the latency and not left out of
it (no coordinated omission). Times are `time.monotonic`, one clock for all processes of a machine.

Prints a line of JSON when it begins (`start`), and one when all is acknowledged: `sum` of the amounts, and how late it was itself.

Usage: python -m tests.bench.sender BOOTSTRAP SEED RATE COUNT
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time

import uvloop
from aiokafka import AIOKafkaProducer

from services.bus import topics
from tests.bench.load import FUND, pledges, record
from tests.bench.stats import quantile

_HEAD_START_SECONDS = 0.5


async def send(bootstrap: str, seed: str, rate: float, count: int) -> None:
    """Send `count` pledges, `rate` a second."""
    rows = list(pledges(random.Random(seed), count))  # a load, not a secret
    ready = [{**record(FUND, row), "partition": 0} for row in rows]
    gc.freeze()
    gc.disable()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
    await producer.start()
    start = time.monotonic() + _HEAD_START_SECONDS
    print(json.dumps({"start": start}), flush=True)
    acknowledged, late = [], []
    for number, fields in enumerate(ready):
        due = start + number / rate
        while (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        acknowledged.append(await producer.send(topics.COMMANDS, **fields))
        late.append(time.monotonic() - due)
    await asyncio.gather(*acknowledged)
    await producer.stop()
    late.sort()
    total = sum(data["amount"] for _kind, _event, data, _at in rows)
    print(json.dumps({"sum": total, "late_ms_p99": round(quantile(late, 0.99) * 1000, 2)}), flush=True)


if __name__ == "__main__":
    uvloop.run(send(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
