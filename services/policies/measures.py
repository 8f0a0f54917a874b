"""What is measured about a run, each measure defined once: its name, its unit, what it means, and how it is worked out.

Measures of cases are taken of each class and of all; a case's class is here its priority as it was submitted, since what a policy
or waiting makes of it would compare different people under different policies. Only cases that opened, ask for something and are no
duplicates count. "Promised" is awarded, settled or not: the rule decides about promises, people about payment and delivery.

A figure is None where there is nothing to measure, or where a time was never reached.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.times import DAY
from schemas.values import CLASSES
from services.policies.course import CaseCourse, Course
from services.policies.inequality import gini, mean_of_least
from services.policies.season.draws import spoken
from services.policies.survival import End, Wait, incidence, quantile

Unit = Literal["cases", "part", "days", "money", "money-days", "index", "count"]
GROUPS = (*CLASSES[::-1], "all")
"""The classes, most urgent first, and all together."""
LEAST_PART = 0.1
_MEDIAN, _NINE_IN_TEN = 0.5, 0.9

Figure = float | int | None
Of = Callable[[Sequence[CaseCourse], Course], Figure]


@dataclass(frozen=True)
class Measure:
    """A measure.

    Attributes:
        name: in `--json`; title: for people.
        unit: part: of one; days: of 24 h; money: minor units; money-days: minor units × days; index: between 0 and 1.
        better: which way is better for those who ask, if it can be said.
        of: works it out of the cases of a group, and of the run.
        by_class: whether it is taken of each class, or of all alone.
    """

    name: str
    title: str
    unit: Unit
    better: Literal["more", "less"] | None
    definition: str
    of: Of
    by_class: bool = True


# ---- times


def waits(what: Literal["funded_at", "first_money_at"], cases: Iterable[CaseCourse], end: int) -> list[Wait]:
    """How long each case waited to be wholly promised, or for any money, in days since it opened."""
    found = []
    how: End
    for case in cases:
        reached = case.funded_at if what == "funded_at" else case.first_money_at
        if reached is not None:
            at, how = reached, "happened"
        elif case.closed_at is not None:
            at, how = case.closed_at, "never"
        else:
            at, how = end, "open"
        found.append(Wait((at - (case.opened_at or 0)) / DAY, how))
    return found


def _time_to(what: Literal["funded_at", "first_money_at"], part: float) -> Of:
    return lambda cases, run: quantile(incidence(waits(what, cases, run.end)), part)


# ---- parts


def _part(of: int, whole: int) -> float | None:
    return of / whole if whole else None


def fill(case: CaseCourse) -> float:
    """The part of a case's claim that it has: promised if it is open, handed over if it is closed; at most 1."""
    return min(1.0, case.promised / case.claim)


def due(cases: Iterable[CaseCourse], end: int) -> list[CaseCourse]:
    """The cases whose deadline has come by the end."""
    return [case for case in cases if case.needed_by is not None and case.needed_by <= end]


def _in_time(cases: Sequence[CaseCourse], run: Course) -> float | None:
    asked = due(cases, run.end)
    return _part(
        sum(case.funded_at is not None and case.funded_at <= (case.needed_by or 0) for case in asked), len(asked)
    )


# ---- the index

