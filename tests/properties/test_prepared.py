"""A prepared batch (`bus/prepared.py`) has the bytes that aiokafka's own builder gives the same records."""

from __future__ import annotations

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from services.bus.client import record_batch
from services.bus.client.record_batch import PreparedBatch, laid_out, row
from services.bus.envelope import entry_form, entry_headers

NOW_MS = 1_764_300_000_000
parts = st.one_of(
    st.none(), st.binary(max_size=80), st.sampled_from([63, 64, 4095, 4096, 8191, 8192, 70_000]).map(lambda n: b"x" * n)
)
headers = st.lists(st.tuples(st.text(max_size=9), parts), max_size=4)


@given(
    st.lists(st.tuples(parts, parts, headers), min_size=1, max_size=12), st.integers(0, 9), st.integers(0, 2**31 - 1)
)
def test_the_bytes_are_those_of_the_general_builder(rows, epoch: int, sequence: int) -> None:
    theirs = DefaultRecordBatchBuilder(
        2, 0, is_transactional=1, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=1 << 24
    )
    ours = PreparedBatch(1 << 24, NOW_MS)
    for offset, (key, value, more) in enumerate(rows):
        theirs.append(offset, timestamp=NOW_MS, key=key, value=value, headers=more)
        assert ours.append(row(key, value, laid_out(more)))
    theirs.set_producer_state(77, epoch, sequence)
    ours._set_producer_state(77, epoch, sequence)
    assert ours._build() == bytes(theirs.build())
    assert ours.size() >= len(ours._build())


def test_many_records_keep_their_order_and_the_checksum_holds() -> None:
    batch = PreparedBatch(1 << 24, NOW_MS)
    for number in range(10_000):
        assert batch.append(row(None, b"%d" % number))
    read = DefaultRecordBatch(batch._build())
    assert read.validate_crc()
    assert [(record.offset, record.value) for record in read] == [(n, b"%d" % n) for n in range(10_000)]


def test_a_full_batch_takes_no_more_but_its_first_record_may_be_as_large_as_it_likes() -> None:
    batch = PreparedBatch(300, NOW_MS)
    assert batch.append(row(None, b"x" * 1_000))
    assert not batch.append(row(None, b""))
    assert batch.record_count() == 1
    batch.close()
    assert batch.closed()


@given(st.lists(st.binary(max_size=300), max_size=400), st.integers(0, 40_000))
def test_records_are_framed_in_c_as_in_python(rows: list[bytes], bytes_max: int) -> None:
    ours, theirs, done = record_batch.Frames(), record_batch._Frames(), 0
    while True:
        begun, done = done, ours.extend(rows, done, bytes_max)
        assert theirs.extend(rows, begun, bytes_max) == done
        assert (ours.count, ours.size) == (theirs.count, theirs.size)
        header = bytes(range(61))
        assert ours.length == theirs.length
        assert ours.sealed(header) == theirs.sealed(header)
        if done == len(rows):
            break
        ours, theirs = record_batch.Frames(), record_batch._Frames()


@given(st.lists(parts, max_size=30), st.integers(100, 400))
def test_what_does_not_go_into_one_batch_goes_on_in_the_next(values: list, bytes_max: int) -> None:
    rows, found, done = [row(None, value) for value in values], [], 0
    while True:
        batch = PreparedBatch(bytes_max, NOW_MS)
        begun, done = done, batch.extend(rows, done)
        assert done > begun or done == len(rows)
        one_by_one = PreparedBatch(bytes_max, NOW_MS)
        assert all(one_by_one.append(one) for one in rows[begun:done])
        assert done == len(rows) or not one_by_one.append(rows[done])
        if batch.record_count():
            found += [record.value for record in DefaultRecordBatch(batch._build())]
        if done == len(rows):
            break
    assert found == values


@given(
    st.integers(0, 63), st.integers(1, 2**60), st.sampled_from(["2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000001Z"])
)
def test_the_form_of_an_entrys_headers_says_what_they_are(partition: int, seq: int, at: str) -> None:
    filled = entry_form().filled(b"%d-%d" % (partition, seq), at.encode())
    assert filled == laid_out(entry_headers(partition, seq, at))
