"""The desk behind both doors: one queue, in which an event gets its time and its place in its fund's order.

Admitted events pass the queue one after the other: is it a repeat, what time is it, is a tick due before it, which partition does
it join. Only the waiting for Kafka's confirmation happens outside, side by side. So no tick overtakes an event that came before
it, and a batch keeps its order. An answer is given when every in-sync replica has the command, else KafkaUnreachable. A contact is
published, and confirmed, before its command gets in line; it is pending until that is decided (`pending`).

Whether a known event that comes again is a repeat or (if refused) a new command, only the ledger knows. So while it is undecided
its decision is waited for, outside the queue. The HTTP door, where somebody is waiting, waits for PATIENCE_SECONDS; then it takes
the event for the repeat that it most likely is, and says 202, which is true. On the topic nobody asks again, so it must not
guess.

Stamps are of the wall clock, and say so, for as long as it isn't off (`clock`). They are of whole seconds: no timer needs more,
and a finer one could help to match an entry with what was seen elsewhere. Ticks follow the wall clock, too; with trusted time
they follow the events: before the first event that is `tick_seconds` later than the last tick, one tick of the event's time goes
to each partition.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from schemas.commands import TICK
from schemas.ledger import encode
from schemas.times import SECOND, text_of
from services.bus.contacts import SEALED_FOR
from services.bus.envelope import ABOUT, CONTACT, FUND, MAC, SENDER, SUBMISSION, SUPERSEDES, TRACE, command_headers
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Pending, Publisher
from services.bus.topics import COMMANDS, CONTACTS
from services.errors import Conflict, KafkaUnreachable
from services.intake.admission import Admitted
from services.intake.clock import SAYABLE, Clock
from services.intake.funds import CONFIGURED
from services.intake.receipts import Place
from services.intake.repeats import Expected, Repeats
from services.metrics import EVENTS, PUBLISH_SECONDS, Metrics
from services.traces import Step, begun

SOURCE = "/pumasi/intake"
PATIENCE_SECONDS = 2.0
"""How long the decision of an event that comes again is waited for."""
WAITING_MAX = 32
"""Calls that wait so at once, half of what the HTTP door takes; one more does not wait, to leave room for events that need not."""


def _stamp(now: int) -> int:
    """The second of a time, both in microseconds since 1970."""
    return now - now % SECOND


class _Line(NamedTuple):
    """What one call puts in line at one time of the wall clock: records, which of them carries which event's command; steps."""

    now: int
    records: list[Outgoing]
    commands: list[tuple[int, Admitted, Expected]]
    steps: list[Step]
    places: list[Place | asyncio.Future[Place]]


class _Undecided(Exception):
    """An event came in the meantime by another door, and is not decided yet."""


