"""Intake's wall clock, compared with Kafka's: an intake that finds its clock off stops stamping.

A broker can't be asked for its time, but it says when it appended what we sent. That was after we stamped it and before we heard
of it. If our stamp is later than the append, our clock is ahead; if we heard of it earlier than the append, it is behind, however
long the confirmation took. *Off* is whatever the matcher would refuse (`AHEAD_MAX`), in either direction. Until the first answer
nothing is known, and only ticks are stamped. They serve as probes, harmless whatever they say, and go on while the clock is off,
so that intake notices when it is right again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from schemas.command import AHEAD_MAX
from schemas.times import SECOND, parse
from services.errors import ClockOff, KafkaUnreachable

log = logging.getLogger("pumasi.intake")

SAYABLE = parse("2000-01-01T00:00:00Z"), parse("2199-12-31T23:59:59Z")
"""The first and the last time that the bus takes. A clock without a battery says 1970."""
PROBE_SECONDS = 5.0
"""How often a clock that is off is looked at again, at most."""


def wall_clock() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class Clock:
    """A wall clock, and what is known of it. `read`: microseconds since 1970.

    Attributes:
        right: set while it is known to be right.
        off: how far it is certainly ahead of Kafka's, microseconds (negative: behind), where that is too far; else 0.
    """

    def __init__(self, read: Callable[[], int] = wall_clock) -> None:
        self.now = read
        self.right = asyncio.Event()
        self.off = 0

    def check(self) -> None:
        """Check that it may stamp.

        Raises:
            ClockOff: if it is off.
            KafkaUnreachable: if Kafka has not told its time yet.
        """
        if self.off:
            raise ClockOff("this intake's clock is off, so it takes nothing", hint="Try later, or another intake.")
        if not self.right.is_set():
            raise KafkaUnreachable("Kafka has not told the time yet", hint="Try again in a moment: a repeat is safe.")

    def heard(self, stamped: int, appended: Collection[int]) -> None:
        """Note when Kafka appended what was stamped at `stamped`; called as soon as that is known; all in microseconds since 1970."""
        if not appended:
            return
        now, first, last = self.now(), min(appended), max(appended)
        if stamped - first > AHEAD_MAX:
            self._is_off(stamped - first)
        elif now - last < -AHEAD_MAX:
            self._is_off(now - last)
        elif now - first <= AHEAD_MAX and stamped - last >= -AHEAD_MAX:
            if self.off:
                log.warning("this machine's clock is right again: submissions are taken", {"event": "clock_right"})
            self.off = 0
            self.right.set()

    def _is_off(self, by: int) -> None:
        if not self.off:
            log.critical(
                "THIS MACHINE'S CLOCK IS OFF, %(seconds)d s %(way)s Kafka's: nothing is taken until it is set right (clock_off)",
                {"event": "clock_off", "seconds": abs(by) // SECOND, "way": "ahead of" if by > 0 else "behind"},
            )
        self.off = by
        self.right.clear()
