"""The fold: what each fact does to the books of its fund, said once for receipts, notices, status, explain, the demo and `simulate`.

It follows the contract's wording of the facts, shares no code with the matcher and decides nothing. A reader derives from `Fold`; its
`change` sees every fact with the books before and after it took effect, and adds what only this reader says. So a new fact means one
function here, and whatever a reader wants to say of it. A fact that is not in the index stops the reading: it may have moved money, and
whoever passes it over tells people something false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from sys import intern
from typing import Any, ClassVar, Generic, TypeVar

from schemas.values import CLASSES
from services.errors import UnknownFact
from services.readmodel.books import C, FactDict, Fund, P, Pledge

AnyFund = Fund[Any, Any]


def _fund_configured(fund: AnyFund, fact: FactDict) -> AnyFund:
    fund.configure(fact)
    return fund


def _case_submitted(fund: Fund[C, Any], fact: FactDict) -> C:
    case = fund.cases[fact["case"]] = fund.new_case(fact)
    return case


def _case_vouched(fund: Fund[C, Any], fact: FactDict) -> C:
    case = fund.cases[fact["case"]]
    case.vouch(fact["voucher"])
    return case


def _case_opened(fund: Fund[C, Any], fact: FactDict) -> C:
    case = _case_restated(fund, fact)
    case.status = "open"
    return case


def _case_restated(fund: Fund[C, Any], fact: FactDict) -> C:
    case = fund.cases[fact["case"]]
    case.restate(fact["claim"])
    case.rank = CLASSES.index(fact["class"])
    return case


def _case_escalated(fund: Fund[C, Any], fact: FactDict) -> C:
    case = fund.cases[fact["case"]]
    case.rank = CLASSES.index(fact["to"])
    return case


def case_delivered(fund: Fund[C, Any], fact: FactDict) -> C:
    case = fund.cases[fact["case"]]
    case.delivered += fact["amount"]
    return case


def _case_closed(fund: Fund[C, Any], fact: FactDict) -> C:
    case = fund.cases[fact["case"]]
    case.status, case.outcome = "closed", intern(fact["outcome"])
    return case


def _pledge_taken(fund: Fund[Any, P], fact: FactDict) -> P:
    parent = fund.pledges[fact["of"]] if "of" in fact else None
    pledge = fund.pledges[fact["pledge"]] = fund.new_pledge(fact, parent)
    return pledge


def _pledge_raised(fund: Fund[Any, P], fact: FactDict) -> P:
    pledge = fund.pledges[fact["pledge"]]
    pledge.grow(fact)
    return pledge


def _payment_received(fund: Fund[Any, P], fact: FactDict) -> P:
    pledge = fund.pledges[fact["pledge"]]
    pledge.pay(fact)
    return pledge


def _awarded(fund: AnyFund, fact: FactDict) -> Any:
    pledge, case, amount = fund.pledges[fact["pledge"]], fund.cases[fact["case"]], fact["amount"]
    if fact["award"] != f"{pledge.id}/{len(pledge.awards) + 1}":
        raise ValueError("a pledge's awards are numbered without a gap")
    award = fund.new_award(fact, pledge, case)
    pledge.awards.append(award)
    pledge.waiting -= amount
    case.promised += amount
    return award


def settle(pledge: Pledge, case: C, fact: FactDict) -> C:
    """A part of an award of this pledge for this case was paid."""
    pledge.paid += fact["amount"]
    case.settled += fact["amount"]
    return case


def void(pledge: Pledge, case: C, fact: FactDict) -> C:
    """A part of an award of this pledge for this case is no more."""
    pledge.waiting += fact["amount"]
    pledge.paid -= fact["settled"]
    case.promised -= fact["amount"]
    case.settled -= fact["settled"]
    return case


def _released(fund: Fund[Any, P], fact: FactDict) -> P:
    pledge = fund.pledges[fact["pledge"]]
    pledge.waiting -= fact["amount"]
    pledge.released += fact["amount"]
    return pledge


def _refunded(fund: Fund[Any, P], fact: FactDict) -> P:
    pledge = fund.pledges[fact["pledge"]]
    pledge.waiting -= fact["amount"]
    pledge.refunded += fact["amount"]
    return pledge


FOLD: dict[str, Callable[[AnyFund, FactDict], Any] | None] = {
    "fund_configured": _fund_configured,
    "case_submitted": _case_submitted,
    "case_vouched": _case_vouched,
    "case_opened": _case_opened,
    "case_escalated": _case_escalated,
    "case_amended": _case_restated,
    "case_renewed": _case_restated,
    "case_delivered": case_delivered,
    "case_thanked": None,
    "case_closed": _case_closed,
    "case_funded": None,
    "pledge_accepted": _pledge_taken,
    "pledge_instalment": _pledge_taken,
    "pledge_raised": _pledge_raised,
    "pledge_withdrawn": None,
    "pledge_expired": None,
    "pledge_settled": None,
    "awarded": _awarded,
    "award_settled": lambda fund, fact: settle(*fund.ends_of(fact["award"]), fact),
    "award_voided": lambda fund, fact: void(*fund.ends_of(fact["award"]), fact),
    "waiting": None,
    "released": _released,
    "payment_received": _payment_received,
    "payment_failed": None,
    "refunded": _refunded,
    "rate_quoted": None,
    "duplicate": None,
    "rejected": None,
}
"""The index: every fact of the contract, and the function that folds it and returns what it is about: the fund, the case or the
pledge, of an award what is kept of it. None: it changes nothing that all readers keep."""

F = TypeVar("F", bound=AnyFund)


class Fold(Generic[F]):
    """Funds by name, as the entries fed so far have them. Entries of one partition come in order; partitions may be mixed.

    Args:
        fund: what a fund is made by, from its name.
    """

    INDEX: ClassVar[dict[str, Callable[[Any, FactDict], Any] | None]] = FOLD

    def __init__(self, fund: Callable[[str], F]) -> None:
        self.funds: dict[str, F] = {}
        self._fund = fund

    def feed(self, partition: int, entry: dict[str, Any]) -> None:
        """Fold one entry, decoded.

        Raises:
            UnknownFact: if this version doesn't know one of its facts, or a fund's rule.
            LookupError, TypeError, ValueError: if its facts do not fit what came before.
        """
        try:
            self.feed_facts(entry["fund"], entry["facts"])
        except UnknownFact as unknown:
            raise unknown.at(f"ledger partition {partition}, entry {entry['seq']}") from None

    def feed_facts(self, fund: str | None, facts: Iterable[FactDict]) -> None:
        """Fold facts; `fund` is None where each names its own. Raises what `feed` does, UnknownFact without the place."""
        index, funds = self.INDEX, self.funds
        for fact in facts:
            kind, name = fact["fact"], fact.get("fund") or fund
            if kind not in index:
                raise UnknownFact.named(kind)
            if name not in funds:
                if index[kind] is None:
                    continue  # such as a refusal: the fund that it names may be none
                if name is None:
                    raise LookupError("a fact of no fund")
                funds[name] = self._fund(name)
            self.change(funds[name], fact)

    def change(self, fund: F, fact: FactDict) -> Any:
        """Let a fact take effect; what it was about, as the index has it. Extend this to look at the books before and after."""
        fold = self.INDEX[fact["fact"]]
        return fold(fund, fact) if fold else None
