"""Runs: one season or one log, played whole to an engine of its own under each of several policies, on every core.

Each run makes its source anew from the same description, so nothing passes from one policy to another. Small ones run in this process.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from schemas.commands import Command
from services.errors import UsageError
from services.matcher.engine.engine import Decision, Engine
from services.policies.course import Course
from services.policies.policy import Policy
from services.policies.season.driver import Driver
from services.policies.season.parameters import Season
from services.policies.season.plan import plan
from services.processes import side_by_side

Progress = Callable[[int, int, int], None]
"""Called with the number of the policy, the microseconds of the log played so far, and all of them."""
SMALL = 60_000
"""Commands in all, below which processes take longer to start than they save: a second or two."""
_TOLD_EVERY = 500


Under = TypeVar("Under", contravariant=True)


class Source(Protocol[Under]):
    """What is played: a span of time in microseconds since 1970, and how many commands it has, about; under one policy or another."""

    @property
    def span(self) -> tuple[int, int]: ...

    @property
    def size(self) -> int: ...

    def play(self, policy: Under, /) -> Iterator[tuple[Command, Decision]]: ...


class SeasonSource:
    """A generated season; what people do about money follows from the policy."""

    def __init__(self, season: Season) -> None:
        self.season = season
        self.plan = plan(season)
        self.span = (self.plan.start, self.plan.end)
        self.size = 2 * len(self.plan.steps())

    def play(self, policy: Policy) -> Iterator[tuple[Command, Decision]]:
        return Driver(self.plan, Engine().execute, policy.over).play()

    def __reduce__(self) -> tuple[Any, ...]:
        return SeasonSource, (self.season,)


def course_of(
    played: Iterator[tuple[Command, Decision]],
    span: tuple[int, int],
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Course:
    """The course of a run, played to its end.

    Args:
        played: commands and answers.
        span: when it begins and ends, microseconds since 1970.
        told: called now and then with the microseconds played, and all of them.

    Raises:
        ConservationBreach: if the engine would lose or double money: a defect.
        UsageError: if the funds have several currencies: their sums can't be added up.
    """
    start, end = span
    course = Course(start, end)
    for number, (command, (fund, at, facts)) in enumerate(played):
        course.take(command, fund, at, facts)
        if number % _TOLD_EVERY == 0:
            told(min(at, end) - start, end - start)
    if len(currencies := sorted(set(course.currencies.values()))) > 1:
        raise UsageError(
            f"the funds are in {' and '.join(currencies)}, and sums in several currencies can't be compared",
            hint="Compare one of them: --fund F.",
        )
    told(end - start, end - start)
    return course.finish()


def run_all(source: Source[Under], policies: Sequence[Under], progress: Progress = lambda *_: None) -> list[Course]:
    """The course under each policy, in their order. Raises what `course_of` raises."""
    return side_by_side(_run, source, policies, progress, small=source.size * len(policies) < SMALL)


def _run(source: Source[Any], policy: Any, told: Callable[[int, int], None]) -> Course:
    return course_of(source.play(policy), source.span, told)
