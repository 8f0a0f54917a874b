"""Recovery without a broker: what is believed of a checkpoint, what is read instead, and when a checkpoint is due."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.errors import LedgerTampered
from services.matcher.checkpoint.differences import differences
from services.matcher.checkpoint.recovery import Recovered, recover
from services.matcher.checkpoint.rows import SAID, case_row, fund_row, pledge_row
from services.matcher.checkpoint.writing import HEAD, VERSION, Head, Keeper
from services.matcher.partition import processor
from services.matcher.partition.processor import Rhythm
from tests.ledgers import Told
from tests.properties.test_checkpoints import resealed

Records = list[tuple[bytes, bytes | None]]
SERVICES = Path(__file__).parents[2] / "services"


class Kept:
    """What a partition has written: a ledger, and the records of its checkpoints.

    Attributes:
        begins: the offsets from which the ledger was read.
    """

    def __init__(self, values: list[bytes | None], records: Records = (), portion: int = 3) -> None:
        self.values, self.records, self._portion = values, list(records), portion
        self.begins: list[int] = []

    async def checkpoint(self) -> AsyncIterator[Records]:
        for start in range(0, len(self.records), self._portion):
            yield self.records[start : start + self._portion]

    async def read_back(self, begin: int = 0) -> AsyncIterator[list[bytes | None]]:
        self.begins.append(begin)
        for start in range(begin, len(self.values), self._portion):
            yield self.values[start : start + self._portion]


class Partition:
    """A life, with a checkpoint at some of its entries."""

    def __init__(self, *at: int) -> None:
        self.told, self.keeper = Told(), Keeper()
        self.records: Records = []
        for number, step in enumerate(self._life(), 1):
            step()
            if number in at:
                self.keep()

    def _life(self) -> list:
        told = self.told
        return [
            lambda: told.case("c-1", 5_000),
            lambda: told.pledge("p-1", 3_000),
            lambda: told.pay("p-1", 3_000),
            lambda: told("case.delivered", case="c-1", delivery="d-1", amount=1_000),
            lambda: told.pledge("p-2", 9_000),
            lambda: told("case.vouched", case="c-1", voucher="v-1"),
            lambda: told("pledge.withdrawn", pledge="p-2"),
        ]

    def keep(self) -> None:
        for portion in self.keeper.changes(self.told.engine):
            self.records += portion
        seq, _, value = self.told.entries[-1]
        head = Head(seq, bytes.fromhex(json.loads(value)["hash"]), seq - 1, max(0, seq - 3))
        self.records.append(self.keeper.head(self.told.engine, head))

    @property
    def values(self) -> list[bytes]:
        return [value for _, _, value in self.told.entries]

    def recovered(
        self, values: list[bytes | None] | None = None, records: Records | None = None
    ) -> tuple[Recovered, Kept]:
        kept = Kept(self.values if values is None else values, self.records if records is None else records)
        return asyncio.run(recover(0, kept)), kept


def current(records: Records) -> dict[bytes, bytes]:
    newest = dict(records)
    return {key: value for key, value in newest.items() if value is not None}


@pytest.mark.parametrize("at", [(), (1,), (4,), (7,), (1, 2, 3), (2, 5), (1, 2, 3, 4, 5, 6, 7)], ids=str)
def test_memory_is_rebuilt_from_the_newest_checkpoint_and_the_entries_since(at: tuple[int, ...]) -> None:
    partition = Partition(*at)
    found, kept = partition.recovered()
    assert (found.replay.seq, found.replay.watermark) == (8, 7)
    assert found.replay.hash.hex() == json.loads(partition.values[-1])["hash"]
    assert list(differences(found.replay.engine, partition.told.engine)) == []
    assert (found.head.seq if found.head else 0) == (at[-1] + 1 if at else 0)
    assert (found.without is None) is bool(at)
    assert kept.begins == [max(0, at[-1] - 2) if at else 0]
    assert set(found.seconds) == {"fetch", "restore", "tail"}
    assert found.keeper.whole is bool(at)


def test_the_keeper_of_a_rebuilt_memory_goes_on_where_the_former_stopped() -> None:
    partition = Partition(3)
    found, _ = partition.recovered()
    rows = [row for portion in found.keeper.changes(found.replay.engine) for row in portion]
    kinds = sorted(key.decode().partition("/")[0] for key, _ in rows)
    assert kinds == ["case", "fund", "known", "pledge"]  # the second pledge came and went in between
    rows.append(found.keeper.head(found.replay.engine, Head(8, found.replay.hash, 7, 0)))
    again, _ = partition.recovered(records=partition.records + rows)
    assert again.head.seq == 8
    assert list(differences(again.replay.engine, partition.told.engine)) == []


def test_the_ledger_must_hold_the_very_entry() -> None:
    partition = Partition(3)
    head = json.loads(current(partition.records)[HEAD])
    other = Partition(3)
    other.told.now += 1
    for wrong in ({"seq": 5}, {"hash": "ab" * 32}, {"watermark": 4}, {"ledger_offset": 6}, {"seq": 3, "watermark": 2}):
        found, _ = partition.recovered(records=[*partition.records, (HEAD, json.dumps(head | wrong).encode())])
        assert found.head is None, wrong
        assert "does not hold entry" in found.without
        assert list(differences(found.replay.engine, partition.told.engine)) == []
        assert not found.keeper.whole


@pytest.mark.parametrize("length", [0, 2, 3])
def test_a_ledger_shorter_than_its_checkpoint_is_what_is_true(length: int) -> None:
    partition = Partition(3)
    found, _ = partition.recovered(values=partition.values[:length])
    assert (found.head, found.replay.seq) == (None, length)


def test_records_in_nobodys_use_are_removed_by_the_next_checkpoint() -> None:
    partition = Partition(3)
    records = [(key, value) for key, value in partition.records if key != HEAD] + [(b"case/jilin/gone", b"[1,[]]")]
    found, _ = partition.recovered(records=records)
    assert found.head is None
    rows = [row for portion in found.keeper.changes(found.replay.engine) for row in portion]
    rows.append(found.keeper.head(found.replay.engine, Head(8, found.replay.hash, 7, 0)))
    again, _ = partition.recovered(records=records + rows)
    assert again.head.seq == 8
    assert b"case/jilin/gone" not in current(records + rows)


def test_entries_that_do_not_fit_the_checkpoint_are_read_from_the_start() -> None:
    """The checkpoint tells of a pledge that the ledger awarded otherwise; its state hash is right, and every sum holds."""
    partition = Partition(6)
    topic = current(partition.records)
    key = b"pledge/jilin/p-2"
    row = json.loads(topic[key])[1]
    row[7], row[12] = 0, row[7]  # what waits is released
    records = list(resealed(topic | {key: json.dumps([VERSION, row]).encode()}).items())
    found, kept = partition.recovered(records=records)
    assert "the entries since do not fit" in found.without
    assert list(differences(found.replay.engine, partition.told.engine)) == []
    assert len(kept.begins) == 2


@pytest.mark.parametrize("at", [(), (3,)], ids=str)
def test_a_ledger_that_does_not_hold_stops_with_a_checkpoint_and_without(at: tuple[int, ...]) -> None:
    partition = Partition(*at)
    forged = partition.values[-1].replace(b"pledge_withdrawn", b"pledge_expired")
    with pytest.raises(LedgerTampered, match="entry 8"):
        partition.recovered(values=[*partition.values[:-1], forged])
    with pytest.raises(LedgerTampered, match="entry 7"):
        partition.recovered(values=[*partition.values[:6], partition.values[7]])


def test_an_answer_that_is_not_whole_stops() -> None:
    partition = Partition(3)
    facts = [{"fact": "duplicate"}] * 2
    from schemas.ledger import link

    previous = bytes.fromhex(json.loads(partition.values[-1])["hash"])
    body = {"seq": 9, "fund": "jilin", "at": "2026-11-22T10:00:09Z", "cause": {"id": "e", "type": "t", "offset": 8}}
    value, _ = link(previous, json.dumps({**body, "facts": facts, "more": True}, separators=(",", ":")).encode())
    with pytest.raises(LedgerTampered, match="not whole"):
        partition.recovered(values=[*partition.values, value])


def test_others_have_their_turn_while_a_partition_is_rebuilt() -> None:
    partition = Partition(3)
    for number in range(2_000):
        partition.told.pledge(f"more-{number}", 10)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> Any:
        neighbour = asyncio.create_task(other())
        found = await recover(0, Kept(partition.values, partition.records, portion=10_000))
        neighbour.cancel()
        return found

    found = asyncio.run(both())
    assert found.replay.seq == 2_008
    assert turns > 2_000 / 200


class TestRhythm:
    """When a checkpoint is due."""

    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [100.0]
        monkeypatch.setattr(processor.time, "monotonic", lambda: now[0])
        return now

    def test_after_so_many_entries_or_seconds(self, now: list[float]) -> None:
        rhythm = Rhythm(10, 60.0)
        rhythm.begin(5)
        assert [rhythm.due(seq) for seq in (5, 14, 15, 16)] == [False, False, True, True]
        now[0] += 59
        assert not rhythm.due(6)
        now[0] += 1
        assert rhythm.due(6)
        rhythm.written(6)
        assert not rhythm.due(15)
        assert rhythm.due(16)

    def test_one_that_could_not_be_written_is_put_off_longer_each_time(self, now: list[float]) -> None:
        rhythm = Rhythm(10, 60.0)
        for seq, pause in ((20, 10), (30, 20), (50, 40)):
            assert rhythm.due(seq)
            rhythm.failed(seq)
            rhythm.begin(0)  # the partition is taken anew: from the same old checkpoint
            assert not rhythm.due(seq + pause - 1)
            assert rhythm.due(seq + pause)
        now[0] += 4 * 60 - 1
        assert not rhythm.due(51)
        now[0] += 1
        assert rhythm.due(51)
        rhythm.written(51)
        assert rhythm.due(61), "as often as ever"

    def test_the_pause_has_an_end(self, now: list[float]) -> None:
        rhythm = Rhythm(10, 60.0)
        for _ in range(100):
            rhythm.failed(0)
        assert rhythm.due(640)


# ---- what a row must not leave out ----------------------------------------------------------------------------------------

WORKED_OUT = {
    "Fund": {
        "name", "cases", "pledges", "unrated", "fresh", "timers", "queues", "pool", "needs", "totals", "changed", "touched_cases",
        "touched_pledges", *SAID,
    },
    "Case": {
        "_awards", "_fresh", "_last", "listed", "mark", "touched", "beneficiary", "need", "own_contribution", "recurrence",
    },
    "Pledge": {
        "__dict__", "_awards", "_first_order", "_first_row", "_fresh", "_rows", "has_terms", "listed", "mark", "touched",
    },
}  # fmt: skip
"""What is in other rows, in a case's `origin`, or worked out again when rows are taken in."""


