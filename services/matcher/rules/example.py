"""A scene: a few open cases in a few words, to try a rule on by hand. The examples of the rules' modules are made with it."""

from __future__ import annotations

from services.matcher.model.entities import RANK, Case, Policy
from services.matcher.rules.index import book_of


def give(rule: str, amount: int, *needs: str, share: int = 10, weights: str = "equal") -> list[int]:
    """What a rule gives to each of some open cases, none of which has anything yet.

    Args:
        rule: its name, as a fund is configured with.
        amount: how much there is to give.
        needs: `"<who> <class> <claim> [<id>]"` each, in the order of opening. Without an id they are `c-0`, `c-1` …
        share: the fund's share; weights: its weights.

    >>> give("urgency-waterfill/1", 50, "ana urgent 30", "bo urgent 100")
    [30, 20]
    >>> give("first-come/1", 50, "ana urgent 30 c-7", "bo urgent 100 c-3")
    [30, 20]
    """
    policy = Policy(
        {
            "currency": "CNY", "rule": rule, "share": share, "weights": weights,
            "ageing_days": 0, "deadline_hours": 0, "vouchers_required": 0,
        }
    )  # fmt: skip
    cases = [_open(number, *need.split()) for number, need in enumerate(needs)]
    given = {case: part for _, case, part, *_ in book_of(policy, cases).share_out(amount)}
    return [given.get(case, 0) for case in cases]


def _open(number: int, who: str, priority: str, claim: str, name: str = "") -> Case:
    fact = {
        "case": name or f"c-{number}", "beneficiary": who, "need": "other", "goal": int(claim), "own_contribution": 0,
        "priority": priority, "route": "home",
    }  # fmt: skip
    case = Case(fact)
    case.status, case.rank, case.open_order = "open", RANK[priority], number
    return case
