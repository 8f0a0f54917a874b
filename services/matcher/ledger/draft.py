# cython: boundscheck=False, wraparound=False
"""A draft: answers decided in memory and not on the ledger yet.

It holds what the next entry is linked to. Once its entries are appended, what it says of number, hash and watermark is true of the
ledger; until then it is thrown away with the memory whose decisions it holds.

What an entry is, `schemas.ledger` says, by whose `bodies` the audit makes each anew. Here it is laid out at once as the record that
goes into a batch. Where that is compiled, entries come without their hashes: these are filled in behind (`services.native.chain`), by a
thread, while the next answers are decided. Nobody sees an entry before its hash is there, and whoever asks for `hash` waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.command import Command
from schemas.forms import Fact, as_dict
from schemas.ledger import ENTRY_BYTES_MAX, FACTS_MANY, encode, link, parts
from schemas.times import text_of
from services.bus.client.record_batch import Row
from services.bus.envelope import Record, entry_form
from services.native.buffer import Buffer

try:
    from services.native.chain import Links
except ImportError:  # not compiled
    Links = None

_HASH = b',"hash":"' + b"0" * 64 + b'"}'
"""What closes an entry, its digits to be filled in."""
_MORE = b',"more":true'
_REST_MAX = 2048
"""More bytes than an entry has beside its facts."""


class Portion:
    """Some rows, and the links that may still be filled in within them."""

    __slots__ = ("_links", "_rows")

    def __init__(self, rows: list[Row], links: Links | None) -> None:
        self._rows, self._links = rows, links

    def __len__(self) -> int:
        return len(self._rows)

    def linked(self) -> list[Row]:
        """The rows, once each is linked to the one before it; waits until the last hash is filled in."""
        if self._links is not None:
            self._links.hash()
        return self._rows


class Draft:
    """Entries in the making, of one partition.

    Attributes:
        seq, hash, watermark: of the last answer: its last entry's number and 32 hash bytes, and its command's offset.
        bytes: how large the values of all entries are together, taken or not.
        unreadable: the records that could not be read, each with what is wrong with it.
        verdicts: by the command's type, how many answers came to what.
        traced: where this process traces, those answers that are: when each began (ns since 1970), its command and its `traceparent`.
    """

    __slots__ = (
        "_at", "_body", "_facts", "_fund", "_hash", "_key", "_links", "_name", "_parts", "_prefix", "_row", "_rows", "_time",
        "bytes", "seq", "traced", "unreadable", "verdicts", "watermark",
    )  # fmt: skip

    def __init__(self, partition: int, seq: int, digest: bytes, watermark: int) -> None:
        self.seq, self._hash, self.watermark = seq, digest, watermark
        self._rows: list[Row] = []
        self._links: Links | None = None  # to be filled in; `_hash` is true if there are none
        self.bytes = 0
        self.unreadable: list[tuple[Record, str]] = []
        self.verdicts: dict[str | None, dict[str, int]] = {}
        self.traced: list[tuple[int, Command, bytes]] | None = None
        self._parts = entry_form().parts
        self._prefix = b"%d-" % partition
        self._facts, self._body, self._row, self._name = Buffer(), Buffer(), Buffer(), Buffer()
        self._at, self._time = 0, text_of(0).encode()  # of the last entry
        self._fund: str | None = None
        self._key: bytes | None = None  # the same as bytes

    @property
    def hash(self) -> bytes:
        """See above."""
        if self._links is not None:
            links, self._links = self._links, None
            self._hash = links.hash()
        return self._hash

    def add(
        self,
        fund: str | None,
        at: int,
        event: str | None,
        kind: str | None,
        offset: int,
        facts: list[Fact],
        trace: bytes | None = None,
    ) -> None:
        """Take in an answer.

        Args:
            fund: the entries' key, or None.
            at: their time, microseconds since 1970.
            event, kind, offset: the command's `ce_id` and `ce_type`, if it could be read, and its place.
            facts: what it brought about.
            trace: the command's `traceparent`.
        """
        if at != self._at:
            self._at, self._time = at, text_of(at).encode()
        _put_facts(self._facts, facts)
        if len(facts) < FACTS_MANY or self._facts.size < ENTRY_BYTES_MAX - _REST_MAX:
            self._add_entry(fund, event, kind, offset, False, trace)
        else:
            self._facts.clear()
            for part, more in parts([as_dict(fact) for fact in facts], {"id": event, "type": kind, "offset": offset}):
                _put_facts(self._facts, list(part))
                self._add_entry(fund, event, kind, offset, more, trace)
        self.watermark = offset

    def taken(self) -> Portion:
        """The rows so far, as records of the ledger; they are the taker's from now on."""
        rows, self._rows, links = self._rows, [], self._links
        if rows and links is not None:
            links.hand_over()
            self._links = Links(links)
        return Portion(rows, links)

    def _add_entry(
        self, fund: str | None, event: str | None, kind: str | None, offset: int, more: bool, trace: bytes | None
    ) -> None:
        """Add an entry of the facts that are written. None of the other words has a character that JSON would escape."""
        body, row, name = self._body, self._row, self._name
        before, between, after = self._parts if trace is None else entry_form(trace).parts
        if fund is not self._fund:
            self._fund, self._key = fund, None if fund is None else fund.encode()
        self.seq += 1
        name.put_bytes(self._prefix)
        name.put_whole(self.seq)
        body.put_bytes(b'{"seq":')
        body.put_whole(self.seq)
        body.put_bytes(b',"fund":')
        body.put_word(fund)
        body.put_bytes(b',"at":"')
        body.put_bytes(self._time)
        body.put_bytes(b'","cause":{"id":')
        body.put_word(event)
        body.put_bytes(b',"type":')
        body.put_word(kind)
        body.put_bytes(b',"offset":')
        body.put_whole(offset)
        body.put_bytes(b'},"facts":')
        length = body.size + self._facts.size + (len(_MORE) if more else 0)
        self.bytes += length + len(_HASH)
        row.put_sized(self._key)
        row.put_varint(length + len(_HASH))
        start = row.size
        row.put_all_of(body)
        row.put_all_of(self._facts)
        if more:
            row.put_bytes(_MORE)
        row.put_bytes(_HASH)
        row.put_bytes(before)
        row.put_varint(name.size)
        row.put_all_of(name)
        row.put_bytes(between)
        row.put_sized(self._time)
        row.put_bytes(after)
        made = row.taken()
        if Links is None:
            value, self._hash = link(self._hash, made[start : start + length] + b"}")
            made = made[:start] + value + made[start + len(value) :]
        else:
            if self._links is None:
                self._links = Links(self._hash)
            self._links.add(made, start, length)
        self._rows.append(made)


def _put_facts(text: Buffer, facts: Sequence[Fact]) -> None:
    separator = b"["
    for fact in facts:
        text.put_bytes(separator)
        if isinstance(fact, dict):
            text.put_bytes(encode(fact))
        else:
            _put_told(text, fact)
        separator = b","
    text.put_bytes(b"]" if facts else b"[]")


def _put_told(text: Buffer, fact: tuple[Any, ...]) -> None:
    form = fact[0]
    pieces, required = form.pieces, form.required
    for place in range(1, len(fact)):
        value = fact[place]
        if value is None and place > required:
            continue
        text.put_bytes(pieces[place - 1])
        if type(value) is str:
            text.put_word(value)
        elif type(value) is int:
            text.put_int(value)
        else:
            text.put_bytes(encode(value))
    text.put_bytes(form.end)
