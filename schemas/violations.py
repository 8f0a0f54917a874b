"""What is wrong with data, by the contract's models: a stable code, and words with the bound, the form or the list; never a value.

Pydantic finds it, but its names for findings may change with a release, so nobody sees them. All doors use the words here:
problems over HTTP, dead letters, the command line. A place may end with a name that the sender made up (code UNKNOWN_FIELD),
which is useful to the sender and has no business on a topic or in a log.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from schemas.numbers import holds_number
from schemas.provinces import PROVINCE_PATTERN
from schemas.submissions import ADDRESS_PATTERN, BOX_PATTERN, THANKS_SENT_PATTERN
from schemas.times import PERIOD_PATTERN
from schemas.values import ID_PATTERN, NOBODYS, PERSON_SENT_PATTERN, PHRASES, PLEDGE_PATTERN

UNKNOWN_FIELD = "unknown_field"
"""The code of violations whose place ends with a name of the sender's own."""
NUMBER_BOUNDS = ("below_minimum", "above_maximum")
"""The codes of a number where a number belongs, beyond what the field takes."""
CODES = {
    "missing": "a field that is needed isn't there",
    UNKNOWN_FIELD: "a field that the event doesn't have; the message lists those it has",
    "wrong_type": "such as a text where a number belongs",
    "below_minimum": "less than the field takes",
    "above_maximum": "more than the field takes",
    "too_short": "fewer characters than the field takes",
    "too_long": "more characters than the field takes",
    "wrong_form": "not written as the field has it",
    "not_one_of": "none of the field's words; the message lists them",
    "unknown_currency": "three capital letters, but no currency of ISO 4217",
    "unknown_province": "no province of ISO 3166-2",
    "invalid_time": "no RFC 3339 time with an offset, in the years 2000 to 2199",
    "looks_like_contact": "it holds a number or an address by which somebody could be called",
    "one_of": "none, or several, of what excludes each other",
    "invalid": "not as the contract has it",
}
"""Every code, and what it means."""

_OURS = {
    "missing": "missing",
    "extra_forbidden": UNKNOWN_FIELD,
    "greater_than_equal": "below_minimum",
    "less_than_equal": "above_maximum",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "string_pattern_mismatch": "wrong_form",
    "literal_error": "not_one_of",
}
"""Pydantic's name → our code. What our own models raise is in CODES, and keeps its words; `…_type` is `wrong_type`, all else
`invalid`."""
_MESSAGES = {
    "missing": "is needed",
    "int_type": "must be an integer in the currency's minor unit, without quotes or fraction",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be a string",
    "model_type": "must be a JSON object",
}
_WRITTEN = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be 1 or 0",
    "greater_than": "must be more than {gt:g}",
}
"""Of what is typed as text: an option, a variable."""
_COUNTS = {
    "times",
    "ageing_days",
    "deadline_hours",
    "vouchers_required",
    "forget_after_days",
}  # integers that are no money

PATTERNS = {
    ID_PATTERN: "1–64 characters of [A-Za-z0-9._~-]",
    PERSON_SENT_PATTERN: "1–64 characters of [A-Za-z0-9._~-], the first of them not ~",
    PLEDGE_PATTERN: "a pledge's id (1–64 characters of [A-Za-z0-9._~-]), or `<pledge>#<n>` for its n-th instalment",
    PERIOD_PATTERN: "a period: P, a number from 1 to 9999, and D, W, M or Y, such as P1M",
    r"^[A-Z]{3}$": "an ISO 4217 code: three capital letters, such as CNY",
    r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$": "a decimal number in quotes, with up to 12 digits before the point and after it",
    PROVINCE_PATTERN: "an ISO 3166-2 code, such as CN-JL",
    THANKS_SENT_PATTERN: f"one of: {', '.join(PHRASES)}; or a text as a NaCl sealed box for intake's key in base64, 64–8190 characters",
    BOX_PATTERN: "a NaCl sealed box for intake's key in base64, 64–8190 characters",
    ADDRESS_PATTERN: "an address without control characters, such as mailto:… or tel:+…",
}  # fmt: skip
"""The forms of the contract, in words."""
_WORDS = {ID_PATTERN, PERSON_SENT_PATTERN, PLEDGE_PATTERN}
"""Of what may hold nobody's number, but for payments."""


class Violation(NamedTuple):
    """Where something is wrong within the data, which code it has, and the words for it."""

    place: tuple[str | int, ...]
    code: str
    message: str


def violations(error: ValidationError, model: type[BaseModel]) -> Iterator[Violation]:
    """What a validation by `model` found; a wrong or missing person is `schemas.submissions.misnamed`'s to say."""
    for found in error.errors(include_url=False):
        kind, place, bounds = found["type"], found["loc"], found.get("ctx", {})
        if bounds.get("pattern") in _WORDS and place[-1:] != ("payment",) and holds_number(found["input"]):
            yield Violation(place, "looks_like_contact", NOBODYS)  # which says more than that it is no word
        elif kind != "misnamed":
            message = found["msg"] if kind in CODES else _message(kind, place, bounds, model)
            yield Violation(place, _code(kind), message)


def of_text(error: ValidationError) -> Iterator[tuple[str, str]]:
    """What is wrong with options or settings, which were written as text: the name of each, and words for it."""
    for found in error.errors(include_url=False, include_input=False):
        kind, bounds = found["type"], found.get("ctx", {})
        if kind in _WRITTEN:
            words = _WRITTEN[kind].format_map(bounds)
        elif kind in _OURS:
            words = _message(kind, (), bounds, BaseModel)
        else:
            words = str(bounds.get("error", found["msg"]))
        yield str(found["loc"][0]) if found["loc"] else "", words


def model_within(model: type[BaseModel], name: str | int) -> type[BaseModel] | None:
    """The model of a field that holds members of its own, such as `Access | None`; else None."""
    field = model.model_fields.get(str(name))
    for one in (field.annotation, *get_args(field.annotation)) if field else ():
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def takes_integer(model: type[BaseModel], name: str) -> bool:
    """Whether a field takes whole numbers, such as `Amount | None`."""
    annotation = model.model_fields[name].annotation
    return int in (annotation, *(getattr(one, "__origin__", one) for one in get_args(annotation)))


def _code(kind: str) -> str:
    if kind.endswith("_type"):
        return "wrong_type"
    return _OURS.get(kind) or (kind if kind in CODES else "invalid")


def _message(kind: str, place: tuple[str | int, ...], bounds: Mapping[str, Any], model: type[BaseModel]) -> str:
    match kind:
        case "extra_forbidden":
            return f"is no field of this event; known here: {', '.join(_fields_at(model, place[:-1]))}"
        case "string_pattern_mismatch":
            pattern = bounds["pattern"]
            return f"must be {PATTERNS[pattern]}" if pattern in PATTERNS else f"must match {pattern}"
        case "literal_error":
            return "must be one of: " + str(bounds["expected"]).replace("'", "").replace(" or ", ", ")
        case "int_type" if place and place[-1] in _COUNTS:
            return "must be an integer, without quotes or fraction"
    return _MESSAGES.get(kind, CODES["invalid"]).format_map(bounds)


def _fields_at(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    for name in place:
        model = model_within(model, name) or model
    return list(model.model_fields)
