"""Checkpoints: an engine brought up from one, and from the entries since, is the engine that wrote it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.commands import TICK, Command
from services.matcher import schedule
from services.matcher.checkpoint import HEAD, Head, Keeper, mark_of
from services.matcher.engine import Engine
from services.matcher.entities import Case
from services.matcher.restoring import Unusable, restored
from services.matcher.rows import case_row, pledge_row
from services.matcher.state import Fund
from tests.oracle.season import Gesture, commands_of, log
from tests.properties.strategies import logs

Topic = dict[bytes, bytes]


def written(topic: Topic, keeper: Keeper, engine: Engine, head: Head) -> None:
    """Write a checkpoint to a compacted topic."""
    for portion in keeper.changes(engine):
        for key, value in portion:
            if value is None:
                assert topic.pop(key, None) is not None, f"a tombstone for {key!r}, which is not there"
            else:
                topic[key] = value
    topic.__setitem__(*keeper.head(engine, head))


def remembered(engine: Engine) -> object:
    """All that an engine remembers, but for what is derived."""
    return msgspec.json.decode(
        msgspec.json.encode(
            [
                engine.clock, engine.latest, engine.unconfigured,
                [
                    (
                        name, fund.now, fund.policy and [getattr(fund.policy, part) for part in fund.policy.__slots__],
                        fund.pledges_made, fund.cases_opened, fund.awards_made, fund.rates,
                        fund.payments, fund.failures, fund.refunds, fund.deliveries,
                        {currency: list(pledges) for currency, pledges in fund.unrated.items()},
                        sorted(
                            (row_of(case, fund, engine.clock), [award.order for award in case.awards])
                            for case in fund.cases.values()
                        ),
                        sorted(pledge_row(pledge) for pledge in fund.pledges.values()),
                    )
                    for name, fund in sorted(engine.funds.items())
                ],
            ]
        )
    )  # fmt: skip


def row_of(case: Case, fund: Fund, clock: int) -> list:
    """A case's row. An escalation that fell due and changed nothing leaves no fact, so a replay still has it ahead, to no effect."""
    row, now = case_row(case), max(fund.now, clock)
    at = row.index(case.next_escalation, 18) if case.next_escalation is not None else None
    if at is not None and case.next_escalation <= now:
        row[at] = schedule._next_escalation(fund.policy, case, now)
    return row


def head_at(seq: int) -> Head:
    return Head(seq, seq.to_bytes(32, "big"), seq - 1, max(0, seq - 2))


def tried(commands: list, every: int, restarts: set[int]) -> None:
    """Run a log with a checkpoint every so many entries and restarts in between, beside an engine that lives on."""
    live, engine, keeper = Engine(), Engine(), Keeper()
    topic: Topic = {}
    tail: list[tuple[str | None, int, list, bool]] = []
    for seq, command in enumerate(commands, 1):
        decision = engine.execute(command)
        assert live.execute(command) == decision
        tick = isinstance(command, Command) and command.type == TICK
        tail.append((decision.fund, decision.at, json.loads(json.dumps(decision.facts)), tick))
        if seq % every == 0:
            written(topic, keeper, engine, head_at(seq))
            tail.clear()
        if seq in restarts and topic:
            engine, head, keeper = restored(topic)
            assert head == head_at(seq - len(tail))
            for fund, at, facts, was_tick in tail:
                engine.absorb(fund, at, facts, was_tick)
            assert remembered(engine) == remembered(live)
    written(topic, keeper, engine, head_at(len(commands)))
    again = restored(topic).engine
    assert remembered(again) == remembered(live)


@given(logs(), st.integers(1, 9), st.sets(st.integers(1, 60), max_size=4))
def test_an_engine_from_a_checkpoint_and_the_entries_since_goes_on_as_the_live_one(
    gestures: list[Gesture], every: int, restarts: set[int]
) -> None:
    tried(list(commands_of(gestures)), every, restarts)


@pytest.mark.parametrize("every", [1, 7, 25])
def test_seasons_survive_restarts_at_any_place(every: int) -> None:
    for seed in range(60):
        commands = list(log(seed))
        tried(commands, every, set(range(seed % 5 + 3, len(commands), 11)))


class TestADamagedCheckpoint:
    """Whatever is wrong with it is told, and never read as something else."""

    @pytest.fixture
    def topic(self) -> Topic:
        topic: Topic = {}
        engine = Engine()
        for command in log(4):
            engine.execute(command)
        written(topic, Keeper(), engine, head_at(9))
        assert len(topic) > 5
        return topic

    def test_a_missing_record_tells(self, topic: Topic) -> None:
        for key in list(topic):
            with pytest.raises(Unusable):
                restored({k: v for k, v in topic.items() if k != key})

    def test_an_altered_or_older_record_tells(self, topic: Topic) -> None:
        for key in [key for key in topic if key != HEAD]:
            with pytest.raises(Unusable, match="state hash"):
                restored(topic | {key: topic[key].replace(b"1", b"2", 1) + b" "})

    def test_a_record_too_many_tells(self, topic: Topic) -> None:
        with pytest.raises(Unusable, match="state hash"):
            restored(topic | {b"case/f-1/nobody": b"[1,[]]"})

    @pytest.mark.parametrize("value", [b"", b"[]", b"{}", b"\xff", b'{"version":2}', b'{"version":0}'])
    def test_a_head_of_another_version_or_none_tells(self, topic: Topic, value: bytes) -> None:
        with pytest.raises(Unusable):
            restored(topic | {HEAD: value})

    def test_a_record_of_a_newer_version_tells_though_the_hash_is_right(self, topic: Topic) -> None:
        key = next(key for key in topic if key.startswith(b"fund/"))
        topic[key] = topic[key].replace(b"[1,", b"[2,", 1)
        state = sum(mark_of(key, value) for key, value in topic.items() if key != HEAD) % 2**128
        topic[HEAD] = json.dumps(json.loads(topic[HEAD]) | {"state": f"{state:032x}"}).encode()
        with pytest.raises(Unusable, match="version 2"):
            restored(topic)

    def test_the_next_whole_checkpoint_removes_what_is_stale(self, topic: Topic) -> None:
        topic[b"case/f-9/from-another-life"] = b"[1,[]]"
        engine = Engine()
        for command in log(4):
            engine.execute(command)
        written(topic, Keeper(frozenset(topic) - {HEAD}), engine, head_at(9))
        again = restored(topic).engine
        assert remembered(again) == remembered(engine)
