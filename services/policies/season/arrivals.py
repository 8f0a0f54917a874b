"""When things come: Poisson processes with the rhythm of a day, and bursts that feed on themselves.

A pledge brings further pledges (somebody tells a friend). That is a Hawkes process; it is drawn here by its cluster
representation (Hawkes and Oakes, J. Appl. Prob. 11, 1974): people who come by themselves are a Poisson process, and everybody who
comes, for whatever cause, brings a Poisson number of others after exponential delays. If each brings `echo` others, each person
who came by themselves stands for `1 / (1 - echo)` in all. Times are microseconds since 1970.
"""

from collections.abc import Iterator
from math import cos, pi
from random import Random
from typing import Any, NamedTuple

from schemas.times import DAY, HOUR
from services.policies.season.draws import exponential, poisson


class Step(NamedTuple):
    """A command to come: `at` in microseconds since 1970."""

    at: int
    type: str
    data: dict[str, Any]


def rhythm(at: float, swing: float, peak_hour: float) -> float:
    """How busy an instant is against the day's mean: between `1 - swing` and `1 + swing`, most at `peak_hour` UTC."""
    hour = at % DAY / HOUR
    return 1 + swing * cos(2 * pi * (hour - peak_hour) / 24)


def daily(r: Random, start: int, end: int, a_day: float, swing: float, peak_hour: float) -> Iterator[int]:
    """A Poisson process of `a_day` arrivals a day with the rhythm of the day, by thinning."""
    highest, at = a_day * (1 + swing), float(start)
    while highest > 0:
        at += exponential(r, DAY / highest)
        if at >= end:
            return
        if r.random() * (1 + swing) < rhythm(at, swing, peak_hour):
            yield int(at)


def after(r: Random, start: int, number: float, mean_hours: float, swing: float, peak_hour: float) -> list[int]:
    """What an appeal at `start` brings: a Poisson number of arrivals, exponentially later, when people are awake."""
    times = []
    for _ in range(poisson(r, number)):
        while True:
            at = start + exponential(r, mean_hours * HOUR)
            if r.random() * (1 + swing) < rhythm(at, swing, peak_hour):
                times.append(int(at))
                break
    return sorted(times)


def echoes(r: Random, at: int, echo: float, mean_hours: float) -> list[int]:
    """All that one arrival brings, and what those bring, and so on; without the arrival itself. `echo` must be below 1."""
    assert 0 <= echo < 1, "or it would never end"
    found, sources = [], [at]
    while sources:
        source = sources.pop()
        for _ in range(poisson(r, echo)):
            later = int(source + exponential(r, mean_hours * HOUR))
            found.append(later)
            sources.append(later)
    return sorted(found)
