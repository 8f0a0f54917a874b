"""How long until something happens, where it may never happen: the Aalen–Johansen estimator.

A case waits for its money. Some get it; some are closed before (people die, or give up): then it never comes. Some still wait when
the log ends: nobody knows yet. To drop the last two, or to count those who died as if they might still be served (Kaplan–Meier),
makes every policy look quicker than it is. The estimator counts the first as happened, the second as never, and the third for as
long as they were seen:

    F(t) = Σ over times s ≤ t:  S(s⁻) · happened(s) / at risk(s)        S(t) = Π over s ≤ t:  1 - (happened + never)(s) / at risk(s)

`F(t)` estimates the part of all to whom it has happened by `t`, were all seen that long: it takes those who still wait to do from then
on as well as those seen longer. So F can rise above the plain share of those to whom it has happened yet. A quantile is the first `t`
at which F reaches it, and None if it never does. (Aalen and Johansen, Scand. J. Statist. 5, 1978.)
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

_CLOSE = 1e-12
"""Rounding that a quantile forgives: 1/3 + 1/3 + 1/3 is whole."""


End = Literal["happened", "never", "open"]


class Wait(NamedTuple):
    """One wait: how long, in any one unit, and how it ended; `open` if it hadn't when it was last seen."""

    time: float
    end: End


def incidence(waits: Iterable[Wait]) -> list[tuple[float, float]]:
    """F as a step function: (time, the part to whom it has happened from then on), at each time at which it grows."""
    ends: dict[float, Counter[str]] = {}
    at_risk = 0
    for wait in waits:
        ends.setdefault(wait.time, Counter())[wait.end] += 1
        at_risk += 1
    steps, surviving, happened = [], 1.0, 0.0
    for time in sorted(ends):
        told = ends[time]
        if told["happened"]:
            happened += surviving * told["happened"] / at_risk
            steps.append((time, happened))
        surviving *= 1 - (told["happened"] + told["never"]) / at_risk
        at_risk -= told.total()
    return steps


def quantile(steps: Iterable[tuple[float, float]], part: float) -> float | None:
    """The first time at which F reaches `part`; None if it never does."""
    return next((time for time, reached in steps if reached >= part - _CLOSE), None)
