"""Clearing a topic of what is done with: unreadable within a second or two, off the disk within minutes, and never before.

    the group's record of what is done with ─► DeleteRecords ─► Kafka takes files off the disk that hold nothing else

What counts is what the *group* has recorded. A member that was put out of the group, whose acknowledgements Kafka refuses, deletes
nothing that its successor has not done; one that dies between acknowledging and deleting leaves it to whoever has the partition next.

Kafka takes files off the disk whole, but never the one it is writing, and begins a new one only when something is appended
(`segment.ms`). Where nothing more comes, what was deleted would lie in the last file for ever. So once that is old enough, an
empty record is appended; readers of the topic ignore it (`is_empty`). It costs one for each pause in which something was deleted,
and one whenever a partition becomes ours, since nobody knows what lies there.

A broker that is killed forgets deletions that it has not noted yet, which it does once a minute: what was deleted can be read again. So
deletions are repeated now and then, and at a stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from services.bus.client.producer import TROUBLE
from services.bus.envelope import Record
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.security import Bootstrap
from services.bus.topics import SEGMENT_MS, admin_of, config_of
from services.errors import PumasiError

log = logging.getLogger("pumasi.bus")

EMPTY: Final = ("pumasi.empty", b"")
"""The only header of a record that says nothing."""
_EVERY_SECONDS: Final = 1.0
_AGAIN_EVERY: Final = 15  # rounds
_LAST_SECONDS_MAX: Final = 5.0
_SAID_AGAIN_SECONDS: Final = 300.0


def is_empty(record: Record) -> bool:
    """Whether a record says nothing: it is there only for Kafka to begin a new file."""
    return not record.key and not record.value and list(record.headers) == [EMPTY]


class Clearing:
    """Deletes what is done, at most once a second, in all partitions together.

    Args:
        acknowledged: how far each partition that is ours is done, as the group has recorded it.
        publisher: appends the empty records.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        topic: str,
        acknowledged: Callable[[], Mapping[TopicPartition, int]],
        publisher: Publisher,
    ) -> None:
        self._bootstrap, self._topic, self._acknowledged, self._publisher = bootstrap, topic, acknowledged, publisher
        self._open = contextlib.AsyncExitStack()
        self._admin: AIOKafkaAdminClient | None = None
        self._segment_seconds = 0.0
        self._deleted: dict[TopicPartition, int] = {}
        self._lies_since: dict[TopicPartition, float] = {}
        """Where something that was deleted may lie in the file that Kafka is writing, and since when."""
        self._empty: dict[TopicPartition, int] = {}
        self._said_at: float | None = None

    async def run(self) -> None:
        """Clear for ever; what can't be deleted now is tried again."""
        for number in count(1):
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self._clear(again=number % _AGAIN_EVERY == 0)
                self._said_at = None
            except (PumasiError, *TROUBLE) as error:
                self._complain(error)
                await self._leave()

    async def close(self) -> None:
        """Delete what was done with last, if Kafka is quick, and let go of everything."""
        with contextlib.suppress(PumasiError, *TROUBLE):
            async with asyncio.timeout(_LAST_SECONDS_MAX):
                await self._delete(again=True)
        await self._leave()

    async def _clear(self, *, again: bool) -> None:
        await self._delete(again=again)
        now = asyncio.get_running_loop().time()
        due = [place for place, since in self._lies_since.items() if now > since + self._segment_seconds]
        if due:
            empty = [Outgoing(self._topic, place.partition, None, b"", [EMPTY]) for place in due]
            self._empty |= zip(due, await self._publisher.publish(empty), strict=True)
            for place in due:
                del self._lies_since[place]

    async def _delete(self, *, again: bool) -> None:
        done = self._acknowledged()
        for known in (self._deleted, self._lies_since, self._empty):  # what others have, others clear
            for gone in known.keys() - done.keys():
                del known[gone]
        fresh = {place: at for place, at in done.items() if again or self._deleted.get(place) != at}
        if not fresh:
            return
        admin = await self._connected()
        await admin.delete_records({place: RecordsToDelete(before_offset=at) for place, at in fresh.items()})
        for place, at in fresh.items():
            if self._deleted.get(place) == at:
                continue
            only_an_empty_one = self._deleted.get(place) == self._empty.get(place) == at - 1
            if not only_an_empty_one:
                self._lies_since[place] = asyncio.get_running_loop().time()
            self._deleted[place] = at

    async def _connected(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            bootstrap = self._bootstrap()
            # A second more: the file's age is told by the broker, in whole milliseconds.
            self._segment_seconds = int((await config_of(bootstrap, self._topic))[SEGMENT_MS]) / 1000 + 1
            self._admin = await self._open.enter_async_context(admin_of(bootstrap, "pumasi-clearing"))
        return self._admin

    async def _leave(self) -> None:
        self._admin = None
        await self._open.aclose()

    def _complain(self, error: Exception) -> None:
        """Say, once and then rarely, that what is done can't be deleted; that Kafka is out of reach is reported elsewhere."""
        now = asyncio.get_running_loop().time()
        if self._publisher.in_reach.is_set() and (self._said_at is None or now >= self._said_at + _SAID_AGAIN_SECONDS):
            self._said_at = now
            log.warning(
                "what is done with on %(topic)s can't be deleted now (%(cause)s)",
                {"event": "not_deleted", "topic": self._topic, "cause": type(error).__name__},
            )
