"""The rules once more, as slowly and plainly as they can be said: whose is the next money, asked anew after every step.

Each function looks at all open cases of a scope (the pool, a need, one case) and what each has been awarded so far, and answers
with one case, how much of the next money it may have before the question is asked again, and why. A case here is anything with
`id`, `claim`, `beneficiary`, `order` (of opening, from 0) and `shown` (its class as an index). § marks a section of
`schemas/CONTRACT.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CLASSES = ["routine", "urgent", "asap", "stat"]

Next = tuple[Any, int, dict[str, Any]] | None
"""Whose the next money is, up to how much of it before asking again, and why; None: no claim is left."""


def next_by_urgency(policy: Any, cases: list[Any], awarded: dict[Any, int]) -> Next:
    """`urgency-waterfill/1`: §5 rules 2 and 3, one boundary."""
    lacking = [c for c in cases if awarded[c] < c.claim]
    if not lacking:
        return None
    top = max(c.shown for c in lacking)  # rule 2: strictly, highest first
    claimants: dict[str, list[Any]] = {}
    for c in cases:
        if c.shown == top:
            claimants.setdefault(c.beneficiary, []).append(c)
    least = None
    for mates in claimants.values():
        claim, has = sum(c.claim for c in mates), sum(awarded[c] for c in mates)
        if has == claim:
            continue
        boundary = min(claim, (has // policy.share + 1) * policy.share)
        key = boundary if policy.weights == "equal" else boundary * 10**12 // claim
        oldest = min((c for c in mates if awarded[c] < c.claim), key=lambda c: c.order)
        if least is None or (key, oldest.order) < least[:2]:
            least = key, oldest.order, oldest, boundary - has, has, claim
    key, _, case, room, has, claim = least
    why = {"class": CLASSES[top], "key": key, "before": has, "claim": claim}
    return case, min(room, case.claim - awarded[case]), why


def next_by_opening(policy: Any, cases: list[Any], awarded: dict[Any, int]) -> Next:
    """`first-come/1`: the open case with a residual that opened first, whatever its class, up to its whole claim."""
    lacking = [c for c in cases if awarded[c] < c.claim]
    if not lacking:
        return None
    case = min(lacking, key=lambda c: c.order)
    return case, case.claim - awarded[case], why_of_case(case, awarded)


def next_by_floor(policy: Any, cases: list[Any], awarded: dict[Any, int]) -> Next:
    """`guaranteed-floor/1`: min(claim, share) to every open case, oldest first, whatever their classes; then by urgency."""
    below = [c for c in cases if awarded[c] < min(c.claim, policy.share)]
    if below:
        case = min(below, key=lambda c: c.order)
        room = min(case.claim, policy.share) - awarded[case]
        return case, room, {**why_of_case(case, awarded), "stage": "floor"}
    found = next_by_urgency(policy, cases, awarded)
    return found and (found[0], found[1], {**found[2], "stage": "class"})


def why_of_case(case: Any, awarded: dict[Any, int]) -> dict[str, Any]:
    """Why, where the claimant is the case itself and its place is its opening order."""
    return {"class": CLASSES[case.shown], "key": case.order, "before": awarded[case], "claim": case.claim}


NEXT: dict[str, Callable[[Any, list[Any], dict[Any, int]], Next]] = {
    "urgency-waterfill/1": next_by_urgency,
    "first-come/1": next_by_opening,
    "guaranteed-floor/1": next_by_floor,
}
"""The index of rules: the name a fund is configured with → who is next."""
