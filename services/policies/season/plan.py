"""The plan of a season: everything that will happen whatever is decided, in the order of time.

A step is an instant, a command's type and its data. Commands that wait for the engine's facts are the `driver`'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp

from schemas.commands import TICK
from schemas.times import DAY, HOUR, parse
from services.policies.season.arrivals import Step
from services.policies.season.draws import stream
from services.policies.season.gifts import pledges_of
from services.policies.season.needs import PlannedCase, cases_of
from services.policies.season.parameters import CURRENCY, FOREIGN, Season

_DIGITS = 6
"""Digits of a quoted rate that count."""


@dataclass(frozen=True)
class FundPlan:
    """One community's season."""

    fund: str
    cases: tuple[PlannedCase, ...]
    pledges: tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """A season, before anything is decided; `start` and `end` in microseconds since 1970."""

    season: Season
    start: int
    end: int
    funds: tuple[FundPlan, ...]

    def steps(self) -> list[Step]:
        """All that happens whatever is decided, by time; what happens at one instant in the order of this module."""
        steps = [step for fund in self.funds for step in _of_fund(self, fund)]
        hour = self.season.tick_hours * HOUR
        steps += (Step(at, TICK, {}) for at in range(self.start + hour, self.end + 1, hour))
        return sorted((step for step in steps if step.at <= self.end), key=lambda step: step.at)


def plan(season: Season) -> Plan:
    """Draw a season."""
    start = parse(season.start)
    funds = []
    for number in range(1, season.funds + 1):
        name = f"season-{number}"
        cases = cases_of(season, name)
        funds.append(FundPlan(name, tuple(cases), tuple(pledges_of(season, name, cases))))
    return Plan(season, start, start + season.days * DAY, tuple(funds))


def _of_fund(told: Plan, fund: FundPlan) -> Iterator[Step]:
    yield Step(told.start, "pumasi.fund.configured", {"fund": fund.fund, "currency": CURRENCY})
    yield from _rates(told, fund.fund)
    for case in fund.cases:
        yield Step(case.at, "pumasi.case.submitted", case.data)
        name = {"fund": fund.fund, "case": case.id}
        yield from (Step(at, "pumasi.case.vouched", {**name, "voucher": voucher}) for at, voucher in case.vouchers)
        yield from (Step(at, "pumasi.case.amended", {**name, "goal": goal}) for at, goal in case.rises)
        if case.withdrawn_at is not None:
            yield Step(case.withdrawn_at, "pumasi.case.closed", {**name, "outcome": "withdrawn"})
    yield from fund.pledges


def _rates(told: Plan, fund: str) -> Iterator[Step]:
    """One quote per day for each foreign currency."""
    for currency, foreign in FOREIGN.items():
        r, rate = stream(told.season.seed, "rate", currency), foreign.rate
        for at in range(told.start, told.end, DAY):
            quoted = {"fund": fund, "currency": currency, "rate": f"{rate:.{_DIGITS}f}"}
            yield Step(at, "pumasi.rate.quoted", quoted)
            rate *= exp(r.gauss(0, told.season.rate_walk))
