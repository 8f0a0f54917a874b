"""What a process logs, set up here and nowhere else: what happened, where in the code, and never of whom.

Our own lines hold places, codes and counts, and must stay so. An error in one is named by its class; its words appear only if it is a
`PumasiError`, which promises to hold nothing about a person. A library may quote whatever it was given (a record, a header, an
object with all that it refers to), at any level and in any error. So, whatever `PUMASI_LOG_LEVEL` says, only its
warnings and worse are kept, and of these the words that its authors wrote, never what they filled in; of an error its class and the
places in the code that it came through. The same goes for what ends a thread or a process, and for Python's own warnings.

A record is one line (`services.visible`), and an error's lines stand indented below theirs: nothing that is logged can forge a line.
With `PUMASI_LOG_JSON` a record is one line of JSON, its error too, and may have fields: our own calls name what they fill in, and the
event, by a code that stays while words change:

    log.warning("%(topic)s: offset %(offset)d is gone", {"event": "offset_gone", "topic": topic, "offset": offset})

structlog writes both. What a field may hold is what a line may hold. A field that is no number stands as its text.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from services.errors import PumasiError
from services.visible import json_line, visible

if TYPE_CHECKING:
    from structlog.stdlib import ProcessorFormatter
    from structlog.typing import EventDict

    from services.settings import Settings

OURS = "pumasi"
_TOLD_BY_US = ("aiokafka", "httpx", "httpcore", "faststream")
"""Libraries whose troubles are said by who called them, in words that fit: heard only at DEBUG."""


UNNAMED = "said"
"""The event of a line whose words come from elsewhere, such as a sentence for people."""
LIBRARY = "library"
"""The event of a library's line."""


def set_up(level: str, as_json: bool = False) -> None:
    """Log to standard error: our lines from `level` on, those of libraries from WARNING on. To be called again with another level."""
    logging.raiseExceptions = False  # or what can't be written would be, with all its values
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(as_json))
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

    set_up(settings.log_level, settings.log_json)
    if settings.open:
        logging.getLogger(OURS).warning(OPEN, {"event": "open"})


def say(line: str, event: str, **fields: Any) -> None:
    """Tell whoever looks on what is new: by a line, fit for a terminal, or, where lines are JSON, by an event among the others."""
    if any(isinstance(one.formatter, _Lines) and one.formatter.as_json for one in logging.getLogger().handlers):
        logging.getLogger(OURS).info(line.replace("%", "%%"), {"event": event, **fields})
    else:
        print(line, file=sys.stderr, flush=True)


def _unforeseen(what: str, error: BaseException | None) -> None:
    words = "%(what)s ended with an error that nobody foresaw"
    logging.getLogger(OURS).critical(words, {"event": "unforeseen", "what": what}, exc_info=error)


def _warned(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any) -> None:
    place = {"event": "warned", "kind": category.__name__, "file": filename, "line": lineno}
    logging.getLogger(OURS).warning("%(kind)s at %(file)s:%(line)d", place)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name == OURS or record.name.startswith(OURS + ".")


class _Lines(logging.Formatter):
    """A record as text, by structlog, which is imported with the first one: most commands have none."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json

    @cached_property
    def _by_structlog(self) -> ProcessorFormatter:
        from structlog.stdlib import ProcessorFormatter

        written = _for_programs if self.as_json else self._for_people
        return ProcessorFormatter(processors=[_discreet, written], use_get_message=False, pass_foreign_args=True)

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON; or one for people, with an error's lines below it."""
        return self._by_structlog.format(record)

    def _for_people(self, _logger: Any, _method: str, told: EventDict) -> str:
        record, lines = told["_record"], []
        for one in told["error"]:
            lines += [*one["places"], ": ".join([one["class"], *([one["message"]] if "message" in one else [])])]
        head = f"{self.formatTime(record)} {record.levelname} {record.name}: {told['message']}"
        return "\n".join([visible(head), *(f"    {visible(line)}" for line in lines)])


def _for_programs(_logger: Any, _method: str, told: EventDict) -> str:
    record = told["_record"]
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "event": told["event"]}
    line |= {"message": told["message"]} | told["fields"]
    return json_line(line | {"error": told["error"]} if told["error"] else line)


def _discreet(_logger: Any, _method: str, said: EventDict) -> EventDict:
    """What may be told of a record, and nothing else: its event, message, fields, and error."""
    record, args = said["_record"], said["positional_args"]
    if _is_ours(record):
        fields = {name: _in_words(value) for name, value in args.items()} if isinstance(args, Mapping) else {}
        message = _filled_in(str(record.msg), fields or tuple(map(_in_words, args)))
        event = fields.pop("event", UNNAMED)
    else:  # without arguments the authors' words and the values are one text already
        fields, event = {"module": record.module, "line": record.lineno}, LIBRARY
        words = record.msg if args else "something is amiss"
        message = f"{words} ({record.module}:{record.lineno}, {record.funcName})"
    error = said["exc_info"][1] if "exc_info" in said else None
    return {"_record": record, "event": event, "message": message, "fields": fields, "error": _told_of(error)}


def _filled_in(words: str, values: Mapping[str, Any] | tuple[Any, ...]) -> str:
    try:
        return words % values if values else words
    except (TypeError, ValueError, KeyError):  # a slip of ours must not lose the line
        return words


def _told_of(error: BaseException | None) -> list[dict[str, Any]]:
    """Of an error and those behind it, the first of all first: its class, where it came through, and its words if they are ours."""
    return [
        {
            "class": type(one).__qualname__,
            **({"message": one.message} if isinstance(one, PumasiError) else {}),
            "places": [f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_tb(one.__traceback__)],
        }
        for one in _chain(error)
    ]


def _in_words(given: Any) -> Any:
    """A value as a field has it: a number as it is, of an error its class or our own words, anything else as text."""
    if isinstance(given, PumasiError):
        return given.message
    if isinstance(given, BaseException):
        return type(given).__name__
    return given if given is None or isinstance(given, int | float) else str(given)


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error after those that it came of or holds, as far as they were meant to be seen."""
    if error is None:
        return []
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    held = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [*_chain(before), *(one for inner in held for one in _chain(inner)), error]
