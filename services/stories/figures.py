"""What the ledger says of a fund, as figures: the books of all readers, with what the demo tells of besides.

Asked, promised, placed, settled and delivered are five things and never mixed:

    asked      what the cases claim (goal less own contribution; renewals and amendments included)
    promised   what donors pledged, valued in the fund's currency
    placed     the part of it that is awarded to cases, paid or not
    settled    the part of that which is paid
    delivered  the part of that which was handed over for care
    released   promised, and given back to the donor
    waiting    promised, and neither placed nor released
"""

from typing import Any

from schemas.times import parse
from schemas.values import CLASSES
from services.readmodel.books import Case, FactDict, Fund, Pledge
from services.readmodel.fold import Fold


class CaseFigures(Case):
    """One case; amounts in the fund's minor units, times in microseconds since 1970, None until they come."""

    def __init__(self, fact: FactDict) -> None:
        super().__init__(fact)
        self.beneficiary: str = fact["beneficiary"]
        self.need: str = fact["need"]
        self.own: int = fact["own_contribution"]
        self.opened_at: int | None = None
        self.funded_at: int | None = None

    @property
    def class_(self) -> str:
        """Its effective class."""
        return CLASSES[self.rank]


class FundFigures(Fund[CaseFigures, Pledge]):
    """One fund. `course`: (placed in all, placed by case) after each award, for plots."""

    def __init__(self, name: str) -> None:
        super().__init__(name, CaseFigures, Pledge)
        self.course: list[tuple[int, dict[str, int]]] = []

    def totals(self) -> dict[str, int]:
        """The seven sums of this module's head, in its order; minor units."""
        cases, pledges = self.cases.values(), self.pledges.values()
        return {
            "asked": sum(c.claim for c in cases),
            "promised": sum(p.amount for p in pledges),
            "placed": sum(c.promised for c in cases),
            "settled": sum(c.settled for c in cases),
            "delivered": sum(c.delivered for c in cases),
            "released": sum(p.released + p.refunded for p in pledges),
            "waiting": sum(p.waiting for p in pledges),
        }


class Figures(Fold[FundFigures]):
    """All funds of a ledger."""

    def __init__(self) -> None:
        super().__init__(FundFigures)
        self.entries = 0
        self.latest = 0  # microseconds since 1970
        self._at = 0

    def take(self, entry: FactDict, partition: int = 0) -> None:
        """Fold one entry (its value as decoded JSON); raises what `feed` does."""
        self._at = parse(entry["at"])
        self.entries += 1
        self.latest = max(self.latest, self._at)
        self.feed(partition, entry)

    def change(self, fund: FundFigures, fact: FactDict) -> Any:
        about = super().change(fund, fact)
        match fact["fact"]:
            case "case_opened":
                about.opened_at = self._at
            case "case_funded":
                funded = fund.cases[fact["case"]]
                funded.funded_at = self._at if funded.funded_at is None else funded.funded_at
            case "awarded":
                placed = {case.id: case.promised for case in fund.cases.values()}
                fund.course.append((sum(placed.values()), placed))
        return about
