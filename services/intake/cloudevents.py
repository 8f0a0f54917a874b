"""CloudEvents as they are sent: HTTP (structured, binary, batch) and Kafka (structured, binary), read defensively into one shape.

Attributes are checked by CloudEvents 1.0; extensions are let pass and dropped, whatever they say. Whatever two readers could
understand in two ways is refused: a member or a header that comes twice, `data` beside `data_base64`. Data are kept as JSON
bytes, for the models to judge. An error here makes the request or the record malformed; no message holds a value.

A batch is read event by event, and an event's size is bounded, so that whoever reads one can let others have a turn in between.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import unquote

from schemas.times import parse_given
from services.bus.envelope import COMMAS_MAX, BadRecord, Record, text_headers
from services.errors import OfEvent, PumasiError, UnreadableRecord
from services.intake.findings import pointer_of

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
EVENT_BYTES_MAX = 64 * 1024
"""The largest event, in bytes of its data."""
EVENT_JSON_MAX = 2 * EVENT_BYTES_MAX
"""The largest event in its JSON form, in characters: room for base64 and attributes."""
BATCH_MAX = 1000
"""The most events in one batch."""

_NEEDED = ("specversion", "id", "source", "type")
_TEXTS = frozenset({*_NEEDED, "time", "datacontenttype", "dataschema", "subject"})
_EXTENSION = re.compile(r"(?!data$)[a-z0-9]+", re.ASCII)  # `data` is taken
_STRING = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]+")  # CloudEvents' String, not empty
_MEDIA = re.compile(r"^\s*([\w.+-]+/[\w.+-]+)\s*(?:;(.*))?$", re.ASCII)
_UTF8 = re.compile(r"charset\s*=\s*\"?utf-?8\"?", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\n\r]*")
_USUAL_EVENT = 4096  # characters: what is looked at before EVENT_JSON_MAX of them are


class Event(NamedTuple):
    """A CloudEvent as far as it is read, not yet checked.

    Attributes:
        id, source, type: the attributes.
        time: microseconds since 1970 if the sender gave a time, else None.
        data: JSON bytes, or None if there are no data.
    """

    id: str
    source: str
    type: str
    time: int | None
    data: bytes | None


class Malformed(OfEvent, code="malformed"):
    """This is no CloudEvent; the message says where, without its content.

    `pointer` is RFC 6901, into the event in its JSON form. It may hold a name that the sender made up: for the sender alone.
    """

    def __init__(self, message: str, *, pointer: str | None = None) -> None:
        super().__init__(message)
        self.pointer = pointer


class TooLarge(OfEvent, code="too_large"):
    """A request, a batch or an event is larger than the doors take."""


class UnknownMedia(PumasiError, code="unsupported_media_type"):
    """The content type is none that is read here."""


def read_http(headers: Sequence[tuple[str, str]], body: bytes) -> tuple[Iterator[Event], bool]:
    """The events of a request, and whether it is a batch; each event is read when it is asked for.

    Args:
        headers: names in lower case.

    Raises:
        Malformed: here or by the iterator, if the request is no CloudEvent or batch of them.
        TooLarge: here or by the iterator, if an event or the batch is.
        UnknownMedia: if its content type is none of the three modes'.
    """
    told = [(name, value) for name, value in headers if name == "content-type" or name.startswith("ce-")]
    given = dict(told)
    if len(given) < len(told):
        raise Malformed("a ce-* header or the content type comes twice")
    match media_type(given.pop("content-type", "")):
        case "application/cloudevents+json":
            return iter([_from_json_text(body)]), False
        case "application/cloudevents-batch+json":
            return _from_batch(_text(body)), True
        case "application/json":
            return iter([_from_http_headers(given, body)]), False
    raise UnknownMedia(
        f"events come as {STRUCTURED}, {BATCH}, or {JSON} with ce-* headers, in UTF-8",
        hint="Set the content type of the mode that is sent.",
    )


def media_type(header: str) -> str:
    """The media type in lower case; empty if it can't be read or names another charset than UTF-8."""
    match = _MEDIA.match(header)
    if not match or ("charset" in (match[2] or "").lower() and not _UTF8.search(match[2])):
        return ""
    return match[1].lower()


