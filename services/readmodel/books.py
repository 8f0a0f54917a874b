"""What all readers of the ledger know of a fund: its cases and pledges with sums and states, and which case each award is for.

As small as receipts need it, which are told of every pledge for ever. A reader that has more to say derives its own classes from these
and names them to its `Fund`; who tells of single awards derives from those in `awards`. Amounts are in the fund's minor units unless
named `face`. What is *promised* to a case counts what is *settled* (paid), and that what is *delivered*; and of every pledge

    amount = waiting + matched + released + refunded        where `paid` is a part of `matched`
"""

from __future__ import annotations

from collections.abc import Callable, Container
from sys import intern
from typing import Any, ClassVar, Generic, TypeVar

from schemas.values import CLASSES
from services.errors import UnknownRule

FactDict = dict[str, Any]


class Case:
    """One need; `rank` is its effective class as index into `CLASSES`."""

    __slots__ = ("claim", "delivered", "id", "outcome", "promised", "rank", "settled", "status")

    def __init__(self, fact: FactDict) -> None:
        self.id: str = fact["case"]
        self.claim: int = fact["goal"] - fact["own_contribution"]
        self.rank = CLASSES.index(fact["priority"])
        self.status = "submitted"
        self.outcome: str | None = None
        self.promised = self.settled = self.delivered = 0

    @property
    def lacks(self) -> int:
        """What the claim still lacks; only an open case lacks anything."""
        return max(0, self.claim - self.promised) if self.status == "open" else 0

    def vouch(self, voucher: str) -> None:
        """Somebody vouched for it; who it was is in no sum."""

    def restate(self, claim: int) -> None:
        """Change the claim."""
        self.claim = claim


class Pledge:
    """A promise or one instalment of it; `paid` is the paid part of what is matched.

    Attributes:
        amount: 0 until there is a rate.
        waiting: matched to nothing, paid or not.
        released: unpaid money given back; refunded: paid money given back.
        awards: what the fund keeps of its n-th award, at n - 1.
    """

    __slots__ = ("amount", "awards", "id", "paid", "refunded", "released", "waiting")

    def __init__(self, fact: FactDict, of: Pledge | None) -> None:
        self.id: str = fact["pledge"]
        self.amount = self.waiting = fact["amount"] or 0
        self.paid = self.released = self.refunded = 0
        self.awards: list[Any] = []

    @property
    def matched(self) -> int:
        """What of it stands as awards, paid or not."""
        return self.amount - self.waiting - self.released - self.refunded

    def grow(self, fact: FactDict) -> None:
        """It was paid beyond its amount, or is valued at last."""
        self.amount += fact["amount"]
        self.waiting += fact["amount"]

    def pay(self, fact: FactDict) -> None:
        """A payment came. What it settles is told by facts of its own."""


class Promise(Pledge):
    """A pledge with what its donor said, for readers that tell of it; `face_paid` are all payments, in its own currency."""

    __slots__ = ("currency", "designation", "donor", "face", "face_paid", "rate")

    def __init__(self, fact: FactDict, of: Promise | None) -> None:
        super().__init__(fact, of)
        self.donor: str = fact["donor"]
        self.face: int = fact["face"]
        self.currency = intern(fact["currency"])
        self.rate: str | None = fact["rate"]
        self.designation: dict[str, str] | None = of.designation if of else fact.get("designation")
        self.face_paid = 0

    def grow(self, fact: FactDict) -> None:
        super().grow(fact)
        self.rate = fact.get("rate") or self.rate

    def pay(self, fact: FactDict) -> None:
        self.face_paid += fact["face"]


C = TypeVar("C", bound=Case)
P = TypeVar("P", bound=Pledge)


class Fund(Generic[C, P]):
    """One fund; of its configuration it keeps the currency.

    Args:
        name: its id.
        case, pledge: what it makes these by, from the fact; of an instalment also the pledge it is of.
    """

    RULES: ClassVar[Container[str] | None] = None
    """The rules that the reader has words for; None if nothing it says depends on the rule."""

    def __init__(self, name: str, case: Callable[[FactDict], C], pledge: Callable[[FactDict, P | None], P]) -> None:
        self.name, self.currency = name, ""
        self.cases: dict[str, C] = {}
        self.pledges: dict[str, P] = {}
        self.new_case, self.new_pledge = case, pledge

    def configure(self, fact: FactDict) -> None:
        """Take a configuration.

        Raises:
            UnknownRule: if the reader has no words for its rule.
        """
        if self.RULES is not None and fact["rule"] not in self.RULES:
            raise UnknownRule.named(fact["rule"])
        self.currency = intern(fact["currency"])

    def new_award(self, _fact: FactDict, _pledge: P, case: C) -> Any:
        """What is kept of an award: here only its case."""
        return case

    def ends_of(self, award: str) -> tuple[P, C]:
        """The pledge and the case of an award (`<pledge>/<n>`)."""
        pledge, number = self._award(award)
        return pledge, pledge.awards[number]

    def _award(self, name: str) -> tuple[P, int]:
        """Its pledge, and its index among that pledge's."""
        pledge, _, number = name.rpartition("/")
        return self.pledges[pledge], int(number) - 1

    def case_of(self, fact: FactDict) -> C | None:
        """The case that a fact is about, by its own name or by its award's; None if there is none yet, or the fact is about none."""
        if "case" in fact:
            return self.cases.get(fact["case"])
        return self.ends_of(fact["award"])[1] if "award" in fact else None
