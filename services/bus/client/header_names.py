"""A batch whose records' headers may have any name, for where nothing is compiled.

Kafka checks a header's name no more than its value, and some clients put arbitrary bytes there. aiokafka fails on them and stops
reading the partition. Here such a record comes out as `raw_records` gives it: the value of that header is None, so its reader
finds the record unreadable. All other records are aiokafka's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

_COUNT, _RECORDS = 57, 61
_varint: Callable[[bytes, int], tuple[int, int]] = decode_varint  # type: ignore[assignment]  # aiokafka says bytearray; it reads any


class Found(NamedTuple):
    """A record, with what aiokafka's have."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


class AnyNames:
    """aiokafka's batch; where a header's name stops aiokafka, this reads on.

    Args:
        data: a batch that is not compressed.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._batch: Any = MemoryRecords(data).next_batch()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        given = 0
        try:
            for record in self._batch:
                yield record
                given += 1
        except (UnicodeDecodeError, CorruptRecordException):
            if self._batch.magic < 2:
                raise
            yield from islice(_records(self._data, self._batch), given, None)


def _records(data: bytes, batch: Any) -> Iterator[Found]:
    """The records of a batch of the present format.

    Raises:
        CorruptRecordException: if its bytes are damaged.
    """
    place = _RECORDS
    for _ in range(int.from_bytes(data[_COUNT:_RECORDS], "big")):
        try:
            found, place = _record(data, place, batch)
        except (IndexError, ValueError):
            raise CorruptRecordException("a record ends early") from None
        yield found


def _record(data: bytes, place: int, batch: Any) -> tuple[Found, int]:
    length, place = _varint(data, place)
    end = place + length
    later, place = _varint(data, place + 1)  # attributes: none are defined
    delta, place = _varint(data, place)
    key, place = _part(data, place, end)
    value, place = _part(data, place, end)
    count, place = _varint(data, place)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, place = _part(data, place, end)
        given, place = _part(data, place, end)
        if name is None:
            raise ValueError
        try:
            headers.append((name.decode(), given))
        except UnicodeDecodeError:
            headers.append((name.decode(errors="replace"), None))
    if place != end or count < 0:
        raise ValueError
    timestamp = batch.max_timestamp if batch.timestamp_type else batch.first_timestamp + later
    return Found(batch.base_offset + delta, timestamp, batch.timestamp_type, key, value, headers), place


def _part(data: bytes, place: int, end: int) -> tuple[bytes | None, int]:
    length, place = _varint(data, place)
    if length < 0:
        return None, place
    if length > end - place:
        raise ValueError
    return data[place : place + length], place + length
