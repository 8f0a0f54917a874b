"""Checkpoints: what an engine remembers, as records for a compacted topic, and back.

    key                     value (compact JSON)
    head                    version, seq, hash, watermark, ledger offset, times, number of records, state hash
    fund/<fund>             policy, counters, rates
    case/<fund>/<case>      a case that may still change, as a row
    pledge/<fund>/<pledge>  a pledge that may still change, as a row, its awards included
    known/<fund>/<n>        what only identity checks need: payments, deliveries, ended pledges and cases, in bundles

A checkpoint writes what has changed since the one before, and tombstones for what has ended; so reading a compacted partition costs as
much as there are entities alive, and ended ones come in bundles by the thousand. All of a checkpoint lies in one transaction with
the entry that it stands for: there is no such thing as half of one.

The *state hash* is the sum, modulo 2¹²⁸, of the BLAKE2b-128 of every record that is current. It is kept up record by record, and
compared when a checkpoint is read: a record that is missing, stale, doubled or altered tells. The head also names hash and number of
the entry it stands for; a checkpoint that does not fit its ledger is not used. Whatever is wrong with a checkpoint, or of a version
that this code does not know, the ledger alone is enough: the matcher then reads it from the start, and writes a whole new checkpoint.

This module is free of IO; `desk` decides when, `journal` writes and reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from services.matcher.engine import Engine
from services.matcher.entities import POOL, Award, Case, Pledge, Policy, tupled
from services.matcher.state import Fund
from services.matcher.timers import ESCALATION, EXPIRY, INSTALMENT, RENEWAL

VERSION = 1
"""The version of the records. Another version's are not read by this code but by `UPCASTS`, or not at all."""
HEAD = b"head"
BUNDLE = 1_000
"""Rows in a bundle of what only identity checks need, at most."""
_MODULUS = 1 << 128
NONE_YET = "there is none yet"

Record = tuple[bytes, bytes | None]
"""Key and value of a record; no value is a tombstone."""

UPCASTS: dict[int, Callable[[bytes, Any], Any]] = {}
"""From an older version to the next one: `(key, value)` → value. Empty, since there is only one yet."""


class Unusable(Exception):
    """There is no checkpoint that could be relied on; the ledger is to be read from the start. The message says why."""


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


