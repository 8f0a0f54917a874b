"""CloudEvents as they come, in every mode, and what is no CloudEvent."""

import base64
import json
from dataclasses import dataclass, field

import pytest

from schemas.times import parse
from services.errors import UnreadableRecord
from services.intake import cloudevents
from services.intake.cloudevents import (
    BATCH_MAX,
    COMMAS_MAX,
    EVENT_BYTES_MAX,
    EVENT_JSON_MAX,
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


def read_all(headers: list[tuple[str, str]], body: bytes) -> tuple[list[Event], bool]:
    events, is_batch = read_http(headers, body)
    return list(events), is_batch


def told(event: Event) -> tuple:
    return event.id, event.source, event.type, event.time, json.loads(event.data or b"null")


EXPECTED = ("e-1", "/forms", "pumasi.case.submitted", parse(TIME), DATA)


def test_structured_binary_and_batch_mode_say_the_same() -> None:
    whole = {**ENVELOPE, "time": TIME, "data": DATA}
    assert told(read_all(STRUCTURED, json.dumps(whole).encode())[0][0]) == EXPECTED
    assert told(read_all([*BINARY, ("ce-time", TIME)], json.dumps(DATA).encode())[0][0]) == EXPECTED
    events, is_batch = read_all(BATCH, json.dumps([whole, whole]).encode())
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
    assert told(read_all(STRUCTURED, json.dumps(whole).encode())[0][0])[-1] == DATA
    headers = [(name, "/forms%20x" if name == "ce-source" else value) for name, value in BINARY]
    assert read_all(headers, b"{}")[0][0].source == "/forms x"


def test_neither_an_id_nor_a_time_is_made_up() -> None:
    for name in ENVELOPE:
        lacking = {key: value for key, value in ENVELOPE.items() if key != name}
        with pytest.raises(Malformed, match=f"{name}: missing"):
            read_all(STRUCTURED, json.dumps({**lacking, "data": DATA}).encode())
        with pytest.raises(Malformed, match=f"{name}: missing"):
            read_all([header for header in BINARY if header[0] != f"ce-{name}"], b"{}")
    assert read_all(STRUCTURED, json.dumps(ENVELOPE).encode())[0][0].time is None


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
        read_all(STRUCTURED, json.dumps({**ENVELOPE, "data": DATA, **change}).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"NaN", b"[" * 100_000])
def test_a_body_that_is_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_all(STRUCTURED, body)


def test_a_header_that_comes_twice_is_malformed() -> None:
    with pytest.raises(Malformed, match="twice"):
        read_all([*BINARY, ("ce-id", "e-2")], b"{}")


@pytest.mark.parametrize(
    "media", ["", "text/plain", "application/cloudevents+json; charset=gb2312", "application/cloudevents+xml"]
)
def test_other_media_are_not_read(media: str) -> None:
    with pytest.raises(UnknownMedia):
        read_all([("content-type", media)], b"{}")


def test_a_batch_and_an_event_are_bounded() -> None:
    with pytest.raises(TooLarge):
        read_all(BATCH, json.dumps([ENVELOPE] * (BATCH_MAX + 1)).encode())
    with pytest.raises(TooLarge):
        read_all(BINARY, b'"' + b"x" * EVENT_BYTES_MAX + b'"')


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
            read_all(STRUCTURED, body)
        with pytest.raises(Malformed, match="twice"):
            read_all(BATCH, b"[" + body + b"]")
        with pytest.raises(UnreadableRecord, match="twice"):
            read_record(Rec(body, [("content-type", b"application/cloudevents+json")]))
    encoded = {**ENVELOPE, "data_base64": base64.b64encode(TWICE).decode()}
    for event in (
        read_all(BINARY, TWICE)[0][0], read_all(STRUCTURED, json.dumps(encoded).encode())[0][0], read_record(Rec(TWICE, GOOD)),
    ):  # fmt: skip
        with pytest.raises(Malformed, match="twice"):
            decode(event.data or b"", "data")
    assert decode(b'{"a":{"b":1},"b":[{"b":1},{"b":2}]}', "data")


