"""Letters and marks as they are read back, chosen and shown."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
import typer
from rich.console import Console

from services.bus.deadletters.box import Box, DeadLetter, Filter, Mark, content, mark_row, read
from services.bus.deadletters.letter import PREFIX, REMOVED, REPLAY_OF, Letter, Place, dead_letter
from services.bus.deadletters.put_back import Outcome, Result, _chunks
from services.cli.deadletters import as_dict, moment, screen
from services.errors import UnknownId, UsageError
from tests.broker.raw import headers

DEADLETTERS = "pumasi.deadletters.v1"
AT = 1_795_000_000_123  # ms


@dataclass
class Rec:
    """A record as consumed."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    topic: str = DEADLETTERS
    partition: int = 2
    offset: int = 9
    timestamp: int = AT


def lying(
    key: bytes | None = b"jilin", value: bytes | None = b'{"fund":"jilin"}', *more: tuple[str, bytes | None]
) -> Rec:
    """A letter of a command, as it lies on its topic."""
    record = Rec(key, value, [*headers("pumasi.pledge.made", "x"), *more], "pumasi.commands.v1", 2, 41)
    return Rec(*dead_letter(record, "unreadable", "a header is null"))


def letter(**changed: Any) -> DeadLetter:
    found = read(lying())
    assert isinstance(found, DeadLetter)
    return replace(found, **changed)


def mark_of(one: DeadLetter, offset: int = 50) -> Mark:
    return Mark(one.id, one.source._replace(offset=offset), AT * 1000, "r")


def box_of(*letters: DeadLetter, marks: tuple[Mark, ...] = ()) -> Box:
    return Box({one.id: one for one in letters}, {mark.letter: mark for mark in marks})


def test_a_letter_is_read_as_it_was_written() -> None:
    found = letter()
    assert found.id == "pumasi.commands.v1-2-41"
    assert (found.place, found.code, found.message) == (Place(DEADLETTERS, 2, 9), "unreadable", "a header is null")
    assert (found.at, found.fund, found.withheld, found.refusal, found.replay_of) == (
        AT * 1000,
        "jilin",
        (),
        None,
        None,
    )
    record = lying(b"jilin", b'{"fund":"jilin"}', (REPLAY_OF, b"pumasi.commands.v1-2-1"))
    assert content(record) == Letter(
        b"jilin", b'{"fund":"jilin"}', [*headers("pumasi.pledge.made", "x"), (REPLAY_OF, b"pumasi.commands.v1-2-1")]
    )
    assert read(record).replay_of == "pumasi.commands.v1-2-1"


def test_a_letter_says_what_it_withholds_and_that_refuses_it() -> None:
    found = read(lying(b"Kim Yongsun", b'{"fund":"jilin","name":"Kim"}'))
    assert (found.withheld, found.refusal) == (("key", "value"), "withheld")
    assert letter(withheld=None).refusal == "withheld"
    assert letter(withheld=None).withheld_parts == ["unknown"]
    assert letter(source=Place("pumasi.ledger.v1", 0, 3)).refusal == "not_replayable"


def test_the_sender_is_said_as_the_record_says_it() -> None:
    assert read(lying()).sender is None
    assert read(lying(b"jilin", b"{}", ("pumasi_sender", b"clinic"))).sender == "clinic"


@pytest.mark.parametrize(
    ("key", "value", "fund"),
    [
        (b"jilin", b'{"fund":"yanji"}', "yanji"), (b"jilin", b"{", None), (b"jilin", None, None), (None, b"{}", None),
        (b"k", b'{"fund":"jilin"}', "jilin"), (REMOVED.encode(), b'{"fund":"[removed]"}', None),
        (b"jilin", b'{"fund":"' + b"j" * 70_000 + b'"}', None), (b"\xff", b"[1]", None), (b"jilin", b"[" * 60_000, None),
    ],
)  # fmt: skip
def test_the_fund_is_said_where_it_can_be_read(key: bytes | None, value: bytes | None, fund: str | None) -> None:
    assert read(lying(key, value)).fund == fund


