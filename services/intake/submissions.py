"""Which records of the submissions topic are through: no record is decided twice.

A record is acknowledged after its command is published, so after a crash, a lost reply or a rebalance it comes again. Of an event that
was applied the matcher would say `duplicate`; a refused one it would decide a second time. So a command names the record that it comes
from, and what has its command already is not remembered but read: before the first record of a partition is brought, the commands
topic is read from that record's append time on. After any doubt it is read again. While all goes well that is a few records, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from services.bus.letters import Stamped
from services.bus.reading import TopicReader
from services.bus.topics import COMMANDS
from services.intake.receipts import Place

SUBMISSION = "pumasi_submission"
"""The header of a command that names its record on the submissions topic, `<partition>-<offset>`."""
CLOCKS_APART_MS_MAX = 30_000
"""By how much two brokers' clocks may differ: the two topics are stamped by the leaders of their partitions."""


class Submissions:
    """What is known of the records of the partitions that are ours.

    Args:
        bootstrap: says where Kafka is; may raise KafkaUnreachable.
    """

    def __init__(self, bootstrap: Callable[[], str]) -> None:
        self._bootstrap = bootstrap
        self._through: dict[int, set[int]] = {}

    def forget(self) -> None:
        """What lies on the commands topic may be other than we know."""
        self._through.clear()

    async def fresh(self, records: Sequence[Stamped]) -> list[Stamped]:
        """Those that have no command yet.

        Raises:
            KafkaUnreachable: if that can't be found out.
        """
        first = {record.partition: record for record in reversed(records) if record.partition not in self._through}
        if first:
            self._through |= await self._look(first)
        return [record for record in records if record.offset not in self._through[record.partition]]

    async def _look(self, first: Mapping[int, Stamped]) -> dict[int, set[int]]:
        """By partition, which of its records have a command, from a first record on."""
        through: dict[int, set[int]] = {partition: set() for partition in first}
        since = min(record.timestamp for record in first.values()) - CLOCKS_APART_MS_MAX
        # Intake's commands are in no transaction: what a replay has left open beside them must not hide them.
        async with TopicReader(self._bootstrap(), committed=False) as reader:
            extents = await reader.since(COMMANDS, max(0, since))
            begins = {number: extent.begin for number, extent in extents.items()}
            ends = {number: extent.end for number, extent in extents.items()}
            async with aclosing(reader.between(COMMANDS, begins, ends)) as commands:
                async for command in commands:
                    place = _submission_of(command)
                    if place is not None and place.partition in first and place.offset >= first[place.partition].offset:
                        through[place.partition].add(place.offset)
        return through


def _submission_of(command: Stamped) -> Place | None:
    told = dict(command.headers).get(SUBMISSION) or b""
    return Place.of(told.decode("ascii", "replace"))
