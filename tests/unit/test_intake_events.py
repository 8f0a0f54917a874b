"""The topic door without a broker: what its handler is given, and what becomes of what it raises."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiokafka import TopicPartition
from faststream import BaseMiddleware
from faststream.kafka import TestKafkaBroker

from services.bus.app import ByPartition, broker_factory
from services.bus.topics import SUBMISSIONS
from services.errors import Conflict, KafkaUnreachable
from services.intake import partitions
from services.intake.contacts import Sealer
from services.intake.events import GROUP, TopicDoor, router_factory
from services.intake.floods import Floods
from services.intake.partitions import TRIES_MAX
from services.intake.senders import Anyone, Senders
from services.news import Flood
from tests.fuzz.targets import FUND, KEY, PARTITIONS
from tests.records import CommandRecord

SECRET = "Kim Cholsu"
GOOD = {"ce_specversion": b"1.0", "ce_id": b"e-1", "ce_source": b"/f", "ce_type": b"pumasi.pledge.made"}
PLEDGE = json.dumps({"fund": FUND, "donor": "d-1", "amount": 5, "currency": "CNY"}).encode()


def record(
    offset: int, value: bytes | None = PLEDGE, *more: tuple[str, bytes | None], partition: int = 0
) -> CommandRecord:
    return CommandRecord(SUBMISSIONS, partition, offset, None, value, (*GOOD.items(), *more))


class Publisher:
    """As far as the door looks at it."""

    def __init__(self) -> None:
        self.in_reach = asyncio.Event()
        self.in_reach.set()

    def partitions(self, _topic: str) -> int:
        """How many there are."""
        return PARTITIONS


class Desk:
    """Takes all, after it has failed as often as it is told to."""

    def __init__(self, error: Callable[[], Exception] = KafkaUnreachable, failures: int = 0) -> None:
        self.error, self.failures, self.taken = error, failures, 0
        self.before: Callable[[], None] = lambda: None

    async def take_decided(self, admitted: Any) -> int:
        """Fail, or take."""
        self.before()
        self.taken += 1
        if self.taken <= self.failures:
            raise self.error()
        return len(admitted)


class AllFresh:
    """A memory of submissions in which none has its command yet."""

    async def fresh(self, coming: Any, _partitions: int) -> Any:
        """All of them."""
        return coming


class Letters(dict[int, Any]):
    """A letterbox in memory."""

    async def put(self, letters: dict[int, Any]) -> list[int]:
        """Keep them."""
        self.update(letters)
        return list(letters)


class Consumer:
    """A consumer that has all partitions, and remembers what it is told."""

    def __init__(self) -> None:
        self.committed: dict[int, int] = {}
        self.paused: set[int] = set()

    def assignment(self) -> list[TopicPartition]:
        """All partitions."""
        return [TopicPartition(SUBMISSIONS, number) for number in range(PARTITIONS)]

    def pause(self, *places: TopicPartition) -> None:
        """Read them no further."""
        self.paused |= {place.partition for place in places}

    def resume(self, *places: TopicPartition) -> None:
        """Go on with them."""
        self.paused -= {place.partition for place in places}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Acknowledge."""
        self.committed |= {place.partition: offset for place, offset in offsets.items()}


class World:
    """A door, its broker, and what comes out of it."""

    def __init__(self, desk: Desk, senders: Senders | None = None) -> None:
        self.desk, self.publisher, self.letters, self.consumer = desk, Publisher(), Letters(), Consumer()
        self.alarms: list[Flood] = []
        sealer = Sealer(b"k" * 32, KEY.public_key)
        self.door = TopicDoor(lambda: "", desk, self.publisher, sealer, senders or Anyone(), Floods(self.alarms.append))  # type: ignore[arg-type]
        self.door._submissions = AllFresh()  # type: ignore[assignment]
        self.door._box = lambda _partition: self.letters  # type: ignore[assignment,method-assign,return-value]

    @asynccontextmanager
    async def running(self, *middlewares: Any) -> AsyncIterator[Any]:
        """Give it to FastStream; what this yields is called with the records of a poll."""
        brought = self.door.partitions
        router = router_factory(10_000, brought.listener, [partial(ByPartition, brought.bring_through)])
        broker = broker_factory(lambda: "", GROUP, router, context={"door": self.door}, middlewares=middlewares)
        [subscriber] = broker.subscribers
        async with TestKafkaBroker(broker):
            subscriber.consumer = self.consumer
            yield lambda *records: subscriber.process_message(records)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_BACKOFF_SECONDS", (0.0, 0.0))


