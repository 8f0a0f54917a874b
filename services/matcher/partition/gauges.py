"""What a matcher shows of its partitions whenever it is asked; nothing of it is counted on the way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from services.matcher.partition.tenure import Tenure
from services.metrics import PARTITION_LAG, PARTITION_STOPPED, STOPS, WATERMARK_AGE, Metrics, Values


def show(metrics: Metrics, tenures: Mapping[int, Tenure]) -> None:
    """Have the gauges read from these tenures, as they are at each scrape."""
    for metric, read in ((PARTITION_LAG, _lag), (WATERMARK_AGE, _age), (PARTITION_STOPPED, _stopped)):
        metrics.reads(metric, partial(read, tenures))


def _lag(tenures: Mapping[int, Tenure]) -> Values:
    return {(str(number),): found.records for number, tenure in tenures.items() if (found := tenure.backlog)}


def _age(tenures: Mapping[int, Tenure]) -> Values:
    """Left out where something waits whose age nobody knows."""
    now, ages = time.time(), dict[tuple[str, ...], float]()
    for number, tenure in tenures.items():
        found = tenure.backlog
        if found is not None and (found.since_ms is not None or not found.records):
            ages[str(number),] = 0.0 if found.since_ms is None else max(0.0, now - found.since_ms / 1000)
    return ages


def _stopped(tenures: Mapping[int, Tenure]) -> Values:
    return {(str(number), code): tenure.amiss == code for number, tenure in tenures.items() for code in STOPS}
