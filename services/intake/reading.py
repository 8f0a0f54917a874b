"""CloudEvents as they come: HTTP (structured, binary, batch) and Kafka (structured, binary), read defensively into one shape.

The `cloudevents` package checks attributes and reads the modes' headers, but fills in a missing id and time by itself, takes times that
are no RFC 3339, and takes text for data where JSON is broken. So the raw attributes are looked at first, and data are kept as
JSON bytes, for the models to judge. What is wrong here makes the request or the record malformed; no message holds a value.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from cloudevents.core.bindings import http, kafka
from cloudevents.core.exceptions import BaseCloudEventException, CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from schemas.times import datetime_of, parse_given
from services.bus.attributes import KNOWN
from services.bus.envelope import BadRecord, Record, text_headers
from services.errors import PumasiError, UnreadableRecord
from services.intake.findings import pointer_of

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
EVENT_BYTES_MAX = 64 * 1024
"""The largest event, in bytes of its data."""
BATCH_MAX = 1000
"""The most events in one batch."""

_REQUIRED = ("specversion", "id", "source", "type")
_MEDIA = re.compile(r"^\s*([\w.+-]+/[\w.+-]+)\s*(?:;(.*))?$", re.ASCII)
_UTF8 = re.compile(r"charset\s*=\s*\"?utf-?8\"?", re.IGNORECASE)


class Event(NamedTuple):
    """A CloudEvent as far as it is read, not yet checked.

    Attributes:
        id, source, type: the attributes.
        time: microseconds since 1970 if the sender gave a time, else None.
        data: JSON bytes, or None if there are no data.
        unknown: names of attributes that are not read here (`services.bus.attributes`).
    """

    id: str
    source: str
    type: str
    time: int | None
    data: bytes | None
    unknown: tuple[str, ...] = ()


class Malformed(PumasiError):
    """What came is no CloudEvent; the message says where, without its content.

    Attributes:
        pointer: RFC 6901, into the event in its JSON form. It may hold a name that the sender made up: for the sender alone.
        event: its place in a batch.
    """

    code = "malformed"

    def __init__(self, message: str, *, pointer: str | None = None, event: int | None = None) -> None:
        super().__init__(message if event is None else f"event {event}: {message}")
        self.pointer, self.event = pointer, event


class TooLarge(PumasiError):
    """A request, a batch or an event is larger than the doors take."""

    code = "too_large"


class UnknownMedia(PumasiError):
    """The content type is none that is read here."""

    code = "unsupported_media_type"


def read_http(headers: Sequence[tuple[str, str]], body: bytes) -> tuple[list[Event], bool]:
    """The events of a request, and whether it was a batch.

    Args:
        headers: names in lower case.
        body: as it came.

    Raises:
        Malformed: if the request is no CloudEvent or batch of them.
        TooLarge: if an event or the batch is.
        UnknownMedia: if its content type is none of the three modes'.
    """
    media = media_type(next((value for name, value in headers if name == "content-type"), ""))
    match media:
        case "application/cloudevents+json":
            return [from_json(_json(body))], False
        case "application/cloudevents-batch+json":
            batch = _json(body)
            if not isinstance(batch, list):
                raise Malformed("a batch is a JSON array of CloudEvents")
            if len(batch) > BATCH_MAX:
                raise TooLarge(f"a batch has at most {BATCH_MAX} events")
            return [from_json(event, number) for number, event in enumerate(batch)], True
        case "application/json":
            return [_from_http_headers(headers, body)], False
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


def from_json(raw: Any, number: int | None = None) -> Event:
    """An event in its JSON form.

    Args:
        raw: the decoded JSON.
        number: its place in a batch, for messages.

    Raises:
        Malformed: if it is no CloudEvent.
        TooLarge: if its data are.
    """
    if not isinstance(raw, dict):
        raise Malformed("a CloudEvent is a JSON object", event=number)
    attributes = {
        name: value for name, value in raw.items() if name not in ("data", "data_base64") and value is not None
    }
    _check(attributes, number)
    data: bytes | None = None
    if raw.get("data") is not None:
        data = msgspec.json.encode(raw["data"])
    elif raw.get("data_base64") is not None:
        data = _base64(raw["data_base64"], number)
    return _event(attributes, data, number)


def read_record(record: Record) -> Event:
    """The event of a record on the submissions topic.

    Raises:
        UnreadableRecord: if it is no CloudEvent.
    """
    try:
        headers = text_headers(record.headers)
        if record.value is None:
            raise BadRecord("value: none")
        if len(record.value) > EVENT_BYTES_MAX:
            raise BadRecord("value: too large")
        media = media_type(headers.get("content-type", JSON))
        if media == STRUCTURED:
            return from_json(_json(record.value))
        if media != JSON:
            raise BadRecord(f"content-type: neither {JSON} nor {STRUCTURED}")
        attributes = {name[3:]: value for name, value in headers.items() if name.startswith("ce_")}
        _check(attributes, None)
        message = kafka.KafkaMessage({f"ce_{n}": v.encode() for n, v in attributes.items()}, None, b"")
        return _event(kafka.from_binary(message, JSONFormat(), CloudEvent).get_attributes(), record.value, None)
    except BadRecord as bad:
        raise UnreadableRecord(str(bad), reason="malformed") from None
    except (Malformed, TooLarge) as bad:
        raise UnreadableRecord(bad.message, reason="malformed") from None
    except (BaseCloudEventException, ValueError):
        raise UnreadableRecord(
            "not a CloudEvent: an attribute is not as CloudEvents 1.0 has it", reason="malformed"
        ) from None


def _from_http_headers(headers: Sequence[tuple[str, str]], body: bytes) -> Event:
    found = [(name, value) for name, value in headers if name.startswith("ce-")]
    if not found:
        raise Malformed(f"no ce-* headers: a whole CloudEvent in the body has the content type {STRUCTURED}")
    if len({name for name, _ in found}) < len(found):
        raise Malformed("a ce-* header comes twice")
    _check({name[3:]: value for name, value in found}, None)
    try:
        event = http.from_binary(http.HTTPMessage(dict(found), b""), JSONFormat(), CloudEvent)
    except (BaseCloudEventException, ValueError) as error:
        raise _misformed(error, None) from None
    return _event(event.get_attributes(), body or None, None)


def _check(attributes: Mapping[str, Any], number: int | None) -> None:
    """Look at the raw attributes before the package fills in what is missing."""
    for name in _REQUIRED:
        if name not in attributes or attributes[name] == "":
            raise Malformed(f"{name}: missing", pointer=f"/{name}", event=number)
        if not isinstance(attributes[name], str):
            raise Malformed(f"{name}: not a string", pointer=f"/{name}", event=number)
    if attributes["specversion"] != "1.0":
        raise Malformed("specversion: not 1.0", pointer="/specversion", event=number)
    for name in ("time", "datacontenttype"):
        if name in attributes and not isinstance(attributes[name], str):
            raise Malformed(f"{name}: not a string", pointer=f"/{name}", event=number)
    if "time" in attributes:
        _time(attributes["time"], number)
    if media_type(attributes.get("datacontenttype", JSON)) != JSON:
        raise Malformed(f"datacontenttype: not {JSON}", pointer="/datacontenttype", event=number)


def _event(attributes: Mapping[str, Any], data: bytes | None, number: int | None) -> Event:
    """Let the package judge the attributes as a whole, then keep what is needed."""
    time = attributes.get("time")
    at = _time(time, number) if isinstance(time, str) else None
    if isinstance(time, datetime):
        at = _time(time.astimezone(UTC).isoformat(), number)
    given = {**attributes, "time": datetime_of(at or 0)}
    try:
        event = CloudEvent(given)
    except (BaseCloudEventException, ValueError, TypeError) as error:
        raise _misformed(error, number) from None
    if data is not None and len(data) > EVENT_BYTES_MAX:
        raise TooLarge(f"an event's data are at most {EVENT_BYTES_MAX} bytes")
    unknown = tuple(name for name in attributes if name not in KNOWN)
    return Event(event.get_id(), event.get_source(), event.get_type(), at, data, unknown)


def _time(text: str, number: int | None) -> int:
    try:
        return parse_given(text)
    except ValueError as error:
        raise Malformed(f"time: {error}", pointer="/time", event=number) from None


def _misformed(error: Exception, number: int | None) -> Malformed:
    """The package's complaint, without its words: they may repeat a value."""
    names = list(error.errors) if isinstance(error, CloudEventValidationError) else []
    pointer = pointer_of((names[0],)) if names else None
    return Malformed("an attribute is not as CloudEvents 1.0 has it", pointer=pointer, event=number)


def _json(body: bytes) -> Any:
    return decode(body, "the body", None)


def decode(raw: bytes, what: str, number: int | None) -> Any:
    """JSON, in which no object has a member twice: of two, another reader may see the other one.

    Args:
        raw: UTF-8.
        what: for messages, such as `data`.
        number: its place in a batch, for messages.

    Raises:
        Malformed: if it is not JSON, or a member comes twice.
    """
    pointer = "/data" if what == "data" else None
    try:
        decoded = msgspec.json.decode(raw)
        json.loads(raw.decode(), object_pairs_hook=_once)
    except _Twice:
        raise Malformed(f"{what}: a member comes twice in one object", pointer=pointer, event=number) from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Malformed(f"{what}: not JSON", pointer=pointer, event=number) from None
    return decoded


class _Twice(Exception):
    """A member comes twice."""


def _once(members: list[tuple[str, Any]]) -> None:
    if len(members) > 1 and len({name for name, _ in members}) < len(members):
        raise _Twice


def _base64(value: Any, number: int | None) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Malformed("data_base64: not base64", pointer="/data_base64", event=number) from None
