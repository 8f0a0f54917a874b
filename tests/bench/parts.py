"""Where a pledge's time goes: the matcher's parts one after the other, in one process, without a broker.

The same commands go the same way as in service, a part at a time: found in the bytes of a fetch, answered, laid out, and every so
many entries the checkpoint. The decisions are measured by themselves a second time, by an engine that is led through the same
pledges, to tell what is in the whole. Hashes are filled in by a thread in service, here by who measures. Processor time; what client,
sockets, loop and waiting take is not here: it is the difference to the matcher's own figure.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from schemas.ledger import GENESIS
from services import native
from services.bus.client.record_batch import PreparedBatch
from services.bus.produce.transaction import BATCH_BYTES
from services.errors import UsageError
from services.matcher.checkpoint.writing import Head, Keeper
from services.matcher.engine.engine import Engine
from services.matcher.fast import lane_of
from services.matcher.ledger.answer import answer
from services.matcher.ledger.draft import Draft
from services.matcher.partition.batch import BATCH_COMMANDS_MAX
from tests.bench.alone import commands
from tests.bench.load import Load

FINDING, CHECKSUM = "finding records in a fetch", "its checksum"
DECIDING, HASHING, WRITING = "deciding", "hashing the entry (by a thread)", "reading the command, writing the entry"
LAYING_OUT = "laying out batches, their checksums"
CHECKPOINT, LAYING_CHECKPOINT = "checkpoint: what changed, as records", "checkpoint: laying out batches"
COLLECTING = "looking through new objects for garbage"
_FETCH_RECORDS = 4_000


def parts(load: Load, checkpoint_entries: int) -> dict[str, float]:
    """Microseconds of processor time a pledge, by part; measured in a process apart, whose collector is the matcher's.

    Args:
        load: cases and pledges.
        checkpoint_entries: a checkpoint every so many entries.

    Raises:
        UsageError: if nothing is compiled here: the parts are those of the compiled way.
    """
    if not native.in_use():
        raise UsageError(
            "nothing is compiled here, and the parts are those of the compiled way", hint="Unset PUMASI_PURE."
        )
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, load, checkpoint_entries).result()


def _measured(load: Load, checkpoint_entries: int) -> dict[str, float]:
    gc.set_threshold(200_000, 20, 100)
    rows = list(commands(load))
    fetches = [_fetch(part) for part in _parts_of(rows[load.before :], _FETCH_RECORDS)]
    engine, begun = Engine(), Draft(0, 0, GENESIS, -1)
    for row in rows[: load.before]:
        made = answer(engine, row, 1, begun.seq)
        begun.add(made.fund, made.time, made.bodies, row.offset)
    gc.collect()
    gc.freeze()
    clock = _Clock(load.pledges)
    _served(engine, begun, fetches, checkpoint_entries, clock)
    other = Engine()
    for row in rows[: load.before]:
        answer(other, row, 1, 0)
    pledges = [data for _, _, data, _ in islice(load.rows(), load.before, None)]
    gc.collect()
    gc.freeze()
    gc.disable()  # what is made here is looked through above
    with clock.of(DECIDING):
        _decided(other, pledges)
    found = clock.microseconds()
    found[WRITING] -= found[DECIDING]
    return {name: found[name] for name in _ORDER}


_ORDER = (
    FINDING, CHECKSUM, WRITING, DECIDING, HASHING, LAYING_OUT, CHECKPOINT, LAYING_CHECKPOINT, COLLECTING,
)  # fmt: skip


class _Clock:
    """Processor time by part."""

    def __init__(self, pledges: int) -> None:
        self._pledges, self._seconds = pledges, dict.fromkeys(_ORDER, 0.0)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self._seconds[part] += time.process_time() - began

    def microseconds(self) -> dict[str, float]:
        return {part: seconds / self._pledges * 1e6 for part, seconds in self._seconds.items()}


def _fetch(rows: Sequence[Any]) -> bytes:
    """Commands as they lie in a fetch."""
    batch = DefaultRecordBatchBuilder(
        2, 0, is_transactional=False, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1 << 24
    )
    for place, row in enumerate(rows):
        batch.append(place, timestamp=0, key=row.key, value=row.value, headers=row.headers)
    return rows[0].offset.to_bytes(8, "big") + bytes(batch.build())[8:]


def _served(engine: Engine, begun: Draft, fetches: list[bytes], checkpoint_entries: int, clock: _Clock) -> None:
    """All pledges as in service."""
    from services.bus.client.raw_records import RawRecords

    lane, keeper, records = lane_of(engine, 0, 1), Keeper(), []
    seq, digest, watermark, checkpointed = begun.seq, begun.hash, begun.watermark, begun.seq
    for number, fetch in enumerate(fetches, 1):
        with clock.of(FINDING):
            fetched = RawRecords(fetch)
            fetched.lie_in("", 0)
            batch = fetched.next_batch()
            records += list(batch)
        with clock.of(CHECKSUM):
            batch.validate_crc()
        if len(records) < BATCH_COMMANDS_MAX and number < len(fetches):
            continue
        draft = Draft(0, seq, digest, watermark)
        with clock.of(WRITING):
            done = lane.run(records, 0, len(records), draft)
        if done < len(records):
            raise AssertionError(f"the lane left the command at offset {records[done].offset}")
        with clock.of(HASHING):
            draft.hash  # noqa: B018  # whoever asks before the rows are taken fills them in himself
            rows = draft.taken().linked()
        with clock.of(LAYING_OUT):
            _laid_out([rows])
        seq, digest, watermark = draft.seq, draft.hash, draft.watermark
        if seq - checkpointed >= checkpoint_entries:
            checkpointed = seq
            with clock.of(CHECKPOINT):
                portions = list(keeper.rows(engine))
                keeper.head(engine, Head(seq, digest, watermark, 0))
            with clock.of(LAYING_CHECKPOINT):
                _laid_out(portions)
        del records[:], rows
        with clock.of(COLLECTING):
            gc.collect(0)
            gc.freeze()


def _laid_out(portions: list[list[bytes]]) -> None:
    batch = PreparedBatch(BATCH_BYTES)
    for rows in portions:
        done = 0
        while (done := batch.extend(rows, done)) < len(rows):
            batch._build()
            batch = PreparedBatch(BATCH_BYTES)
    batch._build()


def _decided(engine: Engine, pledges: list[dict[str, Any]]) -> None:
    from services.matcher.fast.swift import accept_all

    [fund] = engine.funds.values()
    accept_all(fund, pledges)


def _parts_of(rows: Sequence[Any], length: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), length):
        yield rows[start : start + length]
