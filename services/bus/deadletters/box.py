"""What lies on the dead-letters topic: letters, and marks that say of a letter that it was put back.

A letter's id is the place of its record, `<topic>-<partition>-<offset>`: a record has one letter, whoever wrote it and wherever
it lies. A mark is a CloudEvent of type `pumasi.deadletter.replayed` whose `ce_id` and key are the letter's id; it has none of
KIP-1034's headers, by which letters are recognised. It lies behind its letter in the same partition; since Kafka forgets the
oldest first, no letter is ever seen without the mark that came after it. Anything else there is neither, and is ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.senders import NAME
from schemas.times import text_of
from services.bus.attributes import is_id
from services.bus.consume.scan import Extent, Progress, TopicReader
from services.bus.deadletters.letter import NOTHING, PREFIX, REPLAY_OF, WITHHELD, Letter, Place, place_of
from services.bus.envelope import COMMAND_BYTES_MAX, SENDER, Record, command_headers
from services.bus.produce.transaction import Parts
from services.bus.topics import COMMANDS, DEADLETTERS, SUBMISSIONS
from services.errors import UnknownId, Unsigned
from services.senders import SENDER_HEADER

REPLAYED = "pumasi.deadletter.replayed"
"""The `ce_type` of a mark."""
DOORS = (COMMANDS, SUBMISSIONS)
"""The topics that a record may be put back to; the others are for one service alone to write."""

_SOURCE = "/pumasi/deadletters"
_SENDERS = (SENDER, SENDER_HEADER)  # of a command, of a submission
_is_name = re.compile(NAME).fullmatch
_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A letter, without its content.

    Attributes:
        source: where the record lies, or lay; as text it is the letter's id.
        place: where the letter lies.
        code, message: why; the code is stable.
        at: when it was written, microseconds since 1970.
        fund: the record's fund, where it can be read.
        withheld: what differs from the record: some of `key`, `value`, `headers`; None if the letter does not say.
        size: of key, value and headers, in bytes.
        replay_of: the id of the letter that the record was put back from, if it was.
        sender: who sent it, as the record says, where that can be a sender's name.
    """

    source: Place
    place: Place
    code: str
    message: str
    at: int
    fund: str | None
    withheld: tuple[str, ...] | None
    size: int
    replay_of: str | None
    sender: str | None = None

    @property
    def id(self) -> str:
        return str(self.source)

    @property
    def whose(self) -> str | None:
        """Who sent it, for people: of what is `unsigned` nothing shows that it is true."""
        return f"says it is {self.sender}" if self.sender and self.code == Unsigned.code else self.sender

    @property
    def refusal(self) -> str | None:
        """Why it can't be put back, as a stable code; None if it can."""
        if self.source.topic not in DOORS:
            return "not_replayable"
        return "withheld" if self.withheld is None or self.withheld else None

    @property
    def withheld_parts(self) -> list[str]:
        """What is withheld, for people and programs: `unknown` where the letter does not say."""
        return ["unknown"] if self.withheld is None else list(self.withheld)


class Mark(NamedTuple):
    """A letter was put back.

    Attributes:
        letter: its id.
        to: where the record lies now.
        at: when, microseconds since 1970.
        run: which call of `replay` did it.
    """

    letter: str
    to: Place
    at: int
    run: str


@dataclass(frozen=True)
class Filter:
    """Which letters are meant, by what `DeadLetter` has; None admits all. Times are as its `at`, and `until` is excluded."""

    topic: str | None = None
    partition: int | None = None
    code: str | None = None
    since: int | None = None
    until: int | None = None
    fund: str | None = None

    def admits(self, letter: DeadLetter) -> bool:
        asked = (
            (self.topic, letter.source.topic),
            (self.partition, letter.source.partition),
            (self.code, letter.code),
            (self.fund, letter.fund),
        )
        return (
            all(wanted is None or wanted == found for wanted, found in asked)
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
        )


@dataclass
class Box:
    """What was read of the topic: letters and marks by the letter's id; of two letters of one record the first."""

    letters: dict[str, DeadLetter] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    def trail(self, letter: DeadLetter) -> DeadLetter | None:
        """The letter that the record became again after it was put back, if there is one in the box."""
        mark = self.marks.get(letter.id)
        return self.letters.get(str(mark.to)) if mark else None

    def letter(self, name: str) -> DeadLetter:
        """The letter of an id.

        Raises:
            UnknownId: if there is none.
        """
        if name not in self.letters:
            raise UnknownId(
                f"there is no dead letter {name}",
                hint="`pumasi deadletters list` shows those there are; one is kept for 90 days.",
            )
        return self.letters[name]


def read(record: Record) -> DeadLetter | Mark | None:
    """A record of the dead-letters topic; None if it is neither letter nor mark, or can't be read at all."""
    try:
        return _read(record)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # one letter that we did not foresee must not hide the others
        return None