class Desk:
    """Publishes what is admitted.

    Args:
        publisher: of commands and contacts.
        repeats: the memory of recent events.
        caught_up: returns once `repeats` has followed the commands topic to its end of now.
        tick_seconds: seconds between ticks.
        trust_time: take the events' own time, and let ticks follow it.
        clock: stamps what has no time that is trusted.
        hold_fund: called with the fund of each configuration, and what the clock says; raises if it may not begin then.
        hold_sealed: called with the fingerprints of the keys that something is sealed for; raises if it may not be published.
        metrics: what is measured.
    """

    def __init__(
        self,
        publisher: Publisher,
        repeats: Repeats,
        caught_up: Callable[[], Awaitable[None]],
        tick_seconds: float,
        trust_time: bool,
        clock: Clock,
        hold_fund: Callable[[str, int], None] = lambda _fund, _at: None,
        hold_sealed: Callable[[Mapping[str, str]], None] = lambda _keys: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics("intake")
        self._hold_fund = hold_fund
        self._publisher, self.repeats, self._caught_up, self._clock = publisher, repeats, caught_up, clock
        self._hold_sealed = hold_sealed
        self._tick, self._trust_time = int(tick_seconds * SECOND), trust_time
        self._queue, self._waiting = asyncio.Lock(), 0
        self._ticked_at: int | None = None
        self._words, self._published = secrets.token_hex(8), 0

    async def take(self, admitted: Sequence[Admitted]) -> list[Place]:
        """Publish the commands of a batch, in order; returns where each lies.

        Raises:
            ClockOff: if nothing may be stamped; then none is published.
            KeyChanging: if a fund can't begin now; likewise.
            Conflict: if an id came before with other data, here or at another intake, and is not known to be refused; then none is
                published.
            KeyMoved: if something is sealed for a key that is being replaced; then none is published.
            KafkaUnreachable: if one is not known to be published; a repeat of the whole batch is safe.
        """
        if self._waiting < WAITING_MAX:
            self._waiting += 1
            try:
                await self._decided(admitted)
            finally:
                self._waiting -= 1
        return await self._take(admitted)

    async def take_decided(self, admitted: Sequence[Admitted]) -> int:
        """Publish the commands of the first of a batch, up to an event that is not decided yet; returns how many events these were.

        If the very first is undecided its decision is waited for; after PATIENCE_SECONDS none is taken: call again.

        Raises:
            Conflict, KeyMoved, KafkaUnreachable: as `take`.
        """
        await self._decided(admitted[:1])
        while ready := self.repeats.ready(admitted):
            with contextlib.suppress(_Undecided):
                await self._take(admitted[:ready], guess=False)
                break
        return ready

    async def _decided(self, admitted: Sequence[Admitted]) -> None:
        """Wait until all are new or decided, or patience is over."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + PATIENCE_SECONDS
        while (undecided := self.repeats.undecided(admitted)) and (left := deadline - clock()) > 0:
            await asyncio.wait(undecided, timeout=left)

    async def _take(self, admitted: Sequence[Admitted], guess: bool = True) -> list[Place]:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(2 * self._publisher.deadline_seconds):
                line, places = await self._publish(admitted, guess)
        except TimeoutError:
            raise KafkaUnreachable("Kafka did not confirm in time", hint="Try again: a repeat is safe.") from None
        door, accepted = "http" if guess else "topic", len(line.commands)
        self._metrics.observe(PUBLISH_SECONDS, time.perf_counter() - began)
        self._metrics.count(EVENTS, door, "accepted", by=accepted)
        self._metrics.count(EVENTS, door, "repeated", by=len(places) - accepted)
        return places

    async def put(self, contacts: Callable[[], Sequence[Outgoing]], sealed_for: Mapping[str, str]) -> None:
        """Publish what is sealed for these keys, by whose they are.

        Args:
            contacts: asked when its turn has come, since what is true before may not be true then.
            sealed_for: the keys' fingerprints.

        Raises:
            KeyMoved: if one is being replaced, or that isn't known here yet.
            KafkaUnreachable: if one record is not known to be published.
        """
        async with self._queue:  # so that `drain` comes before or after it
            self._hold_sealed(sealed_for)
            pending = await self._publisher.enqueue(contacts())
        await self._publisher.confirm(pending)

    def has_published(self, key: bytes) -> bool:
        """Whether a pending contact is one of ours, by its key."""
        return key.partition(b"/")[2].startswith(self._words.encode())

    async def _publish(self, admitted: Sequence[Admitted], guess: bool) -> tuple[_Line, list[Place]]:
        try:
            line, pending = await self._enqueue(admitted, guess)
        except Conflict:
            # Another intake may have let the true event pass, and this door the other: the topic tells which was first.
            await self.repeats.landed(admitted)
            await self._caught_up()
            line, pending = await self._enqueue(admitted, guess)
        try:
            offsets = await self._publisher.confirm(pending)
        except BaseException as error:
            self._fail(line, error)
            raise
        if not self._trust_time:
            self._clock.heard(line.now, pending.appended)
        for step in line.steps:
            step.end()
        for index, one, expected in line.commands:
            self.repeats.arrived(one, expected, Place(line.records[index].partition, offsets[index]))
        return line, [place if isinstance(place, Place) else await asyncio.shield(place) for place in line.places]

    async def _enqueue(self, admitted: Sequence[Admitted], guess: bool) -> tuple[_Line, Pending]:
        pending: dict[tuple[str, str, str], str] = {}
        while True:
            async with self._queue:
                if not guess and self.repeats.undecided(admitted):
                    raise _Undecided
                self.repeats.check(admitted)
                self._hold(admitted)
                new = {one.key: one for one in admitted if one.contact and self.repeats.place_of(one) is None}
                contacts = {key: self._contact(one) for key, one in new.items() if key not in pending}
                if not contacts:
                    return await self._enqueue_commands(admitted, pending)
                promised = await self._publisher.enqueue([record for _, record in contacts.values()])
            await self._publisher.confirm(promised)
            pending |= {key: name for key, (name, _) in contacts.items()}

    async def _enqueue_commands(
        self, admitted: Sequence[Admitted], contacts: Mapping[tuple[str, str, str], str]
    ) -> tuple[_Line, Pending]:
        """Called inside the queue, once all may be published; `contacts`: the keys of those that are pending, by their events'."""
        ticked_at = self._ticked_at
        line = self._line_up(admitted, contacts)
        try:
            return line, await self._publisher.enqueue(line.records)
        except BaseException as error:
            self._ticked_at = ticked_at  # the tick may not have gone out: the next event brings it again
            self._fail(line, error)
            raise

    async def tick(self) -> None:
        """Send a tick of the wall clock to each partition, be it off or not: a tick that is ahead has no effect, and tells that it is.

        Raises:
            KafkaUnreachable: if one is not known to be published.
        """
        async with self._queue:
            now = self._clock.now()
            said = _stamp(min(max(now, SAYABLE[0]), SAYABLE[1]))  # no tick is unreadable, however wrong the clock
            pending: Pending = await self._publisher.enqueue(self._ticks(said, wall=True))
        await self._publisher.confirm(pending)
        self._clock.heard(now, pending.appended)

    async def drain(self) -> None:
        """Return once all that is in line now is published, or given up."""
        async with self._queue:
            await self._publisher.flush()

    def check_clock(self) -> None:
        """Check that events may be stamped; trusted time needs no clock.

        Raises:
            ClockOff, KafkaUnreachable: as `Clock.check`.
        """
        if not self._trust_time:
            self._clock.check()

    def _hold(self, admitted: Sequence[Admitted]) -> None:
        """Raise what stands against publishing any of it, before anything is noted."""
        self._publisher.partitions(COMMANDS), self._publisher.partitions(CONTACTS)
        self.check_clock()
        for one in admitted:
            if self.repeats.place_of(one) is None:
                if one.sealed_for:
                    self._hold_sealed(one.sealed_for)
                if one.type == CONFIGURED:
                    self._hold_fund(one.fund, self._clock.now())

    def _line_up(self, admitted: Sequence[Admitted], contacts: Mapping[tuple[str, str, str], str]) -> _Line:
        line = _Line(self._clock.now(), [], [], [], [])
        for one in admitted:
            known = self.repeats.place_of(one)
            if known is not None:
                line.places.append(known)
                continue
            sent_at = one.time if self._trust_time else None
            at, wall = (_stamp(line.now), True) if sent_at is None else (sent_at, False)
            if self._trust_time and (self._ticked_at is None or at >= self._ticked_at + self._tick):
                line.records.extend(self._ticks(at, wall))
                self._ticked_at = at
            expected = self.repeats.expect(one)
            line.commands.append((len(line.records), one, expected))
            line.places.append(expected.place)
            line.steps.append(begun(f"publish {one.type}", "PRODUCER", linked=len(admitted) > 1))
            names = ((SUPERSEDES, expected.supersedes), (CONTACT, contacts.get(one.key)))
            line.records.append(self._command(one, at, wall, names, line.steps[-1].traceparent))
        return line

    def _fail(self, line: _Line, error: BaseException) -> None:
        told = error if isinstance(error, KafkaUnreachable) else KafkaUnreachable("given up while publishing")
        for step in line.steps:
            step.end(error)
        for _, one, expected in line.commands:
            self.repeats.failed(one, expected, told)

    def _command(
        self, one: Admitted, at: int, wall: bool, names: Sequence[tuple[str, Place | str | None]], trace: bytes | None
    ) -> Outgoing:
        partition = partition_of(one.fund, self._publisher.partitions(COMMANDS))
        headers = command_headers(one.type, one.id, one.source, text_of(at), wall=wall)
        more = (*names, (SENDER, one.sender), (MAC, one.mac), (SUBMISSION, one.submission))
        headers += [(name, str(value).encode()) for name, value in more if value is not None]
        headers += [] if trace is None else [(TRACE, trace)]
        return Outgoing(COMMANDS, partition, one.fund.encode(), one.value, headers)

    def _contact(self, one: Admitted) -> tuple[str, Outgoing]:
        """A pending contact, and its key, which no other has."""
        assert one.contact is not None, "asked for only where there is one"
        subject = one.contact.subject
        self._published += 1
        key = f"{subject}/{self._words}-{self._published}"
        partition = partition_of(subject, self._publisher.partitions(CONTACTS))
        headers = command_headers("pumasi.contact.sealed", one.id, one.source, text_of(_stamp(self._clock.now())))
        about = next(iter(one.names.values()))  # a pledge or a case: only what is about one comes with a contact
        said = (SEALED_FOR, one.sealed_for["notifier"]), (FUND, one.fund), (ABOUT, about)
        headers += [(name, value.encode()) for name, value in said]
        return key, Outgoing(CONTACTS, partition, key.encode(), encode(one.contact.model_dump()), headers)

    def _ticks(self, at: int, wall: bool) -> list[Outgoing]:
        headers = command_headers(TICK, f"tick-{at}", SOURCE, text_of(at), wall=wall)
        return [Outgoing(COMMANDS, n, None, b"{}", headers) for n in range(self._publisher.partitions(COMMANDS))]
