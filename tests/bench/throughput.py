"""How many pledges a second: the matcher, and what others reach who only copy; same broker, same records, same machine, in turn.

A run: a contender's process is started on the commands topic (a fund, its cases, then the pledges), and the last stable offset of
what it writes is watched from outside (`curve`): what a `read_committed` reader could have. Then it is killed, and its output is
read back and held against the load (`verify`).

**The rule, for all:** the clock starts when all cases and the first 40 % of the pledges are readable, so that neither starting up
nor the JVM's warm-up counts, and stops when the last pledge is. A peer that isn't through after `PEER_SECONDS_MAX` is measured over
what it did from a third of that time on, and the table says how far it came.

Contenders take turns within a round, in an order that is turned on by one each round. The machine's speed drifts; so ratios are
taken pair by pair within a round, and what is told is their median.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.errors import PumasiError
from tests.bench import ground, verify
from tests.bench.curve import watch, window
from tests.bench.load import Load, fill
from tests.bench.peers import EXACTLY, MATCHER, Peer, Place, Start
from tests.bench.running import Ended, running
from tests.bench.stats import Spread, ratios

WARM = 0.4
"""The part of the pledges that isn't measured."""
PEER_SECONDS_MAX = 18.0
_MATCHER_SECONDS_MAX = 900.0
_STALL_SECONDS_MAX = 45.0
_QUIET_SECONDS = 0.7
_NOT_YET = 1e18


class Watcher(Protocol):
    """Is told how far the bench is."""

    def doing(self, what: str, of: int = 0) -> None:
        """Something new has begun; `of` is how much there is to do, 0 if unknown."""

    def reached(self, count: int) -> None:
        """So much of it is done."""

    def say(self, line: str) -> None:
        """Something worth a line."""


@dataclass
class Found:
    """What was found of one contender.

    Attributes:
        peer: who.
        rates: pledges a second, by round.
        part: of the load, how much was got through (the least of its runs).
        failed: why it has no figure, or fewer than there were rounds.
        awards: a pledge, of the matcher.
    """

    peer: Peer
    rates: dict[int, float] = field(default_factory=dict)
    part: float = 1.0
    failed: str | None = None
    awards: float | None = None

    @property
    def spread(self) -> Spread | None:
        return Spread.of(list(self.rates.values())) if self.rates else None


@dataclass
class Throughput:
    """The whole result, the matcher first."""

    load: Load
    rounds: int
    found: list[Found]

    @property
    def matcher(self) -> Found:
        return self.found[0]

    def ratio(self, other: Found) -> Spread | None:
        """matcher / other, pair by pair."""
        return ratios(self.matcher.rates, other.rates)

    def as_json(self) -> dict[str, Any]:
        return {
            "load": self.load.title,
            "cases": self.load.cases,
            "measured": self.load.measured,
            "seed": self.load.seed,
            "rounds": self.rounds,
            "measured_from": WARM,
            "peers": {found.peer.name: self._found(found) for found in self.found},
        }

    def _found(self, found: Found) -> dict[str, Any]:
        told: dict[str, Any] = {
            "title": found.peer.title, "does": found.peer.does, "guarantee": found.peer.guarantee, "part": round(found.part, 3),
        }  # fmt: skip
        if found.spread:
            told["commands_per_second"] = found.spread.as_json()
        if found is not self.matcher and (ratio := self.ratio(found)):
            told["matcher_ratio"] = ratio.as_json(3)
        if found.awards is not None:
            told["awards_per_command"] = round(found.awards, 2)
        if found.failed:
            told["failed"] = found.failed
        return told


async def throughput(load: Load, peers: Sequence[Peer], rounds: int, audited: bool, watcher: Watcher) -> Throughput:
    """Measure `peers`, the first of which is the matcher, `rounds` times each, on a broker of the bench's own.

    Raises:
        Wrong: if the matcher's ledger isn't right. A peer's wrong copy only costs the peer its figure.
    """
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        result = Throughput(load, rounds, [Found(peer) for peer in peers])
        starts = _made(result.found, directory, watcher)
        watcher.doing("starting a broker")
        async with EmbeddedKafka(directory / "kafka", 0, more=ground.QUICK_TO_DELETE) as broker:
            await measure(result, starts, Place(broker.bootstrap, "", directory), audited, watcher)
    return result


