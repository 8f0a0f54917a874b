"""Where a command's time goes: the matcher's parts one after the other, in one process, without a broker.

The same commands go the same way as in service, a part at a time: found in the bytes of a fetch, answered, laid out, and every so
many entries the checkpoint. Reading and deciding are measured by themselves a second time, by an engine that is led through the same
commands, to tell what is in the whole. Hashes are filled in by a thread in service, here by who measures. Processor time; what client,
sockets, loop and waiting take is not here: it is the difference to the matcher's own figure.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from schemas.ledger import GENESIS
from services import native
from services.bus.client.record_batch import PreparedBatch, crc32c
from services.bus.envelope import read_command
from services.bus.produce.transaction import BATCH_BYTES
from services.errors import UsageError
from services.matcher.checkpoint.writing import Head, Keeper
from services.matcher.engine.engine import Engine
from services.matcher.ledger.answer import draft_answers
from services.matcher.ledger.draft import Draft
from services.matcher.partition.batch import BATCH_COMMANDS_MAX
from services.matcher.partition.process_memory import keep_freed_memory
from tests.bench.alone import commands
from tests.bench.load import Load
from tests.bench.season import Season

FINDING, CHECKSUM = "finding records in a fetch", "its checksum"
READING, DECIDING, HASHING, WRITING = "reading", "deciding", "hashing the entry (by a thread)", "writing the entry"
LAYING_OUT = "laying out batches, their checksums"
CHECKPOINT, LAYING_CHECKPOINT = "checkpoint: what changed, as records", "checkpoint: laying out batches"
COLLECTING = "looking through new objects for garbage"
_FETCH_RECORDS = 4_000
_CRC_FROM = 21


def parts(load: Load | Season, checkpoint_entries: int) -> dict[str, float]:
    """Microseconds of processor time a command, by part; measured in a process apart, whose collector is the matcher's.

    Args:
        load: what is answered.
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


def _measured(load: Load | Season, checkpoint_entries: int) -> dict[str, float]:
    gc.set_threshold(200_000, 20, 100)
    keep_freed_memory()
    rows = list(commands(load))
    fetches = [fetch_of(part) for part in _parts_of(rows[load.before :], _FETCH_RECORDS)]
    engine, begun = _opened(rows[: load.before])
    clock = Clock()
    _served(Service(engine, begun, clock), fetches, checkpoint_entries)
    other, _ = _opened(rows[: load.before])
    gc.disable()  # what is made here is looked through above
    for fetch in fetches:
        records = _found(fetch)
        with clock.of(READING):
            read = [read_command(record, 1) for record in records]
        with clock.of(DECIDING):
            for command in read:
                other.decide(command)
    found = clock.microseconds(load.measured)
    found[WRITING] -= found[READING] + found[DECIDING]
    return {name: found[name] for name in _ORDER}


def _opened(rows: list[Any]) -> tuple[Engine, Draft]:
    """What there is before the commands that are measured."""
    engine, begun = Engine(), Draft(0, 0, GENESIS, -1)
    draft_answers(engine, rows, 0, len(rows), 1, begun, sys.maxsize, math.inf)
    gc.collect()
    gc.freeze()
    return engine, begun


_ORDER = (
    FINDING, CHECKSUM, READING, DECIDING, WRITING, HASHING, LAYING_OUT, CHECKPOINT, LAYING_CHECKPOINT, COLLECTING,
)  # fmt: skip


