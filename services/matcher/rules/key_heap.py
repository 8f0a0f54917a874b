"""Places in line: who is next, by the key of the rule and then by who came first.

A heap that is only ever asked for its top. `key_heap.pyx` is the same in C. It compares two adjacent numbers, where Python compares two
objects anywhere in memory; with ten thousand claimants that was a third of the time of sharing out a pledge.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush, heapreplace

NOWHERE = -1
"""The order at the top of an empty line."""
ORDER_BITS = 32
_ORDER = (1 << ORDER_BITS) - 1


class Places:
    """A heap of places; each is a key, not negative, and an order, below 2 to the power of `ORDER_BITS`."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[int] = []  # both as one number, the order in the lowest bits

    def __len__(self) -> int:
        return len(self._heap)

    def order(self) -> int:
        """The order at the top, or `NOWHERE`."""
        return self._heap[0] & _ORDER if self._heap else NOWHERE

    def is_at(self, key: int) -> bool:
        """Whether the key at the top is this one; there must be one."""
        return self._heap[0] >> ORDER_BITS == key

    def push(self, key: int, order: int) -> None:
        """Add a place."""
        heappush(self._heap, key << ORDER_BITS | order)

    def pop(self) -> None:
        """Drop the top; there must be one."""
        heappop(self._heap)

    def replace(self, key: int, order: int) -> None:
        """Put another place in the top's stead; there must be one."""
        heapreplace(self._heap, key << ORDER_BITS | order)

    def rebuild(self, places: Iterable[tuple[int, int]]) -> None:
        """Be these places, and no others."""
        self._heap[:] = [key << ORDER_BITS | order for key, order in places]
        heapify(self._heap)
