"""A pledge decided in C (`matcher/fast/swift`) is what the engine makes of it, and leaves the same behind; rows are objects."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from schemas.forms import as_dict
from schemas.values import AMOUNT_MAX, CLASSES
from services import native
from services.matcher.engine.commands import pledge as decide
from services.matcher.engine.conservation import check
from services.matcher.engine.fund import Fund
from services.matcher.engine.transition import Transition
from services.matcher.model.award_rows import NONE, Fresh
from services.matcher.model.entities import Case, Policy

pytestmark = pytest.mark.skipif(
    not native.in_use(), reason="nothing is compiled here: there is only the book's own walk"
)

amounts = st.one_of(st.integers(1, 60), st.integers(1, 5_000), st.integers(AMOUNT_MAX - 3, AMOUNT_MAX))
cases = st.lists(st.tuples(st.sampled_from(CLASSES), st.integers(0, 4), amounts), min_size=1, max_size=12)


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


def accept(fund: Fund, name: str, donor: str, amount: int, currency: str) -> list[tuple]:
    """A pledge as the engine decides it; what it gives to whom, as a rule tells its shares."""
    facts: list = []
    transition = Transition(fund, 0, facts)
    terms = dict.fromkeys(("designation", "expires_at", "recurrence"))
    decide(
        transition,
        SimpleNamespace(pledge=name, donor=donor, amount=amount, currency=currency, fallback="pool", **terms),
    )
    transition.match()
    check(fund.touched_pledges, fund.touched_cases)
    fund.settle_in()
    awarded = [fact for fact in map(as_dict, facts) if fact["fact"] == "awarded"]
    return [
        (why["key"], fact["case"], fact["amount"], why["before"], why["claim"], CLASSES.index(why["class"]))
        for fact in awarded
        for why in [fact["why"]]
    ]


def told(shares: list) -> list[tuple]:
    return [(key, case.id, *rest) for key, case, *rest in shares]


def standing(fund: Fund) -> list:
    """All that a later pledge could see, and what is said of pledges and awards; asks nobody for objects."""
    book = fund.pool
    claimants = [
        (
            rank,
            of.residual,
            who,
            c.claim,
            c.awarded,
            c.key,
            c.order,
            c.cases,
            [case.id for case in (c.oldest, *(c.younger or ())) if case],
        )
        for rank, of in enumerate(book._classes)
        for who, c in of._by_name.items()
    ]
    pledges = [
        (p.id, p.order, p.donor, p.amount, p.face, p.waiting, p.awarded, p.awards_made, p.listed, p.any_awards)
        for p in fund.pledges.values()
    ]
    sums = [(c.id, c.awarded, c.listed, c.any_awards) for c in fund.cases.values()]
    changed = [entity.id for entity in fund.changed._entities]
    return [claimants, pledges, sums, changed, fund.awards_made, fund.pledges_made]


def awards(fund: Fund) -> list:
    """The same of every award, from both its ends."""
    by_pledge = [
        (a.id, a.number, a.order, a.case.id, a.amount, a.settled) for p in fund.pledges.values() for a in p.awards
    ]
    return [by_pledge, [(c.id, [(a.id, a.order, a.amount) for a in c.awards]) for c in fund.cases.values()]]


@given(cases, st.integers(1, 100), st.lists(amounts, min_size=1, max_size=12))
def test_a_pledge_is_decided_in_c_as_the_book_decides_it(opened: list, share: int, pledged: list[int]) -> None:
    from services.matcher.fast.swift import accepted

    swift, plain = a_fund(opened, share, "amount"), a_fund(opened, share, "amount")
    for number, amount in enumerate(pledged):
        said = (f"p-{number}", "d", amount, "CNY")
        shares = told(accepted(swift, *said))
        assert shares == accept(plain, *said)
        assert standing(swift) == standing(plain)
        event(f"{min(len(shares), 3)} shares")
    assert awards(swift) == awards(plain)


@pytest.mark.parametrize("parts", [1, 1100])
def test_claims_too_large_for_a_word_are_the_books(parts: int) -> None:
    """1,100 times the largest goal is more than 2⁶³."""
    from services.matcher.fast.swift import accepted

    opened = [("urgent", 0, AMOUNT_MAX)] * parts + [("urgent", 1, 90), ("routine", 2, 1000)]
    swift, plain = a_fund(opened, 7, "amount"), a_fund(opened, 7, "amount")
    for number, amount in enumerate([5, 40, 180, 3, AMOUNT_MAX]):
        said = (f"p-{number}", "d", amount, "CNY")
        assert told(accepted(swift, *said)) == accept(plain, *said)
        assert standing(swift) == standing(plain)
    assert awards(swift) == awards(plain)


def test_a_long_walk_is_gone_on_with_by_the_book() -> None:
    """More cases than a path has room for, over three classes, and more stairs than are climbed in C."""
    from services.matcher.fast.swift import accepted

    opened = [(("stat", "asap", "urgent")[n % 3], n, 10 + n % 7) for n in range(360)]
    swift, plain = a_fund(opened, 4, "amount"), a_fund(opened, 4, "amount")
    for number, amount in enumerate([1, 250, 1, 700, 1300, 90, 5000]):
        said = (f"p-{number}", "d", amount, "CNY")
        assert told(accepted(swift, *said)) == accept(plain, *said)
        assert standing(swift) == standing(plain)
    few = [("stat", n, 10_000) for n in range(3)]
    swift, plain = a_fund(few, 1, "amount"), a_fund(few, 1, "amount")
    for number, amount in enumerate([249, 250, 251, 9, 20_000, 30_000]):
        said = (f"p-{number}", "d", amount, "CNY")
        assert told(accepted(swift, *said)) == accept(plain, *said)
        assert standing(swift) == standing(plain)


def test_what_is_not_plain_is_left_alone() -> None:
    from services.matcher.fast.swift import accepted

    fund = a_fund([("urgent", 0, 50)], 10, "amount")
    assert told(accepted(fund, "p", "d", 5, "CNY")) == [(10, "c-0", 5, 0, 50, 1)]
    before = standing(fund)
    assert accepted(fund, "p", "d", 5, "CNY") is None, "a repeat"
    assert accepted(fund, "q", "d", 5, "KRW") is None, "a currency of another"
    assert standing(fund) == before
    assert told(accepted(fund, "q", "d", 100, "CNY")) == [(10, "c-0", 45, 5, 50, 1)]
    assert fund.pledges["q"].waiting == 55


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
            accept(fund, f"p-{number}", "d", 15, "CNY")
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
