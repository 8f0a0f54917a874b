"""How a story ended: its figures out of the ledger beside those its file expects, as data for JSON and for the screen."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from schemas.times import DAY, HOUR
from services.console.report.access import AccessReport
from services.stories.figures import FundFigures
from services.stories.scenario import Story
from services.stories.watch import Watch


@dataclass(frozen=True)
class FundOutcome:
    """A fund's end. `told` and `expected`: figure → minor units, and `notices`. Times in hours of story time, None if never."""

    fund: str
    currency: str
    told: dict[str, int]
    expected: dict[str, int]
    cases: int
    funded: int
    first_funded_hours: float | None
    median_funded_hours: float | None

    @property
    def ok(self) -> bool:
        return self.told == self.expected


@dataclass(frozen=True)
class Outcome:
    """A story's end; `access`: each fund's report, where the story reports of it."""

    story: Story
    funds: tuple[FundOutcome, ...]
    figures: tuple[FundFigures, ...]
    access: tuple[AccessReport, ...] = ()

    @property
    def ok(self) -> bool:
        return all(fund.ok for fund in self.funds)

    @property
    def notices(self) -> int:
        return sum(fund.told["notices"] for fund in self.funds)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        data: dict[str, Any] = {
            "story": self.story.name,
            "ok": self.ok,
            "days": round((self.story.ends - self.story.starts) / DAY, 1),
            "funds": [{**asdict(fund), "ok": fund.ok} for fund in self.funds],
        }
        if self.access:
            data["access"] = [report.as_dict() for report in self.access]
        return data


def outcome(story: Story, watch: Watch, access: tuple[AccessReport, ...] = ()) -> Outcome:
    """The end of a story as the ledger and the notices have it now, and its reports of access."""
    figures = tuple(watch.figures.funds.get(name) or FundFigures(name) for name in story.currencies)
    funds = tuple(_fund(story, fund, len(watch.notices[fund.name])) for fund in figures)
    return Outcome(story, funds, figures, access)


def _fund(story: Story, fund: FundFigures, notices: int) -> FundOutcome:
    asking = [case for case in fund.cases.values() if case.claim]
    hours = [
        (case.funded_at - case.opened_at) / HOUR
        for case in asking
        if case.funded_at is not None and case.opened_at is not None
    ]
    return FundOutcome(
        fund.name,
        fund.currency,
        {**fund.totals(), "notices": notices},
        story.expected[fund.name],
        len(asking),
        len(hours),
        round(min(hours), 1) if hours else None,
        round(median(hours), 1) if hours else None,
    )
