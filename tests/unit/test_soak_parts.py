"""The parts of a soak: plan and load are functions of the seed; a link harms just what it is told to; stalls are measured."""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.submissions import SUBMISSIONS
from services.bus.partition import partition_of
from services.errors import UsageError
from tests.cluster import SESSION_S
from tests.soak import adversary
from tests.soak.adversary import _ACTS, Strike
from tests.soak.clocks import Clock, library
from tests.soak.doors import batches
from tests.soak.load import Load
from tests.soak.plan import KILLS, KINDS, OF_SEVERAL, Fault, disk_phase_s, plan
from tests.soak.proxy import END_TXN, How, Link, Snare
from tests.soak.watch import Stall, _Place, longest_by_kind, longest_of_each
from tests.soak.world import Crew

NAMES = Crew().names


class TestThePlan:
    def test_it_is_a_function_of_the_seed(self) -> None:
        assert plan(7, 300, NAMES) == plan(7, 300, NAMES) != plan(8, 300, NAMES)

    def test_half_an_hour_has_a_hundred_kills_and_every_kind(self) -> None:
        kinds = Counter(fault.kind for fault in plan(1, 1800, NAMES))
        assert sum(kinds[kind] for kind in KILLS) >= 100
        assert kinds.keys() == KINDS.keys()

    def test_the_shortest_has_every_kind_too(self) -> None:
        assert {fault.kind for fault in plan(1, 30, NAMES)} == KINDS.keys()

    def test_leaving_a_kind_out_moves_no_other(self) -> None:
        whole = plan(1, 600, NAMES)
        assert plan(1, 600, NAMES, ["kill"]) == [fault for fault in whole if fault.kind != "kill"]

    def test_the_full_disk_has_a_phase_to_itself(self) -> None:
        faults = plan(3, 600, NAMES)
        assert [fault.kind for fault in faults if fault.at_s + fault.seconds > 600 - disk_phase_s(600)] == ["disk-full"]

    def test_several_brokers_are_struck_each_and_their_leader_and_in_turn(self) -> None:
        faults = plan(1, 1800, NAMES, brokers=3)
        assert {fault.kind for fault in faults} == OF_SEVERAL.keys() == _ACTS.keys()
        assert {fault.target for fault in faults if fault.kind == "kill-broker"} == {"kafka-1", "kafka-2", "kafka-3"}
        assert min(fault.seconds for fault in faults if fault.kind == "pause-broker") > SESSION_S
        assert [f for f in faults if f.kind == "kill"] == [f for f in plan(1, 1800, NAMES) if f.kind == "kill"]

    def test_there_may_be_one_kind_and_no_other(self) -> None:
        assert plan(1, 600, NAMES, only=["kill"]) == plan(1, 600, NAMES, KINDS.keys() - {"kill"})

    def test_a_kind_nobody_knows_is_told(self) -> None:
        with pytest.raises(UsageError, match="earthquake"):
            plan(1, 60, NAMES, ["earthquake"])
        with pytest.raises(UsageError, match="roll-brokers"):
            plan(1, 60, NAMES, only=["roll-brokers"])


