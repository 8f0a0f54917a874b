"""Fetches, taken apart so that what can't be read stops its own partition, and nothing stops in silence.

An error in one partition's bytes makes aiokafka fail the poll of all partitions, again and again, and drop what came before it.
Other errors in the broker's answers it ignores; at best the poller hears that a broker is away. Here a partition's records are
given out up to the place that can't be read. The partition rests there and is tried again with back-off; the log says so, and
`stuck` tells it. No record is skipped, and the other partitions go on as if nothing had happened.

Who waits for records has the broker wait, which answers as soon as there are any. Where it is asked for all that there is to be read
there, it may wait long: asked twice a second by each of a dozen readers, it would never rest. But it answers the requests of a
connection one by one. So fetches have a connection of their own; and one that asks for what is no longer wanted, since reading goes on
elsewhere, is not waited for: it is hung up on.

Where `raw_records` is compiled, records are found where they lie; else aiokafka finds them. Both have what `envelope.Record` asks for.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import FunctionType
from typing import Any

from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import (
    READ_COMMITTED,
    Fetcher,
    FetchResult,
    OffsetResetStrategy,
    PartitionRecords,
)
from aiokafka.util import create_task

from services.backoff import Backoff
from services.bus.client.codecs import plain
from services.bus.client.header_names import AnyNames

log = logging.getLogger("pumasi.bus")

FAILURES_TOLD = 3
"""How often reading fails at one place before that is reported: a reply may be damaged on its way, a leader may just be moving."""
_REST_SECONDS = (0.2, 5.0)
_TOLD_AGAIN_SECONDS = 600.0
_LOG_OVERHEAD = 12  # offset and length of a batch
_WAIT_MS = 7_000
"""How long a broker waits for records that aren't there; well below `ANSWER_MS`. So old is what it tells besides: how far what isn't
committed reaches."""
_FETCHES = "fetches"
"""Beside aiokafka's groups of connections, one for fetches."""


@dataclass
class Stuck:
    """A partition that can't be read on from where it stands.

    Attributes:
        why: without anything of a record's content.
        failures: how often it was tried.
        tell_at: when it is to be told in the log again; monotonic seconds.
    """

    topic: str
    partition: int
    offset: int
    why: str = ""
    failures: int = 0
    tell_at: float = 0.0

    def __str__(self) -> str:
        return f"partition {self.partition} of {self.topic} can't be read at offset {self.offset}: {self.why}"


class AiokafkaRecords:
    """The batches of a fetch as aiokafka reads them, decompressed.

    Args:
        buffer: as fetched; the last batch may be cut short.
    """

    def __init__(self, buffer: Any) -> None:
        self._buffer, self._place = bytes(buffer), 0

    def lie_in(self, topic: str, partition: int) -> None:
        """Nothing here asks where the records come from."""

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return self._next_end() > 0

    def next_batch(self) -> Any:
        """The next batch."""
        begin, self._place = self._place, self._next_end()
        return AnyNames(plain(self._buffer[begin : self._place]))

    def _next_end(self) -> int:
        """Where the next batch ends; 0 if there is none, or not all of it."""
        if len(self._buffer) - self._place < _LOG_OVERHEAD:
            return 0
        (length,) = struct.unpack_from(">i", self._buffer, self._place + 8)
        end = self._place + _LOG_OVERHEAD + length
        return end if length >= 0 and end <= len(self._buffer) else 0


try:
    from services.bus.client.raw_records import RawBatch, RawRecords
except ImportError:  # not compiled
    RawBatch, RawRecords = None, AiokafkaRecords


class Records(PartitionRecords):
    """A fetch of one partition, given out without a step of Python's for each record, up to what can't be read.

    Args:
        note: called with the offset that can't be read and why; how long the partition rests, seconds.
        tp: the partition.
        records: what was fetched; or what the broker answered instead.
        rest: as aiokafka's.
    """

    def __init__(self, note: Callable[[int, Exception], float], tp: Any, records: Any, *rest: Any) -> None:
        if not isinstance(records, Exception):
            records.lie_in(tp.topic, tp.partition)
        self._note, self._rests_until = note, 0.0
        self._batch: RawBatch | None = None
        super().__init__(tp, records, *rest)

    @property
    def rests(self) -> bool:
        """Whether the partition isn't to be fetched from yet."""
        return time.monotonic() < self._rests_until

    @property
    def next_fetch_offset(self) -> int:
        """Where to go on; while a batch is being given out, behind its last record so far."""
        return self._next if self._batch is None else self._batch.next_wanted()

    @next_fetch_offset.setter
    def next_fetch_offset(self, offset: int) -> None:
        self._next, self._batch = offset, None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._records_iterator)

    def _unpack_records(self) -> Iterator[Any]:
        """aiokafka's own, but for batches whose records are raw, and for its end."""
        try:
            if isinstance(self._records, Exception):
                raise self._records
            if not self._records.has_next():
                raise kafka.CorruptRecordException("a batch does not end where it says")
            while self._records.has_next():
                batch = self._records.next_batch()
                if self._check_crcs and not batch.validate_crc():
                    raise kafka.CorruptRecordException("its checksum is wrong")
                if (self._isolation_level == READ_COMMITTED and self._is_aborted(batch)) or batch.is_control_batch:
                    self.next_fetch_offset = batch.next_offset
                    continue
                if type(batch) is RawBatch:
                    batch.next_wanted(self._next)
                    self._batch = batch
                    yield from batch
                else:
                    for record in batch:
                        if record.offset >= self._next:
                            self.next_fetch_offset = record.offset + 1
                            yield self._consumer_record(self._tp, record)
                self.next_fetch_offset = batch.next_offset  # the last records may be gone by compaction
        except Exception as error:  # noqa: BLE001  # whatever bytes bring up, it is this partition's alone
            self._rests_until = time.monotonic() + self._note(self.next_fetch_offset, error)

    def _is_aborted(self, batch: Any) -> bool:
        """Whether a batch is of a transaction that was aborted; batches are asked for in order."""
        if batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return batch.is_transactional and batch.producer_id in self._aborted_producers


