"""What the notifier remembers of a fund, and what one entry changed: a fold over facts, kept as small as telling needs.

`Standing` holds cases, pledges and awards with what is promised, settled and delivered; `Happened` gathers what an entry's facts did,
so that a person hears one sum and not each step. The fold follows the contract's wording of the facts; it shares no code with the
matcher, and decides nothing. Amounts are in the fund's minor units unless named `face`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from schemas.currencies import DIGITS, convert

FactDict = dict[str, Any]
THRESHOLDS = (100, 75, 50, 25)
"""Percentages of a claim that are news, highest first."""


class Case:
    """One need. `told` is the highest threshold of the present claim that is known already, `told_of` the same for each claim."""

    __slots__ = (
        "awarded", "awards", "beneficiary", "claim", "class_", "delivered", "id", "need", "open", "settled", "told", "told_of",
        "vouchers",
    )  # fmt: skip

    def __init__(self, fact: FactDict) -> None:
        self.id: str = fact["case"]
        self.beneficiary: str = fact["beneficiary"]
        self.need: str = fact["need"]
        self.claim: int = fact["goal"] - fact["own_contribution"]
        self.class_: str = fact["priority"]
        self.awarded = self.settled = self.delivered = self.told = 0
        self.open = False
        self.told_of: dict[int, int] = {}
        self.vouchers: dict[str, None] = {}
        self.awards: dict[str, Award] = {}

    def tell(self, level: int) -> None:
        """Note that a threshold of the present claim is known."""
        self.told = self.told_of[self.claim] = level

    def restate(self, claim: int) -> None:
        """Change the claim. A higher one makes its thresholds news again, but for those it has reached, or had when it stood before."""
        raised = claim > self.claim
        self.claim = claim
        known = min(self.told, self.level()) if raised else self.told
        self.told = max(known, self.told_of.get(claim, 0))

    def level(self) -> int:
        """The highest threshold that awarded money has reached, 0 below the first; of nothing no part is ever reached."""
        if not self.claim:
            return 0
        return next((percent for percent in THRESHOLDS if self.awarded * 100 >= percent * self.claim), 0)


class Pledge:
    """A promise, or one instalment. `unpaid` is what is matched and not yet paid; `face_paid` all payments, in its own currency."""

    __slots__ = ("amount", "currency", "designation", "donor", "due_told", "face", "face_paid", "id", "rate", "unpaid")

    def __init__(self, fact: FactDict, designation: FactDict | None) -> None:
        self.id: str = fact["pledge"]
        self.donor: str = fact["donor"]
        self.amount: int = fact["amount"] or 0
        self.face: int = fact["face"]
        self.currency: str = fact["currency"]
        self.rate: str | None = fact["rate"]
        self.designation = designation or {}
        self.unpaid = self.face_paid = 0
        self.due_told = False

    def face_due(self, home: str) -> int:
        """The least payment in the pledge's own currency, minor units, that pays what is due; at most what is left of the pledge.

        `home` is the fund's currency. Payments count by the floor of all of them together (contract, 5: fine print), so the due is
        rounded up.
        """
        assert self.rate is not None, "a pledge without a rate is never matched"
        paid = convert(self.face_paid, self.rate, self.currency, home)
        whole, _, fraction = self.rate.partition(".")
        shift = DIGITS[home] - DIGITS[self.currency] - len(fraction)
        numerator, denominator = int(whole + fraction) * 10 ** max(0, shift), 10 ** max(0, -shift)
        needed = -(-(paid + self.unpaid) * denominator // numerator) - self.face_paid
        return max(1, min(needed, self.face - self.face_paid))


class Award:
    """A part of a pledge for a case; `settled` counts what is delivered too."""

    __slots__ = ("amount", "case", "delivered", "pledge", "settled")

    def __init__(self, pledge: Pledge, case: Case, amount: int) -> None:
        self.pledge, self.case, self.amount = pledge, case, amount
        self.settled = self.delivered = 0


class Happened:
    """What the facts of one command did to one fund."""

    def __init__(self) -> None:
        self.opened: list[Case] = []
        self.matched: dict[str, tuple[Award, str, str]] = {}  # with its class, and what the rule went by
        self.voided: set[Pledge] = set()
        self.settled: defaultdict[Pledge, int] = defaultdict(int)
        self.paid_out: defaultdict[Pledge, int] = defaultdict(int)
        self.needs_met: defaultdict[Pledge, set[str]] = defaultdict(set)
        self.delivered: defaultdict[Case, int] = defaultdict(int)
        self.thanked: list[tuple[Case, str]] = []
        self.released: defaultdict[Pledge, int] = defaultdict(int)
        self.refunded: defaultdict[Pledge, int] = defaultdict(int)
        self.moved: dict[Case, None] = {}


class Standing:
    """A fund as the notifier knows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.currency = self.rule = ""
        self.cases: dict[str, Case] = {}
        self.pledges: dict[str, Pledge] = {}
        self.awards: dict[str, Award] = {}

    def apply(self, fact: FactDict, happened: Happened) -> None:
        """Take in one fact. Facts that change nothing here, also those of a later contract, pass by.

        Raises:
            KeyError: if the fact speaks of what no fact before it made.
        """
        change = APPLY.get(fact["fact"])
        if change is not None:
            change(self, fact, happened)


