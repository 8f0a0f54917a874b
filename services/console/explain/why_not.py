"""Why not more: what a case lacks, who comes before it now, which waiting money it can't have, and where the money went that came
while it lacked some.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.values import CLASSES
from services.console.explain.missed import KEYED, REASONS, Missed, Run
from services.console.explain.order import SCALE, Order, ahead_of, floor_of, order_of, standing_of
from services.console.explain.runs import may_go
from services.console.explain.voice import Voice
from services.console.explain.wording import AHEAD, HELD, LAST_MISSED, MISSED, ORDER, ORDER_BY_OPENING, SERVED
from services.console.readmodel.model import FIRST_COME, Case, Fund, Policy

_STEPS = 4  # so many different next steps are shown one by one; more as a range


@dataclass
class WhyNot:
    """An answer: sentences, the same for programs, and what the rule does not explain."""

    voice: Voice
    lines: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def say(self, text: str, /, **names: object) -> None:
        """Add a sentence."""
        self.lines.append(self.voice.say(text, **names))


def why_not(voice: Voice, fund: Fund, case: Case, missed: Missed) -> WhyNot:
    """Why a case has no more, by the runs that it `missed`; nothing for a closed case that had all it asked for."""
    told = WhyNot(voice)
    if case.status == "submitted":
        missing = max(1, fund.policy.vouchers_required - case.vouchers)  # a lower bar opens it with the next
        told.say(
            "It isn't open yet, and money goes to open cases only. Vouchers it still needs: {missing}. "
            "Money it still lacks: {amount}.",
            missing=missing,
            amount=voice.money(lacks_of(case)),
        )
    elif case.status != "open":
        if case.promised >= case.claim and "unexplained" not in missed.shares:
            return told
        told.say("Money goes to open cases only.")
    elif not case.lacks:
        told.say("It lacks nothing: all it asks for is promised.")
    else:
        _tell_ahead(fund, case, told)
        _tell_waiting(fund, case, missed, told)
    if missed.shares:
        _tell_missed(fund, missed, told)
    elif case.status == "open":
        told.say("No money was promised elsewhere while it lacked some.")
    return told


def lacks_of(case: Case) -> int:
    """What it asks for and nobody has promised; for people, unlike for the rule, a case that isn't open yet lacks all of it."""
    return case.claim - case.promised if case.status == "submitted" else case.lacks


# ---- now --------------------------------------------------------------------------------------------------------------


def _tell_ahead(fund: Fund, case: Case, told: WhyNot) -> None:
    ahead, mine = ahead_of(fund, case), standing_of(fund, case)
    assert ahead is not None, "it lacks money"
    assert mine is not None, "it lacks money"
    told.data["ahead"] = asdict(ahead)
    if ahead.nobody:
        told.say("Nobody comes before it now: it gets the next money that is not meant for another need.")
    else:
        for name, text in AHEAD.items():
            if count := getattr(ahead, name):
                told.say(text, count=count, lacks=told.voice.money(getattr(ahead, f"{name}_lacks")))
        if ahead.own:
            told.say("An older need of the same person comes before it.")
    order, money = order_of(fund.of_beneficiary.values(), fund.policy, mine), told.voice.money
    told.data["order"] = _order_data(order, mine.rank)
    told.lines.append(_order(told.voice, "now", order, mine.rank, fund.policy))
    floor = floor_of(case, fund.policy)
    if floor > case.promised:
        lacks = money(floor - case.promised)
        told.say("It lacks {amount} of its own floor of {floor}.", floor=money(floor), amount=lacks)


def _tell_waiting(fund: Fund, case: Case, missed: Missed, told: WhyNot) -> None:
    """The fund's waiting money: if the case may have any of it, the ledger does not follow from the rule."""
    waiting, voice = [pledge for pledge in fund.pledges.values() if pledge.waiting], told.voice
    held, beside = Counter[str | None](), 0
    for pledge in waiting:
        if may_go(pledge, case):
            beside += pledge.waiting
        else:
            held[(pledge.designation or {}).get("need")] += pledge.waiting
    if beside:
        told.say("{amount} waits in the fund that this case may have: audit the ledger.", amount=voice.money(beside))
        told.findings += told.lines[-1:]
    else:
        since = max(moment.at for moment in (missed.matched, case.opened) if moment)
        told.data["idle_since"] = since
        told.say(
            "It waits, since all money of the fund that it may have is placed; none has been matched since {time} UTC.",
            time=time_text(since),
        )
    told.data["held"] = [{"need": need, "amount": amount} for need, amount in held.items()]
    for need, amount in held.items():
        told.say(
            HELD["case" if need is None else "need"], amount=voice.money(amount), need=voice.need(need) if need else ""
        )


# ---- the order of claimants -------------------------------------------------------------------------------------------


def _order_data(order: Order, rank: int) -> dict[str, Any]:
    before = [{"key": key, "claimants": count} for key, count in order.before]
    return {
        "class": None if order.by_opening else CLASSES[rank], "place": order.place, "of": order.of, "key": order.key,
        "before": before, "after": order.after,
    }  # fmt: skip


