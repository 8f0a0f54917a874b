"""The contacts topic for those who change it: sealed anew (`replacing`), or forgotten, and gone from the disk.

A contact's key is its subject, a word for somebody; a text's is its id. Until the ledger says what became of the event that it came
with, it is *pending*, under `<subject>/<word>`: `services.intake.pending`. No id holds a `/`. Both lie in the subject's partition, so
whoever follows that never misses both.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing, suppress
from typing import Final

from schemas.times import text_of
from services.bus.consume.scan import TopicReader
from services.bus.envelope import ABOUT, COMMAND, FUND, SOURCE, Headers, Record, command_headers
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher, publishing
from services.bus.replacing import At, Replacing
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

    async def forget(self, keys: Collection[bytes], sealed_for: str | None = None) -> None:
        """Let nothing under these keys count any more.

        Args:
            keys: of the topic; all are written together.
            sealed_for: the fingerprint of the key that opens what is forgotten; None: nobody knows.

        Raises:
            KafkaUnreachable: if that is not known to be written.
        """
        partitions = self._publisher.partitions(CONTACTS)
        await self._publisher.publish([tombstone(key, partition_of_key(key, partitions), sealed_for) for key in keys])

    def keeps(self, key: bytes, opens: str) -> bool:
        """Whether anything of a key counts; or was forgotten, and copies of it are opened by the key of this fingerprint, or nobody
        knows by which."""
        found = self.latest.get(key)
        return found is not None and (found.value is not None or self.sealed_for(key) in (None, opens))

    def sealed_for(self, key: bytes) -> str | None:
        """The fingerprint of the key that opens what lies under one of `latest`, or did; None if it isn't said."""
        return opened_by(self.latest[key].headers)


async def until_gone(bootstrap: str, subjects: Collection[bytes], again_seconds: float = 60.0) -> None:
    """Return once nothing lies on the topic any more that was forgotten under a key of these subjects before this was called.

    What came since, since somebody takes part again, is not waited for, and stays.

    Raises:
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if that isn't known.
    """
    async with publishing(bootstrap, CONTACTS, "pumasi-keys") as publisher:
        forgotten = {one.key: one.offset async for one in _lying(bootstrap, subjects) if one.value is None}
        while where := {
            one.partition
            async for one in _lying(bootstrap, subjects)
            if one.value is not None and one.offset < forgotten.get(one.key, 0)
        }:
            await _sweep(publisher, where)
            await asyncio.sleep(again_seconds)


async def _lying(bootstrap: str, subjects: Collection[bytes]) -> AsyncGenerator[Record, None]:
    async with TopicReader(bootstrap) as reader, aclosing(reader.records(CONTACTS)) as records:
        async for record in records:
            if subject_of(record.key or b"") in subjects:
                yield record


async def keep_swept(publisher: Publisher, every_seconds: float = 300.0) -> None:
    """`_sweep` all partitions now and then, for ever."""
    while True:
        await publisher.in_reach.wait()
        with suppress(KafkaUnreachable):
            await _sweep(publisher, range(publisher.partitions(CONTACTS)))
        await asyncio.sleep(every_seconds)


async def _sweep(publisher: Publisher, partitions: Collection[int]) -> None:
    """Append a record that nobody reads to each of these partitions.

    Kafka compacts what is not being written to any more, and begins a new file only when a record comes and it is time for one.
    """
    await publisher.publish([tombstone(_SWEEP, number) for number in partitions])


def subject_of(key: bytes) -> bytes:
    """Whose contact, or which text, lies under a key of the topic."""
    return key.partition(b"/")[0]


def opened_by(headers: Headers) -> str | None:
    """What SEALED_FOR says among the headers of a record; None if it isn't said."""
    said = dict(headers).get(SEALED_FOR)
    return None if said is None else said.decode("utf-8", "replace")


def event_of(headers: Headers) -> tuple[str, str]:
    """The fund of the event that something pending came with, and the case or pledge that this is about; empty where it isn't said."""
    said = dict(headers)
    fund, about = ((said.get(name) or b"").decode("utf-8", "replace") for name in (FUND, ABOUT))
    return fund, about


def partition_of_key(key: bytes, partitions: int) -> int:
    """In which partition a key's records lie."""
    return partition_of(subject_of(key).decode("utf-8", "replace"), partitions)


def tombstone(key: bytes, partition: int, sealed_for: str | None = None, command: At | None = None) -> Outgoing:
    """What deletes all that lies under a key, in its partition.

    Args:
        sealed_for: by the notifier's key of which fingerprint it could be opened, if known.
        command: where the command lies that it was decided at, if it was by one: what came with a later one stays.
    """
    headers = command_headers(FORGOTTEN, uuid.uuid4().hex, SOURCE, text_of(time.time_ns() // 1000))
    headers += [] if sealed_for is None else [(SEALED_FOR, sealed_for.encode())]
    headers += [] if command is None else [(COMMAND, b"%d-%d" % command)]
    return Outgoing(CONTACTS, partition, key, None, headers)
