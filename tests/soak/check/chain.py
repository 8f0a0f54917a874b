"""The chain: entries of one partition, by number, hash, headers and bytes (contract, 6)."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from tests.soak.check.findings import Findings
from tests.soak.check.records import Raw

ENTRY_BYTES_MAX = 512 * 1024
_MARK = b',"hash":"'


class Chain:
    """One partition's entries, link by link.

    Attributes:
        seq: the number of the last entry.
        hashes: number → hash, for those who name an entry.

    """

    def __init__(self, partition: int, findings: Findings) -> None:
        self.partition, self._findings = partition, findings
        self.seq = 0
        self.hashes: dict[int, str] = {}
        self._last = bytes(32)

    def take(self, record: Raw) -> dict[str, Any] | None:
        """The next entry, decoded; None if it can't be read."""
        where = f"ledger {self.partition}, offset {record.offset}"
        value = record.value or b""
        try:
            entry = json.loads(value)
            seq, told = entry["seq"], entry["hash"]
            _ = entry["facts"], entry["cause"]["offset"], entry["cause"]["id"], entry["at"], entry["fund"]
        except (ValueError, KeyError, TypeError):
            self._findings.add("unreadable_entry", where, "it is not an entry")
            return None
        where = f"ledger {self.partition}, entry {seq}"
        if seq != self.seq + 1:
            self._findings.add("entry_gap", where, f"entry {self.seq + 1} had to come")
        cut = value.rfind(_MARK)
        digest = blake2b(self._last + value[:cut] + b"}", digest_size=32)
        if cut < 0 or told != digest.hexdigest():
            self._findings.add("broken_chain", where, "its hash does not follow from the entry before and its bytes")
        self._check_form(record, entry, where)
        self.seq, self.hashes[seq] = seq, told
        self._last = _bytes_of(told)  # so that one broken link is one finding
        return entry

    def _check_form(self, record: Raw, entry: dict[str, Any], where: str) -> None:
        value = record.value or b""
        if json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode() != value or list(entry)[-1] != "hash":
            self._findings.add("entry_not_compact", where, "not compact JSON with the hash as its last member")
        if len(value) > ENTRY_BYTES_MAX:
            self._findings.add("entry_too_large", where, f"{len(value)} bytes")
        wanted = {
            "ce_specversion": b"1.0",
            "ce_id": f"{self.partition}-{entry['seq']}".encode(),
            "ce_type": b"pumasi.ledger.entry",
            "ce_time": entry["at"].encode(),
            "content-type": b"application/json",
        }
        found = dict(record.headers)
        key = entry["fund"].encode() if entry["fund"] else None
        if any(found.get(name) != content for name, content in wanted.items()) or record.key != key:
            self._findings.add("wrong_headers", where, "its headers or its key are not the contract's")


def _bytes_of(told: object) -> bytes:
    try:
        return bytes.fromhex(str(told))
    except ValueError:
        return bytes(32)