def _order(voice: Voice, when: str, order: Order, rank: int, policy: Policy) -> str:
    """Its place, and how high those before it stand: ranks without names."""
    after = voice.say("{count}", count=order.after) if order.after else voice.say("nobody")
    if order.by_opening:
        return voice.say(ORDER_BY_OPENING[when], place=order.place, of=order.of, after=after)
    if not order.before:
        before = voice.say("nobody")
    elif len(order.before) <= _STEPS:
        steps = ((count, _step(voice, key, policy)) for key, count in order.before)
        before = voice.list_of(voice.say("{count} with next step {step}", count=n, step=step) for n, step in steps)
    else:
        least, most = (_step(voice, order.before[end][0], policy) for end in (0, -1))
        count = order.place - 1
        before = voice.say("{count} with next steps from {least} to {most}", count=count, least=least, most=most)
    return voice.say(
        ORDER[when], place=order.place, of=order.of, class_=voice.class_(rank), after=after,
        step=_step(voice, order.key, policy), before=before,
    )  # fmt: skip


def _step(voice: Voice, key: int, policy: Policy) -> str:
    """Where a next step ends, from its key: a sum, or with weights by claim a part of what is asked."""
    if policy.weights == "claim":
        return voice.say("{part} of what is asked", part=voice.part(key, SCALE))
    return voice.money(key)


# ---- what was promised elsewhere --------------------------------------------------------------------------------------


def _tell_missed(fund: Fund, missed: Missed, told: WhyNot) -> None:
    told.say(
        "Of the matchings that came while it lacked money {runs} gave it nothing, and {reached} gave it a part and "
        "others the rest. What others were promised in them:",
        runs=missed.runs,
        reached=missed.reached,
    )
    shares = {name: asdict(share) for name, share in missed.shares.items()}
    voided, money = missed.voided(), told.voice.money
    told.data["missed"] = {"runs": missed.runs, "reached": missed.reached, "voided": voided, **shares}
    for name in REASONS:
        if share := missed.shares.get(name):
            line = told.voice.say(MISSED[name], amount=money(share.amount))
            told.lines.append("· " + line)
            if name == "unexplained":
                told.findings.append(line)
    if voided:
        told.say(
            "Of all this {amount} has ended since: a donor withdrew, a payment failed, a pledge expired, or a case "
            "was closed or asked for less.",
            amount=money(voided),
        )
    assert missed.last is not None, "there was a run"
    order = missed.last.order(fund)
    told.data["last_missed"] = _last_data(missed.last, order)
    _tell_last(missed.last, order, told)


def _last_data(last: Run, order: Order) -> dict[str, Any]:
    before = last.before
    return {
        "at": last.moment.at, "entry": last.moment.entry, "rule": last.policy.rule, "stage": before.stage,
        "class": CLASSES[before.rank], "key": before.key, "promised": before.promised, "claim": before.claim,
        "urgent": last.urgent, "urgent_lacks": last.urgent_lacks, "reached": last.reached,
        "order": _order_data(order, before.rank),
        "went": {name: asdict(share) for name, share in last.shares.items()},
    }  # fmt: skip


def _tell_last(last: Run, order: Order, told: WhyNot) -> None:
    """The last run that passed it by: where it stood then, and what those served had."""
    before, voice = last.before, told.voice
    by_opening = last.policy.rule == FIRST_COME or before.stage == "floor"
    told.say(
        LAST_MISSED["opening" if by_opening else "step"], time=time_text(last.moment.at), entry=last.moment.entry,
        class_=voice.class_(before.rank), promised=voice.money(before.promised), claim=voice.money(before.claim),
        key_n=voice.number(before.key),
    )  # fmt: skip
    told.lines.append(_order(voice, "then", order, before.rank, last.policy))
    if before.stage == "floor":
        told.say("It lacked {amount} of its floor.", amount=voice.money(before.lacks))
    if last.urgent and not by_opening:
        told.say(
            "Open cases in more urgent classes then: {urgent}, lacking {urgent_lacks} together.",
            urgent=last.urgent,
            urgent_lacks=voice.money(last.urgent_lacks),
        )
    same = [last.shares[reason] for reason in KEYED if reason in last.shares]
    if same:
        _tell_served(last.policy, by_opening, same, told)


def _tell_served(policy: Policy, by_opening: bool, same: list[Any], told: WhyNot) -> None:
    """How high the cases served that it is compared with stood, or how early they had opened."""
    least, most = min(share.key_least for share in same), max(share.key_most for share in same)
    low, high = (told.voice.number(key) if by_opening else _step(told.voice, key, policy) for key in (least, most))
    what, how = "opening" if by_opening else "step", "same" if least == most else "range"
    told.say(SERVED[what, how], least=low, most=high, least_n=low, most_n=high)


def time_text(at: str) -> str:
    """An RFC 3339 time for people: to the minute, UTC.

    >>> time_text("2026-11-22T10:00:02.500000Z")
    '2026-11-22 10:00'
    """
    return at[:16].replace("T", " ")
