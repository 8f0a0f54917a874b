"""Receipts: where a command lies, in a form that only intake can make.

A receipt is stateless: partition, offset and a short MAC, 22 characters of base64url. So it outlives restarts, and every intake process
with the same key reads it. Guessing one is as likely as guessing 64 bits.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from hashlib import blake2b
from typing import NamedTuple

_MAC_BYTES = 8
_TEXT = re.compile(r"^[A-Za-z0-9_-]{22}$")
_PLACE = re.compile(r"([0-9]{1,9})-([0-9]{1,19})")


class Place(NamedTuple):
    """Where a command lies on the commands topic, or a record on another; as text `<partition>-<offset>`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}-{self.offset}"

    @classmethod
    def of(cls, text: str) -> Place | None:
        """The place that a text names, or None if it names none."""
        found = _PLACE.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None


class Receipts:
    """Writes and reads receipts. `key`: this installation's key; the MAC's own is derived from it."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(b"receipts", digest_size=32, key=key, person=b"pumasi-receipt").digest()

    def write(self, place: Place) -> str:
        """The receipt of a place."""
        body = place.partition.to_bytes(2, "big") + place.offset.to_bytes(6, "big")
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def read(self, text: str) -> Place | None:
        """The place that a receipt names, or None if it is no receipt of ours."""
        if not _TEXT.fullmatch(text):
            return None
        try:
            raw = base64.urlsafe_b64decode(text + "==")
        except (binascii.Error, ValueError):
            return None
        body = raw[:-_MAC_BYTES]
        if not hmac.compare_digest(raw[-_MAC_BYTES:], self._mac(body)) or self._text_of(raw) != text:
            return None
        return Place(int.from_bytes(body[:2], "big"), int.from_bytes(body[2:], "big"))

    @staticmethod
    def _text_of(raw: bytes) -> str:
        """The one text of these bytes; base64 has spare bits in its last character."""
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def _mac(self, body: bytes) -> bytes:
        return blake2b(body, digest_size=_MAC_BYTES, key=self._key).digest()
