"""Facts: what the matcher decided, in the order in which it happened. The ledger is made of nothing else.

State is a fold over facts, so a fact carries all that the fold needs. Amounts are in the fund's minor units unless named `face`
(the pledge's own currency). In a tick's entry each fact also names its `fund`. Fields that came after the contract's first
version are marked *added*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Union, get_args

from pydantic import Field

from schemas.values import (
    AMOUNT_MAX,
    Amount,
    AmountOrZero,
    Class,
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
    Sum,
    SumAboveZero,
    Thanks,
    Time,
    Weights,
)

AwardId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}(#[1-9][0-9]{0,6})?/[1-9][0-9]*$", description="`<pledge>/<n>`")
]
RejectionCode = Literal[
    "unknown_fund", "unknown_case", "unknown_pledge", "id_conflict", "case_closed", "case_not_open", "exceeds_settled",
    "goal_below_delivered", "goal_below_own_contribution", "already_expired", "pledge_closed", "currency_fixed",
    "not_refundable", "unreadable", "worth_nothing", "own_voucher", "clock_ahead",
]  # fmt: skip
"""Which is told where several are true: `READINGS.md`, *Identity, and the order of checks*."""


class Fact(Model):
    """Base of every fact."""

    fund: Annotated[Id | None, Field(description="Only in a tick's entry, and in `fund_configured`")] = None


class Why(Model):
    """What decided an award, as its claimant stood at the award's first money.

    Who the claimant is and what its key says follows from the fund's rule. `urgency-waterfill/1`: a beneficiary's open cases of one
    class, and the least key of all claimants of the highest class with a claim left. `first-come/1`: the case alone, and its opening
    order. `guaranteed-floor/1`: as for first-come where the first money was of the case's floor, else as for the water-fill; `stage`
    says which. `before` and `after` are the claimant's awarded money around this award; `claim` is the claimant's claim.
    """

    class_: Annotated[Class, Field(alias="class", description="The claimant's class, least urgent first")]
    key: Annotated[
        int,
        Field(
            ge=0,
            description="The boundary in minor units, or in 10^-12 of the claim, or the opening order: the least goes first",
        ),
    ]
    before: Annotated[int, Field(ge=0, description="The claimant's awarded money before, minor units")]
    after: Annotated[int, Field(ge=0, description="The claimant's awarded money after, minor units")]
    claim: Annotated[int, Field(ge=0, description="The claimant's claim, minor units")]
    stage: Annotated[
        Literal["floor", "class"] | None,
        Field(description="*added*, only under guaranteed-floor/1: which of its two stages the first money came from"),
    ] = None


class FundConfigured(Fact):
    """A fund was opened, or its policy restated."""

    fact: Literal["fund_configured"]
    currency: Currency
    rule: Annotated[Rule, Field(description="The matching rule")]
    share: Annotated[int, Field(ge=1, le=AMOUNT_MAX, description="Step of the water-fill, minor units")]
    weights: Annotated[Weights, Field(description="What is levelled within a class: amounts, or parts of claims")]
    ageing_days: Annotated[int, Field(ge=0, le=36500, description="Days of waiting per class raised; 0: never")]
    deadline_hours: Annotated[int, Field(ge=0, le=876_000, description="Hours before needed_by that raise a class")]
    vouchers_required: Annotated[int, Field(ge=0, le=1000, description="Distinct vouchers that open a case")]
    forget_after_days: Annotated[
        int,
        Field(
            ge=0,
            le=36500,
            description="*added*: days until it is forgotten how somebody with nothing open is reached; 0: never",
        ),
    ] = 0


class CaseSubmitted(Fact):
    """A need was told of; it gets no money before it opens."""

    fact: Literal["case_submitted"]
    case: Id
    beneficiary: Pseudonym
    need: Annotated[Need, Field(description="What kind of care is needed")]
    route: Annotated[Route, Field(description="By which way the care is to be had")]
    goal: Amount
    own_contribution: AmountOrZero
    priority: Annotated[Priority, Field(description="Urgency as submitted, in FHIR's words, least urgent first")]
    needed_by: Annotated[Time | None, Field(description="*added*, if given")] = None
    recurrence: Annotated[Recurrence | None, Field(description="*added*, if given")] = None
    mark: Annotated[
        Mark | None,
        Field(
            description="*added*, if given: by it the matcher tells the beneficiary's own vouch, and nobody is found"
        ),
    ] = None


class CaseVouched(Fact):
    """Somebody known vouched that the need is real."""

    fact: Literal["case_vouched"]
    case: Id
    voucher: Pseudonym


class CaseOpened(Fact):
    """A case may be given money from now on."""

    fact: Literal["case_opened"]
    case: Id
    claim: Sum
    class_: Annotated[Class, Field(alias="class", description="The effective class, least urgent first")]


class CaseEscalated(Fact):
    """A case changed its class: by age, by its deadline, or since the fund's policy changed."""

    fact: Literal["case_escalated"]
    case: Id
    from_: Annotated[Class, Field(alias="from", description="The class before")]
    to: Annotated[Class, Field(description="The class from now on")]
    why: Annotated[Literal["age", "deadline", "policy"], Field(description="What changed the class")]


