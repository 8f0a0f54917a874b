"""The values of the headers that are asked for, of a record that has nothing odd about it.

Most commands have the same six to nine headers, and few of them differ from those of the record before. `header_values.pyx` is the same
for records as they lie in a fetch: it compares their bytes, and gives a value that it gave before once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def header_values(record: Any, names: Sequence[str]) -> list[bytes | None] | None:
    """The values of some headers.

    Args:
        record: as consumed.
        names: which.

    Returns:
        A value for each name, None where there is no such header. None for all if any header is null, not ASCII, or there twice.
    """
    found: dict[str, bytes] = {}
    headers = record.headers
    for name, value in headers:
        if value is None or not value.isascii():
            return None
        found[name] = value
    return [found.get(name) for name in names] if len(found) == len(headers) else None
