"""Repeats: the same event again gets the same answer, without a second command; the same id with other data is a conflict.

A bounded memory of recent events, by source and id. It is a courtesy, not the guarantee: whatever slips through is told
`duplicate` or `id_conflict` by the matcher, which forgets nothing. It follows the commands topic, so that it knows what other intakes
let pass; and as to the matcher, of two events of a fund under one id the one counts that comes first on the topic. (Of two funds'
events neither is first: what two intakes let pass at the same moment, stands.)
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from schemas.commands import TICK, Unreadable
from services.bus.envelope import Record, read_command, text_headers
from services.errors import Conflict
from services.intake.admission import Admitted, digest_of
from services.intake.receipts import Place

CAPACITY = 200_000
"""Events remembered; some 60 MB when full."""


class Repeats:
    """Which events came, and where their commands lie. A place still on its way is a future."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str], tuple[bytes, Place | asyncio.Future[Place]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def check(self, admitted: Sequence[Admitted]) -> None:
        """Look whether all may pass, before any does.

        Raises:
            Conflict: if an id came before with other data, or comes twice in the batch with different data.
        """
        here: dict[tuple[str, str], bytes] = {}
        for number, one in enumerate(admitted):
            known = self._known.get(one.key)
            digest = known[0] if known else here.setdefault(one.key, one.digest)
            if digest != one.digest:
                which = f"event {number}: " if len(admitted) > 1 else ""
                raise Conflict(
                    f"{which}an event with this id came before from the same source, with other data",
                    hint="An id stands for one event: give the changed event an id of its own.",
                )

    async def landed(self, admitted: Sequence[Admitted]) -> None:
        """Wait until none of these ids is on its way any more."""
        for one in admitted:
            known = self._known.get(one.key)
            if known is not None and isinstance(known[1], asyncio.Future):
                await asyncio.wait([known[1]])

    def place_of(self, one: Admitted) -> Place | asyncio.Future[Place] | None:
        """Where the command of this very event lies, or will lie, if it came before."""
        known = self._known.get(one.key)
        if known is None:
            return None
        self._known.move_to_end(one.key)
        return known[1]

    def expect(self, one: Admitted) -> asyncio.Future[Place]:
        """Remember that this event is on its way; settle the future by `arrived` or `failed`."""
        future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # there may be nobody waiting
        self._remember(one.key, one.digest, future)
        return future

    def arrived(self, one: Admitted, future: asyncio.Future[Place], place: Place) -> None:
        """The command of this event is published; another that was let pass under its id may lie before it."""
        known = self._known.get(one.key)
        if known is None or known[1] is future or _is_before(place, known[1]):
            self._remember(one.key, one.digest, place)
        future.set_result(place)

    def failed(self, one: Admitted, future: asyncio.Future[Place], error: BaseException) -> None:
        """It is not known to be published: forget it, so that a repeat is tried again."""
        known = self._known.get(one.key)
        if known is not None and known[1] is future:
            del self._known[one.key]
        if not future.done():
            future.set_exception(error)

    def follow(self, record: Record, partitions: int) -> None:
        """Remember a command as it lies on the topic; ticks are passed over, and what the matcher can't read: it stands for nothing.

        Args:
            record: as consumed.
            partitions: of the topic.
        """
        command = read_command(record, partitions)
        if isinstance(command, Unreadable) or command.type == TICK:
            return
        key, kind = (text_headers(record.headers)["ce_source"], command.id), command.type
        digest, place = digest_of(kind, record.value), Place(record.partition, record.offset)
        known = self._known.get(key)
        # What is on its way from here is this very record, or comes behind it; or it is of another fund, and neither is first.
        if known is None or isinstance(known[1], asyncio.Future) or _is_before(place, known[1]):
            self._remember(key, digest, place)

    def _remember(self, key: tuple[str, str], digest: bytes, place: Place | asyncio.Future[Place]) -> None:
        self._known[key] = (digest, place)
        self._known.move_to_end(key)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)


def _is_before(one: Place, other: Place) -> bool:
    """Whether a place comes first; in two partitions, that is of two funds, none does."""
    return one.partition == other.partition and one.offset < other.offset
