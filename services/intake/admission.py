"""Checking and filling in: an `Event` becomes a command, complete; or `InvalidSubmission` says what is wrong with every field.

Pure: no clock, no Kafka. Ids that the sender left out are derived from (`ce_source`, `ce_id`), so a repeat of the event gives the very
same command: prefix (`c-` case, `p-` pledge, `y-` payment, `d-` delivery), then the first 24 characters of base32 of
BLAKE2b-120(source NUL id), personalised `pumasi-id`. Findings point into the event in its JSON form, whatever mode it came in, and
never repeat a value that was sent.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError

from schemas.commands import COMMANDS, CommandData
from schemas.submissions import OWN_ID, SUBMISSIONS, SealedContact, misnamed
from services.bus.attributes import KNOWN, SOURCE_MAX, is_id, is_source
from services.bus.deadletters import looks_like_contact
from services.errors import Finding, InvalidSubmission
from services.intake.contacts import Sealer, is_sealed
from services.intake.findings import finding, findings_of, pointer_of
from services.intake.reading import Event, decode

_PHONE = re.compile(r"^\d[\d.~-]{6,}\d$")
_CONTACT_FIELDS = ("contact", "sealed_contact")


class Admitted(NamedTuple):
    """A submission that may pass.

    Attributes:
        id, source, type: of the CloudEvent, kept on the command.
        time: the sender's own, microseconds since 1970, or None.
        fund: the fund.
        value: the command's data, compact JSON without fields that are None.
        names: the ids it creates or concerns: `{"case": …}`, `{"pledge": …, "payment": …}`.
        contact: what goes to the contacts topic, if anything.
        digest: of type and value; equal for an honest repeat, and for nothing else.
        submission: where it lies on the submissions topic, `<partition>-<offset>`, if it came from there.
    """

    id: str
    source: str
    type: str
    time: int | None
    fund: str
    value: bytes
    names: dict[str, str]
    contact: SealedContact | None
    digest: bytes
    submission: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes an event one and the same (CloudEvents 1.0): source and id."""
        return self.source, self.id


def admit(event: Event, sealer: Sealer, *, clear_contact: bool, number: int | None = None) -> Admitted:
    """Check an event and complete it.

    Args:
        event: as read.
        sealer: makes pseudonyms and seals contacts.
        clear_contact: whether this door takes a contact in the clear.
        number: its place in a batch, for findings.

    Raises:
        InvalidSubmission: with all that is wrong.
        Malformed: if the data are not JSON.
    """
    findings = list(_attribute_findings(event))
    submission: CommandData | None = None
    if event.type in SUBMISSIONS:
        submission, wrong = _read(event, clear_contact, number)
        findings += wrong
    if findings or submission is None:
        if number is not None:
            findings = [{**found, "event": number} for found in findings]
        raise InvalidSubmission("the submission breaks the contract; see each finding", findings)
    return _completed(event, submission, sealer)


def derived_id(prefix: str, source: str, event: str) -> str:
    """The id of what an event creates when its sender gave none; the rule is in the module's text.

    >>> derived_id("p-", "/forms/pledge", "e-1")
    'p-nall5w4rajips7sqfqs3fmzr'
    """
    digest = blake2b(f"{source}\0{event}".encode(), digest_size=15, person=b"pumasi-id")
    return prefix + base64.b32encode(digest.digest()).decode().lower()


def digest_of(kind: str, value: bytes) -> bytes:
    """What tells a repeat from a conflict: 16 bytes over a command's type and value."""
    return blake2b(kind.encode() + b"\0" + value, digest_size=16).digest()


def names_in(data: Mapping[str, Any]) -> dict[str, str]:
    """The ids that a command creates or concerns."""
    return {name: data[name] for name in ("case", "pledge", "payment", "delivery") if data.get(name) is not None}


def _attribute_findings(event: Event) -> Iterator[Finding]:
    if not is_id(event.id):
        yield finding("/id", "invalid_id", "must be 1–64 characters of [A-Za-z0-9._~-]")
    if not is_source(event.source):
        yield finding("/source", "invalid_source", f"must be a URI reference of at most {SOURCE_MAX} characters")
    elif looks_like_contact(event.source) or "@" in event.source:
        yield finding("/source", "looks_like_contact", "must name a form or a system, not a person")
    if event.type not in SUBMISSIONS:
        yield finding("/type", "unknown_type", f"must be one of: {', '.join(SUBMISSIONS)}")
    for name in event.unknown:
        yield finding(
            pointer_of((name,)),
            "unknown_attribute",
            f"is no attribute that is read here; known are: {', '.join(sorted(KNOWN))}",
        )
    if event.data is None:
        yield finding("/data", "missing", "is needed")


def _read(event: Event, clear_contact: bool, number: int | None) -> tuple[CommandData | None, list[Finding]]:
    if event.data is None:
        return None, []
    raw = decode(event.data, "data", number)
    findings: dict[tuple[str, str], Finding] = {}
    model, submission = SUBMISSIONS[event.type], None
    try:
        submission = model.model_validate_json(event.data)
    except ValidationError as error:
        for found in findings_of(error):
            findings[found["pointer"], found["code"]] = found
    if isinstance(raw, dict):
        for found in _person_findings(model, raw, clear_contact):
            findings.setdefault((found["pointer"], found["code"]), found)
    return submission, list(findings.values())


def _person_findings(model: type[CommandData], raw: dict[str, Any], clear_contact: bool) -> Iterator[Finding]:
    person = getattr(model, "person", None)
    if person is None:
        return
    for field, code, message in misnamed(person, raw):
        yield finding(f"/data/{field}", code, message)
    if raw.get("contact") is not None and not clear_contact:
        yield finding(
            "/data/contact", "clear_contact", "comes over HTTP only; here, give sealed_contact and a pseudonym"
        )
    if isinstance(raw.get(person), str) and _PHONE.fullmatch(raw[person]):
        yield finding(f"/data/{person}", "looks_like_contact", "must be a pseudonym, not a number to call")
    sealed = raw.get("sealed_contact")
    if isinstance(sealed, str) and not is_sealed(sealed):
        yield finding("/data/sealed_contact", "not_sealed", "must be a NaCl sealed box in base64")


def _completed(event: Event, submission: CommandData, sealer: Sealer) -> Admitted:
    given = submission.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(_CONTACT_FIELDS))
    if event.type in OWN_ID:
        field, prefix = OWN_ID[event.type]
        given.setdefault(field, derived_id(prefix, event.source, event.id))
    contact, sealed = getattr(submission, "contact", None), getattr(submission, "sealed_contact", None)
    person = getattr(submission, "person", None)
    if contact is not None:
        given[person], sealed = sealer.pseudonym(contact), sealer.seal(contact)
    record = SealedContact(subject=given[person], sealed_contact=sealed) if sealed is not None else None
    command = COMMANDS[event.type].model_validate_json(msgspec.json.encode(given))  # the matcher reads it so
    value = msgspec.json.encode(command.model_dump(mode="json", by_alias=True, exclude_none=True))
    return Admitted(
        event.id, event.source, event.type, event.time, command.fund, value, names_in(given), record,
        digest_of(event.type, value),
    )  # fmt: skip
