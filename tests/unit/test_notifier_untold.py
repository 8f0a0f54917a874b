"""One whose receiver hangs waits alone: others are told and recorded meanwhile, and what is acknowledged stays before it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from schemas.notices import Notice
from services.errors import KafkaUnreachable
from services.notifier import screen
from services.notifier import untold as module
from services.notifier.channels.webhook import Delivery
from services.notifier.languages import Languages
from services.notifier.teller import Teller
from services.notifier.untold import Backlog, Stopping
from tests.telling import Receiver
from tests.unit.test_notifier_telling import Publisher, tidings
from tests.waiting import until


class World:
    """A backlog, the receiver, and what is recorded and acknowledged."""

    def __init__(self) -> None:
        self.receiver, self.publisher = Receiver("d-slow"), Publisher()
        self.acknowledged, self.roomy, self.failures = 0, 0, list[Exception]()
        teller = Teller(self.publisher, self.receiver, screen.quiet(), Languages("en"))  # type: ignore[arg-type]
        self.backlog = Backlog(teller, 0, self.acknowledge, self.failures.append, self.has_become_roomy)

    async def acknowledge(self, offset: int) -> None:
        self.acknowledged = offset

    def has_become_roomy(self) -> None:
        self.roomy += 1

    @property
    def recorded(self) -> list[str]:
        return [one["id"] for one in self.publisher.published]


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    one = World()
    try:
        yield one
    finally:
        await one.backlog.end()


async def test_others_are_told_and_recorded_while_one_hangs() -> None:
    async with world() as w:
        await w.backlog.add([tidings("a", "d-1")], 1)
        await until(lambda: w.acknowledged == 1)
        await w.backlog.add([tidings("slow-1", "d-slow"), tidings("b", "d-2")], 2)
        await w.backlog.add([tidings("slow-2", "d-slow"), tidings("c", "d-1")], 3)
        await w.backlog.add([], 4)
        await until(lambda: w.recorded == ["a", "b", "c"])
        assert (w.acknowledged, w.backlog.told_to) == (1, 1), "after a crash the slow one is told all the same"
        w.receiver.answers.set()
        await until(lambda: w.acknowledged == 4)
        assert w.recorded == w.receiver.ids == ["a", "b", "c", "slow-1", "slow-2"]
    assert not w.backlog._of, "nobody is remembered for ever"


async def test_adding_waits_for_nobody_and_says_when_there_is_no_room_and_when_half_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AHEAD_MAX", 100)
    async with world() as w:
        await w.backlog.add([tidings("slow", "d-slow")], 1)
        async with asyncio.timeout(5):
            await w.backlog.add([tidings(f"n-{i}", f"d-{i}") for i in range(98)], 2)
            assert w.backlog.has_room
            await w.backlog.add([tidings("last", "d-1")], 3)
        await until(lambda: len(w.recorded) == 99)
        assert not w.backlog.has_room, "what was told beyond one that hangs would be told again after a crash"
        w.roomy = 0
        w.receiver.answers.set()
        await until(lambda: w.acknowledged == 3)
        assert w.backlog.has_room
        assert w.roomy


async def test_a_flood_for_one_person_is_told_in_order_while_others_have_their_turn() -> None:
    async with world() as w:
        flood = [tidings(f"slow-{i}", "d-slow") for i in range(2400)]
        await w.backlog.add([*flood[:1200], tidings("a", "d-1"), *flood[1200:]], 1)
        await w.backlog.add([tidings("b", "d-2")], 2)
        await until(lambda: w.recorded == ["a", "b"])
        assert w.backlog.has_room
        assert len(w.backlog._telling) == 1, "who waits needs no task"
        assert w.backlog.waiting == 2400
        w.receiver.answers.set()
        await until(lambda: w.acknowledged == 2)
    assert w.recorded == w.receiver.ids == ["a", "b", *(one.id for one in flood)]


async def test_a_stop_waits_for_one_that_hangs_no_longer_than_it_says_and_begins_nothing() -> None:
    async with world() as w:
        await w.backlog.add([tidings("a", "d-1"), tidings("slow-1", "d-slow"), tidings("slow-2", "d-slow")], 1)
        await until(lambda: w.recorded == ["a"])
        async with asyncio.timeout(5):
            await w.backlog.finish(0.1)
        with pytest.raises(Stopping):
            await w.backlog.add([tidings("b", "d-1")], 2)
    assert (w.receiver.ids, w.acknowledged) == (["a"], 0)


async def test_what_is_told_while_it_stops_is_recorded_and_acknowledged_and_what_comes_after_it_not_begun() -> None:
    async with world() as w:
        await w.backlog.add([tidings("slow-1", "d-slow")], 1)
        await w.backlog.add([tidings("slow-2", "d-slow")], 2)
        finishing = asyncio.create_task(w.backlog.finish(10))
        await asyncio.sleep(0)
        w.receiver.answers.set()
        await finishing
    assert (w.receiver.ids, w.recorded, w.acknowledged) == (["slow-1"], ["slow-1"], 1)


async def test_what_cant_be_recorded_now_is_recorded_later_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        publish, fails = w.publisher.publish, [KafkaUnreachable("away"), KafkaUnreachable("still away")]

        async def flaky(records: list[Any]) -> None:
            if fails:
                raise fails.pop()
            await publish(records)

        monkeypatch.setattr(w.publisher, "publish", flaky)
        await w.backlog.add([tidings("a", "d-1")], 1)
        await until(lambda: w.acknowledged == 1)
    assert w.receiver.ids == w.recorded == ["a"]


async def test_an_acknowledgement_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)
    async with world() as w:
        acknowledge, fails = w.acknowledge, [LookupError(), LookupError()]

        async def flaky(offset: int) -> None:
            if fails:
                raise fails.pop()
            await acknowledge(offset)

        w.backlog._commit = flaky
        await w.backlog.add([tidings("a", "d-1")], 1)
        await until(lambda: w.acknowledged == 1)


async def test_what_nobody_foresaw_ends_it_and_is_told() -> None:
    async with world() as w:

        async def broken(_notice: Notice, _address: str | None = None, _trace: bytes | None = None) -> Delivery:
            raise RuntimeError("nobody foresaw it")

        w.receiver.send = broken  # type: ignore[method-assign]
        await w.backlog.add([tidings("a", "d-1"), tidings("b", "d-2")], 1)
        await until(lambda: bool(w.failures))
        with pytest.raises(RuntimeError):
            await w.backlog.add([], 2)
    assert len(w.failures) == 1
    assert w.acknowledged == 0
