"""Compressed batches, read as if they were plain: every codec that Kafka knows, in bounded memory.

Four megabytes of zstd may stand for a hundred gigabytes of zeros, and the broker accepts them: it looks at one record at a time.
So the size that a batch may grow to is bounded here; aiokafka's own decompression has no bound. The result is an ordinary batch,
whose records are found like any other's; only this module knows of codecs. If a batch grows too large, each of its records is
given out empty, under a header (`TOO_LARGE`) that no reader can read: so each gets its answer, and none stops its partition.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

import cramjam
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.util import calc_crc32c

INFLATED_BYTES_MAX = 64 << 20
"""Bytes that the records of one batch may take: sixteen times the largest batch that a topic of ours takes."""
TOO_LARGE = "pumasi_too_large"
"""The header, null, of a record whose batch grows too large; it is all that is known of it."""
_UNKNOWN_MAX = 100_000  # such records of one batch
_LENGTH, _MAGIC, _CRC, _ATTRIBUTES, _LAST_DELTA, _COUNT, _RECORDS = 8, 16, 17, 21, 23, 57, 61
_CODEC = 0x07
_FULL = "whole buffer"  # cramjam's own words
_XERIAL, _XERIAL_HEADER = b"\x82SNAPPY\x00", 16  # how Java frames snappy; others send one block without a frame


def plain(batch: bytes) -> bytes:
    """A record batch (from its base offset on) with its records decompressed if they were compressed.

    Raises:
        UnsupportedCodecError: of a codec that Kafka doesn't know.
        CorruptRecordException: of an unknown format, with a wrong checksum, or not to be decompressed within bounds.
    """
    magic = batch[_MAGIC] if len(batch) > _MAGIC else -1
    if magic not in (0, 1, 2):
        raise CorruptRecordException(f"unknown format {magic}")
    if magic < 2:
        return batch
    if len(batch) < _RECORDS:
        raise CorruptRecordException("a batch ends early")
    attributes = int.from_bytes(batch[_ATTRIBUTES:_LAST_DELTA], "big")
    codec = attributes & _CODEC
    if not codec:
        return batch
    if calc_crc32c(batch[_ATTRIBUTES:]).to_bytes(4, "big") != batch[_CRC:_ATTRIBUTES]:
        raise CorruptRecordException("its checksum is wrong")
    try:
        records = _inflated(codec, memoryview(batch)[_RECORDS:])
    except _Grows as grows:
        records = _unknown(int.from_bytes(batch[_COUNT:_RECORDS], "big"), grows)
    body = (attributes & ~_CODEC).to_bytes(2, "big") + batch[_LAST_DELTA:_RECORDS] + records
    length = struct.pack(">i", _ATTRIBUTES - _LENGTH - 4 + len(body))
    return batch[:_LENGTH] + length + batch[12:_CRC] + calc_crc32c(body).to_bytes(4, "big") + body


class _Grows(CorruptRecordException):
    """Records take more room than one batch may."""


def _unknown(count: int, grows: _Grows) -> bytes:
    """So many records of which nothing is known.

    Raises:
        CorruptRecordException: if they are too many.
    """
    if not 0 < count <= _UNKNOWN_MAX:
        raise CorruptRecordException(*grows.args)
    name = TOO_LARGE.encode()
    rest = b"\x01\x01\x02" + _varint(len(name)) + name + b"\x01"  # neither key nor value; one header, null
    records = (b"\0\0" + _varint(number) + rest for number in range(count))
    return b"".join(_varint(len(record)) + record for record in records)


def _varint(number: int) -> bytes:
    """Kafka's: zigzag, seven bits a byte, the least first."""
    rest, found = number << 1, bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*found, rest])


def _inflated(codec: int, data: memoryview) -> bytes:
    if codec not in _CODECS:
        raise UnsupportedCodecError(f"unknown codec {codec}")
    name, decompress = _CODECS[codec]
    room = mmap.mmap(-1, INFLATED_BYTES_MAX)  # memory is taken as it is written to
    try:
        return room[: decompress(data, memoryview(room))]
    except (cramjam.DecompressionError, struct.error, ValueError) as error:
        grows = _FULL in str(error)
    if grows:
        raise _Grows(f"its {name} grows beyond {INFLATED_BYTES_MAX >> 20} MiB")
    raise CorruptRecordException(f"its {name} is damaged")


def _snappy(data: memoryview, room: memoryview) -> int:
    if data[: len(_XERIAL)] != _XERIAL:
        return _snappy_block(data, room)
    place, filled = _XERIAL_HEADER, 0
    while place < len(data):
        (length,) = struct.unpack_from(">i", data, place)
        place += 4
        if not 0 <= length <= len(data) - place:
            raise ValueError
        filled += _snappy_block(data[place : place + length], room[filled:])
        place += length
    return filled


def _snappy_block(data: memoryview, room: memoryview) -> int:
    if cramjam.snappy.decompress_raw_len(data) > len(room):
        raise ValueError(_FULL)
    return cramjam.snappy.decompress_raw_into(data, room)


_CODECS: dict[int, tuple[str, Callable[[memoryview, memoryview], int]]] = {
    1: ("gzip", cramjam.gzip.decompress_into),
    2: ("snappy", _snappy),
    3: ("lz4", cramjam.lz4.decompress_into),
    4: ("zstd", cramjam.zstd.decompress_into),
}
"""By Kafka's number: the codec's name, and a function that decompresses into a buffer and returns the length."""
