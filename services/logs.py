"""What a process logs, set up here and nowhere else: what happened, where in the code, and never of whom.

Our own lines hold places, codes and counts, and must stay so. An error in one is named by its class; its words appear only if it is a
`PumasiError`, which promises to hold nothing about a person. A library may quote whatever it was given (a record, a header, an
object with all that it refers to), at any level and in any error. So, whatever `PUMASI_LOG_LEVEL` says, only its
warnings and worse are kept, and of these the words that its authors wrote, never what they filled in; of an error its class and the
places in the code that it came through. The same goes for what ends a thread or a process, and for Python's own warnings.

A record is one line (`services.visible`), and an error's lines stand indented below theirs: nothing that is logged can forge a line.
"""

from __future__ import annotations

import copy
import logging
import sys
import threading
import traceback
import warnings
from typing import TYPE_CHECKING, Any, TextIO

from services.errors import PumasiError
from services.visible import visible

if TYPE_CHECKING:
    from services.settings import Settings

OURS = "pumasi"
_TOLD_BY_US = ("aiokafka", "httpx", "httpcore", "faststream")
"""Libraries whose troubles are said by who called them, in words that fit: heard only at DEBUG."""


def set_up(level: str) -> None:
    """Log to standard error: our lines from `level` on, those of libraries from WARNING on. To be called again with another level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: _is_ours(record) or record.levelno >= logging.WARNING)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(OURS).setLevel(level)
    for name in _TOLD_BY_US:
        logging.getLogger(name).setLevel(logging.WARNING if level == "DEBUG" else logging.CRITICAL)
    warnings.showwarning = _warned
    sys.excepthook = lambda kind, error, trace: _unforeseen("the process", error)
    threading.excepthook = lambda told: _unforeseen("a thread", told.exc_value)
    sys.unraisablehook = lambda told: _unforeseen("a clearing away", told.exc_value)


def begin(settings: Settings) -> None:
    """As a service begins: log by its settings, and say so if nobody is asked who they are."""
    from services.settings import OPEN  # read by then; `--help` does without

    set_up(settings.log_level)
    if settings.open:
        logging.getLogger(OURS).warning(OPEN)


def _unforeseen(what: str, error: BaseException | None) -> None:
    logging.getLogger(OURS).critical("%s ended with an error that nobody foresaw", what, exc_info=error)


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    logging.getLogger(OURS).warning("%s at %s:%d", category.__name__, filename, lineno)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name == OURS or record.name.startswith(OURS + ".")


class _Lines(logging.Formatter):
    """One line a record; an error's lines below it, indented."""

    def format(self, record: logging.LogRecord) -> str:
        told = copy.copy(record)
        told.exc_text = None  # what another has made of the error
        if _is_ours(record):
            told.args = tuple(map(_in_words, record.args)) if isinstance(record.args, tuple) else record.args
        else:  # without arguments the authors' words and the values are one text already
            words = record.msg if record.args else "something is amiss"
            told.msg, told.args = f"{words} ({record.module}:{record.lineno}, {record.funcName})", None
        return super().format(told)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        lines = []
        for error in _chain(ei[1]):
            lines += [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
            ]
            lines.append(f"{type(error).__qualname__}{': ' + error.message if isinstance(error, PumasiError) else ''}")
        return "\n".join(f"    {visible(line)}" for line in lines)


def _in_words(given: Any) -> Any:
    if isinstance(given, PumasiError):
        return given.message
    return type(given).__name__ if isinstance(given, BaseException) else given


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error after those that it came of or holds, as far as they were meant to be seen."""
    if error is None:
        return []
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    held = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [*_chain(before), *(one for inner in held for one in _chain(inner)), error]
