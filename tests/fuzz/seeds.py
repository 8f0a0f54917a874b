"""Where the fuzzer starts from: honest records of every kind, and each oddity that was ever of consequence."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from services.bus.deadletters.box import Mark, mark_row
from services.bus.deadletters.letter import Place, dead_letter
from services.bus.envelope import command_headers, read_command
from services.matcher.checkpoint.writing import Keeper
from services.matcher.engine.engine import Engine
from tests.fuzz.targets import (
    FUND,
    MEDIA,
    PART_END,
    PARTITIONS,
    RECORD_END,
    opening,
    record_of,
    story,
    written,
)

GOLDEN = Path(__file__).parents[2] / "schemas" / "golden" / "v1"
TIME = "2027-01-29T00:00:00Z"
ODD = [
    '"0001-01-01T00:00:00+09:00"', '"9999-12-31T23:59:59-09:00"', '"20311231"', '"2027-01-29T00:00:00,5Z"', "1e999", "NaN", "-0",
    "1.0", "true", "null", '"\\ud800"', '"\\u0000"', "[[[[[]]]]]", "{}", "9" * 40, '"+86 138 1234 5678"', '"P9999Y"',
    '"0.000000000001"',
    '"999999999999.999999999999"', '"\ufdfa"', '"p-1#9999999"', '{"case":"c-1","need":"test"}', '{"every":"P1M","times":100000}',
]  # fmt: skip


def goldens(kind: str) -> Iterator[tuple[str, dict]]:
    for path in sorted((GOLDEN / kind).glob("*.json")):
        yield ".".join(path.stem.split(".")[:3]), json.loads(path.read_text())


def of(target: str) -> list[bytes]:
    """The seeds of a target."""
    return list(SEEDS[target]())


def _odd(data: dict) -> Iterator[bytes]:
    """Data as they are, and with each member in turn made odd."""
    yield json.dumps(data).encode()
    for number, name in enumerate(data):
        text = json.dumps({**data, name: "ODD"})
        for odd in ODD[number % 3 :: 3]:
            yield text.replace('"ODD"', odd).encode("utf-8", "surrogatepass")
    yield json.dumps(data).encode()[:-1] + b',"fund":"x"}'


def submission() -> Iterator[bytes]:
    for kind, data in goldens("submissions"):
        headers = [*command_headers(kind, "e-1", "/forms", TIME)]
        for value in _odd(data):
            yield written(b"k", value, headers)
        whole = {
            "specversion": "1.0",
            "id": "partition:1/offset:24",
            "source": "/f",
            "type": kind,
            "time": TIME,
            "data": data,
        }
        for value in _odd({**whole, "knativearrivaltime": "x"}):
            yield written(None, value, [("content-type", MEDIA[b"s"])])
        del whole["data"]
        whole["data_base64"] = base64.b64encode(json.dumps(data).encode()).decode()
        yield written(None, json.dumps(whole).encode(), [("content-type", MEDIA[b"s"])])
        yield written(None, b"{}", [*headers, ("ce_id", b"e-2"), ("x", None)])


def command() -> Iterator[bytes]:
    for kind, data in goldens("commands"):
        given = {**data, "fund": FUND} if "fund" in data else data
        for value in _odd(given):
            yield written(FUND.encode(), value, command_headers(kind, "e-1", "/f", TIME))
    plain = {"fund": FUND, "pledge": "p-1", "donor": "d-1", "amount": 250, "currency": "CNY", "fallback": "pool"}
    good = written(
        FUND.encode(),
        json.dumps(plain, separators=(",", ":")).encode(),
        command_headers("pumasi.pledge.made", "e", "/f", TIME),
    )
    paid = {"fund": FUND, "pledge": "p-1", "payment": "y-1", "amount": 250}
    yield good
    yield RECORD_END.join(
        [good, written(None, json.dumps(paid).encode(), command_headers("pumasi.payment.received", "e", "/f", TIME))]
    )
    yield RECORD_END.join(
        [good, written(None, b"{}", command_headers("pumasi.clock.ticked", "e", "/f", "9999-12-31T23:59:59Z"))]
    )


def ledger() -> Iterator[bytes]:
    for value in story():
        yield value[: -len(b',"hash":""}') - 64] + b"}"
        yield value
    for _, fact in goldens("facts"):
        for text in _odd(fact):
            head = b'{"seq":%d,"fund":"jilin","at":"2027-01-29T00:00:00Z","cause":{"id":"e","type":"t","offset":%d},"facts":['
            yield head % (len(story()) + 1, 9) + text + b"]}"
    yield b'{"seq":7,"fund":null,"at":"x","cause":{"id":null,"type":null,"offset":999999999999},"facts":[]}'


def letter() -> Iterator[bytes]:
    for number, one in enumerate(submission()):
        if number % 9 == 0:
            made = dead_letter(record_of(one, "pumasi.submissions.v1"), "malformed", "why")
            yield written(made.key, made.value, made.headers)
    for one in command():
        made = dead_letter(record_of(one, "pumasi.commands.v1"), "unreadable", "why")
        yield written(made.key, made.value, made.headers)
        break
    key, value, headers = mark_row(Mark("pumasi.commands.v1-0-41", Place("pumasi.commands.v1", 0, 99), 5, "run"))
    yield written(key, value, headers)


def contact() -> Iterator[bytes]:
    for value in (b'{"address":"mailto:a@b.org","language":"ko"}  ', b'{"language":"zh"}', b"{}", b"\xff", b"[" * 5000):
        yield written(b"s", value, command_headers("pumasi.contact.sealed", "e", "/f", TIME))


def http() -> Iterator[bytes]:
    for kind, data in goldens("submissions"):
        whole = {"specversion": "1.0", "id": "e-1", "source": "/f", "type": kind, "time": TIME, "data": data}
        for value in _odd(whole):
            yield written(b"s", value, [])
        both = json.dumps([whole, {**whole, "id": "e-2"}], indent=1).encode()
        yield written(b"b", both, [])
        yield written(b"b", b"[" + json.dumps(whole).encode() + b",]", [])
        headers = [(f"ce-{name}", str(value).encode()) for name, value in whole.items() if name != "data"]
        for value in _odd(data):
            yield written(b"j", value, headers)
    yield written(b"s", b"{}", [("content-type", MEDIA[b"j"]), ("content-length", b"\xb2")])
    clear = {"specversion": "1.0", "id": "e", "source": "/f", "type": "pumasi.pledge.made",
             "data": {"fund": "f", "amount": 5, "currency": "CNY", "contact": {"address": "mailto:a@b.org"}}}  # fmt: skip
    yield written(b"b", json.dumps([clear] * 3).encode(), [])


def checkpoint() -> Iterator[bytes]:
    engine, keeper = Engine(), Keeper()
    for record in opening():
        engine.execute(read_command(record, PARTITIONS))
    records = {key: value for portion in keeper.changes(engine) for key, value in portion if value is not None}
    yield RECORD_END.join(key + PART_END + value for key, value in records.items())
    for one in records:
        yield RECORD_END.join(key + PART_END + value for key, value in records.items() if key != one)
        yield RECORD_END.join(key + PART_END + (b"{}" if key == one else value) for key, value in records.items())


SEEDS = {each.__name__: each for each in (submission, command, ledger, letter, contact, http, checkpoint)}
