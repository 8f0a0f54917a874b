"""The story of one case, pledge or award: what the ledger says about it, in order, each event with its reason.

A story is gathered while the ledger is folded; it sees each fact just before it takes effect. No field says why money was voided or
released: the reason is the fact of the same entry that ended the pledge, closed the case or lowered the claim.
"""

from dataclasses import dataclass
from typing import Any

from services.console.explain.missed import Missed
from services.console.explain.runs import Runs
from services.console.readmodel.model import Award, Fund, Moment
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
    """Gathers what concerns one case, pledge or award (`kind`) of one fund, or of all. Give `watch` to the read model.

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
            runs = self.runs.setdefault(fund.name, Runs(lambda awarded: awarded[self.kind] == self.name))
            runs.watch(fund, fact, moment)
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

    def _is_of(self, award: Award) -> bool:
        return {"case": award.case.id, "pledge": award.pledge.id, "award": award.id}[self.kind] == self.name

    def _look(self, fund: Fund, fact: FactDict, causes: Causes) -> list[tuple[str, dict[str, Any]]]:
        """What a fact says of it: events by name, with their data."""
        name = fact["fact"]
        if name in ("award_settled", "award_voided"):
            award = fund.awards[fact["award"]]
            return [(name, _of_money(fact, award, causes))] if self._is_of(award) else []
        if name == "case_delivered" and self.kind != "case":
            shares = shares_of_delivery(fund.cases[fact["case"]], fact["amount"])
            mine = [{"award": award.id, "amount": part} for award, part in shares if self._is_of(award)]
            return [("award_delivered", data) for data in mine]
        if name == "case_thanked" and self.kind == "pledge":
            awards = fund.cases[fact["case"]].awards
            return [(name, {})] if any(self._is_of(award) and award.settled for award in awards) else []
        if fact.get(self.kind) != self.name:
            return []
        if name == "awarded" and self.kind != "pledge":
            return [(name, {"award": fact["award"], "amount": fact["amount"], "why": fact["why"]})]
        if name == "case_vouched":
            vouchers = fund.cases[self.name].vouchers + 1
            return [(name, {"vouchers": vouchers, "required": fund.policy.vouchers_required})]
        kept_back = _KEPT_BACK - ({"case"} if self.kind == "pledge" else set())
        data = {key: value for key, value in fact.items() if key not in kept_back}
        return [(name, data | {"reason": causes.why(self.name, None)} if name == "released" else data)]


def _of_money(fact: FactDict, award: Award, causes: Causes) -> dict[str, Any]:
    data = {"award": fact["award"], "amount": fact["amount"]}
    if fact["fact"] == "award_voided":
        data |= {"settled": fact["settled"], "reason": causes.why(award.pledge.id, award.case.id)}
    return data
