"""Floods of conflicts: a sender that again and again sends other data under ids that are used.

A form that is at fault does so now and then. Many within a minute may be somebody who guesses, with a stolen key, what was sent under
an id. A guess shows itself in two ways. Under an event's own id a repeat is told by its 202, and whatever differs by its 409, at the
door; under an id of a case, a pledge, a payment or a delivery the matcher decides, and the receipt says `duplicate` or `id_conflict`.
Both are counted, and so are the vouchers of one case; too many are an alarm.

For a while the HTTP door then answers 429 to all that this sender sends under an id that stands, be it a repeat or not: a guess tells
nothing any more, and new events pass. What was published already is answered as to somebody who didn't make the id (`makers`). What the
matcher decided is counted by the time of its append, so whoever reads it again after a restart comes to the same. The topic answers
nobody, so there it is the alarm alone.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from services.errors import TooMany
from services.news import Flood

CONFLICTS_MAX = 20
"""Conflicts of one sender in any WINDOW_S; one more is a flood."""
WINDOW_S = 60
HELD_OFF_S = 60
_REMEMBERED = 10_000
"""Senders, and what they guess at, in memory; beyond that those are forgotten of whom nothing came for the longest time."""


class _Window:
    """The last conflicts about something, seconds since 1970 each; and until when a flood of them lasts."""

    def __init__(self) -> None:
        self.times, self.floods_until = deque[float](maxlen=CONFLICTS_MAX), 0.0

    def is_open(self, at: float) -> bool:
        return bool(self.times) and at - self.times[-1] < WINDOW_S

    def hit(self, at: float) -> bool:
        """One more; whether that is too much, or comes after too much."""
        if at < self.floods_until:
            return True
        if len(self.times) == CONFLICTS_MAX and at - self.times[0] < WINDOW_S:
            self.floods_until = at + HELD_OFF_S
            return True
        self.times.append(at)
        return False


class Floods:
    """Counts conflicts.

    Args:
        alarm: hears of each flood, at most once in HELD_OFF_S for each sender.
        clock: seconds since 1970.
    """

    def __init__(self, alarm: Callable[[Flood], object], clock: Callable[[], float] = time.time) -> None:
        self._alarm, self._clock = alarm, clock
        self._windows: OrderedDict[tuple[str, Hashable], _Window] = OrderedDict()
        self._held_off: dict[str, float] = {}

    def count(self, sender: str) -> TooMany | None:
        """One more conflict, now; what a sender that is held off is told in its place."""
        if self._told(sender) is None and self._window(sender, None).hit(self._clock()):
            self._hold_off(sender)
        return self._told(sender)

    def conflicted(self, sender: str, fund: str, at: float, *, is_repeat: bool = False) -> bool:
        """The matcher told of a conflict about an id, of a command appended at `at`; whether it is one of a flood.

        Args:
            is_repeat: it told of a repeat, which is honest unless it comes amid conflicts.
        """
        if is_repeat and not self._window(sender, fund).is_open(at):
            return self._is_news(at) and self._told(sender) is not None
        return self._guessed(sender, fund, at, lambda: self._window(sender, None).hit(self._clock()))

    def vouched(self, sender: str, case: Hashable, at: float) -> bool:
        """One more voucher for a case, by a command appended at `at`; whether it is one of a flood."""
        return self._guessed(sender, case, at, lambda: False)

    def _guessed(self, sender: str, about: Hashable, at: float, also: Callable[[], bool]) -> bool:
        is_flood = self._window(sender, about).hit(at)
        if not self._is_news(at):
            return is_flood
        if self._told(sender) is None and (also() or is_flood):
            self._hold_off(sender)
        return is_flood or self._told(sender) is not None

    def _is_news(self, at: float) -> bool:
        return abs(self._clock() - at) < WINDOW_S

    def hold(self, sender: str) -> None:
        """Hold that a sender may be answered about an id that stands.

        Raises:
            TooMany: if it is held off.
        """
        if (told := self._told(sender)) is not None:
            raise told

    def _window(self, sender: str, about: Hashable) -> _Window:
        window = self._windows.setdefault((sender, about), _Window())
        self._windows.move_to_end((sender, about))
        while len(self._windows) > _REMEMBERED:
            self._windows.popitem(last=False)
        return window

    def _hold_off(self, sender: str) -> None:
        self._held_off[sender] = self._clock() + HELD_OFF_S
        self._alarm(Flood(sender, CONFLICTS_MAX + 1, WINDOW_S))

    def _told(self, sender: str) -> TooMany | None:
        left = self._held_off.get(sender, 0.0) - self._clock()
        if not 0 < left <= HELD_OFF_S:  # a clock that went back holds nobody off for longer
            self._held_off.pop(sender, None)
            return None
        return TooMany(
            f"more than {CONFLICTS_MAX} events within {WINDOW_S} s had an id that came before with other data",
            hint="An id stands for one event. New events are taken; those that came before are looked at again later.",
            retry_after_s=int(left) + 1,
        )
