"""What the demo tells: a fact in words that hold, an event byte by byte, and commands that are there."""

import asyncio
import io
import json
from pathlib import Path
from shlex import split

import pytest
from rich.console import Console
from typer.main import get_command

from services.cli import build
from services.cli.demo import _until_stopped
from services.stories.beat import Beat
from services.stories.demo import AFTER_ALL, AFTER_ONE, NEXT, Wanted, first_pledge
from services.stories.figures import Figures
from services.stories.followed import wrapped
from services.stories.rehearsal import heard_after, rehearse
from services.stories.scenario import load_stories
from services.stories.screen import Screen


def told(name: str) -> list[str]:
    """All that is told of a story's first fund, a beat a row."""
    [story] = load_stories([name])
    figures, sentences = Figures(), []
    for one in rehearse(story):
        figures.take(one.entry)
        fund = one.entry["fund"]
        beat = Beat(figures.funds[fund])
        beat.take(one.facts, one.entry["at"])
        sentences += beat.sentences()
    return sentences


def test_who_asks_for_nothing_is_not_said_to_have_it_promised() -> None:
    sentences = told("provinces")
    assert "prov-36 opens (test, urgent) and asks for no money." in sentences
    promised = [sentence for sentence in sentences if sentence.startswith("All that is asked is promised")]
    assert promised
    assert not [sentence for sentence in sentences if "prov-36" in sentence and "opens" not in sentence]


def test_a_case_that_is_renewed_has_an_age_when_it_is_funded_first_and_not_again() -> None:
    funded = [
        sentence for sentence in told("tuberculosis") if "promised for tb-medicine" in sentence and "that" in sentence
    ]
    assert funded[0].endswith("tb-medicine (2 h 3 min after it opened).")
    assert len(funded) > 3
    assert not [sentence for sentence in funded[1:] if "after it opened" in sentence]


def test_money_without_a_case_is_said_to_wait_for_one() -> None:
    assert "CNY 100.00 finds no open case, so it waits." in told("chat-room")


def test_rises_are_told_by_class_and_cause() -> None:
    told_of = [sentence for sentence in told("no-papers") if "dose-06" in sentence and sentence.startswith("Now ")]
    assert told_of[0] == "Now asap by waiting: dose-07, dose-06, dose-12."
    assert told_of[-1] == "Now immediate by deadline: dose-06, dose-07, dose-12."


@pytest.mark.parametrize("width", [40, 78, 118])
def test_json_is_broken_between_values_alone_and_is_all_there(width: int) -> None:
    [story] = load_stories(["chat-room"])
    for one in list(rehearse(story))[:20]:
        text = json.dumps(one.entry, separators=(",", ":"))
        lines = wrapped(text, width)
        assert "".join(lines) == text
        assert max(map(len, lines)) <= max(width, 60)
        spaced = json.dumps(one.entry)
        assert " ".join(wrapped(spaced, width)) == spaced


def test_each_further_object_of_a_list_begins_a_line() -> None:
    told = '{"a": 1, "b": [{"c": "x, y"},{"c": 3}]}'
    assert wrapped(told, 24) == ['{"a": 1,', '"b": [{"c": "x, y"},', '{"c": 3}]}']
    assert wrapped(told, 80) == ['{"a": 1, "b": [{"c": "x, y"},', '{"c": 3}]}']


def test_the_event_that_is_followed_is_a_pledge_of_the_first_story() -> None:
    row = first_pledge(load_stories())
    assert row is not None
    assert (row.door, row.type, row.data["pledge"]) == ("http", "pumasi.pledge.made", "room-01")


def test_a_kind_of_notice_is_told_in_words_once_and_the_rest_are_counted() -> None:
    [story] = load_stories(["chat-room"])
    out = io.StringIO()
    screen = Screen(Console(file=out, width=80))
    screen.open(story, 1, 1, Figures())
    notice = {"fund": "jilin-room", "role": "donor", "kind": "matched", "text": "It goes there."}
    for many in (3, 2, 1):
        for _ in range(many):
            screen.event("notifier", notice)
        screen.flush()
    said = [line.strip() for line in out.getvalue().splitlines() if "✉" in line]
    assert said == ["✉\u00a03 notices; to a donor: “It goes there.”", "✉\u00a02 notices.", "✉\u00a01 notice."]


def test_what_is_heard_after_each_row_ends_with_what_the_story_expects() -> None:
    for story in load_stories():
        assert heard_after(story)[-1] == {fund: figures["notices"] for fund, figures in story.expected.items()}


def test_the_next_commands_are_taken_as_they_are_printed() -> None:
    whole = get_command(build())
    assert len(NEXT) == 2
    for command, _ in (AFTER_ONE, AFTER_ALL, *NEXT):
        program, name, *options = split(command)
        assert program == "./run"
        found = whole.commands[name]
        found.make_context(name, options).close()  # raises what a wrong option would


def test_a_play_that_gives_up_by_itself_is_no_signal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def gives_up(*_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("services.stories.demo.run", gives_up)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_until_stopped(tmp_path / "data", Wanted(None, False), True, False))