class TestTheAdversary:
    async def test_several_brokers_are_struck_one_after_the_other_each_once_all_is_in_step(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(adversary, "SESSION_S", 0.2)
        said: list[str] = []

        async def until_in_step() -> None:
            said.append("in step")

        def struck(name: str, _number: int) -> bool:
            said.append(name)
            return True

        brokers = {"kafka-1": None, "kafka-2": None}
        ear = SimpleNamespace(note=lambda *_: None)
        world: Any = SimpleNamespace(
            brokers=brokers, ear=ear, pid=lambda _: 1, signal=struck, until_in_step=until_in_step, leading=lambda: ""
        )
        made = adversary.Adversary(world, {})
        kinds = [("kill-broker", "kafka-2"), ("restart-broker", "kafka-1"), ("kill-controller", "kafka-1")]
        await made.run([Fault(0.0, kind, target, 0.0, 0.0) for kind, target in kinds], time.monotonic())
        assert said == ["in step", "kafka-2", "in step", "kafka-1", "in step"]
        assert made.struck[1].began - made.struck[0].began >= 0.2
        assert [fault.kind for fault in made.missed] == ["kill-controller"], "nobody leads"


class TestTheLoad:
    def test_it_is_a_function_of_the_seed(self) -> None:
        def events(seed: int) -> list:
            load = Load(seed, 50, 10, 4, 3)
            return [*load.opening(), *load.events()]

        assert events(1) == events(1) != events(2)

    def test_it_goes_on_beyond_its_length_for_as_long_as_it_is_told(self) -> None:
        within = list(Load(1, 50, 10, 4, 3).events())
        beyond = list(islice(Load(1, 50, 10, 4, 3).events(lambda: True), len(within) + 100))
        assert (beyond[: len(within)], beyond[-1].due_s) == (within, 599 / 50)

    def test_it_says_everything_there_is_to_say_in_every_partition(self) -> None:
        load = Load(1, 100, 60, 4, 6)
        events = [*load.opening(), *load.events()]
        assert {partition_of(event.data["fund"], 4) for event in events if event.sent_as == "first"} == {0, 1, 2, 3}
        kinds = Counter(event.type for event in events if event.sent_as != "poison")
        assert kinds.keys() == SUBMISSIONS.keys(), "let tests/soak/load.py send what it lacks (`_WHAT`, and a method)"
        assert kinds["pumasi.pledge.made"] > len(events) / 2
        assert {event.sent_as for event in events} == {"first", "repeat", "conflict", "poison"}
        assert {event.door for event in events} == {"http", "topic"}

    def test_conflicts_go_alone_and_the_rest_together(self) -> None:
        load = Load(1, 100, 60, 4, 6)
        due = [event for event in load.events() if event.sender == 0]
        together = list(batches(due))
        assert [event for batch in together for event in batch] == due
        assert all(len(batch) == 1 for batch in together if batch[0].sent_as == "conflict")
        assert len({event.door for event in max(together, key=len)}) == 1


def request(api: int, correlation: int) -> bytes:
    """A frame as Kafka's clients send them, with a little body."""
    body = struct.pack(">hhi", api, 0, correlation) + b"body"
    return struct.pack(">i", len(body)) + body


class Broker:
    """Answers each frame with its correlation id, and remembers what came."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.came = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = struct.unpack(">i", await reader.readexactly(4))[0]
                api, _, correlation = struct.unpack_from(">hhi", await reader.readexactly(length))
                async with self.came:
                    self.seen.append((api, correlation))
                    self.came.notify_all()
                writer.write(struct.pack(">ii", 4, correlation))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def until(self, seen: tuple[int, int]) -> None:
        async with self.came:
            await asyncio.wait_for(self.came.wait_for(lambda: seen in self.seen), 10)


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Link, Broker, asyncio.StreamReader, asyncio.StreamWriter]]:
    broker = Broker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    link = Link("matcher-1", [server.sockets[0].getsockname()[1]])
    await link.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", link.ports[0])
    try:
        yield link, broker, reader, writer
    finally:
        writer.close()
        await link.close()
        server.close()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 10) == b""
    except ConnectionError:
        return True


class TestALink:
    async def test_it_carries_frames_both_ways(self) -> None:
        async with linked() as (_, broker, reader, writer):
            writer.write(request(3, 1) + request(END_TXN, 2))
            assert await asyncio.wait_for(reader.readexactly(16), 10) == struct.pack(">iiii", 4, 1, 4, 2)
            assert broker.seen == [(3, 1), (END_TXN, 2)]

    @pytest.mark.parametrize(("how", "arrives"), [("lose-reply", True), ("lose-request", False), ("late", True)])
    async def test_a_snare_springs_at_the_next_request_of_its_api(self, how: How, arrives: bool) -> None:
        async with linked() as (link, broker, reader, writer):
            with link.snare(Snare(END_TXN, how, 0.05)) as snare:
                writer.write(request(3, 1))
                await asyncio.wait_for(reader.readexactly(8), 10)
                assert not snare.sprung.is_set()
                writer.write(request(END_TXN, 2))
                await asyncio.wait_for(snare.sprung.wait(), 10)
            assert await is_cut(reader), "and no reply came before that"
            if arrives:
                await broker.until((END_TXN, 2))
            assert ((END_TXN, 2) in broker.seen) == arrives

    async def test_it_cuts_and_refuses(self) -> None:
        async with linked() as (link, broker, reader, writer):
            writer.write(request(3, 1))
            await broker.until((3, 1))
            link.refusing = True
            assert link.cut() == 1
            await reader.read(8)
            assert await is_cut(reader)
            again, one_more = await asyncio.open_connection("127.0.0.1", link.ports[0])
            assert await is_cut(again)
            one_more.close()

    async def test_it_is_silent(self) -> None:
        async with linked() as (link, broker, reader, writer):
            link.silent = True
            writer.write(request(3, 1))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.2)
            assert not broker.seen


class TestStalls:
    def test_a_partition_stands_still_while_commands_wait_and_no_entry_comes(self) -> None:
        place = _Place()
        assert place.look(0.0) is None
        place.end = 3
        assert place.look(1.0) is None
        assert place.standing(4.0) == 3.0
        place.moved, place.watermark = 1, 0
        assert place.look(5.0) == (1.0, 5.0)
        assert place.standing(6.0) == 1.0, "it is behind still"
        place.moved, place.watermark = 3, 2
        assert place.look(7.0) == (5.0, 7.0)
        assert (place.behind, place.look(9.0), place.standing(9.0)) == (0, None, 0.0)

    def test_it_is_laid_to_what_was_at_work(self) -> None:
        def strike(kind: str, began: float, ended: float) -> Strike:
            return Strike(Fault(0, kind, "x", 0, 0), began, ended)

        stalls = [Stall(0, 10, 14), Stall(1, 50, 51)]
        strikes = [strike("kill", 9, 9), strike("cut", 1, 2), strike("pause", 13, 20), strike("cut", 50, 50)]
        assert longest_by_kind(stalls, strikes) == {"kill": 4, "pause": 4, "cut": 1}
        assert longest_by_kind(stalls, strikes, alone=True) == {"cut": 1}
        assert longest_of_each(stalls, strikes) == {"kill": [4], "pause": [4], "cut": [0, 1]}


def test_a_clock_steps_and_sleeping_goes_on(tmp_path: Path) -> None:
    preloaded = library(tmp_path)
    if preloaded is None:
        pytest.skip("needs Linux and a C compiler")
    clock = Clock(tmp_path / "clock", preloaded)
    clock.step(-93_600.5)
    told = subprocess.run(
        [sys.executable, "-c", "import time; m = time.monotonic(); time.sleep(0.01); print(time.time(), time.monotonic() - m)"],
        env={**os.environ, **clock.environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    now, slept = map(float, told.stdout.split())
    real = float(
        subprocess.run(
            [sys.executable, "-c", "import time; print(time.time())"], capture_output=True, check=True
        ).stdout
    )
    assert 93_600 < real - now < 93_700
    assert 0.01 <= slept < 60
