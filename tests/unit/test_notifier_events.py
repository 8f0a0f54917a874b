"""The notifier without a broker: entries reach it by FastStream, and what its handler raises concerns one partition alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from faststream.kafka import TestKafkaBroker

from services.bus.topics import LEDGER
from services.errors import KafkaUnreachable, LedgerTampered, TopicUnreadable
from services.notifier import app, screen, untold
from services.notifier.app import Notifier
from services.notifier.languages import Languages
from services.notifier.teller import Teller
from services.notifier.untold import Stopping
from tests.records import CommandRecord
from tests.telling import Receiver
from tests.unit.test_notifier_telling import Publisher, tidings
from tests.waiting import until

PARTITIONS = 4


class Consumer:
    """A consumer that has all partitions, and remembers what it is told."""

    def __init__(self) -> None:
        self.committed_to: dict[int, int] = {}
        self.sought: dict[int, int] = {}
        self.paused: set[int] = set()

    def assignment(self) -> list[TopicPartition]:
        """All partitions."""
        return [TopicPartition(LEDGER, number) for number in range(PARTITIONS)]

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Acknowledge."""
        self.committed_to |= {place.partition: offset for place, offset in offsets.items()}

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go back."""
        self.sought[place.partition] = offset

    def pause(self, place: TopicPartition) -> None:
        """Bring nothing of it."""
        self.paused.add(place.partition)

    def resume(self, place: TopicPartition) -> None:
        """Bring what comes of it."""
        self.paused.discard(place.partition)


class Read:
    """A reading of a partition that has no news, or fails."""

    def __init__(self, offset: int, error: Exception | None) -> None:
        self.next_offset, self.error = offset, error

    def precedes(self, _record: Any) -> bool:
        """Always."""
        return True

    def take(self, record: Any) -> list[Any]:
        """Nobody is told."""
        if self.error is not None:
            raise self.error
        self.next_offset = record.offset + 1
        return []


class World:
    """A notifier, its broker, and what comes out of it."""

    def __init__(self, **errors: Exception) -> None:
        self.notifier, self.consumer = Notifier(lambda: "", None), Consumer()  # type: ignore[arg-type]
        for number in range(PARTITIONS):
            self.notifier._readings[number] = Read(0, errors.get(f"p{number}"))  # type: ignore[assignment]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Any]:
        """What this yields is called with the records of a poll."""

        async def opening() -> None:
            pass

        broker = self.notifier.broker(6000, opening)
        [subscriber] = broker.subscribers
        async with TestKafkaBroker(broker):
            subscriber.consumer = self.consumer
            yield lambda *records: subscriber.process_message(records)
        await self.notifier.finish()


def entry(partition: int, offset: int = 0) -> CommandRecord:
    return CommandRecord(LEDGER, partition, offset, None, b"{}", (("ce_id", None),))


async def test_each_partition_is_told_and_committed_by_itself() -> None:
    world = World()
    async with world.running() as poll:
        await poll(entry(0, 0), entry(0, 1), entry(2, 0))
        await poll(entry(2, 1))
    assert world.consumer.committed_to == {0: 2, 2: 2}


async def test_what_one_partition_raises_is_decided_on_and_its_neighbours_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "_PAUSE_SECONDS", 0.0)
    world = World(p0=LedgerTampered("torn"), p1=KafkaUnreachable("away"), p2=Stopping())
    async with world.running() as poll:
        await poll(*map(entry, range(PARTITIONS)))
        assert list(world.notifier.stopped) == [0]
        assert world.consumer.sought == {1: 0}, "to be brought again"
        await poll(entry(0, 1))
    assert world.consumer.committed_to == {3: 1}, "nobody is told of it any more"


async def test_a_screen_that_nobody_reads_ends_the_service() -> None:
    world = World(p0=BrokenPipeError())
    async with world.running() as poll:
        await poll(entry(0))
    assert world.notifier.over.is_set()
    assert isinstance(world.notifier.failed, BrokenPipeError)


async def test_notices_that_cant_be_read_cost_a_few_repeats_and_never_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_last(*_: Any) -> None:
        raise TopicUnreadable({0: "torn"})

    monkeypatch.setattr(app, "read_last", read_last)
    notifier = World().notifier
    await notifier._look_up_told(app.AHEAD_MAX)
    with pytest.raises(TopicUnreadable):
        await notifier._look_up_told(app._ALL)


async def test_a_service_that_stops_begins_nothing_new() -> None:
    world = World()
    async with world.running() as poll:
        await world.notifier.finish()
        await poll(entry(0))
        with pytest.raises(Stopping):  # nor does what was being read when it was told to
            await world.notifier.hear([entry(0)], world.consumer)
    assert world.consumer.committed_to == {}


class Says(Read):
    """A reading whose every entry has something to say to `d-slow`, the first of its partition; or to others."""

    def __init__(self, to: str) -> None:
        super().__init__(0, None)
        self.to = to

    def take(self, record: Any) -> list[Any]:
        """One is told."""
        super().take(record)
        return [tidings(f"{record.partition}-{record.offset}", self.to)]


async def test_a_partition_without_room_is_paused_and_resumed_and_its_neighbours_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(untold, "AHEAD_MAX", 10)
    world, receiver, publisher = World(), Receiver("d-slow"), Publisher()
    world.notifier.teller = Teller(publisher, receiver, screen.quiet(), Languages("en"))  # type: ignore[arg-type]
    world.notifier._readings = {0: Says("d-slow"), 1: Says("d-2")}  # type: ignore[dict-item]
    async with world.running() as poll:
        async with asyncio.timeout(10):
            await poll(*(entry(0, offset) for offset in range(10)))
            await poll(*(entry(0, offset) for offset in range(10, 30)), entry(1, 0))
        assert (world.consumer.paused, world.consumer.sought) == ({0}, {0: 10}), "to be brought once there is room"
        assert world.notifier._readings[0].next_offset == 10
        await until(lambda: world.consumer.committed_to == {1: 1})
        assert world.notifier.stalled == []
        place = world.notifier._backlogs[0]._places[0]
        place.since = place.since._replace(at_hand=place.since.at_hand - 61)
        assert world.notifier.stalled == [0], "though its neighbour gets on"
        receiver.answers.set()
        await until(lambda: not world.consumer.paused)
        await poll(*(entry(0, offset) for offset in range(10, 20)))
        await until(lambda: world.consumer.committed_to == {0: 20, 1: 1})
        assert world.notifier.stalled == []
    assert [one["id"] for one in publisher.published if one["id"][0] == "0"] == [f"0-{offset}" for offset in range(20)]


async def test_a_paused_partition_whose_telling_fails_is_brought_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untold, "AHEAD_MAX", 1)
    world, receiver, publisher = World(), Receiver("d-slow"), Publisher()
    world.notifier.teller = Teller(publisher, receiver, screen.quiet(), Languages("en"))  # type: ignore[arg-type]
    world.notifier._readings = {0: Says("d-slow")}  # type: ignore[dict-item]
    async with world.running() as poll:
        await poll(entry(0, 0))
        await poll(entry(0, 1))
        assert world.consumer.paused == {0}

        async def broken(_records: list[Any]) -> None:
            raise RuntimeError("nobody foresaw it")

        monkeypatch.setattr(publisher, "publish", broken)
        receiver.answers.set()
        await until(lambda: not world.consumer.paused)
        assert world.consumer.sought == {0: 0}
