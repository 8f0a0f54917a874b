"""What `pumasi up` shows of its services: words for people, notices as sums, never raw fields; and when it is up."""

import io
import json
import re
from typing import Any, get_args

from services.cli.shared.log import Log
from services.news import _NAMES, Ended, MatcherNews, StandsStill, Taken, document, read
from services.system.holdings import Holdings
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


def test_when_asked_for_a_notice_is_one_line_as_the_notifier_shows_it() -> None:
    [line] = shown(("notifier", NOTICE), verbose=True, sums=True)
    assert line == "notifier  │ 2021-11-24  donor        Your pledge of CNY 200.00 is needed now."


def test_a_matchers_events_are_sentences_and_what_says_nothing_is_left_out() -> None:
    taken = {"event": "taken", "partition": 3, "seq": 7, "watermark": 6}
    stopped = {"event": "stopped", "partition": 1, "code": "ledger_tampered", "message": "a gap", "hint": None}
    lines = shown(("matcher", taken), ("matcher", {"event": "answered"}), ("matcher", stopped))
    assert "Partition 3: fenced and rebuilt from 7 entries" in lines[0]
    assert "PARTITION 1 STOPPED (ledger_tampered): a gap" in lines[1]


def test_without_notices_the_rest_is_still_said() -> None:
    lines = shown(("notifier", NOTICE), ("intake", {"ready": "intake", "http": "http://h:1"}), notices=False, sums=True)
    assert lines == ["intake    │ ready: takes submissions at http://h:1/v1/events"]


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
    assert {kind.__name__ for kind in get_args(MatcherNews)} == {kind.__name__ for kind in _NAMES}


def test_what_is_no_news_is_taken_for_none() -> None:
    for line in ({"ready": "matcher"}, {"event": "later"}, {"event": "taken"}, {**document(Ended(0)), "more": 1}):
        assert read(line) is None
