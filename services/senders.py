"""What proves a sender: a bearer key over HTTP, a signature on the topic.

A bearer key is `pumasi_<sender>_<secret>_<checksum>`: the sender's name, 256 random bits, and a CRC-32 of all before, so that a
mistyped or cut key is recognised as one, and a scanner finds one that leaked. It is shown once; what is kept is its SHA-256,
which is enough for so many random bits. A signature is Standard Webhooks' `v1`, HMAC-SHA256 over id, time and body under a secret
of its own, since a reader of the topic must not learn how to send. A record may lie on the topic for long, so a signature has no
age.

A key and a secret are made and renewed together. The new ones and those before them count until the old are revoked, or renewed again.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import time
import zlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from nacl.public import PublicKey, SealedBox

from schemas.senders import KEYS_MAX, NAME, Scope, Sender, SenderKey
from schemas.times import datetime_of
from services import keys
from services.settings import Settings

STRUCTURED = "application/cloudevents+json"
SENDER_HEADER = "pumasi-sender"
ID_HEADER, TIME_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
_VERSION = "v1,"
_PREFIX = "whsec_"
_SECRET_BYTES = 32
_TOLD = re.compile(rf"pumasi_({NAME})_([a-z2-7]{{52}})_([a-z2-7]{{7}})")
SIGNATURES_MAX = 4
"""Signatures looked at in one header; a sender that renews its secret sends two."""


class Mistyped(ValueError):
    """A bearer key whose checksum is not its own: mistyped, or cut."""


class Issued(NamedTuple):
    """A sender, and what is told of its newest key this once.

    Attributes:
        sender: as it stands on the topic.
        key: the bearer key.
        secret: the signing secret, as Standard Webhooks writes one.
    """

    sender: Sender
    key: str
    secret: str


def bearer_file(settings: Settings) -> Path:
    """Where this machine's own bearer key lies."""
    return keys.directory(settings) / "bearer"


def issue(
    name: str, scopes: Sequence[Scope], funds: Sequence[str] | None, intake: PublicKey, before: Sequence[SenderKey] = ()
) -> Issued:
    """A sender with a new key beside the newest of those `before`; `intake` is whom its secret is sealed for."""
    key, secret = _key_of(name), secrets.token_bytes(_SECRET_BYTES)
    made = SenderKey(
        made=datetime_of(time.time_ns() // 1_000_000_000 * 1_000_000),
        hash=hash_of(key).hex(),
        secret=base64.b64encode(SealedBox(intake).encrypt(secret)).decode(),
    )
    keys = [*before, made][-KEYS_MAX:]
    sender = Sender(sender=name, scopes=list(scopes), funds=None if funds is None else list(funds), keys=keys)
    return Issued(sender, key, _PREFIX + base64.b64encode(secret).decode())


def renewed(sender: Sender, intake: PublicKey) -> Issued:
    """The sender with one key more; of those before it, the newest goes on counting."""
    return issue(sender.sender, sender.scopes, sender.funds, intake, sender.keys)


def _key_of(name: str) -> str:
    told = f"pumasi_{name}_{_base32(secrets.token_bytes(32))}"
    return f"{told}_{_checksum(told)}"


def hash_of(key: str) -> bytes:
    """What is kept of a bearer key."""
    return sha256(key.encode()).digest()


def sender_of(key: str) -> str | None:
    """Whose bearer key a text says it is; None if it is none.

    Raises:
        Mistyped: if its checksum is another's.
    """
    told = _TOLD.fullmatch(key)
    if told is None:
        return None
    if _checksum(key[: told.end(2)]) != told[3]:
        raise Mistyped
    return told[1]


def _checksum(told: str) -> str:
    return _base32(zlib.crc32(told.encode()).to_bytes(4, "big"))


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


# ---- signatures ------------------------------------------------------------------------------------------------------


def signed(name: str, secret: str, event: str, body: bytes) -> list[tuple[str, bytes]]:
    """The headers of a signed event on the topic.

    Args:
        secret: as `Issued` has it.
        body: the event in its JSON form, as it is sent.
    """
    now = str(int(time.time()))
    signature = _signature(base64.b64decode(secret.removeprefix(_PREFIX)), event.encode(), now.encode(), body)
    told = {
        "content-type": STRUCTURED,
        SENDER_HEADER: name,
        ID_HEADER: event,
        TIME_HEADER: now,
        SIGNATURE_HEADER: _VERSION + signature,
    }
    return [(header, value.encode()) for header, value in told.items()]


def is_signed(secrets_known: Sequence[bytes], event: bytes, at: bytes, told: bytes, body: bytes) -> bool:
    """Whether one of the signatures in a header is by one of these secrets; how long that takes tells nothing about them."""
    parts = told.decode("ascii", "replace").split(" ")[:SIGNATURES_MAX]
    made = [_VERSION + _signature(secret, event, at, body) for secret in secrets_known]
    found = [hmac.compare_digest(one.encode(), part.encode()) for one in made for part in parts]
    return any(found)


def _signature(secret: bytes, event: bytes, at: bytes, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, b".".join((event, at, body)), "sha256")).decode()
