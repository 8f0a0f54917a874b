"""Records found raw in a fetch (`bus/client/raw_records`) are those that aiokafka finds; damaged bytes never lead astray."""

from __future__ import annotations

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c, decode_varint_py
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services import native
from tests.properties.tries import TRIES

HEADER = 61  # bytes of a batch before its records

pytestmark = pytest.mark.skipif(not native.in_use(), reason="nothing is compiled here: aiokafka finds the records")

parts = st.one_of(st.none(), st.binary(max_size=70), st.sampled_from([63, 64, 8191, 8192]).map(lambda n: b"x" * n))
rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-5, 2**40), parts, parts, st.lists(st.tuples(st.text(max_size=5), parts), max_size=3)),
    min_size=1,
    max_size=6,
)  # fmt: skip
kinds = (st.booleans(), st.sampled_from([-1, 7]))
batches = st.lists(st.tuples(rows, st.sampled_from([0, 1]), *kinds), min_size=1, max_size=3)
plain_batches = st.lists(st.tuples(rows, st.just(0), *kinds), min_size=1, max_size=2)


def fetch(made: list) -> bytes:
    """Batches (records, compression, transactional, producer) as they lie in a fetch."""
    found, offset = b"", 5
    for records, compression, transactional, producer in made:
        built = DefaultRecordBatchBuilder(
            2, compression, is_transactional=transactional, producer_id=producer, producer_epoch=1, base_sequence=0,
            batch_size=1 << 20,
        )  # fmt: skip
        place = 0
        for gap, timestamp, key, value, headers in records:
            built.append(place, timestamp=max(0, timestamp), key=key, value=value, headers=headers)
            place += 1 + gap
        batch = bytes(built.build())
        found += offset.to_bytes(8, "big") + batch[8:]
        offset += place
    return found


def read(fetched) -> list:
    """Batches and their records."""
    found = []
    while fetched.has_next():
        batch = fetched.next_batch()
        found.append(
            (
                batch.validate_crc(),
                batch.base_offset,
                batch.next_offset,
                batch.is_transactional,
                batch.producer_id,
                batch.is_control_batch,
            )
        )
        found += [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in batch]
    return found


def raw(buffer: bytes):
    from services.bus.client.raw_records import RawRecords

    fetched = RawRecords(buffer)
    fetched.lie_in("t", 0)
    return fetched


@given(batches, st.integers(0, 30))
def test_what_is_found_is_what_aiokafka_finds_also_in_a_fetch_that_is_cut_short(made, cut: int) -> None:
    buffer = fetch(made)
    buffer = buffer[: len(buffer) - cut]
    assert read(raw(buffer)) == read(MemoryRecords(buffer))


def sealed(buffer: bytearray) -> bytes:
    """A fetch of one batch whose checksum is right, whatever it holds."""
    buffer[17:21] = calc_crc32c(bytes(buffer[21:])).to_bytes(4, "big")
    return bytes(buffer)


def attributes(batch: bytes) -> list[int]:
    """The byte of attributes of each record, as far as they can be found."""
    place, found = HEADER, []
    for _ in range(int.from_bytes(batch[57:61], "big")):
        try:
            length, place = decode_varint_py(batch, place)
            found.append(batch[place])
        except (IndexError, ValueError):
            break
        if length < 1:
            break
        place += length
    return found


@settings(max_examples=TRIES * 4)
@given(rows, st.integers(0, 10_000), st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF, 0xFE, 77]), st.integers(0, 2))
def test_what_aiokafka_refuses_is_refused_and_what_it_reads_is_read_the_same(
    made, place: int, byte: int, more: int
) -> None:
    buffer = bytearray(fetch([(made, 0, False, -1)]))
    place = 57 + place % (len(buffer) - 57)  # the count of records, or behind it
    buffer[place : place + 1 + more] = bytes([byte]) * min(1 + more, len(buffer) - place)
    damaged = sealed(buffer)
    assume(max(attributes(damaged), default=0) < 0x80)  # a byte to Kafka, but a varint to aiokafka
    try:
        ours = read(raw(damaged))
    except CorruptRecordException:
        ours = None
    try:
        assert read(MemoryRecords(damaged)) == ours
    except UnicodeDecodeError:  # aiokafka goes no further where a name is not UTF-8
        assert ours is None or any(
            ("\ufffd" in name, value) == (True, None) for one in ours if len(one) == 5 for name, value in one[4]
        )
    except CorruptRecordException:
        assert ours is None


@given(plain_batches, st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_fetch_is_told_by_its_checksum_and_read_without_harm(made, place: int, damage: int) -> None:
    buffer = bytearray(fetch(made))
    buffer[place % len(buffer)] ^= damage
    fetched = raw(bytes(buffer))
    while fetched.has_next():
        try:
            batch = fetched.next_batch()
        except Exception:  # another format now, which aiokafka could make nothing of
            break
        if batch is None or type(batch).__name__ != "RawBatch":
            break
        try:
            records = [(r.key, r.value, r.headers) for r in batch]
        except CorruptRecordException:
            assert not batch.validate_crc()
        else:
            assert len(records) <= len(buffer)


def test_control_records_are_left_to_aiokafka_and_the_brokers_time_counts_where_it_is_meant_to() -> None:
    buffer = bytearray(fetch([([(0, 1, b"\0\0\0\1", b"\0" * 6, [])], 0, True, 7)]))
    buffer[22] |= 0x20
    batch = raw(sealed(buffer)).next_batch()
    assert batch.is_control_batch and type(batch).__name__ != "RawBatch"
    stamped = bytearray(fetch([([(0, 5, None, b"a", []), (0, 9, None, b"b", [])], 0, False, -1)]))
    stamped[22] |= 0x08
    stamped[35:43] = (4711).to_bytes(8, "big")
    assert [record.timestamp for record in raw(sealed(stamped)).next_batch()] == [4711, 4711]


def test_a_header_whose_name_is_not_utf8_makes_its_value_null_so_that_the_record_is_unreadable() -> None:
    buffer = fetch([([(0, 0, b"k", b"v", [("abc", b"1"), ("d", b"2")])], 0, False, -1)]).replace(b"abc", b"a\xffc")
    [record] = raw(buffer).next_batch()
    assert record.headers == (("a\ufffdc", None), ("d", b"2"))
