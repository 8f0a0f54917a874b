"""A draft: answers decided in memory and not on the ledger yet.

It holds what the next entry is linked to. Once its entries are appended, what it says of number, hash and watermark is true of the
ledger; until then it is thrown away with the memory whose decisions it holds.
"""

from __future__ import annotations

from services.bus.envelope import entry_form
from services.bus.prepared import Row, row
from services.matcher.answer import Answer


class Draft:
    """Entries in the making, of one partition.

    Attributes:
        seq, hash, watermark: of the last answer: its last entry's number and 32 hash bytes, and its command's offset.
        rows: the entries, as records of the ledger.
        bytes: how large the values of all entries are together, taken or not.
    """

    __slots__ = ("_form", "_prefix", "bytes", "hash", "rows", "seq", "watermark")

    def __init__(self, partition: int, seq: int, digest: bytes, watermark: int) -> None:
        self.seq, self.hash, self.watermark = seq, digest, watermark
        self.rows: list[Row] = []
        self.bytes = 0
        self._form, self._prefix = entry_form(), b"%d-" % partition

    def add(self, seq: int, value: bytes, digest: bytes, fund: str | None, at: str, offset: int) -> None:
        """Take in an answer of one entry.

        Args:
            seq, value, digest: the entry's number, bytes and 32 hash bytes.
            fund: its key, or None.
            at: RFC 3339.
            offset: of its command.
        """
        headers = self._form.filled(self._prefix + b"%d" % seq, at.encode())
        self.rows.append(row(None if fund is None else fund.encode(), value, headers))
        self.seq, self.hash, self.watermark = seq, digest, offset
        self.bytes += len(value)

    def take_in(self, made: Answer, offset: int) -> None:
        """Take in an answer, of as many entries as it has, to the command at `offset`."""
        for seq, value in made.values:
            self.add(seq, value, made.hash, made.fund, made.time, offset)

    def taken(self) -> list[Row]:
        """The rows so far; they are the taker's from now on."""
        rows, self.rows = self.rows, []
        return rows
