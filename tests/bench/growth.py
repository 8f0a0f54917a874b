"""What does size cost? The same mixture over a thousand live entities and a million, and after a million entries of what has ended.

Each size has a partition's memory of its own, all in one process, and they take turns, so that a machine whose speed drifts wrongs
nobody. In a turn mixed commands are served as in service (`parts.Service`), from the bytes of a fetch to laid-out batches. A
thousand entities would soon be several thousand: where a turn would make many out of few, each turn has a fresh memory. After the
turns come as many commands as lie between two checkpoints, and the next one is measured. Processor time; the ratio is taken turn by
turn, each with its part of that checkpoint, and the figure is the median.

Every size has grown by the mixture itself, until so many cases and pledges are alive; some three times as many have ended by then. The
commands come from a process for each size, whose engine knows what may come next. That one also tells how long it takes to restore such
an engine from its checkpoint.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, NamedTuple

import psutil

from schemas.ledger import GENESIS
from services import native
from services.errors import UsageError
from services.matcher.checkpoint.restoring import newest, restored
from services.matcher.checkpoint.rows import case_ended, pledge_ended
from services.matcher.checkpoint.writing import Head, Keeper
from services.matcher.engine.engine import Engine
from services.matcher.ledger.draft import Draft
from services.matcher.partition.process_memory import LargePages, give_freed_memory_back, keep_freed_memory
from services.settings import Settings
from tests.bench.alone import Command, records
from tests.bench.parts import Clock, Service, fetch_of
from tests.bench.peers import MATCHER, PEERS
from tests.bench.running import Ended
from tests.bench.season import LEVEL, Season
from tests.bench.throughput import Watcher, throughput

_FETCH_RECORDS = 4_000
_FEW_TURNS = 10
_TELLING = 50_000
_MIXED_IN_SERVICE = 200_000
_COMMANDS_A_LIVE_ONE = 4
"""About: so many commands of the mixture leave one more alive."""


class Plan(NamedTuple):
    """What is measured.

    Attributes:
        turns, turn: how many, and mixed commands in each; one turn before them warms up.
        between: commands between two checkpoints.
    """

    turns: int = 12
    turn: int = 2_000
    between: int = Settings.model_fields["checkpoint_entries"].default


PLAN = Plan()


class Size(NamedTuple):
    """So many entities alive, after so many entries of what has ended."""

    live: int
    past: int = 0

    def few(self, plan: Plan) -> bool:
        """Whether a turn would make many of them."""
        return self.live < _FEW_TURNS * plan.turn

    @property
    def title(self) -> str:
        return f"{self.live:,}" + (f" after {self.past:,} entries" if self.past else "")


def sizes_of(live: Sequence[int], past: int) -> list[Size]:
    """So many alive each, and one of those in the middle once more after a past."""
    return [*map(Size, live), Size(live[len(live) // 2], past)]


class Grown(NamedTuple):
    """What a size is when its turns begin.

    Attributes:
        alive: cases and pledges that may still change.
        known: all of them, those that have ended included.
        restored_seconds, checkpoint_mb: of processor time to restore it from its checkpoint, and how large that is.
    """

    alive: int
    known: int
    restored_seconds: float
    checkpoint_mb: float


NOT_GROWN = Grown(0, 0, 0.0, 0.0)


@dataclass
class Row:
    """What was found of one size.

    Attributes:
        size: which.
        microseconds: of processor time a command, turn by turn.
        parts: the same by part, of all turns.
        longest_ms: the longest that a single command took in the first turn, when everything happens for the first time.
        bytes_an_entry: of a command, in the turns: what size leaves as it is, if it is the same load.
        mib: resident memory of it.
        grown: what it was.
    """

    size: Size
    microseconds: list[float] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    longest_ms: float = 0.0
    bytes_an_entry: float = 0.0
    mib: float = 0.0
    grown: Grown = NOT_GROWN

    @property
    def bytes_alive(self) -> float | None:
        """Of memory, a live one; None if there are too few to tell, or others beside them."""
        return self.mib * 2**20 / self.size.live if self.size.live >= _TELLING and not self.size.past else None

    def ratio(self, first: Row) -> float:
        """How much more a command costs than at another size, the median over turns."""
        return median(mine / its for mine, its in zip(self.microseconds, first.microseconds, strict=True))

    def as_json(self, first: Row) -> dict[str, Any]:
        """All of it, beside the first size."""
        return {
            "live": self.size.live,
            "past": self.size.past,
            "microseconds": round(median(self.microseconds), 2),
            "ratio": round(self.ratio(first), 3),
            "longest_ms": round(self.longest_ms, 2),
            "mib": round(self.mib, 1),
            "bytes_alive": None if self.bytes_alive is None else round(self.bytes_alive),
            "bytes_an_entry": round(self.bytes_an_entry),
            **{name: round(value, 2) for name, value in self.grown._asdict().items()},
            "parts": {name: round(value, 3) for name, value in self.parts.items()},
        }


def bytes_of_past(rows: Sequence[Row]) -> float | None:
    """What an entry of what has ended keeps of memory; None if there are too few to tell."""
    without = {row.size.live: row.mib for row in rows if not row.size.past}
    return next(
        ((row.mib - without[row.size.live]) * 2**20 / row.size.past for row in rows if row.size.past >= _TELLING), None
    )


def measure(sizes: Sequence[Size], seed: int, watcher: Watcher, plan: Plan = PLAN) -> list[Row]:
    """Measure some sizes; the first is what the others are held against.

    Raises:
        UsageError: if nothing is compiled here: figures are of the compiled way.
        Ended: if a process that makes commands ended by itself.
    """
    if not native.in_use():
        raise UsageError("nothing is compiled here, and figures are of the compiled way", hint="Unset PUMASI_PURE.")
    gc.set_threshold(200_000, 20, 100)  # as the matcher does
    keep_freed_memory()
    with _sources(sizes, seed, plan) as sources:
        towns = [_Town(size, source, plan, watcher) for size, source in zip(sizes, sources, strict=True)]
        for town in towns:
            town.begin()
        for number in range(plan.turns):
            watcher.doing(f"turn {number + 1}/{plan.turns}")
            for town in towns:
                town.turn()
        for town in towns:
            town.end()
    return [town.row for town in towns]


class _Town:
    """One size: its memory, and where its commands come from.

    Attributes:
        row: what was found of it.
    """

    def __init__(self, size: Size, source: Connection, plan: Plan, watcher: Watcher) -> None:
        self._source, self._plan, self._watcher = source, plan, watcher
        self.row, self._clock = Row(size), Clock()
        self._service: Service | None = None
        self._pages = LargePages()

    def begin(self) -> None:
        """Build it, and have one turn command by command."""
        before = _resident()
        self._build(self._watcher)
        self._pages.keep_up()
        self._pages.wait()
        self.row.mib = (_resident() - before) / 2**20
        self.row.longest_ms = self._service.answer_singly(self._next()) * 1e3

    def turn(self) -> None:
        """Serve a turn's commands."""
        if self.row.size.few(self._plan):
            self._build()
        service, began = self._service, self._clock.seconds
        service.fetched(self._next())
        self.row.bytes_an_entry += service.answer() / (self._plan.turns * self._plan.turn)
        service.settle()
        self.row.microseconds.append((self._clock.seconds - began) / self._plan.turn * 1e6)

    def end(self) -> None:
        """Serve as much as lies between two checkpoints, and write the next one."""
        self._watcher.doing(f"from checkpoint to checkpoint, {self.row.size.title}", self._plan.between)
        turns, service = self._clock.microseconds(self._plan.turns * self._plan.turn), self._service
        service.clock = Clock()
        service.checkpoint()
        done = 0
        while done < self._plan.between:
            done += service.fetched(self._next())
            service.answer()
            service.settle()
            self._watcher.reached(done)
        service.clock = Clock()
        service.checkpoint()
        part = service.clock.microseconds(done)
        self.row.microseconds = [each + sum(part.values()) for each in self.row.microseconds]
        self.row.parts = {name: each + part[name] for name, each in turns.items()}

    def _build(self, watcher: Watcher | None = None) -> None:
        """Take in commands until there are as many alive as there should be."""
        self._service = None  # freed before the next is built
        if watcher:
            watcher.doing(f"growing to {self.row.size.title}", self.row.size.live)
        service = Service(Engine(), Draft(0, 0, GENESIS, -1), Clock())
        while isinstance(sent := self._next(), bytes):
            service.fetched(sent)
            service.answer()
            service.settle()
            if watcher:
                watcher.reached(service.seq // _COMMANDS_A_LIVE_ONE)
        service.checkpoint()
        service.settle()
        self.row.grown = sent
        service.clock = self._clock
        self._service = service

    def _next(self) -> Any:
        try:
            return self._source.recv()
        except EOFError:
            raise Ended(f"nobody makes the commands of {self.row.size.title} any more") from None


async def in_service(live: Sequence[int], seed: int, watcher: Watcher) -> dict[int, float]:
    """Mixed commands a second by the matcher on a real broker, over about so many entities alive.

    Raises:
        Ended, Wrong: if a figure would be worth nothing.
    """
    rates = {}
    for size in live:
        season = Season(1, _MIXED_IN_SERVICE, seed=seed, goals=LEVEL, grown=_COMMANDS_A_LIVE_ONE * size)
        result = await throughput(season, [PEERS[MATCHER]], 1, False, watcher)
        rates[size] = result.matcher.rates[0]
    return rates


@contextmanager
def _sources(sizes: Sequence[Size], seed: int, plan: Plan) -> Iterator[list[Connection]]:
    """A process for each size, which makes its commands."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in sizes]
    makers = [
        context.Process(target=_make, args=(size, seed, plan, into), daemon=True)
        for size, (_, into) in zip(sizes, pipes, strict=True)
    ]
    try:
        for maker, (_, into) in zip(makers, pipes, strict=True):
            maker.start()
            into.close()
        yield [out for out, _ in pipes]
    finally:
        for maker in makers:
            maker.kill()
            maker.join()


def _make(size: Size, seed: int, plan: Plan, into: Connection) -> None:
    """Send a size's fetches: until it has grown, what it is then, and its turns; few entities with each turn anew."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asked for them ends us
    gc.set_threshold(200_000, 20, 100)
    turns = plan.turns + 1  # the first warms up
    rounds, each = (turns, 1) if size.few(plan) else (1, turns)
    with suppress(BrokenPipeError):
        for number in range(rounds):
            more = each * plan.turn + (plan.between if number == rounds - 1 else 0)
            season = Season(1, 6 * size.live + 20_000 + more, seed=seed + number, goals=LEVEL, past=size.past)
            making = season.making()
            commands = records(making.rows(season))
            _send(into, islice(commands, season.before), _FETCH_RECORDS)
            while (lacking := size.live - alive(making.engine)) > 0:
                gc.freeze()
                _send(into, islice(commands, max(lacking, plan.turn // 10)), _FETCH_RECORDS)
            into.send(_grown(making.engine))
            _send(into, islice(commands, more), plan.turn)


def _send(into: Connection, commands: Iterator[Command], each: int) -> None:
    while some := list(islice(commands, each)):
        into.send(fetch_of(some))


def alive(engine: Engine) -> int:
    """How many cases and pledges may still change."""
    cases = sum(not case_ended(case) for fund in engine.funds.values() for case in fund.cases.values())
    return cases + sum(not pledge_ended(pledge) for fund in engine.funds.values() for pledge in fund.pledges.values())


def _grown(engine: Engine) -> Grown:
    """What an engine is, and what it takes to restore it."""
    gc.disable()  # as a recovery does
    kept: dict[bytes, bytes] = {}
    keeper: Keeper = Keeper()
    for portion in keeper.changes(engine):
        newest(kept, portion)
    newest(kept, [keeper.head(engine, Head(1, GENESIS, 0, 0))])
    size = sum(len(key) + len(value) for key, value in kept.items())
    began = time.process_time()
    found = restored(kept)
    seconds = time.process_time() - began
    found.engine.untie()
    gc.enable()
    return Grown(
        alive(engine), sum(len(fund.cases) + len(fund.pledges) for fund in engine.funds.values()), seconds, size / 1e6
    )


def _resident() -> int:
    give_freed_memory_back()
    return psutil.Process().memory_info().rss
