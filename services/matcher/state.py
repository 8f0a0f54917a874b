"""The state of a fund as a fold over facts: `apply(state, fact)`, the same code live and in replay.

A `Fund` holds its cases, pledges and awards, and what is derived from them: the books (who is next), the lanes (which waiting money
is next) and the timers. Nothing here decides; every change of money is one fact and one function below. All money is in the
fund's minor units; times are microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from schemas.currencies import convert
from schemas.times import DAY, HOUR, parse
from schemas.values import CLASSES
from services.matcher.book import Book
from services.matcher.lanes import POOL, Lane, Lanes
from services.matcher.timers import EXPIRY, Timers, schedule_case, schedule_instalment

RANK = {name: rank for rank, name in enumerate(CLASSES)}
ASAP, STAT = RANK["asap"], RANK["stat"]

FactDict = dict[str, Any]
Recurrence = tuple[str, int | None]
"""`every` and `times` of a recurrence."""


class Policy:
    """A fund's configuration, in the units of the engine."""

    __slots__ = ("ageing", "currency", "deadline", "rule", "share", "vouchers_required", "weights")

    def __init__(self, fact: FactDict) -> None:
        self.currency: str = fact["currency"]
        self.rule: str = fact["rule"]
        self.share: int = fact["share"]
        self.weights: str = fact["weights"]
        self.ageing: int = fact["ageing_days"] * DAY
        self.deadline: int = fact["deadline_hours"] * HOUR
        self.vouchers_required: int = fact["vouchers_required"]

    def same(self, other: Policy) -> bool:
        """True if both say the same."""
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)


class Award:
    """The part of a pledge matched to a case.

    Attributes:
        amount: awarded money, settled or not.
        settled: the part of it that is paid, delivered or not.
        delivered: the part of it that was handed over.
    """

    __slots__ = ("amount", "case", "delivered", "id", "order", "pledge", "settled")

    def __init__(self, award_id: str, order: int, pledge: Pledge, case: Case, amount: int) -> None:
        self.id, self.order, self.pledge, self.case = award_id, order, pledge, case
        self.amount, self.settled, self.delivered = amount, 0, 0


class Case:
    """One need of one beneficiary. `awarded` counts settled awards too, `settled` counts what is delivered too."""

    __slots__ = (
        "awarded", "awards", "began", "beneficiary", "claim", "delivered", "goal", "id", "need", "needed_by",
        "next_escalation", "next_renewal", "open_order", "opened_at", "origin", "outcome", "own_contribution", "period",
        "priority", "rank", "recurrence", "settled", "status", "thanks", "vouchers",
    )  # fmt: skip

    def __init__(self, fact: FactDict) -> None:
        self.id: str = fact["case"]
        self.beneficiary: str = fact["beneficiary"]
        self.need: str = fact["need"]
        self.goal: int = fact["goal"]
        self.own_contribution: int = fact["own_contribution"]
        self.priority: int = RANK[fact["priority"]]
        self.needed_by: int | None = _time_in(fact, "needed_by")
        self.recurrence = recurrence_of(fact.get("recurrence"))
        self.origin = case_identity(fact)
        self.status = "submitted"
        self.outcome: str | None = None
        self.vouchers: set[str] = set()
        self.thanks: set[str] = set()
        self.claim = self.goal - self.own_contribution
        self.rank = self.priority
        self.awarded = self.settled = self.delivered = 0
        self.awards: dict[str, Award] = {}
        self.open_order = 0
        self.opened_at = self.began = 0
        self.period = 1
        self.next_escalation: int | None = None
        self.next_renewal: int | None = None

    @property
    def residual(self) -> int:
        """What the claim still lacks; only an open case has one."""
        return max(0, self.claim - self.awarded) if self.status == "open" else 0


