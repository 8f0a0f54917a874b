"""Replay: from the ledger's entries back to the engine that wrote them, with every link of the chain checked.

Nothing is decided here; facts are folded. The watermark, the last entry's `cause.offset`, says which command is next. An answer
that was cut into several entries (`more`) is folded as one, since only the whole of it conserves money.
"""

from __future__ import annotations

from typing import Any

from schemas.commands import TICK
from schemas.ledger import GENESIS
from schemas.times import parse
from services.bus.consume.chain import Chain
from services.errors import LedgerTampered
from services.matcher.engine.engine import Engine
from services.matcher.model.breach import ConservationBreach


class Replay(Chain):
    """An engine brought up from a ledger, entry by entry; from the first, or on from where a checkpoint stands.

    Args:
        partition: which, for messages.
        engine, seq, last, watermark: where to go on from: the engine, and number, hash and offset of the last entry it knows.

    Attributes:
        engine: the engine as of the last whole answer.
        tail: the facts of an answer whose last entry has not come yet.
    """

    HINT = (
        "The partition stops so that nothing is written on top. See `pumasi audit`, and who may write the ledger topic."
    )

    def __init__(
        self, partition: int, engine: Engine | None = None, seq: int = 0, last: bytes = GENESIS, watermark: int = -1
    ) -> None:
        super().__init__(partition, seq, last, watermark)
        self.engine = engine or Engine()
        self.tail: list[dict[str, Any]] = []

    def feed(self, value: bytes | None) -> dict[str, Any]:
        """Take in the next entry's value and return it decoded.

        Raises:
            LedgerTampered: if it isn't an entry, leaves a gap, breaks the chain, or does not conserve money.
        """
        entry = self.follow(value)
        try:
            self.tail += entry["facts"]
            if self.unfinished is None:
                self._fold(entry)
        except ConservationBreach as breach:
            raise self.unfit(f"it does not conserve money: {breach}") from breach
        except (LedgerTampered, MemoryError):
            raise
        except Exception as error:
            raise self.unfit(error) from error
        return entry

    def _fold(self, entry: dict[str, Any]) -> None:
        facts, self.tail = self.tail, []
        cause = entry["cause"]
        tick = cause["type"] == TICK and cause["id"] is not None  # a tick that could not be read moved no clock
        self.engine.absorb(entry["fund"], parse(entry["at"]), facts, tick)