class Keeper:
    """Keeps a partition's checkpoint: knows which records are current, and what has changed since.

    Args:
        stale: keys of records in the topic that belong to no checkpoint in use; the next checkpoint removes them.
    """

    def __init__(self, stale: frozenset[bytes] = frozenset()) -> None:
        self.records = 0
        self.state = 0
        self._stale = set(stale)
        self._funds: dict[str, _KeptFund] = {}

    def changes(self, engine: Engine) -> Iterator[list[Record]]:
        """The records of what has changed since the last checkpoint, in portions, without the head; the engine must rest meanwhile.

        What is told counts as written: if the transaction fails, forget the keeper together with the engine.
        """
        for fund in engine.funds.values():
            kept = self._funds.setdefault(fund.name, _KeptFund())
            portion: list[Record] = []
            ended: dict[str, list[Any]] = {"pledges": [], "cases": []}
            for entity in fund.changed:
                self._entity(fund, entity, portion, ended)
                if len(portion) >= BUNDLE:
                    yield portion
                    portion = []
            fund.changed.clear()
            self._put(_key("fund", fund.name), _fund_row(fund), portion, kept)
            for bundle in _bundles(kept.said_since(fund) | ended):
                self._put(_key("known", fund.name, str(kept.bundles)), bundle, portion)
                kept.bundles += 1
            yield portion
        if self._stale:
            yield [(key, None) for key in self._stale]
            self._stale.clear()

    def head(self, engine: Engine, head: Head) -> Record:
        """The record that makes the changes a checkpoint; to be written after them, in the same transaction."""
        told = {
            "version": VERSION,
            **head._asdict(),
            "hash": head.hash.hex(),
            "clock": engine.clock,
            "latest": engine.latest,
            "unconfigured": engine.unconfigured,
            "records": self.records,
            "state": f"{self.state:032x}",
        }
        return HEAD, msgspec.json.encode(told)

    def _entity(self, fund: Fund, entity: Case | Pledge, portion: list[Record], ended: dict[str, list[Any]]) -> None:
        pledge = isinstance(entity, Pledge)
        row = pledge_row(entity) if pledge else case_row(entity)
        key = _key("pledge" if pledge else "case", fund.name, entity.id)
        was, entity.mark = entity.mark, 0
        self._take(was)
        if _pledge_ended(entity) if pledge else _case_ended(entity):
            ended["pledges" if pledge else "cases"].append(row)
            if was:
                portion.append((key, None))
            return
        value = _encode(row)
        entity.mark = self._add(key, value)
        self._stale.discard(key)
        portion.append((key, value))

    def _put(self, key: bytes, row: Any, portion: list[Record], kept: _KeptFund | None = None) -> None:
        value = _encode(row)
        if kept is not None:
            if kept.value == value:
                return
            self._take(kept.mark)
            kept.value, kept.mark = value, self._add(key, value)
        else:
            self._add(key, value)
        self._stale.discard(key)
        portion.append((key, value))

    def _add(self, key: bytes, value: bytes) -> int:
        mark = mark_of(key, value)
        self.records += 1
        self.state = (self.state + mark) % _MODULUS
        return mark

    def _take(self, mark: int) -> None:
        if mark:
            self.records -= 1
            self.state = (self.state - mark) % _MODULUS

    def restore(self, records: Mapping[bytes, bytes]) -> tuple[Engine, Head]:
        """The engine that the current records tell of, and what it stands for.

        Args:
            records: the newest value of every key that has one.

        Raises:
            Unusable: if there is none, it isn't whole, or of a version unknown here.
        """
        told = _decoded_head(records.get(HEAD))
        engine = Engine()
        engine.clock, engine.latest, engine.unconfigured = told["clock"], told["latest"], told["unconfigured"]
        self._check(records, told)
        awards: list[tuple[Fund, Pledge, list[Any]]] = []
        try:
            for key, value in sorted(records.items(), key=lambda record: _reading_order(record[0])):
                if key != HEAD:
                    self._read(engine, key, value, awards)
            _tie_awards(awards)
            for fund in engine.funds.values():
                _wind_up(fund)
                engine.announce(fund)
        except (msgspec.DecodeError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise Unusable(f"a record can't be read ({type(error).__name__})") from error
        head = Head(told["seq"], bytes.fromhex(told["hash"]), told["watermark"], told["ledger_offset"])
        return engine, head

    def _check(self, records: Mapping[bytes, bytes], told: dict[str, Any]) -> None:
        self._marks = {key: mark_of(key, value) for key, value in records.items() if key != HEAD}
        self.records, self.state = len(self._marks), sum(self._marks.values()) % _MODULUS
        if self.records != told["records"] or f"{self.state:032x}" != told["state"]:
            raise Unusable(
                f"state hash {self.state:032x} of {self.records} records is not {told['state']} of {told['records']}"
            )

    def _read(self, engine: Engine, key: bytes, value: bytes, awards: list[tuple[Fund, Pledge, list[Any]]]) -> None:
        kind, name, *rest = key.decode().split("/")
        row = _decoded(key, value)
        if kind == "fund":
            engine.funds[name] = _fund_of(name, row)
            kept = self._funds[name] = _KeptFund()
            kept.value, kept.mark = value, self._marks[key]
            return
        fund = engine.funds[name]
        if kind == "known":
            self._funds[name].bundles = max(self._funds[name].bundles, int(rest[0]) + 1)
            _take_bundle(fund, row, awards)
            self._funds[name].count(fund)
        elif kind == "case":
            case = fund.cases[rest[0]] = case_of(row)
            case.mark = self._marks[key]
        elif kind == "pledge":
            pledge = fund.pledges[rest[0]] = pledge_of(row)
            pledge.mark = self._marks[key]
            awards.append((fund, pledge, row[-1]))
        else:
            raise ValueError(kind)


class _KeptFund:
    """What the last checkpoint said of a fund."""

    def __init__(self) -> None:
        self.value = b""
        self.mark = 0
        self.bundles = 0
        self.said = dict.fromkeys(_SAID, 0)

    def said_since(self, fund: Fund) -> dict[str, list[Any]]:
        """What was said of money since, in order; these dictionaries only ever grow."""
        new = {name: [(k, *v) for k, v in islice(getattr(fund, name).items(), self.said[name], None)] for name in _SAID}
        self.count(fund)
        return new

    def count(self, fund: Fund) -> None:
        """Take note of how much has been said."""
        self.said = {name: len(getattr(fund, name)) for name in _SAID}


_SAID = ("payments", "failures", "refunds", "deliveries")


def mark_of(key: bytes, value: bytes) -> int:
    """A record's part of the state hash; never 0, which stands for none."""
    return int.from_bytes(blake2b(key + b"=" + value, digest_size=16).digest(), "big") or 1


def _key(*parts: str) -> bytes:
    return "/".join(parts).encode()


def _encode(row: Any) -> bytes:
    return msgspec.json.encode((VERSION, row))


def _decoded(key: bytes, value: bytes) -> Any:
    version, row = msgspec.json.decode(value)
    while version in UPCASTS:
        row, version = UPCASTS[version](key, row), version + 1
    if version != VERSION:
        raise Unusable(f"a record is of version {version}; this matcher knows {VERSION}")
    return row


def _decoded_head(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise Unusable(NONE_YET)
    try:
        told = msgspec.json.decode(value)
        version = told["version"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise Unusable("its head can't be read") from None
    if version != VERSION and version not in UPCASTS:
        raise Unusable(f"it is of version {version}; this matcher knows {VERSION}")
    return told


_ORDER = {b"fund": 0, b"known": 1, b"case": 2, b"pledge": 3}


def _reading_order(key: bytes) -> tuple[int, int]:
    """Funds first; bundles in the order they were written, since the same entity may have ended twice; then what lives."""
    kind, _, rest = key.partition(b"/")
    return _ORDER.get(kind, 4), int(rest.rpartition(b"/")[2]) if kind == b"known" else 0


def _bundles(said: dict[str, list[Any]]) -> Iterator[dict[str, list[Any]]]:
    """Cut into bundles of a bounded number of rows."""
    bundle: dict[str, list[Any]] = {}
    room = BUNDLE
    for name, rows in said.items():
        start = 0
        while start < len(rows):
            part = rows[start : start + room]
            bundle[name] = part
            start, room = start + len(part), room - len(part)
            if not room:
                yield bundle
                bundle, room = {}, BUNDLE
    if bundle:
        yield bundle


def _take_bundle(fund: Fund, bundle: dict[str, list[Any]], awards: list[tuple[Fund, Pledge, list[Any]]]) -> None:
    for name in _SAID:
        getattr(fund, name).update((key, (owner, what)) for key, owner, what in bundle.get(name, ()))
    for row in bundle.get("cases", ()):
        case = case_of(row)
        fund.cases[case.id] = case
    for row in bundle.get("pledges", ()):
        pledge = pledge_of(row)
        fund.pledges[pledge.id] = pledge


def _fund_row(fund: Fund) -> list[Any]:
    policy = None if fund.policy is None else {name: getattr(fund.policy, name) for name in Policy.__slots__}
    return [fund.now, policy, fund.pledges_made, fund.cases_opened, fund.awards_made, fund.rates]


def _fund_of(name: str, row: list[Any]) -> Fund:
    now, policy, pledges_made, cases_opened, awards_made, rates = row
    fund = Fund(name, now)
    if policy is not None:
        fund.policy = Policy.__new__(Policy)
        for field in Policy.__slots__:
            setattr(fund.policy, field, policy[field])
    fund.pledges_made, fund.cases_opened, fund.awards_made, fund.rates = pledges_made, cases_opened, awards_made, rates
    return fund


def _pledge_ended(pledge: Pledge) -> bool:
    """Nothing will happen to it by itself or by others; only a late payment could bring it back."""
    return not (
        pledge.waiting
        or pledge.awards
        or pledge.next_instalment
        or pledge.rate is None
        or (pledge.expires_at and not pledge.closed)
    )


def _case_ended(case: Case) -> bool:
    return case.status == "closed" and not case.awards


def case_row(case: Case) -> list[Any]:
    """A case as a list of JSON values; awards stand with their pledges."""
    return [
        case.id, case.origin, case.goal, case.priority, case.needed_by, case.status, case.outcome, list(case.vouchers),
        list(case.thanks), case.claim, case.rank, case.awarded, case.settled, case.delivered, case.open_order,
        case.opened_at, case.began, case.period, case.next_escalation, case.next_renewal,
    ]  # fmt: skip


def case_of(row: list[Any]) -> Case:
    """The case of a row of `case_row`."""
    case = Case.__new__(Case)
    (
        case.id, origin, case.goal, case.priority, case.needed_by, case.status, case.outcome, vouchers, thanks,
        case.claim, case.rank, case.awarded, case.settled, case.delivered, case.open_order, case.opened_at, case.began,
        case.period, case.next_escalation, case.next_renewal,
    ) = row  # fmt: skip
    case.recall(tuple(tupled(part) for part in origin), vouchers, thanks)
    return case


def pledge_row(pledge: Pledge) -> list[Any]:
    """A pledge as a list of JSON values: what all have, what few have by name, and the awards."""
    awards = [(a.number, a.order, a.case.id, a.amount, a.settled, a.delivered) for a in pledge.awards]
    return [
        pledge.id, pledge.order, pledge.donor, pledge.face, pledge.currency, pledge.rate, pledge.amount, pledge.waiting,
        pledge.paid_waiting, pledge.awarded, pledge.settled, pledge.delivered, pledge.released, pledge.face_paid,
        pledge.awards_made, pledge.closed, pledge.__dict__ or None, awards,
    ]  # fmt: skip


def pledge_of(row: list[Any]) -> Pledge:
    """The pledge of a row of `pledge_row`, as yet without its awards."""
    pledge = Pledge.__new__(Pledge)
    (
        pledge.id, pledge.order, pledge.donor, pledge.face, pledge.currency, pledge.rate, pledge.amount, pledge.waiting,
        pledge.paid_waiting, pledge.awarded, pledge.settled, pledge.delivered, pledge.released, pledge.face_paid,
        pledge.awards_made, pledge.closed, terms, _awards,
    ) = row  # fmt: skip
    pledge.awards, pledge.mark = (), 0
    if terms:
        for name, value in terms.items():
            setattr(pledge, name, tupled(value))
        if terms.get("lane") == list(POOL):
            pledge.lane = POOL  # the very one: it is asked for by identity
    return pledge


def _tie_awards(awards: list[tuple[Fund, Pledge, list[Any]]]) -> None:
    """Tie awards to their pledges and cases, both in the order in which they were made."""
    touched: set[Case] = set()
    for fund, pledge, rows in awards:
        if rows:
            pledge.awards = [_award_of(fund, pledge, row) for row in rows]
            touched.update(award.case for award in pledge.awards)
    for case in touched:
        case.awards.sort(key=lambda award: award.order)


def _award_of(fund: Fund, pledge: Pledge, row: list[Any]) -> Award:
    number, order, case_id, amount, settled, delivered = row
    award = Award(number, order, pledge, fund.cases[case_id], amount)
    award.settled, award.delivered = settled, delivered
    award.case.awards.append(award)
    return award


def _wind_up(fund: Fund) -> None:
    """Derive what is not written: timers, waiting money, pledges without a rate."""
    for case in fund.cases.values():
        for due, kind in ((case.next_escalation, ESCALATION), (case.next_renewal, RENEWAL)):
            if due is not None:
                fund.timers.set(due, kind, case.id)
    waiting, unrated = [], []
    for pledge in fund.pledges.values():
        if pledge.waiting:
            waiting.append(pledge)
        if pledge.rate is None:
            unrated.append(pledge)
        if pledge.expires_at is not None and pledge.closed is None:
            fund.timers.set(pledge.expires_at, EXPIRY, pledge.id)
        if pledge.next_instalment is not None:
            fund.timers.set(pledge.next_instalment, INSTALMENT, pledge.id)
    for pledge in waiting:
        fund.lanes.wait(pledge)
    for pledge in sorted(unrated, key=lambda pledge: pledge.order):
        fund.unrated.setdefault(pledge.currency, {})[pledge.id] = pledge
