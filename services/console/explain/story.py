"""The story of one case, pledge or award: what the ledger says about it, in order, each event with its reason.

A story is gathered while the ledger is folded; it sees each fact just before it takes effect. No field says why money was voided or
released: the reason is the fact of the same entry that ended the pledge, closed the case or lowered the claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.console.explain.missed import Missed
from services.console.explain.runs import Runs
from services.console.readmodel.model import Fund, Moment
from services.readmodel.awards import shares_of_delivery
from services.readmodel.books import FactDict

_ENDS = {
    "pledge_withdrawn": ("pledge", "withdrawn"),
    "pledge_expired": ("pledge", "expired"),
    "payment_failed": ("pledge", "payment_failed"),
    "case_closed": ("case", "case_closed"),
    "case_amended": ("case", "goal_lowered"),
}
"""Facts that take money from its place: whether they name the pledge or the case, and the reason they give."""
_KEPT_BACK = {"fact", "fund", "case", "pledge", "beneficiary", "donor", "voucher", "mark", "thanks"}
"""Fields that a story leaves out: said already, or about people, since an answer is passed on."""


@dataclass(frozen=True)
class Event:
    """One thing that happened; `data` are the fact's fields of interest, amounts in the fund's minor units."""

    name: str
    moment: Moment
    data: dict[str, Any]


class Causes:
    """Why awards are voided and money released within the answer at hand."""

    def __init__(self) -> None:
        self._answer: tuple[str, int] | None = None
        self._ends: list[tuple[str, str, str]] = []

    def watch(self, fact: FactDict, moment: Moment) -> None:
        """Look at a fact."""
        answer = (moment.entry.partition("-")[0], moment.offset)
        if answer != self._answer:
            self._answer, self._ends = answer, []
        if end := _ENDS.get(fact["fact"]):
            what, reason = end
            self._ends.append((what, fact[what], reason))

    def why(self, pledge: str, case: str | None) -> str:
        """The latest reason for this pledge or case; `no_place`: the donor wanted it back if its designation can't place it."""
        for what, name, reason in reversed(self._ends):
            if name == (pledge if what == "pledge" else case):
                return reason
        return "no_place"


class Story:
    """Gathers what concerns one case, pledge or award of one fund. Give `watch` to the read model.

    Args:
        kind: "case", "pledge" or "award".
        name: its id.
        fund: its fund; None: wherever it is found, and `funds` says where.

    Attributes:
        events: in order, by fund.
        missed: for a case, the money that went elsewhere, by fund.
        runs: for a pledge or an award, the runs that it belongs to, by fund.
    """

    def __init__(self, kind: str, name: str, fund: str | None = None) -> None:
        self.kind, self.name, self.fund = kind, name, fund
        self.events: dict[str, list[Event]] = {}
        self.missed: dict[str, Missed] = {}
        self.runs: dict[str, Runs] = {}
        self._causes: dict[str, Causes] = {}
        self._rules: dict[str, str] = {}
        self._look = {"case": self._of_case, "pledge": self._of_pledge, "award": self._of_award}[kind]

    def watch(self, fund: Fund, fact: FactDict, moment: Moment) -> None:
        """Look at a fact that is about to be folded."""
        if self.fund not in (None, fund.name):
            return
        causes = self._causes.setdefault(fund.name, Causes())
        causes.watch(fact, moment)
        if fact["fact"] == "fund_configured":
            self._configured(fund, fact, moment)
        if self.kind == "case" and self.name in fund.cases:
            self.missed.setdefault(fund.name, Missed(self.name)).watch(fund, fact, moment)
        if self.kind != "case":
            self.runs.setdefault(fund.name, Runs(self._asked)).watch(fund, fact, moment)
        for name, data in self._look(fund, fact, causes):
            self.events.setdefault(fund.name, []).append(Event(name, moment, data))

    def _configured(self, fund: Fund, fact: FactDict, moment: Moment) -> None:
        """A change of the rule is part of the story of every case and pledge there already."""
        before, self._rules[fund.name] = self._rules.get(fund.name), fact["rule"]
        if before not in (None, fact["rule"]) and self.name in getattr(fund, f"{self.kind}s"):
            change = Event("rule_changed", moment, {"from": before, "to": fact["rule"]})
            self.events.setdefault(fund.name, []).append(change)

    def finish(self) -> None:
        """The ledger has been read to its end."""
        for missed in self.missed.values():
            missed.finish()
        for runs in self.runs.values():
            runs.finish()

    def _asked(self, fact: FactDict) -> bool:
        return bool(fact[self.kind] == self.name)

    def _of_case(self, fund: Fund, fact: FactDict, causes: Causes) -> list[tuple[str, dict[str, Any]]]:
        name = fact["fact"]
        if name in ("award_settled", "award_voided"):
            award = fund.awards[fact["award"]]
            return [_of_money(fact, award.pledge.id, award.case.id, causes)] if award.case.id == self.name else []
        if fact.get("case") != self.name:
            return []
        if name == "awarded":
            return [("awarded", {"award": fact["award"], "amount": fact["amount"], "why": fact["why"]})]
        data = {key: value for key, value in fact.items() if key not in _KEPT_BACK}
        if name == "case_vouched":
            data = {"vouchers": fund.cases[self.name].vouchers + 1, "required": fund.policy.vouchers_required}
        return [(name, data)]

    def _of_pledge(self, fund: Fund, fact: FactDict, causes: Causes) -> list[tuple[str, dict[str, Any]]]:
        name = fact["fact"]
        if name in ("award_settled", "award_voided"):
            award = fund.awards[fact["award"]]
            return [_of_money(fact, award.pledge.id, award.case.id, causes)] if award.pledge.id == self.name else []
        if name == "case_delivered":
            shares = shares_of_delivery(fund.cases[fact["case"]], fact["amount"])
            return [_delivered(award.id, part) for award, part in shares if award.pledge.id == self.name]
        if name == "case_thanked":
            awards = fund.cases[fact["case"]].awards
            return [("case_thanked", {})] if any(a.pledge.id == self.name and a.settled for a in awards) else []
        if fact.get("pledge") != self.name:
            return []
        data = {key: value for key, value in fact.items() if key not in _KEPT_BACK or key == "case"}
        if name == "released":
            data["reason"] = causes.why(self.name, None)
        return [(name, data)]

    def _of_award(self, fund: Fund, fact: FactDict, causes: Causes) -> list[tuple[str, dict[str, Any]]]:
        name = fact["fact"]
        if name == "case_delivered":
            shares = shares_of_delivery(fund.cases[fact["case"]], fact["amount"])
            return [_delivered(award.id, part) for award, part in shares if award.id == self.name]
        if fact.get("award") != self.name:
            return []
        if name == "awarded":
            return [("awarded", {"award": fact["award"], "amount": fact["amount"], "why": fact["why"]})]
        award = fund.awards[self.name]
        return [_of_money(fact, award.pledge.id, award.case.id, causes)]


def _of_money(fact: FactDict, pledge: str, case: str, causes: Causes) -> tuple[str, dict[str, Any]]:
    data = {"award": fact["award"], "amount": fact["amount"]}
    if fact["fact"] == "award_voided":
        data |= {"settled": fact["settled"], "reason": causes.why(pledge, case)}
    return fact["fact"], data


def _delivered(award: str, amount: int) -> tuple[str, dict[str, Any]]:
    return "award_delivered", {"award": award, "amount": amount}
