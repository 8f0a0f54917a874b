"""Tellings: who had to be told what by an answer, and under which id; from the words of `schemas/notices`, with no look at the
notifier.

Donors hear what becomes of their pledge, the beneficiary and the go-betweens (a case's vouchers) what becomes of the case; one
answer says one thing of a kind about one pledge or case to one person. `payment-due` comes once, with the first match that leaves
something to pay; `progress` with each quarter of the claim that is reached for the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from tests.soak.check.money import Case, Fund, Happened, Pledge, level, part


class Telling(NamedTuple):
    """One thing to be told.

    Attributes:
        to, role, kind: who, as what, and what.
        about: the pledge or the case.
        figure, amount: the notice's member that must say so much.

    """

    to: str
    role: str
    kind: str
    about: str
    figure: str
    amount: int

    def id(self, entry: str, fund: str) -> str:
        """The id under which it is told: BLAKE2b-128 over entry, fund, recipient, role, kind and matter, a line each."""
        parts = (entry, fund, self.to, self.role, self.kind, self.about)
        return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def tellings(fund: Fund, happened: Happened) -> Iterator[Telling]:
    """All that one answer has to say of one fund; call once for each answer, after its facts are taken in."""
    for case in happened.opened:
        yield from _of_case(case, "opened", "claim", case.claim)
    yield from _matched(happened)
    for pledge, amount in happened.settled.items():
        if amount > 0:
            yield _of_pledge(pledge, "settled", "settled", amount)
    for case in happened.moved:
        reached = level(case)
        if case.state == "open" and reached > case.told:
            case.told = case.told_of[case.claim] = reached
            yield from _of_case(case, "progress", "percent", reached)
    for case, amount in happened.delivered.items():
        reached = part(case, case.delivered)
        for one in _of_case(case, "delivered", "delivered", amount):
            yield one if one.role == "beneficiary" else one._replace(figure="percent", amount=reached)
    for pledge, amount in happened.paid_out.items():
        yield _of_pledge(pledge, "delivered", "delivered", amount)
    yield from _thanked(happened)
    for pledge, amount in happened.released.items():
        yield _of_pledge(pledge, "released", "released", amount)
    for pledge, amount in happened.refunded.items():
        yield _of_pledge(pledge, "refunded", "refunded", amount)


def _of_pledge(pledge: Pledge, kind: str, figure: str, amount: int) -> Telling:
    return Telling(pledge.donor, "donor", kind, pledge.id, figure, amount)


def _of_case(case: Case, kind: str, figure: str, amount: int) -> Iterator[Telling]:
    yield Telling(case.beneficiary, "beneficiary", kind, case.id, figure, amount)
    for voucher in case.vouchers:
        if voucher != case.beneficiary:
            yield Telling(voucher, "go-between", kind, case.id, figure, amount)


def _matched(happened: Happened) -> Iterator[Telling]:
    of_pledge: dict[Pledge, int] = {}
    for award in happened.awards.values():
        if award.amount:
            of_pledge[award.pledge] = of_pledge.get(award.pledge, 0) + award.amount
    for pledge, promised in of_pledge.items():
        yield _of_pledge(pledge, "matched", "promised", promised)
        if pledge.awarded and not pledge.due_told:
            pledge.due_told = True
            yield _of_pledge(pledge, "payment-due", "due", pledge.awarded)


def _thanked(happened: Happened) -> Iterator[Telling]:
    """To each donor whose paid money is in the case, about the oldest pledge it came from."""
    for case in happened.thanked:
        oldest: dict[str, Pledge] = {}
        for award in case.awards:
            if award.settled:
                oldest.setdefault(award.pledge.donor, award.pledge)
        for pledge in oldest.values():
            yield Telling(pledge.donor, "donor", "thanks", pledge.id, "", 0)
