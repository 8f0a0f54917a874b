"""The attributes of a CloudEvent from outside, and the rule of each: what intake lets in, and what a dead letter may keep.

Any attribute may be sent; those that mean nothing to us are dropped. A dead letter names CloudEvents' own and its documented
extensions for tracing and partitioning; it keeps a value only where a rule here lets no sentence through.

A source is admitted by the same rule by which a letter may keep it, since it goes to the commands topic unchanged: a path, a URL,
a URN or one word, of plain characters. A query or an escape, in which a form may have put anything, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from schemas.commands import COMMANDS
from schemas.numbers import holds_number
from schemas.structs import is_id as is_id
from schemas.times import parse_given

EVENT_ID_MAX = 256
"""The longest `id` that may be sent, in characters."""
SOURCE_MAX = 256
"""The longest `source`, in characters."""
KNOWN = frozenset(
    {"specversion", "id", "source", "type", "time", "datacontenttype", "subject", "dataschema"}
    | {"traceparent", "tracestate", "partitionkey"}
)
"""What a dead letter may name; of any other attribute it keeps nothing."""

_SOURCE = re.compile(r"(?:/|https?://|urn:)[A-Za-z0-9._~:/#-]*|[A-Za-z0-9._~-]+")
_MEDIA = re.compile(r"application/(cloudevents\+)?json(; ?charset=utf-?8)?", re.IGNORECASE | re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context


def is_source(text: str) -> bool:
    """True for a path, a URL, a URN or a word of at most SOURCE_MAX plain characters, in which nobody's number is."""
    return len(text) <= SOURCE_MAX and _is_source(text)


@lru_cache(maxsize=1024)
def _is_source(text: str) -> bool:
    return bool(_SOURCE.fullmatch(text)) and not holds_number(text)


def is_media(text: str) -> bool:
    """True for the content types of one event, in UTF-8."""
    return bool(_MEDIA.fullmatch(text))


def _is_time(text: str) -> bool:
    try:
        parse_given(text)
    except ValueError:
        return False
    return True


TELLABLE: dict[str, Callable[[str], object]] = {
    "specversion": "1.0".__eq__,
    "id": is_id,
    "source": is_source,
    "type": COMMANDS.__contains__,
    "time": _is_time,
    "datacontenttype": is_media,
    "traceparent": _TRACE.fullmatch,
}
"""The attributes that a dead letter may keep, each with the rule its value must pass."""
