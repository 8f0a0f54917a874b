"""Restoring: from the records of a checkpoint back to the engine that they tell of.

Nothing is believed that is not whole: the state hash over all records must be the head's. Records of an older version are brought up to
date one version at a time (`UPCASTS`); a newer one's are not read at all. Whatever is wrong raises `Unusable`, and says what.

There may be a million records, which takes seconds; so this works in steps, and whoever drives them gives others a turn in between.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from services.matcher.checkpoint.rows import SAID, fund_of, put_in_order, take_in_case, take_in_ended, take_in_pledge
from services.matcher.checkpoint.writing import HEAD, PORTION, VERSION, Head, Keeper, KeptFund, Told, mark_of, part_key
from services.matcher.engine.conservation import checking
from services.matcher.engine.engine import Engine
from services.matcher.model.breach import ConservationBreach
from services.matcher.model.entities import Case, Pledge

NONE_YET = "there is none yet"
UNFINISHED = "it was not finished, or its head is lost"
UPCASTS: dict[int, Callable[[bytes, Any], Any]] = {}
"""From an older version to the next one: `(key, row)` → row, of the head its object. The key says what the row is of: a member more of
a case is `lambda key, row: [*row, None] if key.startswith(b"case/") else row`. What has ended lies in bundles, `known/…`.

Empty: what the first version lacks (marks) stands on the ledger."""

_MODULUS = 1 << 128
_KINDS = (b"part", b"fund", b"time", b"known", b"case", b"pledge")
"""In the order of reading: bundles before what lives, since what has ended may have come back; pledges after the cases they go to."""

_Rows = Iterator[tuple[str, str, Any, int]]


class Unusable(Exception):
    """There is no checkpoint that could be relied on; the ledger is to be read from the start. The message says why."""


class OfAnotherVersion(Unusable):
    """It may be a good one, for another version of Pumasi."""


class Restored(NamedTuple):
    """An engine, what its checkpoint stands for, and the keeper that goes on with it."""

    engine: Engine
    head: Head
    keeper: Keeper


def restored(records: Mapping[bytes, bytes]) -> Restored:
    """`restoring` in one go.

    Raises:
        Unusable: see there.
    """
    steps = restoring(records)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Restored = done.value
            return found


def restoring(records: Mapping[bytes, bytes]) -> Generator[None, None, Restored]:
    """The engine that the current records tell of, in steps of some milliseconds.

    Args:
        records: the newest value of every key that has one.

    Raises:
        Unusable: if there is none, it isn't whole, does not conserve money, or is of a version unknown here.
    """
    told = _head(records)
    reading = _Reading(told)
    try:
        yield from reading.sort(records)
        yield from reading.read()
        reading.hold()
        for fund in reading.engine.funds.values():
            fund.totals = yield from checking(fund, PORTION)
    except ConservationBreach as breach:
        raise Unusable(f"it does not conserve money: {breach}") from breach
    except MemoryError:  # there is none either for the ledger, which holds more
        raise
    except Exception as error:  # whatever is odd about a checkpoint, the ledger tells the same and is to be believed
        reading.weigh(records)  # the likelier reason, and the clearer one
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"a record can't be read ({type(error).__name__})") from error
    head = Head(told.seq, bytes.fromhex(told.hash), told.watermark, told.ledger_offset)
    return Restored(reading.engine, head, reading.keeper)


class _Reading:
    """Builds engine and keeper, record by record."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.engine = Engine()
        self.engine.clock, self.engine.latest = told.clock, told.latest
        self.keeper = Keeper()
        self.keeper.whole = True
        self._by_kind: dict[bytes, list[tuple[bytes, bytes]]] = {kind: [] for kind in _KINDS}
        self._parts: dict[bytes, bytes] = {}
        self._live: dict[str, tuple[list[Case], list[Pledge]]] = {}

    def sort(self, records: Mapping[bytes, bytes]) -> Iterator[None]:
        by_kind = self._by_kind
        for number, record in enumerate(records.items()):
            if record[0] != HEAD:
                by_kind[record[0].partition(b"/")[0]].append(record)
            if not number % PORTION:
                yield
        by_kind[b"known"].sort(key=_number_of_bundle)

    def read(self) -> Iterator[None]:
        """Take in all records, in an order in which each finds what it needs."""
        self._parts = dict(self._by_kind[b"part"])
        for name, _, row, mark in self._rows(b"fund"):
            self.engine.funds[name] = fund_of(name, row)
            self.keeper.funds[name] = kept = KeptFund()
            kept.mark = mark
            self._live[name] = [], []
        for name, _, row, mark in self._rows(b"time"):
            self.engine.unconfigured[name] = row
            self.keeper.times[name] = row, mark
        for name, number, row, _ in self._rows(b"known"):
            take_in_ended(self.engine.funds[name], row)
            self.keeper.funds[name].bundles = int(number) + 1
            yield
        yield from self._entities(b"case", take_in_case, 0)
        yield from self._entities(b"pledge", take_in_pledge, 1)
        for name, fund in self.engine.funds.items():
            put_in_order(fund, *self._live[name])
            self.keeper.funds[name].said = {said: len(getattr(fund, said)) for said in SAID}
            self.engine.announce(fund)
            yield

    def _entities(self, kind: bytes, take_in: Callable[[Any, Any], Any], which: int) -> Iterator[None]:
        funds, live = self.engine.funds, self._live
        for number, (name, _, row, mark) in enumerate(self._rows(kind)):
            entity = take_in(funds[name], row)
            entity.mark = mark
            live[name][which].append(entity)
            if not number % PORTION:
                yield

    def _rows(self, kind: bytes) -> _Rows:
        """Fund, rest of the key, row and mark of every record of a kind; its records are let go of one by one."""
        keeper, decode = self.keeper, msgspec.json.decode
        records = self._by_kind[kind]
        records.reverse()
        while records:
            key, value = records.pop()
            mark = mark_of(key, value)
            keeper.records += 1
            keeper.state += mark
            version, row, *parts = decode(value)
            if parts:
                version, row, mark = self._joined(key, parts[0], mark)
            if version != VERSION:
                row = _upcast(key, version, row)
            _, name, rest = (*key.decode().split("/", 2), "")[:3]
            yield name, rest, row, mark

    def _joined(self, key: bytes, count: int, mark: int) -> tuple[int, Any, int]:
        values = []
        for number in range(count):
            part = part_key(key, number)
            values.append(self._parts.pop(part))
            self.keeper.records += 1
            self.keeper.state += mark_of(part, values[-1])
            mark += mark_of(part, values[-1])
        self.keeper.parts[key] = count
        version, row = msgspec.json.decode(b"".join(values))
        return version, row, mark % _MODULUS

    def hold(self) -> None:
        """Hold all that was read against the head.

        Raises:
            Unusable: if it isn't what was written.
        """
        keeper = self.keeper
        keeper.state %= _MODULUS
        if self._parts:
            raise Unusable(f"{len(self._parts)} parts belong to no record")
        self._compare(keeper.records, keeper.state)

    def weigh(self, records: Mapping[bytes, bytes]) -> None:
        """Hold the records as they are against the head.

        Raises:
            Unusable: if they aren't what was written.
        """
        marks = [mark_of(key, value) for key, value in records.items() if key != HEAD]
        self._compare(len(marks), sum(marks) % _MODULUS)

    def _compare(self, records: int, state: int) -> None:
        if (records, f"{state:032x}") != (self.told.records, self.told.state):
            raise Unusable(
                f"state hash {state:032x} of {records} records is not {self.told.state} of {self.told.records}"
            )


