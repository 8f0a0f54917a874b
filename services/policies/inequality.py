"""How equal values are: Lorenz's curve and Gini's index, for values of zero or more."""

from collections.abc import Iterable


def lorenz(values: Iterable[float]) -> list[tuple[float, float]]:
    """(part of all, least first; the part of the sum they hold), from (0, 0) to (1, 1); the diagonal if all hold nothing."""
    ordered = sorted(values)
    total, count, held = sum(ordered), len(ordered), 0.0
    points = [(0.0, 0.0)]
    for number, value in enumerate(ordered, 1):
        held += value
        points.append((number / count, held / total if total else number / count))
    return points


def gini(values: Iterable[float]) -> float | None:
    """Half the mean difference between any two, by the mean: 0 if all are alike, near 1 if one holds all; None of nothing.

    >>> gini([1, 1, 1]), gini([0, 0, 0, 1]), gini([0, 1, 2])
    (0.0, 0.75, 0.4444444444444444)
    """
    ordered = sorted(values)
    count, total = len(ordered), sum(ordered)
    if not count:
        return None
    if not total:
        return 0.0
    weighted = sum((2 * number - count - 1) * value for number, value in enumerate(ordered, 1))
    return weighted / (count * total)


def mean_of_least(values: Iterable[float], part: float) -> float | None:
    """The mean of the least `part` of the values, at least one of them; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    least = ordered[: max(1, int(len(ordered) * part))]
    return sum(least) / len(least)
