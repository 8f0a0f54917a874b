"""Who looks on: how far the ledger is behind the commands, and for how long it stood still although commands waited.

Both are read as anybody would read them: the end of the commands topic, and committed entries of the ledger. A *stall* of a partition
is a time in which a command waited there and no new entry could be read. While the broker is away nothing can be read, so the stall
goes on. What is seen is seen some tenths of a second late.

A stall is laid to every fault that was at work in it or began shortly before; where faults overlap, all of them get it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.bus.consume.tail import Tail
from services.bus.envelope import Record
from services.bus.security import connection
from services.bus.topics import COMMANDS, LEDGER, NOTICES
from tests.soak.adversary import Strike

CLIENT = "pumasi-soak"
_LOOK_S = 0.1
_ASK_S = 0.25
_ASK_TIMEOUT_S = 3.0
_LEAST_STALL_S = 0.5
"""Shorter than that is the rhythm of batches, and of looking."""
_LAID_TO_S = 2.0
"""A fault that began so long before a stall, and is over, still may have caused it."""


@dataclass(frozen=True)
class Stall:
    """A partition stood still; on the monotonic clock."""

    partition: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class _Place:
    """One partition as it is seen."""

    def __init__(self) -> None:
        self.end = 0  # of the commands
        self.watermark = -1
        self.moved = 0
        self._seen = 0
        self._since: float | None = None

    @property
    def behind(self) -> int:
        return max(0, self.end - 1 - self.watermark)

    def look(self, now: float) -> tuple[float, float] | None:
        """Look once more; a stall that has just ended."""
        ended = None
        if self._since is not None and (self.moved != self._seen or not self.behind):
            ended = self._since, now
            self._since = None
        self._seen = self.moved
        if self.behind and self._since is None:
            self._since = now
        return ended

    def standing(self, now: float) -> float:
        """For how long it has stood still by now, seconds."""
        return now - self._since if self._since is not None else 0.0


class Watch:
    """Looks on until it is stopped; use as an async context manager.

    Attributes:
        entries, pledges, notices: read so far.
        last_entry: the offset of the last entry of each partition of the ledger, 0 or more.
        stalls: of half a second and more, in the order in which they ended.

    """

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._places = {number: _Place() for number in range(partitions)}
        self.entries = self.pledges = self.notices = 0
        self.last_entry: dict[int, int] = {}
        self.stalls: list[Stall] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Watch:
        ledger = Tail(lambda: self._bootstrap, LEDGER, CLIENT, self._entry)
        notices = Tail(lambda: self._bootstrap, NOTICES, CLIENT, self._notice)
        self._tasks = [asyncio.create_task(work) for work in (ledger.run(), notices.run(), self._ask(), self._look())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def partitions(self) -> list[int]:
        """The partitions' numbers."""
        return list(self._places)

    @property
    def lag(self) -> int:
        """Commands that have no entry yet."""
        return sum(place.behind for place in self._places.values())

    @property
    def commands(self) -> int:
        """Commands so far."""
        return sum(place.end for place in self._places.values())

    @property
    def moves(self) -> tuple[int, int, int]:
        """Changes whenever anything moves."""
        return self.commands, self.entries, self.notices

    @property
    def standing_s(self) -> float:
        """The longest that a partition has stood still by now, seconds."""
        now = time.monotonic()
        return max(place.standing(now) for place in self._places.values())

    def _entry(self, record: Record) -> None:
        entry = json.loads(record.value or b"")
        place = self._places[record.partition]
        place.moved += 1
        place.watermark = entry["cause"]["offset"]
        self.entries += 1
        self.last_entry[record.partition] = record.offset
        self.pledges += sum(fact["fact"] == "pledge_accepted" for fact in entry["facts"])

    def _notice(self, _record: Record) -> None:
        self.notices += 1

    async def _look(self) -> None:
        while True:
            now = time.monotonic()
            for number, place in self._places.items():
                ended = place.look(now)
                if ended and ended[1] - ended[0] >= _LEAST_STALL_S:
                    self.stalls.append(Stall(number, *ended))
            await asyncio.sleep(_LOOK_S)

    async def _ask(self) -> None:
        """Ask for the end of the commands again and again, while the broker can be had."""
        places = [TopicPartition(COMMANDS, number) for number in self._places]
        while True:
            consumer = AIOKafkaConsumer(**connection(self._bootstrap), client_id=CLIENT)
            try:
                async with asyncio.timeout(_ASK_TIMEOUT_S):
                    await consumer.start()
                while True:
                    async with asyncio.timeout(_ASK_TIMEOUT_S):
                        for place, end in (await consumer.end_offsets(places)).items():
                            self._places[place.partition].end = end
                    await asyncio.sleep(_ASK_S)
            except (KafkaError, OSError, TimeoutError):
                await asyncio.sleep(_ASK_S)
            finally:
                with contextlib.suppress(KafkaError, OSError, TimeoutError):
                    await asyncio.wait_for(consumer.stop(), _ASK_TIMEOUT_S)


def longest_by_kind(stalls: Sequence[Stall], strikes: Sequence[Strike], alone: bool = False) -> dict[str, float]:
    """The longest stall in which a fault of each kind was at work, in seconds; with `alone`, faults of no other kind.

    Kinds in which nothing stood still are left out.
    """
    found: defaultdict[str, float] = defaultdict(float)
    for stall in stalls:
        kinds = {strike.fault.kind for strike in strikes if at_work(strike, stall)}
        for kind in kinds if len(kinds) == 1 or not alone else ():
            found[kind] = max(found[kind], stall.seconds)
    return dict(found)


def longest_of_each(stalls: Sequence[Stall], strikes: Sequence[Strike]) -> dict[str, list[float]]:
    """By kind, of each fault the longest stall in which it was at work, in seconds; 0 where nothing stood still."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for strike in strikes:
        found[strike.fault.kind].append(max((one.seconds for one in stalls if at_work(strike, one)), default=0.0))
    return dict(found)


def at_work(strike: Strike, stall: Stall) -> bool:
    """Whether a fault was at work in a stall, or ended shortly before it."""
    over = (strike.ended or stall.ended) + _LAID_TO_S
    return strike.began <= stall.ended and over >= stall.began