def _fund_configured(fund: Standing, fact: FactDict, _: Happened) -> None:
    fund.currency, fund.rule = fact["currency"], fact["rule"]


def _case_submitted(fund: Standing, fact: FactDict, _: Happened) -> None:
    fund.cases[fact["case"]] = Case(fact)


def _case_vouched(fund: Standing, fact: FactDict, _: Happened) -> None:
    fund.cases[fact["case"]].vouchers[fact["voucher"]] = None


def _case_opened(fund: Standing, fact: FactDict, happened: Happened) -> None:
    case = fund.cases[fact["case"]]
    case.open, case.claim, case.class_ = True, fact["claim"], fact["class"]
    happened.opened.append(case)
    happened.moved[case] = None


def _case_restated(fund: Standing, fact: FactDict, happened: Happened) -> None:
    case = fund.cases[fact["case"]]
    case.restate(fact["claim"])
    happened.moved[case] = None


def _case_delivered(fund: Standing, fact: FactDict, happened: Happened) -> None:
    case, left = fund.cases[fact["case"]], fact["amount"]
    case.delivered += left
    happened.delivered[case] += left
    for award in case.awards.values():  # oldest first
        part = min(left, award.settled - award.delivered)
        if part:
            award.delivered += part
            happened.paid_out[award.pledge] += part
            happened.needs_met[award.pledge].add(case.need)
            left -= part
            if not left:
                break


def _case_thanked(fund: Standing, fact: FactDict, happened: Happened) -> None:
    happened.thanked.append((fund.cases[fact["case"]], fact["thanks"]))


def _case_closed(fund: Standing, fact: FactDict, _: Happened) -> None:
    fund.cases[fact["case"]].open = False


def _pledge_accepted(fund: Standing, fact: FactDict, _: Happened) -> None:
    fund.pledges[fact["pledge"]] = Pledge(fact, fact.get("designation"))


def _pledge_instalment(fund: Standing, fact: FactDict, _: Happened) -> None:
    fund.pledges[fact["pledge"]] = Pledge(fact, fund.pledges[fact["of"]].designation)


def _pledge_raised(fund: Standing, fact: FactDict, _: Happened) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.amount += fact["amount"]
    pledge.rate = fact.get("rate", pledge.rate)


def _payment_received(fund: Standing, fact: FactDict, _: Happened) -> None:
    fund.pledges[fact["pledge"]].face_paid += fact["face"]


def _awarded(fund: Standing, fact: FactDict, happened: Happened) -> None:
    pledge, case, amount = fund.pledges[fact["pledge"]], fund.cases[fact["case"]], fact["amount"]
    award = Award(pledge, case, amount)
    fund.awards[fact["award"]] = case.awards[fact["award"]] = award
    pledge.unpaid += amount
    case.awarded += amount
    happened.matched[fact["award"]] = award, fact["why"]["class"], _basis(fund.rule, fact["why"])
    happened.moved[case] = None


def _basis(rule: str, why: FactDict) -> str:
    """What the fund's rule went by, as notices name it."""
    if rule == "first-come/1":
        return "oldest"
    return "floor" if why.get("stage") == "floor" else "least-served"


def _award_settled(fund: Standing, fact: FactDict, happened: Happened) -> None:
    award, amount = fund.awards[fact["award"]], fact["amount"]
    award.settled += amount
    award.case.settled += amount
    award.pledge.unpaid -= amount
    happened.settled[award.pledge] += amount


def _award_voided(fund: Standing, fact: FactDict, happened: Happened) -> None:
    award, amount, settled = fund.awards[fact["award"]], fact["amount"], fact["settled"]
    award.amount -= amount
    award.settled -= settled
    award.case.awarded -= amount
    award.case.settled -= settled
    award.pledge.unpaid -= amount - settled
    happened.settled[award.pledge] -= settled  # moved to another case in this entry, it is no second payment
    happened.voided.add(award.pledge)
    if not award.amount:
        del fund.awards[fact["award"]], award.case.awards[fact["award"]]


def _released(fund: Standing, fact: FactDict, happened: Happened) -> None:
    happened.released[fund.pledges[fact["pledge"]]] += fact["amount"]


def _refunded(fund: Standing, fact: FactDict, happened: Happened) -> None:
    happened.refunded[fund.pledges[fact["pledge"]]] += fact["amount"]


APPLY: dict[str, Callable[[Standing, FactDict, Happened], None]] = {
    "fund_configured": _fund_configured,
    "case_submitted": _case_submitted,
    "case_vouched": _case_vouched,
    "case_opened": _case_opened,
    "case_amended": _case_restated,
    "case_renewed": _case_restated,
    "case_delivered": _case_delivered,
    "case_thanked": _case_thanked,
    "case_closed": _case_closed,
    "pledge_accepted": _pledge_accepted,
    "pledge_instalment": _pledge_instalment,
    "pledge_raised": _pledge_raised,
    "payment_received": _payment_received,
    "awarded": _awarded,
    "award_settled": _award_settled,
    "award_voided": _award_voided,
    "released": _released,
    "refunded": _refunded,
}
"""The index of facts that matter here: name → what it changes."""
