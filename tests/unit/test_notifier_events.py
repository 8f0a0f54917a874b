"""The notifier without a broker: entries reach it by FastStream, and what its handler raises concerns one partition alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from faststream.kafka import TestKafkaBroker

from services.bus.topics import LEDGER
from services.errors import KafkaUnreachable, LedgerTampered, TopicUnreadable
from services.notifier import app
from services.notifier.app import Notifier
from services.notifier.untold import Stopping
from tests.records import CommandRecord

PARTITIONS = 4


class Consumer:
    """A consumer that has all partitions, and remembers what it is told."""

    def __init__(self) -> None:
        self.committed_to: dict[int, int] = {}
        self.sought: dict[int, int] = {}

    def assignment(self) -> list[TopicPartition]:
        """All partitions."""
        return [TopicPartition(LEDGER, number) for number in range(PARTITIONS)]

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Acknowledge."""
        self.committed_to |= {place.partition: offset for place, offset in offsets.items()}

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go back."""
        self.sought[place.partition] = offset


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
