"""The read model against the engine that wrote the ledger: the same figures, over seasons of random commands."""

import json

import pytest

from schemas.ledger import GENESIS, entries
from schemas.times import text_of
from services.console.readmodel.figures import figures_of, for_everyone
from services.console.readmodel.model import ReadModel, unbalanced
from services.console.readmodel.reading import PartitionRead
from services.matcher.engine.engine import Engine
from tests.ledgers import Told
from tests.oracle.season import by_wall_clocks, commands_of


@pytest.mark.parametrize("seed", range(60))
def test_it_stands_where_the_engine_stands(seed: int) -> None:
    engine, model = Engine(), ReadModel()
    for offset, command in enumerate(commands_of(by_wall_clocks(seed))):
        decision = engine.execute(command)
        head = {"seq": offset + 1, "fund": decision.fund, "at": text_of(decision.at), "cause": {"offset": offset}}
        entry = {**head, "facts": decision.facts}
        model.feed(0, entry)
    assert model.funds.keys() == engine.funds.keys()
    assert unbalanced(model.funds.values()) == []
    for name, fund in engine.funds.items():
        mine = model.funds[name]
        assert {
            c.id: (c.status, c.claim, c.promised, c.settled, c.delivered, c.lacks) for c in mine.cases.values()
        } == {c.id: (c.status, c.claim, c.awarded, c.settled, c.delivered, c.residual()) for c in fund.cases.values()}
        assert {c.id: c.rank for c in mine.cases.values() if c.opened} == {
            c.id: c.rank for c in fund.cases.values() if c.opened_at
        }
        assert {
            p.id: (p.amount, p.waiting, p.paid_waiting, p.awarded, p.settled, p.delivered, p.released + p.refunded)
            for p in mine.pledges.values()
        } == {
            p.id: (p.amount, p.waiting, p.paid_waiting, p.awarded, p.settled, p.delivered, p.released)
            for p in fund.pledges.values()
        }
        lacking = [[0, 0] for _ in range(4)]
        for case in fund.open_cases():
            lacking[case.rank][0] += case.residual() > 0
            lacking[case.rank][1] += case.residual()
        assert mine.lacking == lacking


def test_a_figure_that_does_not_add_up_is_said() -> None:
    told = Told()
    told.case("c-1")
    told.pledge("p-1", 5_000)
    fund = told.read().funds["jilin"]
    fund.pledges["p-1"].waiting += 1
    fund.cases["c-1"].delivered += 1
    assert unbalanced([fund]) == [
        "fund jilin: pledge p-1 does not add up",
        "fund jilin: case c-1 does not add up",
    ]


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [(lambda rows: [*rows[:2], *rows[3:]], "3: it has number 4"),
     (lambda rows: [*rows[:2], b"{}", *rows[3:]], "3: it is not an entry"),
     (lambda rows: [*rows[:2], b"\xff", *rows[3:]], "3: it is not an entry"),
     (lambda rows: [*rows[:2], None, *rows[3:]], "3: it is not an entry"),
     (lambda rows: [*rows[:2], rows[2].replace(b"c-2", b"c-3"), *rows[3:]], "3: its hash does not follow"),
     (lambda rows: [*rows[:3], _again(rows)], "4: its command's offset 2 does not follow 2")],
)  # fmt: skip
def test_a_chain_that_breaks_says_where(spoil, finding: str) -> None:
    told = Told()
    for number in range(1, 5):
        told.case(f"c-{number}")
    chain, model = PartitionRead(told.partition), ReadModel()
    for value in spoil([value for _, _, value in told.entries]):
        chain.take(model, value)
    assert chain.finding.startswith(f"ledger partition {told.partition}, entry {finding}")


def _again(rows: list[bytes]) -> bytes:
    """A second answer to the third command, its hash as it should be."""
    third = json.loads(rows[2])
    ((_, value, _),) = entries(4, bytes.fromhex(third["hash"]), "jilin", third["at"], third["cause"], [])
    return value


def test_an_answer_in_several_entries_is_one() -> None:
    chain, previous, seq = PartitionRead(0), GENESIS, 1
    facts = [{"fact": "rejected", "code": "unreadable", "detail": "x" * 400}] * 3000
    cause = {"id": None, "type": None, "offset": 7}
    for seq, value, _digest in entries(1, previous, None, "2026-11-22T10:00:00Z", cause, facts):
        chain.take(ReadModel(), value)
        assert chain.finding is None
        assert (chain.unfinished is not None) is (seq == 1 or json.loads(value).get("more", False))
    assert seq > 1
    assert chain.unfinished is None
    assert chain.answered == 1


def test_public_figures_say_nothing_about_fewer_than_five() -> None:
    told = Told()
    for number in range(5):
        told.case(f"c-{number}", 10_000)
    for number in range(4):
        told.pledge(f"p-{number}", 1_000)
    figures = figures_of(told.read().funds["jilin"])
    shown = for_everyone(figures)
    assert (figures.placed, figures.donors) == (4_000, 4)
    assert shown["asked"] == 50_000
    assert shown["beneficiaries"] == shown["open"] == 5
    assert {"placed", "settled", "waiting", "donors", "pledges"} <= {name for name, v in shown.items() if v is None}


def test_a_closed_case_has_asked_for_what_it_asked() -> None:
    told = Told()
    told.case("c-0", 10_000)
    told.pledge("p-0", 200)
    told("case.closed", case="c-0", outcome="withdrawn")
    figures = figures_of(told.read().funds["jilin"])
    assert (figures.closed, figures.asked, figures.placed) == (1, 10_000, 0)


def test_public_figures_count_who_is_in_each_and_not_who_else_is_there() -> None:
    told = Told()
    told.case("c-0", 100_000)
    told("fund.configured", currency="CNY", vouchers_required=1)
    for number in range(1, 11):
        told.case(f"c-{number}", 1_000)
    shown = for_everyone(figures_of(told.read().funds["jilin"]))
    assert shown["beneficiaries"] == 11
    assert shown["asked"] is shown["open"] is None, "ten whom nobody vouched for hide nobody"
    for number in range(5):
        told.pledge(f"p-{number}", 1_000)
    told.pledge("p-5", 200_000)
    shown = for_everyone(figures_of(told.read().funds["jilin"]))
    assert shown["pledges"] == 6
    assert shown["waiting"] is None, "what waits is one donor's"
