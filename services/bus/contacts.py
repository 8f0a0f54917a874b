"""The contacts topic for those who change it: sealed anew (`replacing`), or forgotten, and gone from the disk.

A contact's key is its subject, a word for somebody; a text's is its id. Until the ledger says what became of the event that it came
with, it is *pending*, under `<subject>/<word>`: `services.intake.pending`. No id holds a `/`. Both lie in the subject's partition, so
whoever follows that never misses both.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection, Mapping
from contextlib import aclosing, suppress
from typing import Final

from schemas.times import text_of
from services.bus.consume.scan import TopicReader
from services.bus.envelope import SOURCE, command_headers
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.replacing import Replacing
from services.bus.topics import CONTACTS
from services.errors import KafkaUnreachable

SEALED_FOR: Final = "pumasi_sealed_for"
"""The header with the fingerprint of the notifier's key that opens a record; of a tombstone, the key that opened what it deletes."""
FORGOTTEN: Final = "pumasi.contact.forgotten"
_SWEEP = b"~"


class Contacts(Replacing):
    """All that lives on the contacts topic, in memory. Use as an async context manager."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        super().__init__(bootstrap, CONTACTS, client_id)

    def keys_of(self, subjects: Collection[bytes]) -> list[bytes]:
        """All keys of these subjects under which something lies or was deleted, pending ones too."""
        wanted = {*subjects}
        return [key for key in self.latest if subject_of(key) in wanted]

    async def seal(self, values: Mapping[bytes, bytes | None], key: str) -> None:
        """`replace`; those of the values that are boxes are sealed for the notifier's key of this fingerprint.

        Raises:
            KafkaUnreachable: as there.
        """
        for name, value in values.items():
            if value is not None:
                was = self.latest[name]
                headers = [header for header in was.headers if header[0] != SEALED_FOR]
                self.latest[name] = was._replace(headers=[*headers, (SEALED_FOR, key.encode())])
        await self.replace(values)

    async def forget(self, key: bytes, sealed_for: str | None = None) -> None:
        """Let nothing under a key count any more.

        Args:
            key: the key.
            sealed_for: the fingerprint of the key that opens what is forgotten; None: as when it was forgotten before.

        Raises:
            KafkaUnreachable: if that is not known to be written.
        """
        opened_by = sealed_for.encode() if sealed_for else self._sealed_for(key)
        await self._publisher.publish([tombstone(key, self._publisher.partitions(CONTACTS), opened_by)])

    def keeps(self, key: bytes, opens: str) -> bool:
        """Whether anything of a key counts; or was forgotten, and copies of it are opened by the key of this fingerprint, or nobody
        knows by which."""
        found = self.latest.get(key)
        return found is not None and (found.value is not None or self._sealed_for(key) in (None, opens.encode()))

    def _sealed_for(self, key: bytes) -> bytes | None:
        found = self.latest.get(key)
        return dict(found.headers).get(SEALED_FOR) if found else None


async def until_gone(bootstrap: str, subjects: Collection[bytes], again_seconds: float = 60.0) -> None:
    """Return once no record with a value lies under a key of these subjects, which were forgotten before.

    Kafka compacts what is not being written to any more, and begins a new file only when a record comes: so one comes now and then.

    Raises:
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if that isn't known.
    """
    while await _lies_there(bootstrap, subjects):
        async with Contacts(bootstrap, "pumasi-keys") as contacts:
            await contacts.read_on()
            for key in subjects:
                await contacts.forget(key)
        await asyncio.sleep(again_seconds)


async def _lies_there(bootstrap: str, subjects: Collection[bytes]) -> bool:
    async with TopicReader(bootstrap) as reader, aclosing(reader.records(CONTACTS)) as records:
        async for record in records:
            if record.value is not None and subject_of(record.key or b"") in subjects:
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


def subject_of(key: bytes) -> bytes:
    """Whose contact, or which text, lies under a key of the topic."""
    return key.partition(b"/")[0]


def tombstone(key: bytes, partitions: int, sealed_for: bytes | None = None) -> Outgoing:
    """What deletes all that lies under a key; `sealed_for`: by the notifier's key of which fingerprint it could be opened, if known."""
    headers = command_headers(FORGOTTEN, uuid.uuid4().hex, SOURCE, text_of(time.time_ns() // 1000))
    headers += [] if sealed_for is None else [(SEALED_FOR, sealed_for)]
    return Outgoing(CONTACTS, partition_of(subject_of(key).decode("utf-8", "replace"), partitions), key, None, headers)
