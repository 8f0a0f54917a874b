"""Senders: who may send what. One value on `pumasi.senders.v1` for each, under its name; the newest counts.

A scope is a right over some commands, in the funds that are named, or in all. `SCOPE_OF` is the whole table. A sender without
keys is revoked. Its name stays taken, since what it sent is known by that name.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from schemas.submissions import SUBMISSIONS, Box
from schemas.values import Id, Model, Time, nobodys

Scope = Literal["funds", "cases", "vouch", "pledges", "payments", "deliveries", "read"]
FOR_NO_COMMAND: frozenset[Scope] = frozenset({"read"})
"""Scopes that let a sender send nothing. The contract names `read`, for doors that tell something by a key. There is none yet: a
receipt is a secret itself. So who has no other scope can do nothing."""
NAME = r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"
SENDER_TYPE = "pumasi.sender"
ANYONE = "anyone"
"""The sender where keys are switched off; no other has this name."""
KEYS_MAX = 2
"""Keys of a sender that count at once: a new one, and the one before it."""

SCOPE_OF: dict[str, Scope] = {
    "pumasi.fund.configured": "funds",
    "pumasi.rate.quoted": "funds",
    "pumasi.case.submitted": "cases",
    "pumasi.case.amended": "cases",
    "pumasi.case.thanked": "cases",
    "pumasi.case.closed": "cases",
    "pumasi.case.vouched": "vouch",
    "pumasi.pledge.made": "pledges",
    "pumasi.pledge.withdrawn": "pledges",
    "pumasi.payment.received": "payments",
    "pumasi.payment.failed": "payments",
    "pumasi.payment.refunded": "payments",
    "pumasi.case.delivered": "deliveries",
}
"""The scope that each submission asks for."""
assert SCOPE_OF.keys() == SUBMISSIONS.keys(), "what has no scope anybody might send"


def _nobody_else(name: str) -> str:
    if name == ANYONE:
        raise ValueError("stands for all whose name is not asked")
    return nobodys(name)


SenderName = Annotated[
    str,
    Field(pattern=rf"^{NAME}$", description="The sender's name: 1–32 of a–z, 0–9 and -"),
    AfterValidator(_nobody_else),
]


class SenderKey(Model):
    """What proves a sender, at either door: only a hash and a sealed box of it."""

    made: Annotated[Time, Field(description="When")]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the bearer key, hexadecimal")]
    secret: Annotated[Box, Field(description="The signing secret, sealed for intake's public key")]


class Sender(Model):
    """A sender, and what it may send."""

    sender: SenderName
    scopes: Annotated[list[Scope], Field(min_length=1, description="What it may send")]
    funds: Annotated[list[Id] | None, Field(min_length=1, max_length=1000, description="Where; null: in all funds")]
    keys: Annotated[list[SenderKey], Field(max_length=KEYS_MAX, description="The newest last; none: it is revoked")]
