"""Who writes the commands: a season's, in portions over time, with what a topic has besides commands.

Some portions come in a transaction, as records do that were put back from dead letters: committed ones leave a marker and so a gap in
the offsets, aborted ones leave records that nobody may see, and open ones keep readers waiting. Some records can't be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

from schemas.commands import TICK, Command, Unreadable
from schemas.ledger import encode
from schemas.structs import said
from schemas.times import text_of
from services.bus.envelope import command_headers
from services.bus.partition import partition_of
from services.bus.topics import COMMANDS
from tests.oracle.season import Gesture, commands_of, gestures
from tests.simulation.batches import Row, marker, plain
from tests.simulation.broker import Broker
from tests.simulation.clock import VirtualLoop
from tests.simulation.log import Log
from tests.simulation.plan import Plan

_PRODUCER = 7
_IN_TRANSACTION, _ABORTED = 0.15, 0.4
_OPEN_SECONDS_MAX = 1.0
_RETRY_SECONDS = 0.05
_LATE_PAUSE_SECONDS = 1.0
_NEXT_SEASON = 1_000_003


COMMANDS_MAX = 60
"""Commands of one run at most."""


def _seasons(seed: int, commands: int) -> Iterator[Command | Unreadable]:
    """Commands of a season, and of the next where one is too short."""
    gestured: list[Gesture] = []
    while len(gestured) < commands:
        gestured += gestures(seed + _NEXT_SEASON * len(gestured))
    yield from commands_of(gestured[:commands])


class Feed:
    """Writes the commands of seasons, one after the other, for as long as there is trouble to come.

    Args:
        loop: the clock.
        r: what is left to chance.
        broker: where they go.
        plan: which seasons, how many commands at least, how many at once, and how far between.
        enough: whether no more than the plan's are needed.

    Attributes:
        written: how many commands can be seen or will be.
    """

    def __init__(self, loop: VirtualLoop, r: Random, broker: Broker, plan: Plan, enough: Callable[[], bool]) -> None:
        self._loop, self._r, self._broker, self._plan, self._enough = loop, r, broker, plan, enough
        self._season = _seasons(plan.seed, COMMANDS_MAX if plan.faults else plan.commands)
        self._open: set[int] = set()
        self._ended = False
        self.written = 0

    @property
    def done(self) -> bool:
        """Whether all is written."""
        return self._ended and not self._open

    def begin(self) -> None:
        """Write the first portion, and in time the others."""
        self._loop.later(self._r.uniform(0.0, self._plan.pause_seconds), self._portion)

    def _portion(self) -> None:
        pause = _RETRY_SECONDS
        if self._broker.up and not self._open:
            portions: dict[int, list[Row]] = {}
            late = self.written >= self._plan.commands  # what is still to go wrong needs something to go wrong with
            for command in islice(self._season, 1 if late else self._r.randint(1, self._plan.chunk)):
                partition, row = self._row(command)
                portions.setdefault(partition, []).append(row)
            for partition, rows in portions.items():
                self._write(partition, rows)
            pause = self._r.uniform(0.0, max(self._plan.pause_seconds, _LATE_PAUSE_SECONDS * late))
            self._ended = not portions or (self.written >= self._plan.commands and self._enough())
        if not self._ended:
            self._loop.later(pause, self._portion)

    def _write(self, partition: int, rows: list[Row]) -> None:
        log = self._broker.logs[COMMANDS, partition]
        if self._r.random() >= _IN_TRANSACTION:
            self.written += len(rows)
            self._append(log, rows)
            return
        self._open.add(partition)
        aborts = self._r.random() < _ABORTED
        self._append(log, rows, transactional=True)
        self._loop.later(self._r.uniform(0.0, _OPEN_SECONDS_MAX), self._end, log, rows, aborts)

    def _append(self, log: Log, rows: list[Row], *, transactional: bool = False) -> None:
        """What is acknowledged stays; this writer is told at once, whatever happens to the broker."""
        kept = log.append(plain(rows, _PRODUCER, 0) if transactional else plain(rows))
        log.replicated(kept.end)
        self._broker.visible(log)

    def _end(self, log: Log, rows: list[Row], aborts: bool) -> None:
        if not self._broker.up:
            self._loop.later(_RETRY_SECONDS, self._end, log, rows, aborts)
            return
        self._open.discard(log.partition)
        kept = log.append(marker(_PRODUCER, 0, commits=not aborts))
        log.replicated(kept.end)
        self.written += len(rows)
        if aborts:
            self._append(log, rows)
        self._broker.visible(log)

    def _row(self, command: Command | Unreadable) -> tuple[int, Row]:
        """A command as a record, and the partition it goes to."""
        partitions = self._broker.partitions
        if isinstance(command, Unreadable):
            partition = self._r.randrange(partitions)
            return partition, self._r.choice([
                (None, b"{", [("ce_type", b"pumasi.pledge.made")]),
                (b"f-1", None, []),
                (None, b"{}", [("ce_type", None)]),
                (b"nobody", b"\xff\xfe", [("ce_id", b"\xff")]),
            ])  # fmt: skip
        headers = command_headers(command.type, command.id, "/simulation", text_of(command.time))
        value = encode(said(command.data))
        if command.type == TICK:
            return self._r.randrange(partitions), (None, value, headers)
        fund = command.data.fund
        return partition_of(fund, partitions), (fund.encode(), value, headers)
