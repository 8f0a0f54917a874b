"""Why not more: what a case lacks, who comes before it now, what waits that it can't have, and where the money was promised that
came while it lacked some.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.values import CLASSES
from services.console.explain.missed import KEYED, REASONS, Missed, Run
from services.console.explain.order import SCALE, Ahead, Order, ahead_of, floor_of, order_of, standing_of
from services.console.explain.runs import may_go
from services.console.explain.voice import Voice
from services.console.readmodel.model import FIRST_COME, Case, Fund, Policy

_STEPS = 4  # as many different next steps are told one by one; more as a range


@dataclass
class WhyNot:
    """An answer: sentences, the same for programs, and what the rule does not explain."""

    lines: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def why_not(voice: Voice, fund: Fund, case: Case, missed: Missed) -> WhyNot:
    """Why a case has no more; a closed case that has all it asked for is asked nothing.

    Args:
        voice: in which it is said.
        fund: the case's.
        case: the case.
        missed: the runs that passed it by.
    """
    told = WhyNot()
    if case.status == "submitted":
        missing = max(1, fund.policy.vouchers_required - case.vouchers)  # a lower bar opens it with the next
        told.lines.append(voice.say("not_open_yet", missing=missing, amount=voice.money(lacks_of(case))))
    elif case.status != "open":
        if case.promised >= case.claim and "unexplained" not in missed.shares:
            return told
        told.lines.append(voice.say("not_open"))
    elif not case.lacks:
        told.lines.append(voice.say("lacks_nothing"))
    else:
        _tell_ahead(voice, fund, case, told)
        _tell_waiting(voice, fund, case, missed, told)
    if missed.shares:
        _tell_missed(voice, fund, missed, told)
    elif case.status == "open":
        told.lines.append(voice.say("no_run_missed"))
    return told


def lacks_of(case: Case) -> int:
    """What it asks for and nobody has promised; unlike to the rule, to people a case that isn't open yet lacks all of it."""
    return case.claim - case.promised if case.status == "submitted" else case.lacks


# ---- now --------------------------------------------------------------------------------------------------------------


def _tell_ahead(voice: Voice, fund: Fund, case: Case, told: WhyNot) -> None:
    ahead, mine = ahead_of(fund, case), standing_of(fund, case)
    assert ahead is not None, "it lacks money"
    assert mine is not None, "it lacks money"
    told.data["ahead"] = asdict(ahead)
    told.lines += [voice.say("ahead_none")] if ahead.nobody else _ahead(voice, ahead)
    order = order_of(fund.of_beneficiary.values(), fund.policy, mine)
    told.data["order"] = _order_data(order, mine.rank)
    told.lines.append(_order(voice, "now", order, mine.rank, fund.policy))
    floor = floor_of(case, fund.policy)
    if floor > case.promised:
        told.lines.append(voice.say("lacks_floor", floor=voice.money(floor), amount=voice.money(floor - case.promised)))


def _ahead(voice: Voice, ahead: Ahead) -> list[str]:
    lines = []
    if ahead.older:
        lines.append(voice.say("ahead_older", older=ahead.older, older_lacks=voice.money(ahead.older_lacks)))
    if ahead.floors:
        lines.append(voice.say("ahead_floors", floors=ahead.floors, floors_lacks=voice.money(ahead.floors_lacks)))
    if ahead.urgent:
        lines.append(voice.say("ahead_urgent", urgent=ahead.urgent, urgent_lacks=voice.money(ahead.urgent_lacks)))
    if ahead.lesser:
        lines.append(voice.say("ahead_lesser", lesser=ahead.lesser, lesser_lacks=voice.money(ahead.lesser_lacks)))
    return [*lines, voice.say("ahead_own")] if ahead.own else lines


def _tell_waiting(voice: Voice, fund: Fund, case: Case, missed: Missed, told: WhyNot) -> None:
    """What of the fund's money waits: none that the case may have, or the ledger does not follow from the rule."""
    waiting = [pledge for pledge in fund.pledges.values() if pledge.waiting]
    held, beside = Counter[str | None](), 0
    for pledge in waiting:
        if may_go(pledge, case):
            beside += pledge.waiting
        else:
            held[(pledge.designation or {}).get("need")] += pledge.waiting
    if beside:
        told.findings.append(voice.say("waits_beside", amount=voice.money(beside)))
        told.lines += told.findings[-1:]
    else:
        since = max(moment.at for moment in (missed.matched, case.opened) if moment)
        told.data["idle_since"] = since
        told.lines.append(voice.say("idle", time=time_text(since)))
    told.data["held"] = [{"need": need, "amount": amount} for need, amount in held.items()]
    for need, amount in held.items():
        name = "held_need" if need else "held_case"
        told.lines.append(voice.say(name, amount=voice.money(amount), need=voice.need(need) if need else ""))


# ---- the order of claimants -------------------------------------------------------------------------------------------