MEASURES: tuple[Measure, ...] = (
    Measure("opened", "Cases opened", "cases", None,
            "Cases that opened (were vouched for as the fund asks) and ask for money.",
            lambda cases, _run: len(cases)),
    Measure("asked", "Asked", "money", None,
            "Their claims: goal less own contribution, with renewals and amendments.",
            lambda cases, _run: sum(case.claim for case in cases)),
    Measure("funded", "Fully funded", "part", "more",
            "The part of the opened cases whose whole claim was promised at some time.",
            lambda cases, _run: _part(sum(case.funded_at is not None for case in cases), len(cases))),
    Measure("whole", "Wholly delivered", "part", "more",
            "The part of the opened cases to whom their whole claim was handed over by the end.",
            lambda cases, _run: _part(sum(case.delivered >= case.claim for case in cases), len(cases))),
    Measure("funding_days_median", "Time to full funding, median", "days", "less",
            "Days from a case's opening until its whole claim is first promised, reached by half of all: an estimate "
            "(Aalen–Johansen). Cases that closed without it count as never. Cases still open at the end count for as long as they "
            "were seen, and are taken to do from then on as well as those that were seen longer: so it may tell a time for nine in "
            "ten where fewer are fully funded yet; Fully funded is the plain count. A dash: the estimate never gets there.",
            _time_to("funded_at", _MEDIAN)),
    Measure("funding_days_p90", "Time to full funding, nine in ten", "days", "less",
            "The same, reached by nine of ten.",
            _time_to("funded_at", _NINE_IN_TEN)),
    Measure("waiting_days_median", "Waiting for the first money, median", "days", "less",
            "Days from a case's opening until any money is first promised to it, reached by half of all; counted likewise.",
            _time_to("first_money_at", _MEDIAN)),
    Measure("waiting_days_p90", "Waiting for the first money, nine in ten", "days", "less",
            "The same, reached by nine of ten.",
            _time_to("first_money_at", _NINE_IN_TEN)),
    Measure("deadlines", "Deadlines come due", "cases", None,
            "Opened cases with a `needed_by` that has come by the end, as last stated.",
            lambda cases, run: len(due(cases, run.end))),
    Measure("in_time", "Funded before the deadline", "part", "more",
            "The part of those whose whole claim was promised by then. Deadlines still to come count neither way.",
            _in_time),
    Measure("promised", "Promised of what is asked", "part", "more",
            "Money promised at the end, as a part of all that is asked. Of a closed case what was handed over: the rest went back "
            "when it closed, and counts where it was matched again. So it is never more than was pledged and not given back.",
            lambda cases, _run: _part(sum(min(c.promised, c.claim) for c in cases), sum(c.claim for c in cases))),
    Measure("delivered", "Delivered of what is asked", "part", "more",
            "Money handed over for care, as a part of all that is asked.",
            lambda cases, _run: _part(sum(case.delivered for case in cases), sum(case.claim for case in cases))),
    Measure("least_fill", "Least fill", "part", "more",
            "Fill is the part of a case's claim that it has at the end: promised to it if it is open, handed over to it if it is "
            "closed. Least fill: of whoever has least.",
            lambda cases, _run: min(map(fill, cases), default=None)),
    Measure("least_tenth_fill", "Fill of the least-filled tenth", "part", "more",
            "The mean fill of the tenth of the cases that has the least (one case at least).",
            lambda cases, _run: mean_of_least(map(fill, cases), LEAST_PART)),
    Measure("gini", "Gini of fill", "index", "less",
            "Half the mean difference in fill between any two cases, by the mean fill. 0: all alike. Near 1: one has all.",
            lambda cases, _run: gini(map(fill, cases))),
    Measure("lost", "Promises that fell through", "money", "less",
            "Money promised to a case and taken from it again, since its pledge was withdrawn, expired, or its payment failed.",
            lambda cases, _run: sum(case.lost for case in cases)),
    Measure("deaths", "Deaths", "cases", None,
            "Opened cases closed since the person died.",
            lambda cases, _run: sum(case.outcome == "deceased" for case in cases)),
    Measure("deaths_unfunded", "Deaths before full funding", "cases", "less",
            "Those of them whose whole claim had never been promised.",
            lambda cases, _run: sum(case.outcome == "deceased" and case.funded_at is None for case in cases)),
    Measure("pledged", "Pledged", "money", None,
            "All that donors pledged, valued in the fund's currency; instalments and payments beyond a pledge included.",
            lambda _, run: run.money.pledged, by_class=False),
    Measure("paid", "Paid", "money", None,
            "Payments received, in the fund's currency.",
            lambda _, run: run.money.paid, by_class=False),
    Measure("idle_days", "Idle, days for each unit pledged", "days", "less",
            "How long the money pledged waited in the fund, matched to no case, on average over all that was pledged.",
            lambda _, run: _part(run.money.idle_time, run.money.pledged * DAY), by_class=False),
    Measure("idle", "Money idle", "money-days", "less",
            "Pledged money matched to no case, paid or not, times the days it waited so.",
            lambda _, run: run.money.idle_time / DAY, by_class=False),
    Measure("idle_here", "Money idle while a case of the fund lacked some", "money-days", "less",
            "The part of it that waited while an open case of the same fund lacked money: it was held for another, or has no rate.",
            lambda _, run: run.money.here_time / DAY, by_class=False),
    Measure("idle_elsewhere", "Money idle while a case of another fund lacked some", "money-days", None,
            "The part of it that waited while no open case of its own fund lacked money and one of another fund did.",
            lambda _, run: run.money.elsewhere_time / DAY, by_class=False),
    Measure("in_hand", "Money in hand", "money-days", "less",
            "Money paid and matched, not handed over yet, times the days it lay so.",
            lambda _, run: run.money.in_hand_time / DAY, by_class=False),
    Measure("failed", "Released: payment failed", "money", "less",
            "Unpaid money given up since a payment failed.",
            lambda _, run: run.money.given_back["failed"], by_class=False),
    Measure("withdrawn", "Released: withdrawn", "money", None,
            "Unpaid money that donors took back.",
            lambda _, run: run.money.given_back["withdrawn"], by_class=False),
    Measure("expired", "Released: expired", "money", "less",
            "Unpaid money whose pledge came to its end.",
            lambda _, run: run.money.given_back["expired"], by_class=False),
    Measure("unplaced", "Released: its designation had no room", "money", None,
            "Unpaid money given back since the donor wanted it for one purpose only.",
            lambda _, run: run.money.given_back["unplaced"], by_class=False),
    Measure("refunded", "Refunded", "money", None,
            "Paid money that waited, given back.",
            lambda _, run: run.money.given_back["refunded"], by_class=False),
    Measure("refused", "Commands refused", "count", None,
            "Commands the ledger would answer with `rejected`. Of a recorded log under another policy: what people did then and "
            "could not have done, above all deliveries of money that would not have been there.",
            lambda _, run: len(run.refusals), by_class=False),
)  # fmt: skip
"""Every measure, in the order in which they are shown."""

