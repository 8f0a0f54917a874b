"""aiokafka's consumer, whose `stop` really stops, and whose committed offsets are where reading has come to.

When it stops, aiokafka (0.14) cancels its fetches and awaits them. A fetch that failed because its broker died waits out a short
back-off, and there it lets the cancellation through: `stop` ends with a CancelledError although nobody cancelled its caller, and
leaves connections open. No `except Exception` sees that. A task that only tidied up after itself ends in silence, and with it the
task's purpose: a partition's recovery, a place in the group.

A transaction's end takes an offset of its own, which no record has. A reader that commits what it has done commits up to the last
record, and a lag of one would stay behind it for ever and raise alarms. So where all that was given out is done, the position is
committed.
"""

from __future__ import annotations

import asyncio
import logging
from types import FunctionType
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import consumer as theirs
from aiokafka.errors import IllegalStateError, KafkaError

from services.bus.client.fetching import Stuck, TellingFetcher
from services.bus.security import ANSWER_MS

log = logging.getLogger("pumasi.bus")

_MARKERS_SECONDS_MAX = 2.0
_LOOK_MS = 5_000
"""How often what is to be fetched is looked at although nothing has happened; aiokafka's own is five times a second."""
_SESSION_MS = 10_000  # aiokafka's own


class Consumer(AIOKafkaConsumer):
    """`stop` raises CancelledError only in a task that was cancelled; `stuck` tells what can't be read; markers are no lag."""

    start = FunctionType(AIOKafkaConsumer.start.__code__, {**vars(theirs), "Fetcher": TellingFetcher})

    def __init__(self, *topics: str, **options: Any) -> None:
        if options.get("group_id") is not None:  # who joins is answered once all have, or their session is over
            options["request_timeout_ms"] = ANSWER_MS + options.get("session_timeout_ms", _SESSION_MS)
        super().__init__(
            *topics, **{**options, "consumer_timeout_ms": _LOOK_MS}
        )  # FastStream would have aiokafka's own
        self._given: dict[TopicPartition, int] = {}
        self._done: dict[TopicPartition, int | None] = {}
        self._known_of: Any = None

    @property
    def stuck(self) -> list[Stuck]:
        """The partitions that can't be read on from where they stand, and why."""
        return self._fetcher.stuck if self._fetcher is not None else []

    async def getmany(self, *places: TopicPartition, **how: Any) -> dict[TopicPartition, list[Any]]:
        """Poll; see `AIOKafkaConsumer.getmany`."""
        assert self._fetcher is not None, "it is started"
        self._fetcher.revive()
        if self._group_id is not None:
            await self._pass_markers()
        found = await super().getmany(*places, **how)
        self._assigned_now()
        for place, records in found.items():
            self._given[place] = records[-1].offset + 1
        return found

    def wake(self) -> None:
        """End a poll that waits, at once."""
        assert self._fetcher is not None, "it is started"
        self._fetcher.wake()

    @property
    def acknowledged(self) -> dict[TopicPartition, int]:
        """How far the group has recorded our partitions as done, where that is known.

        Never beyond where reading stands: a topic that was made anew has other records under the offsets that its group still has.
        """
        assigned = self._assigned_now()
        reading = assigned.all_consumed_offsets() if assigned is not None else {}
        done = {place: at for place in reading if (at := self._done.get(place)) is not None}
        return {place: min(at, reading[place].offset) for place, at in done.items()}

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on from elsewhere; see `AIOKafkaConsumer.seek`. What lies before it counts as given out, but not as done."""
        super().seek(place, offset)
        self._assigned_now()
        self._given[place] = offset

    def passed(self, place: TopicPartition, offset: int) -> int:
        """Where to go on once all before `offset` is done; if nothing else was given out, past any markers read since."""
        state = self._subscription.subscription.assignment.state_value(place)
        if offset < self._given.get(place, 0) or state is None or not state.has_valid_position:
            return offset
        return max(offset, int(state.position))

    async def commit(self, offsets: dict[TopicPartition, Any] | None = None) -> None:
        """Commit; see `AIOKafkaConsumer.commit`."""
        assigned = self._assigned_now()
        if offsets is None:
            done = {place: at.offset for place, at in assigned.all_consumed_offsets().items()}
            await super().commit()
        else:
            offsets = {place: self.passed(place, at) if isinstance(at, int) else at for place, at in offsets.items()}
            done = {place: at if isinstance(at, int) else at[0] for place, at in offsets.items()}
            await super().commit(offsets)
        if self._assigned_now() is assigned:
            self._done |= done

    async def numbers_of(self, topic: str) -> set[int]:
        """A topic's partitions; none if it is not there. A consumer without a subscription knows of no topic by itself."""
        await self._client.add_topic(topic)
        found = self.partitions_for_topic(topic)
        if not found:  # what was being asked just then may have been of other topics alone
            await self._client.force_metadata_update()
            found = self.partitions_for_topic(topic)
        return found or set()

    @property
    def generation(self) -> int:
        """The number of the group's last sharing out; it distinguishes old claims from new."""
        assert self._coordinator is not None, "it is started"
        return int(self._coordinator.generation)

    async def leave(self) -> None:
        """Stop, for good: aiokafka keeps a named member's place until its session ends, for it might be back in a moment."""
        if self._coordinator is not None:
            self._coordinator._group_instance_id = None
        await self.stop()

    async def stop(self) -> None:
        """Let go of everything."""
        try:
            await super().stop()
        except asyncio.CancelledError:
            await self._client.close()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise

    def _assigned_now(self) -> Any:
        """What is ours. What is known of it holds for this sharing out alone: in another, others may have gone further."""
        assigned = self._subscription.subscription and self._subscription.subscription.assignment
        if assigned is not self._known_of:
            self._known_of = assigned
            self._given.clear()
            self._done.clear()
        return assigned

    async def _pass_markers(self) -> None:
        """Commit the position where reading has passed only markers since the last commit; no record is skipped."""
        assigned = self._assigned_now()
        if assigned is None:
            return
        reading = {place: at.offset for place, at in assigned.all_consumed_offsets().items()}
        reading = {place: at for place, at in reading.items() if not assigned.state_value(place).paused}
        try:
            async with asyncio.timeout(_MARKERS_SECONDS_MAX):
                for place in reading.keys() - self._done.keys():
                    committed = await self.committed(place)
                    if self._assigned_now() is not assigned:
                        return
                    self._done.setdefault(place, committed)  # a commit of ours may have been quicker
                done = {place: at for place in reading if (at := self._done[place]) is not None}
                passed = {place: reading[place] for place, at in done.items() if self._given.get(place, 0) <= at}
                passed = {place: at for place, at in passed.items() if at > done[place]}
                if passed and self._assigned_now() is assigned:
                    await self.commit(passed)
        except (KafkaError, IllegalStateError, TimeoutError) as error:  # a rebalance at this moment, a broker away
            log.debug("markers not passed: %(cause)s", {"event": "markers_not_passed", "cause": type(error).__name__})
