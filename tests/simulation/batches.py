"""Record batches (Kafka's message format 2), as producers send them, brokers keep them and consumers read them.

Bytes come from aiokafka's own encoder and go to its own decoder, checksums included; what is done here is what a broker does to them:
it gives them their offsets, writes markers of transactions, and leaves records out when it compacts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

_BATCH_BYTES_MAX = 1 << 24
_TIMESTAMP_MS = 1_800_000_000_000
_ATTRIBUTES = struct.Struct(">h")
_AT_CRC, _AT_ATTRIBUTES, _AT_LAST_DELTA = 17, 21, 23
_TRANSACTIONAL, _CONTROL = 0x10, 0x20
_MARKER_KEY = struct.Struct(">hh")
_ABORT, _COMMIT = 0, 1
_COORDINATOR_EPOCH = struct.pack(">hi", 0, 0)

Row = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Key, value and headers."""


class Entry(NamedTuple):
    """A record with its offset."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Batch(NamedTuple):
    """A batch in a log.

    Attributes:
        begin, end: its first offset, and one past its last, also if records have been compacted away.
        producer, epoch, sequence: who wrote it; -1 if nobody in particular.
        transactional: whether it is part of a transaction.
        commits: of a marker: whether it commits; None if this is no marker.
        data: its bytes.
    """

    begin: int
    end: int
    producer: int
    epoch: int
    sequence: int
    transactional: bool
    commits: bool | None
    data: bytes

    @property
    def records(self) -> int:
        """How many offsets it takes."""
        return self.end - self.begin

    def entries(self) -> list[Entry]:
        """Its records; of a marker, none."""
        if self.commits is not None:
            return []
        return [
            Entry(record.offset, record.key, record.value, tuple(record.headers))
            for record in DefaultRecordBatch(self.data)
        ]


def sent(data: bytes) -> Batch:
    """A batch as a producer sends it: its offsets count from 0."""
    head = DefaultRecordBatch(data)
    return Batch(
        0, head.last_offset_delta + 1, head.producer_id, head.producer_epoch, head.base_sequence, head.is_transactional,
        None, bytes(data),
    )  # fmt: skip


def plain(rows: Iterable[Row], producer: int = -1, epoch: int = -1) -> Batch:
    """A batch of rows; in a transaction if there is a producer."""
    builder = _builder(producer, epoch)
    for offset, (key, value, headers) in enumerate(rows):
        builder.append(offset, _TIMESTAMP_MS, key, value, list(headers))
    return sent(bytes(builder.build()))


def marker(producer: int, epoch: int, *, commits: bool) -> Batch:
    """The end of a transaction in a partition."""
    builder = _builder(producer, epoch)
    builder.append(0, _TIMESTAMP_MS, _MARKER_KEY.pack(0, _COMMIT if commits else _ABORT), _COORDINATOR_EPOCH, [])
    data = builder.build()
    _ATTRIBUTES.pack_into(data, _AT_ATTRIBUTES, _TRANSACTIONAL | _CONTROL)
    return Batch(0, 1, producer, epoch, -1, True, commits, _sealed(data))


def placed(batch: Batch, offset: int) -> Batch:
    """The batch from an offset on; the checksum doesn't cover the offset."""
    data = struct.pack(">q", offset) + batch.data[8:]
    return batch._replace(begin=offset, end=offset + batch.records, data=data)


def thinned(batch: Batch, keep: Callable[[Entry], bool]) -> Batch | None:
    """The batch without some records, its offsets as they were; the same if all are kept, None if none is."""
    entries = batch.entries()
    kept = [entry for entry in entries if keep(entry)]
    if len(kept) == len(entries):
        return batch
    if not kept:
        return None
    builder = _builder(batch.producer, batch.epoch, batch.sequence, batch.transactional)
    for entry in kept:
        builder.append(entry.offset - batch.begin, _TIMESTAMP_MS, entry.key, entry.value, list(entry.headers))
    data = builder.build()
    struct.pack_into(">i", data, _AT_LAST_DELTA, batch.records - 1)
    struct.pack_into(">q", data, 0, batch.begin)
    return batch._replace(data=_sealed(data))


def _builder(
    producer: int, epoch: int, sequence: int = 0, transactional: bool | None = None
) -> DefaultRecordBatchBuilder:
    inside = producer >= 0 if transactional is None else transactional
    return DefaultRecordBatchBuilder(
        2, 0, is_transactional=inside, producer_id=producer, producer_epoch=epoch, base_sequence=sequence,
        batch_size=_BATCH_BYTES_MAX,
    )  # fmt: skip


def _sealed(data: bytearray) -> bytes:
    struct.pack_into(">I", data, _AT_CRC, calc_crc32c(bytes(data[_AT_ATTRIBUTES:])))
    return bytes(data)
