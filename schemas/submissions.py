"""Submissions: what outsiders may send. A command without the fields that the sender may leave out.

Every command but the tick of the clock has a submission of the same `ce_type`: outsiders may not move time. Intake turns one into
the other: it derives the ids that a sender leaves out (`case, pledge, payment, delivery`, where the command creates them), hashes
the references that payments come under, and makes a pseudonym of the contact that may stand in place of `beneficiary`, `donor` or
`voucher`. A contact in the clear goes over HTTP only; one that is sealed for intake goes through either door, and so do words of
thanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas import commands
from schemas.values import ID_PATTERN, PHRASES, Id, Model, PersonSent, Pseudonym, Thanks, nobodys

Language = Literal["en", "ko", "zh"]
ADDRESS_PATTERN = r"^[^\x00-\x1f\x7f]+$"
BOX = r"[A-Za-z0-9+/]{64,8188}={0,2}"
BOX_PATTERN = rf"^{BOX}$"
THANKS_SENT_PATTERN = rf"^({'|'.join(PHRASES)}|{BOX})$"
Box = Annotated[
    str, Field(pattern=BOX_PATTERN, description="base64 of a NaCl sealed box; inside, a contact as JSON, or a text")
]


def is_hashed(reference: str) -> bool:
    """True for a payment's reference that goes to the bus unchanged, since it begins with `~`; of any other the hash does."""
    return reference.startswith("~")


Reference = Annotated[
    str,
    Field(
        pattern=ID_PATTERN,
        description="Under what a payment came, such as a bank's number. On the bus stands `~` and its keyed hash; "
        "what begins with `~` is taken for one",
    ),
    AfterValidator(lambda reference: nobodys(reference) if is_hashed(reference) else reference),
]


class Contact(Model):
    """How a person is reached. It is sealed at intake and never stands on a topic in the clear."""

    address: Annotated[
        str,
        Field(
            min_length=4,
            max_length=1024,
            pattern=ADDRESS_PATTERN,
            description="`<scheme>:<recipient>` and nothing else: no password, server or parameter. Such as "
            "mailto:somebody@example.org, tel:+86 138 …, signal:+82 10 …, tgram:somebody, matrix:@somebody:example.org",
        ),
    ]
    language: Annotated[Language, Field(description="The language of notices to this person")] = "en"


class SealedContact(Model):
    """A value on the contacts topic, sealed for the notifier; its key is the subject."""

    subject: Pseudonym
    sealed_contact: Box


class SealedText(Model):
    """The other value on the contacts topic: words of thanks; its key, the subject, is their id."""

    subject: Thanks
    sealed_text: Box


class Missing(NamedTuple):
    """What is wrong with how a submission names its person: the field, a stable code, a message."""

    field: str
    code: str
    message: str


def misnamed(person: str, given: Mapping[str, Any]) -> Iterator[Missing]:
    """What is wrong with how `given` names its person: by a word, a contact or a sealed contact, exactly one of them.

    Args:
        person: `beneficiary`, `donor` or `voucher`.
        given: the submission's members; one that is None counts as left out.
    """
    has = [name for name in (person, "contact", "sealed_contact") if given.get(name) is not None]
    if not has:
        yield Missing(person, "missing", f"give {person} (a word of your own), or a contact in its place")
    for name in has[1:]:
        yield Missing(name, "both_given", f"give one of {person}, contact and sealed_contact")


class _NamesPerson(Model):
    """Base of submissions that tell of a person: by a pseudonym, or by a contact in its place."""

    person: ClassVar[str]
    contact: Annotated[Contact | None, Field(description="In place of the pseudonym; over HTTP only")] = None
    sealed_contact: Annotated[
        Box | None, Field(description="In place of the pseudonym: a contact sealed for intake's public key")
    ] = None

    @model_validator(mode="after")
    def _one_name(self) -> _NamesPerson:
        for wrong in misnamed(self.person, self.__dict__):
            raise PydanticCustomError("misnamed", "{message}", {"field": wrong.field, "message": wrong.message})
        return self


class CaseSubmission(_NamesPerson, commands.CaseTold):
    """`pumasi.case.submitted`; `case` may be left out."""

    person: ClassVar[str] = "beneficiary"
    case: Id | None = None  # type: ignore[assignment]  # a submission asks for less than its command
    beneficiary: PersonSent | None = None  # type: ignore[assignment]  # likewise


class VouchSubmission(_NamesPerson, commands.VouchTold):
    """`pumasi.case.vouched`."""

    person: ClassVar[str] = "voucher"
    voucher: PersonSent | None = None  # type: ignore[assignment]  # likewise


class DeliverySubmission(commands.CaseDelivered):
    """`pumasi.case.delivered`; `delivery` may be left out."""

    delivery: Id | None = None  # type: ignore[assignment]  # likewise


class PledgeSubmission(_NamesPerson, commands.PledgeMade):
    """`pumasi.pledge.made`; `pledge` may be left out."""

    person: ClassVar[str] = "donor"
    pledge: Id | None = None  # type: ignore[assignment]  # likewise
    donor: PersonSent | None = None  # type: ignore[assignment]  # likewise


class ThanksSubmission(commands.CaseThanked):
    """`pumasi.case.thanked`."""

    thanks: Annotated[
        str,
        Field(
            pattern=THANKS_SENT_PATTERN,
            description=f"A phrase ({', '.join(f'`{phrase}`' for phrase in PHRASES)}), or a text of at most 1,000 characters sealed "
            "for intake's public key (base64)",
        ),
    ]


class PaymentSubmission(commands.PaymentReceived):
    """`pumasi.payment.received`; `payment` may be left out."""

    payment: Reference | None = None  # type: ignore[assignment]  # likewise


class PaymentFailureSubmission(commands.PaymentFailed):
    """`pumasi.payment.failed`; `payment` may be left out."""

    payment: Reference | None = None  # type: ignore[assignment]  # likewise


class RefundSubmission(commands.PaymentRefunded):
    """`pumasi.payment.refunded`; `payment` may be left out."""

    payment: Reference | None = None  # type: ignore[assignment]  # likewise


SUBMISSIONS: dict[str, type[commands.CommandData]] = {
    "pumasi.fund.configured": commands.FundConfigured,
    "pumasi.case.submitted": CaseSubmission,
    "pumasi.case.vouched": VouchSubmission,
    "pumasi.case.amended": commands.CaseAmended,
    "pumasi.case.delivered": DeliverySubmission,
    "pumasi.case.thanked": ThanksSubmission,
    "pumasi.case.closed": commands.CaseClosed,
    "pumasi.pledge.made": PledgeSubmission,
    "pumasi.pledge.withdrawn": commands.PledgeWithdrawn,
    "pumasi.payment.received": PaymentSubmission,
    "pumasi.payment.failed": PaymentFailureSubmission,
    "pumasi.payment.refunded": RefundSubmission,
    "pumasi.rate.quoted": commands.RateQuoted,
}
"""The index of submissions: `ce_type` → model of the data."""

OWN_ID: dict[str, tuple[str, str]] = {
    "pumasi.case.submitted": ("case", "c-"),
    "pumasi.case.delivered": ("delivery", "d-"),
    "pumasi.pledge.made": ("pledge", "p-"),
    "pumasi.payment.received": ("payment", "~"),
    "pumasi.payment.failed": ("payment", "~"),
    "pumasi.payment.refunded": ("payment", "~"),
}
"""The id a command creates, which its sender may leave out: `ce_type` → field, and the prefix of a derived one."""
