"""Rows: what an engine remembers, entity by entity, as lists of JSON values, and back.

A row holds only what can't be computed again, and holds it once. Awards stand with their pledges, oldest first; each has its place in
the order over all pledges (`order`), so that a case gets its own awards back in the order they were made. Timers, queues, books and the
list of pledges without a rate are derived: they are rebuilt when a row is taken in.

An entity has *ended* if nothing will happen to it by itself or through others. It is remembered all the same: a repeat must be told
from a conflict, a late payment may bring a pledge back, and thanks may come to a closed case.
"""

from __future__ import annotations

from operator import attrgetter
from sys import intern
from typing import Any

from services.matcher.engine.fund import Fund
from services.matcher.model.entities import POOL, Award, Case, Pledge, Policy, tupled
from services.matcher.model.timers import ESCALATION, EXPIRY, INSTALMENT, RENEWAL

Row = list[Any]

SAID = ("payments", "failures", "refunds", "deliveries")
"""What was said of money, by identity: dictionaries of a fund that only ever grow. `id` → owner and what."""

_ORDER = attrgetter("order")
_WORD = 1 << 62


def fund_row(fund: Fund) -> Row:
    """A fund's own: time, policy, counters, rates."""
    policy = None if fund.policy is None else {name: getattr(fund.policy, name) for name in Policy.__slots__}
    return [fund.now, policy, fund.pledges_made, fund.cases_opened, fund.awards_made, fund.rates]


def fund_of(name: str, row: Row) -> Fund:
    """The fund of a row of `fund_row`, as yet empty."""
    now, policy, pledges_made, cases_opened, awards_made, rates = row
    fund = Fund(name, now)
    if policy is not None:
        fund.policy = Policy.__new__(Policy)
        for field in Policy.__slots__:
            setattr(fund.policy, field, policy[field])
    fund.pledges_made, fund.cases_opened, fund.awards_made, fund.rates = pledges_made, cases_opened, awards_made, rates
    return fund


def case_row(case: Case) -> Row:
    """A case, but for its awards."""
    return [
        case.id, case.origin, case.goal, case.priority, case.needed_by, case.status, case.outcome, list(case.vouchers),
        list(case.thanks), case.claim, case.rank, case.awarded, case.settled, case.delivered, case.open_order,
        case.opened_at, case.began, case.period, case.person_mark, case.next_escalation, case.next_renewal,
    ]  # fmt: skip


def case_of(row: Row) -> Case:
    """The case of a row of `case_row`, as yet without awards and timers."""
    case = Case.__new__(Case)
    (
        case.id, origin, case.goal, case.priority, case.needed_by, case.status, case.outcome, vouchers, thanks,
        case.claim, case.rank, case.awarded, case.settled, case.delivered, case.open_order, case.opened_at, case.began,
        case.period, case.person_mark, case.next_escalation, case.next_renewal,
    ) = row  # fmt: skip
    beneficiary, need, route, goal, own, priority, needed_by, recurrence = origin
    case.recall(
        (
            beneficiary, intern(need), intern(route), goal, own, intern(priority), needed_by,
            recurrence and tuple(recurrence),
        ),
        vouchers,
        thanks,
    )  # fmt: skip
    return case


def case_ended(case: Case) -> bool:
    """Whether it is closed and nothing is left to hand over."""
    return case.status == "closed" and not case.any_awards


def take_in_case(fund: Fund, row: Row) -> Case:
    """Take a case that may still change into a fund, timers included; its awards come with their pledges."""
    case = case_of(row)
    fund.cases[case.id] = case
    if case.next_escalation is not None:
        fund.timers.set(case.next_escalation, ESCALATION, case.id)
    if case.next_renewal is not None:
        fund.timers.set(case.next_renewal, RENEWAL, case.id)
    return case


def pledge_row(pledge: Pledge) -> Row:
    """A pledge: what all have, what few have by name, and the awards."""
    return [
        pledge.id, pledge.order, pledge.donor, pledge.face, pledge.currency, pledge.rate, pledge.amount, pledge.waiting,
        pledge.paid_waiting, pledge.awarded, pledge.settled, pledge.delivered, pledge.released, pledge.face_paid,
        pledge.awards_made, pledge.closed, terms_of(pledge),
        [(a.number, a.order, a.case.id, a.amount, a.settled, a.delivered) for a in pledge.awards],
    ]  # fmt: skip


