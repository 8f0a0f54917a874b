"""Notices: what is told to whom, in which words; on the topic also when, through what, with what outcome.

`Tidings` is what is to be told, a pure function of the ledger. `Notice` adds the words, in the language of whoever is told, and is
the one shape that both ways out carry: a webhook gets it as `data` (`Posted`), and `pumasi.notices.v1` has it as value, with what came
of telling it. Both name people by pseudonym only, and never two people: a donor's notice holds no case, beneficiary or voucher; a
go-between's holds no pledge or donor. What was promised, settled and delivered stands in fields of its own and is never added up.

There is no free text on the bus: `text` is made of the other fields. Words of thanks that came sealed stand in a webhook's `text`; the
topic's says only that there were thanks. `services/notifier/README.md` tells all of this to whoever receives notices.

The `id` is derived from the entry and the recipient, so a notice told twice (a crash, another owner of the partition) has one id both
times, and a receiver can drop the second. It is the CloudEvent's `ce_id` and the webhook's `webhook-id`.

What a receiver may rely on: one person's notices of one fund first come in the ledger's order (by the number in `entry`; of one
entry as the story goes: `matched` before its `payment-due`), each once the one before was accepted or given up. Nothing is
promised between people or between funds. After a crash the last ones may come again, in the same order.
"""

from hashlib import blake2b
from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.submissions import Language
from schemas.values import (
    ID_PATTERN,
    Amount,
    Class,
    Currency,
    Digits,
    Id,
    Instant,
    Model,
    Need,
    PledgeRef,
    Pseudonym,
    Sum,
    SumAboveZero,
    Thanks,
)

NOTICE_TYPE: Final = "pumasi.notice.told"
TEXT_MAX: Final = 1 << 16
"""The longest text, in characters: a match of every kind of need, class and reason has words within half of it."""
ADDRESS_MAX: Final = 1024
"""The longest address, in characters; those that intake takes are far shorter."""

Role = Literal["donor", "go-between", "beneficiary"]
DonorKind = Literal[
    "matched", "payment-due", "settled", "delivered", "thanks", "released", "refunded", "forgetting", "forgotten"
]
CaseKind = Literal["opened", "progress", "delivered", "forgetting", "forgotten"]
Kind = Literal[
    "matched", "payment-due", "settled", "delivered", "thanks", "released", "refunded", "opened", "progress", "forgetting",
    "forgotten",
]  # fmt: skip
Reason = Literal["least-served", "least-served-of-need", "oldest", "oldest-of-need", "floor", "floor-of-need", "chosen"]
Channel = Literal["terminal", "webhook", "none"]
NoticeOutcome = Literal["delivered", "failed", "gave-up", "suppressed"]
Percent = Annotated[int, Field(ge=25, le=100, multiple_of=25)]  # as a Literal it would take 50.0


class Match(Model):
    """Where a part of a pledge went: to `cases` needs of one kind, one class, for one reason. Never which."""

    need: Annotated[Need, Field(description="The kind of need")]
    class_: Annotated[Class, Field(alias="class", description="The class in which the need was served")]
    why: Annotated[
        Reason,
        Field(
            description="`least-served`: of its class; `oldest`: of all, under first-come/1; `floor`: begun with its floor, under "
            "guaranteed-floor/1; with `-of-need`: among the need the donor designated; `chosen`: the very case the donor designated"
        ),
    ]
    cases: Annotated[int, Field(ge=1, description="How many needs")]
    amount: Annotated[SumAboveZero, Field(description="Promised to them by this entry")]