class Clock:
    """Processor time by part."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(_ORDER, 0.0)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self._seconds[part] += time.process_time() - began

    @property
    def seconds(self) -> float:
        """In all."""
        return sum(self._seconds.values())

    def microseconds(self, commands: int) -> dict[str, float]:
        """A command, of so many."""
        return {part: seconds / commands * 1e6 for part, seconds in self._seconds.items()}


def fetch_of(rows: Sequence[Any]) -> bytes:
    """Commands as they lie in a fetch."""
    batch = DefaultRecordBatchBuilder(
        2, 0, is_transactional=False, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1 << 24
    )
    for place, row in enumerate(rows):
        batch.append(place, timestamp=0, key=row.key, value=row.value, headers=row.headers)
    return rows[0].offset.to_bytes(8, "big") + bytes(batch.build())[8:]


def _found(fetch: bytes) -> list[Any]:
    """The records of a fetch."""
    from services.bus.client.raw_records import RawRecords

    fetched = RawRecords(fetch)
    fetched.lie_in("", 0)
    batch = fetched.next_batch()
    return list(batch)


class Service:
    """A partition's memory, and what serving it takes.

    Attributes:
        seq: of the last entry.
    """

    def __init__(self, engine: Engine, begun: Draft, clock: Clock) -> None:
        self.engine, self.clock = engine, clock
        self.seq, self._hash, self._watermark = begun.seq, begun.hash, begun.watermark
        self._keeper: Keeper = Keeper()
        self._records: list[Any] = []

    def fetched(self, fetch: bytes) -> int:
        """Find the records of a fetch; how many there are to be answered now."""
        with self.clock.of(FINDING):
            self._records += _found(fetch)
        with self.clock.of(CHECKSUM):
            crc32c(memoryview(fetch)[_CRC_FROM:])
        return len(self._records)

    def answer(self) -> int:
        """Answer what was found, as one batch; how large its entries are, bytes."""
        draft = Draft(0, self.seq, self._hash, self._watermark)
        with self.clock.of(WRITING):
            draft_answers(self.engine, self._records, 0, len(self._records), 1, draft, sys.maxsize, math.inf)
        with self.clock.of(HASHING):
            draft.hash  # noqa: B018  # whoever asks before the rows are taken fills them in himself
            rows = draft.taken().linked()
        with self.clock.of(LAYING_OUT):
            _laid_out([rows])
        self.seq, self._hash, self._watermark = draft.seq, draft.hash, draft.watermark
        del rows
        self._records.clear()
        return draft.bytes

    def answer_singly(self, fetch: bytes) -> float:
        """Answer a fetch command by command; the longest that one took, seconds of processor time."""
        self.fetched(fetch)
        draft, longest = Draft(0, self.seq, self._hash, self._watermark), 0.0
        for place, end in enumerate(range(1, len(self._records) + 1)):
            began = time.process_time()
            draft_answers(self.engine, self._records, place, end, 1, draft, sys.maxsize, math.inf)
            longest = max(longest, time.process_time() - began)
        self.seq, self._hash, self._watermark = draft.seq, draft.hash, draft.watermark
        self._records.clear()
        return longest

    def checkpoint(self) -> None:
        """Write what has changed since the last one."""
        with self.clock.of(CHECKPOINT):
            portions = list(self._keeper.rows(self.engine))
            self._keeper.head(self.engine, Head(self.seq, self._hash, self._watermark, 0))
        with self.clock.of(LAYING_CHECKPOINT):
            _laid_out(portions)

    def settle(self) -> None:
        """Have the collector look through what is new, and never again."""
        with self.clock.of(COLLECTING):
            gc.collect(0)
            gc.freeze()


def _served(service: Service, fetches: list[bytes], checkpoint_entries: int) -> None:
    """All commands as in service."""
    checkpointed = service.seq
    for number, fetch in enumerate(fetches, 1):
        if service.fetched(fetch) < BATCH_COMMANDS_MAX and number < len(fetches):
            continue
        service.answer()
        if service.seq - checkpointed >= checkpoint_entries:
            checkpointed = service.seq
            service.checkpoint()
        service.settle()


def _laid_out(portions: list[list[bytes]]) -> None:
    batch = PreparedBatch(BATCH_BYTES)
    for rows in portions:
        done = 0
        while (done := batch.extend(rows, done)) < len(rows):
            batch._build()
            batch = PreparedBatch(BATCH_BYTES)
    batch._build()


def _parts_of(rows: Sequence[Any], length: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), length):
        yield rows[start : start + length]
