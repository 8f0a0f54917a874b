"""The small words of the contract: ids, amounts, currencies, times, periods, classes.

Money is an integer in the currency's minor unit, never a float. Times are UTC to the microsecond; on the wire RFC 3339 with `Z`.
Each word has one spelling: no number is taken from a text, no time from a number, no code with blanks around it.
Every value that comes from outside has a limit, so that no record can grow without bound. Sums (of payments, of periods, of money
converted) have none above: an honest one never nears 2**53, but an entry that tells of an absurd one must still be readable.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.currencies import DIGITS
from schemas.numbers import holds_number
from schemas.provinces import PROVINCE_PATTERN, province_now
from schemas.times import PERIOD_PATTERN, datetime_of, parse, parse_given, text_of_datetime

ID_PATTERN = r"^[A-Za-z0-9._~-]{1,64}$"
PLEDGE_PATTERN = r"^[A-Za-z0-9._~-]{1,64}(#[1-9][0-9]{0,6})?$"
HASH_PATTERN = r"~[a-z2-7]{26}"
PERSON_SENT_PATTERN = r"^[A-Za-z0-9._-][A-Za-z0-9._~-]{0,63}$"
ACCESS_BOX_PATTERN = r"^[A-Za-z0-9+/]{160}$"
PHRASES = ("thank-you", "recovering", "not-alone", "blessing")
THANKS_PATTERN = rf"^({'|'.join(PHRASES)}|{HASH_PATTERN})$"
AMOUNT_MAX = 2**53 - 1
"""The largest amount, in minor units: the largest integer every JSON reader keeps exactly."""

SCHEMES = ("mailto", "tel", "sms", "signal", "whatsapp", "tgram", "matrix", "wechat", "kakaotalk", "https")
"""Schemes by which an address may reach somebody (`services.intake.recipients`); an operator may allow fewer."""
CLASSES = ("routine", "urgent", "asap", "stat")
"""FHIR's request priorities, least urgent first; the index is the rank."""


NOBODYS = "must hold no number by which somebody could be called"
_TIME_WANTED = "must be an RFC 3339 time with an offset, such as 2026-11-22T10:00:00Z, in the years 2000 to 2199"


class Model(BaseModel):
    """Base of every shape on the wire: frozen, strict about types, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=True, defer_build=True)


def _known_currency(code: str) -> str:
    if code not in DIGITS:
        raise PydanticCustomError("unknown_currency", "must be an ISO 4217 currency with minor units")
    return code


def _above_zero(rate: str) -> str:
    if not rate.strip("0."):
        raise PydanticCustomError("below_minimum", "must be above zero")
    return rate


def _time_by(read: Callable[[str], int]) -> Callable[[object], datetime]:
    """A validator that takes what `read` takes, and from our own code a datetime that could be read back."""

    def time(given: object) -> datetime:
        text = given.isoformat() if isinstance(given, datetime) else given
        if isinstance(text, str):
            try:
                return datetime_of(read(text))
            except ValueError:
                pass
        raise PydanticCustomError("invalid_time", _TIME_WANTED)

    return time


def nobodys(word: str) -> str:
    """The word, unless it holds somebody's number. What follows a `#` counts instalments, and says nothing of anybody.

    Raises:
        PydanticCustomError: `looks_like_contact`, as a model's validator raises it.
    """
    if holds_number(word.partition("#")[0]):
        raise PydanticCustomError("looks_like_contact", NOBODYS)
    return word


Id = Annotated[
    str,
    Field(pattern=ID_PATTERN, description="1–64 characters of [A-Za-z0-9._~-]; nobody's number"),
    AfterValidator(nobodys),
]
Pseudonym = Annotated[
    str,
    Field(pattern=ID_PATTERN, description="Pseudonym of a person (keyed hash of the contact); nobody's number"),
    AfterValidator(nobodys),
]
PersonSent = Annotated[
    str,
    Field(
        pattern=PERSON_SENT_PATTERN,
        description="A person by a word of the sender's own; none begins with `~`, as those do that are made of contacts",
    ),
    AfterValidator(nobodys),
]
Mark = Annotated[
    str,
    Field(
        pattern=rf"^{HASH_PATTERN}$",
        description="Keyed hash of fund, case and contact: who vouches for themselves is known by it, and nobody elsewhere",
    ),
]
PledgeRef = Annotated[
    str,
    Field(pattern=PLEDGE_PATTERN, description="A pledge's id, or `<pledge>#<n>` for its n-th instalment"),
    AfterValidator(nobodys),
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
        json_schema_extra={"enum": sorted(DIGITS)},
    ),
    AfterValidator(_known_currency),
]
Digits = Annotated[
    int, Field(ge=0, le=4, description="Digits of the currency after the decimal point: with 2, 5000 is 50.00")
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
    datetime,
    PlainValidator(_time_by(parse_given)),
    PlainSerializer(text_of_datetime, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "description": "RFC 3339, UTC, in the years 2000 to 2199"}
    ),
]
"""A time that somebody gave."""
Instant = Annotated[
    datetime,
    PlainValidator(_time_by(parse)),
    PlainSerializer(text_of_datetime, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "RFC 3339, UTC"}),
]
"""When something of ours happened; it may be 1970 (see `schemas.times`)."""
Period = Annotated[str, Field(pattern=PERIOD_PATTERN, description="`P<n>D`, `P<n>W`, `P<n>M` or `P<n>Y`")]
Code = Annotated[
    str,
    Field(
        pattern=ID_PATTERN,
        description="A reason by a word of the sender's own, such as `card-declined`: 1–64 characters of [A-Za-z0-9._~-]; "
        "never free text",
    ),
    AfterValidator(nobodys),
]
Thanks = Annotated[
    str,
    Field(pattern=THANKS_PATTERN, description="A phrase's code, or the id of a sealed text on the contacts topic"),
]

Province = Annotated[
    str,
    Field(
        pattern=PROVINCE_PATTERN,
        description="ISO 3166-2 code, one of today's; of China and Korea a retired one is read as what it is now",
    ),
    AfterValidator(province_now),
]

AccessBox = Annotated[
    str,
    Field(
        pattern=ACCESS_BOX_PATTERN,
        description="Where care was sought and under which papers: base64 of a NaCl sealed box for the reporter's key, always as long",
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

    province: Province
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
            PydanticCustomError: if both or neither of `case` and `need` are given.
        """
        if (self.case is None) == (self.need is None):
            raise PydanticCustomError("one_of", "must have exactly one of case and need")
