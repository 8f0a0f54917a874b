"""What a receipt tells of the case or the pledge that a command was about, and what that waits for.

A receipt is held by whoever sent one event. Of a pledge, and its payments, it tells everything: money in the fund's minor units,
except `face`; `awarded` counts what is settled, and that what is delivered; `released` counts what was refunded, so amount =
awarded + waiting + released. Of a case, which others pay for, it tells quarters of the claim: 0, 25, 50, 75 or 100 per cent;
`promised` counts what is settled, `settled` what is delivered; and while it isn't open, how many vouchers it lacks.

`waiting_for` says what must happen next, in that order; an empty list means nothing more.

    rate          a pledge in another currency has no value yet (`rate.quoted`)
    claim         money of the pledge finds no open case that it may have
    vouchers      the case isn't open yet
    pledges       the case is open and lacks money
    payment       what is promised isn't paid
    confirmation  what is paid isn't confirmed as handed over (`case.delivered`)

A case's words follow from the quarters beside them, so they reveal nothing more. `designation` is there where a pledge chose a
case, has nothing in it, and the case isn't open: not yet, not any more, or there is none of that id. Which of these is for its maker
alone.

Of a fund's configuration it tells all of it, since each is whole: what was left out of the event is set to its default.
"""

from __future__ import annotations

from functools import partial
from sys import intern
from typing import Any

from schemas.commands import FundConfigured
from services.readmodel import awards, books
from services.readmodel.awards import Award
from services.readmodel.books import FactDict

_ENDS = {"pledge_withdrawn", "pledge_expired", "payment_failed"}  # of all that is unpaid
_PARTS = ("promised", "settled", "delivered")


class Case(awards.Case):
    """A need; `vouchers` says how many vouched for it."""

    __slots__ = ("_fund", "vouchers")

    def __init__(self, fund: Fund, fact: FactDict) -> None:
        super().__init__(fact)
        self._fund, self.vouchers = fund, 0

    def vouch(self, voucher: str) -> None:
        self.vouchers += 1

    @property
    def missing_vouchers(self) -> int:
        """How many more must vouch before it opens: at least one, since it is a vouch that opens it."""
        return max(1, self._fund.vouchers_required - self.vouchers) if self.status == "submitted" else 0

    def told(self) -> tuple[dict[str, Any], list[str]]:
        """What a receipt tells of its progress, and what it waits for."""
        promised, settled, delivered = parts = [_quarters(getattr(self, name), self.claim) for name in _PARTS]
        told: dict[str, Any] = {"status": self.status, **dict(zip(_PARTS, parts, strict=True))}
        if self.status != "open":
            missing = self.missing_vouchers
            return (told | {"missing_vouchers": missing}, ["vouchers"]) if missing else (told, [])
        lacks = {"pledges": self.claim and promised < 100, "payment": settled < promised}
        return told, [word for word, waits in {**lacks, "confirmation": delivered < settled}.items() if waits]


class Pledge(books.Pledge):
    """A promise, with what a receipt tells of it and no more: intake keeps every pledge.

    Attributes:
        face, currency: as it was made.
        is_valued: there is a rate.
        is_paid_on: a payment came.
        ended: what of it was unpaid is over.
        wish: the case that its donor chose, if any.
    """

    __slots__ = ("_fund", "currency", "ended", "face", "is_paid_on", "is_valued", "wish")

    def __init__(self, fund: Fund, fact: FactDict, of: Pledge | None) -> None:
        super().__init__(fact, of)
        self._fund, self.currency = fund, intern(fact["currency"])
        self.face: int = self.amount if fact["face"] == self.amount else fact["face"]  # one object, most often
        self.is_valued, self.is_paid_on, self.ended = fact["rate"] is not None, False, False
        self.wish: str | None = of.wish if of else (fact.get("designation") or {}).get("case")

    def grow(self, fact: FactDict) -> None:
        super().grow(fact)
        self.is_valued = True

    def pay(self, fact: FactDict) -> None:
        self.is_paid_on = True

    def told(self) -> tuple[dict[str, Any], list[str]]:
        """What a receipt tells of its progress, and what it waits for."""
        delivered = sum(award.delivered for award in self.awards if award is not None)
        told = {
            "amount": self.amount, "currency": self._fund.currency, "awarded": self.matched, "settled": self.paid,
            "delivered": delivered, "waiting": self.waiting, "released": self.released + self.refunded,
            "face": self.face, "face_currency": self.currency,
        }  # fmt: skip
        if self.wish is not None and self._misses(self.wish):
            told["designation"] = "case_not_open"
        waits = {
            "rate": not self.is_valued and (self.is_paid_on or not self.ended), "claim": self.waiting > 0,
            "payment": self.paid < self.matched, "confirmation": delivered < self.paid,
        }  # fmt: skip
        return told, [word for word, it_waits in waits.items() if it_waits]

    def _misses(self, wish: str) -> bool:
        """Whether the case that was chosen isn't open, and has nothing of it."""
        case = self._fund.cases.get(wish)
        has = any(award is not None and award.case is case for award in self.awards)
        return (case is None or case.status != "open") and not has


class Fund(awards.Fund[Case, Pledge, Award[Case, Pledge]]):
    """A fund; of its configuration it keeps how many vouchers open a case, too, and after how many days people are forgotten."""

    def __init__(self, name: str) -> None:
        super().__init__(name, partial(Case, self), partial(Pledge, self), Award)
        self.vouchers_required, self.forget_after_days = 1, 0

    def configure(self, fact: FactDict) -> None:
        super().configure(fact)
        self.vouchers_required, self.forget_after_days = fact["vouchers_required"], fact.get("forget_after_days", 0)


Configuration = dict[str, Any]
"""What an event set of a fund, in the event's own shape."""


def configuration(fund: str, fact: FactDict) -> Configuration:
    """What a `fund_configured` says was set."""
    return {name: fact.get(name, field.default) for name, field in FundConfigured.model_fields.items()} | {"fund": fund}


class Books(awards.Fold[Fund]):
    """The books of all funds."""

    def change(self, fund: Fund, fact: FactDict) -> Any:
        if fact["fact"] in _ENDS:
            fund.pledges[fact["pledge"]].ended = True
        return super().change(fund, fact)


def _quarters(amount: int, claim: int) -> int:
    """The full quarters of a claim that a sum reaches, as a percentage; of nothing no part is ever reached."""
    return min(amount * 4 // claim, 4) * 25 if claim else 0
