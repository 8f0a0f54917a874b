"""What is said of a soak: figures and findings, for people and for programs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tests.soak.adversary import Strike
from tests.soak.check.findings import Finding
from tests.soak.plan import KILLS, Fault, kinds, plan
from tests.soak.watch import Stall, at_work, longest_by_kind, longest_of_each
from tests.soak.world import Crew

_STALLS_TOLD = 20


@dataclass(frozen=True)
class Wanted:
    """What a soak is to be: with the code and the machine, all that decides it."""

    minutes: float
    seed: int
    rate: float
    crew: Crew = field(default_factory=Crew)
    partitions: int = 4
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def plan(self) -> list[Fault]:
        """The faults. Raises UsageError for a kind that isn't known."""
        return plan(self.seed, self.length_s, self.crew.names, self.without, self.only, self.crew.brokers)

    @property
    def length_s(self) -> float:
        """How long the load lasts."""
        return self.minutes * 60

    @property
    def command(self) -> str:
        """The line that does it again."""
        parts = [
            "./run",
            "soak",
            "--minutes",
            f"{self.minutes:g}",
            "--seed",
            str(self.seed),
            "--rate",
            f"{self.rate:g}",
        ]
        for name, value, usual in (
            ("--matchers", self.crew.matchers, 3), ("--intakes", self.crew.intakes, 2),
            ("--notifiers", self.crew.notifiers, 2), ("--partitions", self.partitions, 4), ("--brokers", self.crew.brokers, 1),
        ):  # fmt: skip
            parts += [] if value == usual else [name, str(value)]
        for kind in self.without:
            parts += ["--without", kind]
        for kind in self.only:
            parts += ["--only", kind]
        return shlex.join(parts)


class Row(NamedTuple):
    """What one kind of fault came to.

    Attributes:
        planned, struck: how often.
        typical, longest: of the longest stalls in which each was at work, seconds: the median, 0 for each without one, and the most.
        alone: of the longest in which nothing else was at work. None: there was none.
    """

    kind: str
    planned: int
    struck: int
    typical: float | None
    longest: float | None
    alone: float | None

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        stalls = {"typical_stall_s": self.typical, "longest_stall_s": self.longest, "longest_stall_alone_s": self.alone}
        rounded = {name: None if stall is None else round(stall, 1) for name, stall in stalls.items()}
        return {"planned": self.planned, "struck": self.struck, **rounded}


@dataclass
class Result:
    """What came of it."""

    wanted: Wanted
    seconds: float = 0.0
    load_seconds: float = 0.0
    began: float = 0.0
    stopped_early: bool = False
    faults: Sequence[Fault] = ()
    struck: Sequence[Strike] = ()
    missed: Sequence[Fault] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    stalls: Sequence[Stall] = ()
    submitted: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    broker_ends: int = 0
    recoveries: int = 0
    audit: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    finding_counts: Counter[str] = field(default_factory=Counter)
    evidence: Path | None = None

    def find(self, code: str, where: str, text: str) -> None:
        """Note a finding of the run itself."""
        self.finding_counts[code] += 1
        self.findings.append(Finding(code, where, text))

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.finding_counts

    @property
    def kills(self) -> int:
        """kill -9, of services and of the broker."""
        return sum(strike.fault.kind in KILLS for strike in self.struck)

    @property
    def longest(self) -> Stall | None:
        """The longest stall."""
        return max(self.stalls, key=lambda stall: stall.seconds, default=None)

    def rows(self) -> list[Row]:
        """What each kind of fault came to, in the order of the index."""
        planned = Counter(fault.kind for fault in self.faults)
        struck = Counter(strike.fault.kind for strike in self.struck)
        each = longest_of_each(self.stalls, self.struck)
        alone = longest_by_kind(self.stalls, self.struck, alone=True)
        return [
            Row(kind, planned[kind], struck[kind], *_typical_and_most(each.get(kind, [])), alone.get(kind))
            for kind in kinds(self.wanted.crew.brokers)
            if planned[kind]
        ]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        longest = self.longest
        return {
            "ok": self.ok,
            "command": self.wanted.command,
            "seconds": round(self.seconds, 1),
            "load_seconds": round(self.load_seconds, 1),
            "stopped_early": self.stopped_early,
            "faults": {row.kind: row.as_json() for row in self.rows()},
            "kills": self.kills,
            "skipped": self.skipped,
            "submitted": dict(self.submitted),
            "checked": dict(self.checked),
            "longest_stall_s": round(longest.seconds, 1) if longest else 0.0,
            "longest_stalls": [
                self.place_of(stall) for stall in sorted(self.stalls, key=lambda stall: -stall.seconds)[:_STALLS_TOLD]
            ],
            "ends": dict(self.ends),
            "broker_ends": self.broker_ends,
            "recoveries": self.recoveries,
            "audit": self.audit,
            "findings": dict(self.finding_counts),
            "first_findings": [finding._asdict() for finding in self.findings[:20]],
            "evidence": str(self.evidence) if self.evidence else None,
        }

    def place_of(self, stall: Stall) -> dict[str, Any]:
        """Where and when a stall was, in seconds since the load began, and which faults were at work in it."""
        return {
            "partition": stall.partition,
            "from_s": round(stall.began - self.began, 1),
            "to_s": round(stall.ended - self.began, 1),
            "faults": [
                f"{s.fault.kind} {s.fault.target} at {s.began - self.began:.1f}"
                for s in self.struck
                if at_work(s, stall)
            ],
        }


def _typical_and_most(stalls: Sequence[float]) -> tuple[float | None, float | None]:
    return (median(stalls), max(stalls)) if any(stalls) else (None, None)


def skipped_kinds(can_fill: bool, has_clocks: bool, wanted: Collection[str]) -> dict[str, str]:
    """Kinds of fault that are wanted and can't be done here, each with why."""
    found = {}
    if not can_fill and "disk-full" in wanted:
        found["disk-full"] = "needs root, to mount a small filesystem for the broker's data"
    if not has_clocks and "clock" in wanted:
        found["clock"] = "needs Linux and a C compiler (Debian: apt-get install gcc)"
    return found
