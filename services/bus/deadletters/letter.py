"""Dead letters: a record that could not be read, and why; without what could tell of a person.

One rule, whoever wrote the record: a letter keeps only what the contract knows, and of that only what passes its own field's
rule. These are members of the type's model (commands' for what lies on the commands topic, else submissions'), attributes by
`services.bus.attributes`, the key if it is the record's own fund or its sender's; and a short number beyond its field's bounds,
such as an amount of -7000 or 5000.5. All else becomes `[removed]`; members nobody knows are told by their number, never by their
name; other headers are left out. No rule tells a pseudonym from a name that is written like one (one word of [A-Za-z0-9._~-]): such
a word stands on the commands topic as well, once it is admitted.

What is withheld whole leaves its length; not its hash, by which a short name could be guessed. The headers name the topic,
partition and offset of the original; a submission is deleted once its letter is written. The headers are Kafka Streams'
(KIP-1034), so that tools made for those read ours. One more, `pumasi.withheld`, says what differs from the original record:
`key`, `value`, `headers`, or `nothing`; only a letter from which nothing is withheld can be put back (`put_back`), and that to
the last byte.

A letter always fits its topic, whatever came: beyond VALUE_BYTES_MAX the value is withheld, beyond FRAME_BYTES_MAX of key and headers
all that is long. There is always a letter: if a record can't be gone through, all of it is withheld. A letter that
failed, or that Kafka refused, would bring its record again for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from schemas.commands import COMMANDS
from schemas.numbers import holds_number
from schemas.senders import NAME
from schemas.submissions import SUBMISSIONS, is_hashed
from schemas.values import HASH_PATTERN, THANKS_PATTERN, Model
from schemas.violations import NUMBER_BOUNDS, model_within, takes_integer, violations
from services.bus.attributes import KNOWN, TELLABLE, is_media
from services.bus.envelope import (
    CLOCK,
    COMMAND_BYTES_MAX,
    COMMAS_MAX,
    CONTACT,
    MAC,
    SENDER,
    SUBMISSION,
    SUPERSEDES,
    TRACE,
    WALL,
    Record,
    carried,
)
from services.bus.topics import COMMANDS as COMMANDS_TOPIC

PREFIX = "__streams.errors."
WITHHELD = "pumasi.withheld"
"""The header of a letter that says what was withheld."""
NOTHING = "nothing"
REPLAY_OF = "pumasi.replay_of"
"""The header of a record that was put back: the id of the dead letter that it comes from."""
VALUE_BYTES_MAX = 2 * COMMAND_BYTES_MAX
"""The longest value that a letter keeps, in bytes: what no door reads, nobody goes through for a letter either."""
FRAME_BYTES_MAX = 512 * 1024
"""The most bytes of key and headers that a letter keeps as they are."""
REMOVED = "[removed]"
UNKNOWN = "?"
"""Stands in pointers of messages for a name that the contract doesn't know."""

_STRICTER: dict[str, Callable[[str], object]] = {
    "contact": lambda _: False,  # sealed or not: nothing there is an operator's business
    "sealed_contact": lambda _: False,
    "access": lambda _: False,  # the reporter's alone
    "thanks": re.compile(THANKS_PATTERN).fullmatch,
    "payment": is_hashed,
}
"""Members that intake accepts in a form that must not be passed on."""
_TEXTS = re.compile(r"[\w.+-]@[\w-]|\b(mailtos?|tel|sms|tgram|whatsapp|wechat|kakao|signal):", re.IGNORECASE)
_PLACE = re.compile(r"(pumasi\.[a-z]{1,32}\.v[0-9]{1,4})-([0-9]{1,9})-([0-9]{1,18})")
_RECORD = re.compile(r"[0-9]{1,9}-[0-9]{1,18}")
_SENDER, _MAC = re.compile(NAME), re.compile(r"[a-z2-7]{26}")
_SECONDS, _SIGNATURES = re.compile(r"[0-9]{1,12}"), re.compile(r"v1,[A-Za-z0-9+/]{43}=(?: v1,[A-Za-z0-9+/]{43}=){0,3}")
_PENDING = re.compile(f"{HASH_PATTERN}/[0-9a-f]{{16}}-[1-9][0-9]{{0,17}}".encode())
_HEADER_OVERHEAD_BYTES = 16
_LONG_BYTES = 1024
_DIGITS_TOLD = 9  # a telephone's number has more, and so have a document's
_HEADERS_MAX = 64

Header = tuple[str, bytes | None]
Models = Mapping[str, type[Model]]
Wrong = dict[tuple[str | int, ...], str]
"""Where something is wrong with a record's data, and the code of what."""


