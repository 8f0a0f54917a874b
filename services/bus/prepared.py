"""Record batches out of prepared parts: what a producer sends, laid out here byte by byte.

A ledger entry's headers differ from those of any other in its number and time alone, so all else is laid out once. That, and one join a
batch, takes a fifth of the time that a general builder takes, which looks at six headers of each record anew.

The layout is Kafka's record batch, magic 2 (https://kafka.apache.org/documentation/#recordbatch): 61 bytes of batch header, then
records, each with its length before it; lengths are zigzag varints. Batches are not compressed.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

from aiokafka.record.util import calc_crc32c

Row = tuple[bytes | None, bytes | None, bytes]
"""Key, value and headers of a record; None is null, headers are as `laid_out` or `HeaderForm.filled` gives them."""
NO_HEADERS = b"\0"

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC_FROM = struct.calcsize(">qiibI")
_LENGTH_FROM = struct.calcsize(">qi")
_MAGIC = 2
_TRANSACTIONAL = 0x10
_LENGTH_ROOM = 5  # a record's length takes no more
_NO_LEADER_EPOCH = -1


def varint(number: int) -> bytes:
    """A zigzag varint, of a number that is not negative.

    >>> varint(0), varint(1), varint(300)
    (b'\\x00', b'\\x02', b'\\xd8\\x04')
    """
    left, out = number << 1, bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


_VARINTS = [varint(number) for number in range(4096)]
_NULL = b"\x01"  # the length -1


def sized(part: bytes | None) -> bytes:
    """A part with its length before it; None is null."""
    if part is None:
        return _NULL
    length = len(part)
    return (_VARINTS[length] if length < 4096 else varint(length)) + part


def laid_out(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Headers as they stand in a record: their count, then name and value of each."""
    return varint(len(headers)) + b"".join(sized(name.encode()) + sized(value) for name, value in headers)


class HeaderForm:
    """Headers that differ from record to record in two values alone.

    Args:
        headers: with None where a value is to be filled in, twice.

    >>> form = HeaderForm([("a", None), ("b", b"1"), ("c", None)])
    >>> form.filled(b"x", b"yz") == laid_out([("a", b"x"), ("b", b"1"), ("c", b"yz")])
    True
    """

    __slots__ = ("_after", "_before", "_between")

    def __init__(self, headers: Sequence[tuple[str, bytes | None]]) -> None:
        parts = [varint(len(headers))]
        for name, value in headers:
            parts[-1] += sized(name.encode())
            if value is None:
                parts.append(b"")
            else:
                parts[-1] += sized(value)
        self._before, self._between, self._after = parts

    def filled(self, first: bytes, second: bytes) -> bytes:
        """The headers with these two values, each shorter than 4096 bytes."""
        return b"".join(
            (self._before, _VARINTS[len(first)], first, self._between, _VARINTS[len(second)], second, self._after)
        )


class PreparedBatch:
    """A batch for `AIOKafkaProducer.send_batch`, in place of what `create_batch` gives.

    Args:
        bytes_max: how large it may become; a first record may be as large as it likes.
        timestamp_ms: of all its records; None: now.
    """

    def __init__(self, bytes_max: int, timestamp_ms: int | None = None) -> None:
        self._bytes_max = bytes_max
        self._timestamp = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
        self._parts: list[bytes] = []
        self._size = _HEADER.size
        self._count = 0
        self._producer = (-1, -1, -1)
        self._closed = False
        self._built: bytes | None = None

    def append(self, row: Row) -> bool:
        """Add a record; False if there is no room for it."""
        key, value, headers = row
        count = self._count
        body = b"".join(
            (b"\0\0", _VARINTS[count] if count < 4096 else varint(count), sized(key), sized(value), headers)
        )
        size = self._size + len(body) + _LENGTH_ROOM
        if self._closed or (count and size > self._bytes_max):
            return False
        self._parts.append(sized(body))
        self._size = size
        self._count = count + 1
        return True

    # What aiokafka's accumulator and sender ask of a batch.

    def close(self) -> None:
        """Take no more records."""
        self._closed = True

    def closed(self) -> bool:
        """Whether it takes no more records."""
        return self._closed

    def size(self) -> int:
        """Its size in bytes, or a little more."""
        return self._size

    def record_count(self) -> int:
        """How many records it has."""
        return self._count

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        self.close()
        if self._built is None:
            records, last = b"".join(self._parts), self._count - 1
            self._parts.clear()
            tail = (_TRANSACTIONAL, last, self._timestamp, self._timestamp, *self._producer, self._count)
            length = _HEADER.size - _LENGTH_FROM + len(records)
            batch = bytearray(_HEADER.pack(0, length, _NO_LEADER_EPOCH, _MAGIC, 0, *tail))
            batch += records
            struct.pack_into(">I", batch, _CRC_FROM - 4, calc_crc32c(memoryview(batch)[_CRC_FROM:]))
            self._built = bytes(batch)
        return self._built
