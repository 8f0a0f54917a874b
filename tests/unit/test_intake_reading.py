"""CloudEvents as they come, in every mode, and what is no CloudEvent."""

import base64
import json
from dataclasses import dataclass, field

import pytest

from schemas.times import parse
from services.errors import UnreadableRecord
from services.intake.reading import (
    BATCH_MAX,
    EVENT_BYTES_MAX,
    Event,
    Malformed,
    TooLarge,
    UnknownMedia,
    decode,
    read_http,
    read_record,
)

DATA = {"fund": "jilin", "goal": 1}
ENVELOPE = {"specversion": "1.0", "id": "e-1", "source": "/forms", "type": "pumasi.case.submitted"}
TIME = "2026-11-22T10:00:00.5Z"
STRUCTURED = [("content-type", "application/cloudevents+json; charset=UTF-8")]
BATCH = [("content-type", "application/cloudevents-batch+json")]
BINARY = [("content-type", "application/json"), *((f"ce-{name}", value) for name, value in ENVELOPE.items())]


@dataclass
class Rec:
    """A record as consumed."""

    value: bytes | None
    headers: list = field(default_factory=list)
    topic: str = "pumasi.submissions.v1"
    partition: int = 0
    offset: int = 7
    key: bytes | None = None


def told(event: Event) -> tuple:
    return event.id, event.source, event.type, event.time, json.loads(event.data or b"null")


EXPECTED = ("e-1", "/forms", "pumasi.case.submitted", parse(TIME), DATA)


def test_structured_binary_and_batch_mode_say_the_same() -> None:
    whole = {**ENVELOPE, "time": TIME, "data": DATA}
    assert told(read_http(STRUCTURED, json.dumps(whole).encode())[0][0]) == EXPECTED
    assert told(read_http([*BINARY, ("ce-time", TIME)], json.dumps(DATA).encode())[0][0]) == EXPECTED
    events, is_batch = read_http(BATCH, json.dumps([whole, whole]).encode())
    assert is_batch
    assert [told(event) for event in events] == [EXPECTED, EXPECTED]


def test_both_modes_of_the_topic_say_the_same() -> None:
    structured = Rec(
        json.dumps({**ENVELOPE, "time": TIME, "data": DATA}).encode(),
        [("content-type", b"application/cloudevents+json")],
    )
    headers = [(f"ce_{name}", value.encode()) for name, value in {**ENVELOPE, "time": TIME}.items()]
    assert told(read_record(structured)) == EXPECTED
    assert told(read_record(Rec(json.dumps(DATA).encode(), headers))) == EXPECTED


def test_data_may_come_as_base64_and_headers_percent_encoded() -> None:
    whole = {**ENVELOPE, "data_base64": base64.b64encode(json.dumps(DATA).encode()).decode()}
    assert told(read_http(STRUCTURED, json.dumps(whole).encode())[0][0])[-1] == DATA
    headers = [(name, "/forms%20x" if name == "ce-source" else value) for name, value in BINARY]
    assert read_http(headers, b"{}")[0][0].source == "/forms x"


def test_neither_an_id_nor_a_time_is_made_up() -> None:
    for name in ENVELOPE:
        lacking = {key: value for key, value in ENVELOPE.items() if key != name}
        with pytest.raises(Malformed, match=f"{name}: missing"):
            read_http(STRUCTURED, json.dumps({**lacking, "data": DATA}).encode())
        with pytest.raises(Malformed, match=f"{name}: missing"):
            read_http([header for header in BINARY if header[0] != f"ce-{name}"], b"{}")
    assert read_http(STRUCTURED, json.dumps(ENVELOPE).encode())[0][0].time is None


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"}, {"id": 7}, {"id": ""}, {"source": None}, {"time": "yesterday"}, {"time": "2026-11-22"},
        {"time": 5}, {"time": "1999-12-31T23:59:59Z"}, {"time": "9999-12-31T23:59:59-09:00"},
        {"datacontenttype": "text/xml"}, {"Not-An-Extension": "x"},
        {"data_base64": "!!", "data": None}, {"subject": ""},
    ],
)  # fmt: skip
def test_what_cloudevents_does_not_allow_is_malformed(change: dict) -> None:
    with pytest.raises(Malformed):
        read_http(STRUCTURED, json.dumps({**ENVELOPE, "data": DATA, **change}).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"NaN", b"[" * 100_000])
def test_a_body_that_is_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_http(STRUCTURED, body)


def test_a_header_that_comes_twice_is_malformed() -> None:
    with pytest.raises(Malformed, match="twice"):
        read_http([*BINARY, ("ce-id", "e-2")], b"{}")