def read_record(record: Record) -> Event:
    """The event of a record on the submissions topic.

    Raises:
        UnreadableRecord: if it is no CloudEvent.
    """
    try:
        return _from_record(record)
    except (BadRecord, Malformed, TooLarge) as bad:
        raise UnreadableRecord(str(bad)) from None
    except MemoryError:  # of ours, not of the record: the same record can be read another time
        raise
    except Exception as error:  # noqa: BLE001  # a record that we did not foresee must not hold up those behind it
        raise UnreadableRecord(f"could not be read ({type(error).__name__})") from None


def _from_record(record: Record) -> Event:
    headers = text_headers(record.headers)
    if record.value is None:
        raise BadRecord("value: none")
    if len(record.value) > EVENT_BYTES_MAX:
        raise BadRecord("value: too large")
    media = media_type(headers.get("content-type", JSON))
    if media == STRUCTURED:
        return _from_json_text(record.value)
    if media != JSON:
        raise BadRecord(f"content-type: neither {JSON} nor {STRUCTURED}")
    attributes = {name[3:]: value for name, value in headers.items() if name.startswith("ce_")}
    return _event(attributes, record.value)


def _from_http_headers(headers: Mapping[str, str], body: bytes) -> Event:
    if not headers:
        raise Malformed(f"no ce-* headers: a whole CloudEvent in the body has the content type {STRUCTURED}")
    try:
        attributes = {name[3:]: unquote(value, errors="strict") for name, value in headers.items()}
    except UnicodeDecodeError:
        raise Malformed("a ce-* header is not UTF-8, percent-encoded") from None
    return _event(attributes, body or None)


def _from_json_text(body: bytes) -> Event:
    if len(body) > 4 * EVENT_JSON_MAX or len(text := _text(body)) > EVENT_JSON_MAX:
        raise TooLarge(f"an event in its JSON form has at most {EVENT_JSON_MAX} characters")
    return _from_json(_decoded(text, _BODY))


def _from_batch(text: str) -> Iterator[Event]:
    """The events of a batch. Only one is in memory at a time, and no more of the text is looked at than one may have."""
    at = _past(text, 0, "[", "a batch is a JSON array of CloudEvents")
    if text[at : at + 1] == "]":
        _past(text, at, "]", _NO_JSON, last=True)
        return
    for number in count():
        if number == BATCH_MAX:
            raise TooLarge(f"a batch has at most {BATCH_MAX} events")
        with numbered(number):
            raw, at = _next(text, at)
            event = _from_json(raw)
        yield event
        at = _past_blanks(text, at)
        if text[at : at + 1] == "]":
            _past(text, at, "]", _NO_JSON, last=True)
            return
        at = _past(text, at, ",", _NO_JSON)


@contextmanager
def numbered(event: int | None) -> Iterator[None]:
    """What is raised in here, of one event, says which of a batch that is; None: it came alone."""
    try:
        yield
    except OfEvent as error:
        if event is not None:
            error.place(event)
        raise


def _past_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    assert blanks is not None, "none are enough"
    return blanks.end()


def _past(text: str, at: int, mark: str, complaint: str, last: bool = False) -> int:
    """Past `mark` and the blanks around it; to the very end if it is the last."""
    at = _past_blanks(text, at)
    end = _past_blanks(text, at + 1)
    if text[at : at + 1] != mark or (last and end < len(text)):
        raise Malformed(complaint)
    return end


def _next(text: str, at: int) -> tuple[Any, int]:
    """The event that begins at `at`, decoded, and where it ends."""
    for size in (_USUAL_EVENT, EVENT_JSON_MAX):
        part = text[at : at + size]
        try:
            raw, length = _decoder.raw_decode(part)
        except _Twice:
            raise _unfit(_BODY, _TWICE) from None
        except (ValueError, RecursionError) as error:
            if at + size < len(text):  # it may be cut
                if size < EVENT_JSON_MAX:
                    continue
                if _is_at_the_end(error, len(part)):
                    raise TooLarge(f"does not end within {EVENT_JSON_MAX} characters") from None
            raise Malformed(_NO_JSON) from None
        _bound(part[:length], _BODY)
        return raw, at + length
    raise AssertionError("the second size is the last")


