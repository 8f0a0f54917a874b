"""What each command does: one function a command, and the index that reads as the table of contents.

A function checks identity first (a repeat is a repeat, whatever has happened since), then whether the command may be, then tells
its facts. `Refused` carries the code and detail of a rejection; nothing has been told when it is raised.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from schemas import commands as c
from schemas.currencies import convert
from schemas.forms import CASE_DELIVERED, CASE_OPENED, CASE_VOUCHED, PAYMENT_RECEIVED, PLEDGE_ACCEPTED, PLEDGE_SETTLED
from schemas.structs import said
from schemas.times import micros_of, parse, text_of
from schemas.values import CLASSES
from services.matcher.engine import facts
from services.matcher.engine.ageing import class_at
from services.matcher.engine.fund import Fund
from services.matcher.engine.transition import Transition
from services.matcher.model.entities import RANK, Case, FactDict, Pledge, Policy, case_identity, pledge_identity


class Refused(Exception):
    """The command may not be: a `rejected` fact.

    Args:
        code: one of `schemas.facts.RejectionCode`.
        detail: what was wrong, with ids only.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Repeated(Exception):
    """The command changes nothing, since it was said before: a `duplicate` fact."""


def configure(transition: Transition, data: c.FundConfigured) -> None:
    """Open a fund or restate its policy; classes are computed anew."""
    fund = transition.fund
    fact = {"fact": "fund_configured", **said(data)}
    if fund.policy is not None:
        if fund.policy.currency != data.currency:
            raise Refused("currency_fixed", f"fund {fund.name} is in {fund.policy.currency}, for good")
        if fund.policy.same(Policy(fact)):
            raise Repeated
    transition.tell(fact)
    for case in list(fund.open_cases()):
        escalate(transition, case, class_at(fund.policy, case, transition.at), "policy")


def escalate(transition: Transition, case: Case, rank: int, why: str) -> None:
    """Tell of a change of class, if there is one."""
    if rank != case.rank:
        transition.tell(
            {"fact": "case_escalated", "case": case.id, "from": CLASSES[case.rank], "to": CLASSES[rank], "why": why}
        )


def submit(transition: Transition, data: c.CaseSubmitted) -> None:
    """Take in a case; it opens at once where no voucher is asked for."""
    fund = transition.fund
    fact: FactDict = {"fact": "case_submitted", **said(data)}
    del fact["fund"]
    fact.pop("access_box", None)  # for the reporter alone, who finds it with the command
    known = fund.cases.get(data.case)
    if known is not None:
        _repeat_or_conflict(known.origin == case_identity(fact), f"case {data.case}")
    if data.goal < data.own_contribution:
        raise Refused(
            "goal_below_own_contribution", f"case {data.case}: goal {data.goal} < own {data.own_contribution}"
        )
    transition.tell(fact)
    if fund.policy.vouchers_required == 0:
        _open(transition, fund.cases[data.case])


def vouch(transition: Transition, data: c.CaseVouched) -> None:
    """Count a voucher; the case opens with the last one it needs."""
    case = _case(transition.fund, data.case)
    if data.voucher in case.vouchers:
        raise Repeated
    _not_closed(case)
    if data.mark is not None and data.mark == case.person_mark:
        raise Refused("own_voucher", f"case {case.id}: nobody vouches for themselves")
    facts.vouch(transition.fund, case, data.voucher)
    transition.note((CASE_VOUCHED, case.id, data.voucher))
    if case.status == "submitted" and len(case.vouchers) >= transition.fund.policy.vouchers_required:
        _open(transition, case)


def _open(transition: Transition, case: Case) -> None:
    rank = class_at(transition.fund.policy, case, transition.at)
    facts.open_case(transition.fund, case, rank, transition.at)
    transition.note((CASE_OPENED, case.id, case.claim, CLASSES[rank]))
    if case.residual():
        transition.claim_opened(case)
    else:
        transition.funded(case)


