"""Checkpoints: what an engine remembers, as records for a compacted topic.

    key                     value (compact JSON)
    head                    version, seq, hash, watermark, ledger offset, times, number of records, state hash
    fund/<fund>             policy, counters, rates
    case/<fund>/<case>      a case that may still change, as a row
    pledge/<fund>/<pledge>  a pledge that may still change, as a row, its awards included
    known/<fund>/<n>        what only identity checks need: payments, deliveries, ended pledges and cases, in bundles
    time/<fund>             the time of a fund that commands spoke of before it was configured
    part/<n>/<key>          the n-th part of a value too large for one record, from 0; under its own key stands how many there are

A checkpoint writes what has changed since the one before, and tombstones for what has ended; so reading a compacted partition costs as
much as there are entities alive, and ended ones come in bundles by the thousand. What belongs to a checkpoint lies in one transaction
with the entry that it stands for: there is no such thing as half of one.

A *whole* one, where there was none to go on from (a first one, or one that was of no use), may be too much for one transaction. It
is then spread over several, its head with the last of them; until then there is no head, and so no checkpoint.

The *state hash* is the sum, modulo 2¹²⁸, of the BLAKE2b-128 of every record that is current. It is kept up record by record, and
compared when a checkpoint is read: a record that is missing, stale, doubled or altered shows up. The head also names hash and number of
the entry it stands for; a checkpoint that does not fit its ledger is not used. If anything is wrong with a checkpoint, or
its version is unknown here, the ledger alone is enough: the matcher then reads it from the start, and writes a whole new checkpoint.

These records are state and not events: nobody but the next matcher reads them, so they have no CloudEvents headers.

This module is free of IO and writes; `restoring` reads, `partition.processor` decides when, `journal` does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from services.bus.client.record_batch import Row, row
from services.matcher.checkpoint.rows import SAID, case_ended, case_row, fund_row, pledge_ended, pledge_row
from services.matcher.engine.engine import Engine
from services.matcher.engine.fund import Fund
from services.matcher.model.entities import Case, Pledge

try:
    from services.matcher.checkpoint.rowtext import take_pledges
except ImportError:  # not compiled

    def take_pledges(*_of: Any) -> tuple[int, int, int]:
        """Leave all to the general way."""
        return 0, 0, 0


try:
    from services.native.blake import blake2b as _digest
except ImportError:  # not compiled

    def _digest(data: bytes, digest_size: int) -> bytes:
        return blake2b(data, digest_size=digest_size).digest()


VERSION = 3
"""The version of the records. `restoring.UPCASTS` brings an older one's up to it; another's are not read at all."""
HEAD = b"head"
PORTION = 500
"""Records in a portion, about: some milliseconds of work, after which others get a turn."""
BUNDLE = 1_000
"""Rows in a bundle of what only identity checks need, at most."""
VALUE_BYTES_MAX = 512 * 1024
"""The largest value of a record; a larger one is cut into parts."""
CHANGED_MAX = 1_000_000
"""Entities in one transaction; where more have changed (a fund with millions of cases configured anew), a whole checkpoint is begun."""
_BUNDLE_BYTES_MAX = 256 * 1024
_MODULUS = 1 << 128

Record = tuple[bytes, bytes | None]
"""Key and value of a record; no value is a tombstone."""
Written = Record | Row
"""A record, laid out for a batch or not."""


class Head(NamedTuple):
    """What a checkpoint stands for.

    Attributes:
        seq, hash, watermark: of the last entry it includes; `hash` is the entry's 32 bytes.
        ledger_offset: an offset of the ledger at or before that entry.
    """

    seq: int
    hash: bytes
    watermark: int
    ledger_offset: int


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """The value of `head`."""

    version: int
    seq: int
    hash: str
    watermark: int
    ledger_offset: int
    clock: int
    latest: int
    records: int
    state: str


class Keeper:
    """Keeps a partition's checkpoint: knows which records are current, and what has changed since.

    Args:
        stale: keys of records in the topic that belong to no checkpoint in use; the next one removes them.

    Attributes:
        whole: True once there is a checkpoint in the topic to go on from: what has changed must then be written with its head in one
            transaction. Until then it may be spread over several.
        records: how many are current.
        state: their state hash.
    """

    def __init__(self, stale: Iterable[bytes] = ()) -> None:
        self.whole = False
        self.records = 0
        self.state = 0
        self.parts: dict[bytes, int] = {}
        self.times: dict[str, tuple[int, int]] = {}
        self.funds: dict[str, KeptFund] = {}
        self._stale = set(stale)

    def changes(self, engine: Engine) -> Iterator[list[Written]]:
        """The records of what has changed since the last checkpoint, in portions, without the head; the engine must rest meanwhile.

        What is told counts as written: if the transaction fails, forget the keeper together with the engine. Whoever does not go on to
        the end gets the rest from the next call, and no head until then.
        """
        return self._changes(engine, quick=False)

    def rows(self, engine: Engine) -> Iterator[list[Row]]:
        """The same, laid out for a batch."""
        for portion in self._changes(engine, quick=True):
            yield [one if type(one) is bytes else row(*one) for one in portion]

    def _changes(self, engine: Engine, *, quick: bool) -> Iterator[list[Written]]:
        if self.whole and sum(len(fund.changed) for fund in engine.funds.values()) > CHANGED_MAX:
            self.whole = False
            self._stale.add(HEAD)
        if HEAD in self._stale:  # what follows overwrites what it stands for
            self._stale.remove(HEAD)
            yield [(HEAD, None)]
        for fund in engine.funds.values():
            kept = self.funds.setdefault(fund.name, KeptFund())
            yield from self._entities(fund, kept, quick=quick)
            yield from self._said(fund, kept)
            portion = self._bundle(fund, kept)
            self._put_fund(fund, kept, portion)
            yield portion
        yield from self._unconfigured(engine.unconfigured)
        while self._stale:
            yield [(self._stale.pop(), None) for _ in range(min(PORTION, len(self._stale)))]

    def head(self, engine: Engine, head: Head) -> Record:
        """The record that makes the changes a checkpoint; to be written after all of them, in the last one's transaction."""
        self.whole = True
        told = Told(
            VERSION, head.seq, head.hash.hex(), head.watermark, head.ledger_offset, engine.clock, engine.latest,
            self.records, f"{self.state:032x}",
        )  # fmt: skip
        return HEAD, msgspec.json.encode(told)

    def _entities(self, fund: Fund, kept: KeptFund, *, quick: bool) -> Iterator[list[Written]]:
        """Live ones as records of their own; ended ones into the fund's next bundle."""
        portion: list[Written] = []
        changed = fund.changed
        pledges = f"pledge/{fund.name}/".encode()
        while changed:
            if quick and not self.parts and not self._stale:
                most = PORTION - len(portion)
                taken, replaced, more = take_pledges(changed, pledges, VERSION, most, VALUE_BYTES_MAX, portion)
                if taken:
                    self.records += taken - replaced
                    self.state = (self.state + more) % _MODULUS
            if changed and len(portion) < PORTION:
                self._entity(fund, kept, changed.pop(), portion)
            if len(portion) >= PORTION:
                yield portion
                portion = []
        yield portion

    def _entity(self, fund: Fund, kept: KeptFund, entity: Case | Pledge, portion: list[Written]) -> None:
        if isinstance(entity, Pledge):
            kind, told, ended = "pledge", pledge_row(entity), pledge_ended(entity)
        else:
            kind, told, ended = "case", case_row(entity), case_ended(entity)
        key = f"{kind}/{fund.name}/{entity.id}".encode()
        if ended:
            self._end(key, entity, portion)
            if kept.add(f"{kind}s", told):
                portion += self._bundle(fund, kept)
        else:
            if entity.mark:
                self._take(key, entity.mark)
            entity.mark = self._put_value(key, _encode(told), portion)

    def _end(self, key: bytes, entity: Case | Pledge, portion: list[Written]) -> None:
        if entity.mark:
            self._take(key, entity.mark)
            entity.mark = 0
            self._drop_parts(key, 0, self.parts.pop(key, 0), portion)
            portion.append((key, None))

    def _said(self, fund: Fund, kept: KeptFund) -> Iterator[list[Written]]:
        """What was said of money since, in order."""
        for name in SAID:
            new = iter(_newest(getattr(fund, name), kept.said[name]))
            while rows := [(key, *said) for key, said in islice(new, BUNDLE - kept.count)]:
                kept.said[name] += len(rows)
                if kept.add_said(name, rows):
                    yield self._bundle(fund, kept)

    def _bundle(self, fund: Fund, kept: KeptFund) -> list[Written]:
        """The bundle at hand, if anything is in it."""
        portion: list[Written] = []
        if kept.rows:
            self._put(_key("known", fund.name, str(kept.bundles)), kept.rows, portion)
            kept.bundles, kept.rows, kept.count, kept.bytes = kept.bundles + 1, {}, 0, 0
        return portion

    def _unconfigured(self, times: dict[str, int]) -> Iterator[list[Written]]:
        portion: list[Written] = []
        for name in self.times.keys() - times.keys():
            key = _key("time", name)
            self._take(key, self.times.pop(name)[1])
            portion.append((key, None))
        for name, time in times.items():
            was, mark = self.times.get(name, (None, 0))
            if was != time:
                self.times[name] = time, self._put_anew(_key("time", name), time, mark, portion)
            if len(portion) >= PORTION:
                yield portion
                portion = []
        yield portion

    def _put_fund(self, fund: Fund, kept: KeptFund, portion: list[Written]) -> None:
        """A fund's own record, if it tells anything new."""
        row = fund_row(fund)
        said = mark_of(b"", _encode(row))
        if said != kept.row:
            kept.row = said
            kept.mark = self._put_anew(_key("fund", fund.name), row, kept.mark, portion)

    def _put_anew(self, key: bytes, row: Any, was: int, portion: list[Written]) -> int:
        """Write a record in place of one whose mark was `was`; returns its own mark."""
        if was:
            self._take(key, was)
        return self._put(key, row, portion)

    def _put(self, key: bytes, row: Any, portion: list[Written]) -> int:
        return self._put_value(key, _encode(row), portion)

    def _put_value(self, key: bytes, value: bytes, portion: list[Written]) -> int:
        if len(value) > VALUE_BYTES_MAX or key in self.parts:
            return self._put_parts(key, value, portion)
        return self._put_one(key, value, portion)

    def _put_one(self, key: bytes, value: bytes, portion: list[Written]) -> int:
        if self._stale:
            self._stale.discard(key)
        portion.append((key, value))
        mark = mark_of(key, value)
        self.records += 1
        self.state = (self.state + mark) % _MODULUS
        return mark

    def _put_parts(self, key: bytes, value: bytes, portion: list[Written]) -> int:
        """Cut a value that is too large, or was so before."""
        starts = range(0, len(value), VALUE_BYTES_MAX) if len(value) > VALUE_BYTES_MAX else range(0)
        was = self.parts.pop(key, 0)
        mark = 0
        for number, start in enumerate(starts):
            mark += self._put_one(part_key(key, number), value[start : start + VALUE_BYTES_MAX], portion)
        self._drop_parts(key, len(starts), was, portion)
        if starts:
            self.parts[key] = len(starts)
            value = msgspec.json.encode((VERSION, None, len(starts)))
        return (mark + self._put_one(key, value, portion)) % _MODULUS or 1

    def _drop_parts(self, key: bytes, begin: int, end: int, portion: list[Written]) -> None:
        portion += [(part_key(key, number), None) for number in range(begin, end)]

    def _take(self, key: bytes, mark: int) -> None:
        """Let a record, with its parts, not be current any more."""
        self.records -= 1 + self.parts.get(key, 0)
        self.state = (self.state - mark) % _MODULUS


