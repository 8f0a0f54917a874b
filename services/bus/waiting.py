"""Commands that wait for their answer: when that is as it should be, and when somebody must look.

What was stopped as a whole may stand still for as long as it likes; whoever starts it answers what waits. A command is *left* if others
came more than a minute after it (wherever an intake runs, a tick comes each minute), or if a matcher runs, and it came more than a
minute ago. Times are those at which the broker appended.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from schemas.times import text_of
from services.bus.consume.scan import Extent, TopicReader
from services.bus.envelope import Record
from services.errors import TopicUnreadable

PATIENCE_SECONDS = 60.0
"""How long a command may wait at most."""
_COUNTED_ONE_BY_ONE = 100_000
"""More offsets than these are taken for as many commands."""
_LAST = 1000


@dataclass
class Waiting:
    """Commands of one partition without an answer.

    Attributes:
        commands: how many; at most so many, where there are very many, or something can't be read.
        offset: of the first.
        since_ms, newest_ms: when the first came, and when the last of all commands did, milliseconds since 1970.
        unreadable: what can't be read, and where.
    """

    commands: int = 0
    offset: int | None = None
    since_ms: int = 0
    newest_ms: int = 0
    unreadable: str | None = None

    def add(self, command: Record) -> None:
        """Take in the next command that has no answer."""
        self.came(command)
        self.commands += 1
        if self.offset is None:
            self.offset, self.since_ms = command.offset, command.timestamp

    def came(self, command: Record) -> None:
        """Take in when a command came, answered or not."""
        self.newest_ms = max(self.newest_ms, command.timestamp)

    @property
    def since(self) -> str | None:
        """When the first came, RFC 3339."""
        return None if self.offset is None else text_of(self.since_ms * 1000)

    def left(self, now_ms: int | None, patience_seconds: float = PATIENCE_SECONDS) -> bool:
        """Whether a command was left unanswered.

        Args:
            now_ms: the wall clock, if a matcher runs; else None.
            patience_seconds: how long it may wait.
        """
        latest = max(self.newest_ms, now_ms or 0)
        return self.offset is not None and latest - self.since_ms > patience_seconds * 1000

    def __str__(self) -> str:
        which = "1 command has" if self.commands == 1 else f"{self.commands:,} commands have"
        return f"{which} no answer, the first (offset {self.offset}) since {self.since}"


async def waiting(reader: TopicReader, topic: str, partition: int, begin: int, extent: Extent) -> Waiting:
    """What waits in a partition from an offset on."""
    found, begin, end = Waiting(), max(begin, extent.begin), extent.end
    few = end - begin <= _COUNTED_ONE_BY_ONE
    try:
        async with contextlib.aclosing(reader.records(topic, {partition: Extent(begin, end)})) as commands:
            async for command in commands:
                found.add(command)
                if not few:
                    break
        if not few:
            found.commands = end - begin
            async for command in reader.records(topic, {partition: Extent(end - _LAST, end)}):
                found.came(command)
    except TopicUnreadable as unreadable:
        found.unreadable = unreadable.message
        found.commands = end - begin  # nobody can count them
    return found
