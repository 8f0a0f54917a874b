"""What the notifier remembers of a fund, and what one entry changed: the fold that all readers share, with what notices need besides.

`Standing` holds cases, pledges and awards with what is promised, settled and delivered; `Happened` gathers what an entry's facts did,
so that a person hears one sum and not each step. Amounts are in the fund's minor units unless named `face`.

The hash chain says that an entry is the next, not that it is true. So sums that no ledger can have, and names given twice, end the
reading before anybody is told: a person would believe them.
"""

from __future__ import annotations

from collections import defaultdict
from sys import intern
from typing import Any

from schemas.currencies import DIGITS, convert
from schemas.values import PHRASES
from services.notifier.departures import Departures, End, Notices
from services.readmodel import awards
from services.readmodel.awards import Award
from services.readmodel.books import FactDict, Promise

THRESHOLDS = (100, 75, 50, 25)
"""Percentages of a claim that are news, highest first."""
_BASES = {"urgency-waterfill/1": "least-served", "first-come/1": "oldest", "guaranteed-floor/1": "least-served"}
"""The basis of each rule's choice, as notices name it."""

_NAMING = {"case_submitted", "pledge_accepted", "pledge_instalment"}
"""Facts that give a name, which nothing else may have."""


class Case(awards.Case):
    """One need. `told` is the highest threshold of the present claim that is known already, `told_of` the same for each claim."""

    __slots__ = ("beneficiary", "need", "texts", "told", "told_of", "vouchers")

    def __init__(self, fact: FactDict) -> None:
        super().__init__(fact)
        self.beneficiary: str = fact["beneficiary"]
        self.need = intern(fact["need"])
        self.told = 0
        self.told_of: dict[int, int] = {}
        self.vouchers: dict[str, None] = {}
        self.texts: list[str] = []  # ids of thanks in somebody's own words

    def tell(self, level: int) -> None:
        """Note that a threshold of the present claim is known."""
        self.told = self.told_of[self.claim] = level

    def vouch(self, voucher: str) -> None:
        self.vouchers[voucher] = None

    def restate(self, claim: int) -> None:
        """Change the claim. A higher one makes its thresholds news again, but for those it has reached, or had when it stood before."""
        raised = claim > self.claim
        super().restate(claim)
        known = min(self.told, self.level()) if raised else self.told
        self.told = max(known, self.told_of.get(claim, 0))

    def holds(self) -> bool:
        """Whether its sums can be (contract, 6: conservation)."""
        return 0 <= self.delivered <= self.settled <= self.promised <= self.claim

    def level(self) -> int:
        """The highest threshold that promised money has reached."""
        return self.part(self.promised)

    def part(self, amount: int) -> int:
        """The highest threshold that a sum reaches, 0 below the first; of nothing no part is ever reached."""
        if not self.claim:
            return 0
        return next((percent for percent in THRESHOLDS if amount * 100 >= percent * self.claim), 0)