class Tidings(Model):
    """What one entry of the ledger has to say to one person, about one pledge or one case.

    To a donor, amounts are of this entry and this pledge alone, except in `payment-due`. To a beneficiary or go-between, what is given
    for the case is told as `percent`; in `delivered` the beneficiary alone hears this entry's sum. All are in the fund's minor units,
    except those named `face`.
    """

    id: Annotated[str, Field(pattern=ID_PATTERN, description="The same whenever this is told; see `notice_id`")]
    kind: Annotated[Kind, Field(description="What is told")]
    to: Annotated[Pseudonym, Field(description="Who is told")]
    role: Annotated[Role, Field(description="As what")]
    fund: Annotated[Id, Field(description="The fund it happened in")]
    currency: Annotated[Currency, Field(description="The fund's, of all amounts that are not named `face`")]
    digits: Annotated[Digits | None, Field(description="Of `currency`. Every new notice has them")] = None
    urgency: Annotated[
        Class | None,
        Field(
            description="How soon it should reach them. To a beneficiary or go-between, of what becomes of the case: its class by "
            "now. In `matched` and `payment-due`: the highest class that the entry matched the pledge to. Else `routine`. Every new "
            "notice has it"
        ),
    ] = None
    entry: Annotated[str, Field(pattern=r"^[0-9]+-[1-9][0-9]*$", description="The entry told of: `<partition>-<seq>`")]
    at: Annotated[Instant, Field(description="The day on which it happened, as its first instant in UTC")]
    case: Annotated[Id | None, Field(description="Never to a donor")] = None
    pledge: Annotated[
        PledgeRef | None, Field(description="Only to its donor; in `thanks` the donor's oldest there")
    ] = None
    need: Annotated[Need | None, Field(description="The kind of need, where there is one alone")] = None
    class_: Annotated[Class | None, Field(alias="class", description="In `opened`: the class the case begins in")] = (
        None
    )
    matches: Annotated[tuple[Match, ...], Field(description="In `matched`: where the money goes and why")] = ()
    again: Annotated[bool, Field(description="In `matched`: by the same entry the pledge lost an earlier match")] = (
        False
    )
    percent: Annotated[
        Percent | None,
        Field(
            description="The quarters of the claim that are promised (in `progress`), or handed over by now (in `delivered` to a "
            "beneficiary or go-between; none below the first)"
        ),
    ] = None
    claim: Annotated[Sum | None, Field(description="To a beneficiary or go-between: what the case asks for")] = None
    promised: Annotated[
        Sum | None,
        Field(description="In `matched`: matched; in `payment-due`: the whole pledge"),
    ] = None
    settled: Annotated[Sum | None, Field(description="Promised money that was paid")] = None
    delivered: Annotated[Sum | None, Field(description="Paid money that was handed over; never to a go-between")] = None
    released: Annotated[SumAboveZero | None, Field(description="Unpaid money the donor need not pay any more")] = None
    refunded: Annotated[SumAboveZero | None, Field(description="Paid money given back")] = None
    due: Annotated[SumAboveZero | None, Field(description="Matched and not yet paid, after this entry")] = None
    face_due: Annotated[Amount | None, Field(description="`due` in minor units of the pledge's own currency")] = None
    face_promised: Annotated[
        Amount | None, Field(description="In `payment-due`: the whole pledge in minor units of its own currency")
    ] = None
    face_currency: Annotated[Currency | None, Field(description="The pledge's own, if not the fund's")] = None
    face_digits: Annotated[Digits | None, Field(description="Of `face_currency`, wherever that is")] = None
    thanks: Annotated[Thanks | None, Field(description="A phrase's code, or the id of a sealed text")] = None
    forgotten_on: Annotated[
        Instant | None,
        Field(
            description="In `forgetting`: the day on which it is forgotten how they are reached, as its first instant"
        ),
    ] = None


class Notice(Tidings):
    """Tidings in words. The last four members say what came of telling them: all stand on the topic, and none in a webhook."""

    language: Annotated[
        Language | None, Field(description="The recipient's, as far as it is known. Every new notice has it")
    ] = None
    text: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=TEXT_MAX,
            description="What to say to the recipient, in `language`: plain text, made of the other members in one line. Only a "
            "webhook's `thanks` may hold somebody's own words, as they are. Every new notice has it",
        ),
    ] = None
    told_at: Annotated[
        Instant | None,
        Field(description="The day on which it was known what came of it, as its first instant in UTC"),
    ] = None
    channel: Annotated[Channel | None, Field(description="By which way it was told; `none` if there was none")] = None
    outcome: Annotated[
        NoticeOutcome | None,
        Field(
            description="`delivered`: taken; `failed`: refused, or never sent since it must not be; `gave-up`: out of reach for all "
            "attempts; `suppressed`: there was no channel"
        ),
    ] = None
    attempts: Annotated[int | None, Field(ge=0, description="How often it was tried")] = None

    def wire(self) -> bytes:
        """The value as it goes on the topic: JSON without the members that say nothing."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True).encode()


class Posted(Model):
    """What a webhook is sent: a notice, wrapped and signed as Standard Webhooks has it."""

    type: Annotated[Literal["pumasi.notice.told"], Field(description="Always this")]
    timestamp: Annotated[Instant, Field(description="The notice's `at`: a day")]
    data: Annotated[Notice, Field(description="The notice, without what came of telling it")]
    address: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=ADDRESS_MAX,
            description="Where the recipient is reached, such as `mailto:…`: only with PUMASI_WEBHOOK_ADDRESSES=1, and of whom there "
            "is a contact. Beside the notice and not in it, since it never stands on the bus",
        ),
    ] = None

    def wire(self) -> str:
        """The body, from which the signature is made."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True)


def notice_id(entry: str, fund: str, to: str, role: Role, kind: Kind, about: str) -> str:
    """The id of a notice, 32 hex digits: the same for the same entry, recipient and matter, whenever and by whomever it is told.

    Args:
        entry: `<partition>-<seq>`; a tick's speaks of many funds.
        to: the recipient's pseudonym.
        about: the pledge or the case.
    """
    return blake2b("\n".join((entry, fund, to, role, kind, about)).encode(), digest_size=16).hexdigest()


def notice_headers(notice: Notice, time: str) -> dict[str, str]:
    """The record's headers: a CloudEvent in binary mode. `time` is RFC 3339, the day on which it was told."""
    return {
        "ce_specversion": "1.0",
        "ce_id": notice.id,
        "ce_source": "/pumasi/notifier",
        "ce_type": NOTICE_TYPE,
        "ce_time": time,
        "content-type": "application/json",
    }