async def test_records_reach_the_handler_as_they_came_and_all_of_a_partition_is_acknowledged() -> None:
    world = World(Desk())
    async with world.running() as poll:
        await poll(
            record(0, None),
            record(1, b"{nonsense"),
            record(2, PLEDGE, ("note", None)),
            record(3, PLEDGE, ("note", b"\xff\xfe")),
            record(4),
            record(7, partition=2),
        )
    assert sorted(world.letters) == [0, 1, 2, 3]
    assert world.desk.taken == 2
    assert world.consumer.committed == {0: 5, 2: 8}


@pytest.mark.parametrize("error", [lambda: RuntimeError(SECRET), lambda: KafkaUnreachable("a record is refused")])
async def test_a_batch_that_fails_again_and_again_is_an_alarm_and_gets_through_once_it_can(
    error: Callable[[], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    world, stuck = World(Desk(error, TRIES_MAX)), list[bool]()
    world.desk.before = lambda: stuck.append(bool(world.door.partitions.stuck))
    async with world.running() as poll:
        await poll(record(0))
    assert stuck == [False] * TRIES_MAX + [True]
    assert not world.door.partitions.stuck
    assert [one.levelno for one in caplog.records] == [logging.WARNING] * (TRIES_MAX - 1) + [logging.CRITICAL]
    assert SECRET not in caplog.text
    assert world.consumer.committed == {0: 1}


async def test_while_kafka_is_away_no_try_counts() -> None:
    world = World(Desk(failures=3 * TRIES_MAX))

    def away() -> Exception:
        world.publisher.in_reach.clear()
        asyncio.get_running_loop().call_soon(world.publisher.in_reach.set)
        return KafkaUnreachable("away")

    world.desk.error = away
    world.desk.before = lambda: world.door.partitions.stuck and pytest.fail("an alarm")
    async with world.running() as poll:
        await poll(record(0))
    assert world.consumer.committed == {0: 1}


async def test_a_conflict_is_the_fault_of_one_record_alone() -> None:
    world = World(Desk(lambda: Conflict("other data"), failures=2))
    async with world.running() as poll:
        await poll(record(0), record(1), record(2))
    assert list(world.letters) == [0]
    assert world.consumer.committed == {0: 3}


async def test_a_partition_that_waits_is_paused_and_holds_up_no_other_and_a_hand_over_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions, "_MOMENT_SECONDS", 0.01)
    world, for_ever = World(Desk()), asyncio.Event()
    taking = world.desk.take_decided

    async def take(admitted: Any) -> int:
        if admitted[0].submission.startswith("1-"):
            await for_ever.wait()
        return await taking(admitted)

    world.desk.take_decided = take  # type: ignore[method-assign]
    async with world.running() as poll:
        await poll(record(0), record(3, partition=1))
        assert (world.consumer.committed, world.consumer.paused) == ({0: 1}, {1})
        await poll(record(1))
        await world.door.partitions.leave(0.01)
    assert (world.consumer.committed, world.consumer.paused) == ({0: 2}, set())


async def test_a_middleware_that_measures_sees_a_poll_and_its_bytes() -> None:
    seen: list[int] = []

    class Measures(BaseMiddleware):
        """As FastStream's own for metrics and traces do."""

        async def consume_scope(self, call_next: Any, msg: Any) -> Any:
            """Add the bytes up."""
            seen.append(len(bytearray().join(msg.body)))
            return await call_next(msg)

    world = World(Desk())
    async with world.running(Measures) as poll:
        await poll(record(0), record(1, None), record(5, b"{", partition=1))
    assert seen == [len(PLEDGE) + 1]
    assert world.consumer.committed == {0: 2, 1: 6}
