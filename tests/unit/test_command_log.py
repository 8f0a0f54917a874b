"""A recorded log's file: what was written is read again, and a bad line is named without being repeated."""

import json
from pathlib import Path

import pytest

from schemas.times import text_of
from services.errors import FileUnwritable, LogInvalid
from services.policies.change import _fate
from services.policies.commandlog import CommandLog, read_log, write_log
from services.policies.comparison import log_of_season
from services.policies.policy import Policy, parse_policy
from services.policies.replay import LogSource, in_order
from services.policies.runs import SeasonSource, course_of
from services.policies.season.parameters import Season

GOOD = {
    "type": "pumasi.pledge.made",
    "time": "2026-11-22T10:00:00Z",
    "data": {"fund": "f", "pledge": "p", "donor": "d", "amount": 100, "currency": "CNY"},
}
SECRET = "Kim-Yong-Hui"


def lines(path: Path, *events: object) -> Path:
    path.write_text("".join(f"{event if isinstance(event, str) else json.dumps(event)}\n" for event in events))
    return path


def test_a_season_written_and_read_again_comes_to_the_same(tmp_path: Path) -> None:
    source, policy = SeasonSource(Season(days=20)), parse_policy("guaranteed-floor/1,share=5000")
    said = list(log_of_season(source, policy))
    count = write_log(tmp_path / "season.jsonl", said)
    log = read_log(tmp_path / "season.jsonl")
    assert count == len(log.said) == len(said)
    assert [one.command(n) for n, one in enumerate(log.said)] == [one.command(n) for n, one in enumerate(said)]
    lived = course_of(source.play(policy), source.span)
    again = course_of(LogSource(log).play(Policy()), source.span)
    assert [_fate(case) for case in again.cases.values()] == [_fate(case) for case in lived.cases.values()]
    assert again.money == lived.money


def test_what_a_line_may_leave_out(tmp_path: Path) -> None:
    log = read_log(lines(tmp_path / "log", GOOD, "", {**GOOD, "partition": 3, "id": "e-9"}))
    assert [(one.partition, one.id) for one in log.said] == [(0, "line-1"), (3, "e-9")]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"type": x}', "value: not JSON"),
        ("[]", "value: wrong_type"),
        ({**GOOD, "type": f"pumasi.{SECRET}"}, "type: not a command"),
        ({"time": GOOD["time"], "data": {}}, "type: missing"),
        (
            {**GOOD, "time": SECRET},
            r"time: invalid_time \(no RFC 3339 time with an offset, in the years 2000 to 2199\)",
        ),
        (
            {**GOOD, "time": "2026-11-22T10:00:00"},
            r"time: invalid_time \(no RFC 3339 time with an offset, in the years 2000 to 2199\)",
        ),
        (
            {**GOOD, "time": "0001-01-01T00:00:00+09:00"},
            r"time: invalid_time \(no RFC 3339 time with an offset, in the years 2000 to 2199\)",
        ),
        ({**GOOD, "time": None}, "time: invalid_time"),
        ({**GOOD, "appended": SECRET}, "appended: invalid_time"),
        ({**GOOD, "appended": 1}, "appended: invalid_time"),
        ({**GOOD, "data": {**GOOD["data"], "amount": -1}}, "data: amount: below_minimum"),
        ({**GOOD, "data": {**GOOD["data"], "name": SECRET}}, "data: value: unknown_field"),
        ({**GOOD, "data": {**GOOD["data"], "donor": f"{SECRET} of Jilin"}}, "data: donor: wrong_form"),
        ({**GOOD, "data": [SECRET]}, "data: value: wrong_type"),
        ({**GOOD, "partition": -1}, "partition: below_minimum"),
        ({**GOOD, "partition": True}, "partition: wrong_type"),
        ({**GOOD, "id": 7}, "id: wrong_type"),
        ({**GOOD, SECRET: 1}, "value: unknown_field"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_is_named_and_not_repeated(tmp_path: Path, line: object, what: str) -> None:
    with pytest.raises(LogInvalid, match=rf"log.jsonl, line 3: .*({what})") as raised:
        read_log(lines(tmp_path / "log.jsonl", GOOD, "", line, GOOD))
    assert raised.value.code == "invalid_log"
    assert raised.value.exit_status == 2
    assert SECRET not in f"{raised.value.message}{raised.value.hint}"


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogInvalid, match="can't be read"):
        read_log(tmp_path / "missing")
    with pytest.raises(LogInvalid, match="no commands"):
        read_log(lines(tmp_path / "empty", "", ""))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LogInvalid, match="not UTF-8"):
        read_log(tmp_path / "binary")
    with pytest.raises(FileUnwritable, match="can't be written"):
        write_log(tmp_path / "no" / "such" / "directory", [])