class Pledge:
    """A donor's promise, or one instalment of it.

    Attributes:
        amount: the promise in the fund's currency, 0 while `rate` is None.
        waiting: money matched to no case, paid or not.
        paid_waiting: the part of `waiting` that is paid.
        awarded: unsettled awards; `settled`: settled and not delivered; `delivered`: handed over.
        released: given back to the donor, unpaid (released) or paid (refunded).
        face_paid: payments so far in the pledge's own currency.
        cancelled: its unpaid part has ended before its rate was known.
        closed: "withdrawn" or "expired", or None.
    """

    __slots__ = (
        "accepted_at", "amount", "awarded", "awards", "awards_made", "cancelled", "closed", "currency", "delivered",
        "designation", "donor", "expires_at", "face", "face_paid", "fallback", "id", "instalment", "lane", "next_instalment",
        "of", "order", "paid_waiting", "rate", "recurrence", "released", "settled", "waiting",
    )  # fmt: skip

    def __init__(self, fact: FactDict, order: int, at: int) -> None:
        self.id: str = fact["pledge"]
        self.order = order
        self.donor: str = fact["donor"]
        self.face: int = fact["face"]
        self.currency: str = fact["currency"]
        self.rate: str | None = fact["rate"]
        self.amount: int = fact["amount"] or 0
        self.designation = designation_of(fact.get("designation"))
        self.fallback: str = fact.get("fallback", "pool")
        self.expires_at: int | None = _time_in(fact, "expires_at")
        self.recurrence = recurrence_of(fact.get("recurrence"))
        self.of: str | None = fact.get("of")
        self.accepted_at = at
        self.closed: str | None = None
        self.cancelled = False
        self.waiting = self.amount
        self.paid_waiting = self.awarded = self.settled = self.delivered = self.released = self.face_paid = 0
        self.awards: dict[str, Award] = {}
        self.awards_made = 0
        self.instalment = 1
        self.next_instalment: int | None = None
        pooled = self.designation is None or self.fallback == "pool"
        self.lane: Lane = POOL if pooled else self.designation

    @property
    def unpaid(self) -> int:
        """What is promised and not paid: waiting or awarded."""
        return self.waiting - self.paid_waiting + self.awarded


def _time_in(fact: FactDict, name: str) -> int | None:
    text = fact.get(name)
    return None if text is None else parse(text)


def recurrence_of(value: FactDict | None) -> Recurrence | None:
    """A recurrence as a tuple."""
    return None if value is None else (value["every"], value.get("times"))


def designation_of(value: FactDict | None) -> tuple[str, str] | None:
    """A designation as `("case", id)` or `("need", need)`."""
    if value is None:
        return None
    return ("case", value["case"]) if value.get("case") else ("need", value["need"])


def case_identity(fact: FactDict) -> tuple[Any, ...]:
    """All that was said of a case when it was submitted, to tell a repeat from a conflict."""
    access = fact.get("access")
    return (
        fact["beneficiary"], fact["need"], fact["route"], fact["goal"], fact["own_contribution"], fact["priority"],
        _time_in(fact, "needed_by"), recurrence_of(fact.get("recurrence")),
        None if access is None else (access["province"], access["status"]),
    )  # fmt: skip


def pledge_identity(pledge: Pledge) -> tuple[Any, ...]:
    """All that was said of a pledge when it was made, to tell a repeat from a conflict."""
    return (
        pledge.donor, pledge.face, pledge.currency, pledge.designation, pledge.fallback, pledge.expires_at,
        pledge.recurrence,
    )  # fmt: skip


