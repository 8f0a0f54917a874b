"""Repeats: the same event again gets the same answer, without a second command; the same id with other data is a conflict.

A bounded memory of recent events, by sender, source and id. It is a courtesy, not the guarantee: whatever slips through gets
`duplicate` or `id_conflict` from the matcher, which forgets nothing. It follows the commands topic, so it knows what other
intakes let pass. As for the matcher, of two events of a fund under one id the first on the topic counts. (Between two funds there
is no first: what two intakes pass at once both stand.)

A refused event holds nothing. Sent again, corrected or not, it is a new command, which names the refused one in a header and
takes its place; so every intake knows what became of it, as far back as the memory reaches. If two intakes receive it at the same
moment, they publish two such commands: the first on the topic takes the refused one's place, and the second gets `duplicate` from
the matcher if the first was applied. If the first was refused and the second applied, because what was missing arrived in
between, the next repeat gets `duplicate`. No intake can know better: none sees the end of a topic that others write to.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.commands import TICK, Unreadable
from services.bus.envelope import MAC, SENDER, SUPERSEDES, Record, read_command, text_headers
from services.errors import Conflict
from services.intake.admission import Admitted
from services.intake.makers import VOUCHED, Named, id_of
from services.intake.progress import Progress
from services.intake.receipts import Place

CAPACITY = 200_000
"""Events remembered; some 60 MB when full."""


class Known(NamedTuple):
    """The command that an event became.

    Attributes:
        mac: as `Admitted` has it.
        place: where its command lies.
        supersedes: the refused command whose place it takes, if any.
    """

    mac: str
    place: Place
    supersedes: Place | None = None


class Expected(NamedTuple):
    """The same of an event whose command is on its way; `place` will say where it lies."""

    mac: str
    place: asyncio.Future[Place]
    supersedes: Place | None


class Repeats:
    """Which events came, and where their commands lie.

    Args:
        progress: knows which commands are decided, and which were refused; hears of each command that is followed.
    """

    def __init__(self, progress: Progress, capacity: int = CAPACITY) -> None:
        self._progress, self._capacity = progress, capacity
        self._known: OrderedDict[tuple[str, str, str], Known | Expected] = OrderedDict()
        self._superseded: dict[Place, Place] = {}

    def check(self, admitted: Sequence[Admitted]) -> None:
        """Check that all may pass, before any does.

        Raises:
            Conflict: if an id came before with other data and was not refused, or comes twice in the batch with different data.
        """
        here: dict[tuple[str, str, str], str] = {}
        for number, one in enumerate(admitted):
            known = self._standing(one)
            mac = known.mac if known else here.setdefault(one.key, one.mac)
            if mac != one.mac:
                which = f"event {number}: " if len(admitted) > 1 else ""
                raise Conflict(
                    f"{which}an event with this id came before from the same source, with other data",
                    hint="An id stands for one event: give the changed event an id of its own.",
                )

    def undecided(self, admitted: Sequence[Admitted]) -> set[asyncio.Future[Any]]:
        """What to wait for until something is known of all these events: that they land, or that they are decided."""
        return {waits for one in admitted if (waits := self._awaited(one)) is not None}

    def ready(self, admitted: Sequence[Admitted]) -> int:
        """How many of the first are new or decided, and each an event of its own."""
        keys: set[tuple[str, str, str]] = set()
        for number, one in enumerate(admitted):
            if one.key in keys or self._awaited(one) is not None:
                return number
            keys.add(one.key)
        return len(admitted)

    async def landed(self, admitted: Sequence[Admitted]) -> None:
        """Wait until none of these ids is on its way any more."""
        for one in admitted:
            known = self._known.get(one.key)
            if isinstance(known, Expected):
                await asyncio.wait([known.place])

    def place_of(self, one: Admitted) -> Place | asyncio.Future[Place] | None:
        """Where the command of this very event lies, or will lie, if it came before and was not refused."""
        known = self._standing(one)
        if known is None:
            return None
        self._known.move_to_end(one.key)
        return known.place

    def stands(self, admitted: Sequence[Admitted]) -> bool:
        """Whether one of these events came before and was not refused, is about an id that its sender made, or is a vouch.

        Not about an id that another made: the answer would tell that it is there. So a vouch, for whatever case, counts as one
        that stands.
        """
        return any(
            one.type == VOUCHED
            or self._standing(one) is not None
            or self._progress.is_made_by(one.sender, id_of(one.fund, one.type, one.names))
            for one in admitted
        )

    def successor(self, place: Place) -> Place | None:
        """The command that took the place of the refused one at `place`, if any has."""
        return self._superseded.get(place)

    def expect(self, one: Admitted) -> Expected:
        """Remember that this event, which is new or was refused, is on its way; settle it by `arrived` or `failed`."""
        future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # there may be nobody waiting
        refused = self._known.get(one.key)
        expected = Expected(one.mac, future, refused.place if isinstance(refused, Known) else None)
        self._remember(one.key, expected)
        return expected

    def arrived(self, one: Admitted, expected: Expected, place: Place) -> None:
        """The command of this event is published; another that was let pass under its id may lie before it."""
        known = self._known.get(one.key)
        if known is not None and known.place is expected.place:
            del self._known[one.key]
        self._found(one.key, Known(expected.mac, place, expected.supersedes))
        expected.place.set_result(place)

    def failed(self, one: Admitted, expected: Expected, error: BaseException) -> None:
        """It is not known to be published: forget it, so that a repeat is tried again."""
        known = self._known.get(one.key)
        if known is not None and known.place is expected.place:
            del self._known[one.key]
            if expected.supersedes is not None:
                self._remember(one.key, Known("", expected.supersedes))  # refused: its data don't matter any more
        if not expected.place.done():
            expected.place.set_exception(error)

    def follow(self, record: Record, partitions: int) -> None:
        """Remember a command as it lies on the topic; ticks are ignored, and so is what the matcher can't read."""
        command, place, named = read_command(record, partitions), Place(record.partition, record.offset), None
        if not isinstance(command, Unreadable) and command.type != TICK:
            headers = text_headers(record.headers)
            if SENDER in headers:  # as intake writes them; no event is known by anybody else's command
                named = Named.of(headers[SENDER], command, record.timestamp / 1000)
                found = Known(headers.get(MAC, ""), place, Place.of(headers.get(SUPERSEDES, "")))
                self._found((headers[SENDER], headers["ce_source"], command.id), found)
        self._progress.came(place, named)

    def _standing(self, one: Admitted) -> Known | Expected | None:
        """What is known of an event, unless it was refused."""
        known = self._known.get(one.key)
        refused = isinstance(known, Known) and self._progress.is_refused(known.place)
        return None if refused else known

    def _awaited(self, one: Admitted) -> asyncio.Future[Any] | None:
        known = self._known.get(one.key)
        if isinstance(known, Known):
            return self._progress.decision(known.place)
        return known.place if known else None

    def _found(self, key: tuple[str, str, str], found: Known) -> None:
        """Take in a command that lies on the topic; it may be seen in any order with those of other partitions, and with our own."""
        if found.supersedes is not None:
            first = min(found.place, self._superseded.get(found.supersedes, found.place))
            self._superseded[found.supersedes] = first
            while len(self._superseded) > self._capacity:
                del self._superseded[next(iter(self._superseded))]
        known = self._known.get(key)
        if found.place not in self._superseded and (known is None or _counts_rather(found, known)):
            self._remember(key, found)

    def _remember(self, key: tuple[str, str, str], known: Known | Expected) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)


def _counts_rather(found: Known, known: Known | Expected) -> bool:
    """Whether a command of an event counts rather than what is known of it: the later of a chain, else the first on the topic."""
    if found.place == known.supersedes or known.place == found.supersedes:
        return known.place == found.supersedes
    if (found.supersedes is None) != (known.supersedes is None):
        return known.supersedes is None
    # What is on its way from here is this very record, or comes behind it; or it is of another fund, and neither is first.
    return isinstance(known, Expected) or (found.place.partition == known.place.partition and found.place < known.place)
