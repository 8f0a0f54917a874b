"""Floods of conflicts: a sender that again and again sends other data under ids that are used.

A faulty form does so now and then. Many within a minute may be somebody who guesses, with a stolen key, what was sent under an
id. A guess shows something in two ways. Under an event's own id 202 says that it was a repeat, and 409 that something differed, at
the door; under an id of a case, a pledge, a payment or a delivery the matcher decides, and the receipt says `duplicate` or
`id_conflict`. Both are counted, and so are the vouchers of one case; too many are an alarm. Too many vouchers in one batch are refused
with it, before the matcher sees any.

For a while the HTTP door then answers 429 to all that this sender sends under an id of its own that stands, be it a repeat or not, and
to every vouch: a guess tells nothing any more, and other new events pass; of an id that another made it never tells. What was published
already is answered as to somebody who didn't make the id (`makers`). What the matcher decided is counted by the time of its append, so
whoever reads it again after a restart comes to the same. The topic answers nobody, so there it is the alarm alone.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable

from services.errors import TooMany
from services.news import Flood

CONFLICTS_MAX = 20
"""Conflicts of one sender in any WINDOW_S; one more is a flood."""
WINDOW_S = 60
HELD_OFF_S = 60
_REMEMBERED = 10_000
"""Cases whose vouchers are counted; beyond that those are forgotten for which nobody vouched for the longest time."""


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
        self._conflicts = defaultdict[tuple[str, str | None], _Window](_Window)  # by sender, and each fund and all
        self._vouches: OrderedDict[tuple[str, Hashable], _Window] = OrderedDict()
        self._held_off: dict[str, float] = {}

    def count(self, sender: str) -> TooMany | None:
        """Count a conflict, now; returns the error for its sender if that is held off, else None."""
        if self.told(sender) is None and self._conflicts[sender, None].hit(self._clock()):
            self._hold_off(sender)
        return self.told(sender)

    def conflicted(self, sender: str, fund: str, at: float, *, is_repeat: bool = False) -> bool:
        """The matcher told of a conflict about an id, of a command appended at `at`; whether it is one of a flood.

        Args:
            is_repeat: it told of a repeat, which is honest unless it comes amid conflicts.
        """
        window = self._conflicts[sender, fund]
        if is_repeat and not window.is_open(at):
            return self._is_news(at) and self.told(sender) is not None
        is_flood = window.hit(at)
        if self._is_news(at):
            is_flood = self._conflicts[sender, None].hit(self._clock()) or is_flood
        return self._is_held_off(sender, at, is_flood)

    def vouched(self, sender: str, case: Hashable, at: float) -> bool:
        """One more voucher for a case, by a command appended at `at`; whether it is one of a flood."""
        window = self._vouches.setdefault((sender, case), _Window())
        self._vouches.move_to_end((sender, case))
        while len(self._vouches) > _REMEMBERED:
            self._vouches.popitem(last=False)
        return self._is_held_off(sender, at, window.hit(at))

    def hold_batch(self, sender: str, cases: Iterable[Hashable]) -> None:
        """Check the vouches of one request, before any of it is kept: `cases` are those that they are for.

        Raises:
            TooMany: if too many are for one; it is a flood.
        """
        if max(Counter(cases).values(), default=0) <= CONFLICTS_MAX:
            return
        self._hold_off(sender)
        raise TooMany(
            f"more than {CONFLICTS_MAX} vouchers for one case in one batch",
            hint=f"None of the batch is taken. Send at most {CONFLICTS_MAX} vouchers for one case within {WINDOW_S} s.",
            retry_after_s=HELD_OFF_S,
        )

    def _is_held_off(self, sender: str, at: float, is_flood: bool) -> bool:
        """Whether a command is one of a flood, or comes after one; a flood of now holds its sender off."""
        if not self._is_news(at):
            return is_flood
        if is_flood:
            self._hold_off(sender)
        return self.told(sender) is not None

    def _is_news(self, at: float) -> bool:
        return abs(self._clock() - at) < WINDOW_S

    def told(self, sender: str) -> TooMany | None:
        """What a sender that is held off is told of an id that stands; None if it is not."""
        left = self._held_off.get(sender, 0.0) - self._clock()
        if not 0 < left <= HELD_OFF_S:  # a clock that went back holds nobody off for longer
            self._held_off.pop(sender, None)
            return None
        return TooMany(
            f"more than {CONFLICTS_MAX} events within {WINDOW_S} s had an id that came before with other data, or vouched for one case",
            hint="An id stands for one event. New events are taken; vouches, and those that came before, are looked at again later.",
            retry_after_s=int(left) + 1,
        )

    def _hold_off(self, sender: str) -> None:
        """Hold a sender off from now on, unless it is already."""
        if self.told(sender) is None:
            self._held_off[sender] = self._clock() + HELD_OFF_S
            self._alarm(Flood(sender, CONFLICTS_MAX + 1, WINDOW_S))
