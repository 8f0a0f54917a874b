"""What a running service tells of itself, for its screen: one type each.

A matcher or an intake under --json prints its news as lines, and whoever runs it as a child takes them out of those again: `document`,
`read`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec


def _in_json(name: str) -> str:
    """`StandsStill` is `stands_still` there."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class _News(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="event", tag=_in_json):
    pass


class Waiting(_News, frozen=True):
    """Kafka is out of reach."""

    why: str


class Assigned(_News, frozen=True):
    """The group gave this process these partitions, and no others."""

    partitions: list[int]


class Taken(_News, frozen=True):
    """A matcher has fenced a partition's former owner and rebuilt its memory: from the checkpoint at an entry, or from all entries."""

    partition: int
    seq: int
    watermark: int
    checkpoint: int | None = None
    seconds: dict[str, float] | None = None


class Answered(_News, frozen=True):
    """So many commands more are answered."""

    partition: int
    commands: int
    seq: int


class Forgotten(_News, frozen=True):
    """A partition's memory is let go of, to be rebuilt after a pause."""

    partition: int
    why: str
    pause_s: float
    code: str = "unforeseen"


class StandsStill(_News, frozen=True):
    """An alarm: nothing from an offset on is answered, though it is tried again and again."""

    partition: int
    offset: int
    why: str


class Stopped(_News, frozen=True):
    """An alarm: a partition is at rest for good."""

    partition: int
    code: str
    message: str
    hint: str | None


class Ended(_News, frozen=True):
    """The service has ended, with so many alarms."""

    alarms: int = 0


class Resumed(_News, frozen=True):
    """A notifier has read a partition again up to the last entry that was told before."""

    partition: int
    seq: int


class Unopened(_News, frozen=True):
    """A box on the contacts topic can't be opened."""

    partition: int
    offset: int


class Flood(_News, frozen=True):
    """An alarm: a sender sent so many events within so many seconds under ids that came before with other data."""

    sender: str
    conflicts: int
    seconds: int


MatcherNews = Waiting | Assigned | Taken | Answered | Forgotten | StandsStill | Stopped | Ended
NotifierNews = Waiting | Assigned | Resumed | Unopened | Ended


def document(news: MatcherNews | Flood) -> dict[str, Any]:
    """News of a matcher or an intake as an object of JSON."""
    return {**msgspec.to_builtins(news)}


def read(line: Mapping[str, Any]) -> MatcherNews | Flood | None:
    """The news in an object of JSON; None where there is none that this version knows."""
    try:
        told: MatcherNews | Flood = msgspec.convert(line, MatcherNews | Flood)
    except msgspec.ValidationError:
        return None
    return told