def terms_of(pledge: Pledge) -> dict[str, Any] | None:
    """What few pledges have, by name. Records say `lane` for `queue`, as the first ones did."""
    return {"lane" if name == "queue" else name: value for name, value in pledge.__dict__.items()} or None


def pledge_of(row: Row) -> Pledge:
    """The pledge of a row of `pledge_row`, as yet without its awards."""
    pledge = Pledge.__new__(Pledge)
    (
        pledge.id, pledge.order, pledge.donor, pledge.face, currency, rate, pledge.amount, pledge.waiting,
        pledge.paid_waiting, pledge.awarded, pledge.settled, pledge.delivered, pledge.released, pledge.face_paid,
        pledge.awards_made, pledge.closed, terms, _awards,
    ) = row  # fmt: skip
    pledge.currency, pledge.rate = intern(currency), rate and intern(rate)  # few, and the same in very many
    pledge.awards, pledge.mark, pledge.listed, pledge.touched, pledge.has_terms = None, 0, False, False, bool(terms)
    if terms:
        for name, value in terms.items():
            setattr(pledge, "queue" if name == "lane" else name, tupled(value))
        if terms.get("lane") == list(POOL):
            pledge.queue = POOL  # the very one: it is asked for by identity
    return pledge


def pledge_ended(pledge: Pledge) -> bool:
    """Whether only a late payment could bring it back."""
    return not (
        pledge.waiting
        or pledge.any_awards
        or pledge.rate is None
        or pledge.next_instalment is not None
        or (pledge.expires_at is not None and pledge.closed is None)
    )


def take_in_pledge(fund: Fund, row: Row) -> Pledge:
    """Take a pledge that may still change into a fund, its awards, timers and queue included; after the cases.

    Raises:
        KeyError: if a case isn't there to which money of it was awarded.
    """
    pledge = pledge_of(row)
    fund.pledges[pledge.id] = pledge
    if row[-1]:
        _take_in_awards(fund, pledge, row[-1])
    if pledge.waiting:
        fund.queues.wait(pledge)
    if pledge.expires_at is not None and pledge.closed is None:
        fund.timers.set(pledge.expires_at, EXPIRY, pledge.id)
    if pledge.next_instalment is not None:
        fund.timers.set(pledge.next_instalment, INSTALMENT, pledge.id)
    return pledge


def _take_in_awards(fund: Fund, pledge: Pledge, told: list[Row]) -> None:
    """As rows, if nothing has happened to any of them yet."""
    first_order = told[0][1]
    untouched = all(
        (number, order, settled, delivered) == (place + 1, first_order + place, 0, 0) and 0 < amount < _WORD
        for place, (number, order, _case, amount, settled, delivered) in enumerate(told)
    )
    if untouched and len(told) == pledge.awards_made:
        fresh = fund.fresh
        for _number, _order, case_id, amount, _settled, _delivered in told:
            case = fund.cases[case_id]
            case.take(fresh, fresh.add(pledge, case, amount, case.last_row))
        pledge.begin_fresh(fresh, len(told), first_order)
        return
    pledge.awards = awards = []
    for number, order, case_id, amount, settled, delivered in told:
        case = fund.cases[case_id]
        award: Award = Award.__new__(Award).begin(number, order, pledge, case, amount)
        award.settled, award.delivered = settled, delivered
        awards.append(award)
        case.take_touched(award)


def take_in_ended(fund: Fund, bundle: dict[str, list[Any]]) -> None:
    """Take a bundle of what only identity checks need into a fund; before what may still change, and in the order of bundles.

    The same entity may have ended twice: the later bundle is right, and what has come back is in none of them.
    """
    for name in SAID:
        if said := bundle.get(name):
            getattr(fund, name).update((key, (owner, what)) for key, owner, what in said)
    for row in bundle.get("cases", ()):
        case = case_of(row)
        fund.cases[case.id] = case
    for row in bundle.get("pledges", ()):
        pledge = pledge_of(row)
        fund.pledges[pledge.id] = pledge


def put_in_order(fund: Fund, live: list[Case], pledges: list[Pledge]) -> None:
    """Once all rows are in: awards of each case from oldest to newest, pledges without a rate in pledge order.

    Args:
        fund: whose.
        live: its cases that may still change.
        pledges: its pledges that may still change.
    """
    for case in live:
        case.put_in_order()  # those that are rows are put among them when they become objects
    for pledge in sorted((pledge for pledge in pledges if pledge.rate is None), key=_ORDER):
        fund.unrated.setdefault(pledge.currency, {})[pledge.id] = pledge
