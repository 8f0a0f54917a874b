"""The read model: ledger facts folded into what people ask about. Who promised, who got what, when, and why.

It follows the facts and never the rule: what the matcher decided is taken as it stands. *Promised* counts all awarded money, settled or
not; *settled* what of it is paid; *delivered* what of that was handed over. The three are kept apart everywhere. Nobody is known
here but by pseudonym. All money is in the fund's minor units, all times are the entries', as RFC 3339 texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, get_args

from schemas.currencies import convert
from schemas.values import CLASSES, Rule

FactDict = dict[str, Any]
WATERFILL, FIRST_COME, GUARANTEED_FLOOR = get_args(Rule)


@dataclass(slots=True, frozen=True)
class Policy:
    """A fund's configuration, as of one `fund_configured`."""

    currency: str
    share: int
    weights: str
    vouchers_required: int
    rule: str = WATERFILL


@dataclass(slots=True, frozen=True)
class Moment:
    """The entry that a fact stands in.

    Attributes:
        entry: `<partition>-<seq>`.
        at: its time, RFC 3339.
        offset: of the command it answers; entries of one answer have the same.
    """

    entry: str
    at: str
    offset: int = -1


@dataclass(slots=True, eq=False)
class Award:
    """The part of a pledge matched to a case.

    Attributes:
        given: what was awarded at first.
        amount: what of it stands; `given` less what was voided.
        settled: the paid part of `amount`; delivered: the part of it that was handed over.
        policy: the fund's policy when it was awarded.
    """

    id: str
    pledge: Pledge
    case: Case
    given: int
    why: dict[str, Any]
    made: Moment
    policy: Policy
    amount: int = 0
    settled: int = 0
    delivered: int = 0


@dataclass(slots=True, eq=False)
class Case:
    """One need of one beneficiary; `rank` is its effective class as index into `CLASSES`, `needed_by` RFC 3339."""

    id: str
    beneficiary: str
    need: str
    route: str
    goal: int
    own_contribution: int
    submitted: Moment
    rank: int
    status: str = "submitted"
    outcome: str | None = None
    claim: int = 0
    promised: int = 0
    settled: int = 0
    delivered: int = 0
    vouchers: int = 0
    open_order: int = -1
    needed_by: str | None = None
    opened: Moment | None = None
    funded: Moment | None = None
    closed: Moment | None = None
    awards: list[Award] = field(default_factory=list)

    @property
    def lacks(self) -> int:
        """What the claim still lacks; only an open case lacks anything."""
        return max(0, self.claim - self.promised) if self.status == "open" else 0


@dataclass(slots=True, eq=False)
class Pledge:
    """A donor's promise or one instalment of it.

    Attributes:
        amount: in the fund's currency; 0 until there is a `rate`.
        awarded: matched and not yet paid; settled: matched, paid and not delivered.
        waiting: matched to nothing, paid or not; paid_waiting: the paid part of it.
        released: unpaid money given back; refunded: paid money given back.
        closed: "withdrawn" or "expired", or None.
    """

    id: str
    donor: str
    face: int
    currency: str
    rate: str | None
    amount: int
    made: Moment
    designation: dict[str, str] | None
    fallback: str
    of: str | None
    waiting: int = 0
    paid_waiting: int = 0
    awarded: int = 0
    settled: int = 0
    delivered: int = 0
    released: int = 0
    refunded: int = 0
    face_paid: int = 0
    closed: str | None = None
    fully_paid: bool = False
    awards: list[Award] = field(default_factory=list)


class Fund:
    """One fund as its facts have it.

    Attributes:
        lacking: for each class, how many open cases lack money, and how much they lack together.
        last: the entry of its latest fact.
    """

    def __init__(self, name: str, policy: Policy) -> None:
        self.name, self.policy = name, policy
        self.cases: dict[str, Case] = {}
        self.pledges: dict[str, Pledge] = {}
        self.awards: dict[str, Award] = {}
        self.of_beneficiary: dict[str, list[Case]] = {}
        self.opened = 0
        self.lacking = [[0, 0] for _ in CLASSES]
        self.last: Moment | None = None

    def count(self, case: Case, sign: int) -> None:
        """Take a case out of `lacking` before it changes (-1), and into it after (+1)."""
        if lacks := case.lacks:
            self.lacking[case.rank][0] += sign
            self.lacking[case.rank][1] += sign * lacks


