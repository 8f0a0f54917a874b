"""Matchers that come and go, hang, fail and stop, on a real broker: whom it concerns, and whom it must not.

`test_matcher.py` holds what one partition promises; here it is what partitions and processes must not do to one another.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import services.matcher.partition.batch
import services.matcher.partition.processor
from services.bus.consume import membership as groups
from services.bus.consume.membership import Membership
from services.bus.consume.scan import group_of
from services.bus.envelope import entry_headers
from services.console.readmodel.survey import survey
from services.errors import KafkaUnreachable
from services.matcher.app import GROUP, Matcher
from services.matcher.model.breach import ConservationBreach
from services.matcher.partition.tenure import AWAY_SECONDS_MAX, BACKOFF_SECONDS
from services.news import Assigned, Forgotten, MatcherNews, Stopped
from tests.broker.load import Load, Process, each_answered_once, several
from tests.broker.raw import COMMANDS, LEDGER, PARTITIONS, Client
from tests.broker.test_matcher import SETTINGS, all_ready, assert_audit_holds
from tests.waiting import until

ALONE_SECONDS = 5.0
"""Neighbours of a partition in trouble are answered within a second on a machine that does nothing else; tests share theirs."""
SESSION_SECONDS = SETTINGS.session_timeout_ms / 1000
FORMER = "ab1d0a2"
"""An earlier state of the code with the same ledger, and other checkpoints."""
JILIN, LIAONING, TIANJIN, YANJI = range(PARTITIONS)


@pytest.fixture
async def client(topics_reset) -> AsyncIterator[Client]:
    async with Client(topics_reset.bootstrap) as client:
        yield client


class Told:
    """What a matcher in this process tells."""

    def __init__(self) -> None:
        self.news: list[MatcherNews] = []

    def of(self, kind: type[Any], partition: int | None = None) -> list[Any]:
        ours = [news for news in self.news if isinstance(news, kind)]
        return [news for news in ours if partition is None or news.partition == partition]


@contextlib.asynccontextmanager
async def matcher_in(bootstrap: str) -> AsyncIterator[tuple[Matcher, Told]]:
    """A matcher in this process, started; with what it tells."""
    told = Told()
    matcher = Matcher(bootstrap, SETTINGS, told.news.append)
    await matcher.start()
    try:
        yield matcher, told
    finally:
        await matcher.stop()


# ---- partitions that hang and fail --------------------------------------------------------------------------------


async def test_a_partition_that_hangs_and_one_that_fails_hold_up_nobody_and_recover(
    client: Client, monkeypatch
) -> None:
    async with matcher_in(client.bootstrap) as (matcher, told):
        await until(lambda: all_ready(matcher))
        load = Load(client)
        await load.begin()
        await load.flows()
        ends, transaction = asyncio.Event(), services.matcher.partition.processor.Journal.transaction

        @contextlib.asynccontextmanager
        async def hangs_or_fails(journal: Any) -> AsyncIterator[Any]:
            if journal.partition == JILIN and not ends.is_set():
                await ends.wait()
            if journal.partition == LIAONING and not ends.is_set():
                raise KafkaUnreachable("its leader is away")
            async with transaction(journal) as begun:
                yield begun

        monkeypatch.setattr(services.matcher.partition.processor.Journal, "transaction", hangs_or_fails)
        began = time.monotonic()
        await load.until(lambda: len(told.of(Forgotten, LIAONING)) >= 5)
        for neighbour in (TIANJIN, YANJI):
            assert load.longest(neighbour, began) < ALONE_SECONDS
        for concerned in (JILIN, LIAONING):
            assert load.longest(concerned, began) > sum(BACKOFF_SECONDS[0] * 2**n for n in range(4)) - 0.5
        ends.set()
        await load.end()
    assert not told.of(Forgotten, JILIN), "it hung, and came to no harm"
    assert_pauses_grow([failure.pause_s for failure in told.of(Forgotten, LIAONING)])
    await each_answered_once(client, load)
    await assert_audit_holds(client.bootstrap)


def assert_pauses_grow(pauses: list[float]) -> None:
    """Each is twice the one before, up to the longest, lengthened by up to a half by chance."""
    jitter = [pause / min(AWAY_SECONDS_MAX, BACKOFF_SECONDS[0] * 2**n) for n, pause in enumerate(pauses)]
    assert all(0.9 <= part <= 1.6 for part in jitter), pauses
    assert max(jitter) - min(jitter) > 0.01, "no chance in it"


def look_before_deciding(monkeypatch: pytest.MonkeyPatch, look: Callable[[Any], None]) -> None:
    """Who takes a partition from now on looks at each of its records before deciding it."""
    draft = services.matcher.partition.batch.draft_answers

    def one_by_one(engine: Any, records: Any, start: int, _end: int, *given: Any) -> int:
        look(records[start])
        return draft(engine, records, start, start + 1, *given)

    monkeypatch.setattr(services.matcher.partition.batch, "draft_answers", one_by_one)


async def test_a_command_that_takes_longer_than_the_session_puts_nobody_out_of_the_group(
    client: Client, monkeypatch
) -> None:
    def slow(record: Any) -> None:
        end = time.monotonic() + (SESSION_SECONDS + 1.5 if b"p-slow" in record.value else 0)
        while time.monotonic() < end:  # as an engine does that fires a great many timers: the loop stands still
            pass

    look_before_deciding(monkeypatch, slow)
    async with matcher_in(client.bootstrap) as (matcher, told):
        await until(lambda: all_ready(matcher))
        await client.fund("jilin")
        await client.pledge("jilin", "p-slow", 5)
        await client.flush()
        await client.ledger("jilin", 2)
        assert len(told.of(Assigned)) == 1
        assert not told.of(Forgotten)
        assert (await group_of(client.bootstrap, GROUP, COMMANDS)).members == 1


def until_empty(bootstrap: str, group: str) -> None:
    """Wait, in a loop of one's own, until a group has no member."""
    while asyncio.run(group_of(bootstrap, group, COMMANDS)).members:
        time.sleep(0.05)


