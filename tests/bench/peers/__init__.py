"""Who is measured: the matcher, and its peers, each a process of its own.

Every peer takes the records of the commands topic, parses each value's JSON (but for the ceiling, which says so), and copies the
record, headers and all, to a topic of its own; exactly once, in transactions, where its library can. Each is tuned to do its best
here; what was tried stands in its file. They are told to stop by killing them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.bus import topics
from tests.bench.peers import environment, streams

HERE = Path(__file__).parent
EXACTLY, AT_LEAST = "exactly once", "at least once"
MATCHER = "matcher"
STREAMS_COMMIT_MS = 100
"""Kafka Streams' own default with exactly_once_v2."""


@dataclass(frozen=True)
class Place:
    """Where a run takes place.

    Attributes:
        bootstrap: Kafka's servers.
        target: the topic that copies go to, and the name of group and transactions.
        directory: for what a peer keeps on disk.
    """

    bootstrap: str
    target: str
    directory: Path


Start = Callable[[Place], list[str]]
"""The command line that a run is started with."""


@dataclass(frozen=True)
class Peer:
    """One contender.

    Attributes:
        name: as on the command line.
        title: in words.
        does: what becomes of a record.
        guarantee: what its library promises of the output, as it is used here.
        made: makes what it needs in a directory, and gives the way to start it; blocks, and raises PumasiError if it can't be had.
    """

    name: str
    title: str
    does: str
    guarantee: str
    made: Callable[[Path], Start]


def matcher_command(bootstrap: str) -> list[str]:
    """One matcher process on all partitions it gets."""
    return [sys.executable, "-P", "-m", "services.cli", "matcher", "--json", "--kafka", bootstrap]


def _matcher(_directory: Path) -> Start:
    return lambda place: matcher_command(place.bootstrap)


def _own(module: str, *more: str) -> Callable[[Path], Start]:
    """A peer that runs in Pumasi's own environment: aiokafka and FastStream are Pumasi's."""
    command = [sys.executable, "-P", "-m", f"tests.bench.peers.{module}"]
    return lambda _directory: (
        lambda place: [*command, place.bootstrap, topics.COMMANDS, place.target, place.target, *more]
    )


def _foreign(script: str, *more: str) -> Callable[[Path], Start]:
    """A peer that runs in the environment of its own."""

    def made(_directory: Path) -> Start:
        python = str(environment.ready())
        return lambda place: [
            python, "-P", str(HERE / script), place.bootstrap, topics.COMMANDS, place.target, place.target,
            str(place.directory / place.target), *more,
        ]  # fmt: skip

    return made


def _streams(tuning: str, commit_ms: int = STREAMS_COMMIT_MS) -> Callable[[Path], Start]:
    def made(directory: Path) -> Start:
        kafka_streams = streams.ready(directory)
        return lambda place: kafka_streams.command(
            "StreamsEcho", place.bootstrap, topics.COMMANDS, place.target, place.target,
            str(place.directory / place.target), str(commit_ms), tuning,
        )  # fmt: skip

    return made


_COPIES, _PARSES = "copies bytes", "parses, copies"

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(MATCHER, "Pumasi's matcher", "validates, matches, hash-chains", EXACTLY, _matcher),
        Peer("streams", "Kafka Streams, tuned", _PARSES, EXACTLY, _streams("tuned")),
        Peer("streams-defaults", "Kafka Streams, defaults", _PARSES, EXACTLY, _streams("defaults")),
        Peer("aiokafka-bytes", "aiokafka, bytes only", _COPIES, EXACTLY, _own("aiokafka_echo", "bytes")),
        Peer("aiokafka", "aiokafka", _PARSES, EXACTLY, _own("aiokafka_echo", "parse")),
        Peer("quix", "Quix Streams", _PARSES, EXACTLY, _foreign("quix_echo.py")),
        Peer("faststream-batch", "FastStream, in batches", _PARSES, AT_LEAST, _own("faststream_batch")),
        Peer("faust", "Faust", _PARSES, AT_LEAST, _foreign("faust_echo.py")),
        Peer("faststream", "FastStream, as taught", _PARSES, AT_LEAST, _own("faststream_each")),
    )
}
"""By name, in the order of the table."""


LATENCY: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        PEERS[MATCHER],
        replace(PEERS["aiokafka"], title="aiokafka, a transaction a fetch"),
        replace(PEERS["streams-defaults"], title="Kafka Streams, commits every 100 ms"),
        Peer("streams-10ms", "Kafka Streams, every 10 ms", _PARSES, EXACTLY, _streams("defaults", 10)),
    )
}
"""The same for latency: only those who can do well at it."""


def chosen(names: Sequence[str], among: dict[str, Peer] = PEERS) -> list[Peer]:
    """Peers by name, the matcher always among them and first.

    Raises:
        KeyError: for a name that is none.
    """
    return [among[MATCHER], *(among[name] for name in names if name != MATCHER)]