def amend(transition: Transition, data: c.CaseAmended) -> None:
    """Restate goal, priority or time; a lower goal frees money, a higher one opens a claim."""
    case = _case(transition.fund, data.case)
    changes: dict[str, Any] = {}
    if data.goal not in (None, case.goal):
        changes["goal"] = data.goal
    if data.priority is not None and RANK[data.priority] != case.priority:
        changes["priority"] = data.priority
    needed_by = None if data.needed_by is None else micros_of(data.needed_by)
    if needed_by not in (None, case.needed_by):
        changes["needed_by"] = text_of(needed_by)
    if not changes:
        raise Repeated
    _not_closed(case)
    goal = changes.get("goal", case.goal)
    claim = case.claim + goal - case.goal
    if goal < case.own_contribution:
        raise Refused("goal_below_own_contribution", f"case {case.id}: goal {goal} < own {case.own_contribution}")
    if claim < case.delivered:
        raise Refused("goal_below_delivered", f"case {case.id}: claim {claim} < delivered {case.delivered}")
    _tell_amended(transition, case, claim, changes)


def _tell_amended(transition: Transition, case: Case, claim: int, changes: dict[str, Any]) -> None:
    lacked = case.residual()
    priority = RANK[changes["priority"]] if "priority" in changes else None
    needed_by = parse(changes["needed_by"]) if "needed_by" in changes else None
    rank = class_at(transition.fund.policy, case, transition.at, priority, needed_by)
    transition.tell({"fact": "case_amended", "case": case.id, "claim": claim, "class": CLASSES[rank], **changes})
    transition.void_case(case, max(0, case.awarded - claim))
    if lacked and not case.residual():
        transition.funded(case)
    transition.claim_opened(case)


def deliver(transition: Transition, data: c.CaseDelivered) -> None:
    """Note money handed over; it can only be money that is settled and not yet delivered."""
    fund = transition.fund
    case = _case(fund, data.case)
    known = fund.deliveries.get(data.delivery)
    if known is not None:
        _repeat_or_conflict(known == (case.id, data.amount), f"delivery {data.delivery}")
    _not_closed(case)
    _opened(case)
    amount = data.amount
    if amount > case.settled - case.delivered:
        raise Refused(
            "exceeds_settled", f"case {case.id}: {amount} > settled {case.settled} less delivered {case.delivered}"
        )
    facts.deliver(fund, case, data.delivery, amount)
    transition.note((CASE_DELIVERED, case.id, data.delivery, amount))


def thank(transition: Transition, data: c.CaseThanked) -> None:
    """Relay thanks; they may well come after the case is closed."""
    case = _case(transition.fund, data.case)
    if data.thanks in case.thanks:
        raise Repeated
    if case.status == "submitted":
        raise Refused("case_not_open", f"case {case.id} was never open")
    transition.tell({"fact": "case_thanked", "case": case.id, "thanks": data.thanks})


def close(transition: Transition, data: c.CaseClosed) -> None:
    """End a case; all that is not delivered goes back to its pledges and on to others."""
    case = _case(transition.fund, data.case)
    if case.status == "closed" and case.outcome == data.outcome:
        raise Repeated
    _not_closed(case)
    transition.tell({"fact": "case_closed", "case": case.id, "outcome": data.outcome})
    transition.void_case(case, case.awarded - case.delivered)


