"""How reading a topic looks: a bar on a terminal once it takes a moment, nothing in a log or with `--json`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown_on(quiet: bool, what: str = "the ledger") -> Iterator[Callable[[int, int], None]]:
    """A progress callback that shows a bar on standard error, if that is a terminal and not `quiet`; `what` names what is read."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from services.terminal import Terminal

    columns = (TextColumn(f"Reading {what}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
