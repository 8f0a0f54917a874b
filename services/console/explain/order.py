"""Where a case stands in the order of its fund's rule: what is compared, and who is served before it.

This uses only what is published about the rules (contract, 5: rules 2 and 3; the modules of the other rules), to explain;
it decides nothing. A *claimant* is what the rule compares: under `urgency-waterfill/1` all open cases of one person in one
class, under `first-come/1` the case, and under `guaranteed-floor/1` the case while it lacks its floor and the person above it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, Case, Fund, Policy

SCALE = 10**12
"""Keys of `weights="claim"` are parts of the claim in 10⁻¹²."""


def step_of(promised: int, claim: int, share: int) -> int:
    """The boundary up to which a claimant is served next: `min(claim, (promised // share + 1) * share)`, minor units."""
    return min(claim, (promised // share + 1) * share)


def key_of(promised: int, claim: int, policy: Policy) -> int:
    """What is compared within a class: the least goes first."""
    boundary = step_of(promised, claim, policy.share)
    return boundary * SCALE // claim if policy.weights == "claim" and claim else boundary


def floor_of(case: Case, policy: Policy) -> int:
    """What the rule gives a case before it gives anyone more; minor units, 0 under a rule without floors."""
    return min(case.claim, policy.share) if policy.rule == GUARANTEED_FLOOR else 0


@dataclass(frozen=True)
class Standing:
    """Where a claimant stands.

    Attributes:
        place: what is compared under the rule: the least goes first.
        stage: "floor" or "class" under a rule with these stages, else None.
        rank: the class, as index into `CLASSES`.
        key: the least goes first; among equals the lesser `order`. Where the case is the claimant, its opening order.
        order: opening order of its oldest case that lacks money.
        promised, claim, lacks: of the claimant, minor units; above the floors, as it stands once all have theirs.
        oldest: the case that its next money goes to.
    """

    place: tuple[int, ...]
    stage: str | None
    rank: int
    key: int
    order: int
    promised: int
    claim: int
    lacks: int
    oldest: Case


def standing_of(fund: Fund, case: Case, need: str | None = None, policy: Policy | None = None) -> Standing | None:
    """Where the claimant of `case` stands, None if nothing of it lacks money.

    Args:
        need: count the cases of this need only, as money does that is designated to it.
        policy: the policy to go by; None: the fund's of now.
    """
    policy = policy or fund.policy
    if policy.rule == FIRST_COME:
        return _of_case((case.open_order,), None, case, case.lacks)
    missing = floor_of(case, policy) - case.promised
    if missing > 0:
        return _of_case((0, case.open_order), "floor", case, missing)
    return _of_person((c for c in fund.of_beneficiary[case.beneficiary] if c.rank == case.rank), policy, need)


def _of_case(place: tuple[int, ...], stage: str | None, case: Case, lacks: int) -> Standing | None:
    order = case.open_order
    return Standing(place, stage, case.rank, order, order, case.promised, case.claim, lacks, case) if lacks else None


def _of_person(cases: Iterable[Case], policy: Policy, need: str | None = None) -> Standing | None:
    """One person in one class, under the water-fill; above the floors, if there are any."""
    counted = [case for case in cases if case.status == "open" and need in (None, case.need)]
    stands = {case: max(case.promised, floor_of(case, policy)) for case in counted}
    lacking = [case for case in counted if stands[case] < case.claim]
    if not lacking:
        return None
    promised, claim = sum(stands.values()), sum(case.claim for case in counted)
    oldest = min(lacking, key=lambda case: case.open_order)
    key, lacks = key_of(promised, claim, policy), sum(case.claim - stands[case] for case in lacking)
    stage, above = ("class", (1,)) if policy.rule == GUARANTEED_FLOOR else (None, ())
    place = (*above, -oldest.rank, key, oldest.open_order)
    return Standing(place, stage, oldest.rank, key, oldest.open_order, promised, claim, lacks, oldest)


@dataclass(frozen=True)
class Ahead:
    """Who would be served before a case by the fund's next money. Under a rule that knows no such order its counts are 0.

    Attributes:
        urgent, urgent_lacks: claimants in more urgent classes, and what they lack together.
        lesser, lesser_lacks: claimants of the same class that stand lower, or as low and opened before.
        own: True if an older need of the same person comes first.
        older, older_lacks: cases that opened before, whatever their class.
        floors, floors_lacks: cases that come first since they lack their floors, and what they lack of them together.
    """

    urgent: int = 0
    urgent_lacks: int = 0
    lesser: int = 0
    lesser_lacks: int = 0
    own: bool = False
    older: int = 0
    older_lacks: int = 0
    floors: int = 0
    floors_lacks: int = 0

    @property
    def nobody(self) -> bool:
        """True if the next money that may go anywhere is the case's own."""
        return not (self.urgent or self.lesser or self.own or self.older or self.floors)


