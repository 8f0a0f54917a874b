"""Replay: from the ledger's entries back to the engine that wrote them, with every link of the chain checked.

Nothing is decided here; facts are folded. The watermark, the last entry's `cause.offset`, says which command is next. An answer
that was cut into several entries (`more`) is folded as one, since only the whole of it conserves money.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.commands import TICK
from schemas.ledger import GENESIS, check_link
from schemas.times import parse
from services.errors import LedgerTampered
from services.matcher.engine.engine import Engine
from services.matcher.model.breach import ConservationBreach


class Replay:
    """An engine brought up from a ledger, entry by entry; from the first, or on from where a checkpoint stands.

    Args:
        partition: which, for messages.
        engine, seq, last, watermark: where to go on from: the engine, and number, hash and offset of the last entry it knows.

    Attributes:
        engine: the engine as of the last whole answer.
        seq: the last entry's number; 0 before the first.
        hash: the last entry's 32 hash bytes.
        watermark: the offset of the last command answered; -1 before the first.
        tail: the facts of an answer whose last entry has not come yet.
    """

    def __init__(
        self, partition: int, engine: Engine | None = None, seq: int = 0, last: bytes = GENESIS, watermark: int = -1
    ) -> None:
        self.partition = partition
        self.engine = engine or Engine()
        self.seq, self.hash, self.watermark = seq, last, watermark
        self.tail: list[dict[str, Any]] = []
        self._unfinished: int | None = None

    def feed(self, value: bytes | None) -> dict[str, Any]:
        """Take in the next entry's value and return it decoded.

        Raises:
            LedgerTampered: if it isn't an entry, leaves a gap, breaks the chain, or does not conserve money.
        """
        try:
            return self._take_in(value)
        except ConservationBreach as breach:
            raise self._tampered(f"it does not conserve money: {breach}") from breach
        except (LedgerTampered, MemoryError):
            raise
        except (
            Exception
        ) as error:  # whatever it is, it would come again with the same entry: that needs an alarm, no repeating
            raise self._tampered(f"its facts do not fit what came before ({type(error).__name__})") from error

    def _take_in(self, value: bytes | None) -> dict[str, Any]:
        entry = self._decoded(value)
        digest = check_link(self.hash, value)
        if digest is None:
            raise self._tampered("its hash does not follow from the entry before")
        offset = entry["cause"]["offset"]
        if offset <= self.watermark or self._unfinished not in (None, offset):
            raise self._tampered(f"its command's offset {offset} does not follow {self.watermark}")
        self.tail += entry["facts"]
        if entry.get("more"):
            self._unfinished = offset
        else:
            self._fold(entry)
            self.watermark, self._unfinished = offset, None
        self.seq, self.hash = entry["seq"], digest
        return entry

    def is_last(self, value: bytes | None) -> bool:
        """Whether a value is, by number, hash and command, the last entry taken in."""
        try:
            entry = msgspec.json.decode(value or b"")
            there = (entry["seq"], entry["hash"], entry["cause"]["offset"])
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # whatever it is, it is not that entry
            return False
        return there == (self.seq, self.hash.hex(), self.watermark)

    def finish(self) -> None:
        """Hold that the ledger does not end within an answer.

        Raises:
            LedgerTampered: if it does.
        """
        if self._unfinished is not None:
            raise self._tampered("the answer before it is not whole")

    def _decoded(self, value: bytes | None) -> dict[str, Any]:
        try:
            entry = msgspec.json.decode(value or b"")
            seq, _offset, _facts = entry["seq"], entry["cause"]["offset"], entry["facts"]
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # broken text, nesting without end, whatever else
            raise self._tampered("it is not an entry") from None
        if seq != self.seq + 1:
            raise self._tampered(f"it has number {seq}")
        return entry

    def _fold(self, entry: dict[str, Any]) -> None:
        facts, self.tail = self.tail, []
        cause = entry["cause"]
        tick = cause["type"] == TICK and cause["id"] is not None  # a tick that could not be read moved no clock
        self.engine.absorb(entry["fund"], parse(entry["at"]), facts, tick)

    def _tampered(self, what: str) -> LedgerTampered:
        return LedgerTampered(
            f"ledger partition {self.partition}, entry {self.seq + 1}: {what}",
            hint="The partition stops so that nothing is written on top. See `pumasi audit`, and who may write the ledger topic.",
        )
