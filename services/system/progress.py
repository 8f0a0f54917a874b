"""How starting the broker and its services is shown: a bar on a terminal, a few lines in a log; on standard error."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from services.terminal import Terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_STAGES = {
    "download": "Looking for Apache Kafka 4.3.1",
    "format": "Formatting the data directory (once)",
    "start": "Starting the Kafka broker",
    "topics": "Waiting for the topics",
    "services": "Waiting for notifier, matcher and intake to be ready",
    "partitions": "Waiting until the matchers together hold all partitions",
}
_SHORT = {"download", "topics", "partitions"}  # over in no time as a rule: not worth a line in a log
_DOWNLOAD_MB = 44
_BAR_WIDTH = 12
_QUARTERS = 4


class BrokerProgress:
    """A watcher for `EmbeddedKafka`; use as a context manager around start(). `quiet` shows nothing at all.

    Lines that are printed meanwhile belong on `console`: it puts them above the bar.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.console = Terminal(stderr=True, quiet=quiet)
        self._quarter, self._lock = -1, threading.Lock()
        self._bars: Progress | None = None
        self._task: TaskID

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self.console.quiet:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.table import Column

            told = TextColumn(
                "{task.description}", table_column=Column(no_wrap=True)
            )  # one line, or old ones would stay
            columns = (SpinnerColumn(), told, BarColumn(_BAR_WIDTH), TimeElapsedColumn())
            self._bars = Progress(*columns, console=self.console, transient=True)
            self._bars.start()
            self._task = self._bars.add_task("Apache Kafka", total=None)
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()

    def stage(self, name: str) -> None:
        if name not in _STAGES:
            return
        if self._bars:
            self._bars.update(self._task, description=_STAGES[name], total=None)
        elif name not in _SHORT:
            self.console.print(f"{_STAGES[name]} …")

    def download(self, fetched: int, total: int, received: int) -> None:
        if self._bars:
            text = f"Downloading Apache Kafka: {fetched} of {total} jars, {received / 1e6:.0f} MB"
            self._bars.update(self._task, description=text, completed=fetched, total=total)
            return
        with self._lock:  # a log gets a line at the start and at each quarter
            quarter = fetched * _QUARTERS // total
            if quarter > self._quarter:
                self._quarter = quarter
                self.console.print(f"Downloading Apache Kafka (about {_DOWNLOAD_MB} MB): {fetched} of {total} jars")
