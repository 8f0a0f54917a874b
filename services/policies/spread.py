"""The same policies over many seeds: how much of a difference is the policy, and how much the draw.

Within a seed the policies meet the same people and the same pledges, so they are compared seed by seed; over the seeds a figure's
median and range are shown, and a policy is called best only if it is so in more than half of the seeds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from statistics import median
from typing import Any, NamedTuple

from schemas.commands import Command
from services.matcher.engine.engine import Decision
from services.policies.comparison import Judged, definitions_as_json
from services.policies.measures import Figure, Measured, measure
from services.policies.policy import Policy
from services.policies.report.figures import best
from services.policies.runs import Progress, SeasonSource, run_all
from services.policies.season.parameters import CURRENCY, Season

LEADING = (
    "funded", "whole", "in_time", "funding_days_median", "promised", "delivered", "least_tenth_fill", "gini", "lost",
    "deaths_unfunded", "idle_days",
)  # fmt: skip
"""What is shown over seeds, for all cases together."""


class Seeded(NamedTuple):
    """A policy in the season of one seed."""

    seed: int
    policy: Policy


class ManySeasons:
    """Seasons that differ by their seed alone."""

    def __init__(self, season: Season) -> None:
        first = SeasonSource(season)
        self.season, self.span, self.size = season, first.span, first.size

    def play(self, seeded: Seeded) -> Iterator[tuple[Command, Decision]]:
        return SeasonSource(replace(self.season, seed=seeded.seed)).play(seeded.policy)


class Over(NamedTuple):
    """A measure of one policy over the seeds; None counts as never reached, and is in the range as None. `best_in`: seeds."""

    figures: tuple[Figure, ...]
    median: Figure
    least: Figure
    most: Figure
    best_in: int


@dataclass(frozen=True)
class Spread(Judged):
    """Every measure, of each seed and policy. `command`: what runs it again."""

    season: Season
    seeds: tuple[int, ...]
    policies: tuple[Policy, ...]
    measured: tuple[tuple[Measured, ...], ...]
    command: str
    currency: str = CURRENCY

    @cached_property
    def over(self) -> dict[str, list[Over]]:
        """Measure → one value per policy."""
        return {name: self._over(name) for name in LEADING}

    def _over(self, name: str, group: str = "all") -> list[Over]:
        table = [[told[name][group] for told in of_seed] for of_seed in self.measured]
        leaders = [best(name, figures, self.currency) for figures in table]
        return [
            _of([figures[number] for figures in table], sum(number in lead for lead in leaders))
            for number in range(len(self.policies))
        ]

    @property
    def seasons(self) -> int:
        return len(self.seeds)

    def figures(self, name: str, group: str = "all") -> list[Figure]:
        """A measure's median of a group, a policy each."""
        return [told.median for told in self._over(name, group)]

    def best(self, name: str, group: str = "all") -> set[int]:
        """The policies that are best, alone or among others, in more than half of the seeds; none if all are."""
        over = self._over(name, group)
        leading = {number for number, told in enumerate(over) if 2 * told.best_in > len(self.seeds)}
        return leading if len(leading) < len(over) else set()

    def as_json(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return {
            "command": self.command,
            "source": {"kind": "seasons", "seeds": self.seeds, "parameters": asdict(self.season)},
            "currency": self.currency,
            "definitions": definitions_as_json(),
            "policies": [
                {
                    "policy": policy.name,
                    "changes": dict(policy.changes),
                    "measures": {name: told[number]._asdict() for name, told in self.over.items()},
                }
                for number, policy in enumerate(self.policies)
            ],
        }


def _of(figures: Sequence[Figure], best_in: int) -> Over:
    """None, a time that was never reached, is longer than every other."""
    ordered = sorted((float("inf") if figure is None else figure) for figure in figures)
    middle, least, most = (
        None if value == float("inf") else value for value in (median(ordered), ordered[0], ordered[-1])
    )
    return Over(tuple(figures), middle, least, most, best_in)


def over_seeds(
    season: Season, seeds: int, policies: Sequence[Policy], command: str, progress: Progress = lambda *_: None
) -> Spread:
    """Run the seasons of `seeds` seeds, from the season's own on, under each policy. Raises what `runs.run_all` raises."""
    numbers = tuple(range(season.seed, season.seed + seeds))
    runs = [Seeded(seed, policy) for seed in numbers for policy in policies]
    measured = [measure(course) for course in run_all(ManySeasons(season), runs, progress)]
    width = len(policies)
    by_seed = tuple(tuple(measured[first : first + width]) for first in range(0, len(measured), width))
    return Spread(season, numbers, tuple(policies), by_seed, command)
