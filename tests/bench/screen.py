"""What `./run bench` shows while it measures: a bar on a terminal, lines in a log; on standard error."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from services.terminal import Terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SHOW_EVERY_SECONDS = 0.2  # drawing takes from whoever is measured
_FILE_COLUMNS = 136


class BenchScreen:
    """A watcher for measurements (`tests.bench.throughput.Watcher`); use as a context manager."""

    def __init__(self) -> None:
        self._console = Terminal(stderr=True)
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._shown = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=self._console, transient=True, refresh_per_second=2)
            self._bars.start()
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()

    def doing(self, what: str, of: int = 0) -> None:
        """Something new has begun; `of` is how much there is to do, 0 if unknown."""
        if self._bars:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task = self._bars.add_task(what, total=of or None)
        elif not of:
            self.say(f"{what} …")

    def reached(self, count: int) -> None:
        """So much of it is done."""
        now = time.monotonic()
        if self._bars and self._task is not None and now - self._shown >= _SHOW_EVERY_SECONDS:
            self._shown = now
            self._bars.update(self._task, completed=count)

    def say(self, line: str) -> None:
        """Something worth a line."""
        self._console.print(line, soft_wrap=True)


def wide_console() -> Terminal:
    """Standard output, for a table: a terminal's own width; in a file or a pipe wide enough for all columns."""
    return Terminal(width=None if sys.stdout.isatty() else _FILE_COLUMNS)


def described(machine: Any) -> str:
    """A machine and what runs on it, in two lines."""
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    return f"On {machine}\n{versions}"
