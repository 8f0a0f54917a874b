"""Dead letters: a record that could not be read, as it came, and why; contact details removed.

The headers are Kafka Streams' (KIP-1034), so that tools made for those read ours. A value that holds no contact details is kept byte
by byte. Else, in JSON, the members and texts that look like contact details go; where the value isn't even JSON, all of it goes
and its length and hash stay. The original lies at the topic, partition and offset named in the headers for as long as it is kept.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any

from services.bus.envelope import Record

PREFIX = "__streams.errors."
REMOVED = "[removed]"

_NEVER_CONTACTS = {"ce_id", "ce_time", "ce_type", "ce_specversion", "content-type"}
_MEMBERS = re.compile(
    r"^(.*contact|address|name|.*_name|phone|tel|mobile|e?mail|handle|wechat|weixin|kakao(talk)?|telegram|whatsapp|line|"
    r"passport|id_?card|id_?number|birthday|birth_?date|comment|note|message|text)$",
    re.IGNORECASE,
)
_TEXTS = re.compile(
    r"[\w.+-]@[\w-]|\b(mailtos?|tel|sms|tgram|whatsapp|wechat|kakao|signal):|(?<![\w.-])\+?\d[\d ()-]{7,20}\d(?![\w.-])",
    re.IGNORECASE,
)  # no repetition without a bound: a hostile record of megabytes must not cost more than its length


def dead_letter(
    record: Record, code: str, why: str
) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
    """A dead letter's key, value and headers.

    Args:
        record: the record that could not be read.
        code: a stable code, such as `unreadable`.
        why: what is wrong, without the record's content.
    """
    error = {
        "exception": code,
        "message": why,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
    }
    headers = [
        (name, value if name in _NEVER_CONTACTS else _plain(value))
        for name, value in record.headers
        if not name.startswith(PREFIX)
    ]
    headers += [(PREFIX + name, text.encode()) for name, text in error.items()]
    return _plain(record.key), without_contacts(record.value), headers


def looks_like_contact(text: str) -> bool:
    """True if a text holds what looks like a mail address, a phone number or a chat handle's URL."""
    return bool(_TEXTS.search(text))


def without_contacts(value: bytes | None) -> bytes | None:
    """The value with contact details removed; the very same bytes if it holds none."""
    if value is None:
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return _withheld(value) if _suspicious(value) else value
    try:
        clean = _clean(parsed)
    except RecursionError:
        return _withheld(value)
    return value if clean == parsed else json.dumps(clean, separators=(",", ":")).encode()


def _plain(text: bytes | None) -> bytes | None:
    """A key or a header's value; `[removed]` if it looks like contact details."""
    return REMOVED.encode() if text and looks_like_contact(text.decode("utf-8", "replace")) else text


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            (REMOVED if _TEXTS.search(key) else key): REMOVED if _MEMBERS.match(key) else _clean(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, str) and _TEXTS.search(value):
        return REMOVED
    return value


def _suspicious(value: bytes) -> bool:
    text = value.decode("utf-8", "replace")
    return bool(_TEXTS.search(text) or re.search(r"contact|address|phone|passport", text, re.IGNORECASE))


def _withheld(value: bytes) -> bytes:
    digest = blake2b(value, digest_size=32).hexdigest()
    return json.dumps({"withheld": "may hold contact details", "bytes": len(value), "blake2b-256": digest}).encode()
