"""Awards to which nothing has happened are rows; whoever asks for them gets objects, which pledge and case share."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from services.matcher.engine.commands import pledge as decide
from services.matcher.engine.fund import Fund
from services.matcher.engine.transition import Transition
from services.matcher.model.award_rows import NONE, Fresh
from services.matcher.model.entities import Case, Policy


def a_fund(opened: list[tuple[str, int, int]], share: int, weights: str) -> Fund:
    """A fund with open cases: class, beneficiary, goal."""
    fund = Fund("f", 0)
    fund.policy = Policy(
        {
            "currency": "CNY", "rule": "urgency-waterfill/1", "share": share, "weights": weights, "ageing_days": 0,
            "deadline_hours": 0, "vouchers_required": 0,
        }
    )  # fmt: skip
    for number, (rank, who, goal) in enumerate(opened):
        case = Case(
            {
                "case": f"c-{number}", "beneficiary": f"b-{who}", "need": "test", "route": "home", "goal": goal,
                "own_contribution": 0, "priority": rank,
            }
        )  # fmt: skip
        case.status, case.open_order = "open", number
        fund.cases[case.id] = case
    fund.cases_opened = len(opened)
    fund.book_of_pool()
    return fund


def accept(fund: Fund, name: str, amount: int) -> None:
    """Make a pledge, as the engine does."""
    transition = Transition(fund, 0, [])
    terms = dict.fromkeys(("designation", "expires_at", "recurrence"))
    decide(transition, SimpleNamespace(pledge=name, donor="d", amount=amount, currency="CNY", fallback="pool", **terms))
    transition.match()
    fund.settle_in()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, 2**62)), max_size=3000))
def test_rows_are_what_was_put_into_them(put: list[tuple[int, int, int]]) -> None:
    fresh, last, chains = Fresh(), dict.fromkeys(range(4), NONE), {case: [] for case in range(4)}
    for row, (pledge, case, amount) in enumerate(put):
        assert fresh.add(pledge, case, amount, last[case]) == row
        last[case] = row
        chains[case].append(row)
    assert len(fresh) == len(put)
    for row, told in enumerate(put):
        assert (fresh.pledge_of(row), fresh.case_of(row), fresh.amount_of(row)) == told
    for case, row in last.items():
        while row != NONE:
            assert row == chains[case].pop()
            row = fresh.before(row)
    assert not any(chains.values())


def test_objects_made_of_rows_are_shared_by_pledge_and_case_whoever_asks_first() -> None:
    for case_first in (True, False):
        fund = a_fund([("urgent", 0, 50), ("urgent", 1, 50)], 10, "amount")
        for number in range(4):
            accept(fund, f"p-{number}", 15)
        case, pledge = fund.cases["c-0"], fund.pledges["p-1"]
        of_case = {award.id: award for award in case.awards} if case_first else None
        [*of_pledge] = pledge.awards
        of_case = of_case or {award.id: award for award in case.awards}
        shared = [award for award in of_pledge if award.case is case]
        assert shared
        assert all(of_case[award.id] is award for award in shared)
        award = shared[0]
        case.forget(award)
        pledge.forget(award)
        assert award not in case.awards
        assert [a.order for a in case.awards] == sorted(a.order for a in case.awards)