Watcher = Callable[[Fund, FactDict, Moment], None]


class ReadModel:
    """All funds of the entries fed so far.

    Args:
        before: called with each fact before it is folded.
    """

    def __init__(self, before: Watcher | None = None) -> None:
        self.funds: dict[str, Fund] = {}
        self._before = before

    def feed(self, partition: int, entry: dict[str, Any]) -> None:
        """Fold one entry, decoded; entries of a partition in order."""
        moment = Moment(f"{partition}-{entry['seq']}", entry["at"], entry["cause"]["offset"])
        for fact in entry["facts"]:
            name = fact.get("fund") or entry["fund"]
            if fact["fact"] == "fund_configured":
                self._configure(name, fact)
            fund = self.funds.get(name)
            if fund is None:
                continue
            fund.last = moment
            if self._before:
                self._before(fund, fact, moment)
            if fold := FOLD.get(fact["fact"]):
                fold(fund, fact, moment)

    def _configure(self, name: str, fact: FactDict) -> None:
        policy = Policy(fact["currency"], fact["share"], fact["weights"], fact["vouchers_required"], fact["rule"])
        if name in self.funds:
            self.funds[name].policy = policy
        else:
            self.funds[name] = Fund(name, policy)


def _case_submitted(fund: Fund, fact: FactDict, moment: Moment) -> None:
    case = fund.cases[fact["case"]] = Case(
        fact["case"], fact["beneficiary"], fact["need"], fact["route"], fact["goal"], fact["own_contribution"],
        moment, CLASSES.index(fact["priority"]),
    )  # fmt: skip
    case.claim, case.needed_by = case.goal - case.own_contribution, fact.get("needed_by")
    fund.of_beneficiary.setdefault(case.beneficiary, []).append(case)


