"""What one partition has still to say: each person's notices one after the other, everybody's side by side.

A notice waits for the one before it to the same person, and for nobody else's. What is told is recorded as it comes, and the group is
committed up to the oldest entry of which something is still untold. So whoever is slow holds up that place and no other person; after a
crash what was told beyond it would come again, but for what the notices topic has by then (`Notifier` looks).

Reading may run `AHEAD_MAX` notices ahead of that place: so much is kept in memory, and no more is told again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from aiokafka.errors import KafkaError

from schemas.notices import Notice, Tidings
from services.notifier.teller import Teller, Told

log = logging.getLogger("pumasi.notifier")

AHEAD_MAX = 1000
TOGETHER_MAX = 64
"""So many notices at most are put into words together."""
_PAUSE_SECONDS = 1.0


class Stopping(Exception):
    """Asked to stop while telling; what isn't recorded is told again after the next start."""


@dataclass
class _Place:
    """Notices that were taken together: how many, how many of them are not recorded yet, the offset after what they are of, and since
    when they wait, milliseconds since 1970."""

    count: int
    left: int
    next_offset: int
    since_ms: int


class Backlog:
    """Notices of one partition on their way; needs a running event loop.

    Args:
        teller: tells people.
        at: the offset up to which all is told.
        commit: acknowledges an offset up to which all is told and recorded.
        failed: called once with an error that ends this; `add` raises it from then on.

    Attributes:
        told_to: the offset up to which all is told and recorded.
        got_on_at: when something was last recorded, by `time.monotonic`.
    """

    def __init__(
        self,
        teller: Teller,
        at: int,
        commit: Callable[[int], Awaitable[None]],
        failed: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._teller, self._commit, self._failed = teller, commit, failed
        self.told_to = self._committed = at
        self._places: deque[_Place] = deque()
        self._last: dict[str, asyncio.Task[None]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._told: list[tuple[Told, _Place]] = []
        self._stopping, self.got_on_at = False, -math.inf
        self._failure: Exception | None = None
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._recording = self._watched(self._record())

    @property
    def waiting(self) -> int:
        """How many notices are not recorded yet."""
        return sum(place.left for place in self._places)

    @property
    def since_ms(self) -> int | None:
        """Since when the oldest of them has waited, milliseconds since 1970."""
        return next((place.since_ms for place in self._places if place.left), None)

    async def add(
        self,
        tidings: Sequence[Tidings],
        next_offset: int,
        since_ms: int = 0,
        traced: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Begin to tell what was read up to `next_offset`; waits while too much before it is untold.

        Args:
            tidings: in the ledger's order.
            next_offset: the offset after what they are of.
            since_ms: when the first of it was written, milliseconds since 1970.
            traced: the `traceparent` of those, by id, whose entry has one.

        Raises:
            Stopping: if nothing new is begun any more.
            Exception: whatever telling has failed with.
        """
        for start in range(0, len(tidings) or 1, TOGETHER_MAX):
            some = tidings[start : start + TOGETHER_MAX]
            while sum(place.count for place in self._places) >= AHEAD_MAX and self._failure is None:
                self._room.clear()
                await self._room.wait()
            notices = await self._teller.in_words(some) if some else []
            if self._failure is not None:
                raise self._failure
            is_last = start + TOGETHER_MAX >= len(tidings)
            if not some and self._places:
                self._places[-1].next_offset = next_offset
                continue
            place = _Place(len(some), len(some), next_offset if is_last else 0, since_ms)
            self._places.append(place)
            for one, notice in zip(some, notices, strict=True):
                self._last[one.to] = self._watched(
                    self._tell(one, notice, place, self._last.get(one.to), traced.get(one.id))
                )
                self._telling.add(self._last[one.to])
        self._news.set()

    async def finish(self, seconds: float) -> None:
        """Begin nothing new; what is being told may be told and recorded to its end, for so long."""
        self._stopping, self._failure = True, self._failure or Stopping()
        self._room.set()
        self._news.set()
        await asyncio.wait({*self._telling, self._recording}, timeout=seconds)
        await self.end()

    def cancel(self, why: Exception | None = None) -> None:
        """Stop at once; what is not recorded is for others to tell."""
        self._failure = self._failure or why or Stopping()
        self._room.set()
        for task in (*self._telling, self._recording):
            task.cancel()

    async def end(self) -> None:
        """The same; returns once nothing is under way."""
        self.cancel()
        await asyncio.gather(*self._telling, self._recording, return_exceptions=True)

    def _watched(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        self._news.set()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and self._failure is None:
            self.cancel(error)
            self._failed(error)

    async def _tell(
        self, one: Tidings, notice: Notice, place: _Place, before: asyncio.Task[None] | None, trace: bytes | None
    ) -> None:
        if before is not None and not before.done():
            await asyncio.wait({before})
        if self._stopping:
            return
        told = await self._teller.deliver(notice, trace)
        self._told.append(((one, told, trace), place))
        self._news.set()
        if self._last.get(one.to) is asyncio.current_task():
            del self._last[one.to]

    async def _record(self) -> None:
        """Record what is told as it comes, and commit."""
        while not self._stopping or self._telling or self._told or self.told_to > self._committed:
            await self._news.wait()
            self._news.clear()
            told, self._told = self._told, []
            if told:
                await self._teller.record([one for one, _ in told])
                self.got_on_at = time.monotonic()
            for _, place in told:
                place.left -= 1
            while self._places and not self._places[0].left:
                self.told_to = max(self.told_to, self._places.popleft().next_offset)
            self._room.set()
            await self._acknowledge()

    async def _acknowledge(self) -> None:
        """Commit, if there is something to. If it can't be it is tried again; should it never be, the same ids go out again."""
        try:
            if self.told_to > self._committed:
                await self._commit(self.told_to)
                self._committed = self.told_to
        except (KafkaError, LookupError) as error:
            log.warning(
                "what is told could not be acknowledged (%(cause)s); trying again",
                {"event": "told_not_acknowledged", "cause": type(error).__name__},
            )
            await asyncio.sleep(_PAUSE_SECONDS)
            self._news.set()
