"""From the ledger topic to a read model: every link of the hash chain checked on the way, since an answer is worth what its source is.

A partition whose chain breaks is read no further; what was folded before it broke stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import Any

import msgspec

from schemas.ledger import GENESIS, check_link
from services.bus.consume.scan import Progress, TopicReader
from services.bus.envelope import Record
from services.bus.partition import partition_of
from services.bus.topics import LEDGER
from services.console.readmodel.model import ReadModel
from services.errors import LedgerTampered, TopicUnreadable


@dataclass(slots=True)
class Chain:
    """One partition of the ledger, as far as it was read.

    Attributes:
        seq: the last entry's number; 0 before the first.
        watermark: the offset of the last command answered; -1 before the first.
        answered: how many commands have their answer.
        at: the last entry's time, RFC 3339.
        finding: what is wrong with it, if anything; nothing is read behind it.
    """

    partition: int
    seq: int = 0
    watermark: int = -1
    answered: int = 0
    at: str | None = None
    finding: str | None = None
    hash: bytes = GENESIS
    unfinished: bool = False

    def feed(self, value: bytes | None) -> dict[str, Any] | None:
        """The entry, decoded, if it follows from the one before; else None, and `finding` says what is wrong."""
        if self.finding:
            return None
        try:
            entry = msgspec.json.decode(value or b"")
            seq, offset, at, _facts = entry["seq"], entry["cause"]["offset"], entry["at"], entry["facts"]
            seq, offset = index(seq), index(offset)
        except Exception:  # noqa: BLE001  # broken text, nesting without end, whatever else
            return self._broken("is no entry")
        if seq != self.seq + 1:
            return self._broken(f"has number {seq}")
        digest = check_link(self.hash, value or b"")
        if digest is None:
            return self._broken("has a hash that does not follow from the entry before")
        if (offset != self.watermark) if self.unfinished else (offset <= self.watermark):
            return self._broken(f"answers the command at {offset} after the one at {self.watermark}")
        self.seq, self.watermark, self.at, self.hash = seq, offset, at, digest
        self.unfinished = entry.get("more", False)
        self.answered += not self.unfinished
        return entry

    def _broken(self, what: str) -> None:
        self.finding = f"ledger partition {self.partition}: entry {self.seq + 1} {what}"


async def read_ledger(
    reader: TopicReader, model: ReadModel, fund: str | None = None, progress: Progress | None = None
) -> dict[int, Chain]:
    """Fold the committed ledger as it stands now into `model`.

    Args:
        reader: an entered reader.
        model: where the entries go.
        fund: read this fund's partition only.
        progress: told how far it is.

    Returns:
        Each partition read, by number.

    Raises:
        KafkaUnreachable: if no broker answers.
        TopicsMismatch: if there is no ledger.
    """
    extents = await reader.extents(LEDGER)
    wanted = extents.keys() if fund is None else {partition_of(fund, len(extents))}
    chains = {partition: Chain(partition) for partition in sorted(wanted)}
    try:
        async for record in reader.records(LEDGER, wanted, progress):
            take(chains[record.partition], model, record)
    except TopicUnreadable as unreadable:
        for partition, finding in unreadable.partitions.items():
            chains[partition].finding = chains[partition].finding or finding
    return chains


def take(chain: Chain, model: ReadModel, record: Record) -> None:
    """Fold one record of the ledger, if it stands in its chain."""
    entry = chain.feed(record.value)
    if entry is None:
        return
    try:
        model.feed(chain.partition, entry)
    except Exception as error:  # noqa: BLE001  # whatever it is, no answer is given from such a ledger
        why = f"does not fit what came before ({type(error).__name__})"
        chain.finding = f"ledger partition {chain.partition}: entry {entry['seq']} {why}"


def hold(chains: dict[int, Chain]) -> None:
    """Insist that every chain holds.

    Raises:
        LedgerTampered: naming the first that does not.
    """
    for chain in chains.values():
        if chain.finding:
            others = " With --fund, only that fund's partition is read." if len(chains) > 1 else ""
            raise LedgerTampered(
                chain.finding, hint=f"No answer is given from a ledger that does not hold; see `pumasi audit`.{others}"
            )
