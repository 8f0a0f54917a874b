"""A tenure's loop: what it does when something fails, stands still, or is to end. Reader and processor are stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from services.errors import ConservationBreach, KafkaUnreachable
from services.matcher.partition import tenure as tenures
from services.matcher.partition.tenure import Tenure
from services.news import Answered, Forgotten, MatcherNews, StandsStill, Stopped, Taken


class Reader:
    """Gives out one command after the other, up to `end`; then nothing comes."""

    stuck: Any = None

    def __init__(self, *_of: Any) -> None:
        self.next, self.end, self.sought, self.closed = 0, 3, list[int](), False

    async def seek(self, offset: int) -> None:
        self.next = offset
        self.sought.append(offset)

    async def fetch(self, _records_max: int, _seconds: float) -> list[int]:
        await asyncio.sleep(0)
        if self.next == self.end:
            await asyncio.sleep(0.01)
            return []
        self.next += 1
        return [self.next - 1]

    async def held_up_at(self) -> int | None:
        return None

    def passed(self, offset: int) -> int:
        return offset

    async def close(self) -> None:
        self.closed = True


class Processor:
    """Answers what follows; `answering` is called with the offset before that."""

    bootstrap, partition, journal = "nowhere", 0, SimpleNamespace(settle=lambda: asyncio.sleep(0, True))

    def __init__(self, answering: Callable[[int], Awaitable[None]]) -> None:
        self.answering, self.answered = answering, list[int]()
        self.calls = list[str]()
        self.recovered = SimpleNamespace(head=None, without=None, seconds={})

    @property
    def next_offset(self) -> int:
        return self.seq

    @property
    def seq(self) -> int:
        return len(self.answered)

    async def take(self) -> None:
        self.calls.append("take")

    async def answer(self, records: list[int]) -> bool:
        if records[0] != self.next_offset:
            return False
        await self.answering(records[0])
        self.answered += records
        return True

    def forget(self) -> None:
        self.calls.append("forget")

    async def close(self) -> None:
        self.calls.append("close")


async def at_once(_offset: int) -> None:
    """No work."""


class Life:
    """A tenure among stand-ins, and what it tells."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answering: Callable[[int], Awaitable[None]] = at_once) -> None:
        monkeypatch.setattr(tenures, "PartitionReader", Reader)
        monkeypatch.setattr(tenures, "BACKOFF_SECONDS", (0.001, 0.001))
        settled = asyncio.Event()
        settled.set()
        self.processor, self.news = Processor(answering), list[MatcherNews]()
        given: Any = self.processor
        self.tenure = Tenure(given, settled, 0.0, lambda: asyncio.sleep(0), self.news.append, lambda *_: None)
        self.reader: Any = self.tenure._commands

    def told(self, kind: type) -> int:
        """How often."""
        return sum(isinstance(news, kind) for news in self.news)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)


async def test_after_a_failure_it_forgets_takes_the_partition_again_and_goes_on_where_the_ledger_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [KafkaUnreachable("away"), ZeroDivisionError()]

    async def fail_at_first(offset: int) -> None:
        if offset == 1 and failures:
            raise failures.pop()

    life = Life(monkeypatch, fail_at_first)
    await life.until(lambda: life.processor.answered == [0, 1, 2])
    await life.tenure.end()
    assert life.processor.calls == ["take", "forget", "take", "forget", "take", "close"]
    assert life.reader.sought == [0, 1, 1]
    assert [life.told(kind) for kind in (Taken, Forgotten, Answered, Stopped)] == [3, 2, 3, 0]


async def test_records_that_do_not_follow_are_fetched_again_from_where_the_ledger_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def leave(offset: int) -> None:
        if offset == 0:
            life.reader.next = 2

    life = Life(monkeypatch, leave)
    await life.until(lambda: life.processor.answered == [0, 1, 2])
    await life.tenure.end()
    assert life.reader.sought == [0, 1]
    assert life.processor.calls == ["take", "close"]


async def test_a_breach_stops_it_for_good_and_its_memory_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breach(offset: int) -> None:
        if offset == 1:
            raise ConservationBreach("6 is not 5")

    life = Life(monkeypatch, breach)
    await life.until(lambda: life.tenure.stopped is not None)
    await asyncio.sleep(0.02)
    assert life.processor.calls == ["take", "forget"]
    assert (life.processor.answered, life.told(Stopped)) == ([0], 1)
    await life.tenure.end()
    assert life.reader.closed


async def test_what_cannot_be_read_is_told_once_for_as_long_as_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(monkeypatch)
    await life.until(lambda: life.processor.seq == 3)
    life.reader.stuck = "unknown codec"
    await life.until(lambda: life.told(StandsStill) > 0)
    await asyncio.sleep(0.05)
    life.reader.stuck, life.reader.end = None, 4
    await life.until(lambda: life.processor.seq == 4)
    life.reader.stuck = "unknown codec"
    await life.until(lambda: life.told(StandsStill) > 1)
    await life.tenure.end()
    assert life.told(StandsStill) == 2


async def test_its_end_waits_for_the_transaction_at_hand_and_begins_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(_offset: int) -> None:
        begun.set()
        await goes_on.wait()

    life = Life(monkeypatch, slow)
    await begun.wait()
    end = asyncio.create_task(life.tenure.end())
    await asyncio.sleep(0.02)
    assert not end.done()
    goes_on.set()
    await end
    assert life.processor.answered == [0]
    assert life.reader.closed and (life.processor.calls.count("take"), life.processor.calls[-1]) == (1, "close")


async def test_its_end_does_not_wait_for_a_transaction_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenures, "_FINISH_SECONDS_MAX", 0.02)
    begun = asyncio.Event()

    async def hang(_offset: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    life = Life(monkeypatch, hang)
    await begun.wait()
    async with asyncio.timeout(5):
        await life.tenure.end()
    assert life.processor.answered == []
    assert life.reader.closed and (life.processor.calls.count("take"), life.processor.calls[-1]) == (1, "close")
