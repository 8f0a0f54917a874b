"""Commands: what intake has checked and asks the matcher to decide. One model a `ce_type`.

A command says what happened in the world or what somebody wants, never what is to be done with money: that is the matcher's
answer, in facts. All ids are given here; what a sender may leave out is filled in before (see `schemas.submissions`).
"""

from typing import Annotated, Any, final

from msgspec import Struct
from pydantic import Field

from schemas.command import Command as Command
from schemas.structs import Reader, Unfit
from schemas.values import (
    AMOUNT_MAX,
    Access,
    AccessBox,
    Amount,
    AmountOrZero,
    Code,
    Currency,
    Designation,
    Fallback,
    Id,
    Mark,
    Model,
    Need,
    Outcome,
    PledgeRef,
    Priority,
    Pseudonym,
    Rate,
    Recurrence,
    Route,
    Rule,
    Thanks,
    Time,
    Weights,
)

TICK = "pumasi.clock.ticked"


class CommandData(Model):
    """Base of every command that belongs to a fund."""

    fund: Id


class FundConfigured(CommandData):
    """Opens a fund, or restates its policy; the currency never changes."""

    currency: Currency
    rule: Annotated[Rule, Field(description="The matching rule")] = "urgency-waterfill/1"
    share: Annotated[int, Field(ge=1, le=AMOUNT_MAX, description="Step of the water-fill, minor units")] = 10000
    weights: Annotated[Weights, Field(description="What is levelled within a class: amounts, or parts of claims")] = (
        "equal"
    )
    ageing_days: Annotated[int, Field(ge=0, le=36500, description="Days of waiting per class raised; 0: never")] = 7
    deadline_hours: Annotated[int, Field(ge=0, le=876_000, description="Hours before needed_by that raise a class")] = (
        72
    )
    vouchers_required: Annotated[int, Field(ge=0, le=1000, description="Distinct vouchers that open a case")] = 1
    forget_after_days: Annotated[
        int,
        Field(
            ge=0, le=36500, description="Days until it is forgotten how somebody with nothing open is reached; 0: never"
        ),
    ] = 0


class CaseNeed(CommandData):
    """What is said of a need, by its sender and on the bus."""

    case: Id
    beneficiary: Pseudonym
    need: Annotated[Need, Field(description="What kind of care is needed")]
    route: Annotated[Route, Field(description="By which way the care is to be had")]
    goal: Amount
    own_contribution: AmountOrZero = 0
    priority: Annotated[Priority, Field(description="Urgency as submitted, in FHIR's words, least urgent first")]
    needed_by: Annotated[Time | None, Field(description="When it will be too late")] = None
    recurrence: Annotated[Recurrence | None, Field(description="If it comes again: how often")] = None


class CaseTold(CaseNeed):
    """What may be sent of a case."""

    access: Annotated[Access | None, Field(description="For reporting refusals; never for eligibility")] = None


class CaseSubmitted(CaseNeed):
    """One need of one beneficiary."""

    access_box: Annotated[AccessBox | None, Field(description="For reporting refusals; no part of what a case is")] = (
        None
    )
    mark: Annotated[Mark | None, Field(description="The beneficiary's, where intake knows a contact")] = None


class VouchTold(CommandData):
    """What may be sent of a vouch."""

    case: Id
    voucher: Pseudonym


class CaseVouched(VouchTold):
    """Somebody known vouches that the need is real; distinct vouchers count, and the beneficiary's own doesn't."""

    mark: Annotated[Mark | None, Field(description="The voucher's, where intake knows a contact")] = None


class CaseAmended(CommandData):
    """Absolute restatements of a case, never deltas; what is left out stays."""

    case: Id
    goal: Annotated[Amount | None, Field(description="The new goal, in the fund's minor units")] = None
    priority: Annotated[Priority | None, Field(description="The new urgency")] = None
    needed_by: Annotated[Time | None, Field(description="When it will be too late")] = None


class CaseDelivered(CommandData):
    """Money handed over for care."""

    case: Id
    delivery: Id
    amount: Amount


class CaseThanked(CommandData):
    """Thanks to be relayed to the donors."""

    case: Id
    thanks: Thanks


class CaseClosed(CommandData):
    """The need has ended."""

    case: Id
    outcome: Annotated[Outcome, Field(description="How the need ended")] = "completed"


class PledgeMade(CommandData):
    """A donor's promise."""

    pledge: Id
    donor: Pseudonym
    amount: Amount
    currency: Currency
    designation: Annotated[Designation | None, Field(description="What the donor wants it to go to")] = None
    fallback: Annotated[Fallback, Field(description="Where money goes that the designation can't place")] = "pool"
    expires_at: Annotated[Time | None, Field(description="When the unpaid part of the promise ends")] = None
    recurrence: Annotated[Recurrence | None, Field(description="If it comes again: how often")] = None


class PledgeWithdrawn(CommandData):
    """The donor takes back what is not yet paid."""

    pledge: PledgeRef


class PaymentReceived(CommandData):
    """Money received against a pledge, in the pledge's own currency."""

    pledge: PledgeRef
    payment: Id
    amount: Amount


class PaymentFailed(CommandData):
    """A payment that did not come; ends the pledge's unpaid part."""

    pledge: PledgeRef
    payment: Id
    reason: Code


class PaymentRefunded(CommandData):
    """Paid money that waits, given back; in the fund's currency."""

    pledge: PledgeRef
    payment: Id
    amount: Amount


class RateQuoted(CommandData):
    """What one unit of a currency is worth in the fund's, from now on."""

    currency: Currency
    rate: Rate


class ClockTicked(Model):
    """Time has passed; one goes to each partition."""


COMMANDS: dict[str, type[Model]] = {
    "pumasi.fund.configured": FundConfigured,
    "pumasi.case.submitted": CaseSubmitted,
    "pumasi.case.vouched": CaseVouched,
    "pumasi.case.amended": CaseAmended,
    "pumasi.case.delivered": CaseDelivered,
    "pumasi.case.thanked": CaseThanked,
    "pumasi.case.closed": CaseClosed,
    "pumasi.pledge.made": PledgeMade,
    "pumasi.pledge.withdrawn": PledgeWithdrawn,
    "pumasi.payment.received": PaymentReceived,
    "pumasi.payment.failed": PaymentFailed,
    "pumasi.payment.refunded": PaymentRefunded,
    "pumasi.rate.quoted": RateQuoted,
    TICK: ClockTicked,
}
"""The index of commands: `ce_type` → model of the data."""


READERS = {kind: Reader(model) for kind, model in COMMANDS.items()}
"""`ce_type` → what reads the data."""


def read_data(kind: str, value: bytes) -> Any:
    """A command's data, from JSON.

    Raises:
        pydantic.ValidationError: saying what is wrong with it.
    """
    try:
        return READERS[kind].read(value)
    except Unfit:
        return READERS[kind].struct_of(COMMANDS[kind].model_validate_json(value))


@final
class Unreadable(Struct, frozen=True):
    """A record on the commands topic that is no command.

    Attributes:
        detail: what is wrong and where; never a value out of the record.
        type: the `ce_type` if it is a known one, else None.
        offset: the record's offset in its partition.
    """

    detail: str
    type: str | None
    offset: int
