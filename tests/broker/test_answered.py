"""What is answered is deleted: unreadable at once, soon off the disk, and never before, whoever comes, goes or is killed."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from services.bus import topics
from services.bus.client.consumer import Consumer
from services.bus.consume.clearing import Clearing, is_empty
from services.bus.embedded import EmbeddedKafka
from services.bus.security import connection
from services.bus.topics import SUBMISSIONS
from services.intake.events import GROUP
from tests.broker.test_intake import DEADLINE_S, acknowledged, commands, pledge, post, read, record, running
from tests.broker.test_matcher import running as matching
from tests.broker.test_refused import each_once, flowing, spawned

pytestmark = pytest.mark.broker

PARTITIONS = 4
WORD = "Baek-Suji-7H3k9"
"""In everything that is sent here."""


@contextlib.asynccontextmanager
async def submitting(kafka: EmbeddedKafka) -> AsyncIterator[Any]:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:

        async def submit(partition: int, *several: dict[str, Any]) -> None:
            for one in several:
                await producer.send_and_wait(SUBMISSIONS, partition=partition, **one)

        yield submit


def good(number: int) -> dict[str, Any]:
    return record(number, value={**pledge(0)["data"], "donor": WORD})


def bad(number: int) -> dict[str, Any]:
    return record(number, value={**pledge(0)["data"], WORD: WORD})


async def extents(kafka: EmbeddedKafka) -> list[tuple[int, int]]:
    """Where each partition begins and ends, as anybody hears it."""
    places = [TopicPartition(SUBMISSIONS, number) for number in range(PARTITIONS)]
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=None) as asking:
        begins, ends = await asking.beginning_offsets(places), await asking.end_offsets(places)
    return [(begins[place], ends[place]) for place in places]


async def until_nothing_can_be_read(kafka: EmbeddedKafka) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while any(begin < end for begin, end in await extents(kafka)):
            await asyncio.sleep(0.1)


def files_that_say(word: str, kafka: EmbeddedKafka) -> list[Path]:
    """The files of the submissions topic that hold a word; not of former topics of that name, which Kafka is about to delete."""
    found = []
    for path in (kafka.home / "log").glob(f"{SUBMISSIONS}-?/*"):
        with contextlib.suppress(FileNotFoundError):  # deleted while we look
            if word.encode() in path.read_bytes():
                found.append(path)
    return found


async def until_off_the_disk(kafka: EmbeddedKafka, word: str = WORD) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while files_that_say(word, kafka):
            await asyncio.sleep(0.05)


async def from_the_first(kafka: EmbeddedKafka, partition: int) -> list[Any]:
    """The records from offset 0 on."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="none") as consumer:
        consumer.assign([TopicPartition(SUBMISSIONS, partition)])
        consumer.seek(TopicPartition(SUBMISSIONS, partition), 0)
        async with asyncio.timeout(DEADLINE_S):
            while not (found := await consumer.getmany(timeout_ms=500)):
                pass
        return next(iter(found.values()))


async def until_kafka_has_looked_for_what_is_old(kafka: EmbeddedKafka) -> None:
    """Return once a topic that forgets by age has forgotten what came just now."""
    probe = f"forgets-by-age-{uuid.uuid4()}"
    place = TopicPartition(probe, 0)
    async with contextlib.AsyncExitStack() as stack:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        stack.push_async_callback(admin.close)
        await admin.start()
        await admin.create_topics([NewTopic(probe, 1, 1, topic_configs={"retention.ms": "1"})])
        stack.push_async_callback(admin.delete_topics, [probe])
        producer = await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=kafka.bootstrap))
        await producer.send_and_wait(probe, b"x", partition=0)
        asking = await stack.enter_async_context(AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=None))
        async with asyncio.timeout(DEADLINE_S):
            while not (await asking.beginning_offsets([place]))[place]:
                await asyncio.sleep(0.05)