def _head(records: Mapping[bytes, bytes]) -> Told:
    value = records.get(HEAD)
    if value is None:
        raise Unusable(UNFINISHED if records else NONE_YET)
    try:
        told = msgspec.json.decode(value)
        told = _upcast(HEAD, told["version"], told)
        told = msgspec.convert(told, Told)
        if len(bytes.fromhex(told.hash)) != 32 or min(told.seq - 1, told.watermark, told.ledger_offset) < 0:
            raise ValueError(told)
    except OfAnotherVersion:
        raise
    except Exception as error:  # noqa: BLE001  # as above
        raise Unusable(f"its head can't be read ({type(error).__name__})") from None
    return told


def _upcast(key: bytes, version: Any, row: Any) -> Any:
    while version in UPCASTS:
        row, version = UPCASTS[version](key, row), version + 1
    if version != VERSION:
        raise OfAnotherVersion(f"it is of version {version}; this matcher knows {VERSION}")
    return row


def _number_of_bundle(record: tuple[bytes, bytes]) -> int:
    return int(record[0].rpartition(b"/")[2])


def newest(records: dict[bytes, bytes], portion: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Keep the newest value of every key that has one, as compaction does; call with each portion in order."""
    for key, value in portion:
        if value is None:
            records.pop(key, None)
        else:
            records[key] = value
