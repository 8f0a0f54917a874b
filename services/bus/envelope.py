"""CloudEvents in Kafka's binary mode, as the internal topics use it: attributes in headers, data as the value.

A record on the commands topic is read defensively: whatever is wrong with it becomes an `Unreadable` with a reason that holds
none of the record's content, never an exception, since one bad record must not stop its neighbours. Headers that are null or not
UTF-8 make a record unreadable even where we would not need them: a half-understood record is not understood. So do headers of
ours, and members of the data, that come twice: another reader might understand the other one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from pydantic import ValidationError

from schemas.command import Command
from schemas.commands import COMMANDS, READERS, TICK, Unreadable
from schemas.ledger import ENTRY_TYPE
from schemas.services import SERVICE_TYPE
from schemas.structs import Unfit, says_twice
from schemas.times import parse_given
from schemas.values import Model
from schemas.violations import UNKNOWN_FIELD, violations
from services.bus.attributes import is_id, is_source
from services.bus.client.codecs import TOO_LARGE
from services.bus.client.record_batch import HeaderForm
from services.bus.partition import partition_of

COMMAND_BYTES_MAX = 64 * 1024
"""The largest command, in bytes of its value. Any honest one stays under 2 KiB."""
COMMAS_MAX = 1000
"""Commas in a command's or an event's data: more members and elements than any of ours has, and than anybody goes through."""
JSON = b"application/json"
SOURCE = "/pumasi"
SUBMISSION = "pumasi_submission"
"""The header of a command that names its record on the submissions topic, `<partition>-<offset>`."""
SUPERSEDES = "pumasi_supersedes"
"""The header of a command that takes the place of a refused one: that one's place on the commands topic, `<partition>-<offset>`."""
CONTACT = "pumasi_contact"
"""The header of a command that came with a contact or a text: the key under which that is pending on the contacts topic."""
COMMAND = "pumasi_command"
"""The header of what stands under its subject on the contacts topic, or was deleted there since a fund forgets: the place on the other
of the command that it came with, or that it was decided at, `<partition>-<offset>`."""
FUND, ABOUT = "pumasi_fund", "pumasi_about"
"""The headers of what is pending on the contacts topic: the fund of its event, and the case or pledge that this is about."""
SENDER, MAC = "pumasi_sender", "pumasi_mac"
"""The headers of a command that say who sent it, and, as a keyed hash, what was sent."""
CLOCK, WALL = "pumasi_clock", "wall"
"""The header, and its value, of what intake stamped by its wall clock: such a time is compared with the record's append time."""
TRACE = "traceparent"
"""The header of a command, of its entries and of their notices by which they belong to one trace (W3C Trace Context); of no other
record is it looked at (`services.traces`)."""
_TRACE = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")
_OURS = ("ce_", "pumasi", "content-type")  # how the names of headers that are read begin

Headers = Sequence[tuple[str, bytes | None]]


class Record(Protocol):
    """What is needed of a consumed record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int  # of its append, milliseconds since 1970


class BadRecord(ValueError):
    """A record that can't be read; the message says why, without the record's content."""


partition_of_fund = lru_cache(maxsize=65536)(partition_of)
"""`partition_of`, remembered for the funds there are."""


def text_headers(headers: Headers) -> dict[str, str]:
    """Headers as text.

    Raises:
        BadRecord: if a header is null or not UTF-8, or one of ours comes twice.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if value is None:
            raise BadRecord("its batch is too large" if name == TOO_LARGE else "a header is null")
        if name in found and name.startswith(_OURS):
            raise BadRecord("a header comes twice")
        try:
            found[name] = value.decode()
        except UnicodeDecodeError:
            raise BadRecord("a header is not UTF-8") from None
    return found


def carried(trace: bytes | None) -> bytes | None:
    """A `traceparent` as it is carried on: only in the one form in which intake writes it, and of what is traced."""
    return trace if trace is not None and _TRACE.fullmatch(trace) else None


def trace_of(record: Record) -> bytes | None:
    """The `traceparent` of an entry, if it has one."""
    return next((carried(value) for name, value in record.headers if name == TRACE), None)


def read_command(record: Record, partitions: int) -> Command | Unreadable:
    """Read a record of the commands topic; anything wrong with it, foreseen or not, makes it an `Unreadable`.

    Args:
        record: as consumed.
        partitions: how many partitions the topic has, to tell a command that is in the wrong one.
    """
    found = _sound(record, partitions)
    return _explained(record, partitions) if found is None else found


def _explained(record: Record, partitions: int) -> Command | Unreadable:
    """Read a record step by step, to say what is wrong with it; if nothing is, return the command."""
    kind: str | None = None
    try:
        headers = text_headers(record.headers)
        kind = headers.get("ce_type")
        kind = kind if kind in COMMANDS else None
        return _command(record, headers, partitions)
    except BadRecord as bad:
        return Unreadable(str(bad), kind, record.offset)
    except MemoryError:  # see above
        raise
    except Exception as error:  # noqa: BLE001  # a partition must not stand still before a record that we did not foresee
        return Unreadable(f"could not be read ({type(error).__name__})", kind, record.offset)


