"""Compressed batches are read like others, whatever the codec; what can't be decompressed says why, and takes no memory to speak of."""

from __future__ import annotations

import os
import resource
import sys

import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from services.bus.client.codecs import INFLATED_BYTES_MAX, TOO_LARGE, plain
from services.bus.client.fetching import AiokafkaRecords, RawRecords
from services.bus.envelope import BadRecord, text_headers

CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
VALUES = [b"x" * 100_000, os.urandom(300), b"", None]
ENCODE = {1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}
HEADERS, ATTRIBUTES, MAGIC = 61, 22, 16
KINDS = sorted({AiokafkaRecords, RawRecords}, key=lambda kind: kind.__name__)


def batch(codec: int, values: list[bytes | None]) -> bytes:
    built = DefaultRecordBatchBuilder(
        2, codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1 << 30
    )
    for place, value in enumerate(values):
        built.append(place, timestamp=5, key=b"k", value=value, headers=[("h", b"1")])
    return bytes(built.build())


def sealed(found: bytes) -> bytes:
    """With the checksum that its bytes have now."""
    return found[:17] + calc_crc32c(found[21:]).to_bytes(4, "big") + found[21:]


def with_codec(number: int) -> bytes:
    """A batch that says it is compressed by codec `number`."""
    found = bytearray(batch(0, VALUES))
    found[ATTRIBUTES] |= number
    return sealed(bytes(found))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codec", CODECS, ids=CODECS.get)
def test_every_codec_is_read(codec: int, kind: type) -> None:
    records = kind(batch(codec, VALUES) * 2)
    for _ in range(2):
        found = records.next_batch()
        assert found.validate_crc()
        assert [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in found] == [
            (place, 5, b"k", value, (("h", b"1"),)) for place, value in enumerate(VALUES)
        ]
    assert not records.has_next()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codec", CODECS, ids=CODECS.get)
def test_a_header_whose_name_is_not_utf8_makes_its_value_null_and_stops_nobody(codec: int, kind: type) -> None:
    made = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1 << 20
    )
    for place in range(3):
        made.append(place, timestamp=5 + place, key=b"k", value=b"v", headers=[("abc" if place == 1 else "def", b"1")])
    bare = bytes(made.build()).replace(b"abc", b"a\xffc")
    body = bare[HEADERS:] if not codec else ENCODE[codec](bare[HEADERS:])
    length = (len(body) + HEADERS - 12).to_bytes(4, "big")
    found = bytearray(bare[:8] + length + bare[12:HEADERS] + body)
    found[ATTRIBUTES] |= codec
    batch = kind(sealed(bytes(found))).next_batch()
    assert batch.validate_crc()
    assert [(r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in batch] == [
        (0, 5, b"k", b"v", [("def", b"1")]), (1, 6, b"k", b"v", [("a\ufffdc", None)]), (2, 7, b"k", b"v", [("def", b"1")]),
    ]  # fmt: skip


def test_snappy_without_javas_frame_is_read() -> None:
    framed = batch(2, VALUES)
    bare = sealed(framed[:HEADERS] + bytes(snappy_encode(plain(framed)[HEADERS:], xerial_compatible=False)))
    assert plain(bare)[HEADERS:] == plain(framed)[HEADERS:]


DAMAGED = {
    "unknown codec 5": with_codec(5),
    "unknown codec 7": with_codec(7),
    "unknown format 3": batch(4, VALUES)[:MAGIC] + b"\3" + batch(4, VALUES)[MAGIC + 1 :],
    "its checksum is wrong": batch(4, VALUES)[:-1] + b"!",
    "a batch ends early": batch(4, VALUES)[:40],
    **{f"its {CODECS[codec]} is damaged": with_codec(codec) for codec in (1, 2, 3, 4)},
}


@pytest.mark.parametrize("why", DAMAGED)
def test_what_can_not_be_decompressed_says_why(why: str) -> None:
    with pytest.raises((CorruptRecordException, UnsupportedCodecError)) as raised:
        plain(DAMAGED[why])
    assert raised.value.args == (why,)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_a_few_bytes_that_stand_for_gigabytes_take_no_more_memory_than_is_allowed() -> None:
    import cramjam

    mebibyte = bytes(cramjam.zstd.compress(bytes(1 << 20)))
    bomb = sealed(batch(4, [b""])[:HEADERS] + mebibyte * 4096)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert TOO_LARGE.encode() in plain(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * INFLATED_BYTES_MAX >> 10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codec", [1, 2, 3, 4], ids=CODECS.get)
def test_of_a_batch_that_grows_too_large_each_record_is_there_and_unreadable(codec: int, kind: type) -> None:
    values = [bytes(INFLATED_BYTES_MAX // 2)] * 3
    found = kind(batch(codec, values)).next_batch()
    assert found.validate_crc()
    records = list(found)
    assert [(r.offset, r.key, r.value, list(r.headers)) for r in records] == [
        (number, None, None, [(TOO_LARGE, None)]) for number in range(3)
    ]
    with pytest.raises(BadRecord, match="too large"):
        text_headers(records[0].headers)
