"""The answer that stands first: three sentences, a policy named only where it stands out as its figure is shown."""

import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from services.cli import build
from services.policies.comparison import Comparison, compare
from services.policies.meaning import RULES
from services.policies.measures import Figure
from services.policies.policy import parse_policy
from services.policies.report import terminal
from services.policies.report.page import page
from services.policies.report.verdict import verdict
from services.policies.runs import SeasonSource
from services.policies.season.parameters import Season
from services.policies.spread import Spread, over_seeds

POLICIES = tuple(parse_policy(rule) for rule in RULES[:3])
A, B, C = (policy.name for policy in POLICIES)


class Told:
    """Figures as they are asked for."""

    def __init__(self, best: dict[str, set[int]], policies: int = 3, seasons: int = 1, **figures: list[Figure]) -> None:
        self.policies, self.seasons, self._best = POLICIES[:policies], seasons, best
        self.letters = list("ABC"[:policies])
        alike = dict.fromkeys(("funded", "promised", "least_tenth_fill"), [0.5] * policies)
        self._figures = {**alike, "funding_days_median": [2.0] * policies, "opened": [4] * policies, **figures}

    def figures(self, name: str, group: str = "all") -> list[Figure]:
        return self._figures[name] if (name, group) != ("opened", "stat") or name in self._best else [0]

    def best(self, name: str, group: str = "all") -> set[int]:
        return self._best.get(name, set())


def plain(told: Told) -> list[str]:
    return [sentence.replace("\u00a0", " ") for sentence in verdict(told)]


def test_who_stands_out_is_named_and_all_figures_follow_the_best_first() -> None:
    first, second, third = plain(
        Told(
            {"funded": {2}, "funding_days_median": {0, 1}, "opened": set(), "least_tenth_fill": {1}},
            funded=[0.8, 0.6, 0.9], funding_days_median=[0.5, 0.5, None], least_tenth_fill=[0.0, 0.2, 0.0],
        )
    )  # fmt: skip
    assert (
        first
        == f"C ({C}) makes most people whole: all they ask is promised to 90.0 % of the cases (C), 80.0 % (A), 60.0 % (B)."
    )
    assert second == (
        f"A ({A}) and B ({B}) serve mortal danger first: half of the immediate cases have all they ask promised within 12.0 h (A, B), "
        "never (C)."
    )
    assert third == (
        f"Of the money asked for 50.0 % is promised under each. B ({B}) leaves fewest far behind: the worst-off tenth of the cases has "
        "20.0 % of what it asks (B), 0.0 % (A, C)."
    )


def test_where_all_are_alike_nobody_is_praised() -> None:
    first, second, third = plain(Told({}))
    assert (
        first
        == "No policy makes more people whole than the others: all they ask is promised to 50.0 % of the cases under each."
    )
    assert second.startswith("No policy serves the most urgent (asap) sooner than the others: half of the asap cases")
    assert "No policy leaves fewer far behind than the others" in third
    assert plain(Told({"funded": {0}}, seasons=9, funded=[0.9, 0.1, 0.1]))[0].startswith("In most of 9 seasons A (")
    assert plain(Told({}, seasons=9))[0].startswith("Over 9 seasons no policy")


def test_one_policy_has_figures_alone_and_a_time_never_reached_is_not_told() -> None:
    assert plain(Told({}, policies=1))[0] == "All they ask is promised to 50.0 % of the cases."
    assert len(plain(Told({}, funding_days_median=[None] * 3))) == 2


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(SeasonSource(Season(seed=3, days=20)), list(POLICIES), "./run simulate")


@pytest.fixture(scope="module")
def spread() -> Spread:
    return over_seeds(Season(seed=3, days=8), 3, POLICIES, "./run simulate")


def test_it_stands_first_on_the_screen_and_on_both_pages(comparison: Comparison, spread: Spread) -> None:
    console = Console(width=200, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as captured:
        terminal.show(comparison, console)
    assert captured.get().split()[:6] == verdict(comparison)[0].replace("\u00a0", " ").split()[:6]
    for told in (comparison, spread):
        text = page(told)
        places = [text.index(sentence) for sentence in verdict(told)]
        assert places == sorted(places)
        assert places[-1] < text.index(">The figures<")


def test_no_page_has_a_backtick_and_what_stood_in_them_is_code(comparison: Comparison, spread: Spread) -> None:
    for told in (comparison, spread):
        assert "`" not in page(told)
        assert "the next <code>share</code>" in page(told)


def test_seeds_have_a_page_with_each_cell_and_a_dot_a_season(tmp_path: Path) -> None:
    sheet = tmp_path / "seeds.html"
    done = CliRunner().invoke(build(), ["simulate", "--seeds", "3", "--days", "6", "--html", str(sheet)])
    assert done.exit_code == 0, done.output
    text = sheet.read_text()
    assert "3 seasons under several policies" in text
    assert len(re.findall(r"<figure", text)) == 11
    shown = dict(re.findall(r'<th scope="row">([^<]*)</th><td[^>]*>([^<]*)</td>', text))
    assert re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", shown["Fully funded, %"])
    assert not {"script", "link", "img"} & set(re.findall(r"<([a-z]+)", text))
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("asked", "shown"), [(["--seeds", "2"], "spread"), ([], "terminal")])
def test_the_page_is_there_even_if_whoever_looks_on_leaves(
    asked: list[str], shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(f"services.policies.report.{shown}.show", leaves)
    sheet = tmp_path / "page.html"
    done = CliRunner().invoke(build(), ["simulate", *asked, "--days", "3", "--html", str(sheet)])
    assert isinstance(done.exception, BrokenPipeError)
    assert "</html>" in sheet.read_text()
