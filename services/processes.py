"""Side by side: one function for each of several items, in processes of their own. For questions that compute; no service works so.

Ctrl-C reaches the whole group. The first process says what is to be done about it; the others stop when they next tell of progress.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from functools import partial
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Told = Callable[[int, int], None]
"""Called by the work with how much is done, and how much there is."""
Progress = Callable[[int, int, int], None]
"""Called with the number of the item, how much of it is done, and how much there is."""


def side_by_side(
    work: Callable[[Any, Item, Told], Result], given: Any, items: Sequence[Item], progress: Progress, *, small: bool
) -> list[Result]:
    """The results of `work(given, item, told)`, in the order of the items; what one raises is raised.

    Args:
        work: a function of a module.
        given: handed to each process once, when it begins.
        progress: hears how far each is.
        small: processes would take longer to start than they save; it is all done here, one item after the other.
    """
    if small or len(items) == 1 or os.cpu_count() == 1:
        return [work(given, item, partial(progress, number)) for number, item in enumerate(items)]
    context = multiprocessing.get_context("spawn")
    reports, stopping = context.SimpleQueue(), context.Event()
    workers = min(len(items), os.cpu_count() or 1)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work, given, reports, stopping))
    try:
        futures = [pool.submit(_do, number, item) for number, item in enumerate(items)]
        while wait(futures, timeout=0.1).not_done:
            if any(future.done() and future.exception() for future in futures):
                break
            while not reports.empty():
                progress(*reports.get())
        return [future.result() for future in futures]
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)


class _Stopped(Exception):
    """The work was interrupted from outside."""


_held: dict[str, Any] = {}
"""What a process was given when it began."""


def _begin(work: Any, given: Any, reports: Any, stopping: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _held.update(work=work, given=given, reports=reports, stopping=stopping)


def _do(number: int, item: Any) -> Any:
    def told(done: int, total: int) -> None:
        if _held["stopping"].is_set():
            raise _Stopped
        _held["reports"].put((number, done, total))

    return _held["work"](_held["given"], item, told)
