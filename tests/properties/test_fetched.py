"""Records as they are given out, against aiokafka's own fetch: the same records and positions, whatever lies in it, however it is
asked; and what can't be read holds up nothing that comes before it."""

from __future__ import annotations

import importlib.util
import random
import struct
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from services.bus.client import fetching
from services.bus.client.fetching import AiokafkaRecords, RawRecords

PLACE = TopicPartition("pumasi.commands.v1", 0)
_CRC, _ATTRIBUTES, _LAST_DELTA, _CONTROL = 17, 21, 23, 0x20


def untouched() -> ModuleType:
    """aiokafka's module as it is, beside the one in which `fetching` says how records are given out."""
    spec = importlib.util.spec_from_file_location("untouched_fetcher", fetcher.__file__)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def sealed(batch: bytearray) -> bytearray:
    struct.pack_into(">I", batch, _CRC, calc_crc32c(bytes(batch[_ATTRIBUTES:])))
    return batch


def builder(transactional: bool, producer: int, compression: int = 0) -> DefaultRecordBatchBuilder:
    return DefaultRecordBatchBuilder(
        2, compression, is_transactional=int(transactional), producer_id=producer, producer_epoch=0, base_sequence=0,
        batch_size=1 << 20,
    )  # fmt: skip


def a_fetch(draw: random.Random) -> tuple[bytes, bytes, list[tuple[int, int]], int]:
    """Batches of several producers, in transactions or not, by any codec, compacted, damaged, cut short; as much of them as comes
    before the first that is damaged; aborted transactions; where it ends."""
    fetch, sound, offset, aborted, open_ones = b"", None, draw.choice([0, 5]), [], {}
    for _ in range(draw.randint(1, 7)):
        if draw.random() < 0.2:
            producer, records = draw.choice([7, 8]), 1
            abort = open_ones.pop(producer, False)
            made = builder(True, producer)
            made.append(0, timestamp=1, key=struct.pack(">hh", 0, 0 if abort else 1), value=bytes(6), headers=[])
            batch = bytearray(made.build())
            struct.pack_into(">h", batch, _ATTRIBUTES, struct.unpack_from(">h", batch, _ATTRIBUTES)[0] | _CONTROL)
        else:
            producer, records = draw.choice([-1, 7, 8]), draw.randint(1, 6)
            transactional = producer != -1 and draw.random() < 0.8
            if transactional and producer not in open_ones:
                open_ones[producer] = draw.random() < 0.5
                aborted += [(producer, offset)] if open_ones[producer] else []
            made = builder(transactional, producer, draw.choice([0, 0, 0, 1, 2, 3, 4]))
            for place in [place for place in range(records) if draw.random() < 0.8] or [0]:
                made.append(place, timestamp=1, key=b"k", value=b"%d" % (offset + place), headers=[("h", b"x")])
            batch = bytearray(made.build())
            struct.pack_into(">i", batch, _LAST_DELTA, records - 1)  # compaction leaves it
        sealed(batch)
        if draw.random() < 0.04:
            batch[-1] ^= 1
            sound = fetch if sound is None else sound
        fetch += offset.to_bytes(8, "big") + bytes(batch)[8:]
        offset += records + draw.choice([0, 0, 2])
    draw.shuffle(aborted)
    fetch = fetch[: -draw.randint(1, 20)] if draw.random() < 0.2 else fetch
    return fetch, fetch if sound is None else sound, aborted, offset


def played(result: Any, kind: Any, records: Any, aborted: list, start: int, isolation: int, asked: list) -> list[tuple]:
    """What a fetch says to one question after the other."""
    state = SimpleNamespace(paused=False, position=start)
    state.consumed_to = lambda offset: setattr(state, "position", offset)
    assignment = SimpleNamespace(active=True, state_value=lambda _place: state)
    given = kind(PLACE, records, list(aborted), start, None, None, True, isolation)
    fetch = result(PLACE, assignment=assignment, partition_records=given, backoff=0)
    said: list[tuple] = []
    for question in asked:
        if not fetch.has_more():
            break
        found: list[Any] = []
        if question == "one":
            found = [one for one in [fetch.getone()] if one is not None]
        elif isinstance(question, tuple):  # a seek
            [state.position] = question
        else:
            found = fetch.getall(question)
        told = [(one.offset, one.key, one.value, tuple(one.headers), one.timestamp) for one in found]
        said.append((told, state.position, fetch.has_more()))
    return said


@pytest.mark.parametrize("records", [AiokafkaRecords, RawRecords], ids=lambda kind: kind.__name__)
def test_a_fetch_is_given_out_as_aiokafka_gives_it_out_up_to_what_can_not_be_read(records: Any) -> None:
    theirs, given, damaged = untouched(), 0, 0
    for seed in range(2500):
        draw = random.Random(seed)  # a test's
        fetch, sound, aborted, end = a_fetch(draw)
        start, isolation = draw.randint(0, max(1, end)), draw.choice([0, 1])
        asked = [draw.choice(["one", None, 1, 2, 3, 5, draw.choice([4, (draw.randint(0, end),)])]) for _ in range(12)]
        noted: list[str] = []

        def note(_offset: int, error: Exception, noted: list[str] = noted) -> float:
            noted.append(str(error))
            return 0.0

        kind = partial(fetching.Records, note)
        ours = played(fetching.Result, kind, records(fetch), aborted, start, isolation, asked)
        assert ours == played(
            theirs.FetchResult, theirs.PartitionRecords, MemoryRecords(sound), aborted, start, isolation, asked
        ), seed
        assert len(noted) <= (sound != fetch or not MemoryRecords(fetch).has_next()), (seed, noted)
        given += sum(len(told) for told, *_ in ours)
        damaged += len(noted)
    assert given > 10_000
    assert damaged > 50