async def test_what_is_answered_can_be_read_by_nobody_and_soon_lies_in_no_file(
    quick: EmbeddedKafka, tmp_path: Path
) -> None:
    async with submitting(quick) as submit, running(quick, tmp_path):
        for partition in range(PARTITIONS):
            await submit(partition, good(10 * partition), bad(10 * partition + 1), good(10 * partition + 2))
        assert files_that_say(WORD, quick), "or this test looks in the wrong place"
        for partition in range(PARTITIONS):
            await acknowledged(quick.bootstrap, partition)
        began = time.monotonic()
        await until_nothing_can_be_read(quick)
        assert time.monotonic() - began < 5
        for partition in range(PARTITIONS):
            with pytest.raises(OffsetOutOfRangeError):
                await from_the_first(quick, partition)
        await until_off_the_disk(quick)
        # What makes Kafka begin a new file is written once, not for ever: elsewhere it has all happened again meanwhile.
        ends = [end for _, end in await extents(quick)]
        assert all(end <= 4 for end in ends), "three records, and at most one that is empty"
        await submit(0, bad(100))
        await until_off_the_disk(quick)
        await submit(0, bad(101))
        await until_off_the_disk(quick)
        assert [end for _, end in await extents(quick)][1:] == ends[1:]
    assert len(await commands(quick.bootstrap)) == 2 * PARTITIONS
    letters = await read(quick.bootstrap, topics.DEADLETTERS)
    assert len(letters) == PARTITIONS + 2, "none for an empty record"
    assert WORD not in repr(letters)


async def test_nothing_is_deleted_while_intake_is_away_however_old_it_is(quick: EmbeddedKafka, tmp_path: Path) -> None:
    async with submitting(quick) as submit:
        await submit(0, good(1))
        async with running(quick, tmp_path):
            await acknowledged(quick.bootstrap, 0)
        sent, files = 1, {path.name for path in files_that_say(WORD, quick)}
        async with asyncio.timeout(DEADLINE_S):
            while len({path.name for path in files_that_say(WORD, quick)} - files) < 2:  # of which Kafka writes to one
                sent += 1
                await submit(0, good(sent))
        await until_kafka_has_looked_for_what_is_old(quick)
        there = [one for one in await read(quick.bootstrap, SUBMISSIONS) if not is_empty(one)]
        assert len(there) == sent - 1
        async with running(quick, tmp_path):
            await until_nothing_can_be_read(quick)
    assert len(await commands(quick.bootstrap)) == sent


