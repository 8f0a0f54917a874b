"""Dead letters hold no contact in key or headers."""

from dataclasses import dataclass

import pytest

from services.bus.deadletters.letter import NOTHING, REMOVED, WITHHELD, dead_letter
from services.bus.envelope import CONTACT, command_headers
from services.bus.topics import COMMANDS, SUBMISSIONS

HASH = "~" + "k3j5" * 6 + "ab"
PLEDGE = b'{"fund":"jilin","pledge":"p-1","donor":"%s","amount":100,"currency":"CNY","fallback":"pool"}' % HASH.encode()


@dataclass
class Rec:
    """A record as consumed."""

    key: bytes | None
    headers: list
    value: bytes | None = b"{}"
    topic: str = "t"
    partition: int = 0
    offset: int = 0


def test_a_dead_letters_key_and_headers_lose_what_looks_like_contact_details() -> None:
    headers = [
        ("ce_source", b"mailto:a@b.org"),
        ("x", b"+86 138 1234 5678"),
        ("ce_id", b"e-202611"),
        ("n", None),
        ("ce_time", b"\xff"),
        ("ce_type", b"pumasi.pledge.withdrawn"),
    ]
    key, _, kept = dead_letter(Rec(b"13812345678", headers), "unreadable", "why")
    removed = REMOVED.encode()
    assert key == removed
    assert kept[:4] == [
        ("ce_source", removed), ("ce_id", b"e-202611"), ("ce_time", removed), ("ce_type", b"pumasi.pledge.withdrawn"),
    ]  # fmt: skip
    of_jilin = Rec(b"jilin", [("ce_type", b"pumasi.pledge.withdrawn")], b'{"fund":"jilin"}')
    assert dead_letter(of_jilin, "unreadable", "why")[0] == b"jilin"


def of_contact(value: str, topic: str = COMMANDS) -> dict[str, bytes | None]:
    headers = command_headers("pumasi.pledge.made", "e-1", "/form", "2026-11-30T10:00:00Z", wall=True)
    record = Rec(b"jilin", [*headers, (CONTACT, value.encode())], PLEDGE, topic)
    return dict(dead_letter(record, "unreadable", "why").headers)


@pytest.mark.parametrize("word", ["0123456789abcdef-1", "a13800138000bcde-27"])
def test_a_command_that_came_with_a_contact_keeps_all_and_can_be_put_back(word: str) -> None:
    """Its word is random: one that is written like somebody's number is nobody's."""
    headers = of_contact(f"{HASH}/{word}")
    assert headers[CONTACT] == f"{HASH}/{word}".encode()
    assert headers[WITHHELD] == NOTHING.encode()


@pytest.mark.parametrize(
    ("value", "topic"),
    [
        ("kim/0123456789abcdef-1", COMMANDS),
        (f"{HASH}/kim@example.org", COMMANDS),
        (f"{HASH}/0123456789abcdef-1/kim", COMMANDS),
        (f"{HASH}/0123456789abcdef-1", SUBMISSIONS),
    ],
)
def test_what_no_intake_writes_of_a_contact_is_left_out(value: str, topic: str) -> None:
    headers = of_contact(value, topic)
    assert CONTACT not in headers
    assert b"headers" in (headers[WITHHELD] or b"").split(b",")
