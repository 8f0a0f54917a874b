"""Floods of conflicts: a sender that again and again sends other data under ids that it has used.

A faulty form does so now and then. Many within a minute may be somebody who guesses, with a stolen key, what was sent under an
id: 202 shows that it was a repeat, 409 that something differed. So conflicts are counted, at both doors, and too many are an
alarm. For a while the HTTP door then answers 429 to whatever this sender sends under an id that is in use, repeat or not: a guess
shows nothing any more, and new events pass. The topic answers nobody, so there the alarm is all.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.errors import TooMany
from services.news import Flood

CONFLICTS_MAX = 20
"""Conflicts of one sender in any WINDOW_S; one more is a flood."""
WINDOW_S = 60
HELD_OFF_S = 60


class Floods:
    """Counts conflicts.

    Args:
        alarm: called with each flood, at most once in HELD_OFF_S for each sender.
        clock: seconds, never backwards.
    """

    def __init__(self, alarm: Callable[[Flood], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._alarm, self._clock = alarm, clock
        self._most = RateLimitItemPerSecond(CONFLICTS_MAX, WINDOW_S, namespace="conflicts")
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._held_off: dict[str, float] = {}

    def count(self, sender: str) -> TooMany | None:
        """Count a conflict; returns the error for its sender if that is held off, else None."""
        if (told := self._told(sender)) is not None:
            return told
        if not self._limiter.hit(self._most, sender):
            self._held_off[sender] = self._clock() + HELD_OFF_S
            self._alarm(Flood(sender, CONFLICTS_MAX + 1, WINDOW_S))
        return self._told(sender)

    def hold(self, sender: str) -> None:
        """Check that a sender may be answered about an id that is in use.

        Raises:
            TooMany: if it is held off.
        """
        if (told := self._told(sender)) is not None:
            raise told

    def _told(self, sender: str) -> TooMany | None:
        left = self._held_off.get(sender, 0.0) - self._clock()
        if left <= 0:
            self._held_off.pop(sender, None)
            return None
        return TooMany(
            f"more than {CONFLICTS_MAX} events within {WINDOW_S} s had an id that came before with other data",
            hint="An id stands for one event. New events are taken; those that came before are looked at again later.",
            retry_after_s=int(left) + 1,
        )
