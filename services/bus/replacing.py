"""A compacted topic for those who change it: what counts under each key, and how one record takes another's place.

Kafka has no "write this only if nothing came meanwhile", and others go on writing. So a record that replaces another names that
one's offset (`pumasi_replaces`). It counts if nothing else under its key lies between the two. Otherwise the record in between
counts: it is *covered* by one that nobody should read, for the moment until it is written once more.

A record that names a command (`pumasi_command`) says when it was decided: all commands of a key lie in one partition. It doesn't count
either above one that names a later command: two who wrote at once passed each other, or one of them came late.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple, Self

from services.bus.consume.scan import Progress, TopicReader
from services.bus.envelope import COMMAND, Headers, Record
from services.bus.produce.publisher import Outgoing, publishing

REPLACES: Final = "pumasi_replaces"
"""The header of a record that takes the place of another: that one's offset, in the same partition."""
_DEADLINE_SECONDS = 60.0
_COMMAND = re.compile(rb"([0-9]{1,9})-([0-9]{1,18})")
At = tuple[int, int]
"""Where a command lies: partition and offset."""


class Latest(NamedTuple):
    """What counts under a key; `value` is None if it was deleted. `covered`: a later record lies above it that must not count."""

    partition: int
    offset: int
    value: bytes | None
    headers: Headers
    covered: bool = False


def command_of(headers: Headers) -> At | None:
    """The place of the command that a record names; None if it names none."""
    for name, value in headers:
        if name == COMMAND and (found := _COMMAND.fullmatch(value or b"")):
            return int(found[1]), int(found[2])
    return None


def is_before(one: At | None, other: At | None) -> bool:
    """Whether one command is known to lie before another."""
    return one is not None and other is not None and one[0] == other[0] and one[1] < other[1]


def is_covering(record: Record, offset: int | None, command: At | None = None) -> bool:
    """Whether a record must not count: it replaces another than the one that counts so far, or names an earlier command.

    Args:
        offset: of the one that counts so far; None: none does.
        command: that one's, if it names any.
    """
    if offset is None:
        return False
    replaces = dict(record.headers).get(REPLACES)
    return replaces not in (None, b"%d" % offset) or is_before(command_of(record.headers), command)


class Lately:
    """What counts under each key, of the last thousands that came: a record covers another only if they came within moments."""

    _MAX = 10_000

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, At | None]] = {}  # its offset, and the last command named

    def counts(self, record: Record) -> bool:
        """Take in the next record of its partition; whether it counts, since it doesn't cover what does."""
        key = record.key or b""
        offset, command = self._known.get(key, (None, None))
        if is_covering(record, offset, command):
            return False
        self._known.pop(key, None)
        self._known[key] = record.offset, command_of(record.headers) or command
        if len(self._known) > self._MAX:
            del self._known[next(iter(self._known))]
        return True


class Replacing:
    """All that counts on a topic, in memory. Use as an async context manager.

    What can't be read is KafkaUnreachable, TopicsMismatch or TopicUnreadable; what isn't known to be written, KafkaUnreachable.

    Attributes:
        latest: by key; as of the last `read_on`.
    """

    def __init__(self, bootstrap: str, topic: str, client_id: str) -> None:
        self._bootstrap, self._topic, self._client_id = bootstrap, topic, client_id
        self._reader, self._open = TopicReader(bootstrap), AsyncExitStack()
        self._next: dict[int, int] = {}
        self.latest: dict[bytes, Latest] = {}

    async def __aenter__(self) -> Self:
        async with self._open:
            writing = publishing(self._bootstrap, self._topic, self._client_id, _DEADLINE_SECONDS)
            self._publisher = await self._open.enter_async_context(writing)
            await self._open.enter_async_context(self._reader)
            self._open = self._open.pop_all()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._open.__aexit__(*raised)

    async def read_on(self, progress: Progress | None = None) -> set[bytes]:
        """Read to the topic's present end; returns the keys under which something came."""
        extents = await self._reader.extents(self._topic)
        new = {n: extent._replace(begin=self._next.get(n, extent.begin)) for n, extent in extents.items()}
        came = set()
        async for record in self._reader.records(self._topic, new, progress):
            came.add(record.key or b"")
            self.fold(record)
        self._next = {number: extent.end for number, extent in extents.items()}
        return came

    def fold(self, record: Record) -> None:
        """Take in the next record of its partition."""
        key = record.key or b""
        before = self.latest.get(key)
        if before is not None and is_covering(record, before.offset, command_of(before.headers)):
            self.latest[key] = before._replace(covered=True)
            return
        self.latest[key] = Latest(record.partition, record.offset, record.value, record.headers)

    async def replace(self, values: Mapping[bytes, bytes | None]) -> None:
        """Replace what counts under these keys by these values, under the same headers."""
        records = []
        for key, value in values.items():
            was = self.latest[key]
            kept = [header for header in was.headers if header[0] != REPLACES]
            records.append(Outgoing(self._topic, was.partition, key, value, [*kept, (REPLACES, b"%d" % was.offset)]))
        await self._publisher.publish(records)