class CaseAmended(Fact):
    """A case's goal, priority or time was restated."""

    fact: Literal["case_amended"]
    case: Id
    claim: Sum
    class_: Annotated[Class, Field(alias="class", description="The effective class, least urgent first")]
    goal: Annotated[Amount | None, Field(description="*added*: the new goal, if it changed")] = None
    priority: Annotated[Priority | None, Field(description="*added*: the new priority, if it changed")] = None
    needed_by: Annotated[Time | None, Field(description="*added*: the new time, if it changed")] = None


class CaseRenewed(Fact):
    """A new period of a recurring case began; its claim grew by its goal."""

    fact: Literal["case_renewed"]
    case: Id
    claim: Sum
    period: Annotated[int, Field(ge=2, description="Number of the period that begins; the opening began period 1")]
    class_: Annotated[Class, Field(alias="class", description="*added*: the class, since ageing starts anew")]


class CaseDelivered(Fact):
    """Money was handed over for care."""

    fact: Literal["case_delivered"]
    case: Id
    delivery: Id
    amount: Amount


class CaseThanked(Fact):
    """Thanks were given, to be relayed to the donors."""

    fact: Literal["case_thanked"]
    case: Id
    thanks: Thanks


class CaseClosed(Fact):
    """A need ended; what was not delivered goes back to its pledges."""

    fact: Literal["case_closed"]
    case: Id
    outcome: Annotated[Outcome, Field(description="How the need ended")]


class CaseFunded(Fact):
    """The awards of a case have reached its claim."""

    fact: Literal["case_funded"]
    case: Id
    claim: Sum


class PledgeAccepted(Fact):
    """A donor's promise was taken in."""

    fact: Literal["pledge_accepted"]
    pledge: Id
    donor: Pseudonym
    amount: Annotated[Sum | None, Field(description="null while there is no rate")]
    face: Amount
    currency: Currency
    rate: Annotated[Rate | None, Field(description='"1" in the fund\'s own currency; null while there is none')]
    designation: Annotated[Designation | None, Field(description="*added*, if given")] = None
    fallback: Annotated[Fallback | None, Field(description="*added*, unless it is pool")] = None
    expires_at: Annotated[Time | None, Field(description="*added*, if given")] = None
    recurrence: Annotated[Recurrence | None, Field(description="*added*, if given")] = None


