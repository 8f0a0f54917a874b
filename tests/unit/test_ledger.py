"""The ledger's bytes: the chain of hashes against BLAKE2b by hand, and the cutting of long answers."""

import json
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ledger import ENTRY_BYTES_MAX, GENESIS, Entry, check_link, encode, entries, link

AT = "2026-11-22T10:00:00Z"
CAUSE = {"id": "e-1", "type": "pumasi.pledge.made", "offset": 41}
LONGEST_THANKS = {"fact": "case_thanked", "case": "c" * 64, "thanks": "~" + "x" * 26}


def made(facts: list[dict[str, Any]], seq: int = 1, previous: bytes = GENESIS, cause: dict[str, Any] = CAUSE):
    return list(entries(seq, previous, "jilin", AT, cause, facts))


def awards(count: int, padding: int = 60) -> list[dict[str, Any]]:
    why = {"class": "stat", "key": 5000, "before": 0, "after": 5000, "claim": 1_000_000}
    name = "p" * padding
    return [
        {"fact": "awarded", "award": f"{name}/{n}", "pledge": name, "case": f"c-{n}", "amount": 5000, "why": why}
        for n in range(1, count + 1)
    ]


def test_the_hash_is_what_the_contract_says() -> None:
    ((seq, value, digest),) = made([{"fact": "duplicate"}], seq=7, previous=b"\x01" * 32)
    told = json.loads(value)
    assert list(told) == ["seq", "fund", "at", "cause", "facts", "hash"]
    cut = value.replace(b',"hash":"' + told["hash"].encode() + b'"', b"")
    assert told["hash"] == blake2b(b"\x01" * 32 + cut, digest_size=32).hexdigest() == digest.hex()
    assert (seq, told["seq"]) == (7, 7)
    assert value == json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()  # compact
    assert check_link(b"\x01" * 32, value) == digest


@given(st.binary(min_size=32, max_size=32), st.dictionaries(st.text(), st.integers() | st.text()), st.data())
def test_no_byte_can_change_unseen(previous: bytes, body: dict[str, Any], data: st.DataObject) -> None:
    value, digest = link(previous, encode({"seq": 1, **body}))
    assert check_link(previous, value) == digest
    at = data.draw(st.integers(0, len(value) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(value)
    changed[at] ^= 1 << bit
    assert check_link(previous, bytes(changed)) is None
    other = bytearray(previous)
    other[at % 32] ^= 1 << bit
    assert check_link(bytes(other), value) is None


@pytest.mark.parametrize("value", [b"", b"{}", b"null", b'{"hash":"' + b"0" * 64 + b'"}', b"\xff" * 200])
def test_what_is_no_entry_has_no_link(value: bytes) -> None:
    assert check_link(GENESIS, value) is None


def test_a_dropped_or_swapped_entry_breaks_the_chain() -> None:
    first = made([{"fact": "duplicate"}])[0]
    second = made([], seq=2, previous=first[2])[0]
    third = made([], seq=3, previous=second[2])[0]
    assert check_link(first[2], second[1]) == second[2]
    assert check_link(first[2], third[1]) is None
    assert check_link(GENESIS, second[1]) is None


def holds(facts: list[dict[str, Any]], cause: dict[str, Any] = CAUSE) -> int:
    """Hold all that is said of an answer's parts; how many there are."""
    parts, previous, back = made(facts, seq=5, previous=b"\x07" * 32, cause=cause), b"\x07" * 32, []
    for number, (seq, value, digest) in enumerate(parts):
        told = json.loads(value)
        assert len(value) <= ENTRY_BYTES_MAX
        assert seq == told["seq"] == 5 + number
        assert told.get("more") is (None if number == len(parts) - 1 else True)
        assert told["cause"] == cause
        assert check_link(previous, value) == digest
        previous = digest
        back += told["facts"]
    assert back == facts
    return len(parts)


def test_a_long_answer_goes_on_in_further_entries() -> None:
    assert holds([]) == 1
    assert holds(awards(255)) == 1
    assert holds(awards(20_000)) > 10
    assert Entry.read(made(awards(20_000))[0][1]).more


def test_the_longest_facts_fit() -> None:
    cause = {"id": "\x01" * 256, "type": "pumasi.payment.received", "offset": 2**63 - 1}  # each takes six bytes in JSON
    rejected = {"fact": "rejected", "code": "goal_below_own_contribution", "detail": "\x01" * 512}
    assert holds([LONGEST_THANKS, rejected, *awards(253, 64)], cause) == 1
    assert holds([LONGEST_THANKS, rejected, *awards(5_000, 64)], cause) > 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 4_000), st.integers(1, 64), st.integers(0, 3))
def test_every_cut_keeps_all_facts_in_order(count: int, padding: int, thanks: int) -> None:
    holds([LONGEST_THANKS] * thanks + awards(count, padding))


def test_a_cut_lies_where_the_next_fact_would_not_fit() -> None:
    """No part is needlessly short: with its neighbour's first fact it would pass the limit (the envelope's bound is 1 KiB)."""
    parts = [json.loads(value) for _, value, _ in made(awards(9_000))]
    for part, following in pairwise(parts):
        grown = len(encode(part)) + 1 + len(encode(following["facts"][0]))
        assert grown > ENTRY_BYTES_MAX - 1024
