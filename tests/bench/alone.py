"""The processor's part without a broker, against a loop that never changes: what a change of code costs, on whatever machine.

The calibration loop does what the matcher's code mostly does (dicts, small objects, integers, a heap, JSON, a hash), so that it
gets faster and slower with the machine and the interpreter about as that does. Each turn of it stands beside a turn of what is
measured; the figure is the median of the pairs. Processor time, not the wall's.
"""

from __future__ import annotations

import gc
import heapq
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b
from itertools import islice
from multiprocessing import get_context
from statistics import median
from typing import NamedTuple

from schemas.ledger import GENESIS
from services.bus import topics
from services.matcher.engine.engine import Engine
from services.matcher.ledger.answer import answer, linked
from tests.bench.load import FUND, Load, Row, record

CASES = 10_000
_TURNS, _PLEDGES_A_TURN = 12, 2_500
_STEPS, _HEAP_MAX = 20_000, 1_024


class Command(NamedTuple):
    """A record as consumed, without a broker."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def answered_per_step(seed: int) -> float:
    """Pledges answered, bytes to bytes, in the time of one calibration step; in a process apart."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, seed).result()


def _measured(seed: int) -> float:
    load = Load(CASES, (_TURNS + 1) * _PLEDGES_A_TURN, seed)
    records = commands(load)
    gc.set_threshold(200_000, 20, 100)  # as the matcher does
    engine, seq, digest = Engine(), 0, GENESIS
    for command in islice(records, load.before + _PLEDGES_A_TURN):  # a warm cache, too
        values, digest = linked(answer(engine, command, 1, seq), digest)
        seq += len(values)
    gc.freeze()
    calibrate()
    pairs = []
    for _ in range(_TURNS):
        turn = list(islice(records, _PLEDGES_A_TURN))
        began = time.process_time()
        for command in turn:
            values, digest = linked(answer(engine, command, 1, seq), digest)
            seq += len(values)
        taken = (time.process_time() - began) / len(turn)
        pairs.append(calibrate() / taken)
    return median(pairs)


def commands(load: Load) -> Iterator[Command]:
    """The load as records."""
    return records(load.rows())


def records(rows: Iterable[Row]) -> Iterator[Command]:
    """A partition's commands as records."""
    for offset, row in enumerate(rows):
        fields = record(FUND, row)
        yield Command(topics.COMMANDS, 0, offset, fields["key"], fields["value"], fields["headers"])


def calibrate() -> float:
    """Seconds of processor time that one step of the calibration loop takes."""
    began = time.process_time()
    heap: list[tuple[int, int]] = []
    seen: dict[str, dict[str, int]] = {}
    digest = bytes(32)
    for number in range(_STEPS):
        key = f"k-{number * 7919 % 4096}"
        entry = seen.get(key)
        if entry is None:
            entry = seen[key] = {"n": 0, "sum": 0}
        entry["n"] += 1
        entry["sum"] += number % 1000
        heapq.heappush(heap, (entry["sum"], number))
        if len(heap) > _HEAP_MAX:
            heapq.heappop(heap)
        digest = blake2b(digest + json.dumps(entry).encode(), digest_size=32).digest()
    return (time.process_time() - began) / _STEPS
