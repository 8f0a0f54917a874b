"""Pending contacts: each lies under a key of its own until the ledger says what became of the event that it came with.

    Desk ─► contacts: <subject>/<word> ─► commands, naming that key ─► matcher ─► ledger
                        └───────────────────────┴── all three ─► PendingContacts ─┘
    applied, or `duplicate`   the box is written under the subject, and once every replica has it there, the pending one is deleted
    rejected                  the pending one is deleted; what stands under the subject is as it was before

So a refused event leaves nothing. Kafka deletes nothing on a condition; hence a pending contact is one command's alone, and whoever
deletes it can't hit another's: an event that is published again gets a new word. A text of thanks is a contact here.

Which contacts are pending, whose they are and what was said of those is read from the topics, and to do it twice changes nothing. So
any intake can do it, and whatever one was killed at, the next goes on: who published does it at once, any other once that one has
had OTHERS_SECONDS. A box that is sealed for a key about to be destroyed is not written any more: whoever renews that key seals what
is pending anew, too (`services.rotation`), and that comes here again.

What is older under the subject never takes the place of what is newer there, or of somebody's being forgotten. A command that the
matcher could not read keeps its contact, since it may be put back. A contact whose intake was killed before it published the command
has none, and nobody will publish one: it is deleted when it has lain there for ORPHANED_SECONDS, and the topic of commands, read from
its time on, has none that names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from schemas.times import parse
from services.bus.consume.scan import TopicReader
from services.bus.contacts import SEALED_FOR, subject_of, tombstone
from services.bus.envelope import CONTACT, Headers, Record
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.replacing import REPLACES
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
_APPLIED, _UNREADABLE = ("applied", "duplicate"), "unreadable"


@dataclass(slots=True)
class _Waiting:
    """A pending contact.

    Attributes:
        contact: as it is written under its subject.
        since: when it was first seen here, in seconds of the loop.
        place: of the command that it came with, once that was seen.
        is_stale: something newer has been said of its subject.
    """

    contact: Outgoing
    since: float
    place: Place | None
    is_stale: bool = False


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
        self._waiting: dict[bytes, dict[bytes, _Waiting]] = {}  # by subject and key
        self._places: dict[bytes, Place] = {}  # of commands that were seen before their contact, or long after it
        self._due: dict[bytes, None] = {}
        self._is_due = asyncio.Event()

    def take_contact(self, record: Record) -> None:
        """Take in a record of the contacts topic."""
        key = record.key or b""
        subject, known = subject_of(key), self._found(key)
        if key == subject:
            self._overtake(record)
        elif record.value is not None:
            headers = [header for header in record.headers if header[0] != REPLACES]
            contact = Outgoing(CONTACTS, record.partition, subject, record.value, headers)
            if known is None:
                known = _Waiting(contact, asyncio.get_running_loop().time(), self._places.pop(key, None))
                self._waiting.setdefault(subject, {})[key] = known
            known.contact = contact
            self._when_decided(key)
        elif known is not None:
            del self._waiting[subject][key]
            if not self._waiting[subject]:
                del self._waiting[subject]

    def take_command(self, record: Record) -> None:
        """Take in a record of the commands topic."""
        if (key := dict(record.headers).get(CONTACT)) is None:
            return
        place = Place(record.partition, record.offset)
        if (known := self._found(key)) is None:
            self._places[key] = place
            return
        known.place = place
        self._when_decided(key)

    async def keep(self) -> None:
        """Write and delete what is decided, as it comes, for ever."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            due, self._due = [key for key in self._due if self._found(key)], {}
            for sealed_for in {self._sealed_for(key) for key in due}:
                keys = [key for key in due if self._sealed_for(key) == sealed_for]
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

    def _found(self, key: bytes) -> _Waiting | None:
        return self._waiting.get(subject_of(key), {}).get(key)

    def _sealed_for(self, key: bytes) -> str:
        known = self._found(key)
        return (dict(known.contact.headers).get(SEALED_FOR) or b"").decode() if known else ""

    def _overtake(self, record: Record) -> None:
        """Take in what now stands under a subject itself: what is pending there is stale if that was said later, or deletes the subject
        when the command was decided already."""
        for known in self._waiting.get(record.key or b"", {}).values():
            if record.value is not None:
                known.is_stale |= _said_at(known.contact.headers) < _said_at(record.headers)
            elif known.place is not None and self._progress.said(known.place) is not None:
                known.is_stale = True

    def _when_decided(self, key: bytes) -> None:
        """Have a contact settled once its command is decided: at once if we published it, else if nobody else has by then."""
        known = self._found(key)
        if known is None or known.place is None:
            return
        if (decision := self._progress.decision(known.place)) is not None:
            decision.add_done_callback(lambda _: self._when_decided(key))
        elif self._progress.said(known.place) != _UNREADABLE:
            seconds = 0.0 if self._desk.has_published(key) else OTHERS_SECONDS
            asyncio.get_running_loop().call_later(seconds, self._have_settled, [key])

    def _have_settled(self, keys: Collection[bytes]) -> None:
        self._due |= dict.fromkeys(keys)
        self._is_due.set()

    async def _settled(self, keys: Sequence[bytes], sealed_for: str) -> None:
        """Write under its subject what belongs there, of some that are decided and sealed for one key; then delete all of them."""
        known = [(one.place, one) for key in keys if (one := self._found(key)) and one.place and not one.is_stale]
        known.sort(key=lambda each: each[0])
        applied = [one.contact for place, one in known if self._progress.said(place) in _APPLIED]
        last = {contact.key: contact for contact in applied}  # of one person
        try:
            if last:
                await self._desk.put([*last.values()], {"notifier": sealed_for})
            await self._delete(keys)
        except (KafkaUnreachable, KeyMoved):
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._have_settled, keys)

    async def _delete(self, keys: Collection[bytes]) -> None:
        partitions, there = self._publisher.partitions(CONTACTS), filter(self._found, keys)
        await self._publisher.publish([tombstone(key, partitions, self._sealed_for(key).encode()) for key in there])

    async def _delete_orphans(self) -> None:
        """Raises KafkaUnreachable, TopicUnreadable if it isn't known whether something has a command."""
        before = asyncio.get_running_loop().time() - ORPHANED_SECONDS
        every = [item for waiting in self._waiting.values() for item in waiting.items()]
        alone = {key: _said_at(one.contact.headers) for key, one in every if one.place is None and one.since <= before}
        if not alone:
            return
        since = min(alone.values()) - _CLOCKS_APART_MS
        async with TopicReader(self._bootstrap(), committed=False) as reader:  # what a replay holds open hides nothing
            extents = await reader.since(COMMANDS, max(0, since))
            begins, ends = ({n: getattr(one, at) for n, one in extents.items()} for at in ("begin", "end"))
            async with aclosing(reader.between(COMMANDS, begins, ends)) as commands:
                async for command in commands:
                    if dict(command.headers).get(CONTACT) in alone:
                        self.take_command(command)
        await self._delete([key for key in alone if (one := self._found(key)) and one.place is None])


def _said_at(headers: Headers) -> int:
    """When the event was taken, in milliseconds since 1970, which is kept wherever its contact is written; 0 if it isn't said."""
    with suppress(ValueError):
        return parse((dict(headers).get("ce_time") or b"").decode()) // 1000
    return 0
