"""Facts: what the matcher decided, in the order in which it happened. The ledger is made of nothing else.

State is a fold over facts, so a fact carries all that the fold needs. Amounts are in the fund's minor units unless named `face`
(the pledge's own currency). In a tick's entry each fact also names its `fund`. Fields beyond the contract's table are marked *added*.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.values import (
    Access,
    Amount,
    AmountOrZero,
    Class,
    Code,
    Currency,
    Designation,
    Fallback,
    Id,
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
    Thanks,
    Time,
    Weights,
)

AwardId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}(#[1-9][0-9]{0,5})?/[1-9][0-9]*$", description="`<pledge>/<n>`")
]
RejectionCode = Literal[
    "unknown_fund", "unknown_case", "unknown_pledge", "id_conflict", "case_closed", "case_not_open", "exceeds_settled",
    "goal_below_delivered", "goal_below_own_contribution", "already_expired", "pledge_closed", "currency_fixed",
    "not_refundable", "unreadable",
]  # fmt: skip


class Fact(Model):
    """Base of every fact."""

    fund: Annotated[Id | None, Field(description="Only in a tick's entry, and in `fund_configured`")] = None


class Why(Model):
    """What decided an award, as the claimant (a beneficiary's open cases of one class) stood at its first money.

    `key` is the least key of all claimants of the highest class with a claim left; `before` and `after` are the claimant's awarded
    money around this award; `claim` is the claimant's claim.
    """

    class_: Annotated[Class, Field(alias="class")]
    key: Sum
    before: Sum
    after: Sum
    claim: Sum


class FundConfigured(Fact):
    fact: Literal["fund_configured"]
    currency: Currency
    rule: Rule
    share: int
    weights: Weights
    ageing_days: int
    deadline_hours: int
    vouchers_required: int


class CaseSubmitted(Fact):
    fact: Literal["case_submitted"]
    case: Id
    beneficiary: Pseudonym
    need: Need
    route: Route
    goal: Amount
    own_contribution: AmountOrZero
    priority: Priority
    needed_by: Annotated[Time | None, Field(description="*added*, if given")] = None
    recurrence: Annotated[Recurrence | None, Field(description="*added*, if given")] = None
    access: Annotated[Access | None, Field(description="*added*, if given")] = None


class CaseVouched(Fact):
    fact: Literal["case_vouched"]
    case: Id
    voucher: Pseudonym


class CaseOpened(Fact):
    fact: Literal["case_opened"]
    case: Id
    claim: Sum
    class_: Annotated[Class, Field(alias="class")]


class CaseEscalated(Fact):
    fact: Literal["case_escalated"]
    case: Id
    from_: Annotated[Class, Field(alias="from")]
    to: Class
    why: Literal["age", "deadline", "policy"]


class CaseAmended(Fact):
    fact: Literal["case_amended"]
    case: Id
    claim: Sum
    class_: Annotated[Class, Field(alias="class")]
    goal: Annotated[Amount | None, Field(description="*added*: the new goal, if it changed")] = None
    priority: Annotated[Priority | None, Field(description="*added*: the new priority, if it changed")] = None
    needed_by: Annotated[Time | None, Field(description="*added*: the new time, if it changed")] = None


class CaseRenewed(Fact):
    fact: Literal["case_renewed"]
    case: Id
    claim: Sum
    period: Annotated[int, Field(ge=2, description="Number of the period that begins; the opening began period 1")]
    class_: Annotated[Class, Field(alias="class", description="*added*: the class, since ageing starts anew")]


class CaseDelivered(Fact):
    fact: Literal["case_delivered"]
    case: Id
    delivery: Id
    amount: Amount


class CaseThanked(Fact):
    fact: Literal["case_thanked"]
    case: Id
    thanks: Thanks


class CaseClosed(Fact):
    fact: Literal["case_closed"]
    case: Id
    outcome: Outcome


class CaseFunded(Fact):
    fact: Literal["case_funded"]
    case: Id
    claim: Sum


class PledgeAccepted(Fact):
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
    fact: Literal["pledge_instalment"]
    pledge: PledgeRef
    donor: Pseudonym
    amount: Annotated[Sum | None, Field(description="null while there is no rate")]
    face: Amount
    currency: Currency
    rate: Rate | None
    of: Id


class PledgeRaised(Fact):
    fact: Literal["pledge_raised"]
    pledge: PledgeRef
    amount: Annotated[Sum, Field(description="By how much: an excess paid, or the whole once its rate is known")]
    rate: Annotated[Rate | None, Field(description="*added*: the rate, where the pledge waited for one")] = None


class PledgeWithdrawn(Fact):
    fact: Literal["pledge_withdrawn"]
    pledge: PledgeRef


class PledgeExpired(Fact):
    fact: Literal["pledge_expired"]
    pledge: PledgeRef


class PledgeSettled(Fact):
    fact: Literal["pledge_settled"]
    pledge: PledgeRef


class Awarded(Fact):
    fact: Literal["awarded"]
    award: AwardId
    pledge: PledgeRef
    case: Id
    amount: Amount
    why: Why


class AwardSettled(Fact):
    fact: Literal["award_settled"]
    award: AwardId
    amount: Amount


class AwardVoided(Fact):
    fact: Literal["award_voided"]
    award: AwardId
    amount: Amount
    settled: Annotated[Sum, Field(description="The part of `amount` that was settled")]


class Waiting(Fact):
    fact: Literal["waiting"]
    pledge: PledgeRef
    amount: Amount


class Released(Fact):
    fact: Literal["released"]
    pledge: PledgeRef
    amount: Amount


class PaymentReceived(Fact):
    """*Added*: money that finds no award to settle must leave its trace as well."""

    fact: Literal["payment_received"]
    pledge: PledgeRef
    payment: Id
    amount: Annotated[Sum | None, Field(description="In the fund's currency; null while there is no rate")]
    face: Amount


class PaymentFailed(Fact):
    fact: Literal["payment_failed"]
    pledge: PledgeRef
    payment: Id
    reason: Code


class Refunded(Fact):
    fact: Literal["refunded"]
    pledge: PledgeRef
    payment: Id
    amount: Amount


class RateQuoted(Fact):
    fact: Literal["rate_quoted"]
    currency: Currency
    rate: Rate


class Duplicate(Fact):
    fact: Literal["duplicate"]


class Rejected(Fact):
    fact: Literal["rejected"]
    code: RejectionCode
    detail: Annotated[str, Field(max_length=512, description="What was wrong and where; ids only, never free text")]


FACTS: dict[str, type[Fact]] = {
    model.model_fields["fact"].annotation.__args__[0]: model  # type: ignore[union-attr]  # a Literal has __args__
    for model in Fact.__subclasses__()
}
"""The index of facts: name → model."""
