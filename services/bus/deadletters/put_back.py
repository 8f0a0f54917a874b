"""Putting dead letters back, each exactly once: a second call, a crash in the middle or two operators at once don't change that.

    fence ──► read the marks to the end ──► one transaction: records to their topics, marks beside the letters ──► …
      ▲                                          │ fenced, unknown outcome, any error
      └──────────────────────────────────────────┘

There is one writer for each partition of the dead-letters topic, by a fixed transactional id; fencing ends what a crashed or slower
one had begun. A record and its mark are in one transaction, so a letter has either both or neither; and what is marked is never put
back again. Nothing is read from the record's own place: what a letter does not keep whole is not put back at all, and nothing is
made up.

A record is put back to its own topic and partition, byte for byte, with one more header that names its letter. If it still can't
be read, it becomes a dead letter of its own, which keeps that header.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

from services.backoff import Backoff
from services.bus.client.open_transactions import Leftovers
from services.bus.consume.scan import Extent, TopicReader
from services.bus.deadletters.box import DeadLetter, Mark, contents, mark_row, read
from services.bus.deadletters.letter import REPLAY_OF, Letter, Place
from services.bus.produce.transaction import FencedWriter, Parts
from services.bus.topics import COMMANDS, DEADLETTERS, SUBMISSIONS
from services.errors import Fenced, KafkaUnreachable

CHUNK_LETTERS_MAX = 100
CHUNK_BYTES_MAX = 4 << 20
"""Letters and bytes of one transaction at most: it must be over quickly, since the matcher waits at an open one."""

_TRIES = 12
_BACKOFF_SECONDS = (0.1, 3.0)
_where = attrgetter("source.topic", "source.partition")


class Outcome(StrEnum):
    """What became of a letter."""

    REPLAYED = "replayed"
    WOULD_REPLAY = "would_replay"
    ALREADY_REPLAYED = "already_replayed"
    WITHHELD = "withheld"
    NOT_REPLAYABLE = "not_replayable"
    GONE = "gone"

    @property
    def is_refusal(self) -> bool:
        return self in (Outcome.WITHHELD, Outcome.NOT_REPLAYABLE, Outcome.GONE)


@dataclass(frozen=True)
class Result:
    """What became of a letter, and where its record lies now if it was put back."""

    letter: DeadLetter
    outcome: Outcome
    to: Place | None = None


async def replay(
    bootstrap: str,
    letters: Sequence[DeadLetter],
    told: Callable[[Result], None] = lambda _result: None,
) -> list[Result]:
    """Put letters back, in the order of their records in each partition.

    Args:
        letters: which, each once.
        told: called with each result as soon as it is certain.

    Raises:
        KafkaUnreachable: if it can't be finished; what was told is done, and calling again does the rest.
    """
    results: list[Result] = []

    def tell(result: Result) -> None:
        results.append(result)
        told(result)

    by_partition = sorted(letters, key=lambda letter: (letter.place.partition, letter.place.offset))
    for partition, group in groupby(by_partition, key=lambda letter: letter.place.partition):
        fit = []
        for letter in group:
            if letter.refusal:
                tell(Result(letter, Outcome(letter.refusal)))
            else:
                fit.append(letter)
        if fit:
            await _Replayer(bootstrap, partition, fit, tell).run()
    return results


async def release(bootstrap: str, partitions: int) -> None:
    """Shut out everybody who is putting letters back, and end what they left open; whoever is still at it begins anew.

    For readers of the topics that letters are put back to, if a transaction keeps them from reading on for longer than one may last.

    Args:
        partitions: of the dead-letters topic.

    Raises:
        KafkaUnreachable: if that could not be done for all.
    """
    failed: KafkaUnreachable | None = None
    for partition in range(partitions):
        writer = _writer(bootstrap, partition)
        try:
            await writer.fence()
        except KafkaUnreachable as error:
            failed = error
        finally:
            await writer.close()
    if failed is not None:
        raise failed


def _writer(bootstrap: str, partition: int) -> FencedWriter:
    name = f"pumasi-replay-{partition}"
    left = Leftovers(name, (DEADLETTERS, partition), (COMMANDS, None), (SUBMISSIONS, None))
    return FencedWriter(bootstrap, name, left)


class _Replayer:
    """Puts letters of one partition of the dead-letters topic back."""

    def __init__(
        self, bootstrap: str, partition: int, letters: Sequence[DeadLetter], tell: Callable[[Result], None]
    ) -> None:
        self._bootstrap, self._partition, self._tell = bootstrap, partition, tell
        self._left = {letter.id: letter for letter in letters}
        self._writer = _writer(bootstrap, partition)
        self._run = secrets.token_hex(8)

    async def run(self) -> None:
        backoff = Backoff(*_BACKOFF_SECONDS, spread=(0.5, 1.5))  # two operators must not keep step
        try:
            for number in range(_TRIES):
                try:
                    await self._try()
                    await self._writer.settle_soon()
                    return
                except (Fenced, KafkaUnreachable) as error:
                    if number + 1 == _TRIES:
                        raise KafkaUnreachable(
                            f"{len(self._left)} letters of partition {self._partition} are not put back: {error.message}",
                            hint="Call it again: what is put back is marked, and is not put back twice.",
                        ) from error
                await asyncio.sleep(backoff.failed())
        finally:
            await self._writer.close()

    async def _try(self) -> None:
        await self._writer.fence()
        async with TopicReader(self._bootstrap) as reader:
            for mark in await self._marks(reader):
                if letter := self._left.pop(mark.letter, None):
                    mine = mark.run == self._run  # we did it, and did not hear of it
                    self._tell(Result(letter, Outcome.REPLAYED if mine else Outcome.ALREADY_REPLAYED, mark.to))
            await self._refuse_without_partition(reader)
            for chunk in _chunks(list(self._left.values())):
                await self._put_back(chunk, await contents(reader, chunk))

    async def _marks(self, reader: TopicReader) -> list[Mark]:
        """The marks of the letters that are left, those of transactions that were open just now as well."""
        begin = min((letter.place.offset for letter in self._left.values()), default=0)
        end = await reader.high_watermark(DEADLETTERS, self._partition)
        marks = []
        async for record in reader.records(DEADLETTERS, {self._partition: Extent(begin, end)}):
            found = read(record)
            if isinstance(found, Mark) and found.letter in self._left:
                marks.append(found)
        return marks

    async def _refuse_without_partition(self, reader: TopicReader) -> None:
        """A topic that was made anew with fewer partitions has no place for what lay in the others."""
        there = {topic: await reader.extents(topic) for topic in {one.source.topic for one in self._left.values()}}
        for letter in [one for one in self._left.values() if one.source.partition not in there[one.source.topic]]:
            self._tell(Result(self._left.pop(letter.id), Outcome.NOT_REPLAYABLE))

    async def _put_back(self, chunk: Sequence[DeadLetter], kept: dict[str, Letter]) -> None:
        """Records and marks of a chunk in one transaction; told once it is committed."""
        places: dict[str, Place] = {}
        if fit := sorted((letter for letter in chunk if letter.id in kept), key=_where):
            async with self._writer.transaction() as transaction:
                for (topic, partition), group in groupby(fit, key=_where):
                    here = list(group)
                    offsets = await transaction.append(topic, partition, [_row(one, kept[one.id]) for one in here])
                    places |= {o.id: Place(topic, partition, at) for o, at in zip(here, offsets, strict=True)}
                now = time.time_ns() // 1000
                marks = [mark_row(Mark(letter.id, places[letter.id], now, self._run)) for letter in fit]
                await transaction.append(DEADLETTERS, self._partition, marks)
        for letter in chunk:
            del self._left[letter.id]
            to = places.get(letter.id)
            self._tell(Result(letter, Outcome.REPLAYED if to else Outcome.GONE, to))


def _row(letter: DeadLetter, kept: Letter) -> Parts:
    """The original record; the header that names its letter replaces an earlier one."""
    headers = [(name, value) for name, value in kept.headers if name != REPLAY_OF]
    return kept.key, kept.value, [*headers, (REPLAY_OF, letter.id.encode())]


def _chunks(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    chunk: list[DeadLetter] = []
    size = 0
    for letter in letters:
        if chunk and (len(chunk) == CHUNK_LETTERS_MAX or size + letter.size > CHUNK_BYTES_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(letter)
        size += letter.size
    if chunk:
        yield chunk