def ahead_of(fund: Fund, case: Case) -> Ahead | None:
    """Who is served before `case` now; None if it lacks nothing."""
    mine = standing_of(fund, case) if case.lacks else None
    if mine is None:
        return None
    if fund.policy.rule == FIRST_COME:
        older = [c.lacks for c in fund.cases.values() if c.lacks and c.open_order < case.open_order]
        return Ahead(older=len(older), older_lacks=sum(older))
    floors = _floors_before(fund, mine)
    if mine.stage == "floor":
        return Ahead(floors=len(floors), floors_lacks=sum(floors))
    urgent = lesser = 0, 0
    for cases in fund.of_beneficiary.values():
        for rank in range(case.rank, 4):
            other = _of_person((c for c in cases if c.rank == rank), fund.policy)
            if other is None:
                continue
            if rank > case.rank:
                urgent = urgent[0] + 1, urgent[1] + other.lacks
            elif other.place < mine.place:
                lesser = lesser[0] + 1, lesser[1] + other.lacks
    own = mine.oldest is not case
    return Ahead(*urgent, *lesser, own=own, floors=len(floors), floors_lacks=sum(floors))


@dataclass(frozen=True)
class Order:
    """A claimant's place among those it is compared with: its class, or all cases where the order of opening decides.

    Attributes:
        place: from 1 on; of: how many there are; after: how many come after it.
        by_opening: True if they stand in the order of opening.
        key: its own.
        before: those before it, as `(key, how many)`, the first served first.
    """

    place: int
    of: int
    after: int
    by_opening: bool
    key: int
    before: tuple[tuple[int, int], ...]


def order_of(people: Iterable[list[Case]], policy: Policy, mine: Standing) -> Order:
    """Where `mine` stands among the claimants of these cases; `people` has each person's cases as a list."""
    by_opening = policy.rule == FIRST_COME or mine.stage == "floor"
    stands: list[tuple[tuple[int, ...], int]] = []
    for cases in people:
        if by_opening:
            floor = mine.stage == "floor"
            lacking = (c for c in cases if c.lacks and (not floor or c.promised < floor_of(c, policy)))
            stands += [((*mine.place[:-1], c.open_order), c.open_order) for c in lacking]
        elif other := _of_person((c for c in cases if c.rank == mine.rank), policy):
            stands.append((other.place, other.key))
    before = sorted(stand for stand in stands if stand[0] < mine.place)
    keys = Counter(key for _, key in before)
    place, of = len(before) + 1, len(stands)
    return Order(place, of, of - place, by_opening, mine.key, tuple(keys.items()))


def _floors_before(fund: Fund, mine: Standing) -> list[int]:
    """What each case lacks of its floor that is given it before `mine` is served."""
    if fund.policy.rule != GUARANTEED_FLOOR:
        return []
    missing = [
        (c, floor_of(c, fund.policy) - c.promised)
        for c in fund.cases.values()
        if c.status == "open" and c is not mine.oldest
    ]
    return [lacks for c, lacks in missing if lacks > 0 and (0, c.open_order) < mine.place]
