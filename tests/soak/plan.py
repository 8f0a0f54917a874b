"""The adversary's plan: what is done to whom and when. A pure function of seed, length and names; nothing here touches anything.

Each kind of fault has a stream of chance of its own, so leaving a kind out moves no other. A kind comes as often as its rate says, at
least once, spread over the run: one in each of as many equal slices, at a random moment of it. Kinds overlap as they fall; only the
full disk has a phase to itself at the end, since nothing else is to be learnt from a broker that can't write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from services.errors import UsageError

KAFKA = "kafka"
LAST_WORD_S = 2.0
"""Seconds before the end of the load in which nothing new is done: the faults at hand end with it."""
DISK_PHASE_S = (14.0, 45.0)
"""How long the full disk has to itself: so much at least and at most, else a tenth of the run."""


class Fault(NamedTuple):
    """One thing done to one target.

    Attributes:
        at_s: seconds after the load began.
        kind: of `KINDS`.
        target: a service's name, or a broker's: `kafka`, or `kafka-1` and so on.
        seconds: how long it lasts; 0 for what is over at once.
        size: of a delay, seconds a frame; of a clock, seconds it is off; else 0.

    """

    at_s: float
    kind: str
    target: str
    seconds: float
    size: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        size = {"delay": f" by {self.size * 1000:.0f} ms a frame", "clock": f" by {self.size:+,.0f} s"}
        return f"{self.at_s:8.1f} s  {self.kind:<19} {self.target}{size.get(self.kind, '')}{lasting}"


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        a_minute: how often.
        targets: which services, by the beginnings of their names; a name twice is twice as likely.
        seconds, size: between what; see `Fault`.
        text: what it is, for people.

    """

    a_minute: float
    targets: tuple[str, ...]
    text: str
    seconds: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float] = (0.0, 0.0)


_ALL = ("matcher", "matcher", "intake", "notifier")
KINDS: dict[str, Kind] = {
    "kill": Kind(4.0, _ALL, "kill -9 of a service"),
    "kill-broker": Kind(0.4, (KAFKA,), "kill -9 of the broker"),
    "restart": Kind(0.6, _ALL, "SIGTERM: an orderly restart of a service"),
    "restart-broker": Kind(0.1, (KAFKA,), "SIGTERM: an orderly restart of the broker"),
    "pause": Kind(0.8, _ALL, "SIGSTOP beyond the session's timeout, then SIGCONT: a zombie", (8, 16)),
    "pause-broker": Kind(0.15, (KAFKA,), "SIGSTOP of the broker, then SIGCONT", (3, 9)),
    "cut": Kind(1.2, ("matcher",), "all connections of a matcher reset, new ones refused for a while", (0, 4)),
    "delay": Kind(0.4, ("matcher",), "a matcher's line is slow: each frame waits", (5, 12), (0.02, 0.4)),
    "silence": Kind(0.3, ("matcher",), "a matcher's line swallows everything, then is reset", (6, 14)),
    "lost-endtxn-reply": Kind(1.5, ("matcher",), "EndTxn is done, its reply lost, the connection reset"),
    "late-endtxn": Kind(0.6, ("matcher",), "the connection is reset, and EndTxn arrives afterwards", (0.3, 3)),
    "lost-endtxn": Kind(0.4, ("matcher",), "EndTxn never arrives, the connection is reset"),
    "lost-produce-reply": Kind(0.8, ("matcher",), "records are appended, the reply lost, the connection reset"),
    "lost-init-reply": Kind(0.3, ("matcher",), "InitProducerId is done, its reply lost, the connection reset"),
    "clock": Kind(0.5, ("matcher", "intake"), "a service's clock steps to and fro", (6, 20), (-93_600, 93_600)),
    "disk-full": Kind(0.0, (KAFKA,), "the broker's disk is full", (3, 6)),
}
"""The index of faults."""
OF_SEVERAL: dict[str, Kind] = KINDS | {
    "pause-broker": replace(
        KINDS["pause-broker"], text="SIGSTOP of a broker far beyond its session, then SIGCONT", seconds=(18, 25)
    ),
    "kill-controller": Kind(0.3, (KAFKA,), "kill -9 of the broker whose controller leads"),
    "roll-brokers": Kind(0.15, (KAFKA,), "each broker restarted in turn, once all copies are in step"),
}
"""The same where there are several brokers."""
KILLS = ("kill", "kill-broker", "kill-controller")


def kinds(brokers: int) -> dict[str, Kind]:
    """The index of faults for so many brokers."""
    return KINDS if brokers == 1 else OF_SEVERAL


def brokers_of(number: int) -> list[str]:
    """The names of so many brokers."""
    return [KAFKA] if number == 1 else [f"{KAFKA}-{one}" for one in range(1, number + 1)]


def plan(
    seed: int,
    length_s: float,
    services: Sequence[str],
    without: Collection[str] = (),
    only: Collection[str] = (),
    brokers: int = 1,
) -> list[Fault]:
    """The faults of a soak, by time.

    Args:
        seed: decides all.
        length_s: how long the load lasts, seconds.
        services: the names of those that may be struck, such as `matcher-1`.
        without: kinds to leave out.
        only: the kinds there are to be; none given: all.
        brokers: how many.

    Raises:
        UsageError: for a kind that isn't known.

    """
    index = kinds(brokers)
    for option, named in (("--without", without), ("--only", only)):
        if unknown := set(named) - index.keys():
            raise UsageError(f"{option} {min(unknown)}: there is no such fault", hint=f"There are: {', '.join(index)}.")
    wanted = (set(only) or index.keys()) - set(without)
    struck = [*services, *brokers_of(brokers)]
    disk = "disk-full" in wanted
    span = length_s - LAST_WORD_S - (disk_phase_s(length_s) if disk else 0.0)
    faults = [
        fault
        for name, kind in index.items()
        if name in wanted and name != "disk-full"
        for fault in _faults(_stream(seed, name), name, kind, max(span, 1.0), struck)
    ]
    if disk:
        draw = _stream(seed, "disk-full")
        seconds = draw.uniform(*KINDS["disk-full"].seconds)
        target = draw.choice(brokers_of(brokers))
        faults.append(Fault(length_s - disk_phase_s(length_s) + 1.0, "disk-full", target, seconds, 0.0))
    return sorted(faults)


def disk_phase_s(length_s: float) -> float:
    """How long the phase of the full disk is, in seconds."""
    least, most = DISK_PHASE_S
    return min(most, max(least, length_s / 10))


def _faults(draw: Random, name: str, kind: Kind, span_s: float, struck: Sequence[str]) -> Iterator[Fault]:
    count = max(1, round(kind.a_minute * span_s / 60))
    for number in range(count):
        at = (number + draw.random()) * span_s / count
        beginning = draw.choice(kind.targets)
        target = draw.choice([one for one in struck if one.startswith(beginning)])
        seconds = min(draw.uniform(*kind.seconds), max(0.0, span_s + LAST_WORD_S - at))
        yield Fault(round(at, 3), name, target, round(seconds, 3), round(_size(draw, kind), 3))


def _size(draw: Random, kind: Kind) -> float:
    return draw.uniform(*kind.size)


def _stream(seed: int, name: str) -> Random:
    return Random(f"{seed}/{name}")  # chance, not a secret
