"""The book of `urgency-waterfill/1`: who is next, kept ready while money comes and cases open, age and close.

Each class has a line of places (`key_heap`). A place is a claimant's key and the opening order of its oldest case with a residual,
which leads back to the claimant. Places are never searched for: a claimant that changes gets a new one, and the old are dropped
when they come to the top, so that a pledge costs O(log n) however many cases are open and whatever happened before. (A claimant
that comes back to a former place may stand there twice; that is one place.) A fund has one book for the pool, and one for each need
that a donor ever designated. A book is derived from the cases alone and can be built anew at any time.

`share_out` is the walk: it goes along the path that the rule lays down and moves the money as it goes. While a pledge stops short of
a boundary, its claimant keeps its place; a full step replaces the top of the heap by the claimant's next place. After very many
steps `leap` takes the rest by bisection.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from operator import attrgetter

from services.matcher.model.breach import ConservationBreach
from services.matcher.model.entities import Case
from services.matcher.rules.key_heap import NOWHERE, ORDER_BITS, Places
from services.matcher.rules.leap import highest_key_paid_in_full
from services.matcher.rules.protocol import Share
from services.matcher.rules.waterfill_arithmetic import SCALE, boundary_of, key_of, level_of

_STEPS_BEFORE_LEAP = 256
_BY_OPENING = attrgetter("open_order")
_URGENT_FIRST = (3, 2, 1, 0)
_ORDER_MAX = (1 << ORDER_BITS) - 1


class Claimant:
    """All open cases of one beneficiary in one class; claim and awarded are their sums (minor units).

    `waiting` holds those with a residual, oldest first; `key` and `order` are its valid place, or -1 while nobody waits.
    Splitting one need into many cases gains nothing, because the sums and not the cases are compared.
    """

    __slots__ = ("awarded", "beneficiary", "cases", "claim", "key", "order", "rank", "waiting")

    def __init__(self, rank: int, beneficiary: str) -> None:
        self.rank, self.beneficiary = rank, beneficiary
        self.cases = 0
        self.claim = self.awarded = 0
        self.key = self.order = NOWHERE
        self.waiting: list[Case] = []


class Book:
    """The claimants of one scope (the pool, or one need), ready for the rule.

    Args:
        share: the fund's step of the water-fill, minor units.
        by_claim: True for `weights="claim"`.
        cases: the open cases of the scope.
    """

    stages = False

    def __init__(self, share: int, by_claim: bool, cases: Iterable[Case]) -> None:
        self.share, self.by_claim = share, by_claim
        self.residual = [0, 0, 0, 0]
        self._places = [Places(), Places(), Places(), Places()]
        self._claimants: list[dict[str, Claimant]] = [{}, {}, {}, {}]
        self._by_order: dict[int, Claimant] = {}  # of the oldest case with a residual
        self._waiting = [0, 0, 0, 0]
        for case in cases:
            self.add(case)

    def any_residual(self) -> bool:
        """True while any claim of the scope is open."""
        return any(self.residual)

    def add(self, case: Case) -> None:
        """Take in an open case, in its present class."""
        assert 0 <= case.open_order <= _ORDER_MAX, "a place has no room for a greater order"
        rank = case.rank
        claimants = self._claimants[rank]
        claimant = claimants.get(case.beneficiary)
        if claimant is None:
            claimant = claimants[case.beneficiary] = Claimant(rank, case.beneficiary)
        claimant.cases += 1
        self._shift(claimant, case, case.claim, case.awarded, was=0)

    def remove(self, case: Case) -> None:
        """Let go of a case, before its class or state changes."""
        rank = case.rank
        claimants = self._claimants[rank]
        claimant = claimants[case.beneficiary]
        claimant.cases -= 1
        residual = case.residual()
        if residual:
            self._drop(claimant, case)
        claimant.claim -= case.claim
        claimant.awarded -= case.awarded
        self.residual[rank] -= residual
        self._put(claimant)
        if not claimant.cases:
            del claimants[case.beneficiary]

    def update(self, case: Case, claim: int, awarded: int, was: int) -> None:
        """Follow a change of a case's claim and awarded money, by the given amounts, after it happened.

        `was` is the residual before. Between the facts of a lowered goal the awards may stand above the claim; no money is
        matched until they no longer do.
        """
        claimants = self._claimants[case.rank]
        self._shift(claimants[case.beneficiary], case, claim, awarded, was)

    def share_out(self, amount: int) -> list[Share]:
        """Run the rule for `amount` minor units over the claims: classes strictly by urgency, then the path within.

        The money moves at once, in the cases and in this book; other books that hold the cases must be told by `update`.

        Returns:
            One share a case, in the order of the first money; their sum is the lesser of `amount` and all residuals.
        """
        shares: list[Share] = []
        self.go_on(amount, shares, 0)
        return shares

    def go_on(self, amount: int, shares: list[Share], first: int) -> int:
        """Continue a walk that has given `shares` so far; those from `first` on lie in the class that it has reached.

        Returns:
            What is left of the amount.
        """
        residual = self.residual
        for rank in _URGENT_FIRST:
            if residual[rank]:
                left = self._walk(rank, amount, shares, first)
                residual[rank] -= amount - left
                amount = left
                if not amount:
                    break
                first = len(shares)
        return amount

    def share_of_one(self, case: Case, amount: int) -> Share | None:
        """What a pledge designated to a single case gives it, or None if the case has no residual; no money is moved here."""
        given = min(amount, case.residual())
        if given <= 0:
            return None
        key = key_of(boundary_of(case.awarded, case.claim, self.share), case.claim, self.by_claim)
        return (key, case, given, case.awarded, case.claim, case.rank)

    def _walk(self, rank: int, amount: int, shares: list[Share], first: int) -> int:
        """Walk within one class, whose shares begin at `first`, until the amount or the claims are used up; returns what is left."""
        places, by_order, share, by_claim = self._places[rank], self._by_order, self.share, self.by_claim
        steps = len(shares) - first
        leapt = 0  # after so many steps
        at: dict[Case, int] = {}  # where a case's share is, once the path may have come back to one
        level = shares[first][0] if steps else -1
        while True:
            order = places.order()
            if order == NOWHERE:
                return amount
            claimant = by_order.get(order)
            if claimant is None or claimant.rank != rank or not places.is_at(claimant.key):
                places.pop()
                continue
            key = claimant.key
            case, before, claim = claimant.waiting[0], claimant.awarded, claimant.claim
            boundary = key if not by_claim else boundary_of(before, claim, share)
            if by_claim and claim > SCALE:  # several stairs have one key, and are climbed in one go
                boundary = max(boundary, level_of(key, claim, share, by_claim))
            lacking = case.claim - case.awarded
            step = boundary - before
            if lacking < step:
                step = lacking
            if amount < step:
                step = amount
            if step <= 0:  # a walk that stands still would never end
                raise ConservationBreach(
                    f"case {case.id}: {step} of {amount} to give, where the book says it lacks money"
                )
            case.awarded += step
            claimant.awarded = after = before + step
            amount -= step
            if steps == 0:
                level = key
            if key == level:  # a case comes again only under a higher key
                shares.append((key, case, step, before, claim, rank))
            else:
                _note(shares, at, first, (key, case, step, before, claim, rank))
            steps += 1
            if step == lacking:
                del claimant.waiting[0]
                places.pop()
                self._put(claimant)
            elif after == boundary:  # a full step: on to the next boundary
                key = key_of(boundary_of(after, claim, share), claim, by_claim)
                claimant.key = key
                places.replace(key, order)
            if amount and steps - leapt >= _STEPS_BEFORE_LEAP + 4 * self._waiting[rank]:  # which gets less on the way
                amount = self._leap(rank, amount, shares, at, first)
                leapt = steps
            if not amount:
                return 0

    def _leap(self, rank: int, amount: int, shares: list[Share], at: dict[Case, int], first: int) -> int:
        """Serve at once every step up to the highest key that the amount pays for in full."""
        claimants = [claimant for claimant in self._claimants[rank].values() if claimant.waiting]
        if not claimants:  # the claims of the class are just used up
            return amount
        stands = [(claimant.claim, claimant.awarded) for claimant in claimants]
        key = highest_key_paid_in_full(amount, stands, self.share, self.by_claim)
        for claimant in claimants:
            rise = max(0, level_of(key, claimant.claim, self.share, self.by_claim) - claimant.awarded)
            amount -= rise
            self._raise(claimant, rise, shares, at, first)
            self._put(claimant)
        # In the order of the first money, which is that of the path.
        shares[first:] = sorted(shares[first:], key=lambda share: (share[0], share[1].open_order))
        at.clear()
        return amount

    def _raise(self, claimant: Claimant, amount: int, shares: list[Share], at: dict[Case, int], first: int) -> None:
        """Put money into a claimant's oldest cases with a residual, one after the other."""
        while amount:
            case, before, claim = claimant.waiting[0], claimant.awarded, claimant.claim
            lacking = case.claim - case.awarded
            step = min(amount, lacking)
            key = key_of(boundary_of(before, claim, self.share), claim, self.by_claim)
            _note(shares, at, first, (key, case, step, before, claim, claimant.rank))
            case.awarded += step
            claimant.awarded += step
            amount -= step
            if step == lacking:
                del claimant.waiting[0]

    def _put(self, claimant: Claimant) -> None:
        """Give a claimant its present place."""
        rank, key, order = claimant.rank, NOWHERE, NOWHERE
        if claimant.waiting:
            oldest = claimant.waiting[0]
            order = oldest.open_order
            key = boundary_of(claimant.awarded, claimant.claim, self.share)
            if self.by_claim:
                key = key_of(key, claimant.claim, True)
        was_key, was_order = claimant.key, claimant.order
        if was_key == key and was_order == order:
            return
        claimant.key, claimant.order = key, order
        if was_order == NOWHERE:
            self._waiting[rank] += 1
        elif was_order != order:
            del self._by_order[was_order]
        if order == NOWHERE:
            self._waiting[rank] -= 1
            return
        self._by_order[order] = claimant
        places = self._places[rank]
        places.push(key, order)
        if len(places) > 64 + 4 * self._waiting[rank]:
            places.rebuild([(each.key, each.order) for each in self._claimants[rank].values() if each.waiting])

    def _shift(self, claimant: Claimant, case: Case, claim: int, awarded: int, was: int) -> None:
        claimant.claim = claimant.claim + claim if claimant.claim else claim  # a lone case's number is kept once
        claimant.awarded += awarded
        residual, rank = case.residual(), case.rank
        self.residual[rank] += residual - was
        if residual and not was:
            if claimant.waiting:
                insort(claimant.waiting, case, key=_BY_OPENING)
            else:
                claimant.waiting = [case]  # most have one, and a list made of one has room for no more
        elif was and not residual:
            self._drop(claimant, case)
        self._put(claimant)

    def _drop(self, claimant: Claimant, case: Case) -> None:
        waiting = claimant.waiting
        if waiting[0] is case:
            del waiting[0]
        else:
            del waiting[bisect_left(waiting, case.open_order, key=_BY_OPENING)]


def _note(shares: list[Share], at: dict[Case, int], first: int, step: Share) -> None:
    """Add a step to the shares from `first` on: one share a case, with the key and the standing of its first money."""
    if not at:
        for place in range(first, len(shares)):
            at[shares[place][1]] = place
    index = at.get(step[1])
    if index is None:
        at[step[1]] = len(shares)
        shares.append(step)
    else:
        key, case, amount, before, claim, rank = shares[index]
        shares[index] = (key, case, amount + step[2], before, claim, rank)
