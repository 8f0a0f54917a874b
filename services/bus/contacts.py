"""The contacts topic for those who change it: sealed anew (`replacing`), or forgotten, and gone from the disk."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection
from contextlib import aclosing, suppress
from typing import Final

from schemas.times import text_of
from services.bus.consume.scan import TopicReader
from services.bus.envelope import SOURCE, command_headers
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.replacing import REPLACES, Replacing
from services.bus.topics import CONTACTS
from services.errors import KafkaUnreachable

SEALED_FOR: Final = "pumasi_sealed_for"
"""The header of a record that lets a key's content be forgotten: the fingerprint of the notifier's key that opened it then."""
FORGOTTEN: Final = "pumasi.contact.forgotten"
_SWEEP = b"~"


class Contacts(Replacing):
    """All that lives on the contacts topic, in memory. Use as an async context manager."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        super().__init__(bootstrap, CONTACTS, client_id)

    async def forget(self, key: bytes, sealed_for: str | None = None, *, only_known: bool = False) -> None:
        """Let nothing under a key count any more; with `only_known`, only if nothing came since that was read.

        Args:
            key: the key.
            sealed_for: the fingerprint of the key that opens what is forgotten; None: as when it was forgotten before.
            only_known: whether what came since goes on counting.

        Raises:
            KafkaUnreachable: if that is not known to be written.
        """
        gone = tombstone(key, self._publisher.partitions(CONTACTS))
        opened_by = sealed_for.encode() if sealed_for else self._sealed_for(key)
        more = [] if opened_by is None else [(SEALED_FOR, opened_by)]
        if only_known:
            more.append((REPLACES, b"%d" % self.latest[key].offset))
        await self._publisher.publish([gone._replace(headers=[*gone.headers, *more])])

    def keeps(self, key: bytes, opens: str) -> bool:
        """Whether anything of a key counts; or was forgotten, and copies of it are opened by the key of this fingerprint, or nobody
        knows by which."""
        found = self.latest.get(key)
        return found is not None and (found.value is not None or self._sealed_for(key) in (None, opens.encode()))

    def forgotten(self, opens: Collection[str]) -> list[bytes]:
        """The keys of what was forgotten while a key of these fingerprints opened it."""
        by = {one.encode() for one in opens}
        return [key for key, found in self.latest.items() if found.value is None and self._sealed_for(key) in by]

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
