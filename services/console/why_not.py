"""Why not more: what a case lacks, who comes before it now, and where the money went that came while it lacked some."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.values import CLASSES
from services.console.missed import KEYED, REASONS, Missed, Run
from services.console.model import FIRST_COME, Case, Fund
from services.console.standing import Ahead, ahead_of, floor_of
from services.console.voice import Voice


@dataclass
class WhyNot:
    """An answer: sentences, the same for programs, and what the rule does not explain."""

    lines: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def why_not(voice: Voice, fund: Fund, case: Case, missed: Missed | None) -> WhyNot:
    """Why a case has no more.

    Args:
        voice: in which it is said.
        fund: the case's.
        case: the case.
        missed: the runs that passed it by, or None if it was not followed.
    """
    told = WhyNot()
    if case.status == "submitted":
        missing = max(1, fund.policy.vouchers_required - case.vouchers)  # a lower bar opens it with the next
        told.lines.append(voice.say("not_open_yet", missing=missing, amount=voice.money(lacks_of(case))))
    elif case.status != "open":
        told.lines.append(voice.say("not_open"))
    elif not case.lacks:
        told.lines.append(voice.say("lacks_nothing"))
    else:
        _tell_ahead(voice, fund, case, told)
    if missed is not None and missed.runs:
        _tell_missed(voice, missed, told)
    elif case.status == "open":
        told.lines.append(voice.say("no_run_missed"))
    return told


def lacks_of(case: Case) -> int:
    """What it asks for and nobody has promised; unlike to the rule, to people a case that isn't open yet lacks all of it."""
    return case.claim - case.promised if case.status == "submitted" else case.lacks


def _tell_ahead(voice: Voice, fund: Fund, case: Case, told: WhyNot) -> None:
    ahead = ahead_of(fund, case)
    assert ahead is not None, "it lacks money"
    told.data["ahead"] = asdict(ahead)
    told.lines += [voice.say("ahead_none")] if ahead.nobody else _ahead(voice, ahead)
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


def _tell_missed(voice: Voice, missed: Missed, told: WhyNot) -> None:
    told.lines.append(voice.say("missed", runs=missed.runs))
    told.data["missed"] = {"runs": missed.runs, **{name: asdict(share) for name, share in missed.shares.items()}}
    for name in REASONS:
        if share := missed.shares.get(name):
            line = voice.say(f"missed_{name}", amount=voice.money(share.amount))
            told.lines.append("· " + line)
            if name == "unexplained":
                told.findings.append(line)
    assert missed.last is not None, "there was a run"
    told.data["last_missed"] = _last_data(missed.last)
    told.lines += _last(voice, missed.last)


def _last_data(last: Run) -> dict[str, Any]:
    before = last.before
    return {
        "at": last.moment.at, "entry": last.moment.entry, "rule": last.policy.rule, "stage": before.stage,
        "class": CLASSES[before.rank], "key": before.key, "promised": before.promised, "claim": before.claim,
        "urgent": last.urgent, "urgent_lacks": last.urgent_lacks,
        "went": {name: asdict(share) for name, share in last.shares.items()},
    }  # fmt: skip


def _last(voice: Voice, last: Run) -> list[str]:
    """The last run that passed it by: where it stood then, and what those had who were served."""
    before = last.before
    by_opening = last.policy.rule == FIRST_COME or before.stage == "floor"
    name = "last_missed_opening" if by_opening else "last_missed"
    lines = [
        voice.say(
            name, time=time_text(last.moment.at), entry=last.moment.entry, class_=voice.class_(before.rank),
            promised=voice.money(before.promised), claim=voice.money(before.claim), key_n=f"{before.key:,}",
        )
    ]  # fmt: skip
    if before.stage == "floor":
        lines.append(voice.say("last_lacked_floor", amount=voice.money(before.lacks)))
    if last.urgent and not by_opening:
        lines.append(voice.say("last_urgent", urgent=last.urgent, urgent_lacks=voice.money(last.urgent_lacks)))
    same = [last.shares[reason] for reason in KEYED if reason in last.shares]
    if same:
        least, most = min(share.key_least for share in same), max(share.key_most for share in same)
        name = ("last_opening" if least == most else "last_openings") if by_opening else "last_keys"
        lines.append(voice.say(name, least_n=f"{least:,}", most_n=f"{most:,}"))
    return lines


def time_text(at: str) -> str:
    """An RFC 3339 time for people: to the minute, UTC.

    >>> time_text("2026-11-22T10:00:02.500000Z")
    '2026-11-22 10:00'
    """
    return at[:16].replace("T", " ")
