"""Dead letters hold no contact in key or headers."""

from dataclasses import dataclass

from services.bus.deadletters.letter import REMOVED, dead_letter


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