def test_a_mark_is_read_as_it_was_written_and_is_no_letter() -> None:
    mark = mark_of(letter())
    row = mark_row(mark)
    assert read(Rec(*row)) == mark
    assert not [name for name, _ in row[2] if name.startswith(PREFIX)]
    assert json.loads(row[1]) == {
        "letter": "pumasi.commands.v1-2-41", "topic": "pumasi.commands.v1", "partition": 2, "offset": 50, "run": "r"
    }  # fmt: skip


def test_a_record_that_calls_itself_a_mark_still_gets_a_letter_that_is_one() -> None:
    key, value, heads = mark_row(mark_of(letter()))
    posing = Rec(key, value, list(heads), "pumasi.commands.v1", 0, 7)
    found = read(Rec(*dead_letter(posing, "unreadable", "ce_type: not a command")))
    assert isinstance(found, DeadLetter)
    assert found.id == "pumasi.commands.v1-0-7"


FILTERS = [
    (Filter(), True), (Filter(topic="pumasi.commands.v1", partition=2, code="unreadable", fund="jilin"), True),
    (Filter(topic="pumasi.submissions.v1"), False), (Filter(partition=1), False), (Filter(code="malformed"), False),
    (Filter(fund="yanji"), False), (Filter(since=AT * 1000), True), (Filter(since=AT * 1000 + 1), False),
    (Filter(until=AT * 1000), False), (Filter(until=AT * 1000 + 1), True),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "admits"), FILTERS)
def test_all_that_is_asked_must_be_so(wanted: Filter, admits: bool) -> None:
    assert wanted.admits(letter()) == admits


def test_the_trail_leads_from_a_letter_to_the_one_its_record_became_again() -> None:
    first, again = letter(), letter(source=Place("pumasi.commands.v1", 2, 50), replay_of="pumasi.commands.v1-2-41")
    box = box_of(first, again, marks=(mark_of(first),))
    assert box.trail(first) is again
    assert box.trail(again) is None
    assert as_dict(first, box)["replayed"] == {
        "at": "2026-11-18T11:06:40.123000Z", "dead_again": True,
        "to": {"topic": "pumasi.commands.v1", "partition": 2, "offset": 50},
    }  # fmt: skip
    with pytest.raises(UnknownId):
        box.letter("pumasi.commands.v1-2-42")


def test_transactions_are_bounded_in_letters_and_bytes() -> None:
    sizes = [
        [one.size for one in chunk]
        for chunk in _chunks([letter(size=size) for size in (3 << 20, 2 << 20, 1, 9 << 20, 1)])
    ]
    assert sizes == [[3 << 20], [2 << 20, 1], [9 << 20], [1]]
    assert [len(chunk) for chunk in _chunks([letter()] * 250)] == [100, 100, 50]


@pytest.mark.parametrize(
    ("text", "micros"),
    [(None, None), ("2026-11-22", 1_795_305_600_000_000), ("2026-11-22T10:00:00+09:00", 1_795_309_200_000_000)],
)
def test_a_time_is_a_date_or_rfc_3339(text: str | None, micros: int | None) -> None:
    assert moment(text) == micros


@pytest.mark.parametrize(("text", "minutes"), [("30m", 30), ("12h", 720), ("2d", 2880)])
def test_a_time_may_be_said_by_how_long_ago_it_was(text: str, minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_795_305_600_000_000_000)
    assert moment(text) == 1_795_305_600_000_000 - minutes * 60_000_000


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "5w", "-1d", "", "2026-11-22T10:00:00"])
def test_what_is_no_time_is_a_usage_error_that_names_the_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"--since: .* is no time"):
        moment(text, "--since")


# ---- on a terminal ----------------------------------------------------------------------------------------------------


def shown_at(width: int, monkeypatch: pytest.MonkeyPatch, show: Any, *arguments: Any) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None, highlight=False)
    monkeypatch.setattr(screen, "wide", lambda: console)
    show(*arguments)
    return out.getvalue()


