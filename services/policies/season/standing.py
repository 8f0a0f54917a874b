"""What people in a season know: each case's and pledge's sums, by the facts alone, and what they are about to do."""

from __future__ import annotations

from services.readmodel.books import Case, FactDict, Fund, Pledge


class CaseStanding(Case):
    """A case as its go-between knows it; sums in minor units, times in microseconds since 1970.

    Attributes:
        on_the_way: somebody is on the way to hand over what is paid; `ready_since`: since when it lies ready.
        fate: chances of death it can still bear, as of `fate_since`.
        fate_version: tells an outdated day of death.
    """

    def __init__(self, fact: FactDict) -> None:
        super().__init__(fact)
        self.recurring = fact.get("recurrence") is not None
        self.deliveries = self.ready_since = self.fate_since = self.fate_version = 0
        self.on_the_way = False
        self.fate = 0.0

    @property
    def closed(self) -> bool:
        """Whether its need has ended."""
        return self.status == "closed"

    @property
    def neglected(self) -> bool:
        """Whether nobody has promised a part of its claim, open or not."""
        return self.promised < self.claim

    @property
    def whole(self) -> bool:
        """Whether all of its claim was handed over."""
        return self.delivered >= self.claim


class PledgeStanding(Pledge):
    """A pledge as its donor knows it.

    Attributes:
        face: its sum in its own currency; `worth`: in the fund's, as it was accepted.
        asked: its donor was asked to pay; `ended`: it was withdrawn or has expired.
    """

    def __init__(self, fact: FactDict, of: PledgeStanding | None) -> None:
        super().__init__(fact, of)
        self.face: int = fact["face"]
        self.worth = self.amount
        self.asked = self.ended = False

    def still_due(self, face: int) -> int:
        """How much of a payment is still to be made, in the pledge's currency, once a part of the pledge was given back."""
        return face * (self.worth - self.released) // self.worth if self.worth else face


FundStanding = Fund[CaseStanding, PledgeStanding]
"""A fund as its people know it."""