async def test_a_process_that_stands_still_leaves_its_partitions_to_others_and_comes_back(
    client: Client, monkeypatch
) -> None:
    monkeypatch.setattr(groups, "HOME_SILENT_SECONDS_MAX", 1.0)
    given: list[frozenset[int]] = []
    membership = Membership(
        client.bootstrap, COMMANDS, "some-group", session_timeout_ms=6000, assigned=lambda ours, _number: given.append(ours)
    )  # fmt: skip
    membership.start()
    try:
        await until(lambda: given == [frozenset(range(PARTITIONS))])
        with ThreadPoolExecutor(1) as beside:  # the loop stands still meanwhile: that is the point
            beside.submit(until_empty, client.bootstrap, "some-group").result(30)
        await until(lambda: len(given) == 2)
    finally:
        await membership.stop()
    assert (await group_of(client.bootstrap, "some-group", COMMANDS)).members == 0


# ---- partitions that can't go on ----------------------------------------------------------------------------------


async def forge_an_entry(client: Client, partition: int) -> None:
    forged = b'{"seq":1,"fund":"jilin","at":"2026-11-22T10:00:00Z","cause":{"id":"x","type":"y","offset":0},"facts":[],"hash":"00"}'
    headers = entry_headers(partition, 1, "2026-11-22T10:00:00Z")
    await client.producer.send_and_wait(LEDGER, forged, partition=partition, headers=headers)


def break_conservation(monkeypatch, marked: bytes) -> None:
    """From now on a command that holds `marked` would make money appear."""

    def breaking(record: Any) -> None:
        if marked in (record.value or b""):
            raise ConservationBreach("pledge p-bad: 6 is not 5")

    look_before_deciding(monkeypatch, breaking)


async def test_partitions_that_cannot_go_on_stop_alone_wherever_the_group_moves_them(
    client: Client, monkeypatch, caplog
) -> None:
    await forge_an_entry(client, JILIN)
    break_conservation(monkeypatch, b"p-bad")
    load = Load(client)
    await load.begin()
    async with matcher_in(client.bootstrap) as (first, heard):
        await until(lambda: all_ready(first))
        await client.pledge("liaoning", "p-bad", 5)
        await until(lambda: set(first.stopped) == {JILIN, LIAONING})
        await load.flows(TIANJIN, YANJI)
        assert_alarms_are_exact(heard, caplog.text)
        async with matcher_in(client.bootstrap) as (second, heard_too):
            await until(lambda: len(first.held) == len(second.held) == 2)
            await until(lambda: set(first.stopped) | set(second.stopped) == {JILIN, LIAONING})
            await load.flows(TIANJIN, YANJI)
            moved = {alarm.partition for alarm in heard_too.of(Stopped)}
            assert moved == {JILIN, LIAONING} & second.held
            assert len(heard.of(Stopped)) == 2, "who keeps it at rest doesn't try again"
            await first.stop()
            await until(lambda: set(second.stopped) == {JILIN, LIAONING})
            await load.flows(TIANJIN, YANJI)
            assert len(heard_too.of(Stopped)) == 2, "each once: nobody goes round in circles"
            assert not heard.of(Forgotten) and not heard_too.of(Forgotten, JILIN)
            assert_told_by_status(await told_by_status(client))
            await load.end(JILIN, LIAONING)
    assert len(await client.read(LEDGER, JILIN, 1)) == 1
    [refused] = heard_too.of(Stopped, LIAONING)
    entries = await client.ledger("liaoning", 1)
    assert f"offset {entries[-1]['cause']['offset'] + 1}:" in refused.message, "all before the command at fault"