LETTERS = [
    letter(),
    letter(source=Place("pumasi.submissions.v1", 11, 1234567), code="invalid_submission", fund="f" * 64, withheld=("value",),
           message="; ".join(f"/data/field{n}: wrong_form" for n in range(5))),
    letter(source=Place("pumasi.commands.v1", 2, 50), replay_of="pumasi.commands.v1-2-41"),
]  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 100, 200, 400])
def test_no_id_is_ever_cut_and_no_line_is_too_long(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    box = box_of(*LETTERS, marks=(mark_of(LETTERS[0]),))
    shown = shown_at(width, monkeypatch, screen.print_list, LETTERS, box, 7)
    assert max(map(len, shown.splitlines())) <= width
    words = shown.split()
    for one in LETTERS:
        assert one.id in words
    assert "…" not in shown
    assert {"part", "withheld", "put", "back", "again,", "after"} <= set(words)
    assert "7 dead letters. The latest 3 are shown" in " ".join(words)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_letter_is_shown_with_all_that_it_keeps_and_what_it_does_not(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Letter(
        b"jilin",
        b'{"fund":"jilin","donor":"[removed]","a":["[removed]"],"[removed]":2}',
        [("ce_id", b"x"), ("trace", None)],
    )
    told = shown_at(width, monkeypatch, screen.print_letter, LETTERS[1], kept, box_of())
    words = " ".join(told.split())
    assert "part of value (/donor, /a/0, members that nobody knows at the top)" in words
    assert "send it again" in words
    assert "trace null" in words
    assert '"donor": "[removed]"' in words


def test_of_a_long_value_the_beginning_is_shown_and_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    told = shown_at(80, monkeypatch, screen.print_letter, LETTERS[0], Letter(None, b"[" * 100_000, []), box_of())
    assert "100,000 bytes in all; --json has them" in told
    assert len(told) < 3000
    assert "`pumasi deadletters replay pumasi.commands.v1-2-41` does it" in " ".join(told.split())


def test_a_letter_that_another_wrote_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "\x1b]0;x\x07\x1b[2J"
    one = letter(code=evil, message=evil)
    kept = Letter(evil.encode(), json.dumps({"a": evil}).encode(), [(evil, evil.encode())])
    told = shown_at(80, monkeypatch, screen.print_letter, one, kept, box_of(one))
    told += shown_at(60, monkeypatch, screen.print_list, [one], box_of(one), 1)
    told += shown_at(400, monkeypatch, screen.print_list, [one], box_of(one), 1)
    assert "\x1b" not in told
    assert "\x07" not in told


def test_results_are_summed_up_with_what_to_do_about_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        Result(LETTERS[0], Outcome.REPLAYED, Place("pumasi.commands.v1", 2, 50)),
        Result(LETTERS[1], Outcome.WITHHELD),
    ]
    told = shown_at(80, monkeypatch, screen.print_results, results, 1)
    assert "2 dead letters: 1 put back, 1 refused." in told
    assert "send it again" in " ".join(told.split())
    assert "--again" in told
    assert all(outcome in screen.ADVICE for outcome in Outcome if outcome.is_refusal)


def test_the_command_group_has_its_three_commands() -> None:
    from services.cli import build

    [group] = [one for one in build().registered_groups if one.name == "deadletters"]
    assert isinstance(group.typer_instance, typer.Typer)
    assert [command.name for command in group.typer_instance.registered_commands] == ["list", "show", "replay"]


@pytest.mark.parametrize(
    "arguments",
    [["show", "7"], ["replay"], ["replay", "--all", "--fund", "jilin"], ["replay", "pumasi.commands.v1-0-7", "--all"],
     ["list", "--source", "orders"], ["list", "--since", "soon"], ["replay", "--until", "soon"], ["replay", "x-1-2"]],
)  # fmt: skip
def test_what_is_asked_wrongly_is_a_usage_error_before_anything_is_read(arguments: list[str]) -> None:
    from services.cli import build

    with pytest.raises(UsageError):
        build()(["deadletters", *arguments], standalone_mode=False)
