"""Pending contacts: each lies under a key of its own until the ledger says what became of the event that it came with.

    Desk ─► contacts: <subject>/<word> ─► commands, naming that key ─► matcher ─► ledger
                        └───────────────────────┴── all three ─► PendingContacts ─┘
    applied    the box is written under the subject, and once every replica has it there, the pending one is deleted
    else       the pending one is deleted; what stands under the subject is as it was before

So a refused event leaves nothing, nor does a `duplicate`: what it repeats came with a contact of its own. Kafka deletes nothing on a
condition; hence a pending contact is one command's alone, and whoever deletes it can't hit another's: an event that is published again
gets a new word. A text of thanks is a contact here.

Which contacts are pending, whose they are and what was said of those is read from the topics, and to do it twice changes nothing. So
any intake can do it, and whatever one was killed at, the next goes on: who published does it at once, any other once that one has
had OTHERS_SECONDS.

All commands of a subject lie in one partition, so their offsets say which was the last. What stands under a subject names its command;
an older one's contact is not written any more. If the subject was forgotten, nor is that of any command that was known to be applied
then, unless it is sealed for a later key than what was forgotten: they take part again. That is seen to when the desk's turn has come,
as late as can be.

A box that is sealed for a key about to be destroyed is not written any more: whoever renews that key seals what is pending anew, too
(`services.rotation`), and that comes here again. What nobody seals anew waits, for a key that was lost may be found: no word on the bus
has it deleted. A command that the matcher could not read keeps its contact, since it may be put back. A contact whose intake was killed
before it published the command has none, and nobody will publish one: it is deleted when it has lain there for ORPHANED_SECONDS, and
the topic of commands, read from its time on, has none that names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from schemas.times import parse
from services.bus.consume.scan import TopicReader
from services.bus.contacts import opened_by, subject_of, tombstone
from services.bus.envelope import COMMAND, CONTACT, Headers, Record
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.replacing import REPLACES, Lately
from services.bus.topics import COMMANDS, CONTACTS
from services.errors import KafkaUnreachable, KeyMoved, PumasiError
from services.intake.progress import Progress
from services.intake.receipts import Place
from services.intake.sequencer import Desk

OTHERS_SECONDS: Final = 5.0
ORPHANED_SECONDS: Final = 900.0
"""Much longer than a command can be under way: intake gives up after some seconds, and Kafka hangs up on one that is frozen."""
LOOK_SECONDS: Final = 20.0
_AGAIN_SECONDS = 1.0
_CLOCKS_APART_MS = 600_000
_TOGETHER = 1000
_APPLIED, _UNREADABLE = "applied", "unreadable"
_NONE, _ANY = "", "*"  # keys, where others have their fingerprints


@dataclass(slots=True)
class _Waiting:
    """A pending contact.

    Attributes:
        contact: its record.
        since: when it was first seen here, in seconds of the loop.
        place: of the command that it came with, once that was seen.
    """

    contact: Outgoing
    since: float
    place: Place | None

    @property
    def sealed_for(self) -> str:
        """The fingerprint of the key that it is sealed for, as its header has it."""
        return opened_by(self.contact.headers) or _NONE


class PendingContacts:
    """What is pending, from all intakes. It is fed with both topics, and told by `progress` when a command is decided.

    Args:
        desk: publishes what is sealed.
        publisher: publishes what deletes.
        progress: knows what was said of commands.
        bootstrap: says where Kafka is; may raise KafkaUnreachable.
    """

    def __init__(self, desk: Desk, publisher: Publisher, progress: Progress, bootstrap: Callable[[], str]) -> None:
        self._desk, self._publisher, self._progress, self._bootstrap = desk, publisher, progress, bootstrap
        self._waiting: dict[bytes, _Waiting] = {}  # by key
        self._last: dict[
            bytes, tuple[int, str]
        ] = {}  # by subject: the last command applied; if forgotten since, of what key
        self._lately = Lately()
        self._places: dict[bytes, Place] = {}  # of commands that were seen before their contact, or long after it
        self._due: dict[bytes, None] = {}
        self._is_due = asyncio.Event()

    def take_contact(self, record: Record) -> None:
        """Take in a record of the contacts topic."""
        key = record.key or b""
        known = self._waiting.get(key)
        if key == subject_of(key):
            self._take_subject(key, record)
        elif not self._lately.counts(record):
            return
        elif record.value is not None:
            contact = Outgoing(CONTACTS, record.partition, key, record.value, record.headers)
            if known is None:
                known = _Waiting(contact, asyncio.get_running_loop().time(), self._places.pop(key, None))
                self._waiting[key] = known
            known.contact = contact
            self._when_decided(key)
        elif known is not None:
            del self._waiting[key]

    def take_command(self, record: Record) -> None:
        """Take in a record of the commands topic."""
        if (key := dict(record.headers).get(CONTACT)) is None:
            return
        place = Place(record.partition, record.offset)
        if (known := self._waiting.get(key)) is None:
            self._places[key] = place
            return
        known.place = place
        self._when_decided(key)

    async def keep(self) -> None:
        """Write and delete what is decided, as it comes, for ever."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            due: dict[str, list[bytes]] = {}
            for key in filter(self._waiting.get, self._due):
                due.setdefault(self._waiting[key].sealed_for, []).append(key)
            self._due.clear()
            for sealed_for, keys in due.items():
                for start in range(0, len(keys), _TOGETHER):
                    await self._settled(keys[start : start + _TOGETHER], sealed_for)

    async def look(self, contacts_end: Callable[[], Awaitable[None]]) -> None:
        """Delete what no command names, now and then, for ever.

        Args:
            contacts_end: returns once `take_contact` has been given all that stands on the topic now.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._places:
                seen = list(self._places)
                await contacts_end()
                for key in seen:  # a contact is on its topic before its command: it was seen, or is gone
                    self._places.pop(key, None)
            with suppress(PumasiError):
                await self._delete_orphans()

    def _take_subject(self, subject: bytes, record: Record) -> None:
        """Something else stands under a subject now, or it is forgotten."""
        if record.value is not None:
            place = Place.of((dict(record.headers).get(COMMAND) or b"").decode("utf-8", "replace"))
            if place is not None:
                self._came_to(subject, place)
        elif subject in self._last:
            self._last[subject] = (self._last[subject][0], opened_by(record.headers) or _ANY)

    def _came_to(self, subject: bytes, place: Place) -> None:
        """A command of a subject's was applied."""
        last = (place.offset, _NONE)
        self._last[subject] = max(self._last.get(subject, last), last)

    def _is_last(self, subject: bytes, one: _Waiting, place: Place) -> bool:
        offset, forgotten = self._last.get(subject, (0, _NONE))
        counts = forgotten == _NONE or forgotten not in (_ANY, one.sealed_for)
        return place.offset > offset or (place.offset == offset and counts)

    def _when_decided(self, key: bytes) -> None:
        """Have a contact settled once its command is decided: at once if we published it, else if nobody else has by then."""
        known = self._waiting.get(key)
        if known is None or known.place is None:
            return
        if (decision := self._progress.decision(known.place)) is not None:
            decision.add_done_callback(lambda _: self._when_decided(key))
            return
        if self._progress.said(known.place) == _APPLIED:
            self._came_to(subject_of(key), known.place)
        if self._progress.said(known.place) != _UNREADABLE:
            seconds = 0.0 if self._desk.has_published(key) else OTHERS_SECONDS
            asyncio.get_running_loop().call_later(seconds, self._have_settled, [key])

    def _have_settled(self, keys: Collection[bytes]) -> None:
        self._due |= dict.fromkeys(keys)
        self._is_due.set()

    async def _settled(self, keys: Sequence[bytes], sealed_for: str) -> None:
        """Write under its subject what belongs there, of some that are decided and sealed for one key; then delete all of them."""
        try:
            if self._last_applied(keys):
                await self._desk.put(lambda: self._last_applied(keys), {"notifier": sealed_for})
            await self._delete(keys)
        except (KafkaUnreachable, KeyMoved):
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._have_settled, keys)

    def _last_applied(self, keys: Sequence[bytes]) -> list[Outgoing]:
        """Those of some contacts that still belong under their subjects, as they are written there."""
        return [
            _under(subject_of(key), one.contact, one.place)
            for key in keys
            if (one := self._waiting.get(key)) and one.place and self._progress.said(one.place) == _APPLIED
            if self._is_last(subject_of(key), one, one.place)
        ]

    async def _delete(self, keys: Collection[bytes]) -> None:
        partitions, there = self._publisher.partitions(CONTACTS), [key for key in keys if key in self._waiting]
        gone = [tombstone(key, partitions, self._waiting[key].sealed_for) for key in there]
        await self._publisher.publish(gone)

    async def _delete_orphans(self) -> None:
        """Raises KafkaUnreachable, TopicUnreadable if it isn't known whether something has a command."""
        before = asyncio.get_running_loop().time() - ORPHANED_SECONDS
        old = {key: one for key, one in self._waiting.items() if one.place is None and one.since <= before}
        alone = {key: _said_at(one.contact.headers) for key, one in old.items()}
        if not alone:
            return
        since = min(alone.values()) - _CLOCKS_APART_MS
        async with TopicReader(self._bootstrap(), committed=False) as reader:  # what a replay holds open hides nothing
            where = await reader.since(COMMANDS, max(0, since))
            async with aclosing(reader.records(COMMANDS, where)) as commands:
                async for command in commands:
                    if dict(command.headers).get(CONTACT) in alone:
                        self.take_command(command)
        await self._delete([key for key in alone if (one := self._waiting.get(key)) and one.place is None])


def _under(subject: bytes, contact: Outgoing, place: Place) -> Outgoing:
    """A contact as it stands under its subject."""
    headers = [header for header in contact.headers if header[0] not in (REPLACES, COMMAND)]
    return contact._replace(key=subject, headers=[*headers, (COMMAND, str(place).encode())])


def _said_at(headers: Headers) -> int:
    """When the event was taken, in milliseconds since 1970, which is kept wherever its contact is written; 0 if it isn't said."""
    with suppress(ValueError):
        return parse((dict(headers).get("ce_time") or b"").decode()) // 1000
    return 0
