"""Many seeds: each seed's figures are those of its season alone, and best is who is so in most of them."""

import json
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from services.cli import build
from services.errors import UsageError
from services.policies.comparison import compare
from services.policies.meaning import RULES
from services.policies.measures import MEASURES, Measured
from services.policies.policy import parse_policy
from services.policies.report import spread as spread_shown
from services.policies.report.figures import best
from services.policies.runs import SeasonSource
from services.policies.season.parameters import Season
from services.policies.spread import LEADING, Spread, over_seeds

SEASON = Season(seed=5, days=8, cases_a_day=3)
POLICIES = [parse_policy(rule) for rule in RULES]


@pytest.fixture(scope="module")
def spread() -> Spread:
    return over_seeds(SEASON, 3, POLICIES, "./run simulate")


def test_each_seed_comes_to_what_its_season_comes_to_alone(spread: Spread) -> None:
    assert spread.seeds == (5, 6, 7)
    for seed, measured in zip(spread.seeds, spread.measured, strict=True):
        alone = compare(SeasonSource(replace(SEASON, seed=seed)), POLICIES, "")
        assert list(measured) == alone.measured


def _with(*rows: tuple[float | None, ...]) -> Spread:
    """The time to full funding, a row a seed and a column a policy; everything else alike."""

    def told(days: float | None) -> Measured:
        return {one.name: {"all": days if one.name == "funding_days_median" else 0} for one in MEASURES}

    measured = tuple(tuple(told(days) for days in row) for row in rows)
    return Spread(SEASON, tuple(range(len(rows))), tuple(POLICIES[: len(rows[0])]), measured, "")


def test_a_policy_is_best_only_if_it_is_in_more_than_half_of_the_seeds() -> None:
    assert _with((1, 2), (1, 2), (2, 1)).best("funding_days_median") == {0}
    assert _with((1, 2), (2, 1)).best("funding_days_median") == set()
    assert _with((1, 2), (1, None), (3, 3)).best("funding_days_median") == {0}


def test_what_is_shown_alike_has_no_best() -> None:
    assert best("promised", [0.67301, 0.67299], "CNY") == set()
    assert best("promised", [0.6731, 0.6729, 0.674], "CNY") == {2}
    assert best("gini", [0.1, 0.1004, 0.2], "CNY")
    assert best("funding_days_median", [7.11, 7.09], "CNY") == set(), "both are shown as 7.1 d"
    assert best("idle", [99_90, 100_40], "CNY") == set(), "both are shown as 100"
    assert best("gini", [0.1, 0.1004, 0.2], "CNY") == {0, 1}


def test_median_and_range_count_never_reached_as_longest() -> None:
    first, second = _with((1, 2), (5, None), (3, None)).over["funding_days_median"]
    assert (first.median, first.least, first.most, first.best_in) == (3, 1, 5, 3)
    assert (second.median, second.least, second.most, second.best_in) == (None, 2, None, 0)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_keeps_to_the_terminals_width_and_marks_what_is_best(spread: Spread, width: int) -> None:
    console = Console(width=width, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as captured:
        spread_shown.show(spread, console)
    assert max(len(line) for line in captured.get().splitlines()) <= width
    assert "best in more than half of the seeds" in " ".join(captured.get().split())
    assert ("*" in captured.get().replace("*: best", "")) == any(spread.best(name) for name in LEADING)


def test_the_command_tells_every_seed_in_json_and_runs_again() -> None:
    args = ["simulate", "--seeds", "2", "--days", "4", "--json"]
    told = json.loads(CliRunner().invoke(build(), args).stdout)
    assert told["source"]["seeds"] == [1, 2]
    assert set(told["policies"][0]["measures"]) == set(LEADING)
    assert json.loads(CliRunner().invoke(build(), [*told["command"].split()[1:], "--json"]).stdout) == told


def test_a_log_has_no_seeds() -> None:
    error = CliRunner().invoke(build(), ["simulate", "--seeds", "2", "--log", "x"]).exception
    assert isinstance(error, UsageError) and "--log does not go with --seeds" in error.message


def test_a_season_that_would_not_fit_is_refused_and_a_long_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    error = CliRunner().invoke(build(), ["simulate", "--days", "3650", "--cases", "10000"]).exception
    assert isinstance(error, UsageError) and "36,500,000 cases" in error.message
    monkeypatch.setattr("services.cli.simulate.run._LONG_FROM", 10)
    told = CliRunner().invoke(build(), ["simulate", "--days", "3", "--policy", RULES[0]])
    assert "About 12 cases, once" in told.stderr and told.exit_code == 0