def _is_at_the_end(error: Exception, length: int) -> bool:
    """Whether JSON's complaint may come from where the text was cut."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.pos >= length - 16 or error.msg.startswith("Unterminated string")


def _from_json(raw: Any) -> Event:
    """An event in its JSON form, decoded."""
    if not isinstance(raw, dict):
        raise Malformed("a CloudEvent is a JSON object")
    attributes = {name: value for name, value in raw.items() if value is not None}
    data, encoded = attributes.pop("data", None), attributes.pop("data_base64", None)
    if encoded is None:
        return _event(attributes, None if data is None else _encoded(data))
    if data is not None:
        raise Malformed("data_base64: beside data; give one of them", pointer="/data_base64")
    return _event(attributes, _base64(encoded))


def _encoded(data: Any) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):  # half a surrogate, a number beyond all bounds
        raise Malformed("data: not JSON", pointer="/data") from None


def _event(attributes: Mapping[str, Any], data: bytes | None) -> Event:
    """Check the attributes by CloudEvents 1.0, and keep what is needed."""
    for name in _NEEDED:
        if name not in attributes or attributes[name] == "":
            raise Malformed(f"{name}: missing", pointer=f"/{name}")
    for name, value in attributes.items():
        if name in _TEXTS:
            if not isinstance(value, str):
                raise Malformed(f"{name}: not a string", pointer=f"/{name}")
            fits = bool(_STRING.fullmatch(value))
        else:
            fits = bool(_EXTENSION.fullmatch(name)) and isinstance(value, str | bool | int)
        if not fits:
            raise Malformed("an attribute is not as CloudEvents 1.0 has it", pointer=pointer_of((name,)))
    if attributes["specversion"] != "1.0":
        raise Malformed("specversion: not 1.0", pointer="/specversion")
    if media_type(attributes.get("datacontenttype", JSON)) != JSON:
        raise Malformed(f"datacontenttype: not {JSON}", pointer="/datacontenttype")
    at = _time(attributes["time"]) if "time" in attributes else None
    if data is not None and len(data) > EVENT_BYTES_MAX:
        raise TooLarge(f"an event's data are at most {EVENT_BYTES_MAX} bytes")
    return Event(attributes["id"], attributes["source"], attributes["type"], at, data)


def _time(text: str) -> int:
    try:
        return parse_given(text)
    except ValueError as error:
        raise Malformed(f"time: {error}", pointer="/time") from None


def decode(raw: bytes, what: str) -> Any:
    """JSON, in which no object has a member twice: of two, another reader may see the other one.

    Args:
        raw: UTF-8.
        what: for messages, such as `data`.

    Raises:
        Malformed: if it is not JSON, or a member comes twice.
    """
    return _decoded(_text(raw, what), what)


_BODY, _TWICE = "the body", "a member comes twice in one object"
_NO_JSON = f"{_BODY}: not JSON"


def _text(raw: bytes, what: str = _BODY) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _unfit(what, "not JSON") from None


def _bound(text: str, what: str) -> None:
    if text.count(",") > COMMAS_MAX:
        raise Malformed(f"{what}: more than {COMMAS_MAX} members and elements")


def _decoded(text: str, what: str) -> Any:
    _bound(text, what)
    try:
        return _decoder.decode(text)
    except _Twice:
        raise _unfit(what, _TWICE) from None
    except (ValueError, RecursionError):
        raise _unfit(what, "not JSON") from None


def _unfit(what: str, why: str) -> Malformed:
    return Malformed(f"{what}: {why}", pointer="/data" if what == "data" else None)


class _Twice(Exception):
    """A member comes twice."""


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise _Twice
    return found


def _refuse(_constant: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Malformed("data_base64: not base64", pointer="/data_base64") from None
