"""From the ledger topic to a read model, with every link of the hash chain checked on the way, since an answer is worth no more
than its source.

A partition whose chain breaks is read no further; what was folded before it broke stays.
"""

from typing import Any

from services.bus.consume.chain import Chain
from services.bus.consume.scan import Progress, TopicReader
from services.bus.partition import partition_of
from services.bus.topics import LEDGER
from services.errors import LedgerTampered, TopicUnreadable, UnknownFact
from services.readmodel.fold import Fold


class PartitionRead(Chain):
    """One partition of the ledger, folded into a read model as far as it holds.

    Attributes:
        answered: how many commands have their answer.
        at: the last entry's time, RFC 3339.
        finding: what is wrong with it, if anything; nothing after it is read. `unknown`: the same, if it is a fact or rule.
        ahead_ms: when the last command that was `clock_ahead` was answered, milliseconds since 1970; None if none was.
    """

    def __init__(self, partition: int, finding: str | None = None) -> None:
        super().__init__(partition)
        self.finding = finding
        self.unknown: UnknownFact | None = None
        self.answered = 0
        self.at: str | None = None
        self.ahead_ms: int | None = None

    def take(self, model: Fold[Any], value: bytes | None, written_ms: int = 0) -> None:
        """Fold the next entry into `model`, if it stands in its chain; `written_ms` is when Kafka appended it."""
        if self.finding:
            return
        try:
            entry = self.follow(value)
            self.at = entry["at"]
            self.answered += self.unfinished is None
            if any(fact.get("code") == "clock_ahead" for fact in entry["facts"]):
                self.ahead_ms = written_ms
            model.feed(self.partition, entry)
        except LedgerTampered as tampered:
            self.finding = tampered.message
            self.unknown = tampered if isinstance(tampered, UnknownFact) else None
        except Exception as error:  # noqa: BLE001  # whatever it is, no answer is given from such a ledger
            self.finding = self.unfit(error).message


async def read_ledger(
    reader: TopicReader, model: Fold[Any], fund: str | None = None, progress: Progress | None = None
) -> dict[int, PartitionRead]:
    """Fold the committed ledger as of now into `model`, of one `fund` its partition only; what was read, by partition.

    Raises:
        KafkaUnreachable: if no broker answers.
        TopicsMismatch: if there is no ledger.
    """
    extents = await reader.extents(LEDGER)
    wanted = extents.keys() if fund is None else {partition_of(fund, len(extents))}
    chains = {partition: PartitionRead(partition) for partition in sorted(wanted)}
    try:
        async for record in reader.records(LEDGER, wanted, progress):
            chains[record.partition].take(model, record.value, record.timestamp)
    except TopicUnreadable as unreadable:
        for partition, finding in unreadable.partitions.items():
            chains[partition].finding = chains[partition].finding or finding
    return chains


def hold(chains: dict[int, PartitionRead]) -> None:
    """Insist that every chain holds.

    Raises:
        LedgerTampered: naming the first that does not; UnknownFact if a newer version might read it.
    """
    for chain in chains.values():
        if chain.unknown:
            raise chain.unknown
        if chain.finding:
            others = " With --fund, only that fund's partition is read." if len(chains) > 1 else ""
            raise LedgerTampered(
                chain.finding, hint=f"No answer is given from a ledger that does not hold; see `pumasi audit`.{others}"
            )
