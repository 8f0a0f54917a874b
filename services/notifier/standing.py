"""What the notifier remembers of a fund, and what one entry changed: the fold of all readers, with what telling needs besides.

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
from services.readmodel import awards
from services.readmodel.awards import Award
from services.readmodel.books import FactDict, Promise

THRESHOLDS = (100, 75, 50, 25)
"""Percentages of a claim that are news, highest first."""
_BASES = {"urgency-waterfill/1": "least-served", "first-come/1": "oldest", "guaranteed-floor/1": "least-served"}
"""What each rule goes by, as notices name it."""

_NAMING = {"case_submitted", "pledge_accepted", "pledge_instalment"}
"""Facts that give a name, which nothing else may have."""


class Case(awards.Case):
    """One need. `told` is the highest threshold of the present claim that is known already, `told_of` the same for each claim."""

    __slots__ = ("beneficiary", "need", "told", "told_of", "vouchers")

    def __init__(self, fact: FactDict) -> None:
        super().__init__(fact)
        self.beneficiary: str = fact["beneficiary"]
        self.need = intern(fact["need"])
        self.told = 0
        self.told_of: dict[int, int] = {}
        self.vouchers: dict[str, None] = {}

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
        """The highest threshold that promised money has reached, 0 below the first; of nothing no part is ever reached."""
        if not self.claim:
            return 0
        return next((percent for percent in THRESHOLDS if self.promised * 100 >= percent * self.claim), 0)


class Pledge(Promise):
    """A promise, or one instalment. `due_told`: its donor was asked to pay."""

    __slots__ = ("due_told",)

    def __init__(self, fact: FactDict, of: Pledge | None) -> None:
        super().__init__(fact, of)
        self.due_told = False

    def holds(self) -> bool:
        """Whether its sums can be."""
        return self.waiting >= 0 and self.released >= 0 and self.refunded >= 0 and 0 <= self.paid <= self.matched

    @property
    def unpaid(self) -> int:
        """What is matched and not yet paid."""
        return self.matched - self.paid

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

    def configure(self, fact: FactDict) -> None:
        super().configure(fact)
        self.rule = intern(fact["rule"])


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
        self.touched: dict[Case | Pledge, None] = {}

    def hold(self) -> None:
        """Raises ValueError if it left a case or a pledge with sums that can't be."""
        for one in self.touched:
            if not one.holds():
                raise ValueError("sums that can't be")

    def note(self, fund: Standing, fact: FactDict, about: Any) -> None:
        """Note what somebody may hear of, once the fact took effect."""
        touched = self.touched
        if isinstance(about, Award):
            touched[about.case] = touched[about.pledge] = None
        elif isinstance(about, _ENDS):
            touched[about] = None
        elif fact["fact"] == "case_delivered":
            touched[fund.cases[fact["case"]]] = None
            touched.update((award.pledge, None) for award, _ in about)
        match fact["fact"]:
            case "awarded":
                why = fact["why"]
                basis = "floor" if why.get("stage") == "floor" else _BASES[fund.rule]
                self.matched.append((about, why["class"], basis))
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
            case "case_opened":
                self.opened.append((about, fact["class"]))
                self.moved[about] = None
            case "case_amended" | "case_renewed":
                self.moved[about] = None
            case "case_delivered":
                self.delivered[fund.cases[fact["case"]]] += fact["amount"]
                for award, part in about:
                    self.paid_out[award.pledge] += part
                    self.needs_met[award.pledge].add(award.case.need)
            case "case_thanked":
                self.thanked.append((fund.cases[fact["case"]], fact["thanks"]))


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
