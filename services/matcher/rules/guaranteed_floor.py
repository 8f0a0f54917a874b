"""The rule `guaranteed-floor/1`: something for everyone first, then by urgency.

Two stages. *Floor*: every open case gets `min(claim, share)`, oldest case first, whatever its class; the claimant is the case, its key
the number of cases that opened before it. *Class*: what is left goes by `urgency-waterfill/1` to the letter, where claimants are all
open cases of one beneficiary in a class. A case that opens while others are far above their floors is served first, up to its own.

What it keeps: whose the next money is depends on what each case has and on nothing else, so a pledge is merely how far one walks
along a path; hence it is *batch-invariant* and *house-monotone*. *No claim starves*: a case has its floor once as many shares have
been given as there are open cases, and above the floors its class is served as by the water-fill.

What it breaks, each by an example (share 10):

- *Urgency*: while floors are given a class waits behind a lower one, and what a floor was given for is missing above it.

>>> from services.matcher.rules.example import give
>>> give("guaranteed-floor/1", 20, "ana routine 50", "bo stat 20", share=10)
[10, 10]
>>> give("urgency-waterfill/1", 20, "ana routine 50", "bo stat 20", share=10)
[0, 20]

- *Splitting a need gains*: each case has a floor of its own. A need of 40 torn in four gets all there is; whole, it gets a half.

>>> give("guaranteed-floor/1", 40, "ana urgent 40", "bo urgent 40", share=10)
[20, 20]
>>> give("guaranteed-floor/1", 40, *["ana urgent 10"] * 4, "bo urgent 40", share=10)
[10, 10, 10, 10, 0]

So it asks for somebody who sees to it that one need is one case; vouchers are the place for that.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.matcher.model.breach import ConservationBreach
from services.matcher.model.entities import Case
from services.matcher.rules.first_come import share_of
from services.matcher.rules.opening_order import Line
from services.matcher.rules.protocol import RuleBook, StagedShare
from services.matcher.rules.waterfill import Book


class GuaranteedFloor(RuleBook):
    """The cases of one scope (the pool, or one need): those below their floor in line, and all of them in the water-fill's book.

    Args:
        share: the floor of a case that asks for as much, and the water-fill's step; minor units.
        by_claim: True for `weights="claim"`, in the second stage.
        cases: the open cases of the scope.
    """

    def __init__(self, share: int, by_claim: bool, cases: Iterable[Case]) -> None:
        self._share = share
        self._below = Line()
        self._by_class = Book(share, by_claim, ())
        for case in cases:
            self.add(case)

    def any_residual(self) -> bool:
        """True while any claim of the scope is open."""
        return self._by_class.any_residual()

    def add(self, case: Case) -> None:
        """Take in an open case, in its present class."""
        self._by_class.add(case)
        self._below.place(case, self._lacks_of_floor(case) > 0)

    def remove(self, case: Case) -> None:
        """Let go of a case, before its class or state changes."""
        self._by_class.remove(case)
        self._below.leave(case)

    def update(self, case: Case, claim: int, awarded: int) -> None:
        """Follow a change of a case's claim and awarded money, after it happened."""
        self._by_class.update(case, claim, awarded)
        self._below.place(case, self._lacks_of_floor(case) > 0)

    def share_out(self, amount: int) -> list[StagedShare]:
        """Run the rule for `amount` minor units over the claims; the money moves at once, in the cases and in this book.

        Returns:
            One share a case, in the order of the first money; their sum is the lesser of `amount` and all residuals.
        """
        shares, amount = self._raise_to_floors(amount)
        if not amount:
            return shares
        place = {share[1]: index for index, share in enumerate(shares)}
        for key, case, part, before, claim, rank in self._by_class.share_out(amount):
            if case in place:  # one share a case, with the reason of its first money
                first = shares[place[case]]
                shares[place[case]] = (*first[:2], first[2] + part, *first[3:])
            else:
                shares.append((key, case, part, before, claim, rank, "class"))
        return shares

    def share_of_one(self, case: Case, amount: int) -> StagedShare | None:
        """What a pledge designated to a single case gives it, or None if the case has no residual; no money is moved here."""
        given = min(amount, case.residual())
        if not given:
            return None
        if self._lacks_of_floor(case) > 0:
            return (*share_of(case, given), "floor")
        share = self._by_class.share_of_one(case, amount)
        return share and (*share, "class")

    def _raise_to_floors(self, amount: int) -> tuple[list[StagedShare], int]:
        """Give floors, oldest case first, until all have theirs or the money is used up; the shares, and what is left."""
        shares: list[StagedShare] = []
        while amount and (case := self._below.first()) is not None:
            step = min(amount, self._lacks_of_floor(case))
            if step <= 0:  # a line that stands still would never end
                raise ConservationBreach(f"case {case.id}: it stands in line and lacks nothing of its floor")
            shares.append((*share_of(case, step), "floor"))
            case.awarded += step
            self.update(case, 0, step)
            amount -= step
        return shares, amount

    def _lacks_of_floor(self, case: Case) -> int:
        return min(case.claim, self._share) - case.awarded