class KeptFund:
    """What the checkpoint says of a fund, and the bundle that is being filled.

    Attributes:
        mark: of its own record.
        row: what it told, hashed.
        bundles: how many there are.
        said: how much of each dictionary of `SAID` is in them.
        rows, count, bytes: of the next bundle.
    """

    def __init__(self) -> None:
        self.mark = self.row = 0
        self.bundles = 0
        self.said = dict.fromkeys(SAID, 0)
        self.rows: dict[str, list[Any]] = {}
        self.count = self.bytes = 0

    def add(self, name: str, row: Any) -> bool:
        """Add an entity's row to the bundle; True if it is full now."""
        row = msgspec.Raw(msgspec.json.encode(row))  # an ended case may be large: much may have been said of it
        self.bytes += len(row)
        self.rows.setdefault(name, []).append(row)
        self.count += 1
        return self.count >= BUNDLE or self.bytes >= _BUNDLE_BYTES_MAX

    def add_said(self, name: str, rows: list[Any]) -> bool:
        """Add what was said, as much as there is room for; True if it is full now."""
        self.rows.setdefault(name, []).extend(rows)
        self.count += len(rows)
        return self.count >= BUNDLE


def mark_of(key: bytes, value: bytes) -> int:
    """A record's part of the state hash; never 0, which stands for none."""
    return int.from_bytes(_digest(key + b"=" + value, 16), "big") or 1


def part_key(key: bytes, number: int) -> bytes:
    """The key of a part of `key`'s value."""
    return b"part/%d/%s" % (number, key)


def _encode(row: Any) -> bytes:
    return msgspec.json.encode((VERSION, row))


def _key(*parts: str) -> bytes:
    return "/".join(parts).encode()


def _newest(said: dict[str, Any], known: int) -> Iterable[tuple[str, Any]]:
    """The items of a dictionary from the `known`-th on; without walking over the others where these are the most."""
    new = len(said) - known
    if new > known:
        return islice(said.items(), known, None)
    return list(islice(reversed(said.items()), new))[::-1]
