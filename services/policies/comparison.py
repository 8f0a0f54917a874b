"""A comparison: one season or log under several policies, with every figure, as data for the screen, the page and `--json`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from string import ascii_uppercase
from typing import Any

from schemas.times import DAY, text_of
from services.policies.commandlog import Said, said_of
from services.policies.course import Course
from services.policies.meaning import TOLD, RuleTold
from services.policies.measures import MEASURES, SIZES, Figure, Measured, curves, measure, measure_sizes, size_limits
from services.policies.policy import Policy
from services.policies.replay import LogSource
from services.policies.report.figures import best
from services.policies.runs import Progress, SeasonSource, run_all

Source = SeasonSource | LogSource
FEEDBACK = (
    "Deliveries and payments react to what each policy brings about; who asks, who gives, whose payment fails and on which day a "
    "person would die is the same under each."
)
NEGLECT = (
    "An immediate or asap case is taken to die {neglect:g} times as likely while it lacks money: an assumption, which rewards policies "
    "that serve such cases soon."
)
NO_NEGLECT = "Nobody's day of death depends on money here (see --neglect); a death is counted if the case is still open on that day."
ONE_DRAW = "One season is one draw. What is best in it may not be in another: --seeds 10 says how sure a difference is."
FROZEN = (
    "People do under each policy what they did in fact: whoever paid pays, and nobody hands over sooner since money was there "
    "sooner. What could not have been is refused, and counted. So what is delivered, in hand, failed or lost favours the policy "
    "that was recorded: nothing is marked best there."
)


FROZEN_MEASURES = frozenset({"whole", "delivered", "in_hand", "failed", "expired", "refused", "lost"})
"""Figures of what people did, more than of what the rule did. In a recorded log people act as under the policy it was recorded
under, which these figures therefore favour: there nothing is marked as best."""


class Judged:
    """Policies with their figures: of a season or a log, or of many seasons."""

    policies: tuple[Policy, ...]

    @property
    def seasons(self) -> int:
        """Of how many seasons, or logs, the figures are the median."""
        return 1

    @property
    def letters(self) -> list[str]:
        """What the policies are called where there is no room for their names: A, B, … Z, A2, …"""
        return [ascii_uppercase[n % 26] + (str(n // 26 + 1) if n >= 26 else "") for n in range(len(self.policies))]

    @property
    def rules(self) -> list[tuple[str, RuleTold]]:
        """The rules that a policy names, each once, with what they do."""
        named = dict.fromkeys(dict(policy.changes).get("rule") for policy in self.policies)
        return [(rule, TOLD[rule]) for rule in named if rule]

    def figures(self, name: str, group: str = "all") -> list[Figure]:
        """A measure of a group, for each policy."""
        raise NotImplementedError

    def best(self, name: str, group: str = "all") -> set[int]:
        """The policies that stand out by a measure."""
        raise NotImplementedError


@dataclass(frozen=True)
class Comparison(Judged):
    """The result: one course per policy. `command`: what runs it again; `shared`: the same without folders and servers."""

    source: Source
    policies: tuple[Policy, ...]
    courses: tuple[Course, ...]
    command: str
    shared: str

    @cached_property
    def measured(self) -> list[Measured]:
        """Every measure, for each policy."""
        return [measure(course) for course in self.courses]

    @cached_property
    def size_limits(self) -> tuple[int, int]:
        """The claims up to which a case is small, and up to which it is medium; the same for every policy."""
        return size_limits(self.courses[0])

    @cached_property
    def sizes(self) -> list[Measured]:
        """Measures by size of claim, for each policy."""
        return [measure_sizes(course, self.size_limits) for course in self.courses]

    @cached_property
    def curves(self) -> list[dict[str, dict[str, list[tuple[float, float]]]]]:
        """What is plotted, for each policy."""
        return [curves(course) for course in self.courses]

    def figures(self, name: str, group: str = "all") -> list[Figure]:
        return [told[name][group] for told in (self.sizes if group in SIZES else self.measured)]

    def best(self, name: str, group: str = "all") -> set[int]:
        """The policies that are best by it; none where all are shown alike, or where it would measure people more than policies."""
        frozen = self.recorded and name in FROZEN_MEASURES
        return set() if frozen else best(name, self.figures(name, group), self.currency)

    @property
    def currency(self) -> str:
        """The funds' currency."""
        return next(iter(self.courses[0].currencies.values()), "CNY")

    @property
    def recorded(self) -> bool:
        """Whether it is a recorded log."""
        return isinstance(self.source, LogSource)

    @property
    def days(self) -> float:
        """How long the season or the log is."""
        start, end = self.source.span
        return (end - start) / DAY

    def caveats(self) -> list[str]:
        """What a reader must know before they draw conclusions."""
        if isinstance(self.source, LogSource):
            left_out = self.source.log.unreadable
            said = f"Records of the log that are no commands: {left_out:,}. They change nothing." if left_out else ""
            return [FROZEN, *([said] if said else [])]
        neglect = self.source.season.neglect
        return [ONE_DRAW, FEEDBACK, NO_NEGLECT if neglect == 1 else NEGLECT.format(neglect=neglect)]

    def as_json(self) -> dict[str, Any]:
        """Everything, for `--json`. Money in minor units, parts of one, days of 24 h."""
        return {
            "command": self.command,
            "source": self._source(),
            "currency": self.currency,
            "size_limits": self.size_limits,
            "caveats": self.caveats(),
            "definitions": definitions_as_json(),
            "policies": [
                {
                    "policy": policy.name,
                    "changes": dict(policy.changes),
                    "measures": told,
                    "sizes": sizes,
                    "curves": drawn,
                }
                for policy, told, sizes, drawn in zip(
                    self.policies, self.measured, self.sizes, self.curves, strict=True
                )
            ],
        }

    def _source(self) -> dict[str, Any]:
        start, end = self.source.span
        span = {"start": text_of(start), "end": text_of(end), "funds": sorted(self.courses[0].currencies)}
        if isinstance(self.source, SeasonSource):
            return {"kind": "season", **span, "parameters": asdict(self.source.season)}
        log = self.source.log
        return {"kind": "log", **span, "where": log.where, "commands": len(log.said), "unreadable": log.unreadable}


def compare(
    source: Source,
    policies: list[Policy],
    command: str,
    progress: Progress = lambda *_: None,
    shared: str | None = None,
) -> Comparison:
    """Run it under each policy. Raises what `runs.run_all` raises."""
    return Comparison(source, tuple(policies), tuple(run_all(source, policies, progress)), command, shared or command)


def definitions_as_json() -> dict[str, dict[str, Any]]:
    """What each measure means, by its name."""
    return {
        one.name: {"title": one.title, "unit": one.unit, "better": one.better, "definition": one.definition}
        for one in MEASURES
    }


def log_of_season(source: SeasonSource, policy: Policy) -> Iterator[Said]:
    """The commands of a season as they go under a policy, to be recorded."""
    return (said_of(command, 0) for command, _decision in source.play(policy))