BY_NAME = {measure.name: measure for measure in MEASURES}
Measured = dict[str, dict[str, Figure]]
"""Measure → group (a class, or `all`) → figure."""


def groups(cases: Iterable[CaseCourse]) -> dict[str, list[CaseCourse]]:
    """The cases by priority, most urgent first, and all."""
    found = list(cases)
    return {group: [case for case in found if group in ("all", case.priority)] for group in GROUPS}


SIZES = ("small", "medium", "large")
BY_SIZE = ("opened", "funded", "whole")
"""What is also shown by size of claim: a test for CNY 60 is quickly funded, and as one case it would weigh like an operation."""


def size_limits(run: Course) -> tuple[int, int]:
    """The claims, minor units, up to which a case is small and up to which it is medium: a third of the cases each, nearly."""
    claims = sorted(case.claim for case in run.counted) or [1]
    low, high = (spoken(claims[len(claims) * number // 3], 1) for number in (1, 2))
    return low, max(low, high)


def measure_sizes(run: Course, limits: tuple[int, int]) -> Measured:
    """`BY_SIZE` by size of claim: measure → size → figure."""
    low, high = limits
    of = {
        size: [case for case in run.counted if size == SIZES[(case.claim > low) + (case.claim > high)]]
        for size in SIZES
    }
    return {name: {size: BY_NAME[name].of(cases, run) for size, cases in of.items()} for name in BY_SIZE}


def measure(run: Course) -> Measured:
    """Every measure of a finished run."""
    of = groups(run.counted)
    return {
        one.name: {group: one.of(cases, run) for group, cases in of.items() if one.by_class or group == "all"}
        for one in MEASURES
    }


def curves(run: Course) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """What is plotted. Days since the log's start, or since a case opened (`time_to_funding`); parts of one; idle in minor units."""
    of = groups(run.counted)
    days = [(sample.at - run.start) / DAY for sample in run.samples]
    funded: dict[str, list[tuple[float, float]]] = {}
    for group in GROUPS:
        names = CLASSES if group == "all" else (group,)
        asked = [sum(sample.asked[name] for name in names) for sample in run.samples]
        promised = [sum(sample.promised[name] for name in names) for sample in run.samples]
        funded[group] = [(day, min(1.0, p / a)) for day, p, a in zip(days, promised, asked, strict=True) if a]
    return {
        "funded": funded,
        "time_to_funding": {group: _seen(waits("funded_at", cases, run.end)) for group, cases in of.items()},
        "fill": {
            group: [(n, value) for n, value in enumerate(sorted(map(fill, cases)))] for group, cases in of.items()
        },
        "money": {
            "idle": [(day, sample.idle) for day, sample in zip(days, run.samples, strict=True)],
            "in_hand": [(day, sample.in_hand) for day, sample in zip(days, run.samples, strict=True)],
        },
    }


def _seen(waited: Sequence[Wait]) -> list[tuple[float, float]]:
    """The estimate for as long as anybody was observed: it ends with the longest wait, since it says nothing about later."""
    steps, longest = incidence(waited), max((wait.time for wait in waited), default=0.0)
    reached = steps[-1] if steps else (0.0, 0.0)
    return [*steps, (longest, reached[1])] if longest > reached[0] else steps
