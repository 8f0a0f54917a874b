"""What is wrong with a submission, put so that whoever builds a form can fix it: the allowed words, the form, the bound; never
the value.

A finding's `pointer` is RFC 6901 and points into the event in its JSON form, in whatever mode it was sent. It may hold a name
that the sender made up (code `unknown_field`), if that is one word such as fields have: that helps the sender over HTTP, and has
no business on a topic or in a log unless it is a field's, misspelt (`is_nearly_known`). Any other name could be somebody's.

However much is wrong, the report is bounded: FINDINGS_MAX findings of a bounded length, then one that says how many more there
are. So is the work: of a batch with so many, no further event is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from schemas import violations
from schemas.submissions import SUBMISSIONS, Contact
from schemas.values import Access, Designation, Recurrence
from services.bus.deadletters.letter import UNKNOWN, looks_like_contact
from services.errors import Finding

FINDINGS_MAX = 100
"""Findings told of one request or record."""
_MESSAGE_MAX = 600  # characters: all types of events fit

CODES = {
    **violations.CODES,
    "both_given": "a person is named twice, by a word and a contact",
    "clear_contact": "a contact in the clear, on the topic",
    "not_sealed": "no NaCl sealed box for intake's key",
    "invalid_content": "what is in the box isn't what belongs there",
    "unknown_scheme": "an address of a kind that isn't taken here",
    "invalid_recipient": "no address of its scheme",
    "more_than_recipient": "an address with more in it than whom it reaches",
    "invalid_id": "an event's id of no character, or of too many",
    "invalid_source": "no path, URL, URN or word",
    "unknown_type": "no event of the contract; the message lists them",
    "more": "how many further findings there are",
}
"""Every code of a finding, and what it means."""
_WORD = re.compile(r"[\w.-]{1,64}", re.ASCII)
_MODELS: tuple[type[BaseModel], ...] = (*SUBMISSIONS.values(), Contact, Access, Designation, Recurrence)
_FIELDS = frozenset(name for model in _MODELS for name in model.model_fields)
_MISSPELT_FROM = 6  # characters of a field: too many people are called nearly as `goal`, `rate` or `donor`
_MISSPELT = re.compile(r"[a-z][A-Za-z_]{1,31}")


def finding(pointer: str, code: str, message: str) -> Finding:
    return {"pointer": pointer, "code": code, "message": message[:_MESSAGE_MAX]}


def bounded(findings: Sequence[Finding], last: int | None) -> list[Finding]:
    """The first findings, then one that says how many more there are, if any, and which events were not looked at.

    Args:
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


def is_nearly_known(name: str) -> bool:
    """Whether a name is a field's, or a long one's misspelt: then it is no name of the sender's own, and may be told to all.

    >>> [name for name in ("ammount", "amount", "expiresAt", "kim_minsu", "gopal", "Boucher") if is_nearly_known(name)]
    ['ammount', 'amount', 'expiresAt']
    """
    if name in _FIELDS:
        return True
    alike = [field for field in _FIELDS if len(field) >= _MISSPELT_FROM and field[0] == name[:1]]
    return bool(_MISSPELT.fullmatch(name) and get_close_matches(name, alike, 1, 0.8))


def _is_tellable(name: str) -> bool:
    return bool(_WORD.fullmatch(name)) and not looks_like_contact(name)


def findings_of(error: ValidationError, model: type[BaseModel]) -> Iterator[Finding]:
    """The findings of a validation by `model`, which are of an event's data."""
    for found in violations.violations(error, model):
        yield finding(pointer_of(("data", *found.place)), found.code, found.message)