def _case_vouched(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    fund.cases[fact["case"]].vouchers += 1


def _case_opened(fund: Fund, fact: FactDict, moment: Moment) -> None:
    case = fund.cases[fact["case"]]
    case.status, case.opened, case.open_order = "open", moment, fund.opened
    case.claim, case.rank = fact["claim"], CLASSES.index(fact["class"])
    fund.opened += 1
    fund.count(case, 1)


def _case_escalated(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    case = fund.cases[fact["case"]]
    fund.count(case, -1)
    case.rank = CLASSES.index(fact["to"])
    fund.count(case, 1)


def _case_restated(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    case = fund.cases[fact["case"]]
    fund.count(case, -1)
    case.goal, case.needed_by = fact.get("goal", case.goal), fact.get("needed_by", case.needed_by)
    case.claim, case.rank = fact["claim"], CLASSES.index(fact["class"])
    if case.promised < case.claim:
        case.funded = None
    fund.count(case, 1)


def _case_funded(fund: Fund, fact: FactDict, moment: Moment) -> None:
    fund.cases[fact["case"]].funded = moment


def _case_delivered(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    case = fund.cases[fact["case"]]
    for award, part in shares_of_delivery(case, fact["amount"]):
        award.delivered += part
        award.pledge.settled -= part
        award.pledge.delivered += part
    case.delivered += fact["amount"]


def shares_of_delivery(case: Case, amount: int) -> list[tuple[Award, int]]:
    """Which awards a delivery of `amount` uses, and how much of each: settled money, oldest first."""
    shares = []
    for award in case.awards:
        part = min(amount, award.settled - award.delivered)
        if part:
            shares.append((award, part))
            amount -= part
    return shares


def _case_closed(fund: Fund, fact: FactDict, moment: Moment) -> None:
    case = fund.cases[fact["case"]]
    fund.count(case, -1)
    case.status, case.outcome, case.closed = "closed", fact["outcome"], moment


def _pledge_taken(fund: Fund, fact: FactDict, moment: Moment) -> None:
    parent = fund.pledges.get(fact.get("of", ""))
    amount = fact["amount"] or 0
    fund.pledges[fact["pledge"]] = Pledge(
        fact["pledge"], fact["donor"], fact["face"], fact["currency"], fact["rate"], amount, moment,
        parent.designation if parent else fact.get("designation"),
        parent.fallback if parent else fact.get("fallback", "pool"),
        fact.get("of"), waiting=amount,
    )  # fmt: skip


def _pledge_raised(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    pledge = fund.pledges[fact["pledge"]]
    if fact.get("rate"):
        pledge.rate = fact["rate"]
        pledge.paid_waiting = convert(pledge.face_paid, pledge.rate, pledge.currency, fund.policy.currency)
    pledge.amount += fact["amount"]
    pledge.waiting += fact["amount"]


def _pledge_withdrawn(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    fund.pledges[fact["pledge"]].closed = "withdrawn"


def _pledge_expired(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    fund.pledges[fact["pledge"]].closed = "expired"


def _pledge_settled(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    fund.pledges[fact["pledge"]].fully_paid = True


def _payment_received(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.face_paid += fact["face"]
    pledge.paid_waiting += fact["amount"] or 0


def _awarded(fund: Fund, fact: FactDict, moment: Moment) -> None:
    pledge, case, amount = fund.pledges[fact["pledge"]], fund.cases[fact["case"]], fact["amount"]
    award = Award(fact["award"], pledge, case, amount, fact["why"], moment, fund.policy, amount)
    fund.awards[award.id] = award
    pledge.awards.append(award)
    case.awards.append(award)
    pledge.waiting -= amount
    pledge.awarded += amount
    fund.count(case, -1)
    case.promised += amount
    fund.count(case, 1)


def _award_settled(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    award, amount = fund.awards[fact["award"]], fact["amount"]
    award.settled += amount
    award.case.settled += amount
    award.pledge.paid_waiting -= amount
    award.pledge.awarded -= amount
    award.pledge.settled += amount


def _award_voided(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    award, amount, settled = fund.awards[fact["award"]], fact["amount"], fact["settled"]
    case, pledge = award.case, award.pledge
    award.amount -= amount
    award.settled -= settled
    pledge.awarded -= amount - settled
    pledge.settled -= settled
    pledge.waiting += amount
    pledge.paid_waiting += settled
    fund.count(case, -1)
    case.promised -= amount
    case.settled -= settled
    if case.promised < case.claim:
        case.funded = None
    fund.count(case, 1)


def _released(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.waiting -= fact["amount"]
    pledge.released += fact["amount"]


def _refunded(fund: Fund, fact: FactDict, _moment: Moment) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.waiting -= fact["amount"]
    pledge.paid_waiting -= fact["amount"]
    pledge.refunded += fact["amount"]


FOLD: dict[str, Callable[[Fund, FactDict, Moment], None]] = {
    "case_submitted": _case_submitted,
    "case_vouched": _case_vouched,
    "case_opened": _case_opened,
    "case_escalated": _case_escalated,
    "case_amended": _case_restated,
    "case_renewed": _case_restated,
    "case_funded": _case_funded,
    "case_delivered": _case_delivered,
    "case_closed": _case_closed,
    "pledge_accepted": _pledge_taken,
    "pledge_instalment": _pledge_taken,
    "pledge_raised": _pledge_raised,
    "pledge_withdrawn": _pledge_withdrawn,
    "pledge_expired": _pledge_expired,
    "pledge_settled": _pledge_settled,
    "payment_received": _payment_received,
    "awarded": _awarded,
    "award_settled": _award_settled,
    "award_voided": _award_voided,
    "released": _released,
    "refunded": _refunded,
}
"""The index of facts that change a figure; all others only tell."""


def unbalanced(funds: Iterable[Fund]) -> list[str]:
    """Where the ledger's own sums don't hold (contract, section 5, conservation): one line each, with ids only."""
    lines = []
    for fund in funds:
        for p in fund.pledges.values():
            parts = (p.waiting, p.awarded, p.settled, p.delivered, p.released, p.refunded)
            if p.amount != sum(parts) or min(parts) < 0 or not 0 <= p.paid_waiting <= p.waiting:
                lines.append(f"fund {fund.name}: pledge {p.id} does not add up")
        lines += [
            f"fund {fund.name}: case {c.id} does not add up"
            for c in fund.cases.values()
            if not 0 <= c.delivered <= c.settled <= c.promised <= c.claim
        ]
    return lines
