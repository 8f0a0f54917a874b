"""What the ledger says of a fund, as figures: a small read model, folded from entries alone.

It is written from the contract and shares nothing with the engine, so that what it adds up is a second opinion. Asked, promised,
placed, settled and delivered are five things and never mixed:

    asked      what the cases claim (goal less own contribution; renewals and amendments included)
    promised   what donors pledged, valued in the fund's currency
    placed     the part of it that is awarded to cases, paid or not
    settled    the part of that which is paid
    delivered  the part of that which was handed over for care
    released   promised, and given back to the donor
    waiting    promised, and neither placed nor released
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from schemas.times import parse

FactDict = dict[str, Any]


@dataclass
class CaseFigures:
    """One case; amounts in the fund's minor units, times in microseconds since 1970, None until they come."""

    case: str
    beneficiary: str
    need: str
    access: dict[str, str] | None
    goal: int
    own: int
    claim: int
    submitted_at: int
    class_: str
    status: str = "submitted"
    outcome: str | None = None
    opened_at: int | None = None
    funded_at: int | None = None
    placed: int = 0
    settled: int = 0
    delivered: int = 0


@dataclass
class PledgeFigures:
    """One pledge or instalment; `released` counts what was refunded too."""

    pledge: str
    donor: str
    amount: int
    released: int = 0


@dataclass
class _Award:
    case: CaseFigures
    pledge: str
    amount: int
    settled: int = 0


@dataclass
class FundFigures:
    """One fund. `course`: (placed in all, placed by case) after each award, for plots."""

    fund: str
    currency: str = ""
    cases: dict[str, CaseFigures] = field(default_factory=dict)
    pledges: dict[str, PledgeFigures] = field(default_factory=dict)
    course: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    _awards: dict[str, _Award] = field(default_factory=dict)

    def totals(self) -> dict[str, int]:
        """The seven sums of this module's head, in its order; minor units."""
        cases, pledges = self.cases.values(), self.pledges.values()
        promised, placed = sum(p.amount for p in pledges), sum(c.placed for c in cases)
        released = sum(p.released for p in pledges)
        return {
            "asked": sum(c.claim for c in cases),
            "promised": promised,
            "placed": placed,
            "settled": sum(c.settled for c in cases),
            "delivered": sum(c.delivered for c in cases),
            "released": released,
            "waiting": promised - placed - released,
        }


class Figures:
    """All funds of a ledger. Entries of one partition must come in order; partitions may be mixed."""

    def __init__(self) -> None:
        self.funds: dict[str, FundFigures] = {}
        self.entries = 0
        self.latest = 0  # microseconds since 1970

    def take(self, entry: FactDict) -> None:
        """Fold one entry (its value as decoded JSON)."""
        at = parse(entry["at"])
        self.entries += 1
        self.latest = max(self.latest, at)
        self.take_facts(entry["fund"], at, entry["facts"])

    def take_facts(self, fund: str | None, at: int, facts: Iterable[FactDict]) -> None:
        """Fold facts told at a time, microseconds since 1970; `fund` is None where each fact names its own."""
        for fact in facts:
            name = fact.get("fund") or fund
            if name is None:
                continue
            figures = self.funds.get(name)
            if figures is None:
                figures = self.funds[name] = FundFigures(name)
            if fold := FOLD.get(fact["fact"]):
                fold(figures, fact, at)


def _fund_configured(fund: FundFigures, fact: FactDict, _at: int) -> None:
    fund.currency = fact["currency"]


def _case_submitted(fund: FundFigures, fact: FactDict, at: int) -> None:
    goal, own = fact["goal"], fact["own_contribution"]
    fund.cases[fact["case"]] = CaseFigures(
        fact["case"], fact["beneficiary"], fact["need"], fact.get("access"), goal, own, goal - own, at, fact["priority"]
    )


def _case_opened(fund: FundFigures, fact: FactDict, at: int) -> None:
    case = fund.cases[fact["case"]]
    case.status, case.opened_at, case.class_ = "open", at, fact["class"]


def _case_escalated(fund: FundFigures, fact: FactDict, _at: int) -> None:
    fund.cases[fact["case"]].class_ = fact["to"]


def _case_claims(fund: FundFigures, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    case.claim, case.class_ = fact["claim"], fact["class"]


def _case_funded(fund: FundFigures, fact: FactDict, at: int) -> None:
    case = fund.cases[fact["case"]]
    case.funded_at = at if case.funded_at is None else case.funded_at


def _case_delivered(fund: FundFigures, fact: FactDict, _at: int) -> None:
    fund.cases[fact["case"]].delivered += fact["amount"]


def _case_closed(fund: FundFigures, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    case.status, case.outcome = "closed", fact["outcome"]


def _pledge(fund: FundFigures, fact: FactDict, _at: int) -> None:
    fund.pledges[fact["pledge"]] = PledgeFigures(fact["pledge"], fact["donor"], fact["amount"] or 0)


def _pledge_raised(fund: FundFigures, fact: FactDict, _at: int) -> None:
    fund.pledges[fact["pledge"]].amount += fact["amount"]


def _released(fund: FundFigures, fact: FactDict, _at: int) -> None:
    fund.pledges[fact["pledge"]].released += fact["amount"]


def _awarded(fund: FundFigures, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    fund._awards[fact["award"]] = _Award(case, fact["pledge"], fact["amount"])
    case.placed += fact["amount"]
    fund.course.append((sum(c.placed for c in fund.cases.values()), {c.case: c.placed for c in fund.cases.values()}))


def _award_settled(fund: FundFigures, fact: FactDict, _at: int) -> None:
    award = fund._awards[fact["award"]]
    award.settled += fact["amount"]
    award.case.settled += fact["amount"]


def _award_voided(fund: FundFigures, fact: FactDict, _at: int) -> None:
    award = fund._awards[fact["award"]]
    award.amount -= fact["amount"]
    award.settled -= fact["settled"]
    award.case.placed -= fact["amount"]
    award.case.settled -= fact["settled"]


FOLD: dict[str, Callable[[FundFigures, FactDict, int], None]] = {
    "fund_configured": _fund_configured,
    "case_submitted": _case_submitted,
    "case_opened": _case_opened,
    "case_escalated": _case_escalated,
    "case_amended": _case_claims,
    "case_renewed": _case_claims,
    "case_funded": _case_funded,
    "case_delivered": _case_delivered,
    "case_closed": _case_closed,
    "pledge_accepted": _pledge,
    "pledge_instalment": _pledge,
    "pledge_raised": _pledge_raised,
    "released": _released,
    "refunded": _released,
    "awarded": _awarded,
    "award_settled": _award_settled,
    "award_voided": _award_voided,
}
"""Fact → what it changes in the figures; the rest changes none."""
