"""A draft: answers decided in memory and not on the ledger yet.

It holds what the next entry is linked to. Once its entries are appended, what it says of number, hash and watermark is true of the
ledger; until then it is thrown away with the memory whose decisions it holds.

Where it is compiled, the entries of plain pledges come without their hashes: these are filled in behind (`services.native.chain`), by a
thread, while the next answers are decided. Nobody sees an entry before its hash is there, and whoever asks for `hash` waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.bus.client.record_batch import Row, row
from services.bus.envelope import entry_form
from services.matcher.ledger.answer import Answer

if TYPE_CHECKING:
    from services.native.chain import Links


class Portion:
    """Some rows, and the links that may still be filled in within them."""

    __slots__ = ("_links", "_rows")

    def __init__(self, rows: list[Row], links: Links | None) -> None:
        self._rows, self._links = rows, links

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[Row]:
        """The rows, once all hashes are there."""
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

    def add(self, seq: int, value: bytes, digest: bytes, fund: str | None, at: str, offset: int) -> None:
        """Take in an answer of one entry.

        Args:
            seq, value, digest: the entry's number, bytes and 32 hash bytes.
            fund: its key, or None.
            at: RFC 3339.
            offset: of its command.
        """
        if self._links is not None:
            raise AssertionError("an entry is linked to the hash before it: ask for that first")
        headers = self._form.filled(self._prefix + b"%d" % seq, at.encode())
        self._rows.append(row(None if fund is None else fund.encode(), value, headers))
        self.seq, self._hash, self.watermark = seq, digest, offset
        self.bytes += len(value)

    def take_in(self, made: Answer, offset: int) -> None:
        """Take in an answer, of as many entries as it has, to the command at `offset`."""
        for seq, value in made.values:
            self.add(seq, value, made.hash, made.fund, made.time, offset)

    def taken(self) -> Portion:
        """The rows so far, as records of the ledger; they are the taker's from now on."""
        rows, self._rows = self._rows, []
        if self._links is not None:
            self._links.hand_over()
        return Portion(rows, self._links)
