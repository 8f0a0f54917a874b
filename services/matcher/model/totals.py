"""What a fund's pledges come to, stage by stage, and how many of its cases are open, class by class; kept as they change.

So it costs nothing to ask for the figures, however many pledges there are. Every change of a pledge's money is one here as well; that
both agree is part of conservation (`engine.conservation`).
"""

from __future__ import annotations

from services.matcher.model.entities import Pledge

_CLASSES = 4


class Totals:
    """Sums over all pledges of a fund, named as theirs are, minor units; and its open cases by rank."""

    def __init__(self) -> None:
        self.waiting = self.awarded = self.settled = self.delivered = self.released = 0
        self.open = [0] * _CLASSES

    def add(self, pledge: Pledge) -> None:
        """Count a pledge as it is."""
        self.waiting += pledge.waiting
        self.awarded += pledge.awarded
        self.settled += pledge.settled
        self.delivered += pledge.delivered
        self.released += pledge.released

    def told(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Money waiting, awarded, settled, delivered, released; open cases by rank."""
        return (self.waiting, self.awarded, self.settled, self.delivered, self.released), tuple(self.open)
