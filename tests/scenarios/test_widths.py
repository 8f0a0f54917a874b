"""What the demo shows at any width: money is never cut and no line wraps, whether beside one another or stacked."""

import io
import re

import pytest
from rich.console import Console

from schemas.currencies import format_amount, format_money
from services.stories import summary
from services.stories.outcome import Outcome, outcome
from services.stories.scenario import load_stories
from services.stories.screen import Screen, bars
from services.stories.watch import Watch
from tests.telling import rehearsed_figures

WIDTHS = (80, 100, 110, 120, 160)


@pytest.fixture(scope="module")
def ends() -> list[Outcome]:
    found = []
    for story in load_stories(None):
        watch = Watch("nowhere:9092")
        watch.figures, _ = rehearsed_figures(story)
        found.append(outcome(story, watch))
    return found


def console_of(width: int) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, highlight=False), out


@pytest.mark.parametrize("width", WIDTHS)
def test_the_last_table_has_every_figure_whole(ends: list[Outcome], width: int) -> None:
    console, out = console_of(width)
    summary.show_end(console, ends)
    shown = out.getvalue()
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    for fund in (fund for end in ends for fund in end.funds):
        for name in summary.MONEY:
            assert format_amount(fund.told[name], fund.currency) in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_a_storys_figures_and_its_access_report_are_whole(ends: list[Outcome], width: int) -> None:
    console, out = console_of(width)
    screen = Screen(console)
    for end in ends:
        summary.show_story(screen, end)
    shown = out.getvalue()
    assert "…" not in shown
    assert not re.search(r"[A-Z]{3}$", shown, re.MULTILINE), "a currency and its amount stay together"
    if "–" in shown:
        assert "fewer than five were promised" in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_keep_to_the_width(ends: list[Outcome], width: int) -> None:
    for end in ends:
        cases = [(fund, case) for fund in end.figures for case in fund.cases.values()]
        for (fund, case), text in zip(cases, map(str, bars(cases, width)), strict=True):
            assert format_money(case.claim, fund.currency) in text
            assert max(map(len, text.splitlines())) <= width
