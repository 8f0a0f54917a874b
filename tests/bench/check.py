"""No regression unseen: what is measured now against what is recorded in the repository, as ratios, since machines and days differ.

Each `Measure` says what it is, whether more or less is better, and how far it may fall: the tolerance is about twice what repeated
runs on one machine lay apart, so that a finding is worth a look. What can't be measured here (no network for a peer's jars) is
told, and is no finding.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.alone import CASES, answered_per_step
from tests.bench.engine import scale
from tests.bench.latency import latency
from tests.bench.load import Load
from tests.bench.machine import this_machine
from tests.bench.peers import LATENCY, MATCHER, PEERS
from tests.bench.rest import rest
from tests.bench.season import Season
from tests.bench.throughput import Watcher, throughput

FILE = Path(__file__).with_name("recorded.json")
MORE, LESS = "more", "less"
_PLEDGES, _MIXED, _ROUNDS = 300_000, 60_000, 3
_LATENCY_RATE, _LATENCY_SECONDS, _LATENCY_BEFORE = 1_000.0, 8.0, 20_000


@dataclass(frozen=True)
class Measure:
    """One thing that is watched.

    Attributes:
        title: in words.
        better: MORE or LESS.
        tolerance: how much worse it may be, as a part of what is recorded.
    """

    title: str
    better: str
    tolerance: float


MEASURES: dict[str, Measure] = {
    "mixed_aiokafka": Measure("mixed commands/s: the matcher, aiokafka copying = 1", MORE, 0.25),
    "matcher_aiokafka": Measure("pledges/s: the matcher, aiokafka copying = 1", MORE, 0.25),
    "matcher_streams": Measure("pledges/s: the matcher, Kafka Streams copying = 1", MORE, 0.35),
    "answer_step": Measure("pledges answered without a broker, a calibration step = 1", MORE, 0.15),
    "bytes_a_case": Measure("bytes of memory, an open case", LESS, 0.10),
    "bytes_a_pledge": Measure("bytes of memory, a pledge with its awards", LESS, 0.10),
    "rest_mib": Measure("MiB of a whole Pumasi at rest", LESS, 0.05),
    "rest_share": Measure("part of a core that a whole Pumasi takes in its first minute at rest", LESS, 0.40),
    "latency_p90": Measure("p90 at 1,000 pledges/s: the matcher, aiokafka copying = 1", LESS, 0.35),
}


@dataclass(frozen=True)
class Judged:
    """One measure held against what is recorded.

    Attributes:
        name, measure: what.
        recorded, found: the figures; None if there is none.
        fell: whether it is worse than the tolerance allows.
        rose: whether it is better by as much: time to record anew.
    """

    name: str
    measure: Measure
    recorded: float | None
    found: float | None
    fell: bool
    rose: bool

    @property
    def change(self) -> float | None:
        """How much more, as a part of what is recorded; None if one of the two is missing."""
        return self.found / self.recorded - 1 if self.found is not None and self.recorded else None


def judge(recorded: Mapping[str, float], found: Mapping[str, float]) -> list[Judged]:
    """Hold what was found against what is recorded; pure.

    Either may lack measures: then nothing fell.
    """
    judged = []
    for name, measure in MEASURES.items():
        before, now = recorded.get(name), found.get(name)
        worse = 0.0
        if before and now is not None:
            worse = (1 - now / before) if measure.better == MORE else (now / before - 1)
        judged.append(Judged(name, measure, before, now, worse > measure.tolerance, -worse > measure.tolerance))
    return judged


def read(file: Path = FILE) -> dict[str, float]:
    """What is recorded, by name; nothing if there is no file."""
    return json.loads(file.read_text())["ratios"] if file.exists() else {}


def write(found: Mapping[str, float], file: Path = FILE) -> None:
    """Record what was found, and on what machine."""
    document = {
        "machine": this_machine().as_json(),
        "ratios": {name: found[name] for name in MEASURES if name in found},
    }
    file.write_text(json.dumps(document, indent=2) + "\n")


def measure(seed: int, watcher: Watcher) -> tuple[dict[str, float], list[str]]:
    """All that can be measured here, and why the rest can't; some five minutes."""
    found: dict[str, float] = {}
    watcher.doing("the engine alone")
    [row] = scale([CASES], seed)
    found |= {"bytes_a_case": row.bytes_a_case or 0, "bytes_a_pledge": row.bytes_a_pledge}
    watcher.doing("answers without a broker")
    found["answer_step"] = round(answered_per_step(seed), 4)
    peers = [PEERS[MATCHER], PEERS["aiokafka"], PEERS["streams-defaults"]]
    whole = asyncio.run(throughput(Load(CASES, _PLEDGES, seed), peers, _ROUNDS, False, watcher))
    for name, other in (("matcher_aiokafka", whole.found[1]), ("matcher_streams", whole.found[2])):
        if ratio := whole.ratio(other):
            found[name] = round(ratio.median, 3)
    season = Season(CASES, _MIXED, seed=seed)
    mixed = asyncio.run(throughput(season, peers[:2], _ROUNDS, False, watcher))
    if ratio := mixed.ratio(mixed.found[1]):
        found["mixed_aiokafka"] = round(ratio.median, 3)
    missing = [f"{other.peer.title}: {other.failed}" for other in [*whole.found, *mixed.found] if other.failed]
    load = Load(CASES, _LATENCY_BEFORE, seed)
    both = [LATENCY[MATCHER], LATENCY["aiokafka"]]
    ours, theirs = asyncio.run(latency(load, both, [_LATENCY_RATE], _LATENCY_SECONDS, 1, watcher))[-2:]
    found["latency_p90"] = round(ours.rows[0].ms["p90"] / theirs.rows[0].ms["p90"], 3)
    quiet = asyncio.run(rest(watcher, minutes=1))
    found |= {"rest_mib": round(quiet.mib), "rest_share": round(max(quiet.shares), 4)}
    return found, missing


def as_json(judged: Sequence[Judged], missing: Sequence[str]) -> dict[str, Any]:
    """All of it."""
    return {
        "ok": not any(each.fell for each in judged),
        "measures": {
            each.name: {
                "title": each.measure.title,
                "better": each.measure.better,
                "tolerance": each.measure.tolerance,
                "recorded": each.recorded,
                "found": each.found,
                "fell": each.fell,
            }
            for each in judged
        },
        "missing": list(missing),
    }
