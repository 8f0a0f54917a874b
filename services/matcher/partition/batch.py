"""A batch: commands being answered, for one transaction.

Commands are decided in turns. What a turn decided goes on its way to Kafka at once, while the next is being decided, and the other
partitions of the process have their turn in between; the commit waits for all of it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from services import traces
from services.bus.client.record_batch import Row, laid_out, row
from services.bus.deadletters.letter import dead_letter
from services.bus.envelope import Record
from services.errors import Unanswerable
from services.matcher.engine.engine import Engine
from services.matcher.ledger.answer import draft_answers
from services.matcher.ledger.draft import Draft, Portion
from services.matcher.model.breach import ConservationBreach

BATCH_COMMANDS_MAX = 30_000
"""Commands answered in one transaction at most: bounds what a failure makes do again."""
BATCH_BYTES_MAX = 32 << 20
"""Once its entries are so large, a transaction takes no more commands."""
TURN_SECONDS = 0.01
"""How long a turn is at most, about; at least one command."""
TURN_BYTES = (1 << 20) - (1 << 16)
"""Once its entries are so large, a turn ends: they go to Kafka in one batch, and while they are on their way the next is being made.
Kafka's client has one on its way at a time; a turn of several batches would wait for each but the last."""


class Batch:
    """Records being answered, for one transaction.

    Args:
        records: the next ones of the partition, at least one; as many of them are answered as go into one transaction.
        draft: what the first is linked to.
        engine: the partition's.
        partitions: how many there are.
        one_turn: there is only one turn, decided before its transaction begins. So a command that takes longer than Kafka lets a
            transaction be open is answered all the same.
        seconds_max: no turn begins later than this; Kafka's own time limit goes on while turns are decided.

    Attributes:
        done: how many are answered.
        dead: dead letters of those among them that could not be read.
        fault: why the next one can't be answered, if it can't; then the batch ends there.
    """

    def __init__(
        self,
        records: Sequence[Record],
        draft: Draft,
        engine: Engine,
        partitions: int,
        one_turn: bool,
        seconds_max: float,
    ) -> None:
        self.draft = draft
        self.done = 0
        self.dead: list[Row] = []
        draft.traced = [] if traces.is_on() else None
        self.fault: ConservationBreach | Unanswerable | None = None
        self._records, self._engine, self._partitions = records, engine, partitions
        self._one_turn, self._late = one_turn, time.monotonic() + seconds_max
        self._end = min(len(records), BATCH_COMMANDS_MAX)
        self._over = False

    def decide(self) -> Portion | None:
        """Decide the next turn; None if this transaction takes no more."""
        if self._over:
            return None
        try:
            self._turn()
        except ConservationBreach as breach:
            self.fault = breach.with_traceback(None)  # which would hold this batch
        except Exception as error:  # noqa: BLE001  # whatever it is, what came before is answered, and the command named
            self.fault = Unanswerable(_where(error))
        if self.fault is not None:
            self.done = sum(record.offset <= self.draft.watermark for record in self._records)
        self._write_unreadable()
        self._over = (
            self._one_turn
            or self.fault is not None
            or self.done >= self._end
            or self.draft.bytes >= BATCH_BYTES_MAX
            or time.monotonic() > self._late
        )
        return self.draft.taken() or None

    def _turn(self) -> None:
        over, full = time.monotonic() + TURN_SECONDS, self.draft.bytes + TURN_BYTES
        self.done = draft_answers(
            self._engine, self._records, self.done, self._end, self._partitions, self.draft, full, over
        )

    def _write_unreadable(self) -> None:
        for record, detail in self.draft.unreadable:
            key, value, headers = dead_letter(record, "unreadable", detail)
            self.dead.append(row(key, value, laid_out(headers)))
        self.draft.unreadable.clear()


def _where(error: Exception) -> str:
    """An error's kind and the line that raised it; its message may hold what the command holds."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where