def test_a_write_that_fails_leaves_no_half_a_file(tmp_path: Path) -> None:
    def breaking():
        yield from read_log(lines(tmp_path / "log", GOOD)).said
        raise OSError(28, "No space left on device")

    with pytest.raises(FileUnwritable, match="No space left"):
        write_log(tmp_path / "out", breaking())
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_partitions_keep_their_order_and_follow_the_time(tmp_path: Path) -> None:
    def at(hour: int, partition: int, name: str) -> dict:
        return {**GOOD, "time": f"2026-11-22T{hour:02}:00:00Z", "partition": partition, "id": name}

    late_first = [at(9, 0, "a"), at(7, 0, "b"), at(8, 1, "c"), at(10, 1, "d")]
    log = read_log(lines(tmp_path / "log", *late_first))
    assert [said.id for _, said in in_order(log)] == ["c", "a", "b", "d"]


def test_only_some_funds_are_kept_with_every_tick(tmp_path: Path) -> None:
    tick = {"type": "pumasi.clock.ticked", "time": GOOD["time"], "data": {}}
    other = {**GOOD, "data": {**GOOD["data"], "fund": "g"}}
    log = read_log(lines(tmp_path / "log", GOOD, tick, other))
    assert [one.type.split(".")[1] for one in log.only({"g"}).said] == ["clock", "pledge"]
    assert LogSource(CommandLog((), 0, "nowhere")).span == (0, 0)
    assert LogSource(log.only(())).span == (0, 0)  # a clock alone says nothing


def test_append_times_are_kept_and_a_clock_that_was_ahead_is_refused_again(tmp_path: Path) -> None:
    """Ten years ahead for a moment: the log's span, and the order of its partitions, know nothing of it."""
    configured = {"type": "pumasi.fund.configured", "data": {"fund": "f", "currency": "CNY"}, "time": GOOD["time"]}
    ahead = {**GOOD, "time": "2036-11-22T10:00:00Z", "appended": "2026-11-22T10:00:01.234000Z", "id": "ahead"}
    tick = {"type": "pumasi.clock.ticked", "data": {}, "time": ahead["time"], "appended": ahead["appended"]}
    log = read_log(lines(tmp_path / "log", configured, ahead, tick, {**GOOD, "appended": GOOD["time"]}))
    write_log(tmp_path / "again", log.said)
    assert read_log(tmp_path / "again").said == log.said
    assert [said.appended for said in log.said[:2]] == [None, log.said[0].time + 1_234_000]
    assert text_of(log.span[1]) == ahead["appended"]
    told = [(text_of(decision.at), decision.facts[0]) for _, decision in LogSource(log).play(Policy())]
    assert [fact.get("code", fact["fact"]) for _, fact in told] == [
        "fund_configured", "clock_ahead", "clock_ahead", "pledge_accepted",
    ]  # fmt: skip
    assert told[1][0] == told[3][0] == GOOD["time"]


def test_a_log_begins_when_a_fund_first_says_something(tmp_path: Path) -> None:
    tick = {"type": "pumasi.clock.ticked", "data": {}}
    early, late = {**tick, "time": "2020-01-01T00:00:00Z"}, {**tick, "time": "2027-01-01T00:00:00Z"}
    begin, end = read_log(lines(tmp_path / "log", early, GOOD, late)).span
    assert (text_of(begin), text_of(end)) == (GOOD["time"], late["time"])
