"""What is due when: the timers of a fund, ready to fire in order.

A timer fires at its own instant, before any command of a later time, in the order `(due, kind, id)` within a fund. A timer that was
set and is no longer meant is not searched for: when it comes up, it is compared with what its owner now says and dropped. All
times are microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

EXPIRY, INSTALMENT, RENEWAL, ESCALATION = range(4)

Timer = tuple[int, int, str]
"""`(due, kind, id of its pledge or case)`."""


class Timers:
    """The timers of one fund, by due time.

    Attributes:
        earlier: True once a timer was set that comes up before all others; whoever has taken note of it sets it back.
    """

    __slots__ = ("_heap", "earlier")

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self.earlier = False

    def set(self, due: int, kind: int, owner: str) -> None:
        """Set a timer; the owner's own field says whether it is still meant when it comes up."""
        timer = (due, kind, owner)
        heappush(self._heap, timer)
        if self._heap[0] is timer:
            self.earlier = True

    def any_due(self, now: int) -> bool:
        """Whether a timer, meant or not, is due by `now`: what most commands need to know, and all that waiting timers cost them."""
        heap = self._heap
        if not heap:
            return False
        first = heap[0]
        return first[0] <= now

    def due(self, now: int, meant: Callable[[Timer], bool]) -> Timer | None:
        """The next timer due by `now` that is still `meant`, or None; it stays until `pop`."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            if meant(heap[0]):
                return heap[0]
            heappop(heap)
        return None

    def pop(self) -> None:
        """Take out the timer that `due` told of."""
        heappop(self._heap)

    def earliest(self) -> int | None:
        """When the next timer, meant or not, comes up."""
        return self._heap[0][0] if self._heap else None