class Pledge(Promise):
    """A promise, or one instalment. `due_told`: its donor was asked to pay.

    Attributes:
        delivered: how much of it was handed over.
        ended: it was withdrawn, or has expired.
        to_come: how many instalments may follow; None: any number.
        counted: whether it counts among what its donor has open; None: it is new.
    """

    __slots__ = ("counted", "delivered", "due_told", "ended", "to_come")

    def __init__(self, fact: FactDict, of: Pledge | None) -> None:
        super().__init__(fact, of)
        self.due_told = self.ended = False
        self.counted: bool | None = None
        self.delivered = 0
        recurrence = fact.get("recurrence") or {"times": 1}
        times = recurrence.get("times")
        self.to_come: int | None = None if times is None else times - 1
        if of is not None and of.to_come:
            of.to_come -= 1

    @property
    def is_open(self) -> bool:
        """Whether something of it waits, for money, a case, a delivery or a rate, or is still to come."""
        pending = not self.ended and (self.rate is None or self.to_come != 0)
        return pending or self.waiting > 0 or self.matched > self.delivered

    def holds(self) -> bool:
        """Whether its sums can be."""
        return self.waiting >= 0 and self.released >= 0 and self.refunded >= 0 and 0 <= self.paid <= self.matched

    @property
    def unpaid(self) -> int:
        """What is matched and not yet paid."""
        return self.matched - self.paid

    def face_due(self, home: str) -> int:
        """The least payment in the pledge's own currency, minor units, that pays what is due; at most what is left of the pledge.

        `home` is the fund's currency. Payments count by the floor of all of them together (contract, 5: foreign currency), so the
        due is rounded up.
        """
        assert self.rate is not None, "a pledge without a rate is never matched"
        paid = convert(self.face_paid, self.rate, self.currency, home)
        whole, _, fraction = self.rate.partition(".")
        shift = DIGITS[home] - DIGITS[self.currency] - len(fraction)
        numerator, denominator = int(whole + fraction) * 10 ** max(0, shift), 10 ** max(0, -shift)
        needed: int = -(-(paid + self.unpaid) * denominator // numerator) - self.face_paid
        return max(1, min(needed, self.face - self.face_paid))


Part = Award[Case, Pledge]
_ENDS = (Case, Pledge)


class Standing(awards.Fund[Case, Pledge, Part]):
    """A fund as the notifier knows it."""

    RULES = _BASES

    def __init__(self, name: str) -> None:
        super().__init__(name, Case, Pledge, Award)
        self.rule = ""
        self.departures = Departures()

    def configure(self, fact: FactDict) -> None:
        super().configure(fact)
        self.rule = intern(fact["rule"])
        self.departures.days = fact.get("forget_after_days", 0)

    def leave(self, happened: Happened, at: int) -> Notices:
        """Count what has begun and ended for whom; returns whose time has come.

        Args:
            at: the entry's time, microseconds since 1970.
        """
        for person in happened.begun:
            self.departures.begin(person)
        for case in happened.closed:
            self.departures.end(case.beneficiary, End(at, "beneficiary", case.id))
            for voucher in case.vouchers:
                self.departures.end(voucher, End(at, "go-between", case.id))
        for pledge in happened.touched:
            if not isinstance(pledge, Pledge):
                continue
            if not pledge.counted and (pledge.is_open or pledge.counted is None):
                pledge.counted = True
                self.departures.begin(pledge.donor)
            if not pledge.is_open and pledge.counted:
                pledge.counted = False
                self.departures.end(pledge.donor, End(at, "donor", pledge.id))
        return self.departures.due(at)

    def holds(self, about: str, name: str) -> bool:
        """Whether a person's word, or a text's id, came with an event about this case or pledge that was applied."""
        pledge, case = self.pledges.get(about), self.cases.get(about)
        if pledge is not None and pledge.donor == name:
            return True
        return case is not None and (name == case.beneficiary or name in case.vouchers or name in case.texts)

    def texts_of(self, person: str) -> list[str]:
        """The ids of all thanks in somebody's own words, for their cases."""
        return [text for case in self.cases.values() if case.beneficiary == person for text in case.texts]


class Happened:
    """What the facts of one command did to one fund."""

    def __init__(self) -> None:
        self.opened: list[tuple[Case, str]] = []  # with its class
        self.matched: list[tuple[Part, str, str]] = []  # with its class, and what the rule went by
        self.voided: set[Pledge] = set()
        self.settled: defaultdict[Pledge, int] = defaultdict(int)
        self.paid_out: defaultdict[Pledge, int] = defaultdict(int)
        self.needs_met: defaultdict[Pledge, set[str]] = defaultdict(set)
        self.delivered: defaultdict[Case, int] = defaultdict(int)
        self.thanked: list[tuple[Case, str]] = []
        self.released: defaultdict[Pledge, int] = defaultdict(int)
        self.refunded: defaultdict[Pledge, int] = defaultdict(int)
        self.moved: dict[Case, None] = {}
        self.begun: list[str] = []
        self.closed: list[Case] = []
        self.touched: dict[Case | Pledge, None] = {}

    def hold(self) -> None:
        """Raises ValueError if it left a case or a pledge with sums that can't be."""
        for one in self.touched:
            if not one.holds():
                raise ValueError("sums that can't be")

    def note(self, fund: Standing, fact: FactDict, about: Any) -> None:
        """Note what somebody may hear of, what has changed, and what has begun or ended; after the fact has taken effect."""
        if isinstance(about, Award):
            self.touched[about.case] = self.touched[about.pledge] = None
        elif isinstance(about, _ENDS):
            self.touched[about] = None
        match fact["fact"]:
            case "case_submitted":
                self.begun.append(about.beneficiary)
            case "case_vouched":
                self.begun.append(fact["voucher"])
            case "case_opened":
                self.opened.append((about, fact["class"]))
                self.moved[about] = None
            case "case_amended" | "case_renewed":
                self.moved[about] = None
            case "case_delivered":
                case = fund.cases[fact["case"]]
                self.touched[case] = None
                self.delivered[case] += fact["amount"]
                for award, part in about:
                    self.touched[award.pledge] = None
                    award.pledge.delivered += part
                    self.paid_out[award.pledge] += part
                    self.needs_met[award.pledge].add(award.case.need)
            case "case_thanked":
                self.thanked.append((fund.cases[fact["case"]], fact["thanks"]))
                if fact["thanks"] not in PHRASES:
                    fund.cases[fact["case"]].texts.append(fact["thanks"])
            case "case_closed":
                self.closed.append(about)
            case "awarded":
                basis = "floor" if fact["why"].get("stage") == "floor" else _BASES[fund.rule]
                self.matched.append((about, fact["why"]["class"], basis))
                self.moved[about.case] = None
            case "award_settled":
                self.settled[about.pledge] += fact["amount"]
            case "award_voided":
                # Moved to another case in this entry, it is no second payment.
                self.settled[about.pledge] -= fact["settled"]
                self.voided.add(about.pledge)
            case "released":
                self.released[about] += fact["amount"]
            case "refunded":
                self.refunded[about] += fact["amount"]
            case "pledge_withdrawn" | "pledge_expired":
                pledge = fund.pledges[fact["pledge"]]
                self.touched[pledge], pledge.ended = None, True
            case "pledge_instalment":
                self.touched[fund.pledges[fact["of"]]] = None


class Standings(awards.Fold[Standing]):
    """All funds; `happened` to each since it was last emptied."""

    def __init__(self) -> None:
        super().__init__(Standing)
        self.happened: dict[Standing, Happened] = {}

    def change(self, fund: Standing, fact: FactDict) -> Any:
        known = len(fund.cases) + len(fund.pledges)
        about = super().change(fund, fact)
        if fact["fact"] in _NAMING and len(fund.cases) + len(fund.pledges) == known:
            raise ValueError("a name given twice")
        if fund not in self.happened:
            self.happened[fund] = Happened()
        self.happened[fund].note(fund, fact, about)
        return about
