"""Awards one by one, on top of the books, for readers that tell of single awards: what of each stands, is paid, was handed over.

A delivery hands over the settled money of the oldest awards first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from services.readmodel import books, fold
from services.readmodel.books import FactDict, Pledge


class Case(books.Case):
    """A case that knows its awards, oldest first; of those voided whole only some."""

    __slots__ = ("_voided", "awards")

    def __init__(self, fact: FactDict) -> None:
        super().__init__(fact)
        self.awards: list[Any] = []
        self._voided = 0

    def forget_voided(self) -> None:
        """One more award was voided whole. They go once they are half of all: one by one, each would cost a search."""
        self._voided += 1
        if 2 * self._voided > len(self.awards):
            self.awards, self._voided = [award for award in self.awards if award.amount], 0


C = TypeVar("C", bound=Case)
P = TypeVar("P", bound=Pledge)
A = TypeVar("A", bound="Award[Any, Any]")


class Award(Generic[C, P]):
    """A part of a pledge for a case: what of it stands, the paid part of that, and the part of that which was handed over."""

    __slots__ = ("amount", "case", "delivered", "pledge", "settled")

    def __init__(self, fact: FactDict, pledge: P, case: C) -> None:
        self.pledge, self.case = pledge, case
        self.amount: int = fact["amount"]
        self.settled = self.delivered = 0


class Fund(books.Fund[C, P], Generic[C, P, A]):
    """A fund that keeps its awards; arguments as `books.Fund` has them, and what it makes awards by."""

    KEEPS_VOIDED: ClassVar[bool] = False
    """Whether a pledge keeps awards that were voided whole; otherwise None stands for them."""

    def __init__(
        self,
        name: str,
        case: Callable[[FactDict], C],
        pledge: Callable[[FactDict, P | None], P],
        award: Callable[[FactDict, P, C], A],
    ) -> None:
        super().__init__(name, case, pledge)
        self._make_award = award

    def new_award(self, fact: FactDict, pledge: P, case: C) -> A:
        award = self._make_award(fact, pledge, case)
        case.awards.append(award)
        return award

    def ends_of(self, award: str) -> tuple[P, C]:
        found = self.award(award)
        return found.pledge, found.case

    def award(self, name: str) -> A:
        """The award of this id."""
        pledge, number = self._award(name)
        found: A = pledge.awards[number]
        return found


def shares_of_delivery(case: Case, amount: int) -> list[tuple[Any, int]]:
    """Which awards a delivery of `amount` uses, and how much of each: settled money, oldest first."""
    shares = []
    for award in case.awards:
        part = min(amount, award.settled - award.delivered)
        if part:
            shares.append((award, part))
            amount -= part
            if not amount:
                break
    return shares


def _case_delivered(fund: Fund[C, P, A], fact: FactDict) -> list[tuple[A, int]]:
    shares = shares_of_delivery(fold.case_delivered(fund, fact), fact["amount"])
    for award, part in shares:
        award.delivered += part
    return shares


def _award_settled(fund: Fund[C, P, A], fact: FactDict) -> A:
    award = fund.award(fact["award"])
    fold.settle(award.pledge, award.case, fact)
    award.settled += fact["amount"]
    return award


def _award_voided(fund: Fund[C, P, A], fact: FactDict) -> A:
    award = fund.award(fact["award"])
    fold.void(award.pledge, award.case, fact)
    award.amount -= fact["amount"]
    award.settled -= fact["settled"]
    if not award.amount:
        award.case.forget_voided()
        if not fund.KEEPS_VOIDED:
            pledge, number = fund._award(fact["award"])
            pledge.awards[number] = None
    return award


FOLD: dict[str, Callable[[Any, FactDict], Any] | None] = {
    **fold.FOLD,
    "case_delivered": _case_delivered,
    "award_settled": _award_settled,
    "award_voided": _award_voided,
}
"""The index with awards kept: the functions of these facts return the award, or a delivery's awards and how much of each."""

F = TypeVar("F", bound=Fund[Any, Any, Any])


class Fold(fold.Fold[F]):
    """A fold that keeps each award too."""

    INDEX = FOLD