def pledge(transition: Transition, data: c.PledgeMade) -> None:
    """Accept a promise and place it; without a rate for its currency it waits.

    What a later rate finds to be worth nothing is a pledge of 0: it is accepted already, and a payment may still raise it.
    """
    fund, name = transition.fund, data.pledge
    face, currency = data.amount, data.currency
    amount, rate = valued(fund, face, currency)
    terms = _terms(data)
    made: Pledge = Pledge.__new__(Pledge)
    made.begin(name, fund.pledges_made, data.donor, face, currency, rate, amount or 0)
    if terms is not None:
        made.take_terms(terms, transition.at)
    known = fund.pledges.get(name)
    if known is not None:
        _repeat_or_conflict(pledge_identity(known) == pledge_identity(made), f"pledge {name}")
    if terms is not None and made.expires_at is not None and made.expires_at <= transition.at:
        raise Refused("already_expired", f"pledge {name} expired at {terms['expires_at']}")
    if amount == 0:
        home = fund.policy.currency
        raise Refused("worth_nothing", f"pledge {name}: less than one minor unit of {home} at {rate}")
    facts.take_in(fund, made)
    told = (PLEDGE_ACCEPTED, name, made.donor, amount, face, currency, rate)
    transition.note(told if terms is None else (*told, *map(terms.get, _TERMS)))
    transition.money_freed(made, new=True)


_TERMS = tuple(name for _, name in PLEDGE_ACCEPTED.places[PLEDGE_ACCEPTED.required :])
"""What few pledges have: all that their fact may leave out."""


def _terms(data: c.PledgeMade) -> FactDict | None:
    """What few pledges have, as their fact says it."""
    plain = data.designation is None and data.expires_at is None and data.recurrence is None
    if plain and data.fallback == "pool":
        return None
    terms: FactDict = {}
    if data.designation is not None:
        terms["designation"] = said(data.designation)
    if data.fallback != "pool":
        terms["fallback"] = data.fallback
    if data.expires_at is not None:
        terms["expires_at"] = text_of(micros_of(data.expires_at))
    if data.recurrence is not None:
        terms["recurrence"] = said(data.recurrence)
    return terms


def valued(fund: Fund, face: int, currency: str) -> tuple[int | None, str | None]:
    """What `face` is worth in the fund's currency at the latest rate, and the rate; None for both without one."""
    home = fund.policy.currency
    if currency == home:
        return face, "1"
    rate = fund.rates.get(currency)
    return (None, None) if rate is None else (convert(face, rate, currency, home), rate)


def withdraw(transition: Transition, data: c.PledgeWithdrawn) -> None:
    """The donor takes back all that is unpaid."""
    known = _pledge(transition.fund, data.pledge)
    if known.closed == "withdrawn":
        raise Repeated
    _not_ended(known)
    transition.tell({"fact": "pledge_withdrawn", "pledge": known.id})
    transition.void_pledge(known)


def receive(transition: Transition, data: c.PaymentReceived) -> None:
    """Settle with money received; it is never refused, and what is beyond the pledge raises it."""
    fund = transition.fund
    known = _pledge(fund, data.pledge)
    payment, face = data.payment, data.amount
    before = fund.payments.get(payment)
    if before is not None:
        _repeat_or_conflict(before == (known.id, face), f"payment {payment}")
    if known.rate is None:
        facts.receive_payment(fund, known, payment, face, 0)
        transition.note((PAYMENT_RECEIVED, known.id, payment, None, face))
        return
    paid = _worth(fund, known, known.face_paid + face)
    amount = paid - _worth(fund, known, known.face_paid)
    excess = amount - known.unpaid()
    facts.receive_payment(fund, known, payment, face, amount)
    transition.note((PAYMENT_RECEIVED, known.id, payment, amount, face))
    transition.settle(known, amount)
    if excess > 0:
        transition.tell({"fact": "pledge_raised", "pledge": known.id, "amount": excess})
        transition.money_freed(known)
    _tell_settled(transition, known, paid)


def _worth(fund: Fund, pledge: Pledge, face: int) -> int:
    """The floor of `face` at the pledge's own rate: what all payments are worth together, never each by itself."""
    home, rate = fund.policy.currency, pledge.rate
    assert rate is not None, "without a rate it is worth nothing yet"
    return face if pledge.currency == home else convert(face, rate, pledge.currency, home)


def _tell_settled(transition: Transition, pledge: Pledge, paid: int) -> None:
    """Tell that nothing is unpaid any more; where all that was paid is worth nothing, it settled nothing."""
    if paid and not pledge.unpaid():
        transition.note((PLEDGE_SETTLED, pledge.id))


