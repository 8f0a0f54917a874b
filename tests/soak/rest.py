"""Coming to rest: after the load and the faults, until every submission is a command, every command answered, every entry told of.

And until what is answered can't be read: a broker that is killed forgets its latest deletions, which intake repeats now and then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.bus.security import connection
from services.bus.topics import LEDGER, SUBMISSIONS
from tests.soak.watch import CLIENT, Watch

STALLED_S = 120.0
"""If nothing at all moves for so long, it will not come to rest."""
_ASK_S = 0.5
_ANSWER_S = 10.0
_READABLE = "what is answered, and can be read"
_GROUPS = {"pumasi-intake": SUBMISSIONS, "pumasi-notifier": LEDGER}


async def until_at_rest(
    bootstrap: str, watch: Watch, over: Callable[[], bool] = lambda: False, stalled_s: float = STALLED_S
) -> str | None:
    """Wait; None once all is at rest, else what was still to be done when nothing moved any more or `over` said so."""
    moved, seen = time.monotonic(), (watch.moves, "")
    while True:
        left = await _left(bootstrap, watch)
        if left is None:
            return None
        if (watch.moves, left) != seen:
            moved, seen = time.monotonic(), (watch.moves, left)
        if time.monotonic() - moved > stalled_s or over():
            return left
        await asyncio.sleep(_ASK_S)


async def _left(bootstrap: str, watch: Watch) -> str | None:
    """What is still to be done, in words; None if nothing is."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            behind = await _behind(bootstrap, watch)
    except (KafkaError, OSError, TimeoutError) as error:
        return f"the broker does not answer ({type(error).__name__})"
    told = [f"{number} of {topic}" for topic, number in behind.items() if number]
    if watch.lag:
        told.append(f"{watch.lag} commands without an entry")
    return ", ".join(told) or None


async def _behind(bootstrap: str, watch: Watch) -> dict[str, int]:
    """How far each group is behind its topic, in offsets."""
    admin = AIOKafkaAdminClient(**connection(bootstrap), client_id=CLIENT)
    consumer = AIOKafkaConsumer(**connection(bootstrap), client_id=CLIENT)
    try:
        await admin.start()
        await consumer.start()
        places = [TopicPartition(SUBMISSIONS, number) for number in watch.partitions]
        ends = await consumer.end_offsets(places)
        ends |= {TopicPartition(LEDGER, number): offset + 1 for number, offset in watch.last_entry.items()}
        begins = await consumer.beginning_offsets(places)
        behind = dict.fromkeys((*_GROUPS.values(), _READABLE), 0)
        for group, topic in _GROUPS.items():
            told = await admin.list_consumer_group_offsets(group)
            for place, end in ends.items():
                if place.topic == topic:
                    reached = told[place].offset if place in told else 0
                    behind[topic] += max(0, end - max(0, reached))
                    behind[_READABLE] += max(0, reached - begins.get(place, reached))
        return behind
    finally:
        for client in (admin.close, consumer.stop):
            with contextlib.suppress(KafkaError, OSError):
                await client()
