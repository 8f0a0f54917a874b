"""Places in line: who is next, by the key of the rule and then by who came first.

A heap that is only ever asked for its top. `key_heap.pyx` is the same in C. It compares adjacent numbers, where Python compares
objects anywhere in memory; with ten thousand claimants that was a third of the time of sharing out a pledge.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import Any

NOWHERE = -1
"""A key below that of any place."""
_ORDER_BITS = 32
_NUMBERS = 1 << 128


class Places:
    """A heap of places: each is a key below 2⁹⁶, an order below 2³², neither less than 0, and who stands there.

    Raises:
        OverflowError: if there is no such place.
    """

    __slots__ = ("_heap", "_put")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Any]] = []  # key and order as one number, the order in the lowest bits
        self._put = count()  # tells apart who stands at the same place

    def __len__(self) -> int:
        return len(self._heap)

    def first(self) -> Any:
        """Who stands at the top; there must be one."""
        return self._heap[0][2]

    def is_at(self, key: int, order: int) -> bool:
        """Whether this is the place at the top; there must be one."""
        return self._heap[0][0] == key << _ORDER_BITS | order

    def push(self, key: int, order: int, who: Any) -> None:
        """Add a place."""
        heappush(self._heap, self._place(key, order, who))

    def pop(self) -> None:
        """Drop the top; there must be one."""
        heappop(self._heap)

    def replace(self, key: int, order: int, who: Any) -> None:
        """Put another place in the top's stead; there must be one."""
        heapreplace(self._heap, self._place(key, order, who))

    def rebuild(self, places: Iterable[tuple[int, int, Any]]) -> None:
        """Be these places, and no others."""
        self._heap[:] = [self._place(*place) for place in places]
        heapify(self._heap)

    def _place(self, key: int, order: int, who: Any) -> tuple[int, int, Any]:
        number = key << _ORDER_BITS | order
        if not (0 <= order < 1 << _ORDER_BITS and 0 <= number < _NUMBERS):
            raise OverflowError(f"there is no place {key}, {order}")
        return number, next(self._put), who
