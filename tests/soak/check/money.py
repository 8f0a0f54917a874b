"""Money: what the facts make of it, folded once more from the contract's words, with every sum looked at after every answer.

For every pledge: amount = waiting + awarded + settled + delivered + released + refunded, none of them below zero, and what was paid is
what is settled, delivered, refunded or waits paid. For every case: 0 ≤ delivered ≤ settled ≤ awarded ≤ claim. And nothing waits
beside a claim that it may go to. What waits is never told as such: it is what is left of the amount, so a unit lost or doubled
anywhere shows as a sum that can't be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

DIGITS = {"CNY": 2, "USD": 2, "EUR": 2, "KRW": 0, "JPY": 0, "KWD": 3, "BHD": 3}
"""ISO 4217 minor units of the currencies a soak knows."""
Fact = dict[str, Any]


class Impossible(Exception):
    """A fact that can't be, after those before it."""


@dataclass(eq=False)
class Award:
    pledge: Pledge
    case: Case
    amount: int
    settled: int = 0  # delivered money is settled too
    delivered: int = 0


@dataclass(eq=False)
class Case:
    id: str
    beneficiary: str
    need: str
    goal: int
    claim: int
    state: str = "submitted"
    awarded: int = 0
    settled: int = 0
    delivered: int = 0
    awards: list[Award] = field(default_factory=list)
    done: int = 0  # awards before this index are delivered in whole, or void
    vouchers: list[str] = field(default_factory=list)
    open_claim: int = 0  # as counted in the fund's
    told: int = 0  # see `tellings`
    told_of: dict[int, int] = field(default_factory=dict)


@dataclass(eq=False)
class Pledge:
    id: str
    donor: str
    face: int
    currency: str
    rate: str | None
    amount: int | None
    to_pool: bool
    face_paid: int = 0
    awarded: int = 0  # unsettled
    settled: int = 0  # undelivered
    delivered: int = 0
    released: int = 0
    refunded: int = 0
    awards_made: int = 0
    waits_for_pool: int = 0  # as counted in the fund's
    due_told: bool = False  # see `tellings`

    @property
    def waiting(self) -> int:
        parts = self.awarded + self.settled + self.delivered + self.released + self.refunded
        return (self.amount or 0) - parts


@dataclass
class Happened:
    """What one answer did to one fund, for those who tell of it."""

    opened: list[Case] = field(default_factory=list)
    moved: dict[Case, None] = field(default_factory=dict)
    awards: dict[str, Award] = field(default_factory=dict)
    settled: defaultdict[Pledge, int] = field(default_factory=lambda: defaultdict(int))
    delivered: defaultdict[Case, int] = field(default_factory=lambda: defaultdict(int))
    paid_out: defaultdict[Pledge, int] = field(default_factory=lambda: defaultdict(int))
    thanked: list[Case] = field(default_factory=list)
    released: defaultdict[Pledge, int] = field(default_factory=lambda: defaultdict(int))
    refunded: defaultdict[Pledge, int] = field(default_factory=lambda: defaultdict(int))
    ended: list[Pledge] = field(default_factory=list)
    paid: list[Pledge] = field(default_factory=list)
    touched: dict[Case | Pledge, None] = field(default_factory=dict)


