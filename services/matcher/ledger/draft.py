"""A draft: answers decided in memory and not on the ledger yet.

It holds what the next entry is linked to. Once its entries are appended, what it says of number, hash and watermark is true of the
ledger; until then it is thrown away with the memory whose decisions it holds.

Where that is compiled, entries come without their hashes: these are filled in behind (`services.native.chain`), by a thread, while the
next answers are decided. Nobody sees an entry before its hash is there, and whoever asks for `hash` waits for it.
"""

from __future__ import annotations

from functools import lru_cache

from schemas.ledger import link
from services.bus.client.record_batch import HeaderForm, Row, row, sized, varint
from services.bus.envelope import entry_form

try:
    from services.native.chain import Links
except ImportError:  # not compiled
    Links = None

_HASH = b',"hash":"' + b"0" * 64 + b'"}'
"""What closes an entry, its digits to be filled in."""


class Portion:
    """Some rows, and the links that may still be filled in within them."""

    __slots__ = ("_links", "_rows")

    def __init__(self, rows: list[Row], links: Links | None) -> None:
        self._rows, self._links = rows, links

    def __len__(self) -> int:
        return len(self._rows)

    def linked(self) -> list[Row]:
        """The rows, once each is linked to the one before it; waits until the last hash is filled in."""
        if self._links is not None:
            self._links.hash()
        return self._rows


class Draft:
    """Entries in the making, of one partition.

    Attributes:
        seq, hash, watermark: of the last answer: its last entry's number and 32 hash bytes, and its command's offset.
        bytes: how large the values of all entries are together, taken or not.
    """

    __slots__ = ("_form", "_hash", "_links", "_prefix", "_rows", "bytes", "seq", "watermark")

    def __init__(self, partition: int, seq: int, digest: bytes, watermark: int) -> None:
        self.seq, self._hash, self.watermark = seq, digest, watermark
        self._rows: list[Row] = []
        self._links: Links | None = None  # to be filled in; `_hash` is true if there are none
        self.bytes = 0
        self._form, self._prefix = entry_form(), b"%d-" % partition

    @property
    def hash(self) -> bytes:
        """See above."""
        if self._links is not None:
            links, self._links = self._links, None
            self._hash = links.hash()
        return self._hash

    def add(self, fund: str | None, time: str, bodies: list[bytes], offset: int, trace: bytes | None = None) -> None:
        """Take in an answer.

        Args:
            fund: the entries' key, or None.
            time: their `at`, RFC 3339.
            bodies: the value of each without its `hash`, in order.
            offset: of the command.
            trace: its `traceparent`.
        """
        at, form = time.encode(), self._form if trace is None else entry_form(trace)
        for body in bodies:
            self.seq += 1
            self._rows.append(self._linked(fund, body, self._prefix + b"%d" % self.seq, at, form))
            self.bytes += len(body) + len(_HASH) - 1
        self.watermark = offset

    def taken(self) -> Portion:
        """The rows so far, as records of the ledger; they are the taker's from now on."""
        rows, self._rows = self._rows, []
        links = self._links
        if links is not None:
            links.hand_over()
            if rows:
                self._links = Links(links)
        return Portion(rows, links)

    def _linked(self, fund: str | None, body: bytes, name: bytes, time: bytes, form: HeaderForm) -> Row:
        """An entry's row, its hash filled in or left to be; `name` is its `ce_id`."""
        if Links is None:
            value, self._hash = link(self._hash, body)
            return row(None if fund is None else fund.encode(), value, form.filled(name, time))
        if self._links is None:
            self._links = Links(self._hash)
        key, length = _key(fund), varint(len(body) + len(_HASH) - 1)
        first, between, last = form.parts
        made = b"".join((key, length, body[:-1], _HASH, first, sized(name), between, sized(time), last))
        self._links.add(made, len(key) + len(length), len(body) - 1)
        return made


@lru_cache(maxsize=65536)
def _key(fund: str | None) -> bytes:
    return sized(None if fund is None else fund.encode())
