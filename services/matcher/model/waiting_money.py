"""Waiting money: which of it is next.

Money that finds no claim waits in pledge order. It waits either for any claim (the pool), or for one case or one need only (a
designated pledge with `hold` or `release`). Each of these has a queue. After every entry no queue has both money and a claim that it
could go to; so when a claim opens or money comes free, only the queues concerned need a look, and of them only the heads.
"""

from __future__ import annotations

from heapq import heappop, heappush

from services.matcher.model.entities import Pledge, Queue


class Queues:
    """All queues of a fund, each a heap by pledge order; a pledge that no longer waits is dropped once it is at the head."""

    def __init__(self) -> None:
        self._heaps: dict[Queue, list[tuple[int, Pledge]]] = {}
        self._queued: set[int] = set()

    def wait(self, pledge: Pledge) -> None:
        """Put a pledge into its queue, if it has money and is not there already."""
        if pledge.waiting and pledge.order not in self._queued:
            self._queued.add(pledge.order)
            heappush(self._heaps.setdefault(pledge.queue, []), (pledge.order, pledge))

    def head(self, queue: Queue) -> Pledge | None:
        """The first pledge of a queue that has money, or None."""
        heap = self._heaps.get(queue)
        while heap:
            first = heap[0]
            pledge = first[1]
            if pledge.waiting:
                return pledge
            heappop(heap)
            self._queued.discard(pledge.order)
        self._heaps.pop(queue, None)
        return None
