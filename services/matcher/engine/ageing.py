"""What happens by itself when time passes: which class a case is in, and when timers are to fire.

The effective class is a function of time (contract, 5: rule 2); escalation timers are only the instants at which that function
may change. Periods are counted from their origin, so that the 31st comes back after February.
"""

from __future__ import annotations

from schemas.times import add_periods
from services.matcher.engine.fund import Fund
from services.matcher.model.entities import Case, Pledge, Policy
from services.matcher.model.timers import ESCALATION, INSTALMENT, RENEWAL, Timer

_ASAP, _STAT = 2, 3


def next_due(fund: Fund, now: int) -> Timer | None:
    """The fund's next timer due by `now`, or None; what its owner no longer means is dropped."""
    return fund.timers.due(now, lambda timer: _meant(fund, timer))


def _meant(fund: Fund, timer: Timer) -> bool:
    due, kind, owner = timer
    if kind == ESCALATION:
        return fund.cases[owner].next_escalation == due
    if kind == RENEWAL:
        return fund.cases[owner].next_renewal == due
    pledge = fund.pledges[owner]
    if kind == INSTALMENT:
        return pledge.next_instalment == due
    return pledge.closed is None


def class_by_age(policy: Policy, case: Case, at: int, priority: int | None = None) -> int:
    """The class as raised by waiting alone, never above `asap` by age; `priority` stands in for the case's own."""
    own = case.priority if priority is None else priority
    if not policy.ageing or case.status != "open":
        return own
    return max(own, min(own + (at - case.began) // policy.ageing, _ASAP))


def class_at(policy: Policy, case: Case, at: int, priority: int | None = None, needed_by: int | None = None) -> int:
    """The effective class at an instant: priority, raised by age, then by a near deadline.

    `priority` and `needed_by` stand in for the case's own, to see what an amendment would do.
    """
    needed_by = case.needed_by if needed_by is None else needed_by
    near = needed_by is not None and at >= needed_by - policy.deadline
    return min(class_by_age(policy, case, at, priority) + near, _STAT)


def class_before_deadline(policy: Policy, case: Case, at: int) -> int:
    """The class at an instant if a deadline that falls due at this very instant had not yet been counted."""
    near = case.needed_by is not None and at > case.needed_by - policy.deadline
    return min(class_by_age(policy, case, at) + near, _STAT)


def class_renewed(policy: Policy, case: Case, at: int) -> int:
    """The class at the instant a new period begins: ageing starts anew; a deadline due at this instant follows on its own."""
    near = case.needed_by is not None and at > case.needed_by - policy.deadline
    return min(case.priority + near, _STAT)


def schedule_case(fund: Fund, case: Case, after: int) -> None:
    """Set an open case's next escalation and renewal, the first ones later than `after`."""
    fund.touch_case(case)
    due = next_escalation(fund.policy, case, after)
    if due != case.next_escalation:
        case.next_escalation = due
        if due is not None:
            fund.timers.set(due, ESCALATION, case.id)
    due = _next_renewal(case)
    if due != case.next_renewal:
        case.next_renewal = due
        if due is not None:
            fund.timers.set(due, RENEWAL, case.id)


def next_escalation(policy: Policy, case: Case, after: int) -> int | None:
    """The first instant later than `after` at which an open case's class may change by itself."""
    instants = []
    if case.needed_by is not None and case.needed_by - policy.deadline > after:
        instants.append(case.needed_by - policy.deadline)
    if policy.ageing:
        raises = max(0, (after - case.began) // policy.ageing) + 1
        if case.priority + raises <= _ASAP:
            instants.append(case.began + raises * policy.ageing)
    return min(instants, default=None)


def _next_renewal(case: Case) -> int | None:
    if case.recurrence is None:
        return None
    every, times = case.recurrence
    if times is not None and case.period >= times:
        return None
    return add_periods(case.opened_at, every, case.period)


def schedule_instalment(fund: Fund, pledge: Pledge) -> None:
    """Set a recurring pledge's next instalment; none at or after its expiry, none beyond `times`."""
    assert pledge.recurrence is not None, "only a recurring pledge has instalments"
    every, times = pledge.recurrence
    due = None
    if pledge.closed is None and (times is None or pledge.instalment < times):
        due = add_periods(pledge.accepted_at, every, pledge.instalment)
        if due is not None and pledge.expires_at is not None and due >= pledge.expires_at:
            due = None
    pledge.next_instalment = due
    fund.touch_pledge(pledge)
    if due is not None:
        fund.timers.set(due, INSTALMENT, pledge.id)