class PledgeInstalment(Fact):
    """A recurring pledge gave its next instalment, a pledge of its own."""

    fact: Literal["pledge_instalment"]
    pledge: PledgeRef
    donor: Pseudonym
    amount: Annotated[Sum | None, Field(description="null while there is no rate")]
    face: Amount
    currency: Currency
    rate: Annotated[Rate | None, Field(description="The rate at acceptance; null while there is none")]
    of: Annotated[Id, Field(description="The recurring pledge it is an instalment of")]


class PledgeRaised(Fact):
    """A pledge grew: paid beyond its amount, or valued at last by a rate."""

    fact: Literal["pledge_raised"]
    pledge: PledgeRef
    amount: Annotated[Sum, Field(description="By how much: an excess paid, or the whole once its rate is known")]
    rate: Annotated[Rate | None, Field(description="*added*: the rate, where the pledge waited for one")] = None


class PledgeWithdrawn(Fact):
    """A donor took back what was not yet paid."""

    fact: Literal["pledge_withdrawn"]
    pledge: PledgeRef


class PledgeExpired(Fact):
    """A pledge's time came; what was not yet paid is released."""

    fact: Literal["pledge_expired"]
    pledge: PledgeRef


class PledgeSettled(Fact):
    """Nothing of a pledge is unpaid any more."""

    fact: Literal["pledge_settled"]
    pledge: PledgeRef


class Awarded(Fact):
    """A part of a pledge was matched to a case."""

    fact: Literal["awarded"]
    award: AwardId
    pledge: PledgeRef
    case: Id
    amount: SumAboveZero
    why: Annotated[Why, Field(description="What decided this award")]


class AwardSettled(Fact):
    """Money received covers this part of an award."""

    fact: Literal["award_settled"]
    award: AwardId
    amount: SumAboveZero


class AwardVoided(Fact):
    """This part of an award is no more; its money goes back to its pledge."""

    fact: Literal["award_voided"]
    award: AwardId
    amount: SumAboveZero
    settled: Annotated[Sum, Field(description="The part of `amount` that was settled")]


class Waiting(Fact):
    """What of a new pledge found no claim, and waits."""

    fact: Literal["waiting"]
    pledge: PledgeRef
    amount: SumAboveZero


class Released(Fact):
    """Unpaid money given back to the donor: the promise over this part has ended."""

    fact: Literal["released"]
    pledge: PledgeRef
    amount: SumAboveZero


class PaymentReceived(Fact):
    """*Added*: money that finds no award to settle must leave its trace as well."""

    fact: Literal["payment_received"]
    pledge: PledgeRef
    payment: Id
    amount: Annotated[Sum | None, Field(description="In the fund's currency; null while there is no rate")]
    face: Amount


class PaymentFailed(Fact):
    """A payment did not come; the pledge's unpaid part ends."""

    fact: Literal["payment_failed"]
    pledge: PledgeRef
    payment: Id
    reason: Code


class Refunded(Fact):
    """Paid money that waited was given back."""

    fact: Literal["refunded"]
    pledge: PledgeRef
    payment: Id
    amount: Amount


class RateQuoted(Fact):
    """What one unit of a currency is worth in the fund's, from now on."""

    fact: Literal["rate_quoted"]
    currency: Currency
    rate: Rate


class Duplicate(Fact):
    """The command was said before; it changes nothing."""

    fact: Literal["duplicate"]


class Rejected(Fact):
    """The command may not be; it changes nothing."""

    fact: Literal["rejected"]
    code: Annotated[RejectionCode, Field(description="Why the command was refused")]
    detail: Annotated[str, Field(max_length=512, description="What was wrong and where; ids only, never free text")]


FACTS: dict[str, type[Fact]] = {
    get_args(model.model_fields["fact"].annotation)[0]: model for model in Fact.__subclasses__()
}
"""The index of facts: name → model."""

if TYPE_CHECKING:
    AnyFact = Fact
else:
    AnyFact = Annotated[Union[tuple(FACTS.values())], Field(discriminator="fact")]  # noqa: UP007 - made from the index
    """Any of them, told apart by `fact`."""
