"""What is wrong with a submission, said so that who builds a form can mend it: the allowed words, the form, the bound; never the value.

A finding's `pointer` is RFC 6901 and points into the event in its JSON form, whatever mode it came in. It may hold a name that the
sender made up (code UNKNOWN_FIELD), if that is one word such as fields have: that helps the sender over HTTP, and has no business on a
topic or in a log. Any other name could be somebody's.

However much is wrong, what is said of it is bounded: FINDINGS_MAX findings of a bounded length, then one that tells how many more.
So is the work: of a batch with so many, no further event is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from schemas.provinces import PROVINCE_PATTERN
from schemas.submissions import ADDRESS_PATTERN, BOX_PATTERN, THANKS_SENT_PATTERN
from schemas.times import PERIOD_PATTERN
from schemas.values import ID_PATTERN, PERSON_SENT_PATTERN, PHRASES, PLEDGE_PATTERN
from services.bus.deadletters.letter import UNKNOWN, looks_like_contact
from services.errors import Finding

UNKNOWN_FIELD = "unknown_field"
"""The code of findings whose pointer ends with a name of the sender's own."""
FINDINGS_MAX = 100
"""Findings told of one request or record."""
_MESSAGE_MAX = 300  # characters

_MESSAGES = {
    "missing": "is needed",
    "extra_forbidden": "is no field of this event",
    "int_type": "must be an integer in the currency's minor unit, without quotes or fraction",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "invalid_time": "must be an RFC 3339 time with an offset, such as 2026-11-22T10:00:00Z, in the years 2000 to 2199",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be a string",
    "model_type": "must be a JSON object",
}
_WORD = re.compile(r"[\w.-]{1,64}", re.ASCII)
_COUNTS = {
    "times",
    "ageing_days",
    "deadline_hours",
    "vouchers_required",
    "forget_after_days",
}  # integers that are no money
_NAMES = {"missing": "missing", "extra_forbidden": UNKNOWN_FIELD}

PATTERNS = {
    ID_PATTERN: "1–64 characters of [A-Za-z0-9._~-]",
    PERSON_SENT_PATTERN: "1–64 characters of [A-Za-z0-9._~-], the first of them not ~",
    PLEDGE_PATTERN: "a pledge's id (1–64 characters of [A-Za-z0-9._~-]), or `<pledge>#<n>` for its n-th instalment",
    PERIOD_PATTERN: "a period: P, a number from 1 to 9999, and D, W, M or Y, such as P1M",
    r"^[A-Z]{3}$": "an ISO 4217 code: three capital letters, such as CNY",
    r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$": "a decimal number in quotes, with up to 12 digits before the point and after it",
    PROVINCE_PATTERN: "an ISO 3166-2 code, such as CN-JL",
    THANKS_SENT_PATTERN: f"one of: {', '.join(PHRASES)}; or a text as a NaCl sealed box in base64, 64–8190 characters",
    BOX_PATTERN: "a NaCl sealed box in base64, 64–8190 characters",
    ADDRESS_PATTERN: "an address without control characters, such as mailto:… or tel:+…",
}  # fmt: skip
"""The forms of the contract, in words."""


def finding(pointer: str, code: str, message: str) -> Finding:
    """A finding."""
    return {"pointer": pointer, "code": code, "message": message[:_MESSAGE_MAX]}


def bounded(findings: Sequence[Finding], last: int | None) -> list[Finding]:
    """The first findings, and one that tells how many more there are, if there are, and where nobody looked.

    Args:
        findings: as many as were found.
        last: the last event of a batch that was looked at, if it is not the batch's last; else None.
    """
    told, more = list(findings[:FINDINGS_MAX]), len(findings) - FINDINGS_MAX
    if last is not None:
        told.append(
            finding("", "more", f"and {max(more, 0)} more up to event {last}; those after it were not looked at")
        )
    elif more > 0:
        told.append(finding("", "more", f"and {more} more"))
    return told


def pointer_of(place: tuple[str | int, ...]) -> str:
    """An RFC 6901 pointer; a name that is no word such as fields have, or in which somebody could be called, is `?`.

    >>> pointer_of(("data", "amuont", 0, "Baek Suji"))
    '/data/amuont/0/?'
    """
    return "".join(f"/{part if isinstance(part, int) or _is_tellable(part) else UNKNOWN}" for part in place)


def _is_tellable(name: str) -> bool:
    return bool(_WORD.fullmatch(name)) and not looks_like_contact(name)


def findings_of(error: ValidationError) -> Iterator[Finding]:
    """Pydantic's findings, without inputs; a wrong or missing person is `schemas.submissions.misnamed`'s."""
    for found in error.errors(include_url=False, include_input=False):
        kind, place = found["type"], found["loc"]
        if kind == "misnamed":
            continue
        message = _message(kind, str(place[-1]) if place else "", found.get("ctx", {}))
        yield finding(
            pointer_of(("data", *place)), _NAMES.get(kind, kind), message or found["msg"].removeprefix("Value error, ")
        )


def _message(kind: str, name: str, bounds: Mapping[str, Any]) -> str | None:
    """The message with the bound that the field's own rule gives; None for a rule of our own, which says it itself."""
    if kind == "string_pattern_mismatch":
        pattern = bounds["pattern"]
        return f"must be {PATTERNS[pattern]}" if pattern in PATTERNS else f"must match {pattern}"
    if kind == "literal_error":
        return "must be one of: " + str(bounds["expected"]).replace("'", "").replace(" or ", ", ")
    if kind == "int_type" and name in _COUNTS:
        return "must be an integer, without quotes or fraction"
    template = _MESSAGES.get(kind)
    return template.format_map(bounds) if template else None
