"""Fresh awards: those that nothing has happened to yet, as rows of columns.

Most awards lie untouched from the day they are made until the money comes, and there are more of them than of anything else. An object
with its numbers and its places in two lists takes five times as much memory as a row here, and much of the time that a plain pledge
takes to be decided. `entities` makes objects of them as soon as anybody asks a pledge or a case for its awards; the row then stays
behind and means nothing any more, for as long as the fund is in memory.

The rows of a pledge lie side by side; those of a case are a chain, each row naming the one that was added before. `fresh.pyx` is the
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
            before: the row of the case's fresh award before this one, or `NONE`.
        """
        self._rows.append((pledge, case, amount, before))
        return len(self._rows) - 1

    def case_and_amount(self, row: int) -> tuple[Any, int]:
        """To which case, and how much."""
        _pledge, case, amount, _before = self._rows[row]
        return case, amount

    def chain(self, row: int) -> list[tuple[Any, int]]:
        """Pledge and row of the awards of one case up to `row`, in the order in which they were added."""
        found = []
        while row != NONE:
            pledge, _case, _amount, before = self._rows[row]
            found.append((pledge, row))
            row = before
        found.reverse()
        return found

    def clear(self) -> None:
        """Let go of all; nobody may ask for any row after that."""
        self._rows.clear()