async def measure(result: Throughput, starts: dict[str, Start], where: Place, audited: bool, watcher: Watcher) -> None:
    """The same on a broker that is there, whose topics it takes for itself."""
    load, rounds = result.load, result.rounds
    await topics.ensure(where.bootstrap, 1)
    watcher.doing(f"putting {load.commands:,} commands on it")
    await fill(where.bootstrap, load)
    for number in range(rounds):
        for found in _turned(result.found, number):
            if found.peer.name in starts:
                place = replace(where, target=f"bench.{found.peer.name}.{number}")
                await _run(found, number, rounds, load, place, starts[found.peer.name], watcher)
    if audited:
        watcher.doing("the audit decides everything again")
        await verify.audit(where.bootstrap, load)


def _made(found: Sequence[Found], directory: Path, watcher: Watcher) -> dict[str, Start]:
    starts = {}
    for each in found:
        watcher.doing(f"getting {each.peer.title} ready")
        home = directory / each.peer.name
        home.mkdir()
        try:
            starts[each.peer.name] = each.peer.made(home)
        except PumasiError as error:
            each.failed = error.message
            watcher.say(f"{each.peer.title}: left out, {error.message}")
    return starts


def _turned(found: Sequence[Found], by: int) -> list[Found]:
    by %= len(found)
    return [*found[by:], *found[:by]]


async def _run(
    found: Found, number: int, rounds: int, load: Load, place: Place, start: Start, watcher: Watcher
) -> None:
    watcher.doing(f"round {number + 1}/{rounds}: {found.peer.title}", load.commands)
    try:
        rate = await _measured(found, load, place, start, watcher)
    except (Ended, verify.Wrong, ValueError) as error:
        if found.peer.name == MATCHER:
            raise
        found.failed = str(error)
        watcher.say(f"round {number + 1}/{rounds}  {found.peer.title:30} failed: {error}")
        return
    found.rates[number] = rate
    watcher.say(f"round {number + 1}/{rounds}  {found.peer.title:30} {rate:9,.0f} commands/s")


async def _measured(found: Found, load: Load, place: Place, start: Start, watcher: Watcher) -> float:
    """One run; pledges a second. What was written is verified before it is believed."""
    ours = found.peer.name == MATCHER
    topic = topics.LEDGER if ours else place.target
    seconds_max = _MATCHER_SECONDS_MAX if ours else PEER_SECONDS_MAX
    if ours:
        await ground.clear(place.bootstrap, ground.MATCHERS)
    else:
        await ground.make(place.bootstrap, topic)
    try:
        async with running(start(place), place.directory / f"{place.target}.log") as process:
            curve = await watch(
                place.bootstrap, topic, 1, load.commands, process.still, seconds_max=seconds_max,
                stall_seconds_max=_STALL_SECONDS_MAX, quiet_seconds=_QUIET_SECONDS, told=watcher.reached,
            )  # fmt: skip
            said = process.last_words()
        if ours:
            output = await verify.ledger(place.bootstrap, load.commands, load.pledged())
        else:
            output = await verify.copy(place.bootstrap, topic, load)
        if found.peer.guarantee == EXACTLY and output.offsets and not output.transactions:
            raise verify.Wrong("it used no transactions")
        counts = curve.counts({0: output.offsets})
        if counts[-1] < load.commands and curve.times[-1] - curve.times[0] < seconds_max / 3:
            raise Ended(f"stood still after {counts[-1]:,} records: {said}")
        moved = next(at for at, count in zip(curve.times, counts, strict=True) if count)
        warm, warm_by = load.before + int(WARM * load.measured), _NOT_YET if ours else moved + seconds_max / 3
        rate = window(curve.times, counts, load.before, warm, warm_by, load.commands).rate
        found.part = min(found.part, counts[-1] / load.commands)
        if ours:
            found.awards = output.awards / load.measured
        return rate
    finally:
        if not ours:
            with contextlib.suppress(PumasiError):
                await ground.clear(place.bootstrap, [topic])
