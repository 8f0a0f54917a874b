"""Checking and filling in: an `Event` becomes a command, complete; or `InvalidSubmission` says what is wrong with every field.

Pure: no clock, no Kafka. What the sender left out, and what must not be on the bus as it was sent (payments' references, foreign
ids of events), becomes a keyed hash (`services.intake.ids`), so a repeat of the event gives the very same command. Findings point
into the event in its JSON form, in whatever mode it was sent, and never repeat a value that was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec
from pydantic import ValidationError

from schemas.commands import COMMANDS, CommandData
from schemas.numbers import holds_number
from schemas.submissions import OWN_ID, SUBMISSIONS, Contact, SealedContact, SealedText, ThanksSubmission, misnamed
from schemas.values import PHRASES
from services.bus.attributes import EVENT_ID_MAX, SOURCE_MAX, is_source
from services.bus.deadletters.letter import looks_like_contact
from services.errors import Finding, InvalidSubmission
from services.intake.cloudevents import Event, decode
from services.intake.contacts import TEXT_MAX, Reached, Sealer
from services.intake.findings import finding, findings_of
from services.intake.opening import NotSealed
from services.intake.recipients import NoRecipient
from services.intake.senders import NOBODY_ASKED, Known

_CONTACT_FIELDS = ("contact", "sealed_contact")
NAMES = ("case", "pledge", "payment", "delivery")
"""The fields that hold ids which commands make."""
Opened = Reached | str | None
"""What is for the notifier alone: whom to reach, or a text of thanks."""


class Admitted(NamedTuple):
    """A submission that may pass.

    Attributes:
        id, source, type: of the CloudEvent, kept on the command.
        sent_id: the event's id as it was sent: for the sender alone.
        time: the sender's own, microseconds since 1970, or None.
        fund: the fund.
        value: the command's data, compact JSON without fields that are None.
        names: the ids it creates or concerns: `{"case": …}`, `{"pledge": …, "payment": …}`.
        contact: what goes to the contacts topic, if anything: a contact, or a text of thanks.
        mac: a keyed hash of what was sent; equal for an honest repeat, and for nothing else.
        sender: who sent it.
        submission: where it lies on the submissions topic, `<partition>-<offset>`, if it came from there.
        sealed_for: the fingerprints of the keys that something of it is sealed for: the `notifier`'s, the `reporter`'s.
    """

    id: str
    source: str
    type: str
    time: int | None
    fund: str
    value: bytes
    names: dict[str, str]
    contact: SealedContact | SealedText | None
    mac: str
    sender: str
    sent_id: str = ""
    submission: str | None = None
    sealed_for: Mapping[str, str] = MappingProxyType({})

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes an event one and the same: its sender, and by CloudEvents 1.0 source and id."""
        return self.sender, self.source, self.id


def admit(event: Event, sealer: Sealer, sender: Known = NOBODY_ASKED, *, clear_contact: bool) -> Admitted:
    """Check an event and complete it. `clear_contact`: whether this door takes a contact in the clear.

    Raises:
        Forbidden: if the sender may not send it.
        InvalidSubmission: with all that is wrong.
        Malformed: if the data are not JSON, or of too many members.
        KafkaUnreachable: if it isn't known yet which key makes the fund's words.
    """
    sender.hold_scope(event.type)
    findings = list(_attribute_findings(event))
    submission: CommandData | None = None
    opened: Opened = None
    if event.type in SUBMISSIONS:
        submission, opened, wrong = _read(event, sealer, sender.name, clear_contact)
        findings += wrong
    if findings or submission is None:
        raise InvalidSubmission("the submission breaks the contract; see each finding", findings)
    sender.hold_fund(submission.fund)
    return _completed(event, submission, opened, sealer, sender.name)


def _attribute_findings(event: Event) -> Iterator[Finding]:
    if not 0 < len(event.id) <= EVENT_ID_MAX:
        yield finding("/id", "invalid_id", f"must be 1–{EVENT_ID_MAX} characters")
    if len(event.source) <= SOURCE_MAX and (holds_number(event.source) or looks_like_contact(event.source)):
        yield finding("/source", "looks_like_contact", "must name a form or a system, not a person")
    elif not is_source(event.source):
        yield finding(
            "/source",
            "invalid_source",
            f"must be a path, a URL, a URN or a word, of at most {SOURCE_MAX} characters of [A-Za-z0-9._~:/#-]",
        )
    if event.type not in SUBMISSIONS:
        yield finding("/type", "unknown_type", f"must be one of: {', '.join(SUBMISSIONS)}")
    if event.data is None:
        yield finding("/data", "missing", "is needed")


