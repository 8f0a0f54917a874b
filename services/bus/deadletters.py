"""Dead letters: a record that could not be read, and why; without what could tell of a person.

Two doors, two rules. What lies on the *commands* topic is intake's to write: `dead_letter` keeps it as it came, byte by byte, but
for whatever looks like contact details or isn't written as the contract's words are (plain ASCII without a blank), in key, headers
and value. What lies on the *submissions* topic was written by anybody: `outsiders_letter` keeps only what the contract knows, and of
that only what passes its own field's rule: members of the type's model, attributes by `services.bus.attributes`, the key if it is
the record's own fund. All else becomes `[removed]`; members nobody knows are told by their number, never by their name; other
headers are left out. No rule tells a pseudonym from a name that is written like one (one word of [A-Za-z0-9._~-]): such a word
stands on the commands topic as well, once it is admitted.

What is withheld whole leaves its length; not its hash, by which a short name could be guessed. The original lies at the topic,
partition and offset named in the headers for as long as it is kept. The headers are Kafka Streams' (KIP-1034), so that tools made
for those read ours. One more, `pumasi.withheld`, says what differs from the record as it came: `key`, `value`, `headers`, or
`nothing`; only a letter from which nothing is withheld can be put back (`services.bus.replay`), and that to the last byte.

A letter always fits its topic, whatever came: beyond VALUE_BYTES_MAX the value is withheld, beyond FRAME_BYTES_MAX of key and headers
all that is long. A letter that Kafka refused would bring its record again for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from schemas.submissions import SUBMISSIONS
from services.bus.attributes import KNOWN, TELLABLE, is_media
from services.bus.envelope import Record

PREFIX = "__streams.errors."
WITHHELD = "pumasi.withheld"
"""The header of a letter that says what was withheld."""
NOTHING = "nothing"
REPLAY_OF = "pumasi.replay_of"
"""The header of a record that was put back: the id of the dead letter that it comes from."""
VALUE_BYTES_MAX = 3 << 20
"""The longest value that a letter keeps, in bytes; with FRAME_BYTES_MAX it stays well under MAX_RECORD_BYTES."""
FRAME_BYTES_MAX = 512 * 1024
"""The most bytes of key and headers that a letter keeps as they are."""
REMOVED = "[removed]"
UNKNOWN = "?"
"""Stands in pointers of messages for a name that the contract doesn't know."""

_FOR_THE_NOTIFIER = frozenset(
    {"contact", "sealed_contact", "thanks"}
)  # sealed or not: nothing there is an operator's business
_MEMBERS = re.compile(
    r"^(.*contact|address|name|.*_name|phone|tel|mobile|e?mail|handle|wechat|weixin|kakao(talk)?|telegram|whatsapp|line|"
    r"passport|id_?card|id_?number|birthday|birth_?date|comment|note|message|text)$",
    re.IGNORECASE,
)
_TEXTS = re.compile(
    r"[\w.+-]@[\w-]|\b(mailtos?|tel|sms|tgram|whatsapp|wechat|kakao|signal):|(?<![\w.-])\+?\d[\d ()-]{7,20}\d(?![\w.-])",
    re.IGNORECASE,
)  # no repetition without a bound: a hostile record of megabytes must not cost more than its length

_WORD = re.compile(r"[\x21-\x7e]*\Z")
_PLACE = re.compile(r"(pumasi\.[a-z]{1,32}\.v[0-9]{1,4})-([0-9]{1,9})-([0-9]{1,18})")
_HEADER_OVERHEAD_BYTES = 16
_LONG_BYTES = 1024
_HEADERS_MAX = 64

Header = tuple[str, bytes | None]


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


def dead_letter(record: Record, code: str, why: str) -> Letter:
    """The dead letter of a record that intake wrote.

    Args:
        record: the record that could not be read.
        code: a stable code, such as `unreadable`.
        why: what is wrong, without the record's content.
    """
    headers = [_plain_header(name, value) for name, value in record.headers if not _is_a_letters(name)]
    return _letter(record, _plain(record.key), without_contacts(record.value), headers, _reasons(record, code, why))


def outsiders_letter(record: Record, code: str, why: str) -> Letter:
    """The dead letter of a record that anybody may have written: by allow-list.

    Args:
        record: the record that could not be read.
        code: a stable code, such as `malformed`.
        why: what is wrong, without the record's content and without a name that the contract doesn't know.
    """
    headers = list(_known_headers(record))
    told = {name: value.decode() for name, value in headers}
    value, fund = _tellable(record.value, told)
    key = record.key
    if key is not None and (fund is None or key != fund.encode()):
        key = REMOVED.encode()
    return _letter(record, key, value, headers, _reasons(record, code, why))


def _letter(
    record: Record, key: bytes | None, value: bytes | None, headers: list[Header], reasons: list[Header]
) -> Letter:
    """What may be kept, as far as it fits, and what that leaves out of the record."""
    if len(key or b"") + sum(map(_size, headers)) > FRAME_BYTES_MAX:
        key = REMOVED.encode() if len(key or b"") > _LONG_BYTES else key
        headers = [header for header in headers if _size(header) <= _LONG_BYTES][:_HEADERS_MAX]
    if len(value or b"") > VALUE_BYTES_MAX:
        value = _withheld(record.value or b"", "too large")
    kept = {
        "key": key == record.key,
        "value": value == record.value,
        "headers": headers == [*map(tuple, record.headers)],
    }
    withheld = ",".join(name for name, whole in kept.items() if not whole) or NOTHING
    return Letter(key, value, [*headers, *reasons, (WITHHELD, withheld.encode())])


def _size(header: Header) -> int:
    return len(header[0].encode()) + len(header[1] or b"") + _HEADER_OVERHEAD_BYTES


