"""What was sent, read back from `sent.jsonl` (its lines are described in `tests.soak.sent`, which is not imported here)."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

SENDER = "soak"
PSEUDONYM_KEY = b"soak" * 8
"""The key that a soak's intakes are given: no secret, so that it can be told which ids they make."""
ID_KEY = b"ids " * 8
_OWN_ID = {
    "pumasi.case.submitted": ("case", "c-"), "pumasi.pledge.made": ("pledge", "p-"), "pumasi.case.delivered": ("delivery", "d-"),
    "pumasi.payment.received": ("payment", "~"), "pumasi.payment.failed": ("payment", "~"),
    "pumasi.payment.refunded": ("payment", "~"),
}  # fmt: skip
_DEFAULTS = {
    "pumasi.fund.configured": {"rule": "urgency-waterfill/1", "share": 10000, "weights": "equal", "ageing_days": 7,
                               "deadline_hours": 72, "vouchers_required": 1, "forget_after_days": 0},
    "pumasi.case.submitted": {"own_contribution": 0},
    "pumasi.case.closed": {"outcome": "completed"},
    "pumasi.pledge.made": {"fallback": "pool"},
}  # fmt: skip
_PERSON = {"pumasi.case.submitted": "beneficiary", "pumasi.pledge.made": "donor", "pumasi.case.vouched": "voucher"}
_TIMES = ("needed_by", "expires_at")
Name = tuple[str, str]
"""What makes an event one and the same: source and id."""


@dataclass
class Submission:
    """One event under one id with one content, however often it was sent.

    Attributes:
        type: the CloudEvent's.
        data: as its command must have it, canonical; None stands where intake makes up a pseudonym.
        acked_by_http: somebody got a 202 for it.
        places: where Kafka took it on the submissions topic, partition and offset.

    """

    type: str
    data: dict[str, Any]
    acked_by_http: bool = False
    places: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class SentFile:
    """All that was sent.

    Attributes:
        submissions: by source and id: one, and a second where the id came again with other data.
        poison: `(topic, partition, digest)` → how often it was sent, and how often that was acknowledged.
        poison_places: where Kafka took poison on the submissions topic, partition and offset.

    """

    submissions: dict[Name, list[Submission]] = field(default_factory=dict)
    poison: dict[tuple[str, int, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    poison_places: list[tuple[int, int]] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)


def read_sent(lines: Iterable[str]) -> SentFile:
    """Read the file's lines."""
    sent = SentFile()
    waiting: dict[int, tuple[Submission | tuple[str, int, str], str]] = {}
    for line in lines:
        told = json.loads(line)
        if told.get("acked"):
            found, door = waiting.pop(told["n"])
            if not isinstance(found, Submission):
                sent.poison[found][1] += 1
                if found[0] == "submissions":
                    sent.poison_places.append(tuple(told["place"]))
            elif door == "http":
                found.acked_by_http = True
            else:
                found.places.append(tuple(told["place"]))
        elif "refused" in told:
            sent.refused[told["refused"]] += 1
        elif told["as"] == "poison":
            place = told["topic"], told["partition"], told["digest"]
            waiting[told["n"]] = place, ""
            sent.poison[place][0] += 1
        else:
            waiting[told["n"]] = _submission(sent, told), told["door"]
    return sent


def _submission(sent: SentFile, told: dict[str, Any]) -> Submission:
    name = told["source"], told["id"]
    data = expected_data(told["type"], told["data"], *name)
    known = sent.submissions.setdefault(name, [])
    found = next((one for one in known if one.type == told["type"] and one.data == data), None)
    if found is None:
        found = Submission(told["type"], data)
        known.append(found)
    return found


def expected_data(kind: str, data: dict[str, Any], source: str, event: str) -> dict[str, Any]:
    """The command's data that a submission must become: defaults and derived ids filled in, pseudonyms, marks and boxes left open."""
    made = {**_DEFAULTS.get(kind, {}), **data}
    if kind in _OWN_ID:
        field_name, prefix = _OWN_ID[kind]
        made.setdefault(field_name, derived_id(prefix, source, event))
    if "payment" in made:
        made["payment"] = hashed_reference(made["fund"], made["payment"])
    if "contact" in made:
        del made["contact"]
        made[_PERSON[kind]] = None
        if kind != "pumasi.pledge.made":
            made["mark"] = None
    if made.pop("access", None) is not None:
        made["access_box"] = None
    return canonical(made)


def canonical(data: dict[str, Any]) -> dict[str, Any]:
    """With times in one way of writing them."""
    return {name: instant(value) if name in _TIMES and value is not None else value for name, value in data.items()}


def instant(text: str) -> str:
    """An RFC 3339 time in UTC without needless digits: `2031-01-01T00:00:00.500Z` is `2031-01-01T00:00:00.5Z`."""
    whole, point, fraction = text.removesuffix("Z").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}{point if fraction else ''}{fraction}Z"


def same(expected: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether a command's data are what a submission had to become."""
    return expected.keys() == found.keys() and all(
        value == found[name] or (value is None and isinstance(found[name], str)) for name, value in expected.items()
    )


def derived_id(prefix: str, source: str, event: str) -> str:
    """The id that intake makes where a sender gives none (as its text says)."""
    return prefix + _keyed(b"pumasi-own", SENDER, source, event)


def hashed_reference(fund: str, reference: str) -> str:
    """A payment's reference as it stands on the bus."""
    return reference if reference.startswith("~") else "~" + _keyed(b"pumasi-payment", fund, reference)


def _keyed(kind: bytes, *parts: str) -> str:
    """Base32 of keyed BLAKE2b-128 over the parts with NUL between."""
    digest = blake2b("\0".join(parts).encode(), digest_size=16, key=ID_KEY, person=kind).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()


def digest_of(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> str:
    """A record's digest as the file has it."""

    def text(content: bytes | None) -> str | None:
        return None if content is None else base64.b64encode(content).decode()

    parts = [text(key), text(value), [[name, text(content)] for name, content in headers]]
    return blake2b(json.dumps(parts, separators=(",", ":")).encode(), digest_size=16).hexdigest()
