"""The partitions of submissions that are ours: each is brought through by itself, and acknowledged when it is.

Nothing that a handler raises ends this: Kafka's troubles and a clock that is off are waited out, and so are our own, with an
alarm. A partition that takes longer than a moment is paused, and the others go on. Offsets are committed only when every command
and every dead letter of the batch is acknowledged. When the group shares out anew, what is being published is finished first; the
rest is left to the partition's next owner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from services.backoff import Backoff
from services.bus.app import Part
from services.bus.client.producer import TROUBLE
from services.bus.consume.membership import Rebalance
from services.bus.envelope import Record
from services.errors import ClockOff, KeyChanging, KeyMoved

log = logging.getLogger("pumasi.intake")

TRIES_MAX = 5
"""How often a batch may fail while Kafka is in reach before there is an alarm."""
_BACKOFF_SECONDS = (0.2, 5.0)
_HAND_OVER_SECONDS_MAX = 10.0
_MOMENT_SECONDS = 0.5


class Leaving(Exception):
    """The partitions are not ours any more, or soon won't be."""


class Partitions:
    """Those that the group gave to this process.

    Args:
        in_reach: set while Kafka is in reach.
        doubt: called with a partition whose records may have been published unknown to us; with None for all.

    Attributes:
        listener: the group's.
        leaving: set while they are being handed over; a handler that waits raises Leaving then.
        stuck: those whose records fail again and again though Kafka is in reach.
        through: by partition, the offset up to which all was brought through since it is ours.
    """

    def __init__(self, in_reach: asyncio.Event, doubt: Callable[[int | None], None]) -> None:
        self._in_reach, self._doubt = in_reach, doubt
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self.listener = Rebalance(self._revoked, self._assigned)
        self.leaving = asyncio.Event()
        self.stuck: set[int] = set()
        self.through: dict[int, int] = {}

    async def leave(self, seconds: float) -> None:
        """Finish what is being published, within so many seconds. The rest comes again."""
        self.leaving.set()
        works = list(self._at_work.values())
        if works:
            await asyncio.wait(works, timeout=seconds)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _revoked(self, _partitions: Any) -> None:
        """Let what is being published land, so that whoever has the partitions next sees it on the topic."""
        await self.leave(_HAND_OVER_SECONDS_MAX)

    def _assigned(self, _partitions: Any) -> None:
        self._doubt(None)
        self.stuck.clear()
        self.through.clear()
        self.leaving.clear()

    async def bring_through(self, parts: Sequence[Part], consumer: Any) -> None:
        """Bring the records of one poll through; those that take longer go on beside the next poll."""
        works = {part.partition: asyncio.create_task(self._through(part, consumer)) for part in parts}
        self._at_work |= works
        await asyncio.wait(works.values(), timeout=_MOMENT_SECONDS)
        consumer.pause(*_places(consumer, *self._at_work))

    async def _through(self, part: Part, consumer: Any) -> None:
        try:
            await self._until_through(part)
            await consumer.commit(dict.fromkeys(_places(consumer, part.partition), part.records[-1].offset + 1))
            self.through[part.partition] = part.records[-1].offset + 1
        except Leaving:
            pass  # whoever gets the partition next, even we, begins at what was acknowledged
        except TROUBLE as error:  # another has the partition by now, and will see them again
            log.warning(
                "submissions could not be acknowledged (%(cause)s)",
                {"event": "not_acknowledged", "partition": part.partition, "cause": type(error).__name__},
            )
        finally:
            self._at_work.pop(part.partition, None)
            consumer.resume(*_places(consumer, part.partition))

    async def _until_through(self, part: Part) -> None:
        """Try until all is written. Whatever fails, the batch is tried again; but never for ever without an alarm."""
        backoff, tries = Backoff(*_BACKOFF_SECONDS), 0
        while True:
            if self.leaving.is_set():
                raise Leaving
            await self._in_reach.wait()
            try:
                await part.handle()
                self.stuck.discard(part.partition)
                return
            except Leaving:
                raise
            except (ClockOff, KeyChanging, KeyMoved):
                pass  # the clock raises its own alarm, and so does the directory of keys; a change of keys passes
            except Exception as error:  # noqa: BLE001  # no submission may be lost over a defect of ours
                if self._in_reach.is_set():  # that Kafka is away is reported elsewhere
                    tries += 1
                    self._complain(part.records[0], tries, error)
            self._doubt(part.partition)  # what was not confirmed may have arrived
            await asyncio.sleep(backoff.failed())

    def _complain(self, first: Record, tries: int, error: Exception) -> None:
        if tries >= TRIES_MAX:
            self.stuck.add(first.partition)
        kinds = " after ".join(type(one).__name__ for one in (error, error.__cause__) if one is not None)
        log.log(
            logging.CRITICAL if tries >= TRIES_MAX else logging.WARNING,
            "submissions from partition %(partition)d, offset %(offset)d on do not get through: %(tries)d tries (%(cause)s)",
            {
                "event": "not_through",
                "partition": first.partition,
                "offset": first.offset,
                "tries": tries,
                "cause": kinds,
            },
        )


def _places(consumer: Any, *partitions: int) -> list[Any]:
    """Those of our partitions that are still ours."""
    return [place for place in consumer.assignment() if place.partition in partitions]