class Fund:
    """A community's pool of pledges and cases in one currency."""

    def __init__(self, name: str, now: int) -> None:
        self.name = name
        self.now = now
        self.policy: Policy | None = None
        self.cases: dict[str, Case] = {}
        self.pledges: dict[str, Pledge] = {}
        self.pledges_made = 0
        self.opened: list[Case] = []
        self.rates: dict[str, str] = {}
        self.unrated: dict[str, list[Pledge]] = {}
        self.deliveries: dict[str, tuple[str, int]] = {}
        self.payments: dict[str, tuple[str, int]] = {}
        self.failures: dict[str, tuple[str, str]] = {}
        self.refunds: dict[str, tuple[str, int]] = {}
        self.awards_made = 0
        self.timers = Timers()
        self.lanes = Lanes()
        self.pool: Book | None = None
        self.needs: dict[str, Book] = {}
        self.touched_cases: set[Case] = set()
        self.touched_pledges: set[Pledge] = set()

    def apply(self, fact: FactDict, at: int) -> None:
        """Fold one fact into the state.

        Args:
            fact: a fact of `schemas.facts`, as a plain dict.
            at: the instant of the fact (live), or the time of its entry (replay); both lead to the same state once all facts of
                the entry are applied.
        """
        APPLY[fact["fact"]](self, fact, at)

    def award(self, award_id: str) -> Award:
        """An award by its id.

        Raises:
            KeyError: if it was never made or is void as a whole.
        """
        return self.pledges[award_id.rpartition("/")[0]].awards[award_id]

    def open_cases(self) -> Iterator[Case]:
        """The open cases in opening order."""
        return (case for case in self.opened if case.status == "open")

    def book_of_pool(self) -> Book:
        """Who is next among all claims."""
        if self.pool is None:
            policy = self.policy
            self.pool = Book(policy.share, policy.weights == "claim", self.open_cases())
        return self.pool

    def book_of_need(self, need: str) -> Book:
        """Who is next among the claims of one need; kept from the first designation on."""
        book = self.needs.get(need)
        if book is None:
            policy = self.policy
            cases = (case for case in self.open_cases() if case.need == need)
            book = self.needs[need] = Book(policy.share, policy.weights == "claim", cases)
        return book

    def books_of(self, case: Case) -> list[Book]:
        """The books that hold an open case."""
        books = [self.book_of_pool()]
        if case.need in self.needs:
            books.append(self.needs[case.need])
        return books

    def move(self, case: Case, claim: int = 0, awarded: int = 0) -> None:
        """Change a case's claim and awarded money by the given amounts, books included."""
        books = self.books_of(case) if case.status == "open" else ()
        was = case.residual
        case.claim += claim
        case.awarded += awarded
        for book in books:
            book.update(case, claim, awarded, was)
        self.touched_cases.add(case)

    def settle_in(self) -> None:
        """After a whole answer: let touched pledges with money wait in their lanes, and forget what was touched."""
        for pledge in self.touched_pledges:
            if pledge.waiting:
                self.lanes.wait(pledge)
        self.touched_pledges.clear()
        self.touched_cases.clear()

    def reclass(self, case: Case, rank: int) -> None:
        """Put an open case into another class."""
        books = self.books_of(case)
        for book in books:
            book.remove(case)
        case.rank = rank
        for book in books:
            book.add(case)


def _fund_configured(fund: Fund, fact: FactDict, at: int) -> None:
    fund.policy = Policy(fact)
    fund.pool = None
    fund.needs.clear()
    for case in fund.open_cases():
        schedule_case(fund, case, at)


def _case_submitted(fund: Fund, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]] = Case(fact)
    fund.touched_cases.add(case)


def _case_vouched(fund: Fund, fact: FactDict, _at: int) -> None:
    fund.cases[fact["case"]].vouchers.add(fact["voucher"])


def _case_opened(fund: Fund, fact: FactDict, at: int) -> None:
    case = fund.cases[fact["case"]]
    books = fund.books_of(case)  # built, if need be, before the case counts as open
    case.status, case.rank = "open", RANK[fact["class"]]
    case.opened_at = case.began = at
    case.open_order = len(fund.opened)
    fund.opened.append(case)
    for book in books:
        book.add(case)
    fund.touched_cases.add(case)
    schedule_case(fund, case, at)


def _case_escalated(fund: Fund, fact: FactDict, at: int) -> None:
    case = fund.cases[fact["case"]]
    fund.reclass(case, RANK[fact["to"]])
    schedule_case(fund, case, at)


