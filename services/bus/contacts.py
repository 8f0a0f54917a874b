"""The contacts topic for those who change it: what counts under each key, and how one record takes another's place.

Kafka has no "write this only if nothing came meanwhile", and intake goes on writing. So a record that replaces another names that
one's offset (`pumasi_replaces`). It counts if nothing else under its key lies between the two. Otherwise the record in between
counts: it is *covered* by one that nobody should read, for the moment until it is written once more.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Mapping
from contextlib import aclosing, suppress
from typing import Final, NamedTuple, Self

from schemas.times import text_of
from services.bus.consume.scan import Progress, TopicReader
from services.bus.envelope import SOURCE, Headers, Record, command_headers
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.topics import CONTACTS
from services.errors import KafkaUnreachable

REPLACES: Final = "pumasi_replaces"
"""The header of a record that takes the place of another: that one's offset, in the same partition."""
SEALED_FOR: Final = "pumasi_sealed_for"
"""The header of a record that lets a key's content be forgotten: the fingerprint of the notifier's key that opened it then."""
FORGOTTEN: Final = "pumasi.contact.forgotten"
_SWEEP = b"~"
_PATIENCE_SECONDS = 30.0
_DEADLINE_SECONDS = 60.0


class Latest(NamedTuple):
    """What counts under a key; `value` is None if it was forgotten. `covered`: a later record lies above it that must not count."""

    partition: int
    offset: int
    value: bytes | None
    headers: Headers
    covered: bool = False


class Contacts:
    """All that lives on the contacts topic, in memory. Use as an async context manager.

    Attributes:
        latest: by key; as of the last `read_on`.
    """

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._reader = TopicReader(bootstrap)
        self._publisher = Publisher(
            lambda: bootstrap, [CONTACTS], client_id, deadline_seconds=_DEADLINE_SECONDS, told=lambda _line: None
        )
        self._next: dict[int, int] = {}
        self.latest: dict[bytes, Latest] = {}

    async def __aenter__(self) -> Self:
        self._publisher.start()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._publisher.in_reach.wait()
            await self._reader.__aenter__()
        except TimeoutError:
            await self._publisher.stop()
            why = self._publisher.why_not
            raise KafkaUnreachable(why, hint="Check PUMASI_KAFKA, and that the topics are there.") from None
        except BaseException:
            await self._publisher.stop()
            raise
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._publisher.stop()
        await self._reader.__aexit__(kind, error, trace)

    async def read_on(self, progress: Progress | None = None) -> set[bytes]:
        """Read to the topic's present end; returns the keys under which something came.

        Raises:
            KafkaUnreachable, TopicsMismatch, TopicUnreadable: if that can't be read.
        """
        extents = await self._reader.extents(CONTACTS)
        begins = {number: self._next.get(number, extent.begin) for number, extent in extents.items()}
        ends = {number: extent.end for number, extent in extents.items()}
        came = set()
        async for record in self._reader.between(CONTACTS, begins, ends, progress):
            came.add(record.key or b"")
            self.fold(record)
        self._next = ends
        return came

    def fold(self, record: Record) -> None:
        """Take in the next record of its partition."""
        key, replaced = record.key or b"", dict(record.headers).get(REPLACES)
        before = self.latest.get(key)
        if replaced is not None and before is not None and replaced != str(before.offset).encode():
            self.latest[key] = before._replace(covered=True)
            return
        self.latest[key] = Latest(record.partition, record.offset, record.value, record.headers)

    async def replace(self, values: Mapping[bytes, bytes | None]) -> None:
        """Replace what counts under these keys by these values, under the same headers.

        Raises:
            KafkaUnreachable: if one is not known to be written.
        """
        records = []
        for key, value in values.items():
            was = self.latest[key]
            kept = [header for header in was.headers if header[0] != REPLACES]
            records.append(Outgoing(CONTACTS, was.partition, key, value, [*kept, (REPLACES, b"%d" % was.offset)]))
        await self._publisher.publish(records)

    async def forget(self, key: bytes, sealed_for: str | None = None) -> None:
        """Let nothing under a key count any more; `sealed_for` None: as when it was forgotten before.

        Raises:
            KafkaUnreachable: if that is not known to be written.
        """
        gone = tombstone(key, self._publisher.partitions(CONTACTS))
        opened_by = sealed_for.encode() if sealed_for else self._sealed_for(key)
        more = [] if opened_by is None else [(SEALED_FOR, opened_by)]
        await self._publisher.publish([gone._replace(headers=[*gone.headers, *more])])

    def keeps(self, key: bytes, opens: str) -> bool:
        """Whether anything of a key counts; or was forgotten, and copies of it are opened by the key of this fingerprint, or nobody
        knows by which."""
        found = self.latest.get(key)
        return found is not None and (found.value is not None or self._sealed_for(key) in (None, opens.encode()))

    def _sealed_for(self, key: bytes) -> bytes | None:
        found = self.latest.get(key)
        return dict(found.headers).get(SEALED_FOR) if found else None


async def until_gone(bootstrap: str, keys: Collection[bytes], again_seconds: float = 60.0) -> None:
    """Return once no record with a value lies under these keys, which were forgotten before.

    Kafka compacts what is not being written to any more, and begins a new file only when a record comes: so one comes now and then.

    Raises:
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if that isn't known.
    """
    while await _lies_there(bootstrap, keys):
        async with Contacts(bootstrap, "pumasi-keys") as contacts:
            await contacts.read_on()
            for key in keys:
                await contacts.forget(key)
        await asyncio.sleep(again_seconds)


async def _lies_there(bootstrap: str, keys: Collection[bytes]) -> bool:
    async with TopicReader(bootstrap) as reader, aclosing(reader.records(CONTACTS)) as records:
        async for record in records:
            if record.value is not None and record.key in keys:
                return True
    return False


async def keep_swept(publisher: Publisher, every_seconds: float = 300.0) -> None:
    """Append a record that nobody reads to each partition now and then, for ever.

    So Kafka begins a new file when it is time for one, and can compact the old one.
    """
    while True:
        await publisher.in_reach.wait()
        with suppress(KafkaUnreachable):
            places = range(publisher.partitions(CONTACTS))
            await publisher.publish([tombstone(_SWEEP, 1)._replace(partition=number) for number in places])
        await asyncio.sleep(every_seconds)


def tombstone(key: bytes, partitions: int) -> Outgoing:
    """What deletes all that lies under a key."""
    headers = command_headers(FORGOTTEN, uuid.uuid4().hex, SOURCE, text_of(time.time_ns() // 1000))
    return Outgoing(CONTACTS, partition_of(key.decode("utf-8", "replace"), partitions), key, None, headers)