def _order_data(order: Order, rank: int) -> dict[str, Any]:
    before = [{"key": key, "claimants": count} for key, count in order.before]
    return {
        "class": None if order.by_opening else CLASSES[rank], "place": order.place, "of": order.of, "key": order.key,
        "before": before, "after": order.after,
    }  # fmt: skip


def _order(voice: Voice, when: str, order: Order, rank: int, policy: Policy) -> str:
    """Its place, and how high those before it stand: ranks without names."""
    if order.by_opening:
        return voice.say(f"order_{when}_opening", place=order.place, of=order.of, after=order.after)
    if not order.before:
        before = voice.say("order_nobody")
    elif len(order.before) <= _STEPS:
        steps = (voice.say("order_step", count=n, step=_step(voice, key, policy)) for key, n in order.before)
        before = voice.list_of(steps)
    else:
        least, most = (_step(voice, order.before[end][0], policy) for end in (0, -1))
        before = voice.say("order_steps", count=order.place - 1, least=least, most=most)
    return voice.say(
        f"order_{when}", place=order.place, of=order.of, class_=voice.class_(rank), after=order.after,
        step=_step(voice, order.key, policy), before=before,
    )  # fmt: skip


def _step(voice: Voice, key: int, policy: Policy) -> str:
    """Where a next step ends, from its key: a sum, or with weights by claim a part of what is asked."""
    return voice.say("step_part", part=voice.part(key, SCALE)) if policy.weights == "claim" else voice.money(key)


# ---- what was promised elsewhere --------------------------------------------------------------------------------------


def _tell_missed(voice: Voice, fund: Fund, missed: Missed, told: WhyNot) -> None:
    told.lines.append(voice.say("missed", runs=missed.runs, reached=missed.reached))
    shares = {name: asdict(share) for name, share in missed.shares.items()}
    voided = missed.voided()
    told.data["missed"] = {"runs": missed.runs, "reached": missed.reached, "voided": voided, **shares}
    for name in REASONS:
        if share := missed.shares.get(name):
            line = voice.say(f"missed_{name}", amount=voice.money(share.amount))
            told.lines.append("· " + line)
            if name == "unexplained":
                told.findings.append(line)
    if voided:
        told.lines.append(voice.say("missed_voided", amount=voice.money(voided)))
    assert missed.last is not None, "there was a run"
    order = missed.last.order(fund)
    told.data["last_missed"] = _last_data(missed.last, order)
    told.lines += _last(voice, missed.last, order)


def _last_data(last: Run, order: Order) -> dict[str, Any]:
    before = last.before
    return {
        "at": last.moment.at, "entry": last.moment.entry, "rule": last.policy.rule, "stage": before.stage,
        "class": CLASSES[before.rank], "key": before.key, "promised": before.promised, "claim": before.claim,
        "urgent": last.urgent, "urgent_lacks": last.urgent_lacks, "reached": last.reached,
        "order": _order_data(order, before.rank),
        "went": {name: asdict(share) for name, share in last.shares.items()},
    }  # fmt: skip


def _last(voice: Voice, last: Run, order: Order) -> list[str]:
    """The last run that passed it by: where it stood then, and what those had who were served."""
    before = last.before
    by_opening = last.policy.rule == FIRST_COME or before.stage == "floor"
    name = "last_missed_opening" if by_opening else "last_missed"
    lines = [
        voice.say(
            name, time=time_text(last.moment.at), entry=last.moment.entry, class_=voice.class_(before.rank),
            promised=voice.money(before.promised), claim=voice.money(before.claim), key_n=f"{before.key:,}",
        ),
        _order(voice, "then", order, before.rank, last.policy),
    ]  # fmt: skip
    if before.stage == "floor":
        lines.append(voice.say("last_lacked_floor", amount=voice.money(before.lacks)))
    if last.urgent and not by_opening:
        lines.append(voice.say("last_urgent", urgent=last.urgent, urgent_lacks=voice.money(last.urgent_lacks)))
    same = [last.shares[reason] for reason in KEYED if reason in last.shares]
    if same:
        lines.append(_served(voice, last.policy, by_opening, same))
    return lines


def _served(voice: Voice, policy: Policy, by_opening: bool, same: list[Any]) -> str:
    """How high those stood, or how early they had opened, who were served and are compared with it."""
    least, most = min(share.key_least for share in same), max(share.key_most for share in same)
    one = least == most
    if by_opening:
        return voice.say("last_opening" if one else "last_openings", least_n=f"{least:,}", most_n=f"{most:,}")
    low, high = _step(voice, least, policy), _step(voice, most, policy)
    return voice.say("last_step" if one else "last_steps", least=low, most=high)


def time_text(at: str) -> str:
    """An RFC 3339 time for people: to the minute, UTC.

    >>> time_text("2026-11-22T10:00:02.500000Z")
    '2026-11-22 10:00'
    """
    return at[:16].replace("T", " ")
