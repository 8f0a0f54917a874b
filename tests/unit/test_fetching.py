"""What can't be read stops its own partition, loudly: what came before it is given out, neighbours go on, nothing is passed over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, RequestTimedOutError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from services.bus.client import fetching
from services.bus.client.consumer import Consumer
from services.bus.client.fetching import TellingFetcher
from services.bus.security import ANSWER_MS, connection
from tests.unit.test_codecs import DAMAGED, VALUES, batch
from tests.waiting import until

TOPIC = "pumasi.commands.v1"
BROKEN, SOUND = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
DEADLINE_SECONDS = 20


def at(offset: int, found: bytes) -> bytes:
    return offset.to_bytes(8, "big") + found[8:]


class Broker:
    """Answers fetches, as aiokafka's client does: of each partition its batches from an offset on, or an error's number."""

    def __init__(self) -> None:
        self._loop, self._metadata_max_age_ms = asyncio.get_running_loop(), 300_000
        self.cluster = SimpleNamespace(leader_for_partition=lambda _place: 0)
        self._conns: dict[Any, Any] = {}
        self.logs: dict[int, list[tuple[int, bytes]] | int] = {0: [], 1: []}
        self.asked = {0: 0, 1: 0}
        self.raises: Exception | None = None
        self.waits: list[int] = []  # of each fetch, milliseconds
        self.empty = False
        self.looked = 0

    def force_metadata_update(self) -> None:
        self.looked += 1

    async def ready(self, _node: int, *, group: str) -> bool:
        return True

    async def send(self, _node: int, request: Any, *, group: str) -> Any:
        self.waits.append(request._max_wait_ms)
        if self.empty:
            connection = self._conns[_node, group] = Connection()
            await asyncio.shield(connection.closed)
            raise KafkaConnectionError
        await asyncio.sleep(0.001)
        if self.raises is not None:
            raise self.raises
        return SimpleNamespace(
            API_VERSION=4,
            topics=[(topic, [self._answer(*asked) for asked in places]) for topic, places in request.topics],
        )

    def _answer(self, number: int, offset: int, _size: int) -> tuple:
        self.asked[number] += 1
        log = self.logs[number]
        if isinstance(log, int):
            return number, log, -1, -1, None, b""
        return number, 0, 1000, 1000, None, b"".join(found for begin, found in log if begin >= offset)


class Connection:
    """One on which the broker is waiting for records."""

    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


@pytest.fixture
async def broker() -> Broker:
    return Broker()


@pytest.fixture
async def fetcher(broker: Broker) -> AsyncIterator[TellingFetcher]:
    places = SubscriptionState(loop=asyncio.get_running_loop())
    places.assign_from_user([BROKEN, SOUND])
    made = TellingFetcher(broker, places, isolation_level="read_committed", fetcher_timeout=0.01)
    for place in (BROKEN, SOUND):
        made.seek_to(place, 0)
    yield made
    await made.close()


async def polled(fetcher: TellingFetcher, enough: Any) -> dict[TopicPartition, list[int]]:
    """The offsets that polls bring until `enough` of what they brought says so."""
    found: dict[TopicPartition, list[int]] = {BROKEN: [], SOUND: []}
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not enough(found):
            for place, records in (await fetcher.fetched_records((), 0.02, max_records=500)).items():
                found[place] += [record.offset for record in records]
    return found


@pytest.mark.parametrize("why", DAMAGED)
async def test_a_batch_that_can_not_be_read_stops_its_partition_and_no_other(
    fetcher: TellingFetcher, broker: Broker, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker.logs[0] = [(0, batch(0, VALUES)), (4, at(4, DAMAGED[why]))]
    if len(DAMAGED[why]) < 61:  # the broker would say of how many bytes it is
        broker.logs[0][1] = (4, at(4, DAMAGED[why][:8] + (28).to_bytes(4, "big") + DAMAGED[why][12:]))
    broker.logs[1] = [(place, at(place, batch(place % 5, VALUES))) for place in range(0, 400, 4)]
    with caplog.at_level(logging.ERROR, "pumasi.bus"):
        found = await polled(fetcher, lambda found: len(found[SOUND]) >= 400 and fetcher.stuck)
    assert found == {BROKEN: [0, 1, 2, 3], SOUND: list(range(400))}
    [stuck] = fetcher.stuck
    told = f"partition 0 of {TOPIC} can't be read at offset 4: {why}"
    assert str(stuck) == told
    assert [r.message for r in caplog.records if r.name == "pumasi.bus"] == [
        told + "; it stands still, and is tried again"
    ]


async def test_neighbours_are_fetched_at_full_speed(fetcher: TellingFetcher, broker: Broker) -> None:
    broker.logs[0] = [(0, DAMAGED["unknown codec 5"])]
    await polled(fetcher, lambda _found: fetcher.stuck)
    before, asked = broker.asked[1], broker.asked[0]
    await polled(fetcher, lambda _found: broker.asked[1] >= before + 100)
    assert broker.asked[0] - asked <= 2, "it rests, longer and longer"


async def test_what_can_be_read_again_is_read_from_where_it_stood(fetcher: TellingFetcher, broker: Broker) -> None:
    broker.logs[0] = [(0, batch(0, VALUES)), (4, at(4, DAMAGED["its checksum is wrong"]))]
    await polled(fetcher, lambda _found: fetcher.stuck)
    broker.logs[0] = [(0, batch(0, VALUES)), (4, at(4, batch(4, VALUES)))]
    found = await polled(fetcher, lambda found: len(found[BROKEN]) >= 4)
    assert found[BROKEN] == [4, 5, 6, 7]
    assert fetcher.stuck == []


async def test_what_was_damaged_once_is_no_alarm(fetcher: TellingFetcher, broker: Broker) -> None:
    broker.logs[0] = [(0, DAMAGED["its checksum is wrong"])]
    await polled(fetcher, lambda _found: broker.asked[0] == 1 and BROKEN in fetcher._failed)
    broker.logs[0] = [(0, batch(4, VALUES))]
    await polled(fetcher, lambda found: len(found[BROKEN]) == 4)
    assert fetcher.stuck == []


@pytest.mark.parametrize(
    ("code", "why"), [(29, "TopicAuthorizationFailedError"), (56, "KafkaStorageError"), (-1, "UnknownError")]
)
async def test_an_error_that_the_broker_answers_is_told(
    fetcher: TellingFetcher, broker: Broker, code: int, why: str
) -> None:
    broker.logs[0] = code
    broker.logs[1] = [(0, batch(0, VALUES))]
    found = await polled(fetcher, lambda found: found[SOUND] and fetcher.stuck)
    assert found[SOUND] == [0, 1, 2, 3]
    assert fetcher.stuck[0].why == why


async def test_whoever_gets_no_answer_looks_who_leads_now(fetcher: TellingFetcher, broker: Broker) -> None:
    """Else it would ask a broker that hangs for as long as that hangs, though others lead its partitions."""
    broker.raises = RequestTimedOutError()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not broker.looked:
            await asyncio.sleep(0.001)
    broker.raises, broker.logs[0] = None, [(0, batch(0, VALUES))]
    await polled(fetcher, lambda found: len(found[BROKEN]) == 4)


async def test_who_joins_a_group_is_given_a_session_more_for_the_answer() -> None:
    alone, member = Consumer(**connection("h:1")), Consumer(**connection("h:1"), group_id="g", session_timeout_ms=6_000)
    assert alone._client._request_timeout_ms == ANSWER_MS
    assert member._client._request_timeout_ms == ANSWER_MS + 6_000
    for consumer in (alone, member):
        await consumer.stop()


async def test_fetching_that_has_ended_begins_anew(fetcher: TellingFetcher, broker: Broker) -> None:
    broker.raises = ZeroDivisionError()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not fetcher.error_future.done():
            await asyncio.sleep(0.001)
    broker.raises, broker.logs[0] = None, [(0, batch(0, VALUES))]
    with pytest.raises(Exception, match="Unexpected error"):
        fetcher.error_future.result()
    fetcher.revive()
    await polled(fetcher, lambda found: len(found[BROKEN]) == 4)


def test_a_reason_holds_nothing_of_a_record() -> None:
    from aiokafka.errors import CorruptRecordException

    try:
        try:
            b"Kim\xff".decode()
        except UnicodeDecodeError as error:
            raise CorruptRecordException(f"Found invalid record structure: {error!r}") from error
    except CorruptRecordException as error:
        assert fetching._why(error) == "CorruptRecordException"


async def waiting(broker: Broker) -> Connection:
    """The connection on which the broker waits for records, once it does."""
    broker.empty = True
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (found := [one for one in broker._conns.values() if not one.closed.done()]):
            await asyncio.sleep(0.001)
    return found[0]


async def test_the_broker_waits_long_where_it_is_asked_for_everything(fetcher: TellingFetcher, broker: Broker) -> None:
    await waiting(broker)
    assert broker.waits[-1] == fetching._WAIT_MS


async def test_the_broker_waits_no_longer_than_it_was_told_where_something_is_left_out(
    fetcher: TellingFetcher, broker: Broker
) -> None:
    fetcher._subscriptions.subscription.assignment.state_value(BROKEN).pause()
    before = broker.asked[1]
    while broker.asked[1] < before + 3:
        await asyncio.sleep(0.001)
    await waiting(broker)
    assert broker.waits[-1] == fetcher._fetch_max_wait_ms < fetching._WAIT_MS


async def test_who_goes_on_elsewhere_is_not_kept_waiting(
    fetcher: TellingFetcher, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await waiting(broker)
    broker.empty, broker.logs[0] = False, [(7, at(7, batch(0, VALUES)))]
    fetcher.seek_to(BROKEN, 7)
    found = await polled(fetcher, lambda found: found[BROKEN])
    assert found[BROKEN][0] == 7 and connection.closed.done() and not caplog.records


async def test_seeking_to_where_the_broker_was_asked_leaves_it_waiting(fetcher: TellingFetcher, broker: Broker) -> None:
    connection = await waiting(broker)
    fetcher.seek_to(SOUND, 0)
    assert not connection.closed.done()


async def test_a_fetch_for_partitions_that_went_elsewhere_is_hung_up_on(
    fetcher: TellingFetcher, broker: Broker
) -> None:
    connection = await waiting(broker)
    fetcher._subscriptions.assign_from_user([SOUND])
    fetcher.seek_to(SOUND, 0)
    await asyncio.wait_for(connection.closed, DEADLINE_SECONDS)
    assert await waiting(broker) is not connection


def marker(offset: int) -> bytes:
    """A batch that holds nothing but a transaction's end."""
    made = DefaultRecordBatchBuilder(2, 0, 1, 1, 0, 0, 1 << 20)
    made.append(0, timestamp=0, key=b"\0\0\0\1", value=bytes(6), headers=[])
    found = bytearray(made.build())
    found[22] |= 0x20  # a control batch
    found[17:21] = calc_crc32c(found[21:]).to_bytes(4, "big")
    return at(offset, bytes(found))