def _case_amended(fund: Fund, fact: FactDict, at: int) -> None:
    case = fund.cases[fact["case"]]
    if "goal" in fact:
        case.goal = fact["goal"]
    if "priority" in fact:
        case.priority = RANK[fact["priority"]]
    if "needed_by" in fact:
        case.needed_by = parse(fact["needed_by"])
    rank = RANK[fact["class"]]
    if case.status == "open":
        if rank != case.rank:
            fund.reclass(case, rank)
        schedule_case(fund, case, at)
    else:
        case.rank = rank
    fund.move(case, claim=fact["claim"] - case.claim)


def _case_renewed(fund: Fund, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    case.period = fact["period"]
    case.began = case.next_renewal
    rank = RANK[fact["class"]]
    if rank != case.rank:
        fund.reclass(case, rank)
    fund.move(case, claim=fact["claim"] - case.claim)
    schedule_case(fund, case, case.began - 1)  # a deadline at the very instant of the renewal comes after it


def _case_delivered(fund: Fund, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    fund.deliveries[fact["delivery"]] = (case.id, fact["amount"])
    case.delivered += fact["amount"]
    left = fact["amount"]
    for award in case.awards.values():  # oldest first
        part = min(left, award.settled - award.delivered)
        if part:
            award.delivered += part
            award.pledge.settled -= part
            award.pledge.delivered += part
            fund.touched_pledges.add(award.pledge)
            left -= part
            if not left:
                break
    fund.touched_cases.add(case)


def _case_thanked(fund: Fund, fact: FactDict, _at: int) -> None:
    fund.cases[fact["case"]].thanks.add(fact["thanks"])


def _case_closed(fund: Fund, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    if case.status == "open":
        for book in fund.books_of(case):
            book.remove(case)
    case.status, case.outcome = "closed", fact["outcome"]
    case.next_escalation = case.next_renewal = None
    fund.touched_cases.add(case)


def _pledge_accepted(fund: Fund, fact: FactDict, at: int) -> None:
    _take_in(fund, Pledge(fact, fund.pledges_made, at))


def _pledge_instalment(fund: Fund, fact: FactDict, at: int) -> None:
    parent = fund.pledges[fact["of"]]
    pledge = Pledge(fact, fund.pledges_made, parent.next_instalment)
    pledge.designation, pledge.fallback, pledge.lane = parent.designation, parent.fallback, parent.lane
    pledge.expires_at = parent.expires_at
    parent.instalment += 1
    _take_in(fund, pledge)
    schedule_instalment(fund, parent)


def _take_in(fund: Fund, pledge: Pledge) -> None:
    fund.pledges[pledge.id] = pledge
    fund.pledges_made += 1
    if pledge.rate is None:
        fund.unrated.setdefault(pledge.currency, []).append(pledge)
    if pledge.expires_at is not None:
        fund.timers.set(pledge.expires_at, EXPIRY, pledge.id)
    if pledge.recurrence:
        schedule_instalment(fund, pledge)
    fund.touched_pledges.add(pledge)


def _pledge_raised(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    if "rate" in fact:
        pledge.rate = fact["rate"]
        unrated = fund.unrated[pledge.currency]
        unrated.remove(pledge)
        if not unrated:
            del fund.unrated[pledge.currency]
        pledge.paid_waiting = convert(pledge.face_paid, pledge.rate, pledge.currency, fund.policy.currency)
    pledge.amount += fact["amount"]
    pledge.waiting += fact["amount"]
    fund.touched_pledges.add(pledge)


def _pledge_withdrawn(fund: Fund, fact: FactDict, _at: int) -> None:
    _close(fund, fact, "withdrawn")


def _pledge_expired(fund: Fund, fact: FactDict, _at: int) -> None:
    _close(fund, fact, "expired")


def _close(fund: Fund, fact: FactDict, how: str) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.closed, pledge.cancelled = how, pledge.rate is None
    pledge.next_instalment = None


def _awarded(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge, case, amount = fund.pledges[fact["pledge"]], fund.cases[fact["case"]], fact["amount"]
    award = Award(fact["award"], fund.awards_made, pledge, case, amount)
    fund.awards_made += 1
    pledge.awards_made += 1
    pledge.awards[award.id] = case.awards[award.id] = award
    pledge.waiting -= amount
    pledge.awarded += amount
    fund.touched_pledges.add(pledge)
    fund.move(case, awarded=amount)


def _award_settled(fund: Fund, fact: FactDict, _at: int) -> None:
    award, amount = fund.award(fact["award"]), fact["amount"]
    award.settled += amount
    pledge, case = award.pledge, award.case
    pledge.paid_waiting -= amount
    pledge.awarded -= amount
    pledge.settled += amount
    case.settled += amount
    fund.touched_pledges.add(pledge)
    fund.touched_cases.add(case)


def _award_voided(fund: Fund, fact: FactDict, _at: int) -> None:
    award, amount, settled = fund.award(fact["award"]), fact["amount"], fact["settled"]
    pledge, case = award.pledge, award.case
    award.amount -= amount
    award.settled -= settled
    pledge.awarded -= amount - settled
    pledge.settled -= settled
    pledge.waiting += amount
    pledge.paid_waiting += settled
    case.settled -= settled
    if not award.amount:
        del pledge.awards[award.id], case.awards[award.id]
    fund.touched_pledges.add(pledge)
    fund.move(case, awarded=-amount)


def _released(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.waiting -= fact["amount"]
    pledge.released += fact["amount"]
    fund.touched_pledges.add(pledge)


def _refunded(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    fund.refunds[fact["payment"]] = (pledge.id, fact["amount"])
    pledge.waiting -= fact["amount"]
    pledge.paid_waiting -= fact["amount"]
    pledge.released += fact["amount"]
    fund.touched_pledges.add(pledge)


def _payment_received(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    fund.payments[fact["payment"]] = (pledge.id, fact["face"])
    pledge.face_paid += fact["face"]
    pledge.paid_waiting += fact["amount"] or 0
    fund.touched_pledges.add(pledge)


def _payment_failed(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    fund.failures[fact["payment"]] = (pledge.id, fact["reason"])
    if pledge.rate is None:
        pledge.cancelled = True


def _rate_quoted(fund: Fund, fact: FactDict, _at: int) -> None:
    fund.rates[fact["currency"]] = fact["rate"]


def _nothing(_fund: Fund, _fact: FactDict, _at: int) -> None:
    """A fact that tells and changes nothing."""


APPLY: dict[str, Callable[[Fund, FactDict, int], None]] = {
    "fund_configured": _fund_configured,
    "case_submitted": _case_submitted,
    "case_vouched": _case_vouched,
    "case_opened": _case_opened,
    "case_escalated": _case_escalated,
    "case_amended": _case_amended,
    "case_renewed": _case_renewed,
    "case_delivered": _case_delivered,
    "case_thanked": _case_thanked,
    "case_closed": _case_closed,
    "case_funded": _nothing,
    "pledge_accepted": _pledge_accepted,
    "pledge_instalment": _pledge_instalment,
    "pledge_raised": _pledge_raised,
    "pledge_withdrawn": _pledge_withdrawn,
    "pledge_expired": _pledge_expired,
    "pledge_settled": _nothing,
    "awarded": _awarded,
    "award_settled": _award_settled,
    "award_voided": _award_voided,
    "waiting": _nothing,
    "released": _released,
    "refunded": _refunded,
    "payment_received": _payment_received,
    "payment_failed": _payment_failed,
    "rate_quoted": _rate_quoted,
    "duplicate": _nothing,
    "rejected": _nothing,
}
"""The index of facts: name → what it changes. The table is the state's whole vocabulary."""