EXTENSIONS = {
    "subject": "s", "dataschema": "https://x.example/s", "traceparent": "00-1", "partitionkey": "k", "comexampleext": "x",
    "knativearrivaltime": "2026-11-22T10:00:00.123456789Z", "sequence": 5, "sampled": True, "x" * 40: "long", "0": "",
}  # fmt: skip


def test_extensions_pass_and_are_dropped_in_every_mode() -> None:
    bare, more = {**ENVELOPE, "time": TIME}, EXTENSIONS
    texts = {name: str(value) for name, value in more.items()}
    whole = json.dumps({**bare, **more, "data": DATA}).encode()
    assert told(read_all(STRUCTURED, whole)[0][0]) == EXPECTED
    assert told(read_all(BATCH, b"[" + whole + b"]")[0][0]) == EXPECTED
    headers = [
        *BINARY,
        ("ce-time", TIME),
        ("x-request-id", "1"),
        *((f"ce-{name}", text) for name, text in texts.items()),
    ]
    assert told(read_all(headers, json.dumps(DATA).encode())[0][0]) == EXPECTED
    assert told(read_record(Rec(whole, [("content-type", b"application/cloudevents+json")]))) == EXPECTED
    kafka = [(f"ce_{name}", text.encode()) for name, text in {**bare, **texts}.items()]
    assert told(read_record(Rec(json.dumps(DATA).encode(), [*kafka, ("x-request-id", b"1")]))) == EXPECTED


@pytest.mark.parametrize("name", ["Upper", "under_score", "a-b", "", "\u00e9", "a\n", "\ud800"])
def test_a_name_that_cloudevents_does_not_allow_is_malformed_in_every_mode(name: str) -> None:
    whole = json.dumps({**ENVELOPE, "data": DATA, name: "x"}).encode()
    for headers, body in ((STRUCTURED, whole), (BATCH, b"[" + whole + b"]")):
        with pytest.raises(Malformed) as found:
            read_all(headers, body)
        assert found.value.pointer is not None
        found.value.pointer.encode()
    with pytest.raises(UnreadableRecord):
        read_record(Rec(whole, [("content-type", b"application/cloudevents+json")]))
    with pytest.raises(UnreadableRecord):
        read_record(Rec(b"{}", [*GOOD, (f"ce_{name}", b"x")]))
    if name != "Upper":  # HTTP knows no case
        with pytest.raises(Malformed):
            read_all([*BINARY, (f"ce-{name}", "x")], b"{}")


@pytest.mark.parametrize("value", [1.5, [], {}, ["x"]])
def test_an_extension_of_a_type_that_cloudevents_does_not_know_is_malformed(value: object) -> None:
    with pytest.raises(Malformed, match="CloudEvents"):
        read_all(STRUCTURED, json.dumps({**ENVELOPE, "comexampleext": value}).encode())


def test_an_attribute_named_data_is_malformed_beside_the_data() -> None:
    with pytest.raises(Malformed):
        read_all([*BINARY, ("ce-data", "x")], b"{}")
    with pytest.raises(UnreadableRecord):
        read_record(Rec(b"{}", [*GOOD, ("ce_data", b"x")]))


def test_data_beside_data_base64_is_malformed() -> None:
    encoded = base64.b64encode(json.dumps(DATA).encode()).decode()
    for data in (DATA, {**DATA, "goal": 2}, 0):
        both = json.dumps({**ENVELOPE, "data": data, "data_base64": encoded}).encode()
        for headers, body in ((STRUCTURED, both), (BATCH, b"[" + both + b"]")):
            with pytest.raises(Malformed) as found:
                read_all(headers, body)
            assert found.value.pointer == "/data_base64"
        with pytest.raises(UnreadableRecord, match="data_base64"):
            read_record(Rec(both, [("content-type", b"application/cloudevents+json")]))


