"""Worlds by the thousand: over all cores, in processes of their own in which nothing runs but worlds.

So a seed is the same world wherever it is asked for: beside other tests, after other worlds, as a story. Two things could tell them
apart: where objects lie in memory, by which no set of a world is ordered (`clock`, `world`), and how strings are hashed, which Python
decides once for a process, and here always alike.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

from tests.simulation.plan import plan_of
from tests.simulation.variants import BY_NAME
from tests.simulation.world import Outcome, World

_BUNCH = 10
_AHEAD = 3
"""Worlds that a process is given at once, and how many such bunches for each process are under way."""
_COLLECTED_AFTER = 40


class Runs:
    """Processes that run worlds; a context manager.

    Args:
        jobs: how many processes; None: as many as there are cores for us.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or os.cpu_count() or 1
        self._pool = ProcessPoolExecutor(self.jobs, get_context("spawn"), initializer=_begin)
        self._hashing = contextlib.ExitStack()

    def __enter__(self) -> Runs:
        self._hashing.enter_context(_hashing_alike())
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._hashing.close()

    def worlds(self, seeds: Iterable[int], variant: str = "", *, story: bool = False) -> Iterator[Outcome]:
        """What came of each seed, in order.

        Args:
            seeds: which.
            variant: the name of a safeguard that is missing.
            story: whether to keep what happens.
        """
        left, running = iter(seeds), deque[Future[list[Outcome]]]()
        try:
            while True:
                while len(running) < self.jobs * _AHEAD and (bunch := [*islice(left, _BUNCH)]):
                    running.append(self._pool.submit(_run, bunch, variant, story))
                if not running:
                    return
                yield from running.popleft().result()
        finally:
            for future in running:
                future.cancel()


@contextlib.contextmanager
def _hashing_alike() -> Iterator[None]:
    """Processes that are started meanwhile hash strings alike."""
    name = "PYTHONHASHSEED"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _begin() -> None:
    """A process begins: nobody's settings, and a collector that leaves alone what stays."""
    for name in [name for name in os.environ if name.startswith("PUMASI_")]:
        del os.environ[name]
    gc.disable()
    gc.collect()
    gc.freeze()


_ran = 0


def _run(seeds: list[int], variant: str, story: bool) -> list[Outcome]:
    global _ran
    outcomes = []
    for seed in seeds:
        plan = BY_NAME[variant].plan(seed) if variant else plan_of(seed)
        outcomes.append(World(plan, story=story).run(BY_NAME[variant].change if variant else None))
        _ran += 1
        if _ran % _COLLECTED_AFTER == 0:
            gc.collect()
    return outcomes
