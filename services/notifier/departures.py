"""Who has nothing open in a fund any more, since when, and whether it is time to tell them, or to forget how they are reached. Pure.

A case is open, for its beneficiary and its vouchers, until it is closed; a pledge while something of it waits, or is not
delivered yet, or instalments are to come. So many days after the last of it ended (`forget_after_days`) the contact is forgotten;
three days before, and at the latest when it ends, the person is told the day. Whoever takes part again meanwhile is forgotten
later.

Days are counted by the ledger's time, so a replay gives the same days. Words that a sender chose have no contact here; nobody is told.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from schemas.notices import Role
from schemas.times import DAY

LEAD_DAYS = 3


class End(NamedTuple):
    """The last of somebody's things to end: when (microseconds since 1970), in which role, which pledge or case."""

    at: int
    role: Role
    about: str


class Notices(NamedTuple):
    """Who is to be told the day on which they are forgotten, with its instant; and who is forgotten now."""

    soon: list[tuple[str, End, int]]
    now: list[tuple[str, End]]


class Departures:
    """Of one fund. `days`: after how many somebody is forgotten; 0: never."""

    def __init__(self) -> None:
        self.days = 0
        self._open: Counter[str] = Counter()
        self._over: dict[str, End] = {}  # in the order in which they ended, and so of their days
        self._told: dict[str, tuple[int, End]] = {}  # likewise

    def begin(self, subject: str) -> None:
        """Count one more open thing of somebody's."""
        self._open[subject] += 1
        self._over.pop(subject, None)
        self._told.pop(subject, None)

    def end(self, subject: str, end: End) -> None:
        """Count one open thing of somebody's less."""
        self._open[subject] -= 1
        if not self._open[subject]:
            del self._open[subject]
            if subject.startswith("~"):
                self._over[subject] = end

    def due(self, at: int) -> Notices:
        """Whose time has come at an instant; each is named once."""
        found = Notices([], [])
        if not self.days:
            return found
        lead = min(LEAD_DAYS, self.days) * DAY
        while self._told and (first := next(iter(self._told.items())))[1][0] <= at:
            del self._told[first[0]]
            found.now.append((first[0], first[1][1]))
        while self._over and (subject := next(iter(self._over))):
            last = self._over[subject].at + self.days * DAY
            if last - lead > at:
                break
            end = self._over.pop(subject)
            self._told[subject] = max(last, at + lead), end
            found.soon.append((subject, end, self._told[subject][0]))
        return found
