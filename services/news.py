"""What a running service tells of itself, for its screen: one type each.

A matcher or an intake under --json prints its news as lines, and whoever runs it as a child takes them out of those again: `document`,
`read`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Waiting:
    """Kafka is out of reach."""

    why: str


@dataclass(frozen=True)
class Assigned:
    """The group gave this process these partitions, and no others."""

    partitions: list[int]


@dataclass(frozen=True)
class Taken:
    """A matcher has fenced a partition's former owner and rebuilt its memory: from the checkpoint at an entry, or from all entries."""

    partition: int
    seq: int
    watermark: int
    checkpoint: int | None = None
    seconds: dict[str, float] | None = None


@dataclass(frozen=True)
class Answered:
    """So many commands more are answered."""

    partition: int
    commands: int
    seq: int


@dataclass(frozen=True)
class Forgotten:
    """A partition's memory is let go of, to be rebuilt after a pause."""

    partition: int
    why: str
    pause_s: float
    code: str = "unforeseen"


@dataclass(frozen=True)
class StandsStill:
    """An alarm: nothing from an offset on is answered, though it is tried again and again."""

    partition: int
    offset: int
    why: str


@dataclass(frozen=True)
class Stopped:
    """An alarm: a partition is at rest for good."""

    partition: int
    code: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class Ended:
    """The service has ended, with so many alarms."""

    alarms: int = 0


@dataclass(frozen=True)
class Resumed:
    """A notifier has read a partition again up to the last entry that was told before."""

    partition: int
    seq: int


@dataclass(frozen=True)
class Unopened:
    """A box on the contacts topic can't be opened."""

    partition: int
    offset: int


@dataclass(frozen=True)
class Flood:
    """An alarm: a sender sent so many events within so many seconds under ids that came before with other data."""

    sender: str
    conflicts: int
    seconds: int


MatcherNews = Waiting | Assigned | Taken | Answered | Forgotten | StandsStill | Stopped | Ended
NotifierNews = Waiting | Assigned | Resumed | Unopened | Ended

_KINDS: dict[str, type[MatcherNews | Flood]] = {
    "waiting": Waiting, "assigned": Assigned, "taken": Taken, "answered": Answered, "forgotten": Forgotten,
    "stands_still": StandsStill, "stopped": Stopped, "ended": Ended,
    "flood": Flood,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}


def document(news: MatcherNews | Flood) -> dict[str, Any]:
    """News of a matcher or an intake as an object of JSON."""
    return {"event": _NAMES[type(news)], **asdict(news)}


def read(line: Mapping[str, Any]) -> MatcherNews | Flood | None:
    """The news in an object of JSON; None where there is none that this version knows."""
    fields = dict(line)
    try:
        return _KINDS[fields.pop("event")](**fields)
    except (KeyError, TypeError):
        return None
