"""Makes text from outside fit to be shown: every character is visible, and none controls the screen or file that shows it.

A header, an id, a name of a file or a setting may hold anything: escapes that clear a screen or write a link, a line feed that forges
a line of a log, marks that turn the direction of what follows, letters of no width. All of these are shown as Python would write
them: `\\x1b`, `\\n`, `\\u202e`. Where such text goes is decided in three places, and nowhere else: `services.terminal` for all that
is printed, `services.logs` for all that is logged, `json_line` for what programs read. A page is escaped by its template.
"""

import json
import re
from typing import Any

_LETTERS = (
    "\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f"  # control characters, C0 and C1, but for the line feed
    "\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"  # no width, or another direction
    "\\u2028\\u2029\\u115f\\u1160\\u3164\\uffa0"  # ends of lines and paragraphs; letters that are blanks
    "\\ud800-\\udfff"  # halves of letters: a name of a file that is no UTF-8 holds them
    "\\U000e0000-\\U000e0fff"  # tags
)
STEERS = re.compile(f"[{_LETTERS}]")
"""A letter that steers, or is not seen; a line feed apart, which is right where there may be lines."""
_STEERS_A_LINE = re.compile(rf"[\n{_LETTERS}]")


def visible(text: str, *, lines: bool = False) -> str:
    """A text that steers nothing: on one line, unless `lines` lets line feeds pass."""
    return (STEERS if lines else _STEERS_A_LINE).sub(lambda found: ascii(found[0])[1:-1], text)


def json_line(document: Any) -> str:
    """A document as one line of JSON: in letters as they are, but for those that would steer a terminal, which JSON can escape."""
    return STEERS.sub(_as_json, json.dumps(document, ensure_ascii=False))


def _as_json(found: re.Match[str]) -> str:
    return "\\u007f" if found[0] == "\x7f" else json.dumps(found[0])[1:-1]
