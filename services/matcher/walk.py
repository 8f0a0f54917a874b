"""The walk: how a pledge goes along the path that the rule lays down.

A claimant's steps never go back in `(key, order)`, so the steps of all claimants merge into one sorted path. That gives the short
cut for large pledges over small shares: find the highest key whose steps are all affordable by bisection, take them at once, and
walk only the rest. A walk changes nothing in the book that facts will not change again: it returns shares, and facts are told of
them.
"""

from __future__ import annotations

from heapq import heappop, heappush
from operator import itemgetter
from typing import NamedTuple

from services.matcher.book import Book, Claimant
from services.matcher.entities import Case
from services.matcher.rule import SCALE, boundary_of, key_of, level_of

_STEPS_BEFORE_BISECTION = 256


class Share(NamedTuple):
    """What one run of the rule gives to one case, and why.

    Attributes:
        key: the claimant's key at the first money for this case.
        order: the case's opening order.
        case: the case.
        amount: minor units, above zero.
        before: the claimant's awarded money before this case's first money; after it stands at `before + amount`.
        claim: the claimant's claim.
        rank: the class, as index into `CLASSES`.
    """

    key: int
    order: int
    case: Case
    amount: int
    before: int
    claim: int
    rank: int


def share_of_one(case: Case, amount: int, share: int, by_claim: bool) -> Share | None:
    """The run over a single case, as for a pledge designated to it; None if the case has no residual."""
    given = min(amount, case.residual)
    if given <= 0:
        return None
    key = key_of(boundary_of(case.awarded, case.claim, share), case.claim, by_claim)
    return Share(key, case.open_order, case, given, case.awarded, case.claim, case.rank)


def share_out(book: Book, amount: int) -> list[Share]:
    """Run the rule for `amount` minor units over the book's claims: classes strictly by urgency, then the path within.

    Returns:
        One share a case, in the order of the first money; their sum is the lesser of `amount` and all residuals.
    """
    shares: list[Share] = []
    for rank in (3, 2, 1, 0):
        if amount and book.residual[rank]:
            walk = _Walk(book, rank)
            amount = walk.give(amount)
            shares += walk.shares()
    return shares


class _Stand:
    """Where a claimant stands during one run: an overlay over the book, which facts alone may change."""

    __slots__ = ("_before", "_key", "awarded", "claimant", "index", "left", "shares")

    def __init__(self, claimant: Claimant) -> None:
        self.claimant = claimant
        self.awarded = claimant.awarded
        self.index = 0
        self.left = claimant.waiting[0][1].residual
        self.shares: list[Share] = []
        self._key: int | None = None  # of the first money for the case at `index`
        self._before = 0

    def give(self, amount: int, share: int, by_claim: bool) -> None:
        """Put money into the oldest cases with a residual, one after the other."""
        while amount:
            step = min(amount, self.left)
            if self._key is None:
                claim = self.claimant.claim
                self._key = key_of(boundary_of(self.awarded, claim, share), claim, by_claim)
                self._before = self.awarded
            self.left -= step
            self.awarded += step
            amount -= step
            if not self.left:
                self._close_share()
                self.index += 1
                if self.index < len(self.claimant.waiting):
                    self.left = self.claimant.waiting[self.index][1].residual

    def done(self) -> list[Share]:
        """The shares of this run, by case in opening order."""
        self._close_share()
        return self.shares

    def _close_share(self) -> None:
        if self._key is not None:
            claimant = self.claimant
            order, case = claimant.waiting[self.index]
            amount = self.awarded - self._before
            self.shares.append(Share(self._key, order, case, amount, self._before, claimant.claim, claimant.rank))
            self._key = None


class _Walk:
    """One run within one class: a walk along the merged path, step by step, with the bisection as short cut."""

    def __init__(self, book: Book, rank: int) -> None:
        self.book, self.rank = book, rank
        self.share, self.by_claim = book.share, book.by_claim
        self.touched: list[_Stand] = []
        self.live: list[tuple[int, int, _Stand]] = []  # keys of stands already touched in this run
        self.steps_max = _STEPS_BEFORE_BISECTION + 4 * book.claimants_waiting(rank)

    def give(self, amount: int) -> int:
        """Walk until the amount or the claims are used up; returns what is left."""
        steps = 0
        while amount:
            stand = self._next()
            if stand is None:
                return amount
            claimant = stand.claimant
            step = boundary_of(stand.awarded, claimant.claim, self.share) - stand.awarded
            step = min(amount, step, stand.left)
            stand.give(step, self.share, self.by_claim)
            amount -= step
            self._put(stand)
            steps += 1
            if steps == self.steps_max and amount:
                amount = self._leap(amount)
        return amount

    def shares(self) -> list[Share]:
        found: list[Share] = []
        for stand in self.touched:
            shares = stand.done()
            if not shares:  # taken from the book for a leap, but nothing reached it
                self.book.put(stand.claimant)
            found += shares
        found.sort(key=itemgetter(0, 1))
        return found

    def _next(self) -> _Stand | None:
        top = self.book.peek(self.rank)
        if self.live and (top is None or self.live[0][:2] < top[:2]):
            return heappop(self.live)[2]
        return self._take() if top is not None else None

    def _take(self) -> _Stand:
        stand = _Stand(self.book.take(self.rank))
        self.touched.append(stand)
        return stand

    def _put(self, stand: _Stand) -> None:
        claimant = stand.claimant
        if stand.awarded < claimant.claim:
            key = key_of(boundary_of(stand.awarded, claimant.claim, self.share), claimant.claim, self.by_claim)
            heappush(self.live, (key, claimant.waiting[stand.index][0], stand))

    def _leap(self, amount: int) -> int:
        """Serve at once every step up to the highest key that the amount pays for in full."""
        while self.book.peek(self.rank) is not None:
            stand = self._take()
            self.live.append((0, 0, stand))
        stands = [entry[2] for entry in self.live]
        if not stands:  # the claims of the class are just used up
            return amount
        share, by_claim = self.share, self.by_claim

        def cost(key: int) -> int:
            return sum(max(0, level_of(key, stand.claimant.claim, share, by_claim) - stand.awarded) for stand in stands)

        low, high = -1, SCALE if by_claim else max(stand.claimant.claim for stand in stands)
        while low < high:  # the greatest key with cost(key) <= amount; cost(-1) is 0
            middle = (low + high + 1) // 2
            low, high = (middle, high) if cost(middle) <= amount else (low, middle - 1)
        self.live.clear()
        for stand in stands:
            rise = max(0, level_of(low, stand.claimant.claim, share, by_claim) - stand.awarded)
            stand.give(rise, share, by_claim)
            amount -= rise
            self._put(stand)
        return amount