def _command(record: Record, headers: dict[str, str], partitions: int) -> Command:
    if headers.get("ce_specversion") != "1.0":
        raise BadRecord("ce_specversion: not 1.0")
    kind, event, source, time = (_attribute(headers, name) for name in ("ce_type", "ce_id", "ce_source", "ce_time"))
    model = COMMANDS.get(kind)
    if model is None:
        raise BadRecord("ce_type: not a command")
    if not is_id(event):
        raise BadRecord("ce_id: not an id")
    if not is_source(source):
        raise BadRecord("ce_source: no path, URL, URN or word")
    if not headers.get("content-type", "application/json").startswith("application/json"):
        raise BadRecord("content-type: not application/json")
    try:
        at = parse_given(time)
    except ValueError:
        raise BadRecord("ce_time: not an RFC 3339 time of the years 2000 to 2199") from None
    if record.value is None:
        raise BadRecord("value: none")
    if len(record.value) > COMMAND_BYTES_MAX or record.value.count(b",") > COMMAS_MAX:
        raise BadRecord("value: too large")
    try:
        data = READERS[kind].read(record.value)
    except Unfit:
        data = _data(model, kind, record.value)
    if kind != TICK:
        _check_place(record, data.fund, partitions)
    appended = record.timestamp * 1000 if headers.get(CLOCK) == WALL else None
    trace = carried(headers.get(TRACE, "").encode())
    return Command(kind, event, at, data, record.offset, appended, trace)


def _data(model: type[Model], kind: str, value: bytes) -> Any:
    """What the model makes of data that its reader would not take; most likely nothing, for a reason."""
    try:
        data = model.model_validate_json(value)
    except ValidationError as error:
        raise BadRecord(explain(error, model)) from None
    if says_twice(value):
        raise BadRecord("value: a member comes twice in one object")
    return READERS[kind].struct_of(data)


def _attribute(headers: dict[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise BadRecord(f"{name}: missing")
    return value


def _check_place(record: Record, fund: str, partitions: int) -> None:
    if record.key is not None and record.key != fund.encode():
        raise BadRecord("key: not the fund")
    if partition_of_fund(fund, partitions) != record.partition:
        raise BadRecord("partition: not the fund's")


def explain(error: ValidationError, model: type[Model]) -> str:
    """Say what a validation by `model` found, by place and code, without any value or unknown name: `goal: below_minimum`.

    It is written to the ledger, where an audit expects the same years later; words with a bound or a list in them could change.
    """
    if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] == "json_invalid":
        return "value: not JSON"
    place, code, _ = next(violations(error, model))
    known = place[:-1] if code == UNKNOWN_FIELD else place
    return f"{'.'.join(map(str, known)) or 'value'}: {code}"[:200]


def command_headers(kind: str, event: str, source: str, time: str, *, wall: bool = False) -> list[tuple[str, bytes]]:
    """The headers of a command: `ce_type`, `ce_id`, `ce_source` and `ce_time` (RFC 3339); `wall`: that is our wall clock's."""
    headers = _headers(kind, event, source, time)
    return [*headers, (CLOCK, WALL.encode())] if wall else headers


def service_headers(process: str, at: str) -> list[tuple[str, bytes]]:
    """The headers of what a process tells of itself at a time."""
    return _headers(SERVICE_TYPE, f"{process}-{at}", SOURCE, at)


def entry_headers(partition: int, seq: int, at: str, trace: bytes | None = None) -> list[tuple[str, bytes]]:
    """The headers of a ledger entry (contract, 6); `trace` is its command's."""
    headers = _headers(ENTRY_TYPE, f"{partition}-{seq}", f"{SOURCE}/matcher", at)
    return headers if trace is None else [*headers, (TRACE, trace)]


def entry_form(trace: bytes | None = None) -> HeaderForm:
    """`entry_headers`, laid out but for `ce_id` and `ce_time`."""
    filled_in = {"ce_id", "ce_time"}
    return HeaderForm([(name, None if name in filled_in else value) for name, value in entry_headers(0, 0, "", trace)])


def _headers(kind: str, event: str, source: str, time: str) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.encode()),
        ("ce_source", source.encode()),
        ("ce_type", kind.encode()),
        ("ce_time", time.encode()),
        ("content-type", JSON),
    ]


def as_dict(record: Record) -> dict[str, Any]:
    """Where a record stands: topic, partition, offset."""
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


try:
    from services.bus.sound import sound as _sound
except ImportError:  # not compiled

    def _sound(_record: Record, _partitions: int) -> Command | None:
        """Leave all to the general way."""
        return None