def fields(of: str) -> set[str]:
    """What an entity is made of, as its source says; a compiled class can't be asked."""
    path = "matcher/engine/fund.py" if of == "Fund" else "matcher/model/entities.py"
    [found] = [
        node
        for node in ast.parse((SERVICES / path).read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == of
    ]
    slots = [
        ast.literal_eval(one.value)
        for one in found.body
        if isinstance(one, ast.Assign) and named(one.targets[0], "__slots__")
    ]
    set_up = next(one for one in found.body if isinstance(one, ast.FunctionDef) and one.name == "__init__")
    assigned = [one.attr for one in ast.walk(set_up) if isinstance(one, ast.Attribute) and named(one.value, "self")]
    return {name for name in (*assigned, *(slots[0] if slots else ())) if name != "awards"}


def named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def another(value: Any) -> Any:
    """Some other value that could stand there."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, dict):
        return {**value, "USD": "7.1"}
    if isinstance(value, tuple):
        return (*value[:-1], "another")
    return f"{value}-another"


@pytest.mark.parametrize(("of", "row_of"), [("Fund", fund_row), ("Case", case_row), ("Pledge", pledge_row)])
def test_whatever_an_entity_keeps_stands_in_its_row(of: str, row_of: Any) -> None:
    """Or a recovery forgets it; comparing rows can't show what they leave out."""
    kept = fields(of) - WORKED_OUT[of]
    assert len(kept) > 5
    for name in sorted(kept):
        [fund] = Partition().told.engine.funds.values()
        entity: Any = fund if of == "Fund" else next(iter((fund.cases if of == "Case" else fund.pledges).values()))
        before = row_of(entity)
        if name == "policy":
            for one in fields("Policy"):
                setattr(fund.policy, one, another(getattr(fund.policy, one)))
                assert row_of(fund) != before, one
            continue
        try:
            setattr(entity, name, another(getattr(entity, name)))
        except TypeError:  # compiled, a field for numbers that none stands in now
            setattr(entity, name, 1)
        assert row_of(entity) != before, f"{of}.{name} is not in its row: a recovery would forget it"
