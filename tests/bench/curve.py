"""Watching a topic fill without reading it: its last stable offset, asked for now and again.

What a `read_committed` reader could have by then is all records below that offset. Asking costs a request; reading would take a
part of the machine from whoever is measured, a larger one the faster they are. Which offsets hold records is found out afterwards.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

ASK_EVERY_SECONDS = 0.02


@dataclass
class Curve:
    """How far a topic was at which time.

    Attributes:
        times: seconds, by `time.perf_counter`; only those when it had moved, and the first.
        ends: last stable offsets of all partitions then.
    """

    times: list[float] = field(default_factory=list)
    ends: list[dict[int, int]] = field(default_factory=list)

    def add(self, at: float, ends: dict[int, int]) -> bool:
        """Whether anything had moved since the last time."""
        if self.ends and self.ends[-1] == ends:
            return False
        self.times.append(at)
        self.ends.append(ends)
        return True

    def counts(self, offsets: dict[int, Sequence[int]]) -> list[int]:
        """How many records were readable at each time.

        Args:
            offsets: those that hold records, ascending, by partition.
        """
        return [sum(bisect_left(offsets[number], end) for number, end in ends.items()) for ends in self.ends]


@dataclass(frozen=True)
class Window:
    """Between two times: so many records in so many seconds."""

    records: int
    seconds: float

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def window(times: Sequence[float], counts: Sequence[int], least: int, warm: int, warm_by: float, last: int) -> Window:
    """From when `warm` records were there to when `last` were, or to the end of what was seen.

    Both ends are times at which the count had just changed, so what comes in lumps (a transaction each) isn't cut.

    Args:
        times, counts: how many records were readable when.
        least: never begin before so many.
        warm: begin with so many …
        warm_by: … or at this time, if that comes first.
        last: end with so many.

    Raises:
        ValueError: if too little was seen to tell a rate.
    """
    seen = list(enumerate(counts))
    begin = next((n for n, count in seen if count >= warm or (count >= least and times[n] >= warm_by)), len(counts))
    end = next((n for n, count in seen if count >= last), len(counts) - 1)
    if end <= begin:
        raise ValueError("too little was seen to tell a rate: it went in one lump (more --pledges help)")
    return Window(counts[end] - counts[begin], times[end] - times[begin])


async def watch(
    bootstrap: str,
    topic: str,
    partitions: int,
    until: int,
    still: Callable[[], None],
    *,
    seconds_max: float,
    stall_seconds_max: float,
    quiet_seconds: float,
    told: Callable[[int], None] = lambda _count: None,
) -> Curve:
    """Watch until the topic has `until` records and rests, or time is up.

    Args:
        bootstrap, topic, partitions: what to watch.
        until: records expected; offsets also count the ends of transactions, so more are waited for until it rests.
        still: called each time; raises if there is nothing more to wait for.
        seconds_max: from the first movement on.
        stall_seconds_max: without any movement at all.
        quiet_seconds: what "rests" means.
        told: called with the sum of offsets.
    """
    curve, places = Curve(), [TopicPartition(topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(places)
        began, moved = None, time.perf_counter()
        while True:
            ends = {place.partition: end for place, end in (await consumer.end_offsets(places)).items()}
            now, reached = time.perf_counter(), sum(ends.values())
            if curve.add(now, ends):
                moved = now
                began = began or (now if reached else None)
                told(reached)
            if reached >= until and now - moved >= quiet_seconds:
                return curve
            if now - moved >= stall_seconds_max or (began and now - began >= seconds_max):
                return curve
            still()
            await asyncio.sleep(ASK_EVERY_SECONDS)
    finally:
        await consumer.stop()
