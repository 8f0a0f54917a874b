"""What a matcher shows of its partitions whenever it is asked; nothing of it is counted on the way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

from schemas.values import CLASSES
from services.matcher.engine.fund import Fund
from services.matcher.partition.tenure import Tenure
from services.metrics import (
    MONEY,
    OPEN_CASES,
    PARTITION_LAG,
    PARTITION_STOPPED,
    STAGES,
    STOPS,
    WATERMARK_AGE,
    Metrics,
    Values,
)


def show(metrics: Metrics, tenures: Mapping[int, Tenure]) -> None:
    """Have the gauges read from these tenures, as they are at each scrape."""
    for metric, read in (
        (PARTITION_LAG, _lag), (WATERMARK_AGE, _age), (PARTITION_STOPPED, _stopped), (MONEY, _money), (OPEN_CASES, _cases),
    ):  # fmt: skip
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


def _money(tenures: Mapping[int, Tenure]) -> Values:
    """By running totals of each fund, so a scrape costs what there are funds, and not pledges."""
    found = Counter[tuple[str, ...]]()
    for fund in _funds(tenures):
        money, _ = fund.totals.told()
        for stage, amount in zip(STAGES, money, strict=True):
            found[stage, fund.policy.currency] += amount
    return found


def _cases(tenures: Mapping[int, Tenure]) -> Values:
    found = Counter[tuple[str, ...]]({(name,): 0 for name in CLASSES})
    for fund in _funds(tenures):
        for name, number in zip(CLASSES, fund.totals.open, strict=True):
            found[name,] += number
    return found


def _funds(tenures: Mapping[int, Tenure]) -> Iterator[Fund]:
    for tenure in tenures.values():
        if (memory := tenure.processor.recovered) is not None:
            yield from memory.replay.engine.funds.values()
