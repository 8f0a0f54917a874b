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

**The later command wins.** All commands of a subject lie in one partition, so their offsets say which was the last. What stands under a
subject names the command that it came with; a fund's farewell, which deletes it, names the one that it was decided at. What names an
earlier one doesn't count (`services.bus.replacing`): it isn't written any more, which is seen to when the desk's turn has come, as late
as can be; and where it passed the later one on the wire, or came late, whoever sees that writes the later one again. `pumasi forget`
names none, and stands for the last command that is known to be applied then, of whatever is sealed for the key that it destroys.
A place counts only if the ledger has an answer to it.

A pending contact is on its topic before its command is on the other, so before any later command's contact stands under the subject.
Hence what stands there needs to be known only of subjects of which something is pending, once the topic is read to its end (until then
of all, and nothing is written); the last thousands of others are remembered for what comes late by moments.

A box that is sealed for a key about to be destroyed is not written any more: whoever renews that key seals what is pending anew, too
(`services.rotation`), and that comes here again. What nobody seals anew waits, for a key that was lost may be found: no word on the bus
has it deleted. A command that the matcher could not read keeps its contact, since it may be put back, until its fund forgets the
person, or has kept it for as many days as it keeps anybody's. A contact whose intake was killed before it published the command has
none, and nobody will publish one: it is deleted when it has lain there for ORPHANED_SECONDS, and the topic of commands, read from its
time on, has none that names it.

Of many that wait at once, while the matcher is away, only HELD_MAX are in memory as they are; the others are read again when they are
decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from sys import intern
from typing import Final

from schemas.times import DAY, parse
from services.bus.consume.scan import Extent, TopicReader
from services.bus.contacts import event_of, opened_by, subject_of, tombstone
from services.bus.envelope import ABOUT, COMMAND, CONTACT, FUND, Record
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.replacing import REPLACES, Lately, command_of, is_before, is_covering
from services.bus.topics import COMMANDS, CONTACTS
from services.errors import KafkaUnreachable, KeyMoved, PumasiError, TopicUnreadable
from services.intake.progress import Progress
from services.intake.receipts import Place
from services.intake.sequencer import Desk

OTHERS_SECONDS: Final = 5.0
ORPHANED_SECONDS: Final = 900.0
"""Much longer than a command can be under way: intake gives up after some seconds, and Kafka hangs up on one that is frozen."""
LOOK_SECONDS: Final = 20.0
HELD_MAX: Final = 10_000
"""Pending contacts in memory as they are, some 24 MB."""
LATELY_MAX: Final = 10_000
"""Subjects that are remembered though nothing of theirs is pending, some 3 MB."""
_AGAIN_SECONDS = 1.0
_CLOCKS_APART_MS = 600_000
_TOGETHER = 1000
_APPLIED, _UNREADABLE = "applied", "unreadable"
_NONE, _ANY = "", "*"  # keys, where others have their fingerprints
_NOT_NOW = KafkaUnreachable, KeyMoved, TopicUnreadable


@dataclass(slots=True)
class _Waiting:
    """A pending contact.

    Attributes:
        at: where it lies on the contacts topic.
        contact: its record; None: it is to be read again.
        sealed_for: the fingerprint of the key that it is sealed for, as its header has it.
        fund: of its event.
        time: when the event was taken, as its header has it, which is kept wherever its contact is written.
        since: when it was first seen here, in seconds of the loop.
        place: of the command that it came with, once that was seen.
    """

    at: Place
    contact: Record | None
    sealed_for: str
    fund: str
    time: bytes
    since: float
    place: Place | None

    @classmethod
    def of(cls, record: Record, since: float, place: Place | None) -> _Waiting:
        said, at = dict(record.headers), Place(record.partition, record.offset)
        sealed_for, fund = intern(opened_by(record.headers) or _NONE), intern(event_of(record.headers)[0])
        return cls(at, record, sealed_for, fund, said.get("ce_time") or b"", since, place)

    @property
    def said_at(self) -> int:
        """`time`, in microseconds since 1970; 0 if it is none."""
        with suppress(ValueError):
            return parse(self.time.decode())
        return 0


