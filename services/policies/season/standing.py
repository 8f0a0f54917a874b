"""What people in a season know of it: each case's and pledge's sums, by the facts alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class CaseStanding:
    """A case as its go-between knows it; sums in minor units, times in microseconds since 1970.

    Attributes:
        on_the_way: somebody is on the way to hand over what is paid; `ready_since`: since when it lies ready.
        fate: chances of death it can still bear, as of `fate_since`.
        fate_version: tells an outdated day of death.
    """

    id: str
    claim: int
    recurring: bool
    opened: bool = False
    closed: bool = False
    awarded: int = 0
    settled: int = 0
    delivered: int = 0
    deliveries: int = 0
    on_the_way: bool = False
    ready_since: int = 0
    fate: float = 0.0
    fate_since: int = 0
    fate_version: int = 0

    @property
    def lacks(self) -> bool:
        """Whether a part of its claim is promised by nobody."""
        return self.awarded < self.claim

    @property
    def whole(self) -> bool:
        """Whether all of its claim was handed over."""
        return self.delivered >= self.claim


@dataclass
class FundStanding:
    """A fund as its people know it.

    Attributes:
        faces: pledge → its sum in its own currency; `worth`: in the fund's; `released`: the part of that given back.
        asked: pledges whose donors were asked to pay; `ended`: those withdrawn or expired.
    """

    name: str
    cases: dict[str, CaseStanding] = field(default_factory=dict)
    awards: dict[str, str] = field(default_factory=dict)
    faces: dict[str, int] = field(default_factory=dict)
    worth: dict[str, int] = field(default_factory=dict)
    released: dict[str, int] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    def case_of(self, fact: dict[str, Any]) -> CaseStanding | None:
        """The case a fact is about, if it is known and the fact is about one."""
        name = fact.get("case") or self.awards.get(fact.get("award", ""))
        return self.cases.get(name) if name else None

    def still_due(self, pledge: str, face: int) -> int:
        """What of a payment is still to be made, in the pledge's currency, once a part of the pledge was given back."""
        worth = self.worth[pledge]
        return face * (worth - self.released.get(pledge, 0)) // worth if worth else face

    def take(self, fact: dict[str, Any]) -> None:
        """Take a fact in."""
        kind = fact["fact"]
        if kind == "case_submitted":
            claim = fact["goal"] - fact["own_contribution"]
            self.cases[fact["case"]] = CaseStanding(fact["case"], claim, fact.get("recurrence") is not None)
        elif kind in ("pledge_accepted", "pledge_instalment"):
            self.faces[fact["pledge"]], self.worth[fact["pledge"]] = fact["face"], fact["amount"] or 0
        elif kind == "released":
            self.released[fact["pledge"]] = self.released.get(fact["pledge"], 0) + fact["amount"]
        elif kind in ("pledge_withdrawn", "pledge_expired"):
            self.ended.add(fact["pledge"])
        elif case := self._moved(kind, fact):
            case.closed = case.closed or kind == "case_closed"

    def _moved(self, kind: str, fact: dict[str, Any]) -> CaseStanding | None:
        if kind == "awarded":
            self.awards[fact["award"]] = fact["case"]
        case = self.case_of(fact)
        if case is None:
            return None
        if kind == "awarded":
            case.awarded += fact["amount"]
        elif kind == "award_settled":
            case.settled += fact["amount"]
        elif kind == "award_voided":
            case.awarded -= fact["amount"]
            case.settled -= fact["settled"]
        elif kind == "case_delivered":
            case.delivered += fact["amount"]
        elif kind in ("case_opened", "case_amended", "case_renewed"):
            case.claim = fact["claim"]
            case.opened = True
        return case
