"""How long to wait until what has failed is tried again: a pause that doubles up to a bound, and is short again after a success."""

from __future__ import annotations

import random
from dataclasses import dataclass

_DOUBLINGS_MAX = 30


@dataclass
class Backoff:
    """Pauses between tries.

    Attributes:
        least, most: the first pause and the longest, seconds.
        spread: each is multiplied by a number between these two, by chance, so that many don't come back at once.
        failures: how many there were in a row.
    """

    least: float
    most: float
    spread: tuple[float, float] | None = None
    failures: int = 0

    def failed(self, most: float | None = None, at_least: float = 0.0) -> float:
        """Note a failure; how long to wait, seconds.

        Args:
            most: an upper bound for this once.
            at_least: a lower bound for this once.
        """
        bound = self.most if most is None else min(self.most, most)
        pause: float = max(at_least, min(bound, self.least * 2 ** min(self.failures, _DOUBLINGS_MAX)))
        self.failures += 1
        return pause * random.uniform(*self.spread) if self.spread else pause  # noqa: S311  # it decides nothing

    def succeeded(self) -> None:
        """Begin anew with the least pause."""
        self.failures = 0
