"""What `pumasi up` shows of its services: words for people, a line a notice, never raw fields; and when it is up."""

import io
from typing import Any

from rich.console import Console

from services.cli.holdings import Holdings
from services.cli.log import Log

NOTICE = {
    "id": "n1", "to": "d-0123456789abcdef", "role": "donor", "kind": "matched", "fund": "room",
    "at": "2021-11-24T10:53:00Z", "text": "Your pledge of CNY 200.00 is needed now.",
}  # fmt: skip


def shown(*events: tuple[str, dict[str, Any]], notices: bool = True) -> list[str]:
    out = io.StringIO()
    log = Log(Console(file=out, width=40), notices=notices)
    for service, event in events:
        log.event(service, event)
    return out.getvalue().splitlines()


def test_a_notice_is_one_line_as_the_notifier_shows_it() -> None:
    [line] = shown(("notifier", NOTICE))
    assert line == "notifier  │ 2021-11-24 10:53  donor        d-012345…  Your pledge of CNY 200.00 is needed now."


def test_a_matchers_events_are_sentences_and_what_says_nothing_is_left_out() -> None:
    taken = {"event": "taken", "partition": 3, "seq": 7, "watermark": 6}
    stopped = {"event": "stopped", "partition": 1, "code": "ledger_tampered", "message": "a gap", "hint": None}
    lines = shown(("matcher", taken), ("matcher", {"event": "answered"}), ("matcher", stopped))
    assert "Partition 3: fenced and rebuilt from 7 entries" in lines[0]
    assert "PARTITION 1 STOPPED (ledger_tampered): a gap" in lines[1]


def test_without_notices_the_rest_is_still_said() -> None:
    lines = shown(("notifier", NOTICE), ("intake", {"ready": "intake", "http": "http://h:1"}), notices=False)
    assert lines == ["intake    │ ready: takes submissions at http://h:1/v1/events"]


def test_the_matchers_are_up_when_together_they_hold_everything() -> None:
    holdings = Holdings(Log(Console(file=io.StringIO())), 2)

    def hear(service: str, event: str, **fields: Any) -> bool:
        holdings.event(service, {"event": event, **fields})
        return holdings.complete.is_set()

    assert not hear("a", "assigned", partitions=[0, 1])
    assert not hear("a", "taken", partition=0, seq=0, watermark=-1)
    assert not hear("a", "assigned", partitions=[0])  # handed on to b, who has not rebuilt it yet
    assert not hear("b", "assigned", partitions=[1])
    assert hear("b", "taken", partition=1, seq=0, watermark=-1)
