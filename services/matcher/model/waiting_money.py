"""Lanes: which waiting money is next.

Money that finds no claim waits in pledge order. It waits either for any claim (the pool), or for one case or one need only (a
designated pledge with `hold` or `release`). Each of these is a lane. After every entry no lane has both money and a claim it could
go to; so when a claim opens or money comes free, only the lanes concerned need a look, and within them only their heads.
"""

from __future__ import annotations

from heapq import heappop, heappush

from services.matcher.model.entities import Lane, Pledge


class Lanes:
    """Waiting pledges by lane, each lane a heap by pledge order; pledges that no longer wait are dropped at the head."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, list[tuple[int, Pledge]]] = {}
        self._queued: set[int] = set()

    def wait(self, pledge: Pledge) -> None:
        """Let a pledge wait in its lane, if it has money and is not there already."""
        if pledge.waiting and pledge.order not in self._queued:
            self._queued.add(pledge.order)
            heappush(self._lanes.setdefault(pledge.lane, []), (pledge.order, pledge))

    def head(self, lane: Lane) -> Pledge | None:
        """The first pledge of a lane that has money, or None."""
        heap = self._lanes.get(lane)
        while heap:
            pledge = heap[0][1]
            if pledge.waiting:
                return pledge
            heappop(heap)
            self._queued.discard(pledge.order)
        self._lanes.pop(lane, None)
        return None
