"""How work that takes a moment looks: bars on standard error, if that is a terminal. A log has the result, which says it all."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn

from services.terminal import Terminal


def bars(quiet: bool, *columns: ProgressColumn) -> Progress:
    """Bars of these columns, shown on a terminal unless `quiet`."""
    hidden = quiet or not sys.stderr.isatty()
    return Progress(*columns, console=Terminal(stderr=True), transient=True, disable=hidden)


@contextmanager
def reading(quiet: bool, what: str = "the ledger") -> Iterator[Callable[[int, int], None]]:
    """A progress callback, told how much of a topic is read and how much there is; `what` names it."""
    with bars(quiet, TextColumn(f"Reading {what}"), BarColumn(), MofNCompleteColumn()) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
