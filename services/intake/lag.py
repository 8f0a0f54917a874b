"""How long commands wait for their answers, as an intake sees it, since it follows both topics anyway.

A 202 promises that a command is kept, not that anybody answers it. If answers stay away, `/readyz` says so, and not only receipts
that stay `accepted` for days. Commands that came within the same second are one here, so that even days of waiting commands take
almost no memory.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from services.bus.envelope import Record

_TOGETHER_MS = 1000


class _Came(NamedTuple):
    """Commands that came about together: when the first did (the broker's time, milliseconds), and the last one's offset."""

    at_ms: int
    last: int


class Lag:
    """What is not answered yet, by partition.

    Args:
        answered_to: the offset of the last command answered in a partition; -1 if there is none.
    """

    def __init__(self, answered_to: Callable[[int], int]) -> None:
        self._answered_to = answered_to
        self._came: dict[int, deque[_Came]] = {}

    def came(self, command: Record) -> None:
        """A command stands on its topic."""
        waiting = self._waiting(command.partition)
        if command.offset <= self._answered_to(command.partition):
            return
        if waiting and command.timestamp - waiting[-1].at_ms < _TOGETHER_MS:
            waiting[-1] = waiting[-1]._replace(last=command.offset)
        else:
            waiting.append(_Came(command.timestamp, command.offset))

    def oldest(self, now_ms: int | None = None) -> tuple[int, float] | None:
        """The partition whose first unanswered command waits longest, and for how many seconds; None if nothing waits."""
        now = time.time() * 1000 if now_ms is None else now_ms
        waits = [(waiting[0].at_ms, number) for number in self._came if (waiting := self._waiting(number))]
        if not waits:
            return None
        at_ms, number = min(waits)
        return number, max(0.0, (now - at_ms) / 1000)

    def unanswered(self) -> int:
        """How many wait in all; of a partition, the offsets from the first to the last."""
        return sum(
            waiting[-1].last - self._answered_to(number) for number in self._came if (waiting := self._waiting(number))
        )

    def _waiting(self, partition: int) -> deque[_Came]:
        waiting, answered = self._came.setdefault(partition, deque()), self._answered_to(partition)
        while waiting and waiting[0].last <= answered:
            waiting.popleft()
        return waiting
