"""Fetches whose records are found where they lie (`rawrecords`), for aiokafka's consumers; nothing where that isn't compiled.

aiokafka names the two classes that take a fetch apart in the module of its fetcher, and knows no way to say others. So the one
method that uses them is run with other names: its own code, our two classes. A consumer that has begun with the former ends with these:
records of both kinds have what `envelope.Record` asks for.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords

try:
    from services.bus.rawrecords import RawRecord, RawRecords
except ImportError:  # not compiled
    RawRecords = None


def find_records_raw(consumer_fetcher: Fetcher) -> None:
    """Let a fetcher take its next fetches apart in this way, if it can be done."""
    if RawRecords is not None:
        consumer_fetcher.__class__ = _RawFetcher


class _RawPartitionRecords(PartitionRecords):
    """A fetch of one partition, whose records stay as they were found."""

    def __init__(self, tp: Any, records: Any, *rest: Any) -> None:
        records.lie_in(tp.topic, tp.partition)
        super().__init__(tp, records, *rest)

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        return record if type(record) is RawRecord else super()._consumer_record(tp, record)


class _RawFetcher(Fetcher):
    _proc_fetch_request = FunctionType(
        Fetcher._proc_fetch_request.__code__,
        {**vars(fetcher), "MemoryRecords": RawRecords, "PartitionRecords": _RawPartitionRecords},
    )
