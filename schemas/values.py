"""The small words of the contract: ids, amounts, currencies, times, periods, classes.

Money is an integer in the currency's minor unit, never a float. Times are UTC to the microsecond; on the wire RFC 3339 with `Z`.
Every value that comes from outside has a limit, so that no record can grow without bound. Sums (of payments, of periods, of money
converted) have none above: an honest one never nears 2**53, but an entry that tells of an absurd one must still be readable.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from schemas.currencies import DIGITS
from schemas.times import PERIOD_PATTERN, text_of_datetime

ID_PATTERN = r"^[A-Za-z0-9._~-]{1,64}$"
PLEDGE_PATTERN = r"^[A-Za-z0-9._~-]{1,64}(#[1-9][0-9]{0,6})?$"
AMOUNT_MAX = 2**53 - 1
"""The largest amount, in minor units: the largest integer every JSON reader keeps exactly."""

CLASSES = ("routine", "urgent", "asap", "stat")
"""FHIR's request priorities, least urgent first; the index is the rank."""


class Model(BaseModel):
    """Base of every shape on the wire: frozen, strict about types, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=True)


def _known_currency(code: str) -> str:
    if code not in DIGITS:
        raise ValueError("not an ISO 4217 currency with minor units")
    return code


def _above_zero(rate: str) -> str:
    if not rate.strip("0."):
        raise ValueError("a rate must be above zero")
    return rate


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC, beyond the years 1 to 9999") from None


Id = Annotated[str, Field(pattern=ID_PATTERN, description="1–64 characters of [A-Za-z0-9._~-]")]
Pseudonym = Annotated[str, Field(pattern=ID_PATTERN, description="Pseudonym of a person (keyed hash of the contact)")]
PledgeRef = Annotated[
    str, Field(pattern=PLEDGE_PATTERN, description="A pledge's id, or `<pledge>#<n>` for its n-th instalment")
]
Amount = Annotated[int, Field(ge=1, le=AMOUNT_MAX, description="Money in the currency's minor unit, above zero")]
AmountOrZero = Annotated[
    int, Field(ge=0, le=AMOUNT_MAX, description="Money in the currency's minor unit, zero or more")
]
Sum = Annotated[int, Field(ge=0, description="A sum of money in the fund's minor units")]
SumAboveZero = Annotated[int, Field(ge=1, description="A sum of money in the fund's minor units, above zero")]
Currency = Annotated[
    str,
    Field(
        pattern=r"^[A-Z]{3}$",
        description="ISO 4217 code of a currency with minor units",
        json_schema_extra={"enum": sorted(DIGITS)},  # type: ignore[dict-item]  # a list of strings is JSON
    ),
    AfterValidator(_known_currency),
]
Rate = Annotated[
    str,
    Field(
        pattern=r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$",
        description="Decimal string above zero: the fund's currency for one unit of the other, in major units",
        json_schema_extra={"not": {"pattern": "^[0.]*$"}},
    ),
    AfterValidator(_above_zero),
]
Time = Annotated[
    AwareDatetime,
    AfterValidator(_utc),
    PlainSerializer(text_of_datetime, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "RFC 3339, UTC"}),
]
Period = Annotated[str, Field(pattern=PERIOD_PATTERN, description="`P<n>D`, `P<n>W`, `P<n>M` or `P<n>Y`")]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$", description="A reason as a code; never free text")]
Thanks = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._~+/=:-]{1,8192}$",
        description="A phrase code, or a text sealed for the notifier (base64); never readable text",
    ),
]

Class = Literal["routine", "urgent", "asap", "stat"]
Priority = Class
Need = Literal[
    "treatment", "admission", "medication", "surgery", "test", "vaccine", "consultation", "psychosocial", "other"
]
Route = Literal["charity-hospital", "general-hospital", "clinic", "pharmacy", "go-between", "home"]
Outcome = Literal["completed", "withdrawn", "deceased", "duplicate"]
Fallback = Literal["pool", "hold", "release"]
Weights = Literal["equal", "claim"]
Rule = Literal["urgency-waterfill/1", "first-come/1", "guaranteed-floor/1"]
AccessStatus = Literal["registered", "temporary-residence", "family-register", "unregistered", "unknown"]


class Recurrence(Model):
    """A need or a gift that comes again: `{every: "P1M", times?}`.

    `times` counts all periods, the first included; without it the recurrence goes on until it is ended.
    """

    every: Period
    times: Annotated[int | None, Field(ge=1, le=100_000, description="Periods in all, the first included")] = None


class Access(Model):
    """Where care was sought and under which papers; for reporting refusals, never for eligibility."""

    province: Annotated[str, Field(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$", description="ISO 3166-2 code")]
    status: Annotated[AccessStatus, Field(description="Which papers the person had")]


class Designation(Model):
    """What a donor wants the pledge to go to: exactly one of a case or a kind of need."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["case"], "properties": {"case": {"type": "string"}, "need": {"type": "null"}}},
                {"required": ["need"], "properties": {"need": {"type": "string"}, "case": {"type": "null"}}},
            ]
        }
    )

    case: Annotated[Id | None, Field(description="The case it must go to")] = None
    need: Annotated[Need | None, Field(description="The kind of need it must go to")] = None

    def model_post_init(self, _context: object) -> None:
        """Hold the one-of rule.

        Raises:
            ValueError: if both or neither of `case` and `need` are given.
        """
        if (self.case is None) == (self.need is None):
            raise ValueError("give exactly one of case and need")
