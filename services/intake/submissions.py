"""Which records of the submissions topic have been turned into a command or a dead letter: no record is decided twice.

A record is acknowledged after its command is published, so after a crash, a lost reply or a rebalance it comes again. If the
event was applied, the matcher would say `duplicate`; a refused one it would decide a second time. So a command names its record,
and which records have their command is not remembered but read: before the first record of a partition is brought through, the
partition of the commands topic in which its command would lie is read from that record's append time on. After any doubt it is
read again. While all goes well that is a few records, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing

from services.bus.consume.scan import TopicReader
from services.bus.envelope import SUBMISSION, Record
from services.bus.partition import partition_of
from services.bus.security import Bootstrap
from services.bus.topics import COMMANDS
from services.intake.admission import Admitted
from services.intake.receipts import Place

Way = tuple[int, int]
"""A partition of submissions, and one of commands that their commands lie in."""
Coming = tuple[Record, Admitted]
CLOCKS_APART_MS_MAX = 30_000
"""By how much two brokers' clocks may differ: the two topics are stamped by the leaders of their partitions."""


class Submissions:
    """What is known of the records of the partitions that are ours."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap = bootstrap
        self._through: dict[Way, set[int]] = {}

    def forget(self, partition: int | None = None) -> None:
        """Forget what the commands topic holds of a partition's records (of all, if None): it may have changed."""
        self._through = {way: known for way, known in self._through.items() if partition not in (None, way[0])}

    async def fresh(self, coming: Sequence[Coming], partitions: int) -> list[Coming]:
        """Those that have no command yet.

        Only the partitions of commands that theirs would lie in are read: one that can't be read holds up nobody else.

        Raises:
            KafkaUnreachable: if that can't be found out.
        """
        ways = [(record.partition, partition_of(admitted.fund, partitions)) for record, admitted in coming]
        first: dict[Way, Record] = {}
        for way, (record, _) in zip(ways, coming, strict=True):
            if way not in self._through:
                first.setdefault(way, record)
        if first:
            self._through |= await self._look(first)
        return [one for way, one in zip(ways, coming, strict=True) if one[0].offset not in self._through[way]]

    async def _look(self, first: Mapping[Way, Record]) -> dict[Way, set[int]]:
        """For each `Way`, which of its records have a command, from a first record on."""
        through: dict[Way, set[int]] = {way: set() for way in first}
        since = min(record.timestamp for record in first.values()) - CLOCKS_APART_MS_MAX
        # Intake's commands are in no transaction: what a replay has left open beside them must not hide them.
        async with TopicReader(self._bootstrap(), committed=False) as reader:
            extents = await reader.since(COMMANDS, max(0, since))
            wanted = {number: extents[number] for _, number in first}
            async with aclosing(reader.records(COMMANDS, wanted)) as commands:
                async for command in commands:
                    place = _submission_of(command)
                    if place is None:
                        continue
                    way = (place.partition, command.partition)
                    if way in through and place.offset >= first[way].offset:
                        through[way].add(place.offset)
        return through


def _submission_of(command: Record) -> Place | None:
    told = dict(command.headers).get(SUBMISSION) or b""
    return Place.of(told.decode("ascii", "replace"))
