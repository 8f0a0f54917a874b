"""What `pumasi up` shows of its services: words for people, notices as sums, never raw fields; and when it is up."""

import asyncio
import io
import json
import re
from typing import Any

import pytest

from services.cli import up
from services.cli.shared.log import JsonLog, Log
from services.news import Ended, StandsStill, Taken, document, read
from services.settings import load
from services.system.holdings import Holdings
from services.system.progress import BrokerProgress
from services.terminal import Terminal

NOTICE = {
    "id": "n1", "to": "d-0123456789abcdef", "role": "donor", "kind": "matched", "fund": "room",
    "at": "2021-11-24T10:53:00Z", "text": "Your pledge of CNY 200.00 is needed now.",
}  # fmt: skip


def shown(*events: tuple[str, dict[str, Any]], sums: bool = False, **how: bool) -> list[str]:
    """The lines, without their times."""
    out = io.StringIO()
    log = Log(Terminal(file=out, width=40), **how)
    for service, event in events:
        log.event(service, event)
    if sums:
        log.sum_up()
        log.sum_up()  # nothing new, so nothing more
    lines = out.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    return [line[9:] for line in lines]


def test_notices_are_counted_and_told_as_a_sum() -> None:
    settled = {**NOTICE, "kind": "settled"}
    assert shown(("notifier", NOTICE), ("notifier", settled), ("notifier", NOTICE)) == []
    [line] = shown(("notifier", NOTICE), ("notifier", settled), ("notifier", NOTICE), sums=True)
    assert line == "notifier  │ 3 notices told: 2 matched, 1 settled"
    assert shown(sums=True) == []


def test_notices_that_reached_nobody_are_said_though_all_is_calm() -> None:
    lost = [{**NOTICE, "outcome": outcome} for outcome in ("failed", "gave-up", "delivered", "suppressed")]
    said = shown(*(("notifier", one) for one in lost), sums=True)
    assert said == [
        "notifier  │ 4 notices told: 4 matched", "notifier  │ 2 notices could not be told: see `pumasi status`"
    ]  # fmt: skip


def test_when_asked_for_a_notice_is_one_line_as_the_notifier_shows_it() -> None:
    [line] = shown(("notifier", NOTICE), verbose=True, sums=True)
    assert line == "notifier  │ 2021-11-24  donor        Your pledge of CNY 200.00 is needed now."


def test_a_matchers_events_are_sentences_and_what_says_nothing_is_left_out() -> None:
    taken = {"event": "taken", "partition": 3, "seq": 7, "watermark": 6}
    stopped = {"event": "stopped", "partition": 1, "code": "ledger_tampered", "message": "a gap", "hint": None}
    happened = (("matcher", taken), ("matcher", {"event": "answered"}), ("matcher", stopped))
    assert [line[12:31] for line in shown(*happened)] == ["PARTITION 1 STOPPED"], "that all goes well is not said"
    lines = shown(*happened, verbose=True)
    assert "Partition 3: fenced and rebuilt from 7 entries" in lines[0]
    assert "PARTITION 1 STOPPED (ledger_tampered): a gap" in lines[1]


def test_a_line_of_a_log_in_json_is_shown_as_it_is_without() -> None:
    line = {
        "at": "2026-11-30T16:20:21.123Z",
        "logger": "pumasi.matcher",
        "event": "clock_off",
        "message": "THE CLOCK IS OFF",
    }
    calm, bad = {**line, "level": "info"}, {**line, "level": "critical", "code": "x"}
    assert shown(("matcher", calm), ("matcher", bad)) == ["matcher   │ CRITICAL THE CLOCK IS OFF"]
    assert len(shown(("matcher", calm), ("matcher", bad), verbose=True)) == 2


def test_without_notices_the_rest_is_still_said() -> None:
    error = {"code": "key_missing", "message": "there is no id.key", "hint": "See `pumasi keys make`."}
    lines = shown(("notifier", NOTICE), ("intake", error), notices=False, sums=True)
    assert lines == ["intake    │ there is no id.key. See `pumasi keys make`."]


