"""The campaign: seasons by the hundred thousand through the engine and the naive oracle, on every core.

A season is a random command log that its seed tells in full (`tests.oracle.season`). Each runs through engine and oracle entry by
entry, through a replay from facts half-way, and under every sum of conservation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from tests.oracle.trial import report

_BUNCH = 200
"""Seasons handed to a process at once: some two seconds of work."""


@dataclass(frozen=True)
class Failure:
    """A season that does not hold, cut down to the few gestures that still fail.

    Attributes:
        seed: the season's.
        report: the gestures and the first difference, in a few lines.
    """

    seed: int
    report: str


def campaign(first: int, count: int, advanced: Callable[[int], None]) -> Failure | None:
    """Try the seasons with the seeds `first` to `first + count - 1`.

    Args:
        first: the first seed.
        count: how many.
        advanced: called with the number of seasons that have just passed.

    Returns:
        The failure with the least seed among those found when the first came up, or None.
    """
    failures: list[Failure] = []
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        bunches = _bunches(first, count)
        running: dict[Future[list[Failure]], int] = {}
        while True:
            while not failures and len(running) < 2 * (os.cpu_count() or 1) and (bunch := next(bunches, None)):
                running[pool.submit(_try, *bunch)] = bunch[1]
            if not running:
                return min(failures, key=lambda failure: failure.seed, default=None)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                failures += future.result()
                advanced(running.pop(future))


def _bunches(first: int, count: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + count, _BUNCH):
        yield start, min(_BUNCH, first + count - start)


def _try(first: int, count: int) -> list[Failure]:
    for seed in range(first, first + count):
        told = report(seed)
        if told:
            return [Failure(seed, told)]
    return []
