"""What one partition has still to say: each person's notices one after the other, everybody's side by side.

A notice waits for the one before it to the same person, and for nobody else's. What is told is recorded as it comes, and the group is
committed up to the oldest entry of which something is still untold. So whoever is slow holds up that place and no other person; after a
crash what was told beyond it would come again, but for what the notices topic has by then (`Notifier` looks).

Reading may run `AHEAD_MAX` notices ahead of that place: so much is kept in memory, and no more is told again. Who adds looks for room
first (`has_room`) and never waits for it here, or one partition's reader would hold up the others; `roomy` says when half is free.
Each person's notices stand in one line, of which only the first few are in words: a flood for one person costs its tidings alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from aiokafka.errors import KafkaError

from schemas.notices import Notice, Tidings
from services.notifier.teller import Teller, Told

log = logging.getLogger("pumasi.notifier")

AHEAD_MAX = 20_000
TOGETHER_MAX = 64
"""So many notices at most are put into words together."""
_PAUSE_SECONDS = 1.0


class Stopping(Exception):
    """Asked to stop while telling; what isn't recorded is told again after the next start."""


class Since(NamedTuple):
    """Since when something waits to be told: when it was written, milliseconds since 1970, and at hand here, by `time.monotonic`."""

    written_ms: int
    at_hand: float


@dataclass
class _Place:
    """Notices that were taken together: how many, how many of them are not recorded yet, the offset after what they are of, and since
    when they wait."""

    count: int
    left: int
    next_offset: int
    since: Since


class _Waiting(NamedTuple):
    """What somebody is to hear once what comes before it is told; words only where they were made together with others'."""

    tidings: Tidings
    place: _Place
    trace: bytes | None
    notice: Notice | None


class Backlog:
    """Notices of one partition on their way; needs a running event loop.

    Args:
        at: the offset up to which all is told.
        commit: acknowledges an offset up to which all is told and recorded.
        failed: called once with an error that ends this; `add` raises it from then on.
        roomy: called whenever something was recorded and half of the room, or more, is free.

    Attributes:
        told_to: the offset up to which all is told and recorded.
    """

    def __init__(
        self,
        teller: Teller,
        at: int,
        commit: Callable[[int], Awaitable[None]],
        failed: Callable[[Exception], None] = lambda _error: None,
        roomy: Callable[[], None] = lambda: None,
    ) -> None:
        self._teller, self._commit, self._failed, self._roomy = teller, commit, failed, roomy
        self.told_to = self._committed = at
        self._places: deque[_Place] = deque()
        self._ahead = 0  # notices of all places
        self._of: dict[str, deque[_Waiting]] = {}  # by line; the first is being told
        self._telling: set[asyncio.Task[None]] = set()
        self._told: list[tuple[Told, _Place]] = []
        self._stopping = False
        self._failure: Exception | None = None
        self._news = asyncio.Event()
        self._recording = self._watched(self._record())

    @property
    def waiting(self) -> int:
        """How many notices are not recorded yet."""
        return sum(place.left for place in self._places)

    @property
    def since(self) -> Since | None:
        """Since when the oldest of them has waited."""
        return next((place.since for place in self._places if place.left), None)

    @property
    def has_room(self) -> bool:
        """Whether more may be added. What has failed takes all, to raise why."""
        return self._ahead < AHEAD_MAX or self._failure is not None

    async def add(
        self,
        tidings: Sequence[Tidings],
        next_offset: int,
        since_ms: int = 0,
        traced: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Begin to tell what was read up to `next_offset`. Whether there is room is for the caller to ask before.

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
            lines = [self._teller.line(one) for one in some]
            first = {line: one for line, one in zip(lines[::-1], some[::-1], strict=True) if line not in self._of}
            notices = await self._teller.in_words([*first.values()]) if first else []
            in_words = {one.id: one for one in notices}
            if self._failure is not None:
                raise self._failure
            is_last = start + TOGETHER_MAX >= len(tidings)
            if not some and self._places:
                self._places[-1].next_offset = next_offset
                continue
            place = _Place(len(some), len(some), next_offset if is_last else 0, Since(since_ms, time.monotonic()))
            self._places.append(place)
            self._ahead += place.count
            for line, one in zip(lines, some, strict=True):
                waiting = _Waiting(one, place, traced.get(one.id), in_words.get(one.id))
                if line in self._of:
                    self._of[line].append(waiting)
                else:
                    self._of[line] = deque([waiting])
                    self._telling.add(self._watched(self._tell(line)))
        self._news.set()

    async def finish(self, seconds: float) -> None:
        """Begin nothing new; what is being told may be told and recorded to its end, for so long."""
        self._stopping, self._failure = True, self._failure or Stopping()
        self._news.set()
        await asyncio.wait({*self._telling, self._recording}, timeout=seconds)
        await self.end()

    def cancel(self, why: Exception | None = None) -> None:
        """Stop at once; what is not recorded is for others to tell."""
        self._failure = self._failure or why or Stopping()
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

    async def _tell(self, line: str) -> None:
        """Tell all that stands in one line, one after the other."""
        waiting = self._of[line]
        words = deque[Notice]()
        while waiting and not self._stopping:
            one, place, trace, notice = waiting[0]
            if notice is None:
                if not words:
                    words += await self._teller.in_words(
                        [next_one.tidings for next_one in islice(waiting, TOGETHER_MAX)]
                    )
                notice = words.popleft()
            told = await self._teller.deliver(notice, trace)
            self._told.append(((one, told, trace), place))
            self._news.set()
            waiting.popleft()
            await asyncio.sleep(0)  # where nobody need be waited for, others have their turn all the same
        if not waiting:
            del self._of[line]

    async def _record(self) -> None:
        """Record what is told as it comes, and commit."""
        while not self._stopping or self._telling or self._told or self.told_to > self._committed:
            await self._news.wait()
            self._news.clear()
            told, self._told = self._told, []
            if told:
                await self._teller.record([one for one, _ in told])
            for _, place in told:
                place.left -= 1
            while self._places and not self._places[0].left:
                over = self._places.popleft()
                self.told_to, self._ahead = max(self.told_to, over.next_offset), self._ahead - over.count
            if self._ahead <= AHEAD_MAX // 2:
                self._roomy()
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
