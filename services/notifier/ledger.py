"""A partition of the ledger as it is read: each entry follows the one before it, by number and by hash, or nobody is told anything.

The reading stands at one place: all entries up to `seq` are in the audience's memory. It is kept only while all that it gave has
been told; if telling fails, it is thrown away and begun anew.
"""

from __future__ import annotations

from schemas.notices import Tidings
from services.bus.consume.chain import Chain
from services.bus.envelope import Record
from services.errors import UnknownFact
from services.notifier.audience import Audience


class Reading(Chain):
    """Where one partition has been read to. `next_offset`: the offset after the last entry's."""

    HINT = "Nobody is told of this partition any more. See `pumasi audit`, and who may write the ledger topic."

    def __init__(self, partition: int) -> None:
        super().__init__(partition)
        self.next_offset = 0
        self._audience = Audience(partition)

    def holds(self, fund: str, about: str, name: str) -> bool:
        """Whether a person's word, or a text's id, came with an event about this case or pledge that was applied."""
        return self._audience.holds(fund, about, name)

    def take(self, record: Record, silent: bool = False) -> list[Tidings]:
        """Take in the next entry; returns who is to be told what (nobody if `silent`).

        Raises:
            LedgerTampered: if it isn't the next entry, its facts don't fit what came before, or one is unknown (UnknownFact).
        """
        entry = self.follow(record.value)
        try:
            told = self._audience.hear(entry, silent)
        except (MemoryError, UnknownFact):  # memory is ours, not the entry's: it can be read another time
            raise
        except Exception as error:
            raise self.unfit(error) from error
        self.next_offset = record.offset + 1
        return told