async def test_a_poll_ends_when_nothing_but_markers_has_come(fetcher: TellingFetcher, broker: Broker) -> None:
    """So whoever polls for long hears at once how far reading is."""
    waits = await waiting(broker)
    polling = asyncio.create_task(fetcher.fetched_records((), 3600))
    await asyncio.sleep(0)
    broker.empty, broker.logs[0] = False, [(0, marker(0))]
    waits.close()
    assert await asyncio.wait_for(polling, DEADLINE_SECONDS) == {}
    assert fetcher._subscriptions.subscription.assignment.state_value(BROKEN).position == 1


async def test_a_poll_can_be_woken(fetcher: TellingFetcher, broker: Broker) -> None:
    await waiting(broker)
    polling = asyncio.create_task(fetcher.fetched_records((), 3600))
    await asyncio.sleep(0)
    fetcher.wake()
    assert await asyncio.wait_for(polling, DEADLINE_SECONDS) == {}


async def test_a_poll_raises_what_the_coordinator_met(fetcher: TellingFetcher, broker: Broker) -> None:
    await waiting(broker)
    polling = asyncio.create_task(fetcher.fetched_records((), 3600))
    await asyncio.sleep(0)
    for waiter in fetcher._fetch_waiters:
        waiter.set_exception(GroupAuthorizationFailedError())
    with pytest.raises(GroupAuthorizationFailedError):
        await asyncio.wait_for(polling, DEADLINE_SECONDS)


async def test_a_broker_is_asked_on_although_something_else_was_looked_at_as_it_answered(broker: Broker) -> None:
    """Until a task's callbacks have run its broker counts as busy: whoever looks in that moment has to look again."""
    places = SubscriptionState(loop=asyncio.get_running_loop())
    places.assign_from_user([SOUND])
    answers: list[asyncio.Future[None]] = []
    answer = broker.send

    async def held(node: int, request: Any, *, group: str) -> Any:
        answers.append(asyncio.get_running_loop().create_future())
        await answers[-1]
        await asyncio.sleep(0)
        return SimpleNamespace(API_VERSION=4, topics=[(TOPIC, [(SOUND.partition, 0, 0, 0, None, b"")])])

    broker.send = held  # type: ignore[method-assign]
    fetcher = TellingFetcher(broker, places, isolation_level="read_committed", fetcher_timeout=10 * DEADLINE_SECONDS)
    fetcher.seek_to(SOUND, 0)
    await until(lambda: len(answers) == 1)
    answers[0].set_result(None)
    fetcher._notify(fetcher._wait_consume_future)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await until(lambda: len(answers) == 2)
    finally:
        broker.send = answer  # type: ignore[method-assign]
        await fetcher.close()