def assert_alarms_are_exact(heard: Told, log: str) -> None:
    [tampered], [breach] = heard.of(Stopped, JILIN), heard.of(Stopped, LIAONING)
    assert tampered.code == "ledger_tampered"
    assert tampered.message == "ledger partition 0, entry 1: its hash does not follow from the entry before"
    assert breach.code == "conservation_breach"
    assert breach.message.startswith("partition 1, command at offset ")
    assert breach.message.endswith(": pledge p-bad: 6 is not 5")
    for alarm in (tampered, breach):
        assert "pumasi audit" in alarm.hint
        assert f"partition {alarm.partition} STOPPED: {alarm.code}: {alarm.message}" in log


async def told_by_status(client: Client) -> list[str]:
    """Its findings, once the group has been told."""
    async with asyncio.timeout(30):
        while True:
            found = [str(one) for one in (await survey(client.bootstrap, PARTITIONS, 1)).findings]
            if sum("STOPPED" in one for one in found) == 2:
                return found
            await asyncio.sleep(0.2)


def assert_told_by_status(findings: list[str]) -> None:
    [breach] = [one for one in findings if "conservation_breach" in one]
    assert breach.startswith("partition 1, where ") and "p-bad: 6 is not 5" in breach
    assert any("ledger_tampered" in one for one in findings)


async def test_a_process_with_a_stopped_partition_is_ready_tells_why_and_ends_with_status_1(client: Client) -> None:
    await forge_an_entry(client, JILIN)
    async with several(client.bootstrap, 1) as [process]:
        [ready] = [event for event in process.events if "ready" in event]
        assert ready["partitions"] == [LIAONING, TIANJIN, YANJI]
        [alarm] = process.told("stopped")
        assert await process.stop() == 1
        assert f"CRITICAL pumasi.matcher: partition 0 STOPPED: ledger_tampered: {alarm['message']}" in process.log


# ---- processes that come and go -----------------------------------------------------------------------------------


def share_all(*processes: Process) -> bool:
    """Whether each partition is with just one of them, as far as they know."""
    return sorted(number for process in processes for number in process.held) == list(range(PARTITIONS))


async def test_processes_join_die_sleep_and_leave_under_load_and_each_command_is_answered_once(client: Client) -> None:
    load = Load(client)
    await load.begin()
    async with several(client.bootstrap, 2) as running:
        victim, zombie = running
        await load.until(lambda: share_all(victim, zombie))
        await load.flows()
        before, since = {id(p): p.held for p in running}, time.monotonic()
        running.append(await Process.start(client.bootstrap))
        heir = running[2]
        await load.until(lambda: share_all(*running))
        await load.flows()
        stayed = {number for process in (victim, zombie) for number in process.held & before[id(process)]}
        assert len(stayed) == PARTITIONS - 1, "no more moves than must"
        assert max(load.longest(number, since) for number in stayed) < ALONE_SECONDS

        kept, since = heir.held, time.monotonic()
        zombie.signal(signal.SIGSTOP)
        await victim.kill()
        running.append(await Process.start(client.bootstrap))
        second = running[3]
        await load.until(lambda: share_all(heir, second))
        await load.flows()
        stayed = kept & heir.held  # none, if the heir's own session ended on a machine too busy for its heartbeats
        assert max((load.longest(number, since) for number in stayed), default=0.0) < ALONE_SECONDS
        assert max(load.longest(number, since) for number in range(PARTITIONS)) > SESSION_SECONDS / 2, "it was asleep"

        since = time.monotonic()
        zombie.signal(signal.SIGCONT)
        await load.until(lambda: zombie.told("assigned")[-1]["heard"] > since and share_all(zombie, heir, second))
        await load.flows()
        assert await heir.stop() == 0
        await load.until(lambda: share_all(zombie, second))
        await load.end()
        assert [await process.stop() for process in (zombie, second)] == [0, 0]
    await each_answered_once(client, load)
    await assert_audit_holds(client.bootstrap)


# ---- two versions side by side ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the former version; skipped where its history isn't there."""
    root = Path(__file__).parents[2]
    if shutil.which("git") is None:
        pytest.skip("no git here to have the former version from")
    packed = subprocess.run(["git", "-C", str(root), "archive", FORMER], capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"this checkout's history doesn't reach back to {FORMER}, the former version")
    place = tmp_path_factory.mktemp("former")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(place, filter="data")
    return place


async def test_two_versions_side_by_side_lose_nothing_up_and_down_again(client: Client, former: Path) -> None:
    load = Load(client)
    await load.begin()
    async with several(client.bootstrap, 0) as running:

        async def start(checkout: Path | None) -> None:
            running.append(await Process.start(client.bootstrap, checkout))

        async def replace(checkout: Path | None) -> None:
            """The oldest by one of this version, which comes first."""
            oldest, _ = running.pop(0), await start(checkout)
            assert await oldest.stop() == 0
            await load.until(lambda: share_all(*running))
            await load.flows()

        await asyncio.gather(start(former), start(former))
        for checkout in (None, None, former, former):
            await replace(checkout)
        await load.end()
        assert [await process.stop() for process in running] == [0, 0]
        for process in running:
            assert not process.told("stopped")
    await each_answered_once(client, load)
    await assert_audit_holds(client.bootstrap)
