"""Receipts: where a command lies, in a form that only intake can make.

A receipt is stateless: partition, offset and a short MAC, 22 characters of base64url. So it outlives restarts, and every intake process
with the same key reads it. Guessing one is as likely as guessing 64 bits.
"""

from __future__ import annotations

import base64
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
        mac = blake2b(body, digest_size=_MAC_BYTES, key=self._key).digest()
        return base64.urlsafe_b64encode(body + mac).decode().rstrip("=")

    def read(self, text: str) -> Place | None:
        """The place that a receipt names, or None if it is no receipt of ours: the one text that we would write for that place."""
        if not _TEXT.fullmatch(text):
            return None
        raw = base64.urlsafe_b64decode(text + "==")
        place = Place(int.from_bytes(raw[:2], "big"), int.from_bytes(raw[2:-_MAC_BYTES], "big"))
        return place if hmac.compare_digest(self.write(place), text) else None