@pytest.mark.parametrize(
    "again", [("ce_id", b"e-1"), ("ce_id", b"e-2"), ("content-type", b"application/json"), ("pumasi.replay_of", b"x")]
)
def test_a_header_of_ours_that_comes_twice_makes_a_record_unreadable(again: tuple[str, bytes]) -> None:
    given = [*GOOD, ("content-type", b"application/json"), ("pumasi.replay_of", b"x")]
    assert read_record(Rec(b"{}", [*given, ("x-b3", b"1"), ("x-b3", b"2")]))
    with pytest.raises(UnreadableRecord, match="twice"):
        read_record(Rec(b"{}", [*given, again]))


def test_two_content_types_are_malformed() -> None:
    with pytest.raises(Malformed, match="twice"):
        read_all([*BINARY, ("content-type", "application/cloudevents+json")], b"{}")


def test_any_string_is_read_as_an_id() -> None:
    for name in ("partition:1/offset:24", "\u53f7\u7801 7", "x" * 256):
        assert read_all(STRUCTURED, json.dumps({**ENVELOPE, "id": name}).encode())[0][0].id == name
        assert read_record(Rec(b"{}", [*GOOD[:1], ("ce_id", name.encode()), *GOOD[2:]])).id == name


def test_what_nobody_foresaw_makes_a_record_unreadable_and_tells_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(_text: str) -> int:
        raise OverflowError("Kim Cholsu")

    monkeypatch.setattr(cloudevents, "_time", overflow)
    with pytest.raises(UnreadableRecord) as found:
        read_record(Rec(b"{}", [*GOOD, ("ce_time", TIME.encode())]))
    assert found.value.message == "could not be read (OverflowError)"

    def no_memory(_text: str) -> int:
        raise MemoryError

    monkeypatch.setattr(cloudevents, "_time", no_memory)
    with pytest.raises(MemoryError):  # says nothing of the record, which is good
        read_record(Rec(b"{}", [*GOOD, ("ce_time", TIME.encode())]))


def test_an_events_json_is_bounded_wherever_it_stands() -> None:
    long = {**ENVELOPE, "data": {"x": "y" * EVENT_JSON_MAX}}
    wide = {**ENVELOPE, "data": [0] * 2 * COMMAS_MAX}
    for event, error in ((long, TooLarge), (wide, Malformed)):
        for headers, told in ((STRUCTURED, event), (BATCH, [event]), (BATCH, [ENVELOPE, event, ENVELOPE])):
            with pytest.raises(error):
                read_all(headers, json.dumps(told).encode())
    with pytest.raises(Malformed):
        decode(json.dumps(wide["data"]).encode(), "data")


@pytest.mark.parametrize(
    "body",
    [b"[", b"[]x", b"[{}", b"[,]", b"[EVENT,]", b"[EVENT", b"[EVENT EVENT]", b"[EVENT]]", b"[EVENT],", b"[EVENT,,EVENT]", b"EVENT",
     b"[1]", b"[[EVENT]]", b"[NaN]", b"[EVENT,1e]", b"{}", b"\xef\xbb\xbf[]"],
)  # fmt: skip
def test_a_batch_that_is_no_array_of_events_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_all(BATCH, body.replace(b"EVENT", json.dumps(ENVELOPE).encode()))


def test_a_batch_is_read_however_it_is_spaced() -> None:
    events = [{**ENVELOPE, "id": f"e-{number}", "data": {"x": "y" * number * 50}} for number in range(200)]
    for options in ({}, {"separators": (",", ":")}, {"indent": 3}):
        for body in (json.dumps(events, **options), " \n" + json.dumps(events, **options) + "\t"):
            assert [event.id for event in read_all(BATCH, body.encode())[0]] == [event["id"] for event in events]
    assert read_all(BATCH, b" [ ] ") == ([], True)


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
        read_all(STRUCTURED, json.dumps(event).encode())
    with pytest.raises(Malformed) as batch:
        read_all(BATCH, json.dumps([ENVELOPE, event]).encode())
    assert [(found.value.pointer, found.value.event) for found in (alone, batch)] == [(pointer, None), (pointer, 1)]
    assert "Not-An" not in alone.value.message
