"""A dry run of a change of policy: the recorded commands of a fund as they were, and again with the policy changed from an instant on.

Both replays start from the first command, so both are exact; they part at the instant. What differs between them then is what the
change would have done, with everybody doing what they did. Nothing is written anywhere.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from schemas.times import text_of
from services.errors import UsageError
from services.policies.commandlog import CommandLog
from services.policies.course import CaseCourse, Course, Refusal
from services.policies.policy import Policy
from services.policies.replay import LogSource
from services.policies.runs import course_of

FROZEN = (
    "Everybody does what they did: whoever paid pays, whoever died dies, nobody hands over sooner since money was there sooner, "
    "and what could not have been done is refused."
)


@dataclass(frozen=True)
class CaseChange:
    """One case that would have fared otherwise; amounts in minor units at the log's end (or as it closed), times RFC 3339 or None.

    Attributes:
        more: by how much more would have been promised to it; negative: less.
        funding: sooner, later, only_then (only under the change), no_more (only as recorded), or None: unchanged.
        first_money: likewise.
    """

    fund: str
    case: str
    priority: str
    claim: int
    recorded: dict[str, Any]
    changed: dict[str, Any]
    more: int
    funding: str | None
    first_money: str | None


@dataclass(frozen=True)
class DryRun:
    """What a change would have done.

    Attributes:
        since: microseconds since 1970.
        before: the policies of the funds just before, as configured then: fund → field → value, of the fields that change.
        cases: those that would have fared otherwise, the largest difference first; unchanged: how many would not.
        refused: recorded commands that would have been refused only under the change; accepted: those refused only as recorded.
    """

    policy: Policy
    since: int
    log: CommandLog
    currency: str
    before: dict[str, dict[str, Any]]
    cases: list[CaseChange]
    unchanged: int
    refused: list[Refusal]
    accepted: list[Refusal]

    @property
    def counts(self) -> dict[str, int]:
        """How many cases would have: more, less, sooner, later, only_then, no_more (the last four: full funding)."""
        more, less = (sum(case.more * sign > 0 for case in self.cases) for sign in (1, -1))
        funding = Counter(case.funding for case in self.cases)
        return {
            "more": more,
            "less": less,
            **{how: funding[how] for how in ("sooner", "later", "only_then", "no_more")},
        }

    @property
    def moved(self) -> int:
        """Money that would have been promised to another case, minor units."""
        return sum(case.more for case in self.cases if case.more > 0)

    def as_json(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return {
            "change": self.policy.name,
            "since": text_of(self.since),
            "where": self.log.where,
            "commands": len(self.log.said),
            "unreadable": self.log.unreadable,
            "currency": self.currency,
            "before": self.before,
            "caveats": [FROZEN],
            "counts": {**self.counts, "unchanged": self.unchanged, "moved": self.moved},
            "cases": [asdict(case) for case in self.cases],
            "refused": [_told(refusal) for refusal in self.refused],
            "accepted": [_told(refusal) for refusal in self.accepted],
        }


def _told(refusal: Refusal) -> dict[str, Any]:
    return {**asdict(refusal), "at": text_of(refusal.at)}


def dry_run(
    log: CommandLog, policy: Policy, since: int | None, progress: Callable[[int, int, int], None] = lambda *_: None
) -> DryRun:
    """Replay a log twice and compare.

    Args:
        log: of one fund, or of several in one currency.
        policy: what is changed.
        since: from when on, microseconds since 1970; None: from the first command on.
        progress: called with 0 (as recorded) or 1 (changed), the microseconds of the log replayed so far, and all of them.

    Raises:
        UsageError: if the log ends before `since`, or its funds have several currencies.
    """
    start, end = log.span
    since = start if since is None else since
    if since > end:
        raise UsageError(
            f"the log ends at {text_of(end)}, before {text_of(since)}: the change would have met no command",
            hint="Give an earlier --since, or --last DAYS, counted back from the log's end.",
        )
    played = LogSource(log).play(Policy()), LogSource(log, since).play(policy)
    recorded, changed = (course_of(run, log.span, partial(progress, number)) for number, run in enumerate(played))
    return _compare(log, policy, since, recorded, changed)


def _compare(log: CommandLog, policy: Policy, since: int, recorded: Course, changed: Course) -> DryRun:
    pairs = [(case, changed.cases[key]) for key, case in recorded.cases.items() if key in changed.cases]
    found = [_case(was, would) for was, would in pairs if _fate(was) != _fate(would)]
    found.sort(key=lambda case: (-abs(case.more), case.fund, case.case))
    refused, accepted = _only(changed, recorded), _only(recorded, changed)
    return DryRun(
        policy=policy,
        since=since,
        log=log,
        currency=next(iter(recorded.currencies.values()), "CNY"),
        before=_before(recorded, policy, since),
        cases=found,
        unchanged=len(pairs) - len(found),
        refused=refused,
        accepted=accepted,
    )


def _only(these: Course, those: Course) -> list[Refusal]:
    """Commands refused in one run and not in the other, by fund, offset and id."""
    known = {(refusal.fund, refusal.offset, refusal.id) for refusal in those.refusals}
    return [refusal for refusal in these.refusals if (refusal.fund, refusal.offset, refusal.id) not in known]


def _before(recorded: Course, policy: Policy, since: int) -> dict[str, dict[str, Any]]:
    """The changed fields' values until then, or at first in a fund that was configured later. Refused configurations don't count."""
    told: dict[str, dict[str, Any]] = {}
    for at, fact in recorded.configured:
        if at < since or fact["fund"] not in told:
            told[fact["fund"]] = {field: fact[field] for field, _value in policy.changes}
    return told


def _fate(case: CaseCourse) -> tuple[Any, ...]:
    return case.promised, case.settled, case.delivered, case.opened_at, case.first_money_at, case.funded_at


def _sums(case: CaseCourse) -> dict[str, Any]:
    times = {"opened": case.opened_at, "first_money": case.first_money_at, "funded": case.funded_at}
    told = {name: None if at is None else text_of(at) for name, at in times.items()}
    return {"promised": case.promised, "settled": case.settled, "delivered": case.delivered, **told}


def _case(was: CaseCourse, would: CaseCourse) -> CaseChange:
    return CaseChange(
        fund=was.fund,
        case=was.id,
        priority=was.priority,
        claim=was.claim,
        recorded=_sums(was),
        changed=_sums(would),
        more=would.promised - was.promised,
        funding=_moved(was.funded_at, would.funded_at),
        first_money=_moved(was.first_money_at, would.first_money_at),
    )


def _moved(was: int | None, would: int | None) -> str | None:
    if was == would:
        return None
    if was is None:
        return "only_then"
    if would is None:
        return "no_more"
    return "sooner" if would < was else "later"