def fail(transition: Transition, data: c.PaymentFailed) -> None:
    """End what is unpaid of a pledge whose payment failed."""
    fund = transition.fund
    known = _pledge(fund, data.pledge)
    before = fund.failures.get(data.payment)
    if before is not None:
        _repeat_or_conflict(before == (known.id, data.reason), f"failed payment {data.payment}")
    _not_ended(known)
    transition.tell({"fact": "payment_failed", "pledge": known.id, "payment": data.payment, "reason": data.reason})
    transition.void_pledge(known)


def refund(transition: Transition, data: c.PaymentRefunded) -> None:
    """Give back paid money that waits."""
    fund = transition.fund
    known = _pledge(fund, data.pledge)
    before = fund.refunds.get(data.payment)
    if before is not None:
        _repeat_or_conflict(before == (known.id, data.amount), f"refund {data.payment}")
    if data.amount > known.paid_waiting:
        raise Refused("not_refundable", f"pledge {known.id}: {data.amount} > paid and waiting {known.paid_waiting}")
    transition.tell({"fact": "refunded", "pledge": known.id, "payment": data.payment, "amount": data.amount})


def quote(transition: Transition, data: c.RateQuoted) -> None:
    """Note a rate, and value and match what waited for it."""
    fund = transition.fund
    if data.currency == fund.policy.currency:
        raise Refused("currency_fixed", f"fund {fund.name} is in {data.currency} itself; it has no rate")
    if Decimal(fund.rates.get(data.currency, 0)) == Decimal(data.rate):
        raise Repeated
    transition.tell({"fact": "rate_quoted", "currency": data.currency, "rate": data.rate})
    for known in list(fund.unrated.get(data.currency, {}).values()):
        paid = convert(known.face_paid, data.rate, known.currency, fund.policy.currency)
        promised = 0 if known.cancelled else convert(known.face, data.rate, known.currency, fund.policy.currency)
        transition.tell({"fact": "pledge_raised", "pledge": known.id, "amount": max(paid, promised), "rate": data.rate})
        _tell_settled(transition, known, paid)
        transition.money_freed(known, new=True)


def _case(fund: Fund, case: str) -> Case:
    known = fund.cases.get(case)
    if known is None:
        raise Refused("unknown_case", f"no case {case} in fund {fund.name}")
    return known


def _pledge(fund: Fund, pledge: str) -> Pledge:
    known = fund.pledges.get(pledge)
    if known is None:
        raise Refused("unknown_pledge", f"no pledge {pledge} in fund {fund.name}")
    return known


def _repeat_or_conflict(same: bool, what: str) -> None:
    if same:
        raise Repeated
    raise Refused("id_conflict", f"{what} is known with other data")


def _not_closed(case: Case) -> None:
    if case.status == "closed":
        raise Refused("case_closed", f"case {case.id} is closed: {case.outcome}")


def _opened(case: Case) -> None:
    if case.status == "submitted":
        raise Refused("case_not_open", f"case {case.id} is not open yet")


def _not_ended(pledge: Pledge) -> None:
    if pledge.closed:
        raise Refused("pledge_closed", f"pledge {pledge.id} is {pledge.closed}")


DECIDE: dict[str, Callable[[Transition, Any], None]] = {
    "pumasi.fund.configured": configure,
    "pumasi.case.submitted": submit,
    "pumasi.case.vouched": vouch,
    "pumasi.case.amended": amend,
    "pumasi.case.delivered": deliver,
    "pumasi.case.thanked": thank,
    "pumasi.case.closed": close,
    "pumasi.pledge.made": pledge,
    "pumasi.pledge.withdrawn": withdraw,
    "pumasi.payment.received": receive,
    "pumasi.payment.failed": fail,
    "pumasi.payment.refunded": refund,
    "pumasi.rate.quoted": quote,
}
"""The index of commands: `ce_type` → what it does."""
