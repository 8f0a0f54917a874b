"""What was sent, written down as it is sent: the checker's only source for what was promised.

    sent.jsonl   {"n": 41, "door": …, "as": …, "source": …, "id": …, "type": …, "time": …, "data": {…}}   before the first try
                 {"n": 41, "acked": true}      a 202
                 {"n": 41, "acked": true, "place": [3, 17]}    Kafka's own acknowledgement on a topic: partition, offset
                 {"n": 41, "refused": 409}     a final no
    of poison    {"n": 42, "as": "poison", "topic": …, "partition": …, "kind": …, "digest": …}, then the same

What is neither acked nor refused may have arrived or not. A poison's digest is BLAKE2b-128, in hex, of the compact JSON
`[key, value, [[name, value], …]]` with bytes in base64 and null for none.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tests.soak.load import Event


class Sent:
    """Writes the file, and counts.

    Attributes:
        counts: of what was sent for the first time, by type, once acknowledged; `repeat`, `conflict`, `poison` beside them.
        tried, acked: events so far.
        refusals: numbers and statuses of final refusals of what should have been taken.

    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self.counts: Counter[str] = Counter()
        self.tried = self.acked = 0
        self.refusals: list[str] = []

    def trying(self, event: Event) -> None:
        """An event is about to be sent for the first time."""
        self.tried += 1
        members = event._asdict()
        told = {"n": members.pop("number"), "as": members.pop("sent_as")}
        del members["due_s"], members["sender"]
        self._write({**told, **members})

    def trying_poison(self, event: Event, digest: str) -> None:
        """The same of poison."""
        self.tried += 1
        place = {name: event.data[name] for name in ("topic", "partition")}
        self._write({"n": event.number, "as": "poison", **place, "kind": event.type, "digest": digest})

    def taken(self, event: Event, place: tuple[int, int] | None = None) -> None:
        """An event was acknowledged; on a topic, with its partition and offset."""
        self.acked += 1
        self.counts[event.type if event.sent_as == "first" else event.sent_as] += 1
        self._write({"n": event.number, "acked": True, **({"place": place} if place else {})})

    def refused(self, event: Event, status: int) -> None:
        """An event was refused for good; a conflict should be, nothing else."""
        self._write({"n": event.number, "refused": status})
        if event.sent_as == "conflict" and status == 409:
            self.counts["conflict refused"] += 1
        else:
            self.refusals.append(f"event {event.number} ({event.type}, {event.sent_as}) was refused with {status}")

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def flush(self) -> None:
        """Bring what was written to the file."""
        self._file.flush()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def digest_of(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> str:
    """A record's digest as the file has it."""
    parts = [_text(key), _text(value), [[name, _text(content)] for name, content in headers]]
    return blake2b(json.dumps(parts, separators=(",", ":")).encode(), digest_size=16).hexdigest()


def _text(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()