@pytest.mark.parametrize(
    "media", ["", "text/plain", "application/cloudevents+json; charset=gb2312", "application/cloudevents+xml"]
)
def test_other_media_are_not_read(media: str) -> None:
    with pytest.raises(UnknownMedia):
        read_http([("content-type", media)], b"{}")


def test_a_batch_and_an_event_are_bounded() -> None:
    with pytest.raises(TooLarge):
        read_http(BATCH, json.dumps([ENVELOPE] * (BATCH_MAX + 1)).encode())
    with pytest.raises(TooLarge):
        read_http(BINARY, b'"' + b"x" * EVENT_BYTES_MAX + b'"')


GOOD = [(f"ce_{name}", value.encode()) for name, value in ENVELOPE.items()]


@pytest.mark.parametrize(
    "record",
    [
        Rec(None, GOOD), Rec(b"{}", [*GOOD, ("x", None)]), Rec(b"{}", [*GOOD, ("x", b"\xff")]), Rec(b"{}", GOOD[1:]),
        Rec(b"{}", []), Rec(b"x" * (EVENT_BYTES_MAX + 1), GOOD), Rec(b"{}", [*GOOD, ("ce_time", b"noon")]),
        Rec(b"{", [("content-type", b"application/cloudevents+json")]), Rec(b"{}", [*GOOD, ("content-type", b"text/xml")]),
    ],
)  # fmt: skip
def test_a_record_that_is_no_event_is_unreadable(record: Rec) -> None:
    with pytest.raises(UnreadableRecord):
        read_record(record)


TWICE = b'{"fund":"a","fund":"b"}'


def test_a_member_that_comes_twice_is_malformed_in_every_mode_and_at_every_depth() -> None:
    envelope = json.dumps(ENVELOPE).encode()[:-1]
    for body in (
        envelope + b',"id":"e-2"}',
        envelope + b',"data":' + TWICE + b"}",
        envelope + b',"data":[{"x":' + TWICE + b"}]}",
    ):
        with pytest.raises(Malformed, match="twice"):
            read_http(STRUCTURED, body)
        with pytest.raises(Malformed, match="twice"):
            read_http(BATCH, b"[" + body + b"]")
        with pytest.raises(UnreadableRecord, match="twice"):
            read_record(Rec(body, [("content-type", b"application/cloudevents+json")]))
    encoded = {**ENVELOPE, "data_base64": base64.b64encode(TWICE).decode()}
    for event in (
        read_http(BINARY, TWICE)[0][0], read_http(STRUCTURED, json.dumps(encoded).encode())[0][0], read_record(Rec(TWICE, GOOD)),
    ):  # fmt: skip
        with pytest.raises(Malformed, match="twice"):
            decode(event.data or b"", "data", None)
    assert decode(b'{"a":{"b":1},"b":[{"b":1},{"b":2}]}', "data", None)


def test_known_extensions_pass_and_others_are_named() -> None:
    harmless = {
        "subject": "s",
        "dataschema": "https://x.example/s",
        "traceparent": "00-1",
        "tracestate": "a=1",
        "partitionkey": "k",
    }
    more = {**harmless, "datacontenttype": "application/json", "comexampleext": "x", "other": 5}
    whole = read_http(STRUCTURED, json.dumps({**ENVELOPE, **more, "data": DATA}).encode())[0][0]
    assert set(whole.unknown) == {"comexampleext", "other"}
    headers = [*BINARY, ("x-request-id", "1"), ("traceparent", "00-1"), ("ce-subject", "s"), ("ce-comexampleext", "x")]
    assert read_http(headers, b"{}")[0][0].unknown == ("comexampleext",)
    kafka = [*GOOD, ("x-request-id", b"1"), ("ce_subject", b"s"), ("ce_comexampleext", b"x")]
    assert read_record(Rec(b"{}", kafka)).unknown == ("comexampleext",)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"), ({"id": 7}, "/id"), ({"source": None}, "/source"), ({"time": "noon"}, "/time"),
        ({"datacontenttype": "text/xml"}, "/datacontenttype"), ({"Not-An-Extension": "x"}, "/Not-An-Extension"),
        ({"subject": ""}, "/subject"),
    ],
)  # fmt: skip
def test_a_malformed_attribute_is_pointed_at_and_only_there(change: dict, pointer: str) -> None:
    event = {**ENVELOPE, "data": DATA, **change}
    with pytest.raises(Malformed) as alone:
        read_http(STRUCTURED, json.dumps(event).encode())
    with pytest.raises(Malformed) as batch:
        read_http(BATCH, json.dumps([ENVELOPE, event]).encode())
    assert [(found.value.pointer, found.value.event) for found in (alone, batch)] == [(pointer, None), (pointer, 1)]
    assert "Not-An" not in alone.value.message
