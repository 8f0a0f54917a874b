"""Checkpoints: an engine brought up from one, and from the entries since, is the engine that wrote it."""

from __future__ import annotations

import gc
import json
from collections import Counter
from functools import cache
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.commands import TICK, Command
from services import native
from services.bus.client import record_batch
from services.matcher.checkpoint import writing
from services.matcher.checkpoint.differences import differences
from services.matcher.checkpoint.recovery import collector_at_rest
from services.matcher.checkpoint.restoring import Unusable, restored, restoring
from services.matcher.checkpoint.rows import case_ended, case_row, pledge_ended, pledge_row
from services.matcher.checkpoint.writing import HEAD, Head, Keeper, mark_of
from services.matcher.engine import ageing
from services.matcher.engine.engine import Engine
from services.matcher.engine.fund import Fund
from services.matcher.model.changes import Changes
from services.matcher.model.entities import Award, Case, Pledge
from tests.oracle.season import Gesture, commands_of, log
from tests.properties.strategies import logs

Topic = dict[bytes, bytes]


def written(topic: Topic, keeper: Keeper, engine: Engine, head: Head, most: int | None = None) -> bool:
    """Write a checkpoint to a compacted topic; of a whole one about so many records. Whether it is there in full."""
    told = 0
    for portion in keeper.changes(engine):
        told += len(portion)
        for key, value in portion:
            assert value is None or len(value) <= writing.VALUE_BYTES_MAX
            if value is None:
                assert topic.pop(key, None) is not None, f"a tombstone for {key!r}, which is not there"
            else:
                topic[key] = value
        if most and told >= most and not keeper.whole:
            assert HEAD not in topic
            return False
    topic.__setitem__(*keeper.head(engine, head))
    return True