class Place(NamedTuple):
    """Where a record lies. As text, `pumasi.commands.v1-0-41`, it is the id of the record's dead letter."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


def place_of(text: str) -> Place | None:
    """The place that an id names; None if it is no id of a dead letter."""
    match = _PLACE.fullmatch(text)
    return Place(match[1], int(match[2]), int(match[3])) if match else None


class Letter(NamedTuple):
    """A dead letter's key, value and headers."""

    key: bytes | None
    value: bytes | None
    headers: list[Header]


_HEADERS: dict[str, Callable[[str], object]] = {
    "content-type": is_media,
    REPLAY_OF: place_of,
    CLOCK: WALL.__eq__,
    SUBMISSION: _RECORD.fullmatch,
    SUPERSEDES: _RECORD.fullmatch,
    SENDER: _SENDER.fullmatch,
    MAC: _MAC.fullmatch,
    "pumasi-sender": _SENDER.fullmatch,
    "webhook-id": TELLABLE["id"],
    "webhook-timestamp": _SECONDS.fullmatch,
    "webhook-signature": _SIGNATURES.fullmatch,
}
"""The headers beside a CloudEvent's attributes that a letter may keep, each with the rule its value must pass."""
_MADE: dict[str, Callable[[bytes | None], object]] = {
    TRACE: carried,
    CONTACT: lambda value: _PENDING.fullmatch(value or b""),
}
"""What a command has from intake alone, likewise: its digits are random, and nobody's number."""


def dead_letter(record: Record, code: str, why: str, funds: Collection[str] = ()) -> Letter:
    """The dead letter of a record, whatever is in it.

    Args:
        code: a stable code, such as `malformed`.
        why: what is wrong, without the record's content and without a name that may be somebody's.
        funds: where its sender may send: the key may be one of them, too.
    """
    reasons = _reasons(record, code, why)
    try:
        return _letter(record, *_tellable(record, funds), reasons)
    except Exception:  # noqa: BLE001  # whatever it is: what can't be gone through is not told on
        key = None if record.key is None else REMOVED.encode()
        value = None if record.value is None else _withheld(record.value, "can't be gone through")
        withheld = [name for name, kept in (("key", key), ("value", value), ("headers", b"")) if kept is not None]
        return Letter(key, value, [*reasons, (WITHHELD, ",".join(withheld).encode())])


def _tellable(record: Record, funds: Collection[str]) -> tuple[bytes | None, bytes | None, list[Header]]:
    """The parts of a record's key, value and headers that may be kept."""
    headers: list[Header] = list(_known_headers(record))
    told = {name: (text or b"").decode() for name, text in headers}
    value, fund = _tellable_value(record.value, told, COMMANDS if record.topic == COMMANDS_TOPIC else SUBMISSIONS)
    key = record.key
    if key is not None and key.decode("utf-8", "replace") not in (fund, *funds):
        key = REMOVED.encode()
    return key, value, headers


def _letter(
    record: Record, key: bytes | None, value: bytes | None, headers: list[Header], reasons: list[Header]
) -> Letter:
    """What may be kept, as far as it fits, and what that leaves out of the record."""
    if len(key or b"") + sum(map(_size, headers)) > FRAME_BYTES_MAX:
        key = REMOVED.encode() if len(key or b"") > _LONG_BYTES else key
        headers = [header for header in headers if _size(header) <= _LONG_BYTES][:_HEADERS_MAX]
    kept = {
        "key": key == record.key,
        "value": value == record.value,
        "headers": headers == [*map(tuple, record.headers)],
    }
    withheld = ",".join(name for name, whole in kept.items() if not whole) or NOTHING
    return Letter(key, value, [*headers, *reasons, (WITHHELD, withheld.encode())])


def _size(header: Header) -> int:
    return len(header[0].encode()) + len(header[1] or b"") + _HEADER_OVERHEAD_BYTES


def looks_like_contact(text: str) -> bool:
    """True if a text holds what looks like a mail address or a chat handle's URL, or somebody's number."""
    return bool(_TEXTS.search(text)) or holds_number(text)


def _read(value: bytes) -> tuple[Any, bool, bool]:
    """JSON; whether a member comes twice, of which only the last is seen; whether a number may say more than is seen of it."""
    twice = rounded = False

    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(members)
        twice = twice or len(found) < len(members)
        return found

    def inexact(text: str) -> float:
        nonlocal rounded
        rounded = True
        return float(text)

    return json.loads(value, object_pairs_hook=once, parse_float=inexact, parse_constant=inexact), twice, rounded


