"""Who asks: the cases of one fund, drawn whole before anything is decided.

With each case everything is drawn that will happen to it whatever is decided about money: who vouches when, when its price rises,
when it is withdrawn, and how much it can bear before it ends (`fate`, a unit exponential: the case dies when the chances of death
it has lived through add up to it).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from schemas.times import DAY, HOUR, parse, text_of
from schemas.values import CLASSES
from services.policies.season.arrivals import daily
from services.policies.season.draws import exponential, heavy, lognormal, stream
from services.policies.season.parameters import NEEDS, NeedKind, Season

_SMALL = ("vaccine", "test")
_MONTH_DAYS = 30
_OWN_PARTS = (0.25, 0.5, 0.9, 1.0)
_ROUND = 10_00


@dataclass(frozen=True)
class PlannedCase:
    """A case to come.

    Attributes:
        at: when it is submitted, microseconds since 1970; so are all times here.
        data: the data of `case.submitted`.
        vouchers: who vouches, and when; the first opens it where one voucher is asked for.
        rises: when its goal rises, and to how much.
        withdrawn_at: when it is withdrawn for reasons of its own.
        fate: chances of death it can bear.
        late_at: when somebody looks whether its deadline has passed in vain, and gives it up then.
    """

    at: int
    data: dict[str, Any]
    vouchers: tuple[tuple[int, str], ...]
    rises: tuple[tuple[int, int], ...]
    withdrawn_at: int | None
    fate: float
    late_at: int | None

    @property
    def id(self) -> str:
        return str(self.data["case"])

    @property
    def claim(self) -> int:
        """What it asks for at first, minor units."""
        return int(self.data["goal"] - self.data.get("own_contribution", 0))


def cases_of(season: Season, fund: str) -> list[PlannedCase]:
    """The cases of a fund, by time."""
    start = parse(season.start)
    end = start + season.days * DAY
    people: list[str] = []
    times = sorted(_times(season, fund, start, end))
    return [_case(season, fund, number, at, small, people) for number, (at, small) in enumerate(times, 1)]


def _times(season: Season, fund: str, start: int, end: int) -> Iterator[tuple[int, bool]]:
    """When a case comes, and whether it is one of many small ones that come together."""
    r = stream(season.seed, fund, "cases")
    a_head = 1 - season.clusters + season.clusters * season.cluster_size
    for at in daily(r, start, end, season.cases_a_day / a_head, season.rhythm, season.peak_hour):
        if r.random() >= season.clusters:
            yield at, False
            continue
        while True:
            yield at, True
            at += int(exponential(r, 0.5 * HOUR))
            if at >= end or r.random() < 1 / season.cluster_size:
                break


def _case(season: Season, fund: str, number: int, at: int, small: bool, people: list[str]) -> PlannedCase:
    r = stream(season.seed, fund, "case", number)
    names = _SMALL if small else tuple(NEEDS)
    need = r.choices(names, [NEEDS[name].weight for name in names])[0]
    kind = NEEDS[need]
    data: dict[str, Any] = {
        "fund": fund,
        "case": f"c-{number}",
        "beneficiary": _person(r, people, season.known_people),
        "need": need,
        "route": r.choice(kind.routes),
        "goal": _goal(season, r, kind),
        "priority": r.choices(CLASSES, kind.priorities)[0],
    }
    if r.random() < season.own_contributions:
        data["own_contribution"] = int(data["goal"] * r.choice(_OWN_PARTS)) // _ROUND * _ROUND
    needed_by = _needed_by(season, r, at, kind, small)
    if needed_by:
        data["needed_by"] = text_of(needed_by)
    recurring = r.random() < kind.recurring
    if recurring:
        data["recurrence"] = {"every": "P1M", "times": 6}  # story 2
    given_up = needed_by and r.random() < season.given_up_late
    leaves = r.random() < season.withdrawn
    return PlannedCase(
        at=at,
        data=data,
        vouchers=_vouchers(season, r, fund, at),
        rises=_rises(season, r, at, data["goal"]) if recurring else (),
        withdrawn_at=at + int(exponential(r, season.withdrawn_days * DAY)) if leaves else None,
        fate=exponential(r, 1.0),
        late_at=needed_by + int(exponential(r, DAY)) if needed_by and given_up else None,
    )


def _person(r: Random, known: list[str], again: float) -> str:
    """Somebody who has asked before, or somebody new."""
    if known and r.random() < again:
        return r.choice(known)
    known.append(f"b-{len(known) + 1}")
    return known[-1]


def _goal(season: Season, r: Random, kind: NeedKind) -> int:
    goal = heavy(r, kind.median, season.goal_sigma, season.goal_tail, season.goal_cap)
    return max(_ROUND, round(goal / _ROUND) * _ROUND)


def _needed_by(season: Season, r: Random, at: int, kind: NeedKind, small: bool) -> int | None:
    part = max(kind.deadlines, 0.8 if small else 0)  # story 4: four of five of those sent in together have a day
    days = lognormal(r, season.deadline_days, season.deadline_sigma)
    return (at + int(days * DAY)) // HOUR * HOUR if r.random() < part else None


def _vouchers(season: Season, r: Random, fund: str, at: int) -> tuple[tuple[int, str], ...]:
    if r.random() < season.never_vouched:
        return ()
    found, time = list[tuple[int, str]](), at
    while True:
        time += int(lognormal(r, season.voucher_hours, season.voucher_sigma) * HOUR)
        found.append((time, f"v-{fund}-{len(found) + 1}-{r.randint(1, 40)}"))
        if r.random() >= season.second_vouchers:
            return tuple(found)


def _rises(season: Season, r: Random, at: int, goal: int) -> tuple[tuple[int, int], ...]:
    """Story 2: towards the end of each month the next one is dearer."""
    if r.random() >= season.price_rises:
        return ()
    rises = []
    for month in range(season.days // _MONTH_DAYS + 1):
        goal = round(goal * season.price_rise / _ROUND) * _ROUND
        rises.append((at + (month * _MONTH_DAYS + 26) * DAY, goal))
    return tuple(rises)
