"""Poison: records that nobody can read, each in its own way, for the commands and for the submissions topic.

Each says who it is in a header or, where it has none that could be read, nowhere: it is told by its bytes. `MARKER` stands for what may
never be told on: a person's name and number in free text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from services.bus.envelope import command_headers

MARKER = "leak-marker 김영선 +86 138 0000 1111"
_TIME = "2031-01-01T00:00:00Z"
_LARGE_BYTES = 2_000_000
_READABLE_BOX = base64.b64encode(
    "김영선 010-1234-5678, at home in the evening; she speaks Korean".encode("euc-kr")
).decode()

Headers = list[tuple[str, bytes | None]]
Parts = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers."""


class Poison(NamedTuple):
    """A kind of it: how it is made from a fund and an id; whether it is large."""

    make: Callable[[str, str], Parts]
    large: bool = False


def _headers(kind: str, event: str) -> Headers:
    return list(command_headers(kind, event, "/soak/poison", _TIME))


def _withdrawal(fund: str, **more: Any) -> bytes:
    return json.dumps({"fund": fund, "pledge": "p-nobody", **more}, ensure_ascii=False).encode()


def _withdrawn(value: Callable[[str], bytes | None], key: Callable[[str], bytes | None] = str.encode) -> Poison:
    return Poison(lambda fund, event: (key(fund), value(fund), _headers("pumasi.pledge.withdrawn", event)))


def _made(kind: str, *headers: tuple[str, bytes], time: str = _TIME, **data: Any) -> Poison:
    """A command that would be good but for what `data`, `headers` or `time` add to it."""

    def make(fund: str, event: str) -> Parts:
        told = [*command_headers(f"pumasi.{kind}", event, "/soak/poison", time), *headers]
        return fund.encode(), json.dumps({"fund": fund, **GOOD[kind], **data}, ensure_ascii=False).encode(), told

    return Poison(make)


GOOD: dict[str, dict[str, Any]] = {
    "pledge.made": {"pledge": "p-nobody", "donor": "d-nobody", "amount": 1, "currency": "CNY"},
    "case.submitted": {
        "case": "c-nobody",
        "beneficiary": "b-nobody",
        "need": "test",
        "route": "home",
        "goal": 1,
        "priority": "stat",
    },
}
NUMBERS = ("13800138000", "wx-138-0013-8000", "tel.010.1234.5678", "~008613800138000", "8613800138000")
BOTH: dict[str, Poison] = {
    "a time before the calendar": _made("pledge.made", expires_at="0001-01-01T00:00:00+09:00"),
    "a time behind the calendar": _made("case.submitted", needed_by="9999-12-31T23:59:59-09:00"),
    "a time of no year of ours": _made("pledge.made", time="1999-12-31T23:59:59Z"),
    "a time in digits": _made("case.submitted", needed_by="20311231"),
    "a date alone": _made("pledge.made", expires_at="2031-12-31"),
    "a number as text": _made("pledge.made", amount="1"),
    "true as a number": _made("pledge.made", amount=True),
    "a fraction": _made("pledge.made", amount=1.0),
    "a province of no list": _made("case.submitted", access={"province": "XX-1", "status": "unknown"}),
    "an id twice": _made("pledge.made", ("ce_id", b"x-other")),
    **{f"a person's number, {text}": _made("pledge.made", pledge=text) for text in NUMBERS},
    "a person's number as who gives": _made("pledge.made", donor="138.0013.8000"),
}
"""What neither topic's reader can take, whatever else is said."""

COMMANDS_POISON: dict[str, Poison] = {
    **BOTH,
    "not JSON": _withdrawn(lambda _: b"{"),
    "null header": Poison(
        lambda f, e: (f.encode(), _withdrawal(f), [*_headers("pumasi.pledge.withdrawn", e), ("trace", None)])
    ),
    "header not UTF-8": Poison(
        lambda f, e: (f.encode(), _withdrawal(f), [*_headers("pumasi.pledge.withdrawn", e), ("trace", b"\xff\xfe")])
    ),
    "NaN": _withdrawn(lambda f: b'{"fund":"' + f.encode() + b'","pledge":NaN}'),
    "deep nesting": _withdrawn(lambda _: b"[" * 60_000),
    "two megabytes": _withdrawn(lambda f: _withdrawal(f, pledge="p" * _LARGE_BYTES))._replace(large=True),
    "tombstone": _withdrawn(lambda _: None),
    "unknown type": Poison(lambda f, e: (f.encode(), _withdrawal(f), _headers("pumasi.pledge.eaten", e))),
    "wrong key": _withdrawn(_withdrawal, lambda _: b"other"),
    "wrong partition": _withdrawn(_withdrawal),
    "unknown field": _withdrawn(lambda f: _withdrawal(f, name="x")),
    "free text": _withdrawn(lambda f: _withdrawal(f, reason=MARKER)),
    "no headers": Poison(lambda f, _: (f.encode(), _withdrawal(f), [])),
}
"""What nobody can read on the commands topic."""

SUBMISSIONS_POISON: dict[str, Poison] = {
    **BOTH,
    "a readable box": _made("pledge.made", donor=None, sealed_contact=_READABLE_BOX),
    "not JSON": _withdrawn(lambda _: b"{"),
    "null header": Poison(
        lambda f, e: (f.encode(), _withdrawal(f), [*_headers("pumasi.pledge.withdrawn", e), ("trace", None)])
    ),
    "two megabytes": _withdrawn(lambda f: _withdrawal(f, pledge="p" * _LARGE_BYTES))._replace(large=True),
    "tombstone": _withdrawn(lambda _: None),
    "unknown type": Poison(lambda f, e: (f.encode(), _withdrawal(f), _headers("pumasi.pledge.eaten", e))),
    "unknown field": _withdrawn(lambda f: _withdrawal(f, note=MARKER)),
    "a contact in the clear": Poison(
        lambda f, e: (
            f.encode(),
            json.dumps(
                {
                    "fund": f,
                    "amount": 1,
                    "currency": "CNY",
                    "contact": {"address": "mailto:leak-marker-0@example.org"},
                }
            ).encode(),
            _headers("pumasi.pledge.made", e),
        )
    ),
    "no headers": Poison(lambda f, _: (f.encode(), _withdrawal(f), [])),
}
"""What intake can't take on the submissions topic."""


def poison(topic: str, kind: str, fund: str, event: str) -> Parts:
    """The record of a kind for `commands` or `submissions`."""
    kinds = COMMANDS_POISON if topic == "commands" else SUBMISSIONS_POISON
    return kinds[kind].make(fund, event)
