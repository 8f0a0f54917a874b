"""Where a case stands in the order of the rule: its class, its person's key within the class, and who is served before it.

Only what the contract says of the rule (section 5, points 2 and 3) is used here, to explain; nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.console.model import Case, Fund, Policy

SCALE = 10**12
"""Keys of `weights="claim"` are parts of the claim in 10⁻¹²."""


def step_of(promised: int, claim: int, share: int) -> int:
    """The boundary up to which a claimant is served next: `min(claim, (promised // share + 1) * share)`, minor units."""
    return min(claim, (promised // share + 1) * share)


def key_of(promised: int, claim: int, policy: Policy) -> int:
    """What is compared within a class: the least goes first."""
    boundary = step_of(promised, claim, policy.share)
    return boundary * SCALE // claim if policy.weights == "claim" and claim else boundary


@dataclass(frozen=True)
class Standing:
    """Where a claimant stands: all open cases of one person in one class.

    Attributes:
        rank: the class, as index into `CLASSES`.
        key: the least goes first; among equals the lesser `order`.
        order: opening order of its oldest case that lacks money.
        promised, claim, lacks: of the claimant, minor units.
        oldest: the case that its next money goes to.
    """

    rank: int
    key: int
    order: int
    promised: int
    claim: int
    lacks: int
    oldest: Case


def standing_of(fund: Fund, case: Case, need: str | None = None) -> Standing | None:
    """Where the claimant of `case` stands, None if nothing of it lacks money.

    Args:
        fund: the fund.
        case: an open case.
        need: count the cases of this need only, as money does that is designated to it.
    """
    return _standing(fund, (c for c in fund.of_beneficiary[case.beneficiary] if c.rank == case.rank), need)


def _standing(fund: Fund, cases: Iterable[Case], need: str | None = None) -> Standing | None:
    counted = [case for case in cases if case.status == "open" and need in (None, case.need)]
    lacking = [case for case in counted if case.lacks]
    if not lacking:
        return None
    promised, claim = sum(case.promised for case in counted), sum(case.claim for case in counted)
    oldest = min(lacking, key=lambda case: case.open_order)
    lacks = sum(case.lacks for case in lacking)
    return Standing(
        oldest.rank, key_of(promised, claim, fund.policy), oldest.open_order, promised, claim, lacks, oldest
    )


@dataclass(frozen=True)
class Ahead:
    """Who would be served before a case by the fund's next money.

    Attributes:
        urgent, urgent_lacks: claimants in more urgent classes, and what they lack together.
        lesser, lesser_lacks: claimants of the same class that stand lower, or as low and opened before.
        own: True if an older need of the same person comes first.
    """

    urgent: int
    urgent_lacks: int
    lesser: int
    lesser_lacks: int
    own: bool


def ahead_of(fund: Fund, case: Case) -> Ahead | None:
    """Who is served before `case` now; None if it lacks nothing."""
    mine = standing_of(fund, case) if case.lacks else None
    if mine is None:
        return None
    urgent, lesser = [0, 0], [0, 0]
    for cases in fund.of_beneficiary.values():
        for rank in range(case.rank, 4):
            other = _standing(fund, (c for c in cases if c.rank == rank))
            if other is None:
                continue
            if rank > case.rank:
                urgent = [urgent[0] + 1, urgent[1] + other.lacks]
            elif (other.key, other.order) < (mine.key, mine.order):
                lesser = [lesser[0] + 1, lesser[1] + other.lacks]
    return Ahead(*urgent, *lesser, own=mine.oldest is not case)
