"""A Kafka broker, request by request: what aiokafka asks, answered as Kafka 4.3 would, from logs and coordinators.

Replies are given through a callback, at once or later: a fetch waits for records, a batch for its replicas, a member for its group.
When the broker dies, everything that waits is gone, and of what was not replicated yet perhaps some; when it is back, the same logs,
the same transactions and the same group are there. The one broker stands for a cluster: its death is a change of leaders.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from aiokafka.protocol.api import RequestStruct

from services.bus.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, LEDGER
from tests.simulation.batches import Batch, marker, sent
from tests.simulation.clock import VirtualLoop
from tests.simulation.group import Group
from tests.simulation.log import Log, Refused
from tests.simulation.transactions import INVALID_PRODUCER_EPOCH, OK, Coordinator, Place

Reply = Callable[[Any], None]

NODE, HOST, PORT = 0, "simulated", 9092
BOOTSTRAP = f"{HOST}:{PORT}"
VERSIONS = {
    0: (3, 3), 1: (4, 4), 2: (2, 2), 3: (1, 1), 8: (3, 3), 9: (3, 3), 10: (1, 1), 11: (5, 5), 12: (1, 1), 13: (1, 1), 14: (3, 3),
    22: (0, 0), 24: (0, 0), 26: (0, 0), 27: (1, 1), 61: (0, 0), 65: (0, 0),
}  # fmt: skip
"""The versions of each request that are modelled."""
NAMES = {
    0: "Produce", 1: "Fetch", 2: "ListOffsets", 3: "Metadata", 8: "OffsetCommit", 9: "OffsetFetch", 10: "FindCoordinator",
    11: "JoinGroup", 12: "Heartbeat", 13: "LeaveGroup", 14: "SyncGroup", 22: "InitProducerId", 24: "AddPartitions", 26: "EndTxn",
    27: "WriteTxnMarkers", 61: "DescribeProducers", 65: "DescribeTransactions",
}  # fmt: skip
_LATEST, _EARLIEST = -1, -2
_READ_COMMITTED = 1
_LEADERLESS_PART = 0.3
"""Of a broker's returns, those at which it isn't leader again before it comes to what is to be ended."""
_FETCH_SECONDS_MAX = 5.0  # an idle fetch is answered late rather than often: as legal, and less work


class _Parked(NamedTuple):
    """A fetch that waits for records."""

    request: RequestStruct
    reply: Reply
    until: float
    logs: list[Log]


class Broker:
    """The broker, and the logs on its disk.

    Args:
        loop: the clock.
        r: how long replicas and markers take.
        partitions: of each topic.
        told: for stories.
        shown: called with a log whenever more of it may be visible to readers.

    Attributes:
        marker_seconds: how long a marker takes at most, on its way to a partition.
        verifies: whether leaders ask the coordinator before a transaction begins (KIP-890); a variant takes that away.
        leaderless: whether the next transaction to be ended finds some of its partitions without a leader (KAFKA-20734).
    """

    def __init__(
        self, loop: VirtualLoop, r: Random, partitions: int, told: Callable[[str], None], shown: Callable[[Log], None]
    ) -> None:
        self._loop, self._r, self._told, self._shown = loop, r, told, shown
        self.partitions = partitions
        self.up = True
        self.marker_seconds = 0.01
        self.replica_seconds = 0.002
        self.verifies = True
        self.leaderless = False
        self.logs = {
            (topic, p): Log(topic, p)
            for topic in (COMMANDS, LEDGER, CHECKPOINTS, DEADLETTERS)
            for p in range(partitions)
        }
        self.coordinator = Coordinator(loop, self.logs, self._mark, self._without_leader, told)
        self.group = Group(loop, told)
        self._life = 0
        self._parked: list[_Parked] = []
        self._handlers = {
            0: self._produce, 1: self._fetch, 2: self._list_offsets, 3: self._metadata, 10: self._find_coordinator,
            22: self._init_producer_id, 24: self._add_partitions, 26: self._end_txn, 8: self.group.commit,
            9: self.group.fetch, 12: self.group.heartbeat, 13: self.group.leave, 14: self.group.sync,
            27: self._write_txn_markers, 61: self._describe_producers, 65: self._describe_transactions,
        }  # fmt: skip

    def handle(self, request: RequestStruct, client: str, reply: Reply) -> None:
        """Deal with a request; nothing is answered while the broker is down, or after it died."""
        if not self.up:
            return
        life = self._life

        def answer(response: Any) -> None:
            if life == self._life:
                reply(response)

        if request.API_KEY == 11:
            self.group.join(request, client, answer)
        else:
            self._handlers[request.API_KEY](request, answer)

    def die(self) -> None:
        """Stop at once; what was under way is gone."""
        self.up = False
        self._life += 1
        self._parked.clear()
        self._told("broker: killed")

    def come_back(self) -> None:
        """Start again, with what was replicated, and chance's part of what was not."""
        self.up = True
        for log in self.logs.values():
            log.elect(self._r)
        self._told("broker: back")
        self.leaderless = self._r.random() < _LEADERLESS_PART
        self.coordinator.restart()
        self.group.forget_waiting()
        for log in self.logs.values():
            self.visible(log)

    # The leader of a partition

    def append(self, log: Log, batch: Batch, done: Callable[[Batch], None] = lambda _: None) -> None:
        """Append a batch; `done` is called with it once it is replicated, never if the broker dies before."""
        kept = log.append(batch)
        self._replicate(log, kept.end, lambda: done(kept))

    def _replicate(self, log: Log, end: int, done: Callable[[], None]) -> None:
        life = self._life

        def replicated() -> None:
            if life == self._life and self.up:
                log.replicated(end)
                done()
                self.visible(log)

        self._loop.later(self._r.uniform(0.0, self.replica_seconds), replicated)

    def _mark(self, log: Log, write: Callable[[], None], done: Callable[[], None]) -> None:
        """Have a marker written in its own time."""
        life = self._life

        def arrives() -> None:
            if life == self._life and self.up:
                write()
                self._replicate(log, log.end, done)

        self._loop.later(self._r.uniform(0.0, self.marker_seconds), arrives)

    def _without_leader(self, places: list[Place]) -> set[Place]:
        if not self.leaderless or not places:
            return set()
        self.leaderless = False
        return set(self._r.sample(places, self._r.randint(1, len(places))))

    def visible(self, log: Log) -> None:
        """More of a log may be visible now: whoever waits for that is told."""
        self._shown(log)
        for parked in [each for each in self._parked if log in each.logs]:
            self._parked.remove(parked)
            self._try_to_fetch(*parked)

    def _produce(self, request: Any, reply: Reply) -> None:
        """Produce v3: one batch for each partition."""
        outcomes: dict[tuple[str, int], tuple[int, int]] = {}
        wanted = [(topic, partition, data) for topic, places in request.topics for partition, data in places]

        def settle(topic: str, partition: int, code: int, offset: int = -1) -> None:
            outcomes[topic, partition] = code, offset
            if len(outcomes) == len(wanted):
                topics = [(name, [(p, *outcomes[name, p], -1) for p, _ in places]) for name, places in request.topics]
                reply(request.RESPONSE_TYPE(topics, 0))

        for topic, partition, data in wanted:
            batch, log = sent(data), self.logs[topic, partition]
            try:
                earlier = log.earlier(batch)
            except Refused as refused:
                settle(topic, partition, refused.code)
                continue
            if earlier is not None:
                settle(topic, partition, OK, earlier.begin)
                continue
            code = self._verdict(request, log, batch)
            if code:
                settle(topic, partition, code)
                continue
            self.append(log, batch, lambda kept, t=topic, p=partition: settle(t, p, OK, kept.begin))

    def _verdict(self, request: Any, log: Log, batch: Batch) -> int:
        if not batch.transactional or batch.producer in log.open or not self.verifies:
            return OK
        return self.coordinator.verify(
            request.transactional_id, batch.producer, batch.epoch, (log.topic, log.partition)
        )

    def _fetch(self, request: Any, reply: Reply) -> None:
        """Fetch v4: waits until there is something, for a while."""
        until = self._loop.time() + max(request.max_wait_time / 1000, _FETCH_SECONDS_MAX)
        if not self._try_to_fetch(request, reply, until):
            self._loop.later(until - self._loop.time(), self._give_up_waiting, self._life)

    def _give_up_waiting(self, life: int) -> None:
        if life == self._life:
            for parked in [each for each in self._parked if each.until <= self._loop.time()]:
                self._parked.remove(parked)
                self._try_to_fetch(*parked)

    def _try_to_fetch(self, request: Any, reply: Reply, until: float, logs: list[Log] | None = None) -> bool:
        found, topics = False, []
        committed = request.isolation_level == _READ_COMMITTED
        for topic, places in request.topics:
            told = []
            for partition, offset, _bytes_max in places:
                log = self.logs[topic, partition]
                data, aborted = log.read(offset, committed=committed)
                found = found or bool(data)
                told.append((partition, OK, log.high, log.stable, aborted, data))
            topics.append((topic, told))
        if not found and self._loop.time() < until:
            logs = logs or [self.logs[topic, partition] for topic, places in request.topics for partition, *_ in places]
            self._parked.append(_Parked(request, reply, until, logs))
            return False
        reply(request.RESPONSE_TYPE(0, topics))
        return True

    def _list_offsets(self, request: Any, reply: Reply) -> None:
        """ListOffsets v2: beginnings and ends."""
        topics = []
        for topic, places in request.topics:
            told = []
            for partition, timestamp in places:
                log = self.logs[topic, partition]
                end = log.stable if request.isolation_level == _READ_COMMITTED else log.high
                told.append((partition, OK, -1, end if timestamp == _LATEST else log.begin))
            topics.append((topic, told))
        reply(request.RESPONSE_TYPE(0, topics))

    def _metadata(self, request: Any, reply: Reply) -> None:
        topics: dict[str, list[Any]] = {}
        for topic, partition in self.logs:
            topics.setdefault(topic, []).append((OK, partition, NODE, [NODE], [NODE]))
        told = [(OK, topic, False, places) for topic, places in topics.items()]
        reply(request.RESPONSE_TYPE([(NODE, HOST, PORT, None)], NODE, told))

    # The coordinators

    def _find_coordinator(self, request: Any, reply: Reply) -> None:
        reply(request.RESPONSE_TYPE(0, OK, None, NODE, HOST, PORT))

    def _init_producer_id(self, request: Any, reply: Reply) -> None:
        reply(
            request.RESPONSE_TYPE(0, *self.coordinator.init(request.transactional_id, request.transaction_timeout_ms))
        )

    def _add_partitions(self, request: Any, reply: Reply) -> None:
        places = [(topic, partition) for topic, partitions in request.topics for partition in partitions]
        code = self.coordinator.add(request.transactional_id, request.producer_id, request.producer_epoch, places)
        reply(
            request.RESPONSE_TYPE(0, [(topic, [(p, code) for p in partitions]) for topic, partitions in request.topics])
        )

    def _end_txn(self, request: Any, reply: Reply) -> None:
        commits = bool(request.transaction_result)
        code = self.coordinator.end(
            request.transactional_id, request.producer_id, request.producer_epoch, commits=commits
        )
        reply(request.RESPONSE_TYPE(0, code))

    # What is asked about transactions that may have been left open

    def _describe_transactions(self, request: Any, reply: Reply) -> None:
        told = []
        for name in request.transactional_ids:
            code, state, producer, epoch = self.coordinator.describe(name)
            told.append((code, name, state, 0, -1, producer, epoch, [], {}))
        reply(request.RESPONSE_TYPE(0, told, {}))

    def _describe_producers(self, request: Any, reply: Reply) -> None:
        topics = []
        for topic, partitions, _tags in request.topics:
            told = []
            for partition in partitions:
                log = self.logs[topic, partition]
                writers = [(p, w.epoch, 0, -1, 0, log.open.get(p, -1), {}) for p, w in log.writers.items()]
                told.append((partition, OK, None, writers, {}))
            topics.append((topic, told, {}))
        reply(request.RESPONSE_TYPE(0, topics, {}))

    def _write_txn_markers(self, request: Any, reply: Reply) -> None:
        """WriteTxnMarkers v1, of one marker: all that is asked for here."""
        [(producer, epoch, commits, topics, _coordinator, _tags)] = request.markers
        codes: dict[tuple[str, int], int] = {}
        places = [(topic, partition) for topic, partitions, _tags in topics for partition in partitions]

        def settle(place: tuple[str, int], code: int) -> None:
            codes[place] = code
            if len(codes) == len(places):
                told = [(t, [(p, codes[t, p], {}) for p in partitions], {}) for t, partitions, _tags in topics]
                reply(request.RESPONSE_TYPE([(producer, told, {})], {}))

        for place in places:
            log = self.logs[place]
            if epoch < log.writers[producer].epoch:
                settle(place, INVALID_PRODUCER_EPOCH)
            else:
                self.append(log, marker(producer, epoch, commits=commits), lambda _kept, at=place: settle(at, OK))