def _is_a_letters(name: str) -> bool:
    """Whether a header of this name is for a letter to set, and for nobody else."""
    return name.startswith(PREFIX) or name == WITHHELD


def looks_like_contact(text: str) -> bool:
    """True if a text holds what looks like a mail address, a phone number or a chat handle's URL."""
    return bool(_TEXTS.search(text))


def without_contacts(value: bytes | None) -> bytes | None:
    """The value with contact details removed; the very same bytes if it holds none."""
    if value is None:
        return None
    try:
        parsed, twice, _ = _read(value)
    except (ValueError, RecursionError):
        return value if _is_word(value.decode("utf-8", "replace")) else _withheld(value, "not JSON")
    try:
        clean = _clean(parsed)
    except RecursionError:
        return _withheld(value, "may hold contact details")
    return value if clean == parsed and not twice else json.dumps(clean, separators=(",", ":")).encode()


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
    return [(PREFIX + name, text.encode()) for name, text in error.items()]


def _known_headers(record: Record) -> Iterator[tuple[str, bytes]]:
    for name, value in record.headers:
        if name == "content-type":
            rule: Any = is_media
        elif name == REPLAY_OF:
            rule = place_of
        elif name.startswith("ce_") and name[3:] in KNOWN:
            rule = TELLABLE.get(name[3:])
        else:
            continue
        text = (value or b"").decode("utf-8", "replace")
        yield name, _if_it_passes(text, rule).encode()


def _if_it_passes(value: Any, rule: Any) -> str:
    passes = isinstance(value, str) and rule is not None and rule(value) and not looks_like_contact(value)
    return value if passes else REMOVED


def _tellable(value: bytes | None, headers: dict[str, str]) -> tuple[bytes | None, str | None]:
    """What of a value may be told, the very same bytes if that is all of it; and its fund if that may be."""
    if value is None:
        return None, None
    try:
        parsed, *inexact = _read(value)
        if not isinstance(parsed, dict):
            return _withheld(value, "no JSON object"), None
        if "cloudevents" in headers.get("content-type", "").lower():
            told = _event(parsed)
            data = told.get("data")
        else:
            told = data = _data(parsed, headers.get("ce_type", ""))
    except (ValueError, RecursionError):
        return _withheld(value, "not JSON, or too deep"), None
    if told == REMOVED:
        return _withheld(value, "of no known type"), None
    fund = data.get("fund") if isinstance(data, dict) else None
    whole = told == parsed and not any(inexact)
    kept = value if whole else json.dumps(told, separators=(",", ":")).encode()
    return kept, None if fund == REMOVED else fund


def _event(given: dict[str, Any]) -> dict[str, Any]:
    """An event in its JSON form: attributes by their rules, data by their type's model."""
    kept: dict[str, Any] = {
        name: _if_it_passes(value, TELLABLE.get(name)) for name, value in given.items() if name in KNOWN
    }
    if "data" in given:
        kept["data"] = _data(given["data"], kept.get("type", ""))
    if "data_base64" in given:
        kept["data_base64"] = REMOVED
    return _with_number_of_unknown(kept, given)


def _data(given: Any, kind: str) -> Any:
    """Data with the members that pass their own fields' rules; `[removed]` if they are no object of a known type."""
    model = SUBMISSIONS.get(kind)
    if model is None or not isinstance(given, dict):
        return REMOVED
    wrong: set[tuple[str | int, ...]] = set()
    try:
        model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            if not found["loc"] and found["type"] != "misnamed":  # not of a field: who knows of which
                return REMOVED
            wrong.add(found["loc"])
    return _members(model, given, (), wrong)


def _members(
    model: type[BaseModel], given: dict[str, Any], place: tuple[str, ...], wrong: set[tuple[str | int, ...]]
) -> dict[str, Any]:
    kept = {}
    for name in given.keys() & model.model_fields.keys():
        value, here = given[name], (*place, name)
        inner = _model_of(model, name)
        if here in wrong or name in _FOR_THE_NOTIFIER:
            kept[name] = REMOVED
        elif inner is not None and isinstance(value, dict):
            kept[name] = _members(inner, value, here, wrong)
        else:
            kept[name] = _scalar(value)
    return _with_number_of_unknown({name: kept[name] for name in given if name in kept}, given)


def _model_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a field that holds members of its own, such as `Access | None`; else None."""
    annotation = model.model_fields[name].annotation
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _scalar(value: Any) -> Any:
    """A value that passed its field's rule: an id, a word, a time, a number; but none that could be called."""
    return REMOVED if isinstance(value, dict | list) or looks_like_contact(str(value)) else value


def _with_number_of_unknown(kept: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    unknown = len(given) - len(kept)
    return {**kept, REMOVED: unknown} if unknown else kept


def _plain_header(name: str, value: bytes | None) -> Header:
    if name == "content-type" and value is not None and is_media(value.decode("utf-8", "replace")):
        return name, value
    return name if _is_word(name) else REMOVED, _plain(value)


def _plain(text: bytes | None) -> bytes | None:
    """A key or a header's value; `[removed]` if it is no word."""
    return text if text is None or _is_word(text.decode("utf-8", "replace")) else REMOVED.encode()


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            (key if _is_word(key) else REMOVED): REMOVED if _MEMBERS.match(key) else _clean(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return REMOVED if isinstance(value, str) and not _is_word(value) else value


def _is_word(text: str) -> bool:
    """True if a text is written as the contract's ids, codes and times are: no blanks, plain ASCII, nothing that could be called."""
    return bool(_WORD.match(text)) and not _TEXTS.search(text)


def _withheld(value: bytes, why: str) -> bytes:
    return json.dumps({"withheld": why, "bytes": len(value)}).encode()