class Fund:
    """A fund's books.

    Attributes:
        open_claims, pool_waiting: over all of it: what open cases still lack, and what waits and may go to any of them.

    """

    def __init__(self, name: str) -> None:
        self.name, self.currency = name, ""
        self.cases: dict[str, Case] = {}
        self.pledges: dict[str, Pledge] = {}
        self.awards: dict[str, Award] = {}
        self.open_claims = self.pool_waiting = 0

    def take(self, fact: Fact, happened: Happened) -> None:
        """Take in one fact.

        Raises:
            Impossible: if it can't be; the books are then not to be relied on.

        """
        change = _TAKE.get(fact["fact"])
        if change is None:
            return
        try:
            change(self, fact, happened)
        except KeyError as unknown:
            raise Impossible(f"{fact['fact']} speaks of {unknown}, which is not there") from None

    def value(self, pledge: Pledge, face: int) -> int:
        """A sum in a pledge's currency in the fund's minor units, floored."""
        if pledge.currency == self.currency:
            return face
        if pledge.rate is None:
            return 0
        worth = Fraction(face, 10 ** DIGITS[pledge.currency]) * Fraction(pledge.rate) * 10 ** DIGITS[self.currency]
        return worth.numerator // worth.denominator

    def sums(self, happened: Happened) -> list[tuple[str, str]]:
        """What does not hold after an answer: codes and words."""
        wrong: list[tuple[str, str]] = []
        for one in happened.touched:
            wrong += self._case(one) if isinstance(one, Case) else self._pledge(one)
        for pledge in happened.ended:
            if pledge.awarded or pledge.waiting > self._paid_waiting(pledge):
                wrong.append(("not_conserved", f"pledge {pledge.id} has ended, and something of it is unpaid"))
        for pledge in happened.paid:
            if pledge.awarded or pledge.waiting > self._paid_waiting(pledge):
                wrong.append(("impossible_fact", f"pledge {pledge.id} is told settled, and something of it is unpaid"))
        if self.open_claims > 0 and self.pool_waiting > 0:
            wrong.append(
                ("waits_beside_claim", f"{self.pool_waiting} wait in {self.name}, where {self.open_claims} are claimed")
            )
        return wrong

    def _paid_waiting(self, pledge: Pledge) -> int:
        return self.value(pledge, pledge.face_paid) - pledge.settled - pledge.delivered - pledge.refunded

    def _pledge(self, pledge: Pledge) -> list[tuple[str, str]]:
        waiting, paid_waiting = pledge.waiting, self._paid_waiting(pledge)
        waits_for_pool = waiting if pledge.to_pool else 0
        self.pool_waiting += waits_for_pool - pledge.waits_for_pool
        pledge.waits_for_pool = waits_for_pool
        if pledge.amount is None:
            paid_waiting = waiting
        parts = (pledge.awarded, pledge.settled, pledge.delivered, pledge.released, pledge.refunded)
        if min(parts) < 0 or not 0 <= paid_waiting <= waiting:
            text = (
                f"pledge {pledge.id}: amount {pledge.amount}, awarded {parts[0]}, settled {parts[1]}, delivered {parts[2]}, released "
                f"{parts[3]}, refunded {parts[4]}, so {waiting} would wait, {paid_waiting} of it paid"
            )
            return [("not_conserved", text)]
        return []

    def _case(self, case: Case) -> list[tuple[str, str]]:
        open_claim = case.claim - case.awarded if case.state == "open" else 0
        self.open_claims += open_claim - case.open_claim
        case.open_claim = open_claim
        wrong = []
        if not 0 <= case.delivered <= case.settled <= case.awarded <= max(case.claim, 0):
            text = f"case {case.id}: delivered {case.delivered}, settled {case.settled}, awarded {case.awarded}, claim {case.claim}"
            wrong.append(("over_allocated", text))
        if case.state != "open" and case.awarded != case.delivered:
            wrong.append(
                ("over_allocated", f"case {case.id} is {case.state} and holds {case.awarded - case.delivered}")
            )
        return wrong


def _fund_configured(fund: Fund, fact: Fact, _h: Happened) -> None:
    if fund.currency not in ("", fact["currency"]):
        raise Impossible(f"the currency of {fund.name} can't change")
    fund.currency = fact["currency"]


def _case_submitted(fund: Fund, fact: Fact, h: Happened) -> None:
    if fact["case"] in fund.cases:
        raise Impossible(f"case {fact['case']} is there already")
    goal = fact["goal"]
    case = Case(fact["case"], fact["beneficiary"], fact["need"], goal, goal - fact["own_contribution"])
    fund.cases[case.id] = case
    h.touched[case] = None


def _case_vouched(fund: Fund, fact: Fact, _h: Happened) -> None:
    fund.cases[fact["case"]].vouchers.append(fact["voucher"])


def _case_opened(fund: Fund, fact: Fact, h: Happened) -> None:
    case = fund.cases[fact["case"]]
    if case.state != "submitted" or fact["claim"] != case.claim:
        raise Impossible(f"case {case.id} ({case.state}) can't open with claim {fact['claim']}, not {case.claim}")
    case.state = "open"
    h.opened.append(case)
    h.moved[case] = h.touched[case] = None


