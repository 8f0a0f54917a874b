"""The line: cases that lack something, in the order in which they opened.

A case that leaves the line leaves its number in the heap, and the number is dropped when it comes to the front; so joining and
leaving cost O(log n) however long the line is. Numbers left behind are swept out before they far outnumber the cases in line.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from services.matcher.model.entities import Case


class Line:
    """Cases by opening order, oldest first."""

    __slots__ = ("_cases", "_heap")

    def __init__(self) -> None:
        self._cases: dict[int, Case] = {}  # those in line, by opening order
        self._heap: list[int] = []  # their numbers, and some of cases that left

    def __len__(self) -> int:
        return len(self._cases)

    def place(self, case: Case, lacks: bool) -> None:
        """Let a case stand in line if it lacks something, else not."""
        if not lacks:
            self.leave(case)
        elif case.open_order not in self._cases:
            self._cases[case.open_order] = case
            heappush(self._heap, case.open_order)
            if len(self._heap) > 64 + 4 * len(self._cases):
                self._heap[:] = self._cases
                heapify(self._heap)

    def leave(self, case: Case) -> None:
        """Let a case go, if it stands in line."""
        self._cases.pop(case.open_order, None)

    def first(self) -> Case | None:
        """The case that opened first, or None if nobody stands in line."""
        heap = self._heap
        while heap:
            case = self._cases.get(heap[0])
            if case is not None:
                return case
            heappop(heap)
        return None