def _read(record: Record) -> DeadLetter | Mark | None:
    told = {name: (value or b"").decode("utf-8", "replace") for name, value in reversed(list(record.headers))}
    if PREFIX + "topic" in told:
        return _letter(record, told)
    return _mark(record, told) if told.get("ce_type") == REPLAYED else None


def content(record: Record) -> Letter:
    """What a letter keeps of its record, without the letter's own headers."""
    headers = [(name, value) for name, value in record.headers if not name.startswith(PREFIX) and name != WITHHELD]
    return Letter(record.key, record.value, headers)


def mark_row(mark: Mark) -> Parts:
    """A mark as it is written."""
    value = {"letter": mark.letter, **mark.to._asdict(), "run": mark.run}
    headers = command_headers(REPLAYED, mark.letter, _SOURCE, text_of(mark.at))
    return mark.letter.encode(), json.dumps(value, separators=(",", ":")).encode(), headers


async def read_box(
    reader: TopicReader,
    wanted: Filter | None = None,
    progress: Progress | None = None,
    sources: Iterable[int] | None = None,
) -> Box:
    """The letters that a filter admits, and all marks beside them, as the topic stands now.

    Args:
        wanted: which letters; all if None.
        sources: read the letters of these partitions of the source topics only.

    Raises:
        TopicsMismatch: if there is no such topic.
        KafkaUnreachable: if no broker answers.
    """
    wanted = wanted or Filter()
    if wanted.partition is not None:
        sources = [wanted.partition]
    partitions: Collection[int] | None = None
    if sources is not None:
        count = len(await reader.extents(DEADLETTERS))
        partitions = {source % count for source in sources}
    box = Box()
    async for record in reader.records(DEADLETTERS, partitions, progress):
        found = read(record)
        if isinstance(found, Mark):
            box.marks.setdefault(found.letter, found)
        elif found is not None and wanted.admits(found):
            box.letters.setdefault(found.id, found)
    return box


async def contents(reader: TopicReader, letters: Collection[DeadLetter]) -> dict[str, Letter]:
    """What letters of one partition of the topic keep, by id; those that Kafka has forgotten meanwhile are left out."""
    found: dict[str, Letter] = {}
    wanted = {letter.place.offset: letter.id for letter in letters}
    if not wanted:
        return found
    (partition,) = {letter.place.partition for letter in letters}
    extent = Extent(min(wanted), max(wanted) + 1)
    async with aclosing(reader.records(DEADLETTERS, {partition: extent})) as records:
        async for record in records:
            if record.offset in wanted:
                found[wanted[record.offset]] = content(record)
    return found


def _letter(record: Record, told: dict[str, str]) -> DeadLetter | None:
    source = place_of("-".join(told.get(PREFIX + name, "") for name in ("topic", "partition", "offset")))
    if source is None:
        return None
    withheld: tuple[str, ...] | None = None
    if WITHHELD in told:
        withheld = tuple(part for part in told[WITHHELD].split(",") if part != NOTHING)
    replay_of = told.get(REPLAY_OF, "")
    return DeadLetter(
        source=source,
        place=Place(record.topic, record.partition, record.offset),
        code=told.get(PREFIX + "exception", ""),
        message=told.get(PREFIX + "message", ""),
        at=_at(record),
        fund=_fund(record),
        withheld=withheld,
        size=len(record.key or b"") + len(record.value or b"") + sum(len(n) + len(v or b"") for n, v in record.headers),
        replay_of=replay_of if place_of(replay_of) else None,
        sender=next((told[name] for name in _SENDERS if _is_name(told.get(name, ""))), None),
    )


def _mark(record: Record, told: dict[str, str]) -> Mark | None:
    try:
        given = json.loads(record.value or b"")
        to = place_of(str(Place(given["topic"], given["partition"], given["offset"])))
        run = str(given["run"])
    except (ValueError, KeyError, TypeError):
        return None
    letter = told.get("ce_id", "")
    return Mark(letter, to, _at(record), run) if to and place_of(letter) else None


def _at(record: Record) -> int:
    """Its time in microseconds. A writer may give any number; one that no calendar has becomes the nearest that it has."""
    return max(0, min(record.timestamp, _LAST_MS)) * 1000


def _fund(record: Record) -> str | None:
    """The fund that a record says it is of: in its data, or else by its key."""
    given: Any = None
    if record.value is not None and len(record.value) <= COMMAND_BYTES_MAX:
        try:
            given = json.loads(record.value)
        except (ValueError, RecursionError):
            given = None
    data = given.get("data", given) if isinstance(given, dict) else None
    fund = data.get("fund") if isinstance(data, dict) else None
    if isinstance(fund, str) and is_id(fund):
        return fund
    key = (record.key or b"").decode("ascii", "replace")
    return key if is_id(key) else None
