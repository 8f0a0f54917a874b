"""The rule `first-come/1`: the oldest case first, whatever its class.

The next money goes to the open case with a residual that opened first, up to its whole claim. The claimant is the case, its key the
number of cases that opened before it. `share` and `weights` have no effect; classes are kept and told as ever, and decide nothing.
It is how most lists are worked off, and is here to be compared with.

What it keeps: the path depends on nothing but who opened when, and a pledge is merely how far one walks along it. So it is
*batch-invariant* and *house-monotone* like the water-fill; and since a part of a need stands no further ahead in the line than the
whole did, *splitting gains nothing*.

>>> from services.matcher.rules.example import give
>>> give("first-come/1", 30, "ana urgent 20", "bo urgent 20", "cho urgent 20")
[20, 10, 0]
>>> give("first-come/1", 30, "ana urgent 5", "ana urgent 15", "bo urgent 20", "cho urgent 20")  # ana, torn in two
[5, 15, 10, 0]

What it breaks, each by an example:

- *Urgency*: a class waits behind a lower one. A routine need that came a minute earlier takes all, and one that can't wait a day
  gets what is left.

>>> give("first-come/1", 100, "ana routine 100", "bo stat 100")
[100, 0]
>>> give("urgency-waterfill/1", 100, "ana routine 100", "bo stat 100")
[0, 100]

- *No claim starves while its class is served*: what goes before a small claim is as much as others ask, however little it asks
  itself. So an old need that recurs may take each month all that the month brings, and a younger one gets nothing for ever.

>>> give("first-come/1", 1_000_000, "ana asap 1000000", "bo asap 1")
[1000000, 0]
>>> give("urgency-waterfill/1", 1_000_000, "ana asap 1000000", "bo asap 1")
[999999, 1]
"""

from __future__ import annotations

from collections.abc import Iterable

from services.matcher.model.breach import ConservationBreach
from services.matcher.model.entities import Case
from services.matcher.rules.opening_order import Line
from services.matcher.rules.protocol import RuleBook, Share


class FirstCome(RuleBook):
    """The cases of one scope (the pool, or one need) that lack money, oldest first.

    Args:
        cases: the open cases of the scope.
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        self._line = Line()
        for case in cases:
            self.add(case)

    def any_residual(self) -> bool:
        """True while any claim of the scope is open."""
        return len(self._line) > 0

    def add(self, case: Case) -> None:
        """Take in an open case."""
        self._line.place(case, case.residual() > 0)

    def remove(self, case: Case) -> None:
        """Let go of a case, before its class or state changes."""
        self._line.leave(case)

    def update(self, case: Case, _claim: int, _awarded: int) -> None:
        """Follow a change of a case's claim and awarded money, after it happened."""
        self._line.place(case, case.residual() > 0)

    def share_out(self, amount: int) -> list[Share]:
        """Run the rule for `amount` minor units over the claims; the money moves at once, in the cases and in this book.

        Returns:
            One share a case, in the order of the first money; their sum is the lesser of `amount` and all residuals.
        """
        shares: list[Share] = []
        while amount and (case := self._line.first()) is not None:
            step = min(amount, case.residual())
            if step <= 0:  # a line that stands still would never end
                raise ConservationBreach(f"case {case.id}: it stands in line and lacks no money")
            shares.append(share_of(case, step))
            case.awarded += step
            amount -= step
            self._line.place(case, case.residual() > 0)
        return shares

    def share_of_one(self, case: Case, amount: int) -> Share | None:
        """What a pledge designated to a single case gives it, or None if the case has no residual; no money is moved here."""
        given = min(amount, case.residual())
        return share_of(case, given) if given else None


def share_of(case: Case, amount: int) -> Share:
    """A share whose claimant is the case itself, and whose key is its opening order."""
    return (case.open_order, case, amount, case.awarded, case.claim, case.rank)
