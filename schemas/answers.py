"""What the HTTP door answers: acceptance, receipts, problems. For OpenAPI, and for the tests that check answers by it.

Lists of words that may grow (`x-extensible-enum`) are plain texts, so that a client made today reads tomorrow's.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field

from schemas.commands import FundConfigured
from schemas.facts import RejectionCode
from schemas.values import Currency, Id, Model, PledgeRef, Sum

WAITING_FOR = {
    "rate": "the pledge is in another currency, and no rate was quoted yet (`pumasi.rate.quoted`)",
    "claim": "money of the pledge finds no open case that it may have",
    "vouchers": "the case isn't open yet: `missing_vouchers` more must vouch for it",
    "pledges": "the case is open and lacks money",
    "payment": "what is promised isn't paid",
    "confirmation": "what is paid isn't confirmed as handed over (`pumasi.case.delivered`)",
}
"""What a receipt may wait for, in the order in which it happens."""
RECEIPT_CODES = ("duplicate", *get_args(RejectionCode), "refused")
"""The codes of receipts: why the event was rejected, or `duplicate`, which is applied."""
Quarter = Annotated[int, Field(ge=0, le=100, multiple_of=25, description="Full quarters of the claim, in per cent")]


def _open(schema: dict[str, Any]) -> None:
    schema.pop("additionalProperties", None)  # there may be more one day


def _words(description: str, words: Any) -> Any:
    return Field(description=description, json_schema_extra={"x-extensible-enum": list(words)})


class Answer(Model):
    """Base of what is answered."""

    model_config = ConfigDict(json_schema_extra=_open)


class Accepted(Answer):
    """One event that was taken: it will be decided, whatever happens."""

    id: Annotated[str, Field(description="The event's id as it was sent")]
    fund: Id
    case: Annotated[Id | None, Field(description="The case it creates or concerns")] = None
    pledge: Annotated[PledgeRef | None, Field(description="The pledge it creates or concerns")] = None
    payment: Annotated[Id | None, Field(description="The payment, as it stands on the bus")] = None
    delivery: Annotated[Id | None, Field(description="The delivery it creates")] = None
    receipt: Annotated[
        str, Field(description="What became of it is told at `/v1/receipts/{receipt}`. A secret: who has it may ask")
    ]


class Acceptance(Answer):
    """All events of the request were taken, in their order."""

    accepted: list[Accepted]


class PledgeProgress(Answer):
    """All of a pledge: amount = awarded + waiting + released. In minor units of the fund's `currency`, but for `face`."""

    amount: Annotated[Sum, Field(description="The whole pledge; 0 while there is no rate")]
    currency: Annotated[Currency, Field(description="The fund's")]
    awarded: Annotated[Sum, Field(description="Matched to cases, paid or not")]
    settled: Annotated[Sum, Field(description="The part of `awarded` that is paid")]
    delivered: Annotated[Sum, Field(description="The part of `settled` that was handed over")]
    waiting: Annotated[Sum, Field(description="Matched to nothing yet")]
    released: Annotated[Sum, Field(description="Given back: the promise over it has ended, or it was refunded")]
    face: Annotated[Sum, Field(description="The pledge as it was made, in minor units of `face_currency`")]
    face_currency: Annotated[Currency, Field(description="The pledge's own")]
    designation: Annotated[
        str | None,
        _words(
            "`case_not_open`: the case that it names is not open (not yet, not any more, or there is none of that id) and has "
            "nothing of it; so `fallback` applies, or did",
            ["case_not_open"],
        ),
    ] = None


class CaseProgress(Answer):
    """Of a case, which others pay for, only quarters of its claim."""

    status: Annotated[Literal["submitted", "open", "closed"], Field(description="It gets money while it is open")]
    promised: Quarter
    settled: Quarter
    delivered: Quarter
    missing_vouchers: Annotated[int | None, Field(ge=1, description="While it is `submitted`: what opens it")] = None


class Receipt(Answer):
    """What became of an event."""

    receipt: Annotated[str, Field(description="The receipt that was asked about")]
    state: Annotated[
        Literal["accepted", "applied", "rejected"],
        Field(description="`accepted`: not decided yet; `rejected`: it changed nothing, and may be sent again"),
    ]
    code: Annotated[str | None, _words("Why it was rejected; `duplicate`: it was applied before", RECEIPT_CODES)] = None
    detail: Annotated[str | None, Field(description="The same in words")] = None
    progress: Annotated[
        PledgeProgress | CaseProgress | None,
        Field(description="How its pledge or case stands now; not of a vouch or thanks for another sender's case"),
    ] = None
    waiting_for: Annotated[
        list[Annotated[str, _words("One word", WAITING_FOR)]] | None,
        Field(
            description="What must happen next: " + "; ".join(f"`{word}`: {why}" for word, why in WAITING_FOR.items())
        ),
    ] = None
    configuration: Annotated[
        FundConfigured | None,
        Field(description="All that a fund's configuration set, also what was left out: that is at its default now"),
    ] = None
    raised_by: Annotated[
        Sum | None, Field(description="By how much a payment beyond its pledge raised it, in the fund's minor units")
    ] = None
    superseded_by: Annotated[str | None, Field(description="The receipt of the same event, sent again")] = None


class FindingTold(Answer):
    """One thing that is wrong."""

    pointer: Annotated[str, Field(description="RFC 6901, into the event in its JSON form")]
    code: Annotated[str, Field(description="Stable")]
    message: Annotated[str, Field(description="For people: the form, the bound or the words that are allowed")]
    event: Annotated[int | None, Field(ge=0, description="Its place in a batch")] = None


class DoorTold(Answer):
    """A path there is."""

    method: str
    path: str
    what: str


class Problem(Answer):
    """RFC 9457. Switch on `code`."""

    type: Literal["about:blank"]
    title: Annotated[str, Field(description="The status in words")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status")]
    code: Annotated[str, Field(description="Stable")]
    detail: Annotated[str, Field(description="What is wrong, in one line; nothing of what was sent")]
    hint: Annotated[str | None, Field(description="What to do about it")] = None
    pointer: Annotated[str | None, Field(description="RFC 6901, to what is malformed")] = None
    event: Annotated[int | None, Field(ge=0, description="The place in a batch of what is malformed")] = None
    scope: Annotated[str | None, Field(description="The scope that the key lacks")] = None
    fund: Annotated[str | None, Field(description="The fund that the key isn't for")] = None
    errors: Annotated[list[FindingTold] | None, Field(description="All that is wrong, up to 100 findings")] = None
    doors: Annotated[list[DoorTold] | None, Field(description="Of a 404: what there is instead")] = None