def _reasons(record: Record, code: str, why: str) -> list[Header]:
    error = {
        "exception": code,
        "message": why,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
    }
    return [(PREFIX + name, text.encode("utf-8", "replace")) for name, text in error.items()]


def _known_headers(record: Record) -> Iterator[tuple[str, bytes]]:
    for name, value in record.headers:
        if record.topic == COMMANDS_TOPIC and name in _MADE and value and _MADE[name](value):
            yield name, value
        if name in _HEADERS:
            rule: Any = _HEADERS[name]
        elif name.startswith("ce_") and name[3:] in KNOWN:
            rule = TELLABLE.get(name[3:])
        else:
            continue
        text = (value or b"").decode("utf-8", "replace")
        yield name, _if_it_passes(text, rule).encode()


def _if_it_passes(value: Any, rule: Any) -> str:
    passes = isinstance(value, str) and rule is not None and rule(value) and not looks_like_contact(value)
    return value if passes else REMOVED


def _tellable_value(value: bytes | None, headers: dict[str, str], models: Models) -> tuple[bytes | None, str | None]:
    """The part of a value that may be kept, byte for byte if that is all of it; and its fund, if that may be kept."""
    if value is None:
        return None, None
    if len(value) > VALUE_BYTES_MAX or value.count(b",") > COMMAS_MAX:  # nobody reads it, so nobody goes through it
        return _withheld(value, "too large"), None
    try:
        parsed, *inexact = _read(value)
        if not isinstance(parsed, dict):
            return _withheld(value, "no JSON object"), None
        if "cloudevents" in headers.get("content-type", "").lower():
            told: Any = _event(parsed, models)
            data = told.get("data")
        else:
            told = data = _data(parsed, models.get(headers.get("ce_type", "")))
    except (ValueError, RecursionError):
        return _withheld(value, "not JSON, or too deep"), None
    if told == REMOVED:
        return _withheld(value, "of no known type"), None
    fund = data.get("fund") if isinstance(data, dict) else None
    whole = told == parsed and not any(inexact)
    kept = value if whole else json.dumps(told, separators=(",", ":")).encode()
    return kept, None if fund == REMOVED else fund


def _event(given: dict[str, Any], models: Models) -> dict[str, Any]:
    """An event in its JSON form: attributes by their rules, data by their type's model."""
    kept: dict[str, Any] = {
        name: _if_it_passes(value, TELLABLE.get(name)) for name, value in given.items() if name in KNOWN
    }
    if "data" in given:
        kept["data"] = _data(given["data"], models.get(kept.get("type", "")))
    if "data_base64" in given:
        kept["data_base64"] = REMOVED
    return _with_number_of_unknown(kept, given)


def _data(given: Any, model: type[Model] | None) -> Any:
    """Data with the members that pass their own fields' rules; `[removed]` if they are no object of a known type."""
    if model is None or not isinstance(given, dict):
        return REMOVED
    wrong: Wrong = {}
    try:
        model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        for place, code, _ in violations(error, model):
            if not place:  # not of a field: nobody knows of which
                return REMOVED
            wrong[place] = code
    return _members(model, given, (), wrong)


def _members(model: type[BaseModel], given: dict[str, Any], place: tuple[str, ...], wrong: Wrong) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in given.keys() & model.model_fields.keys():
        value, here = given[name], (*place, name)
        inner = model_within(model, name)
        if (here in wrong and not _is_nobodys_number(value, wrong[here], takes_integer(model, name))) or (
            name in _STRICTER and not _STRICTER[name](str(value))
        ):
            kept[name] = REMOVED
        elif inner is not None and isinstance(value, dict):
            kept[name] = _members(inner, value, here, wrong)
        else:
            kept[name] = _scalar(value)
    return _with_number_of_unknown({name: kept[name] for name in given if name in kept}, given)


def _is_nobodys_number(value: Any, code: str, belongs: bool) -> bool:
    """True for a number where one `belongs`, out of bounds or a fraction, and too short for a telephone's or a document's."""
    is_wrong = (
        code in NUMBER_BOUNDS if isinstance(value, int) else belongs and isinstance(value, float) and isfinite(value)
    )
    return is_wrong and sum(map(str.isdigit, str(value))) < _DIGITS_TOLD


def _scalar(value: Any) -> Any:
    """A value that passed its field's rule: an id, a word, a time, a number; but none that could be called."""
    return REMOVED if isinstance(value, dict | list) or looks_like_contact(str(value)) else value


def _with_number_of_unknown(kept: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    unknown = len(given) - len(kept)
    return {**kept, REMOVED: unknown} if unknown else kept


def _withheld(value: bytes, why: str) -> bytes:
    return json.dumps({"withheld": why, "bytes": len(value)}).encode()
