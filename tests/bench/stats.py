"""Few runs told honestly: the median, and how far the runs lay apart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    runs: tuple[float, ...]

    @classmethod
    def of(cls, runs: Sequence[float]) -> Spread:
        """Of at least one run."""
        assert runs, "there was a run"
        return cls(tuple(runs))

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def low(self) -> float:
        return min(self.runs)

    @property
    def high(self) -> float:
        return max(self.runs)

    def as_json(self, digits: int = 0) -> dict[str, object]:
        """Median, extremes and all runs, rounded."""

        def shown(value: float) -> float:
            return round(value, digits) if digits else round(value)

        return {
            "median": shown(self.median),
            "min": shown(self.low),
            "max": shown(self.high),
            "runs": [shown(run) for run in self.runs],
        }


def ratios(one: dict[int, float], other: dict[int, float]) -> Spread | None:
    """one / other, pair by pair: of the rounds that both took part in. None if there was none.

    The machine's speed drifts from round to round; what stands side by side in one round saw about the same machine.
    """
    both = sorted(one.keys() & other.keys())
    return Spread.of([one[number] / other[number] for number in both]) if both else None


def quantile(ascending: Sequence[float], q: float) -> float:
    """The smallest value that at least a part `q` of all are not above.

    >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.75), quantile([1, 2, 3, 4], 1.0)
    (2, 3, 4)
    """
    assert ascending and 0 < q <= 1, "of something, a part"
    rank = -(-len(ascending) * q // 1)  # rounded up
    return ascending[max(0, min(len(ascending), int(rank)) - 1)]
