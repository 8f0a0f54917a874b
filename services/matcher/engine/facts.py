"""The fold: `apply(fund, fact)`, one function a fact, the same code live and in replay.

Nothing here decides. Every change of money is one fact, and one function below. The index at the end names all that can change a fund.
Of the commonest facts a function without a dash does the work: who decides one has the award or the pledge at hand, and need not
find it by its id again.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.currencies import convert
from schemas.times import parse
from services.matcher.engine.ageing import schedule_case, schedule_instalment
from services.matcher.engine.fund import Fund
from services.matcher.model.entities import RANK, Award, Case, FactDict, Pledge, Policy, grown
from services.matcher.model.timers import EXPIRY


def apply(fund: Fund, fact: FactDict, at: int) -> None:
    """Fold one fact into the state.

    Args:
        fund: whose fact it is.
        fact: a fact of `schemas.facts`, as a plain dict.
        at: the instant of the fact (live), or the time of its entry (replay); both lead to the same state once all facts of the
            entry are applied.
    """
    APPLY[fact["fact"]](fund, fact, at)


def _fund_configured(fund: Fund, fact: FactDict, at: int) -> None:
    fund.policy = Policy(fact)
    fund.pool = None
    fund.needs.clear()
    for case in fund.open_cases():
        schedule_case(fund, case, at)


def _case_submitted(fund: Fund, fact: FactDict, _at: int) -> None:
    case = Case(fact)
    fund.cases[case.id] = case
    fund.touch_case(case)


def _case_vouched(fund: Fund, fact: FactDict, _at: int) -> None:
    vouch(fund, fund.cases[fact["case"]], fact["voucher"])


def vouch(fund: Fund, case: Case, voucher: str) -> None:
    """Note a voucher."""
    case.vouchers = grown(case.vouchers, voucher)
    fund.touch_case(case)


def _case_opened(fund: Fund, fact: FactDict, at: int) -> None:
    open_case(fund, fund.cases[fact["case"]], RANK[fact["class"]], at)


def open_case(fund: Fund, case: Case, rank: int, at: int) -> None:
    """Open a case in a class."""
    books = fund.books_of(case)  # built, if need be, before the case counts as open
    case.status, case.rank = "open", rank
    case.opened_at = case.began = at
    case.open_order = fund.cases_opened
    fund.cases_opened += 1
    fund.totals.open[case.rank] += 1
    for book in books:
        book.add(case)
    fund.touch_case(case)
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
    fund.move(case, fact["claim"] - case.claim, 0)


def _case_renewed(fund: Fund, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    case.period = fact["period"]
    assert case.next_renewal is not None, "only a recurring case is renewed"
    case.began = case.next_renewal
    rank = RANK[fact["class"]]
    if rank != case.rank:
        fund.reclass(case, rank)
    fund.move(case, fact["claim"] - case.claim, 0)
    schedule_case(fund, case, case.began - 1)  # a deadline at the very instant of the renewal comes after it


def _case_delivered(fund: Fund, fact: FactDict, _at: int) -> None:
    deliver(fund, fund.cases[fact["case"]], fact["delivery"], fact["amount"])


def deliver(fund: Fund, case: Case, delivery: str, left: int) -> None:
    """Hand over so much of what is settled, of the oldest awards first."""
    fund.deliveries[delivery] = (case.id, left)
    case.delivered += left
    totals, done = fund.totals, []
    for award in case.all_awards():  # oldest first
        part = min(left, award.settled - award.delivered)
        if part:
            pledge = award.pledge
            award.delivered += part
            pledge.settled -= part
            pledge.delivered += part
            totals.settled -= part
            totals.delivered += part
            fund.touch_pledge(pledge)
            left -= part
            if award.delivered == award.amount:
                done.append(award)
            if not left:
                break
    for award in done:
        _forget(award)
    fund.touch_case(case)


def _forget(award: Award) -> None:
    award.case.forget(award)  # before the pledge: a case whose awards are rows asks their pledges for them
    award.pledge.forget(award)


def _case_thanked(fund: Fund, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    case.thanks = grown(case.thanks, fact["thanks"])
    fund.touch_case(case)


def _case_closed(fund: Fund, fact: FactDict, _at: int) -> None:
    case = fund.cases[fact["case"]]
    if case.status == "open":
        for book in fund.books_of(case):
            book.remove(case)
        fund.totals.open[case.rank] -= 1
    case.status, case.outcome = "closed", fact["outcome"]
    case.next_escalation = case.next_renewal = None
    fund.touch_case(case)


def _pledge_accepted(fund: Fund, fact: FactDict, at: int) -> None:
    take_in(fund, Pledge(fact, fund.pledges_made, at))


def _pledge_instalment(fund: Fund, fact: FactDict, at: int) -> None:
    parent = fund.pledges[fact["of"]]
    pledge = Pledge(fact, fund.pledges_made, at)
    pledge.has_terms = True
    pledge.designation, pledge.fallback, pledge.queue = parent.designation, parent.fallback, parent.queue
    pledge.expires_at = parent.expires_at
    parent.instalment += 1
    take_in(fund, pledge)
    schedule_instalment(fund, parent)


def take_in(fund: Fund, pledge: Pledge) -> None:
    """Take in a new pledge."""
    fund.pledges[pledge.id] = pledge
    fund.pledges_made += 1
    fund.totals.waiting += pledge.waiting
    if pledge.rate is None:
        fund.unrated.setdefault(pledge.currency, {})[pledge.id] = pledge
    if pledge.has_terms:
        if pledge.expires_at is not None:
            fund.timers.set(pledge.expires_at, EXPIRY, pledge.id)
        if pledge.recurrence:
            schedule_instalment(fund, pledge)
    fund.touch_pledge(pledge)


def _pledge_raised(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    if "rate" in fact:
        pledge.rate = rate = fact["rate"]
        unrated = fund.unrated[pledge.currency]
        del unrated[pledge.id]
        if not unrated:
            del fund.unrated[pledge.currency]
        pledge.paid_waiting = convert(pledge.face_paid, rate, pledge.currency, fund.policy.currency)
    amount = fact["amount"]
    pledge.amount += amount
    pledge.waiting += amount
    fund.totals.waiting += amount
    fund.touch_pledge(pledge)


def _pledge_withdrawn(fund: Fund, fact: FactDict, _at: int) -> None:
    _close(fund, fact, "withdrawn")


def _pledge_expired(fund: Fund, fact: FactDict, _at: int) -> None:
    _close(fund, fact, "expired")


def _close(fund: Fund, fact: FactDict, how: str) -> None:
    pledge = fund.pledges[fact["pledge"]]
    pledge.closed, pledge.cancelled = how, pledge.rate is None
    pledge.next_instalment = None
    fund.touch_pledge(pledge)


def _awarded(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    case = fund.cases[fact["case"]]
    amount = fact["amount"]
    fund.move(case, 0, amount)
    commit(fund, pledge, case, int(fact["award"].rpartition("/")[2]), amount)


def commit(fund: Fund, pledge: Pledge, case: Case, number: int, amount: int) -> None:
    """Note an award whose money the case and its books already count: the rest of `awarded`, live and in replay."""
    order = fund.awards_made
    fund.awards_made = order + 1
    if not pledge.add_fresh(fund.fresh, case, number, order, amount):
        award: Award = Award.__new__(Award)
        award.begin(number, order, pledge, case, amount)
        case.all_awards().append(award)
        pledge.all_awards().append(award)
        pledge.awards_made = number
    pledge.waiting -= amount
    pledge.awarded += amount
    totals = fund.totals
    totals.waiting -= amount
    totals.awarded += amount
    fund.touch_pledge(pledge)
    fund.touch_case(case)


def _award_settled(fund: Fund, fact: FactDict, _at: int) -> None:
    settle_award(fund, fund.award(fact["award"]), fact["amount"])


def settle_award(fund: Fund, award: Award, amount: int) -> None:
    """Note that so much of an award is paid."""
    pledge, case = award.pledge, award.case
    award.settled += amount
    pledge.paid_waiting -= amount
    pledge.awarded -= amount
    pledge.settled += amount
    case.settled += amount
    totals = fund.totals
    totals.awarded -= amount
    totals.settled += amount
    fund.touch_pledge(pledge)
    fund.touch_case(case)


def _award_voided(fund: Fund, fact: FactDict, _at: int) -> None:
    void_award(fund, fund.award(fact["award"]), fact["amount"], fact["settled"])


def void_award(fund: Fund, award: Award, amount: int, settled: int) -> None:
    """Take so much of an award back, `settled` of it paid."""
    pledge, case = award.pledge, award.case
    award.amount -= amount
    award.settled -= settled
    pledge.awarded -= amount - settled
    pledge.settled -= settled
    pledge.waiting += amount
    pledge.paid_waiting += settled
    totals = fund.totals
    totals.awarded -= amount - settled
    totals.settled -= settled
    totals.waiting += amount
    case.settled -= settled
    if award.amount == award.delivered:  # void as a whole, or but for what is handed over
        _forget(award)
    fund.touch_pledge(pledge)
    fund.move(case, 0, -amount)


def _released(fund: Fund, fact: FactDict, _at: int) -> None:
    release(fund, fund.pledges[fact["pledge"]], fact["amount"])


def release(fund: Fund, pledge: Pledge, amount: int) -> None:
    """Give unpaid money that waits back to its donor."""
    pledge.waiting -= amount
    pledge.released += amount
    fund.totals.waiting -= amount
    fund.totals.released += amount
    fund.touch_pledge(pledge)


def _refunded(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    fund.refunds[fact["payment"]] = (pledge.id, fact["amount"])
    pledge.waiting -= fact["amount"]
    pledge.paid_waiting -= fact["amount"]
    pledge.released += fact["amount"]
    fund.totals.waiting -= fact["amount"]
    fund.totals.released += fact["amount"]
    fund.touch_pledge(pledge)


def _payment_received(fund: Fund, fact: FactDict, _at: int) -> None:
    receive_payment(fund, fund.pledges[fact["pledge"]], fact["payment"], fact["face"], fact["amount"] or 0)


def receive_payment(fund: Fund, pledge: Pledge, payment: str, face: int, amount: int) -> None:
    """Note a payment, worth `amount`: nothing yet, as long as the pledge has no rate."""
    fund.payments[payment] = (pledge.id, face)
    pledge.face_paid += face
    pledge.paid_waiting += amount
    fund.touch_pledge(pledge)


def _payment_failed(fund: Fund, fact: FactDict, _at: int) -> None:
    pledge = fund.pledges[fact["pledge"]]
    fund.failures[fact["payment"]] = (pledge.id, fact["reason"])
    if pledge.rate is None:
        pledge.cancelled = True
        fund.touch_pledge(pledge)


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
"""The index of facts: name → what it changes."""
