"""Marks of checkpoints: whether what lies on the checkpoints topic is whole, and of this ledger; not what it says (see `again`).

The head names an entry by number and hash, and sums up all current records: their number, and the sum modulo 2¹²⁸ of BLAKE2b-128 over
`key=value` of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from tests.soak.check.findings import Findings
from tests.soak.check.records import Raw

HEAD = b"head"


def current(records: Iterable[Raw]) -> dict[bytes, bytes]:
    """The newest value of every key that has one."""
    newest: dict[bytes, bytes] = {}
    for record in records:
        if record.value is None:
            newest.pop(record.key or b"", None)
        else:
            newest[record.key or b""] = record.value
    return newest


def check_marks(
    partition: int, newest: Mapping[bytes, bytes], hashes: Mapping[int, str], findings: Findings
) -> int | None:
    """Check one partition's checkpoint; the number of its entry, None if there is no checkpoint (yet: a first one may be in parts)."""
    if HEAD not in newest:
        return None
    head = json.loads(newest[HEAD])
    marks = [blake2b(key + b"=" + value, digest_size=16).digest() for key, value in newest.items() if key != HEAD]
    state = sum(int.from_bytes(mark, "big") for mark in marks) % (1 << 128)
    if (head["records"], head["state"]) != (len(marks), f"{state:032x}"):
        findings.add("wrong_checkpoint", f"checkpoints {partition}", "its records are not those it sums up")
    if hashes.get(head["seq"]) != head["hash"]:
        findings.add("wrong_checkpoint", f"checkpoints {partition}", f"entry {head['seq']} is not the one it names")
    return head["seq"]
