"""The line: cases that lack something, in the order in which they opened.

A case that leaves the line leaves its number in the heap, and the number is dropped when it comes to the front; so joining and
leaving cost O(log n) however long the line is. Numbers of cases that left are swept out before they could outnumber the others.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from services.matcher.entities import Case


class Line:
    """Cases by opening order, oldest first."""

    __slots__ = ("_cases", "_heap", "_numbered")

    def __init__(self) -> None:
        self._cases: dict[int, Case] = {}  # those in line, by opening order
        self._heap: list[int] = []
        self._numbered: set[int] = set()  # what is in the heap, each number once

    def __len__(self) -> int:
        return len(self._cases)

    def place(self, case: Case, lacks: bool) -> None:
        """Let a case stand in line if it lacks something, else not."""
        if lacks:
            self._join(case)
        else:
            self.leave(case)

    def leave(self, case: Case) -> None:
        """Let a case go, if it stands in line."""
        self._cases.pop(case.open_order, None)

    def first(self) -> Case | None:
        """The case that opened first, or None if nobody stands in line."""
        heap, cases = self._heap, self._cases
        while heap:
            case = cases.get(heap[0])
            if case is not None:
                return case
            self._numbered.discard(heappop(heap))
        return None

    def _join(self, case: Case) -> None:
        order = case.open_order
        self._cases[order] = case
        if order not in self._numbered:
            self._numbered.add(order)
            heappush(self._heap, order)
            if len(self._heap) > 64 + 4 * len(self._cases):
                self._heap[:] = self._cases
                heapify(self._heap)
                self._numbered = set(self._heap)
