"""Somebody's number, however it is written; and what only looks like one."""

import re
import time
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.numbers import holds_number

HELD = [
    "13800138000", "wx-13800138000", "wx13800138000", "tel-138-0013-8000", "1-138.0013.8000", "138_0013~8000", "+86 138 0013 8000",
    "8613800138000", "86-138-0013-8000", "008613800138000", "00 86 138 0013 8000", "+8613800138000", "(+86) 138/0013/8000",
    "010-1234-5678", "01012345678", "0111234567", "82-10-1234-5678", "82 010 1234 5678", "+82 10 1234 5678", "+1 650 253 0000",
    "+12345678", "+123456789012345", "0012345678", "１３８００１３８０００", "＋８６１３８００１３８０００",
    "①③⑧⓪⓪①③⑧⓪⓪⓪", "٠١٠١٢٣٤٥٦٧٨",
    "1\u200b380\u20600138000", "138+0013+8000", "+ - + 1 650 253 0000", "/forms/13800138000", "c-2026-13800138000",
    "전화010.1234.5678님", "0138-0013-8000", "013800138000", "1795113800138000", "2026-11-30-13800138000", "20261130 010 1234 5678",
    "1\ufe0f\u20e33\ufe0f\u20e38\ufe0f\u20e30\ufe0f\u20e30\ufe0f\u20e31\ufe0f\u20e33\ufe0f\u20e38\ufe0f\u20e30\ufe0f\u20e30\ufe0f\u20e30\ufe0f\u20e3",
]  # fmt: skip
NONE_HELD = [
    "", "c-1", "p-1732960800123", "c-20261130-101500", "2026-11-30", "2026-11-22T10:00:00Z", "1732960800", "12800138000",
    "138001380001", "1380013800", "0000013800138", "00000012345678", "0121234567", "010123456", "+1234567", "+1234567890123456",
    "550e8400-e29b-41d4-a716-446655440000", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "~abcdefghijklmnopqrstuvwxy7",
    "1764500000-1", "case-2026-01-15-103000", "case-2026-01-15-10-30-00", "2026-01-15-000123", "2026-11-13_134500-123",
    "case-13800138-0013-4800-8000-a13800138000",
    "138a0013b8000", "wx138oo138ooo", "partition:1/offset:24", "tick-1795341600000000", "e-7n13800",
]  # fmt: skip


@pytest.mark.parametrize("text", HELD)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert holds_number(text)


@pytest.mark.parametrize("text", NONE_HELD)
def test_a_date_a_counter_or_a_hash_is_no_number(text: str) -> None:
    assert not holds_number(text)


NUMBERS = st.one_of(
    st.from_regex(r"(86)?1[3-9][0-9]{9}", fullmatch=True),
    st.from_regex(r"(82)?01[016789][0-9]{7,8}", fullmatch=True),
    st.from_regex(r"821[016789][0-9]{7,8}", fullmatch=True),
    st.from_regex(r"(\+|00)[1-9][0-9]{7,14}", fullmatch=True),
)
SEPARATORS = st.text(
    st.characters(exclude_categories=["L", "N", "Cs"], exclude_characters="+").filter(
        lambda c: not any(part.isalnum() for part in unicodedata.normalize("NFKC", c))
    ),
    max_size=3,
)
AROUND = st.sampled_from(["", "wx", "tel-x", "전화", "~a."])


@given(NUMBERS, st.data(), AROUND, st.booleans())
def test_no_separator_hides_a_number_wherever_it_stands(
    number: str, data: st.DataObject, around: str, wide: bool
) -> None:
    written = "".join(character + data.draw(SEPARATORS) for character in number)
    groups = [len(group) for group in re.findall("[0-9]+", written)]
    assume(
        number.startswith(("+", "00")) or len(groups) == 1 or max(groups) <= 8
    )  # nobody writes a long group and a rest
    if wide:
        written = written.translate({ord(c): ord(c) + 0xFEE0 for c in "+0123456789"})
    assert holds_number(f"{around}{written}{around}")


@given(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"), min_size=26, max_size=26))
def test_a_hash_in_base32_holds_none(word: str) -> None:
    assert not holds_number(f"~{word}")
    assert not holds_number(f"c-{word}")


@pytest.mark.parametrize("part", ["1-", "+", "+ ", "1", "1a", "+-1a", "(", "13800", "1 2 3 4 5 6 7 "])
def test_the_time_it_takes_grows_with_the_length_and_no_faster(part: str) -> None:
    def seconds(length: int) -> float:
        text, took = part * (length // len(part)), []
        for _ in range(3):
            began = time.process_time()
            holds_number(text)
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(160_000) < 16 * 3 * max(seconds(10_000), 0.001)