@dataclass(slots=True)
class _Subject:
    """What is known of a subject.

    Attributes:
        pending: how many contacts of theirs are pending.
        applied: the last of their commands that is known to be applied, of those that came with what is pending.
        at: where on the contacts topic what counts under the subject lies; None: nothing is known to.
        named: the command that it names, or stands for.
        forgot: the fingerprint of the key that opened what it deletes, if it deletes something.
    """

    pending: int = 0
    applied: Place | None = None
    at: Place | None = None
    named: Place | None = None
    forgot: str = _NONE


class PendingContacts:
    """What is pending, from all intakes. It is fed with both topics, and told by `progress` when a command is decided.

    Args:
        desk: publishes what is sealed.
        publisher: publishes what deletes.
        progress: knows what was said of commands.
        bootstrap: says where Kafka is; may raise KafkaUnreachable.
        ledger_end: returns once `progress` has been given all that stands on the ledger now.
        now: the time, microseconds since 1970.
    """

    def __init__(
        self,
        desk: Desk,
        publisher: Publisher,
        progress: Progress,
        bootstrap: Callable[[], str],
        ledger_end: Callable[[], Awaitable[None]],
        now: Callable[[], int],
    ) -> None:
        self._desk, self._publisher, self._progress, self._bootstrap = desk, publisher, progress, bootstrap
        self._ledger_end, self._now = ledger_end, now
        self._waiting: dict[bytes, _Waiting] = {}  # by key
        self._subjects: dict[bytes, _Subject] = {}  # what was touched last at the end
        self._covered: dict[bytes, None] = {}  # subjects above whose record lies an earlier command's
        self._kept: dict[bytes, None] = {}  # keys of what came with commands that could not be read
        self._lately = Lately()  # of what is pending
        self._places: dict[bytes, Place] = {}  # of commands that were seen before their contact, or long after it
        self._due: dict[bytes, None] = {}  # keys, and subjects that are covered
        self._is_due, self._caught_up = asyncio.Event(), asyncio.Event()

    def take_contact(self, record: Record) -> None:
        """Take in a record of the contacts topic."""
        key = record.key or b""
        if key == subject_of(key):
            self._take_subject(key, record)
        elif self._lately.counts(record):
            self._take_pending(key, record)

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
        """Write and delete what is decided, as it comes, for ever; once all that stands on the contacts topic is known."""
        await self._caught_up.wait()
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            due: dict[str, list[bytes]] = {}
            for key in filter(self._waiting.get, self._due):
                due.setdefault(self._waiting[key].sealed_for, []).append(key)
            subjects = [*filter(self._covered.__contains__, self._due)]
            self._due.clear()
            for subject in subjects:
                if subject in self._covered:
                    await self._restore(subject)
            for sealed_for, keys in due.items():
                for start in range(0, len(keys), _TOGETHER):
                    await self._settled(keys[start : start + _TOGETHER], sealed_for)

    async def look(self, contacts_end: Callable[[], Awaitable[None]]) -> None:
        """Delete what no command names, and what was kept long enough, now and then, for ever.

        Args:
            contacts_end: returns once `take_contact` has been given all that stands on the topic now.
        """
        while True:
            seen = list(self._places)
            if seen or not self._caught_up.is_set():
                await contacts_end()
            for key in seen:  # a contact is on its topic before its command: it was seen, or is gone
                self._places.pop(key, None)
            self._caught_up.set()
            self._forget_others()
            with suppress(PumasiError):
                await self._delete_orphans()
                if over := [key for key in self._kept if self._is_over(key)]:
                    await self._delete(over)
            await asyncio.sleep(LOOK_SECONDS)

    def _take_pending(self, key: bytes, record: Record) -> None:
        known, subject = self._waiting.get(key), subject_of(key)
        if record.value is None:
            if known is not None:
                del self._waiting[key]
                self._kept.pop(key, None)
                self._subjects[subject].pending -= 1
            return
        if known is None:
            since, place = asyncio.get_running_loop().time(), self._places.pop(key, None)
            self._know(subject).pending += 1
        else:
            since, place = known.since, known.place
        self._waiting[key] = one = _Waiting.of(record, since, place)
        if len(self._waiting) > HELD_MAX and (known is None or known.contact is None):
            one.contact = None
        self._when_decided(key)

    def _take_subject(self, subject: bytes, record: Record) -> None:
        """Something else stands under a subject now, or it is forgotten."""
        known, command = self._know(subject), command_of(record.headers)
        if is_covering(record, known.at and known.at.offset, known.named):
            if is_before(command, known.named):
                self._covered[subject] = None
                self._have_settled([subject])
            return
        self._covered.pop(subject, None)
        known.at, known.forgot = Place(record.partition, record.offset), _NONE
        if record.value is None:
            known.forgot = opened_by(record.headers) or _ANY
            known.named = max((one for one in (known.applied, known.named) if one is not None), default=None)
        if command is not None:
            known.named = Place(*command)

    def _know(self, subject: bytes) -> _Subject:
        known = self._subjects.pop(subject) if subject in self._subjects else _Subject()
        self._subjects[subject] = known
        if self._caught_up.is_set():
            self._forget_others()
        return known

    def _forget_others(self) -> None:
        """Keep only what is known of subjects of which something is pending or covered, and of the last that came."""
        while len(self._subjects) > LATELY_MAX + len(self._waiting) + len(self._covered):
            oldest = next(iter(self._subjects))
            known = self._subjects.pop(oldest)
            if known.pending or oldest in self._covered:
                self._subjects[oldest] = known

    def _is_last(self, subject: bytes, one: _Waiting) -> bool:
        """Whether nothing later than a contact is known of its subject, nor that it was forgotten."""
        known, place = self._subjects[subject], one.place
        if is_before(place, known.applied):
            return False
        if known.named is None or self._progress.said(known.named) is None or is_before(known.named, place):
            return True
        return place == known.named and (known.forgot == _NONE or known.forgot not in (_ANY, one.sealed_for))

    def _when_decided(self, key: bytes) -> None:
        """Have a contact settled once its command is decided: at once if we published it, else if nobody else has by then."""
        known = self._waiting.get(key)
        if known is None or known.place is None:
            return
        self._kept.pop(key, None)
        if (decision := self._progress.decision(known.place)) is not None:
            decision.add_done_callback(lambda _: self._when_decided(key))
            return
        if (said := self._progress.said(known.place)) == _APPLIED:
            whose = self._subjects[subject_of(key)]
            whose.applied = max(whose.applied or known.place, known.place)
        if said == _UNREADABLE:
            self._kept[key] = None
            return
        seconds = 0.0 if self._desk.has_published(key) else OTHERS_SECONDS
        asyncio.get_running_loop().call_later(seconds, self._have_settled, [key])

    def _have_settled(self, keys: Collection[bytes]) -> None:
        self._due |= dict.fromkeys(keys)
        self._is_due.set()

    async def _settled(self, keys: Sequence[bytes], sealed_for: str) -> None:
        """Write under its subject what belongs there, of some that are decided and sealed for one key; then delete all of them."""
        try:
            if any(self._is_doubtful(subject_of(key)) for key in keys):
                await self._ledger_end()
            keys = await self._held(keys)
            if self._last_applied(keys):
                await self._desk.put(lambda: self._under_subjects(keys), {"notifier": sealed_for})
            await self._delete(keys)
        except _NOT_NOW:
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._have_settled, keys)

    def _is_doubtful(self, subject: bytes) -> bool:
        """Whether what stands under a subject names a command of which we know no answer."""
        known = self._subjects.get(subject)
        return known is not None and known.named is not None and self._progress.said(known.named) is None

    def _last_applied(self, keys: Sequence[bytes]) -> list[tuple[bytes, _Waiting]]:
        """Those of some contacts that still belong under their subjects."""
        return [
            (key, one)
            for key in keys
            if (one := self._waiting.get(key)) and one.place and self._progress.said(one.place) == _APPLIED
            if self._is_last(subject_of(key), one)
        ]

    def _under_subjects(self, keys: Sequence[bytes]) -> list[Outgoing]:
        """The same as they are written there."""
        return [
            _under(subject_of(key), one.contact, one.place)
            for key, one in self._last_applied(keys)
            if one.contact and one.place
        ]

    async def _held(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of some contacts that can be settled: what is to be written is read again where it is not in memory.

        Raises:
            KafkaUnreachable, TopicUnreadable: if it can't be.
        """
        if not (lacking := {one.at: one for _, one in self._last_applied(keys) if one.contact is None}):
            return [*keys]
        for record in await self._read(lacking):
            lacking[Place(record.partition, record.offset)].contact = record
        late = {key: None for key, one in self._last_applied(keys) if one.contact is None}  # sealed anew meanwhile
        if late:
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._have_settled, late)
        return [key for key in keys if key not in late]

    async def _read(self, places: Collection[Place]) -> list[Record]:
        """Records of the contacts topic, but for those that Kafka has let go. Raises KafkaUnreachable, TopicUnreadable."""
        numbers: dict[int, list[int]] = {}
        for number, offset in places:
            numbers.setdefault(number, []).append(offset)
        extents = {number: Extent(min(offsets), max(offsets) + 1) for number, offsets in numbers.items()}
        async with (
            TopicReader(self._bootstrap()) as reader,
            aclosing(reader.records(CONTACTS, extents)) as records,
        ):
            return [record async for record in records if (record.partition, record.offset) in places]

    async def _restore(self, subject: bytes) -> None:
        """Write once more what counts under a subject, since an earlier command's lies above it."""
        known = self._subjects[subject]
        try:
            if self._is_doubtful(subject):
                await self._ledger_end()
            if self._is_doubtful(subject):
                known.at = known.named = None  # there is no such command
            found = await self._read([known.at]) if known.at else []
            if not found or known.named is None:
                self._covered.pop(subject, None)
                return
            again = _under(subject, found[0], known.named)
            if again.value is None:
                await self._publisher.publish([again])
            else:
                is_covered = partial(self._covered.__contains__, subject)
                sealed_for = {"notifier": opened_by(again.headers) or _NONE}
                await self._desk.put(lambda: [again] if is_covered() else [], sealed_for)
        except _NOT_NOW:
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._have_settled, [subject])

    async def _delete(self, keys: Collection[bytes]) -> None:
        there = ((key, one) for key in keys if (one := self._waiting.get(key)))
        await self._publisher.publish([tombstone(key, one.at.partition, one.sealed_for) for key, one in there])

    def _is_over(self, key: bytes) -> bool:
        """Whether a contact whose command could not be read was forgotten since, or has been kept as long as its fund keeps any."""
        one, known = self._waiting[key], self._subjects[subject_of(key)]
        days = self._progress.forgets_after(one.fund)
        is_old = 0 < days * DAY <= self._now() - one.said_at
        return is_old or (known.forgot != _NONE and is_before(one.place, known.named))

    async def _delete_orphans(self) -> None:
        """Raises KafkaUnreachable, TopicUnreadable if it isn't known whether something has a command."""
        before = asyncio.get_running_loop().time() - ORPHANED_SECONDS
        alone = {key: one.said_at for key, one in self._waiting.items() if one.place is None and one.since <= before}
        if not alone:
            return
        since = min(alone.values()) // 1000 - _CLOCKS_APART_MS
        async with TopicReader(self._bootstrap(), committed=False) as reader:  # what a replay holds open hides nothing
            where = await reader.since(COMMANDS, max(0, since))
            async with aclosing(reader.records(COMMANDS, where)) as commands:
                async for command in commands:
                    if dict(command.headers).get(CONTACT) in alone:
                        self.take_command(command)
        await self._delete([key for key in alone if (one := self._waiting.get(key)) and one.place is None])


def _under(subject: bytes, contact: Record, command: Place) -> Outgoing:
    """A contact as it stands under its subject, or what deletes it there."""
    headers = [header for header in contact.headers if header[0] not in (REPLACES, COMMAND, FUND, ABOUT)]
    return Outgoing(CONTACTS, contact.partition, subject, contact.value, [*headers, (COMMAND, str(command).encode())])
