"""The ledger's entries: their shape, their bytes, and the chain of hashes that ties each to all before it.

An entry's value is compact JSON with `hash` as its last member. The hash is BLAKE2b-256 over the previous entry's 32 hash bytes
(zeros before the first) followed by this value's bytes with `,"hash":"…"` cut out; so nobody can change, drop or insert an entry
without changing every later hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from pydantic import Field

from schemas.facts import AnyFact
from schemas.values import Id, Instant, Model

ENTRY_TYPE = "pumasi.ledger.entry"
ENTRY_BYTES_MAX = 512 * 1024
"""The largest entry, in bytes; a longer answer goes on in further entries."""
GENESIS = bytes(32)
"""What stands before the first entry's bytes in its hash."""
FACTS_MANY = 256  # fewer make one entry: a fact stays well under 2 KiB
_TAIL = len(b',"hash":""}') + 64
_MORE = b',"more":true'

encode = msgspec.json.encode
"""Compact JSON bytes; members keep their order."""


class Cause(Model):
    """The command an entry answers."""

    id: Annotated[str | None, Field(max_length=256, description="The command's `ce_id`; null if it could not be read")]
    type: Annotated[str | None, Field(max_length=64, description="The command's `ce_type`; null if it is not known")]
    offset: Annotated[int, Field(ge=0, description="The command's offset in its partition")]


class Entry(Model):
    """One entry of the ledger: all facts that one command brought about (or a part of them, see `more`)."""

    seq: Annotated[int, Field(ge=1, description="Per partition, from 1, without a gap")]
    fund: Annotated[Id | None, Field(description="null for a tick and for an unreadable record")]
    at: Annotated[Instant, Field(description="The fund's time (for a tick: the partition's) after the command")]
    cause: Annotated[Cause, Field(description="The command that this entry answers")]
    facts: Annotated[tuple[AnyFact, ...], Field(description="In the order in which they happened")]
    more: Annotated[bool, Field(description="true on all but the last entry of one command")] = False
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="BLAKE2b-256 of previous hash and this value")]

    @classmethod
    def read(cls, value: bytes) -> Entry:
        """Read an entry defensively, each fact by its own model.

        Raises:
            ValueError: if the bytes are not an entry of this contract.
        """
        return cls.model_validate_json(value)


def link(previous: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Close an entry: its value with the hash as last member, and the 32 hash bytes.

    Args:
        previous: the 32 hash bytes of the entry before, or `GENESIS`.
        body: the entry as JSON bytes without `hash`.
    """
    digest = blake2b(previous + body, digest_size=32)
    return body[:-1] + b',"hash":"' + digest.hexdigest().encode() + b'"}', digest.digest()


def check_link(previous: bytes, value: bytes) -> bytes | None:
    """The 32 hash bytes of an entry's value if its hash is right, else None."""
    body = value[:-_TAIL] + b"}"
    linked, digest = link(previous, body)
    return digest if linked == value else None


def entries(
    seq: int, previous: bytes, fund: str | None, at: str, cause: dict[str, Any], facts: Sequence[dict[str, Any]]
) -> Iterator[tuple[int, bytes, bytes]]:
    """The entries that one command's facts make (see `bodies`), tied to the 32 hash bytes before: `(seq, value, hash bytes)`.

    >>> cause = {"id": "e-1", "type": "pumasi.clock.ticked", "offset": 0}
    >>> [(_, value, _)] = entries(1, GENESIS, None, "2026-11-22T10:00:00Z", cause, [])
    >>> value[:68]
    b'{"seq":1,"fund":null,"at":"2026-11-22T10:00:00Z","cause":{"id":"e-1"'
    """
    for body in bodies(seq, fund, at, cause, facts):
        value, previous = link(previous, body)
        yield seq, value, previous
        seq += 1


def bodies(seq: int, fund: str | None, at: str, cause: dict[str, Any], facts: Sequence[dict[str, Any]]) -> list[bytes]:
    """The values of the entries that one command's facts make, but for their hashes: one, or more where one would pass 512 KiB.

    Args:
        seq: the number of the first entry.
        fund: None for a tick or an unreadable record.
        at: RFC 3339.
        cause: `{"id", "type", "offset"}`.
    """
    made: list[bytes] = []
    for part, more in parts(facts, cause):
        head = {"seq": seq + len(made), "fund": fund, "at": at, "cause": cause, "facts": part}
        made.append(encode(head | {"more": True} if more else head))
    return made


def parts(facts: Sequence[dict[str, Any]], cause: dict[str, Any]) -> Iterable[tuple[Sequence[dict[str, Any]], bool]]:
    """Facts as they go into entries: into one, or cut into several that stay under the limit; each with whether more come."""
    if len(facts) < FACTS_MANY:
        return ((facts, False),)
    return _cut(facts, 512 + len(encode(cause)))


def _cut(facts: Sequence[dict[str, Any]], envelope: int) -> Iterator[tuple[Sequence[dict[str, Any]], bool]]:
    """Cut facts into parts; `envelope` is a bound on all other bytes of an entry."""
    room, start, size = ENTRY_BYTES_MAX - envelope - _TAIL - len(_MORE), 0, 0
    for index, fact in enumerate(facts):
        length = len(encode(fact)) + 1
        if size + length > room and index > start:
            yield facts[start:index], True
            start, size = index, 0
        size += length
    yield facts[start:], False
