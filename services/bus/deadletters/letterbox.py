"""A letterbox: dead letters of a topic that is acknowledged after the fact, each written exactly once.

A member of a consumer group sees a record again after a crash, a lost reply or a rebalance; two may even see it at once. So the box
does not remember what was written already, but reads it: at the first letter of a partition the box fences whoever wrote its letters
before, reads on the dead-letters topic which records have theirs, and writes those that are missing in one transaction. After any
error it starts again from there. Until something unreadable comes, nothing is fenced or read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from services.bus.client.open_transactions import Leftovers
from services.bus.consume.scan import TopicReader
from services.bus.deadletters.box import DeadLetter, read
from services.bus.deadletters.letter import Letter
from services.bus.produce.transaction import FencedWriter
from services.bus.security import Bootstrap
from services.bus.topics import DEADLETTERS
from services.errors import Fenced, KafkaUnreachable

REMEMBERED_MAX = 50_000
"""Offsets remembered before those below the batch at hand are forgotten, to be read again should they come back."""


class Letterbox:
    """Writes the dead letters of one partition of a topic.

    Args:
        place: the partition of the dead-letters topic that the letters go to.
        name: the transactional id; the same for every process that reads the topic.
    """

    def __init__(self, bootstrap: Bootstrap, topic: str, partition: int, place: int, name: str) -> None:
        self._bootstrap, self._topic, self._partition = bootstrap, topic, partition
        self._place, self._name = place, name
        self._leftovers = Leftovers(name, (DEADLETTERS, place))
        self._writer: FencedWriter | None = None
        self._written: set[int] = set()
        self._floor = 0

    async def put(self, letters: Mapping[int, Letter]) -> Collection[int]:
        """Write the letters, by the offsets of their records, that are not written yet; which these were.

        Raises:
            KafkaUnreachable: if that is not known to have happened; try again.
        """
        if not letters:
            return ()
        try:
            writer = await self._open(min(letters))
            fresh = {offset: letter for offset, letter in sorted(letters.items()) if offset not in self._written}
            if fresh:
                async with writer.transaction() as transaction:
                    await transaction.append(DEADLETTERS, self._place, list(fresh.values()))
        except Fenced as error:
            await self.close()
            raise KafkaUnreachable(
                f"another process has written dead letters of {self._topic}-{self._partition}",
                hint="It is tried again.",
            ) from error
        except BaseException:
            await self.close()
            raise
        self._written.update(fresh)
        return fresh.keys()

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    async def _open(self, least: int) -> FencedWriter:
        """Be the only writer, and know of all offsets from `least` on whether they have their letter."""
        if self._writer is not None and self._writer.held and least >= self._floor:
            if len(self._written) > REMEMBERED_MAX:
                self._floor, self._written = least, {offset for offset in self._written if offset >= least}
            return self._writer
        await self.close()
        writer = FencedWriter(self._bootstrap(), self._name, self._leftovers)
        await writer.fence()
        try:
            self._written, self._floor = await self._read(writer.bootstrap, least), least
        except BaseException:
            await writer.close()
            raise
        self._writer = writer
        return writer

    async def _read(self, bootstrap: str, least: int) -> set[int]:
        found = set()
        async with TopicReader(bootstrap) as reader:
            extent = (await reader.extents(DEADLETTERS))[self._place]
            end = await reader.high_watermark(DEADLETTERS, self._place)  # another's open transaction is waited for
            async for record in reader.records(DEADLETTERS, {self._place: extent._replace(end=end)}):
                letter = read(record)
                if not isinstance(letter, DeadLetter):
                    continue
                topic, partition, offset = letter.source
                if (topic, partition) == (self._topic, self._partition) and offset >= least:
                    found.add(offset)
        return found
