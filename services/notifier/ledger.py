"""A partition of the ledger as it is read: each entry follows the one before it, by number and by hash, or nobody is told anything.

The reading stands at one place: all entries up to `seq` are in the audience's memory. It is kept only while all that was heard has
been told; whoever fails to tell throws it away and begins a new one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.ledger import GENESIS, check_link
from schemas.notices import Tidings
from services.bus.envelope import Record
from services.errors import LedgerTampered
from services.notifier.audience import Audience


class Reading:
    """Where one partition has been read to.

    Attributes:
        seq: the last entry's number; 0 before the first.
        next_offset: the offset after the last entry's.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.seq = 0
        self.next_offset = 0
        self._hash = GENESIS
        self._audience = Audience(partition)

    def precedes(self, record: Record) -> bool:
        """Whether the record is the very next entry."""
        entry = _decoded(record.value)
        return (
            entry is not None and entry.get("seq") == self.seq + 1 and check_link(self._hash, record.value) is not None
        )

    def take(self, record: Record, silent: bool = False) -> list[Tidings]:
        """Take in the next entry; who is to be told what (nobody if `silent`).

        Raises:
            LedgerTampered: if it isn't the next entry, or its facts don't fit what came before.
        """
        entry = _decoded(record.value)
        if entry is None:
            raise self._tampered("it is not an entry")
        if entry.get("seq") != self.seq + 1:
            raise self._tampered(f"it has number {entry.get('seq')}")
        digest = check_link(self._hash, record.value)
        if digest is None:
            raise self._tampered("its hash does not follow from the entry before")
        try:
            told = self._audience.hear(entry, silent)
        except MemoryError:  # of ours, not of the entry: it can be read another time
            raise
        except (
            Exception
        ) as error:  # whatever it is, it would come again with the same entry: that needs an alarm, no repeating
            raise self._tampered(f"its facts do not fit what came before ({type(error).__name__})") from error
        self.seq, self._hash, self.next_offset = entry["seq"], digest, record.offset + 1
        return told

    def _tampered(self, what: str) -> LedgerTampered:
        return LedgerTampered(
            f"ledger partition {self.partition}, entry {self.seq + 1}: {what}",
            hint="Nobody is told of this partition any more. See `pumasi audit`, and who may write the ledger topic.",
        )


def _decoded(value: bytes | None) -> dict[str, Any] | None:
    try:
        entry = msgspec.json.decode(value or b"")
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # broken text, nesting without end, whatever else: it is not an entry
        return None
    return entry if isinstance(entry, dict) else None
