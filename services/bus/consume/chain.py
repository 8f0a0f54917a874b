"""The ledger's hash chain, for all who read a partition of it: each entry follows the one before, or the error says what is wrong.

Four things are asked of an entry: that it is one, that its number is the next, that its hash follows from the entry before and its own
bytes, and that its command comes after the last one answered. An answer may be cut into several entries (`more`): these are of one
command, which is answered with the last of them.
"""

from __future__ import annotations

from operator import index
from typing import Any, ClassVar

import msgspec

from schemas.ledger import GENESIS, check_link
from services.errors import LedgerTampered


class Chain:
    """One partition of the ledger, as far as it was read, beginning after the entry that is given.

    Attributes:
        seq: the last entry's number; 0 before the first.
        hash: the last entry's 32 hash bytes.
        watermark: the offset of the last command answered; -1 before the first.
        unfinished: the offset of the command whose answer is not whole yet, if there is one.
    """

    HINT: ClassVar[str | None] = None
    """What is to be done where the chain breaks."""

    def __init__(self, partition: int, seq: int = 0, last: bytes = GENESIS, watermark: int = -1) -> None:
        self.partition = partition
        self.seq, self.hash, self.watermark = seq, last, watermark
        self.unfinished: int | None = None

    def follow(self, value: bytes | None) -> dict[str, Any]:
        """Take in the next entry's value and return it decoded.

        Raises:
            LedgerTampered: if it isn't the next entry; nothing is taken in then.
        """
        entry, digest = self._checked(value)
        offset = entry["cause"]["offset"]
        if entry.get("more"):
            self.unfinished = offset
        else:
            self.watermark, self.unfinished = offset, None
        self.seq, self.hash = entry["seq"], digest
        return entry

    def precedes(self, value: bytes | None) -> bool:
        """Whether a value is the very next entry's."""
        try:
            self._checked(value)
        except LedgerTampered:
            return False
        return True

    def is_last(self, value: bytes | None) -> bool:
        """Whether a value is, by number, hash and command, the last entry's."""
        try:
            entry = msgspec.json.decode(value or b"")
            there = (entry["seq"], entry["hash"], entry["cause"]["offset"])
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # whatever it is, it is not that entry
            return False
        return there == (self.seq, self.hash.hex(), self.watermark)

    def finish(self) -> None:
        """Check that the ledger does not end within an answer.

        Raises:
            LedgerTampered: if it does.
        """
        if self.unfinished is not None:
            raise self._tampered("the answer before it is not whole")

    def unfit(self, what: Exception | str) -> LedgerTampered:
        """What to raise if the last entry fits the chain but its facts can't be applied: a reason, or the error that they raised.

        Whatever it is, it would come again with the same entry, so it needs an alarm and no retry.
        """
        if isinstance(what, Exception):
            what = f"its facts do not fit what came before ({type(what).__name__})"
        return self._tampered(what, self.seq)

    def _checked(self, value: bytes | None) -> tuple[dict[str, Any], bytes]:
        try:
            entry = msgspec.json.decode(value or b"")
            seq, offset, _at, facts = index(entry["seq"]), index(entry["cause"]["offset"]), entry["at"], entry["facts"]
        except MemoryError:  # of ours, not of the entry: it can be read another time
            raise
        except Exception:  # noqa: BLE001  # broken text, nesting without end, whatever else
            raise self._tampered("it is not an entry") from None
        if not isinstance(facts, list):
            raise self._tampered("it is not an entry")
        if seq != self.seq + 1:
            raise self._tampered(f"it has number {seq}")
        digest = check_link(self.hash, value or b"")
        if digest is None:
            raise self._tampered("its hash does not follow from the entry before")
        if offset <= self.watermark or self.unfinished not in (None, offset):
            before = self.watermark if self.unfinished is None else self.unfinished
            raise self._tampered(f"its command's offset {offset} does not follow {before}")
        return entry, digest

    def _tampered(self, what: str, seq: int | None = None) -> LedgerTampered:
        number = self.seq + 1 if seq is None else seq
        return LedgerTampered(f"ledger partition {self.partition}, entry {number}: {what}", hint=self.HINT)