def _case_amended(fund: Fund, fact: Fact, h: Happened) -> None:
    case = fund.cases[fact["case"]]
    goal = fact.get("goal", case.goal)
    _restate(case, fact, case.claim + goal - case.goal, h)
    case.goal = goal


def _case_renewed(fund: Fund, fact: Fact, h: Happened) -> None:
    case = fund.cases[fact["case"]]
    _restate(case, fact, case.claim + case.goal, h)


def _restate(case: Case, fact: Fact, claim: int, h: Happened) -> None:
    if fact["claim"] != claim or case.state == "closed":
        raise Impossible(f"case {case.id} ({case.state}) can't claim {fact['claim']}: {claim} follows")
    raised, case.claim = claim > case.claim, claim
    known = min(case.told, level(case)) if raised else case.told
    case.told = max(known, case.told_of.get(claim, 0))
    h.moved[case] = h.touched[case] = None


def level(case: Case) -> int:
    """The highest of 25, 50, 75, 100 per cent of its claim that a case has been awarded; 0 below."""
    return part(case, case.awarded)


def part(case: Case, amount: int) -> int:
    """The same of any sum."""
    if not case.claim:
        return 0
    return max((percent for percent in (25, 50, 75, 100) if amount * 100 >= percent * case.claim), default=0)


def _case_funded(fund: Fund, fact: Fact, _h: Happened) -> None:
    case = fund.cases[fact["case"]]
    if not fact["claim"] == case.claim == case.awarded:
        raise Impossible(f"case {case.id} is told funded with {case.awarded} of {case.claim}")


def _case_closed(fund: Fund, fact: Fact, h: Happened) -> None:
    case = fund.cases[fact["case"]]
    case.state = "closed"
    h.touched[case] = None


def _case_delivered(fund: Fund, fact: Fact, h: Happened) -> None:
    case, left = fund.cases[fact["case"]], fact["amount"]
    case.delivered += left
    h.delivered[case] += left
    h.touched[case] = None
    for award in case.awards[case.done :]:  # oldest first
        part = min(left, award.settled - award.delivered)
        award.delivered += part
        left -= part
        if part:
            award.pledge.settled -= part
            award.pledge.delivered += part
            h.paid_out[award.pledge] += part
            h.touched[award.pledge] = None
        if not left:
            break
    while case.done < len(case.awards) and case.awards[case.done].delivered == case.awards[case.done].amount:
        case.done += 1
    if left:
        raise Impossible(f"case {case.id}: {left} are delivered that were never settled")


def _case_thanked(fund: Fund, fact: Fact, h: Happened) -> None:
    h.thanked.append(fund.cases[fact["case"]])


def _pledge_accepted(fund: Fund, fact: Fact, h: Happened) -> None:
    if fact["pledge"] in fund.pledges:
        raise Impossible(f"pledge {fact['pledge']} is there already")
    origin = fund.pledges[fact["of"]] if fact["fact"] == "pledge_instalment" else None
    to_pool = origin.to_pool if origin else fact.get("designation") is None or fact.get("fallback", "pool") == "pool"
    pledge = Pledge(
        fact["pledge"], fact["donor"], fact["face"], fact["currency"], fact["rate"], fact["amount"], to_pool
    )
    if pledge.amount != (None if pledge.rate is None else fund.value(pledge, pledge.face)):
        raise Impossible(f"pledge {pledge.id} is not worth {pledge.amount}")
    fund.pledges[pledge.id] = pledge
    h.touched[pledge] = None


def _pledge_raised(fund: Fund, fact: Fact, h: Happened) -> None:
    pledge = fund.pledges[fact["pledge"]]
    if "rate" in fact:
        if pledge.amount is not None:
            raise Impossible(f"pledge {pledge.id} has a rate already")
        pledge.rate, pledge.amount = fact["rate"], fact["amount"]
        paid = fund.value(pledge, pledge.face_paid)
        if pledge.amount not in (paid, max(fund.value(pledge, pledge.face), paid)):
            raise Impossible(f"pledge {pledge.id} is not worth {pledge.amount}")
    else:
        pledge.amount = (pledge.amount or 0) + fact["amount"]
    h.touched[pledge] = None