def _read(
    event: Event, sealer: Sealer, sender: str, clear_contact: bool
) -> tuple[CommandData | None, Opened, list[Finding]]:
    if event.data is None:
        return None, None, []
    raw = decode(event.data, "data")
    findings: dict[tuple[str, str], Finding] = {}
    model, submission, opened = SUBMISSIONS[event.type], None, None
    try:
        submission = model.model_validate_json(event.data)
    except ValidationError as error:
        for found in findings_of(error, model):
            findings[found["pointer"], found["code"]] = found
    if isinstance(raw, dict):
        opened, wrong = _open(model, raw, sealer, sender)
        told = {pointer for pointer, _ in findings}
        wrong = [found for found in wrong if found["pointer"] not in told]
        for found in (*wrong, *_person_findings(model, raw, clear_contact)):
            findings.setdefault((found["pointer"], found["code"]), found)
    return submission, opened, list(findings.values())


def _person_findings(model: type[CommandData], raw: dict[str, Any], clear_contact: bool) -> Iterator[Finding]:
    person = getattr(model, "person", None)
    if person is None:
        return
    for field, code, message in misnamed(person, raw):
        yield finding(f"/data/{field}", code, message)
    if raw.get("contact") is not None and not clear_contact:
        yield finding("/data/contact", "clear_contact", "comes over HTTP only; here, give sealed_contact")


def _open(model: type[CommandData], raw: dict[str, Any], sealer: Sealer, sender: str) -> tuple[Opened, list[Finding]]:
    """What is for the notifier alone; and what is wrong with it, whatever else is wrong."""
    if model is ThanksSubmission:
        what = f"a text of 1–{TEXT_MAX} characters in UTF-8"
        return _opened(raw, "thanks", what, partial(sealer.opened_text, sender=sender))
    if not hasattr(model, "person"):
        return None, []
    place = "/data/sealed_contact"
    what, opened = "a contact, {address, language} as JSON", partial(sealer.opened_contact, sender=sender)
    contact, wrong = _opened(raw, "sealed_contact", what, opened)
    if raw.get("contact") is not None:
        place = "/data/contact/address"
        try:
            contact = Contact.model_validate(raw["contact"])
        except ValidationError:  # told already
            contact = None
    try:
        return (None if contact is None else sealer.reached(contact)), wrong
    except NoRecipient as nobody:
        return None, [*wrong, finding(place, nobody.code, nobody.message)]


_Content = TypeVar("_Content")


def _opened(
    raw: dict[str, Any], field: str, what: str, opened: Callable[[str], _Content]
) -> tuple[_Content | None, list[Finding]]:
    """What the sender's box in a field holds, if there is one."""
    box = raw.get(field)
    if not isinstance(box, str) or box in PHRASES:
        return None, []
    try:
        return opened(box), []
    except NotSealed:
        return None, [finding(f"/data/{field}", "not_sealed", "must be a NaCl sealed box for intake's key, in base64")]
    except ValueError:
        return None, [finding(f"/data/{field}", "invalid_content", f"must hold {what}")]


def _completed(event: Event, submission: CommandData, opened: Opened, sealer: Sealer, sender: str) -> Admitted:
    given = submission.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(_CONTACT_FIELDS))
    if event.type in OWN_ID:
        field, prefix = OWN_ID[event.type]
        given.setdefault(field, sealer.ids.derived(prefix, sender, event.source, event.id))
    if "payment" in given:
        given["payment"] = sealer.ids.reference(given["fund"], given["payment"])
    record: SealedContact | SealedText | None = None
    if isinstance(opened, Reached):
        role, fund, person = submission.person, given["fund"], opened.recipient.person  # type: ignore[attr-defined]  # it names one
        people = sealer.people_in(fund, event.time)
        subject = given[role] = people.pseudonym(role, fund, person)
        if "mark" in COMMANDS[event.type].model_fields:
            given["mark"] = people.mark(fund, given["case"], person)
        record = SealedContact(subject=subject, sealed_contact=sealer.seal(opened))
    elif opened is not None:
        subject = given["thanks"] = sealer.ids.thanks(given["fund"], given["case"], opened)
        record = SealedText(subject=subject, sealed_text=sealer.seal_text(opened))
    mac = sealer.ids.mac(sender, event.source, event.id, event.type, msgspec.json.encode(given, order="sorted"))
    if "access" in given:
        given["access_box"] = sealer.seal_access(submission.access)  # type: ignore[attr-defined]  # it has one
        del given["access"]
    sealed = [whose for whose, box in (("notifier", record), ("reporter", given.get("access_box"))) if box is not None]
    command = COMMANDS[event.type].model_validate_json(msgspec.json.encode(given))  # the matcher reads it so
    assert isinstance(command, CommandData), "nobody submits a tick"
    value = msgspec.json.encode(command.model_dump(mode="json", by_alias=True, exclude_none=True))
    names = {name: given[name] for name in NAMES if name in given}
    return Admitted(
        sealer.ids.event(event.id), event.source, event.type, event.time, command.fund, value, names, record,
        mac, sender, event.id, sealed_for={whose: sealer.sealed_for[whose] for whose in sealed},
    )  # fmt: skip
