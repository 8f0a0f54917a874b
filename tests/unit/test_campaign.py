"""The campaign finds what it is there to find, and tells how to see it again."""

import pytest

from services.matcher.rules import index
from tests.oracle import campaign
from tests.oracle.__main__ import main


def test_a_campaign_tries_each_season_once() -> None:
    passed: list[int] = []
    assert campaign.campaign(1, 7, passed.append) is None
    assert sum(passed) == 7


def test_a_broken_rule_is_found_and_told_in_a_few_gestures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(index.BOOKS, "urgency-waterfill/1", index.BOOKS["first-come/1"])  # first come takes all
    [failure] = campaign._try(1, 50)
    assert f"python -m tests.oracle.trial {failure.seed}" in failure.report
    assert "≠ engine" in failure.report
    assert len(failure.report.splitlines()) < 40


def test_the_command_says_what_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["3", "--seed", "5"]) == 0
    assert "3 seasons from seed 5" in capsys.readouterr().out