def test_calm_tells_of_warnings_and_of_services_that_died_and_are_back() -> None:
    out = io.StringIO()
    log = Log(Terminal(file=out, width=40))
    ready = {"ready": "intake", "http": "http://h:1"}
    log.event("intake", ready)
    log.said("intake", "2026-11-30 13:00:00,000 INFO pumasi.bus: all is well")
    log.said("intake", "Kafka is in reach at 127.0.0.1:9092")
    assert out.getvalue() == ""
    log.said("intake", "2026-11-30 13:00:00,000 WARNING pumasi.bus: following: KafkaConnectionError; trying again")
    log.ended("intake", 137, 0.1)
    log.event("intake", ready)
    log.event("intake", ready)
    log.said("intake", "Kafka is in reach at 127.0.0.1:9092")
    told = [line.partition("│ ")[2] for line in out.getvalue().splitlines()]
    assert told[0] == "WARNING following: KafkaConnectionError; trying again", "its time stands before it already"
    assert told[1:] == [
        "ended with status 137; started again in 0.1 s",
        "ready: takes submissions at http://h:1/v1/events",
        "Kafka is in reach at 127.0.0.1:9092",
    ]


def test_on_a_terminal_no_word_is_broken_and_what_does_not_fit_goes_on_below() -> None:
    out = io.StringIO()
    Log(Terminal(file=out, width=80, force_terminal=True, color_system=None)).said(
        "keys", "made in " + "file.key, " * 30
    )
    first, *more = out.getvalue().splitlines()
    assert more and max(map(len, (first, *more))) <= 80
    assert all(line.startswith(" " * 19 + "│ ") for line in more)
    assert {word for line in (first, *more) for word in line.split("│ ")[1].split()} == {"made", "in", "file.key,"}


def test_a_program_gets_all_of_it_as_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    log = JsonLog()
    log.event("notifier", NOTICE)
    log.event("notifier", {**NOTICE, "outcome": "failed"})
    log.said("kafka", "a line\x1b[2J")
    log.ended("intake", 137, 0.1)
    log.sum_up()
    log.sum_up()  # nothing new, so nothing more
    out, err = capsys.readouterr()
    told = [json.loads(line) for line in err.splitlines()]
    assert (out, "\x1b" in err) == ("", False)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", one.pop("logged_at")) for one in told)
    assert told == [
        {"service": "kafka", "line": "a line\x1b[2J"},
        {"service": "intake", "event": "process_ended", "status": 137, "pause_s": 0.1},
        {"service": "notifier", "event": "notices_told", "kinds": {"matched": 2}, "lost": 1},
    ]


def test_a_program_gets_notices_only_when_asked_for_and_never_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    log = JsonLog(verbose=True)
    log.event("notifier", NOTICE)
    log.sum_up()
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    del told["logged_at"]
    assert told == {"service": "notifier", **{name: NOTICE[name] for name in NOTICE if name != "text"}}


def test_up_asked_for_json_is_as_calm_as_up_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr("services.cli.shared.log.JsonLog", lambda **how: made.append(how) or 1 / 0)
    for verbose in (False, True):
        with pytest.raises(ZeroDivisionError):
            asyncio.run(up._keep_up(load(), 1, BrokerProgress(quiet=True), up._Shown(verbose, True, False)))
    assert made == [{"verbose": False}, {"verbose": True}]


def test_the_matchers_are_up_when_together_they_hold_everything() -> None:
    holdings = Holdings(Log(Terminal(file=io.StringIO())), 2)

    def hear(service: str, event: str, **fields: Any) -> bool:
        holdings.event(service, {"event": event, **fields})
        return holdings.complete.is_set()

    assert not hear("a", "assigned", partitions=[0, 1])
    assert not hear("a", "taken", partition=0, seq=0, watermark=-1)
    assert not hear("a", "assigned", partitions=[0])  # handed on to b, who has not rebuilt it yet
    assert not hear("b", "assigned", partitions=[1])
    assert hear("b", "taken", partition=1, seq=0, watermark=-1)


def test_a_matchers_news_comes_out_of_its_line_as_it_went_in() -> None:
    news = Taken(3, 7, 6, 5, {"tail": 0.5})
    line = document(news)
    assert list(line.items())[:2] == [("event", "taken"), ("partition", 3)]
    for one in (news, StandsStill(1, 2, "why"), Ended(1)):
        assert read(json.loads(json.dumps(document(one)))) == one


def test_what_is_no_news_is_taken_for_none() -> None:
    for line in ({"ready": "matcher"}, {"event": "later"}, {"event": "taken"}, {**document(Ended(0)), "more": 1}):
        assert read(line) is None


def test_of_a_librarys_line_the_library_stays() -> None:
    out = io.StringIO()
    Log(Terminal(file=out, width=40)).said("intake", "2026-11-30 13:00:00,000 WARNING uvicorn.error: words")
    assert out.getvalue().endswith("│ WARNING uvicorn.error: words\n")