async def test_what_waits_and_all_behind_it_stays_while_others_go(
    quick: EmbeddedKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with submitting(quick) as submit, running(quick, tmp_path):
        await submit(3, good(7), good(7), bad(8))
        async with asyncio.timeout(DEADLINE_S):
            while "submissions wait for the matcher" not in caplog.text:
                await asyncio.sleep(0.02)
        for number in range(20, 23):  # the others are cleared, and again
            await submit(0, good(number))
            async with asyncio.timeout(DEADLINE_S):
                while len(set((await extents(quick))[0])) > 1:
                    await asyncio.sleep(0.05)
        begin, end = (await extents(quick))[3]
        assert begin <= 1 < end, "the one that waits is there"
        assert [one.value for one in (await read(quick.bootstrap, SUBMISSIONS))[-2:]] == [
            good(7)["value"], bad(8)["value"],
        ]  # fmt: skip
        async with matching(quick.bootstrap):
            await until_nothing_can_be_read(quick)
    assert len(await read(quick.bootstrap, topics.DEADLETTERS)) == 1


async def test_kill_9_between_publishing_and_acknowledging_loses_nothing(quick: EmbeddedKafka, tmp_path: Path) -> None:
    async with submitting(quick) as submit:
        await submit(0, *map(good, range(3)), bad(3))
        process = await spawned(quick, tmp_path)
        await commands(quick.bootstrap, least=3)
        await read(quick.bootstrap, topics.DEADLETTERS, least=1)
        await until_kafka_has_looked_for_what_is_old(quick)
        process.kill()
        await process.wait()
        assert (await extents(quick))[0] == (0, 4), "published, but not acknowledged"
        async with running(quick, tmp_path):
            await until_nothing_can_be_read(quick)
    assert len(await commands(quick.bootstrap)) == 3, "a repeat is a repeat"
    assert len(await read(quick.bootstrap, topics.DEADLETTERS)) == 1


async def test_what_one_has_acknowledged_and_not_deleted_the_next_deletes(
    quick: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_clearing: Clearing, **_how: bool) -> None:
        pass

    async with submitting(quick) as submit:
        await submit(2, good(1))
        with monkeypatch.context() as killed:
            killed.setattr(Clearing, "_delete", nothing)
            async with running(quick, tmp_path):
                await acknowledged(quick.bootstrap, 2)
        assert (await extents(quick))[2] == (0, 1)
        async with running(quick, tmp_path):
            await until_nothing_can_be_read(quick)
            await until_off_the_disk(quick)


async def test_a_stop_takes_along_what_was_answered_last(quick: EmbeddedKafka, tmp_path: Path) -> None:
    async with submitting(quick) as submit, running(quick, tmp_path):
        await submit(1, good(1))
        await acknowledged(quick.bootstrap, 1)
    begin, end = (await extents(quick))[1]
    assert begin == end > 0


async def test_intakes_that_come_go_and_are_killed_delete_nothing_unanswered(
    quick: EmbeddedKafka, tmp_path: Path
) -> None:
    enough = asyncio.Event()
    flow = asyncio.create_task(flowing(quick, enough))
    async with matching(quick.bootstrap), running(quick, tmp_path):
        for _ in range(2):
            process = await spawned(quick, tmp_path)  # it publishes what it gets, and never acknowledges
            before = len(await commands(quick.bootstrap))
            await commands(quick.bootstrap, least=before + 200)
            process.kill()
            await process.wait()
            async with running(quick, tmp_path):
                await commands(quick.bootstrap, least=len(await commands(quick.bootstrap)) + 200)
        enough.set()
        await each_once(quick, await flow)
        await until_nothing_can_be_read(quick)


@contextlib.asynccontextmanager
async def reading(kafka: EmbeddedKafka, **how: Any) -> AsyncIterator[Consumer]:
    """A member of a group that reads submissions; it leaves however the test ends."""
    consumer = Consumer(
        **connection(kafka.bootstrap),
        **how,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=10,
    )
    consumer.subscribe([SUBMISSIONS])
    assert consumer.acknowledged == {}
    async with consumer:
        yield consumer


async def test_a_member_that_was_put_out_of_the_group_knows_of_no_acknowledgement(quick: EmbeddedKafka) -> None:
    """Not of its own, which Kafka refused, nor beyond where it reads."""
    named = {"group_id": f"{GROUP}-named", "group_instance_id": "intake-0"}
    place = TopicPartition(SUBMISSIONS, 0)
    async with submitting(quick) as submit:
        await submit(0, good(1), good(2), good(3))
    async with reading(quick, **named) as first:
        async with asyncio.timeout(DEADLINE_S):
            while place not in await first.getmany(timeout_ms=200):
                pass
        assert first.acknowledged == {}, "nothing yet"
        await first.commit({place: 1})
        assert first.acknowledged == {place: 1}
        async with reading(quick, **named) as second:
            with pytest.raises(KafkaError):
                await first.commit({place: 3})
            assert first.acknowledged.get(place, 0) <= 1
            async with asyncio.timeout(DEADLINE_S):
                while second.acknowledged != {place: 1}:
                    await second.getmany(timeout_ms=200)
            second.seek(place, 0)
            assert second.acknowledged == {place: 0}


async def test_what_another_has_acknowledged_meanwhile_is_known_once_a_partition_comes_back(
    quick: EmbeddedKafka,
) -> None:
    """Whoever was asleep may not have heard that it was away at all."""
    places = [TopicPartition(SUBMISSIONS, number) for number in range(PARTITIONS)]
    async with submitting(quick) as submit:
        for place in places:
            await submit(place.partition, good(1), good(2))
    async with reading(quick, group_id=GROUP) as sleeper:
        seen: set[TopicPartition] = set()
        async with asyncio.timeout(DEADLINE_S):
            while len(seen) < PARTITIONS:
                seen |= set(await sleeper.getmany(timeout_ms=200))
        await sleeper.commit(dict.fromkeys(places, 1))
        assert sleeper.acknowledged == dict.fromkeys(places, 1)
        async with reading(quick, group_id=GROUP) as other, asyncio.timeout(DEADLINE_S):
            while not other.assignment():
                await other.getmany(timeout_ms=200)
            here = next(iter(other.assignment()))
            await other.commit({here: 2})
        async with asyncio.timeout(DEADLINE_S):
            while len(sleeper.assignment()) < PARTITIONS:
                await asyncio.sleep(0.05)
            while sleeper.acknowledged.get(here) != 2:
                await sleeper.getmany(timeout_ms=200)


async def test_rights_that_are_missing_are_told_and_nothing_else_stands_still(
    quick: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refused(_admin: Any, _records: dict[TopicPartition, RecordsToDelete]) -> None:
        raise KafkaError("no right")

    monkeypatch.setattr(AIOKafkaAdminClient, "delete_records", refused)
    async with submitting(quick) as submit, running(quick, tmp_path) as (_, client):
        for number in range(3):
            await submit(0, good(number))
            await acknowledged(quick.bootstrap, 0)
        async with asyncio.timeout(DEADLINE_S):
            while "can't be deleted now" not in caplog.text:
                await asyncio.sleep(0.02)
        assert (await post(client, pledge(9))).status_code == 202
    assert caplog.text.count("can't be deleted now") == 1
