"""Poison: records on the commands topic that no matcher can read, each in its own way."""

from __future__ import annotations

from tests.broker.raw import headers

Poison = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]

POISON: dict[str, Poison] = {
    "null header": (b"jilin", b'{"fund":"jilin"}', [*headers("pumasi.pledge.made", "x"), ("trace", None)]),
    "header not UTF-8": (b"jilin", b'{"fund":"jilin"}', [*headers("pumasi.pledge.made", "x"), ("trace", b"\xff\xfe")]),
    "not JSON": (b"jilin", b"{", headers("pumasi.pledge.made", "x")),
    "NaN": (b"jilin", b'{"fund":"jilin","pledge":"p","donor":"d","amount":NaN,"currency":"CNY"}', headers("pumasi.pledge.made", "x")),
    "deep nesting": (b"jilin", b"[" * 100_000, headers("pumasi.pledge.made", "x")),
    "two megabytes": (b"jilin", b'{"fund":"' + b"j" * 2_000_000 + b'"}', headers("pumasi.pledge.made", "x")),
    "tombstone": (b"jilin", None, headers("pumasi.pledge.made", "x")),
    "unknown type": (b"jilin", b'{"fund":"jilin"}', headers("pumasi.pledge.eaten", "x")),
    "wrong key": (b"other", b'{"fund":"jilin","pledge":"p-1"}', headers("pumasi.pledge.withdrawn", "x")),
    "wrong partition": (b"yanji", b'{"fund":"yanji","pledge":"p-1"}', headers("pumasi.pledge.withdrawn", "x")),
    "unknown field": (b"jilin", b'{"fund":"jilin","pledge":"p-1","name":"x"}', headers("pumasi.pledge.withdrawn", "x")),
    "free text": (
        b"jilin",
        '{"fund":"jilin","pledge":"p-1","payment":"y","reason":"김영선 is ill"}'.encode(),
        headers("pumasi.payment.failed", "x"),
    ),
    "float amount": (b"jilin", b'{"fund":"jilin","pledge":"p","payment":"y","amount":1.0}', headers("pumasi.payment.received", "x")),
    "time before the calendar": (
        b"jilin",
        b'{"fund":"jilin","pledge":"p","donor":"d","amount":1,"currency":"CNY","expires_at":"0001-01-01T00:00:00+09:00"}',
        headers("pumasi.pledge.made", "x"),
    ),
    "time after the calendar": (
        b"jilin", b'{"fund":"jilin","case":"c","needed_by":"9999-12-31T23:59:59-09:00"}', headers("pumasi.case.amended", "x")
    ),
    "time in digits": (b"jilin", b'{"fund":"jilin","case":"c","needed_by":"20311231"}', headers("pumasi.case.amended", "x")),
    "said out of the calendar": (
        b"jilin",
        b'{"fund":"jilin","pledge":"p","donor":"d","amount":1,"currency":"CNY"}',
        headers("pumasi.pledge.made", "x", "9999-12-31T23:59:59-09:00"),
    ),
    "no province": (
        b"jilin",
        b'{"fund":"jilin","case":"c","beneficiary":"b","need":"test","route":"home","goal":1,"priority":"stat",'
        b'"access":{"province":"XX-1","status":"unknown"}}',
        headers("pumasi.case.submitted", "x"),
    ),
    "a number": (
        b"jilin",
        '{"fund":"jilin","pledge":"wx-138.0013.8000","qq":12345678,"전화":"010"}'.encode(),
        headers("pumasi.pledge.withdrawn", "x"),
    ),
    "a number in its id": (b"jilin", b'{"fund":"jilin","pledge":"p-1"}', headers("pumasi.pledge.withdrawn", "wx13800138000")),
    "null key and headers that lie": (None, b"\xff", headers("pumasi.clock.ticked", "x")),
    "no headers": (b"jilin", b'{"fund":"jilin"}', []),
}  # fmt: skip
"""By name: key, value and headers of a record in partition 0 of the commands topic that is no command."""

TOLD_WITHOUT: dict[str, bytes | str] = {
    "null header": b'{"fund":"jilin"}',
    "header not UTF-8": b'{"fund":"jilin"}',
    "not JSON": "not JSON, or too deep",
    "NaN": b'{"fund":"jilin","pledge":"p","donor":"d","amount":"[removed]","currency":"CNY"}',
    "deep nesting": "not JSON, or too deep",
    "two megabytes": "too large",
    "tombstone": b"",
    "unknown type": "of no known type",
    "wrong key": b'{"fund":"jilin","pledge":"p-1"}',
    "unknown field": b'{"fund":"jilin","pledge":"p-1","[removed]":1}',
    "free text": b'{"fund":"jilin","pledge":"p-1","payment":"[removed]","reason":"[removed]"}',
    "float amount": b'{"fund":"jilin","pledge":"p","payment":"[removed]","amount":1.0}',
    "a number": b'{"fund":"jilin","pledge":"[removed]","[removed]":2}',
    "a number in its id": b'{"fund":"jilin","pledge":"p-1"}',
    "null key and headers that lie": "not JSON, or too deep",
    "no headers": "of no known type",
    "time before the calendar": b'{"fund":"jilin","pledge":"p","donor":"d","amount":1,"currency":"CNY","expires_at":"[removed]"}',
    "time after the calendar": b'{"fund":"jilin","case":"c","needed_by":"[removed]"}',
    "time in digits": b'{"fund":"jilin","case":"c","needed_by":"[removed]"}',
    "said out of the calendar": b'{"fund":"jilin","pledge":"p","donor":"d","amount":1,"currency":"CNY"}',
    "no province": b'{"fund":"jilin","case":"c","beneficiary":"b","need":"test","route":"home","goal":1,"priority":"stat",'
    b'"[removed]":1}',
}
"""What the letters of most leave out of their key, value or headers: the value that they tell, or why they tell none."""
