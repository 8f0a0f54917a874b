"""The book: who is next, kept ready while money comes and cases open, age and close.

For each class a heap of claimants by `(key, opening order of the oldest case with a residual)`. Entries are never searched for: a
claimant that changes gets a new entry with a new serial number, and old entries are dropped when they come to the top, so that a
pledge costs O(log n) however many cases are open. A fund has one book for the pool, and one for each need that a donor ever
designated. The book is derived from the cases alone and can be built anew at any time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import count

from services.matcher.entities import Case
from services.matcher.rule import boundary_of, key_of


class Claimant:
    """All open cases of one beneficiary in one class; claim and awarded are their sums (minor units).

    `waiting` holds `(opening order, case)` of those with a residual, oldest first. Splitting one need into many cases gains
    nothing, because the sums and not the cases are compared.
    """

    __slots__ = ("awarded", "beneficiary", "cases", "claim", "rank", "serial", "waiting")

    def __init__(self, rank: int, beneficiary: str) -> None:
        self.rank, self.beneficiary = rank, beneficiary
        self.cases = 0
        self.claim = self.awarded = 0
        self.serial = 0
        self.waiting: list[tuple[int, Case]] = []


Entry = tuple[int, int, int, Claimant]


class Book:
    """The claimants of one scope (the pool, or one need), ready for the rule.

    Args:
        share: the fund's step of the water-fill, minor units.
        by_claim: True for `weights="claim"`.
        cases: the open cases of the scope.
    """

    def __init__(self, share: int, by_claim: bool, cases: Iterable[Case]) -> None:
        self.share, self.by_claim = share, by_claim
        self.residual = [0, 0, 0, 0]
        self._heaps: list[list[Entry]] = [[], [], [], []]
        self._claimants: dict[tuple[int, str], Claimant] = {}
        self._waiting = [0, 0, 0, 0]
        self._serials = count(1)
        for case in cases:
            self.add(case)

    def any_residual(self) -> bool:
        """True while any claim of the scope is open."""
        return any(self.residual)

    def claimants_waiting(self, rank: int) -> int:
        """How many claimants of the class have a residual."""
        return self._waiting[rank]

    def add(self, case: Case) -> None:
        """Take in an open case, in its present class."""
        at = (case.rank, case.beneficiary)
        claimant = self._claimants.get(at)
        if claimant is None:
            claimant = self._claimants[at] = Claimant(*at)
        claimant.cases += 1
        self._shift(claimant, case, case.claim, case.awarded, was=0)

    def remove(self, case: Case) -> None:
        """Let go of a case, before its class or state changes."""
        at = (case.rank, case.beneficiary)
        claimant = self._claimants[at]
        claimant.cases -= 1
        residual = case.residual
        if residual:
            self._drop(claimant, case)
        claimant.claim -= case.claim
        claimant.awarded -= case.awarded
        self.residual[case.rank] -= residual
        claimant.serial = 0
        if claimant.cases:
            self.put(claimant)
        else:
            del self._claimants[at]

    def update(self, case: Case, claim: int, awarded: int, was: int) -> None:
        """Follow a change of a case's claim and awarded money, by the given amounts, after it happened.

        `was` is the residual before. Between the facts of a lowered goal the awards may stand above the claim; no money is
        matched until they no longer do.
        """
        self._shift(self._claimants[(case.rank, case.beneficiary)], case, claim, awarded, was)

    def peek(self, rank: int) -> Entry | None:
        """The entry of who is next in the class, or None."""
        heap = self._heaps[rank]
        while heap and heap[0][3].serial != heap[0][2]:
            heappop(heap)
        return heap[0] if heap else None

    def take(self, rank: int) -> Claimant:
        """Take out who is next; a fact about it, or `put`, brings it back.

        Raises:
            IndexError: if nobody waits in the class; ask `peek` first.
        """
        claimant = heappop(self._heaps[rank])[3]
        claimant.serial = 0
        return claimant

    def put(self, claimant: Claimant) -> None:
        """Give a claimant its present place."""
        if not claimant.waiting:
            claimant.serial = 0
            return
        claimant.serial = next(self._serials)
        boundary = boundary_of(claimant.awarded, claimant.claim, self.share)
        key = key_of(boundary, claimant.claim, self.by_claim)
        heap = self._heaps[claimant.rank]
        heappush(heap, (key, claimant.waiting[0][0], claimant.serial, claimant))
        if len(heap) > 64 + 4 * self._waiting[claimant.rank]:
            heap[:] = [entry for entry in heap if entry[3].serial == entry[2]]
            heapify(heap)

    def _shift(self, claimant: Claimant, case: Case, claim: int, awarded: int, was: int) -> None:
        claimant.claim += claim
        claimant.awarded += awarded
        residual = case.residual
        self.residual[case.rank] += residual - was
        if residual and not was:
            if not claimant.waiting:
                self._waiting[claimant.rank] += 1
            insort(claimant.waiting, (case.open_order, case))
        elif was and not residual:
            self._drop(claimant, case)
        self.put(claimant)

    def _drop(self, claimant: Claimant, case: Case) -> None:
        del claimant.waiting[bisect_left(claimant.waiting, (case.open_order,))]
        if not claimant.waiting:
            self._waiting[claimant.rank] -= 1