def _payment_received(fund: Fund, fact: Fact, h: Happened) -> None:
    pledge = fund.pledges[fact["pledge"]]
    before, pledge.face_paid = pledge.face_paid, pledge.face_paid + fact["face"]
    grown = fund.value(pledge, pledge.face_paid) - fund.value(pledge, before)
    if fact["amount"] != (None if pledge.amount is None else grown):
        raise Impossible(f"a payment of {fact['face']} to pledge {pledge.id} is not {fact['amount']}")
    h.touched[pledge] = None


def _awarded(fund: Fund, fact: Fact, h: Happened) -> None:
    pledge, case, amount, why = fund.pledges[fact["pledge"]], fund.cases[fact["case"]], fact["amount"], fact["why"]
    pledge.awards_made += 1
    if fact["award"] != f"{pledge.id}/{pledge.awards_made}" or case.state != "open" or amount <= 0:
        raise Impossible(f"award {fact['award']} of {amount} to case {case.id} ({case.state})")
    if why["after"] - why["before"] != amount:
        raise Impossible(f"award {fact['award']} explains {why['after'] - why['before']}, not {amount}")
    award = Award(pledge, case, amount)
    fund.awards[fact["award"]] = h.awards[fact["award"]] = award
    case.awards.append(award)
    case.awarded += amount
    pledge.awarded += amount
    h.moved[case] = h.touched[case] = h.touched[pledge] = None


def _award_settled(fund: Fund, fact: Fact, h: Happened) -> None:
    award, amount = fund.awards[fact["award"]], fact["amount"]
    award.settled += amount
    if not 0 < award.settled <= award.amount:
        raise Impossible(f"award {fact['award']} has {award.settled} settled of {award.amount}")
    award.case.settled += amount
    award.pledge.awarded -= amount
    award.pledge.settled += amount
    h.settled[award.pledge] += amount
    h.touched[award.case] = h.touched[award.pledge] = None


def _award_voided(fund: Fund, fact: Fact, h: Happened) -> None:
    award, amount, settled = fund.awards[fact["award"]], fact["amount"], fact["settled"]
    if amount - settled > award.amount - award.settled or settled > award.settled - award.delivered or amount <= 0:
        raise Impossible(f"award {fact['award']} has no {amount} to void, {settled} of it settled")
    award.amount -= amount
    award.settled -= settled
    award.case.awarded -= amount
    award.case.settled -= settled
    award.pledge.awarded -= amount - settled
    award.pledge.settled -= settled
    h.settled[award.pledge] -= settled
    h.touched[award.case] = h.touched[award.pledge] = None


def _released(fund: Fund, fact: Fact, h: Happened) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.released += fact["amount"]
    h.released[pledge] += fact["amount"]
    h.touched[pledge] = None


def _refunded(fund: Fund, fact: Fact, h: Happened) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.refunded += fact["amount"]
    h.refunded[pledge] += fact["amount"]
    h.touched[pledge] = None


def _ended(fund: Fund, fact: Fact, h: Happened) -> None:
    pledge = fund.pledges[fact["pledge"]]
    h.ended.append(pledge)
    h.touched[pledge] = None


def _pledge_settled(fund: Fund, fact: Fact, h: Happened) -> None:
    h.paid.append(fund.pledges[fact["pledge"]])


_TAKE: dict[str, Callable[[Fund, Fact, Happened], None]] = {
    "fund_configured": _fund_configured,
    "case_submitted": _case_submitted,
    "case_vouched": _case_vouched,
    "case_opened": _case_opened,
    "case_amended": _case_amended,
    "case_renewed": _case_renewed,
    "case_funded": _case_funded,
    "case_closed": _case_closed,
    "case_delivered": _case_delivered,
    "case_thanked": _case_thanked,
    "pledge_accepted": _pledge_accepted,
    "pledge_instalment": _pledge_accepted,
    "pledge_raised": _pledge_raised,
    "payment_received": _payment_received,
    "awarded": _awarded,
    "award_settled": _award_settled,
    "award_voided": _award_voided,
    "released": _released,
    "refunded": _refunded,
    "pledge_withdrawn": _ended,
    "pledge_expired": _ended,
    "payment_failed": _ended,
    "pledge_settled": _pledge_settled,
}
"""The index of facts that move money or name what does."""
