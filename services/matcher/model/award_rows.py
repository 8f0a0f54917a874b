"""Fresh awards, to which nothing has happened yet, as rows of columns.

There are more awards than anything else, and most stay untouched from the day they are made until the money comes. As an object with
its numbers and its places in two lists, an award takes five times as much memory as a row here, and making it is much of the work of a
plain pledge. `entities` makes objects of them as soon as anybody asks a pledge or a case for its awards. The row then stays behind
without a meaning, for as long as the fund is in memory.

The rows of a pledge are adjacent; those of a case are a chain, each row naming the one that was added before. `award_rows.pyx` is the
same in C.
"""

from __future__ import annotations

from typing import Any

NONE = -1
"""The row before the first."""

_Row = tuple[Any, Any, int, int]


class Fresh:
    """The fresh awards of a fund."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[_Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, pledge: Any, case: Any, amount: int, before: int) -> int:
        """Add an award; returns its row.

        Args:
            pledge, case: of which, and to which.
            amount: minor units, below 2⁶³.
            before: see `before`.
        """
        self._rows.append((pledge, case, amount, before))
        return len(self._rows) - 1

    def pledge_of(self, row: int) -> Any:
        """Of which pledge it is."""
        return self._rows[row][0]

    def case_of(self, row: int) -> Any:
        """To which case."""
        return self._rows[row][1]

    def amount_of(self, row: int) -> int:
        """How much."""
        return self._rows[row][2]

    def before(self, row: int) -> int:
        """The row of the case's fresh award before this one, or `NONE`."""
        return self._rows[row][3]

    def clear(self) -> None:
        """Let go of all; nobody may ask for any row after that."""
        self._rows.clear()
