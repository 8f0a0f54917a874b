"""Fetches whose records are found where they lie (`rawrecords`), for aiokafka's consumers; nothing where that isn't compiled.

aiokafka names the two classes that take a fetch apart in the module of its fetcher, and knows no way to say others. So the one
method that uses them is run with other names: its own code, our two classes. A consumer that has begun with the former ends with these:
records of both kinds have what `envelope.Record` asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import FunctionType
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

try:
    from services.bus.rawrecords import RawBatch, RawRecords
except ImportError:  # not compiled
    RawRecords = None


def find_records_raw(consumer_fetcher: Fetcher) -> None:
    """Let a fetcher take its next fetches apart in this way, if it can be done."""
    if RawRecords is not None:
        consumer_fetcher.__class__ = _RawFetcher


def _all_of(result: FetchResult, max_records: int | None = None) -> list[Any]:
    """`FetchResult.getall`, without a step of Python's for each record."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():
        return []
    found = list(islice(result._partition_records, max_records))
    result._update_position()
    if len(found) != max_records:
        result._partition_records = None
    return found


FetchResult.getall = _all_of  # whoever asks: there may be results from before a fetcher was told to find records raw


class _RawPartitionRecords(PartitionRecords):
    """A fetch of one partition, whose records stay as they were found, and are given out without a step of Python's for each."""

    def __init__(self, tp: Any, records: Any, *rest: Any) -> None:
        records.lie_in(tp.topic, tp.partition)
        self._batch: RawBatch | None = None
        super().__init__(tp, records, *rest)

    @property
    def next_fetch_offset(self) -> int:
        """Where to go on; while a batch is being given out, behind its last record so far."""
        return self._next if self._batch is None else self._batch.next_wanted()

    @next_fetch_offset.setter
    def next_fetch_offset(self, offset: int) -> None:
        self._next, self._batch = offset, None

    def __iter__(self) -> Iterator[Any]:
        return self._records_iterator

    def _unpack_records(self) -> Iterator[Any]:
        """aiokafka's own, but for batches whose records are raw."""
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if (self._isolation_level == READ_COMMITTED and self._is_aborted(batch)) or batch.is_control_batch:
                self.next_fetch_offset = batch.next_offset
                continue
            if type(batch) is RawBatch:
                batch.next_wanted(self._next)
                self._batch = batch
                yield from batch
            else:
                for record in batch:
                    if record.offset >= self._next:
                        self.next_fetch_offset = record.offset + 1
                        yield self._consumer_record(self._tp, record)
            self.next_fetch_offset = batch.next_offset  # the last records may be gone by compaction

    def _is_aborted(self, batch: Any) -> bool:
        """Whether a batch is of a transaction that was aborted; batches are asked for in order."""
        if batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return batch.is_transactional and batch.producer_id in self._aborted_producers


class _RawFetcher(Fetcher):
    _proc_fetch_request = FunctionType(
        Fetcher._proc_fetch_request.__code__,
        {**vars(fetcher), "MemoryRecords": RawRecords, "PartitionRecords": _RawPartitionRecords},
    )