class Result(FetchResult):
    """What was fetched of one partition; it stays here while the partition rests, so nothing more is fetched."""

    def getall(self, max_records: int | None = None) -> list[Any]:
        """aiokafka's own, without a step of Python's for each record."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        records = self._partition_records
        found = list(islice(records, max_records))
        self._update_position()
        if len(found) != max_records and not records.rests:
            self._partition_records = None
        return found


def _with_our_results(method: Any) -> Any:
    """A method of aiokafka's fetcher that knows our results by their class, as it knows its own."""
    return FunctionType(method.__code__, {**vars(fetcher), "FetchResult": Result}, None, method.__defaults__)


_fetched = _with_our_results(Fetcher.fetched_records)


class TellingFetcher(Fetcher):
    """aiokafka's fetcher, in which one partition's trouble stays its own."""

    next_record = _with_our_results(Fetcher.next_record)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._failed: dict[TopicPartition, Stuck] = {}
        self._silent: set[int] = set()  # brokers that do not answer, and are reported as such
        self._asked: dict[int, dict[TopicPartition, int]] = {}  # broker → what it is being asked for
        self._unwanted: set[int] = set()  # brokers whose answer nobody waits for any more
        super().__init__(*args, **kwargs)

    @property
    def stuck(self) -> list[Stuck]:
        """The partitions that can't be read on from where they stand."""
        subscription = self._subscriptions.subscription
        if subscription is None or subscription.assignment is None:
            return []
        found = []
        for place, failed in self._failed.items():
            state = subscription.assignment.state_value(place)
            if state is not None and state._position == failed.offset and failed.failures >= FAILURES_TOLD:
                found.append(failed)
        return found

    async def fetched_records(self, places: Any, timeout: float = 0, max_records: int | None = None) -> Any:
        """What was fetched, waited for until something comes, be it only markers, until `wake`, or for so many seconds.

        aiokafka's own would go on waiting after markers: who polls would not hear that the position has passed them.
        """
        found = await _fetched(self, places, 0, max_records)
        if found or not timeout or self._closed:
            return found
        waiter = self._create_fetch_waiter()
        try:
            done, _ = await asyncio.wait([waiter], timeout=timeout)
            for woken in done:
                woken.result()  # raises what the group's coordinator met
        finally:
            waiter.cancel()
        return {} if self._closed else await _fetched(self, places, 0, max_records)

    def revive(self) -> None:
        """Begin anew if fetching itself has ended, which aiokafka only logs."""
        if self._fetch_task.done() and not self._closed:
            self._pending_tasks.clear()
            self._in_flight.clear()
            self._fetch_task = create_task(self._fetch_requests_routine())

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        """Ask for records and add them to what waits to be polled; returns whether somebody may be waiting for it."""
        asked = {TopicPartition(topic, n): offset for topic, found in request.topics for n, offset, _ in found}
        request._max_wait_ms = self._wait_ms(assignment, node_id, asked)
        self._look_again_once_done()
        self._asked[node_id] = asked
        self._unwanted.discard(node_id)
        try:
            await self._client.ready(node_id, group=_FETCHES)
            if node_id in self._unwanted:  # while it was being connected to
                return False
            response = await self._client.send(node_id, request, group=_FETCHES)
        except kafka.KafkaError as error:
            if node_id in self._unwanted:
                return False
            if node_id not in self._silent:  # told once, and not ten times a second for as long as the broker is away
                log.info(
                    "nothing can be fetched from broker %(broker)s: %(cause)s; it is asked again",
                    {"event": "broker_silent", "broker": node_id, "cause": type(error).__name__},
                )
            self._silent.add(node_id)
            self._client.force_metadata_update()  # others may lead by now
            await asyncio.sleep(self._retry_backoff)
            return False
        except asyncio.CancelledError:  # closed, or the partitions went elsewhere
            self._hang_up(node_id)
            return False
        finally:
            self._asked.pop(node_id, None)
        self._silent.discard(node_id)
        if not assignment.active:
            return False
        answered = [
            (TopicPartition(topic, number), code, rest)
            for topic, found in response.topics
            for number, code, *rest in found
        ]
        if code := getattr(response, "error_code", 0):  # of the whole request
            answered = [(place, code, [-1]) for place in asked]
        woken = False
        for place, code, rest in answered:
            state = assignment.state_value(place)
            if state is not None and state.has_valid_position and state.position == asked.get(place):
                woken |= self._take(assignment, place, state, kafka.for_code(code), response.API_VERSION, *rest)
        return woken

    async def _update_fetch_positions(self, assignment: Any, node_id: int, places: Any) -> Any:
        self._look_again_once_done()
        return await super()._update_fetch_positions(assignment, node_id, places)

    def _look_again_once_done(self) -> None:
        """Have it looked at what is to be fetched once this task is done, and known to be.

        aiokafka takes a broker for busy until its task's callbacks have run. If something else had it look in that moment, it would ask
        nothing, wait for nobody, and look again only after its timeout.
        """
        task = asyncio.current_task()
        assert task is not None, "aiokafka asks in tasks"
        task.add_done_callback(lambda _: self._notify(self._wait_consume_future))

    def seek_to(self, place: TopicPartition, offset: int) -> None:
        """Go on elsewhere, at once."""
        super().seek_to(place, offset)
        for node_id, asked in self._asked.items():
            if asked.get(place, offset) != offset:
                self._unwanted.add(node_id)
                self._hang_up(node_id)

    def _hang_up(self, node_id: int) -> None:
        """Don't wait for a broker's answer: what it is asked next would wait behind it."""
        if connection := self._client._conns.get((node_id, _FETCHES)):
            connection.close()

    def _wait_ms(self, assignment: Any, node_id: int, asked: dict[TopicPartition, int]) -> int:
        """How long a broker may wait for records: not long where what it isn't asked for would have to wait behind it."""
        there = {place for place in assignment.tps if self._select_read_replica(place) == node_id}
        return _WAIT_MS if asked.keys() == there else int(self._fetch_max_wait_ms)

    def _take(
        self, assignment: Any, place: TopicPartition, state: Any, error: type, version: int, highwater: int, *rest: Any
    ) -> bool:
        """Take in the answer about one partition; returns whether there is anything to be polled."""
        aborted, records = None, error("") if error is not kafka.NoError else RawRecords(rest[-1])
        if error is kafka.NoError:
            state.highwater, state.lso, state.timestamp = highwater, rest[0], int(time.time() * 1000)
            aborted = rest[2] if version >= 11 else rest[-2]
            if not rest[-1]:
                self._failed.pop(place, None)
                return False
        elif error in (kafka.NotLeaderForPartitionError, kafka.UnknownTopicOrPartitionError):
            self._client.force_metadata_update()
            return False
        elif error is kafka.OffsetOutOfRangeError and self._default_reset_strategy != OffsetResetStrategy.NONE:
            log.warning(
                "%(topic)s, partition %(partition)d: offset %(offset)d is gone",
                {"event": "offset_gone", "topic": place.topic, "partition": place.partition, "offset": state.position},
            )
            state.await_reset(self._default_reset_strategy)
            return False
        given = Records(
            partial(self._note, place), place, records, aborted, state.position, self._key_deserializer,
            self._value_deserializer, self._check_crcs, self._isolation_level,
        )  # fmt: skip
        self._records[place] = Result(
            place, assignment=assignment, partition_records=given, backoff=self._prefetch_backoff
        )
        return True

    def _note(self, place: TopicPartition, offset: int, error: Exception) -> float:
        """Remember that a partition can't be read on; returns how long it rests, seconds."""
        failed = self._failed.get(place)
        if failed is None or failed.offset != offset:
            failed = self._failed[place] = Stuck(place.topic, place.partition, offset)
        failed.why, failed.failures = _why(error), failed.failures + 1
        now = time.monotonic()
        if failed.failures >= FAILURES_TOLD and now >= failed.tell_at:
            log.error(
                "%(stuck)s; it stands still, and is tried again",
                {
                    "event": "topic_unreadable",
                    "stuck": failed,
                    "partition": failed.partition,
                    "failures": failed.failures,
                },
            )
            failed.tell_at = now + _TOLD_AGAIN_SECONDS
        rest = Backoff(*_REST_SECONDS, failures=failed.failures - 1).failed()
        self._loop.call_later(rest, self.wake)
        return rest

    def wake(self) -> None:
        """Have what was fetched looked at again, and end a poll that waits."""
        for waiter in self._fetch_waiters:
            self._notify(waiter)


def _why(error: Exception) -> str:
    """What went wrong, without content: an error that has a cause may quote content."""
    if isinstance(error, kafka.KafkaError) and error.__cause__ is None and error.args and error.args[0]:
        return str(error.args[0])
    return type(error).__name__