@pytest.mark.parametrize("seed", range(40))
def test_rows_are_the_records_laid_out(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where pledges are taken in C, beside parts and records of another life that only the general way knows."""
    monkeypatch.setattr(writing, "VALUE_BYTES_MAX", (200, 300, 1000, 1 << 19)[seed % 4])
    monkeypatch.setattr(writing, "PORTION", (1, 7, 500)[seed % 3])
    stale = [b"case/f/none"] if seed % 5 == 0 else []
    one, other = (Engine(), Keeper(stale)), (Engine(), Keeper(stale))
    commands = log(seed)
    for number, command in enumerate(commands):
        for engine, _ in (one, other):
            engine.execute(command)
        if number % 40 == 39 or number == len(commands) - 1:
            records = [record for portion in one[1].changes(one[0]) for record in portion]
            rows = [row for portion in other[1].rows(other[0]) for row in portion]
            assert rows == [record_batch.row(*record) for record in records]
            assert one[1].head(one[0], head_at(number)) == other[1].head(other[0], head_at(number))


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
        row[at] = ageing.next_escalation(fund.policy, case, now)
    return row


def head_at(seq: int) -> Head:
    return Head(seq, seq.to_bytes(32, "big"), seq - 1, max(0, seq - 2))


@cache
def eventful() -> list[Any]:
    """The first season that leaves a checkpoint worth damaging."""
    for seed in count():
        engine, topic, commands = Engine(), {}, list(log(seed))
        for command in commands:
            engine.execute(command)
        written(topic, Keeper(), engine, head_at(9))
        kinds = Counter(key.partition(b"/")[0] for key in topic)
        if kinds[b"fund"] and kinds[b"case"] > 1 and kinds[b"pledge"] > 2:
            return commands
    raise AssertionError


def tried(commands: list, every: int, restarts: set[int], most: int | None = None) -> None:
    """Run a log with a checkpoint every so many entries and restarts in between, beside an engine that lives on."""
    live, engine, keeper = Engine(), Engine(), Keeper()
    topic: Topic = {}
    past: list[tuple[str | None, int, list, bool]] = []
    there = begun = 0
    for seq, command in enumerate(commands, 1):
        decision = engine.execute(command)
        assert live.execute(command) == decision
        tick = isinstance(command, Command) and command.type == TICK
        past.append((decision.fund, decision.at, json.loads(json.dumps(decision.facts)), tick))
        if seq % every == 0 or begun:
            begun = not written(topic, keeper, engine, head_at(seq), most)
            there = there if begun else seq
        if seq in restarts:
            begun = False
            if HEAD in topic:
                engine, head, keeper = restored(topic)
                assert head == head_at(there)
            else:
                engine, keeper, there = Engine(), Keeper(topic), 0
            for fund, at, facts, was_tick in past[there:]:
                engine.absorb(fund, at, facts, was_tick)
            assert remembered(engine) == remembered(live)
            assert list(differences(engine, live)) == []
    while not written(topic, keeper, engine, head_at(len(commands)), most):
        pass
    again = restored(topic)
    assert remembered(again.engine) == remembered(live)
    assert (again.keeper.records, again.keeper.state) == (keeper.records, keeper.state)
    assert again.keeper.records == len(topic) - 1


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


@pytest.mark.parametrize(
    "small",
    [{"VALUE_BYTES_MAX": 40}, {"BUNDLE": 3}, {"_BUNDLE_BYTES_MAX": 200}, {"CHANGED_MAX": 4}, {"PORTION": 1}],
    ids=lambda small: next(iter(small)),
)
@pytest.mark.parametrize("most", [None, 1, 5])
def test_neither_size_nor_cuts_change_what_is_remembered(monkeypatch, small: dict[str, int], most: int | None) -> None:
    """Values in parts, bundles cut by rows and by bytes, whole checkpoints over several transactions and begun anew."""
    for name, value in small.items():
        monkeypatch.setattr(writing, name, value)
    for seed in range(15):
        commands = list(log(seed))
        tried(commands, 7, set(range(5, len(commands), 17)), most)


def test_what_has_ended_lies_in_bundles_and_what_comes_back_is_live_again() -> None:
    ended = back = 0
    for seed in range(80):
        engine, keeper, topic = Engine(), Keeper(), {}
        over: set[bytes] = set()
        for seq, command in enumerate(log(seed), 1):
            engine.execute(command)
            if seq % 5:
                continue
            written(topic, keeper, engine, head_at(seq))
            now = set()
            for fund in engine.funds.values():
                for kind, entities, is_over in (
                    ("case", fund.cases, case_ended),
                    ("pledge", fund.pledges, pledge_ended),
                ):
                    for entity in entities.values():
                        key = f"{kind}/{fund.name}/{entity.id}".encode()
                        assert (key in topic) is not is_over(entity)
                        now |= {key} if is_over(entity) else set()
            back += len(over - now)
            over = now
        ended += len(over)
    assert ended > 100
    assert back > 3


def test_every_difference_is_told() -> None:
    """Each field of each row of a checkpoint: another value there, and the engine is not alike any more."""
    engine, topic = Engine(), {}
    for command in eventful():
        engine.execute(command)
    written(topic, Keeper(), engine, head_at(9))
    tried_fields = 0
    for key in [key for key in topic if not key.startswith((b"known/", HEAD))]:
        row = json.loads(topic[key])[1]
        others = [another(row)] if isinstance(row, int) else [changed_at(row, index) for index in range(len(row))]
        for index, changed in enumerate(others):
            if changed is not None:
                try:
                    reading = restored(resealed(topic | {key: json.dumps([writing.VERSION, changed]).encode()}))
                except Unusable:
                    continue
                tried_fields += 1
                assert list(differences(reading.engine, engine)), (key, index, changed)
    assert tried_fields > 50


def changed_at(row: list[Any], index: int) -> list[Any] | None:
    other = another(row[index])
    return None if other is None else [*row[:index], other, *row[index + 1 :]]


def another(value: object) -> object:
    if isinstance(value, bool) or value is None or value == "urgency-waterfill/1":
        return None
    if isinstance(value, int):
        return value + 1
    return f"{value}-x" if isinstance(value, str) else None


def resealed(topic: Topic) -> Topic:
    """With the state hash that its records have."""
    state = sum(mark_of(key, value) for key, value in topic.items() if key != HEAD) % 2**128
    told = {"state": f"{state:032x}", "records": len(topic) - 1}
    return topic | {HEAD: json.dumps(json.loads(topic[HEAD]) | told).encode()}


def test_restoring_gives_others_a_turn_every_few_records() -> None:
    engine, topic = Engine(), {}
    for command in eventful():
        engine.execute(command)
    [fund, *_] = engine.funds.values()
    row = case_row(next(iter(fund.cases.values())))
    row[11:14] = 0, 0, 0  # awarded, settled, delivered
    written(topic, Keeper(), engine, head_at(9))
    for number in range(20_000):
        topic[b"case/%s/many-%d" % (fund.name.encode(), number)] = json.dumps(
            [writing.VERSION, [f"many-{number}", *row[1:]]]
        ).encode()
    assert sum(1 for _ in restoring(resealed(topic))) > 3 * 20_000 // writing.PORTION


def test_a_forgotten_engine_is_let_go_of_without_the_garbage_collector() -> None:
    def awards() -> int:
        return sum(isinstance(thing, Award) for thing in gc.get_objects())

    gc.collect()
    before = awards()
    with collector_at_rest():
        engine = Engine()
        for seed in range(5):
            for command in log(seed):
                engine.execute(command)
        assert awards() > before
        engine.untie()
        del engine
        assert awards() == before


def test_the_collector_rests_until_the_last_recovery_is_over() -> None:
    with collector_at_rest():
        with collector_at_rest():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()  # somebody else's decision
    try:
        with collector_at_rest():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


class TestADamagedCheckpoint:
    """Whatever is wrong with it is told, and never read as something else."""

    @pytest.fixture
    def topic(self) -> Topic:
        topic: Topic = {}
        engine = Engine()
        for command in eventful():
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
            restored(topic | {b"case/f-1/nobody": b"[%d,[]]" % writing.VERSION})

    @pytest.mark.parametrize("value", [b"", b"[]", b"{}", b"\xff", b'{"version":3}', b'{"version":1}'])
    def test_a_head_of_another_version_or_none_tells(self, topic: Topic, value: bytes) -> None:
        with pytest.raises(Unusable):
            restored(topic | {HEAD: value})

    @pytest.mark.parametrize(
        "part",
        [
            {"seq": 0}, {"seq": "9"}, {"seq": -1}, {"hash": "00"}, {"hash": "x" * 64}, {"watermark": -1}, {"ledger_offset": -1},
            {"clock": None}, {"latest": "now"}, {"records": 1.5}, {"state": 0}, {"more": True},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_head_that_is_not_as_written_tells(self, topic: Topic, part: dict) -> None:
        with pytest.raises(Unusable, match="head"):
            restored(topic | {HEAD: json.dumps(json.loads(topic[HEAD]) | part).encode()})
        for name in json.loads(topic[HEAD]):
            told = json.loads(topic[HEAD])
            del told[name]
            with pytest.raises(Unusable, match="head"):
                restored(topic | {HEAD: json.dumps(told).encode()})

    def test_one_that_does_not_conserve_money_tells_though_the_hash_is_right(self, topic: Topic) -> None:
        tried = 0
        for key in [key for key in topic if key.startswith(b"pledge/")]:
            row = json.loads(topic[key])[1]
            for field in (6, 7, 9, 10, 11, 12):  # amount, waiting, awarded, settled, delivered, released
                wrong = [*row[:field], row[field] + 1, *row[field + 1 :]]
                with pytest.raises(Unusable, match="conserve"):
                    restored(resealed(topic | {key: json.dumps([writing.VERSION, wrong]).encode()}))
                tried += 1
        assert tried > 10

    def test_parts_without_their_record_tell(self, topic: Topic) -> None:
        with pytest.raises(Unusable, match="parts"):
            restored(resealed(topic | {b"part/0/case/f-1/gone": b"[2,["}))

    def test_a_record_of_a_newer_version_tells_though_the_hash_is_right(self, topic: Topic) -> None:
        key = next(key for key in topic if key.startswith(b"fund/"))
        topic[key] = topic[key].replace(b"[%d," % writing.VERSION, b"[%d," % (writing.VERSION + 1), 1)
        with pytest.raises(Unusable, match=f"version {writing.VERSION + 1}"):
            restored(resealed(topic))

    def test_the_next_whole_checkpoint_removes_what_is_stale(self, topic: Topic) -> None:
        topic[b"case/f-9/from-another-life"] = b"[%d,[]]" % writing.VERSION
        engine = Engine()
        for command in eventful():
            engine.execute(command)
        written(topic, Keeper(topic), engine, head_at(9))
        again = restored(topic).engine
        assert remembered(again) == remembered(engine)


def listed(pledge: Pledge) -> Changes:
    """It alone, as changed."""
    changed, pledge.listed = Changes(), False
    changed.add(pledge)
    return changed


@pytest.mark.skipif(not native.in_use(), reason="nothing is compiled here: rows are made in Python alone")
def test_a_pledges_record_is_made_in_c_as_it_is_in_python() -> None:
    made = left = of_terms = 0
    for seed in range(250):
        engine = Engine()
        for command in log(seed):
            engine.execute(command)
        for fund in engine.funds.values():
            for pledge in fund.pledges.values():
                changed, rows, was = listed(pledge), [], pledge.mark
                taken = writing.take_pledges(changed, b"pledge/f/", writing.VERSION, 1, 1 << 20, rows)
                key, value = f"pledge/f/{pledge.id}".encode(), writing._encode(pledge_row(pledge))
                if rows:
                    assert (len(changed), pledge.listed, rows) == (0, False, [record_batch.row(key, value)])
                    assert (pledge.mark, taken) == (mark_of(key, value), (1, 0, mark_of(key, value)))
                    assert writing.take_pledges(listed(pledge), b"pledge/f/", writing.VERSION, 1, 1 << 20, rows) == (
                        1,
                        1,
                        0,
                    )
                    assert not writing.take_pledges(
                        listed(pledge), b"pledge/f/", writing.VERSION, 1, len(value) - 1, rows
                    )[0]
                else:
                    assert (changed.pop(), taken, pledge.mark) == (pledge, (0, 0, 0), was)
                made, left = made + bool(rows), left + (not rows)
                of_terms += bool(rows and pledge.__dict__)
    assert made > 200
    assert of_terms > 50
    assert left > 200, "those that have ended are left to Python"
