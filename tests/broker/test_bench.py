"""The bench on a real broker, in small: it measures, it verifies, and it catches who copies wrongly."""

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from tests.bench import latency, throughput
from tests.bench.auditing import auditing
from tests.bench.load import Load
from tests.bench.peers import EXACTLY, PEERS, Place, environment
from tests.bench.scaling import Plan, scaling
from tests.bench.throughput import Found, Throughput

LOAD = Load(50, 80_000)  # several transactions of the matcher
"""Several transactions of whoever uses the largest."""

COSTS_MAX = 1.2
"""Of processor time a command, four processes over one."""
SESSION_S, TAKEN_OVER_S = 6.0, 30.0
"""What Kafka waits for one that was killed, and what its neighbours may take on a busy machine."""


class Quiet:
    """A watcher that nobody looks at."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def doing(self, what: str, of: int = 0) -> None: ...

    def reached(self, count: int) -> None: ...

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest_asyncio.fixture(loop_scope="session")
async def place(kafka: EmbeddedKafka, tmp_path: Path) -> AsyncIterator[Place]:
    """The session's broker without any topics, and without any afterwards."""
    await topics.remove(kafka.bootstrap)
    yield Place(kafka.bootstrap, "bench.tested", tmp_path)
    await topics.remove(kafka.bootstrap)


async def test_the_matcher_is_measured_beside_peers_and_who_copies_wrongly_gets_no_figure(place: Place) -> None:
    careless = replace(PEERS["faststream-batch"], name="careless", guarantee=EXACTLY)  # it uses no transactions
    peers = [PEERS["matcher"], PEERS["aiokafka"], PEERS["faststream-batch"], careless]
    result = Throughput(LOAD, 1, [Found(peer) for peer in peers])
    starts = {peer.name: peer.made(place.directory) for peer in peers}
    await throughput.measure(result, starts, place, True, Quiet())
    told = result.as_json()["peers"]
    for name in ("matcher", "aiokafka", "faststream-batch"):
        assert told[name]["commands_per_second"]["median"] > 100 and told[name]["part"] == 1.0, told[name]
    assert told["aiokafka"]["matcher_ratio"]["median"] > 0
    assert told["matcher"]["awards_per_command"] > 1.5
    assert "commands_per_second" not in told["careless"] and "no transactions" in told["careless"]["failed"]


async def test_latency_is_told_for_the_floor_and_for_the_matcher(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "WARM_SECONDS", 0.5)
    matcher = latency.Found("matcher", "the matcher")
    start = PEERS["matcher"].made(place.directory)
    await latency.measure(matcher, Load(50, 500), place, start, [200.0], 2.0, Quiet())
    [row] = matcher.rows
    assert row.counted == 400
    assert 0 < row.ms["p50"] <= row.ms["p99"] <= row.ms["max"] < 20_000
    assert row.transactions > 1


@pytest.mark.timeout(600)  # it measures: on a busy machine five times as long
async def test_four_processes_cost_what_one_does_and_three_take_over_from_a_fourth() -> None:
    watcher = Quiet()
    alone, four = await scaling(Load(300, 120_000), [Plan(12, 1), Plan(12, 4)], 1, watcher)
    [killed] = await scaling(Load(300, 30_000), [Plan(12, 4, 1)], 1, watcher)
    print(*watcher.said, f"stood still for {killed.stalls[0]:.1f} s", sep="\n")
    assert four.costs[0] <= COSTS_MAX * alone.costs[0]
    assert 0 < killed.stalls[0] < SESSION_S + TAKEN_OVER_S


@pytest.mark.skipif(not environment.is_ready(), reason="its environment is made on the first `bench`")
async def test_foreign_libraries_run_in_an_environment_of_their_own(place: Place) -> None:
    peers = [PEERS["matcher"], PEERS["quix"], PEERS["streams"]]
    result = Throughput(Load(50, 150_000), 1, [Found(peer) for peer in peers])
    starts = {}
    for peer in peers:
        (home := place.directory / peer.name).mkdir()
        starts[peer.name] = peer.made(home)
    await throughput.measure(result, starts, place, False, Quiet())
    assert [found.failed for found in result.found] == [None, None, None]
    assert Path(sys.executable) != environment.PYTHON


async def test_an_audit_is_timed_that_holds_every_command() -> None:
    watcher = Quiet()
    found = await auditing(12_000, 2, 1, watcher)
    print(*watcher.said, sep="\n")
    assert found.commands <= found.entries, "an entry each at least"
    assert len(found.seconds) == len(found.processor) == 2
    assert found.rate.low > 100 and found.microseconds.low > 0
