"""The rule book: what every rule's book must be able to do.

A book always knows whose the next money is, for one scope of a fund: the pool, or one need. The engine reports every change to it and
asks it to share out money, but knows nothing of how a rule decides. `index` lists the books.
"""

from __future__ import annotations

from services.matcher.model.entities import Case

Share = tuple[int, Case, int, int, int, int]
"""What one run of the rule gives to one case, and why: `(key, case, amount, before, claim, class)`.

`key` is the claimant's at the first money for this case; `amount` is above zero; `before` is the claimant's awarded money before this
case's first money, `claim` its claim (minor units); `class` is an index into `CLASSES`.
"""
StagedShare = tuple[int, Case, int, int, int, int, str]
"""A share under a rule of several stages: as `Share`, and the stage that its first money came from."""


class RuleBook:
    """A rule, ready for one scope. It is derived from the scope's open cases alone and can be built anew at any time."""

    def any_residual(self) -> bool:
        """True while any claim of the scope is open."""
        raise NotImplementedError

    def add(self, case: Case) -> None:
        """Take in an open case, in its present class."""
        raise NotImplementedError

    def remove(self, case: Case) -> None:
        """Let go of a case, before its class or state changes."""
        raise NotImplementedError

    def update(self, case: Case, claim: int, awarded: int) -> None:
        """Follow a change of a case's claim and awarded money, by the given amounts, after it happened.

        Between the facts of a lowered goal the awards may stand above the claim; no money is matched until they no longer do.
        """
        raise NotImplementedError

    def share_out(self, amount: int) -> list[Share] | list[StagedShare]:
        """Run the rule for `amount` minor units over the claims.

        The money moves at once, in the cases and in this book; other books that hold the cases must be told by `update`.

        Returns:
            One share a case, in the order of the first money; their sum is the lesser of `amount` and all residuals.
        """
        raise NotImplementedError

    def share_of_one(self, case: Case, amount: int) -> Share | StagedShare | None:
        """What a pledge designated to a single case gives it, or None if the case has no residual; no money is moved here."""
        raise NotImplementedError
