"""Transactions that Kafka has left open: found when their writer fences, and ended as had been decided.

A coordinator that finds a partition without a leader takes the partition for deleted, and counts a transaction as ended without
its marker there (KAFKA-20734; seen with Kafka 4.3.1). This happens whenever a lone broker dies between the decision and the
markers: once back, it briefly leads none of its own partitions. Then readers of committed records wait for ever at a transaction
of which the coordinator knows nothing, and fencing ends only what the coordinator knows of.

Kafka names the producer of such a transaction, and lets a marker be written for it (KIP-664, `kafka-transactions.sh abort`). A
writer that has just fenced is its owner: nobody else can still be writing it, and nothing of its own is under way, so whatever
its producer has open is a leftover. The coordinator knows what had been decided until the next InitProducerId, so it is asked
just before. A writer that has noticed no trouble looks once it is quiet (`settle`): the end that was confirmed to it may never
have happened. If nobody knows the decision any more, the leading partition decides; the others only serve it. If its part is
still open, no reader has seen anything, and all is aborted. If it has ended, the rest is committed: a duplicate can be
recognised, a loss cannot.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, RequestTimedOutError, for_code

from services.bus.client.ending import UNDER_WAY, Asked, Left, ask
from services.bus.client.requests import DescribeProducers, DescribeTransactions, WriteTxnMarkers
from services.errors import Fenced

log = logging.getLogger("pumasi.bus")

_TRIES, _TRIES_FOR_OTHERS = 50, 10
_RETRY_SECONDS = 0.1
_LOOKS = 30
_UNAUTHORIZED = (29, 31)  # of the topic, of the cluster
_OVERTAKEN = (47, 74)  # another has fenced since: it is theirs now
_UNKNOWN_ID = 105
_TOO_OLD = (
    IncompatibleBrokerVersion,
    NotImplementedError,
)  # so aiokafka says that a broker doesn't know a request, or our version of it
_DECIDED = {"PrepareCommit": True, "CompleteCommit": True, "PrepareAbort": False, "CompleteAbort": False}


class Open(NamedTuple):
    """A transaction open in a partition, as its leader tells of it."""

    place: TopicPartition
    epoch: int
    coordinator_epoch: int
    begin: int


class Leftovers:
    """What Kafka has left open under one transactional id; kept for as long as its writer lives.

    Args:
        transactional_id: whose.
        leading: topic and partition whose part of a transaction counts, if nobody knows what was decided.
        others: topics and partitions that its transactions may reach besides; None for all of a topic's partitions.
    """

    def __init__(self, transactional_id: str, leading: tuple[str, int], *others: tuple[str, int | None]) -> None:
        self._id, self._leading, self._others = transactional_id, TopicPartition(*leading), others
        self._decided: dict[tuple[int, int], bool] = {}
        self._bootstrap = ""
        self.asked = False
        """Whether the ender was asked in this epoch, and nobody saw it done: a marker may still come."""

    def listen(self, producer: AIOKafkaProducer, bootstrap: str) -> None:
        """Ask what was decided last, just before `producer` fences; call before it is started."""
        self._bootstrap, self.asked = bootstrap, False
        init = producer._sender._do_init_pid

        async def ask_then_init(node: int) -> bool:
            try:
                await self._ask(producer, node)
            except (KafkaError, *_TOO_OLD) as error:
                if getattr(error, "retriable", False):  # else the answer would be lost by asking to be the writer
                    await asyncio.sleep(_RETRY_SECONDS)
                    return False
                log.debug(
                    "%(writer)s: what was decided isn't known: %(cause)s",
                    {"event": "decision_unknown", "writer": self._id, "cause": type(error).__name__},
                )
            return bool(await init(node))

        producer._sender._do_init_pid = ask_then_init  # type: ignore[method-assign]  # nowhere else is the moment before it

    async def end(self, producer: AIOKafkaProducer) -> None:
        """End whatever the producer has open; call once it is started, before it begins a transaction.

        Where Kafka is too old to be asked, or doesn't allow it, nothing is done, and the latter is said. A partition beside the leading
        one that has no leader is left as it is.

        Raises:
            KafkaError: if it can't be done at this moment.
        """
        await self._end(producer)
        self._decided.clear()  # it is of transactions that have ended; others follow

    async def settle(self, producer: AIOKafkaProducer) -> bool:
        """See to it that the last transaction, which is said to be committed, has ended everywhere; call while there is no other.

        Returns:
            False if its end is still under way; look again.

        Raises:
            Fenced: if the epoch is over: another has fenced since, or Kafka has ended a transaction that took too long, such as
                one that a late request began.
            KafkaError: if it isn't known.
        """
        node = await producer._sender._find_coordinator(CoordinationType.TRANSACTION, self._id)
        try:
            state, epoch = await self._ask(producer, node)
        except _TOO_OLD:
            return True
        if state in UNDER_WAY:
            return False
        if (
            epoch > producer._txn_manager.producer_epoch
        ):  # the next to fence ends whatever was left open, and reads back what is true
            raise Fenced(f"the epoch of {self._id} is over")
        # In this order: markers that were on their way have arrived.
        if epoch == producer._txn_manager.producer_epoch:
            await self._end(producer)
        self._decided.clear()
        return True

    async def _end(self, producer: AIOKafkaProducer) -> None:
        try:
            if left := await self._open(producer):
                await self._mark(producer, left)
        except _TOO_OLD:
            log.debug(
                "%(writer)s: this Kafka is too old to be asked for transactions left open",
                {"event": "kafka_too_old", "writer": self._id},
            )

    async def _ask(self, producer: AIOKafkaProducer, node: int) -> tuple[str, int]:
        """The state of the last transaction, as the coordinator has it, and its epoch."""
        try:
            answer = await producer.client.send(
                node, DescribeTransactions(self._id), group=ConnectionGroup.COORDINATION
            )
            [(code, _id, state, _timeout, _begin, writer, epoch, _topics, _tags)] = answer.transactions
            if code == _UNKNOWN_ID:
                return "Empty", -1
            if code:
                raise for_code(code)
        except KafkaError:
            producer._sender._coordinator_dead(CoordinationType.TRANSACTION)
            raise
        if state in _DECIDED:
            self._decided[writer, epoch] = _DECIDED[state]
        else:  # what is known of an epoch is known of its last transaction, and there is another now
            self._decided.pop((writer, epoch), None)
        return state, epoch

    async def _open(self, producer: AIOKafkaProducer) -> list[Open]:
        places = [self._leading]
        for topic, partition in self._others:
            numbers = sorted(await producer.partitions_for(topic)) if partition is None else [partition]
            places += [TopicPartition(topic, number) for number in numbers]
        found: list[Open] = []

        async def ask(node: int, asked: list[TopicPartition]) -> list[TopicPartition]:
            again: list[TopicPartition] = []
            answer = await producer.client.send(node, DescribeProducers(asked))
            for topic, partitions, _tags in answer.topics:
                for number, code, _message, writers, _tags in partitions:
                    place = TopicPartition(topic, number)
                    if code in _UNAUTHORIZED:
                        log.warning(
                            "%(writer)s: Kafka does not tell us whether anything is left open in %(places)s",
                            {"event": "left_open_not_told", "writer": self._id, "places": _names([place])},
                        )
                    elif code:
                        again.append(place)
                    found.extend(
                        Open(place, epoch, max(coordinator, 0), begin)
                        for writer, epoch, _sequence, _timestamp, coordinator, begin, _tags in writers or ()
                        if writer == producer._txn_manager.producer_id and begin >= 0
                    )
            return again

        await self._at_leaders(producer, dict.fromkeys(places), ask)
        return found

    async def _mark(self, producer: AIOKafkaProducer, left: list[Open]) -> None:
        manager = producer._txn_manager
        commits = self._commits(manager.producer_id, left)
        refused: set[int] = set()

        async def mark(node: int, asked: list[TopicPartition]) -> list[TopicPartition]:
            marked = [(one.place, one.coordinator_epoch) for one in left if one.place in asked]
            request = WriteTxnMarkers(manager.producer_id, manager.producer_epoch, commits, marked)
            again: list[TopicPartition] = []
            answer = await producer.client.send(node, request)
            for _producer, topics, _tags in answer.markers:
                for topic, partitions, _tags in topics:
                    for number, code, _tags in partitions:
                        if code in _OVERTAKEN or code in _UNAUTHORIZED:
                            refused.add(code)
                        elif code:
                            again.append(TopicPartition(topic, number))
            return again

        await self._at_leaders(producer, dict.fromkeys(one.place for one in left), mark)
        if refused & set(_UNAUTHORIZED):
            await self._let_it_be_ended(producer, left, commits)
            refused.clear()
        self._tell(left, commits, refused)

    async def _let_it_be_ended(self, producer: AIOKafkaProducer, left: list[Open], commits: bool) -> None:
        """Have the ender do what Kafka does not allow us; return once it is done."""
        manager = producer._txn_manager
        told = tuple(Left(*one.place, one.coordinator_epoch, one.begin) for one in left)
        self.asked = True
        await ask(self._bootstrap, Asked(self._id, manager.producer_id, manager.producer_epoch, commits, told))
        for _ in range(_LOOKS):
            if not await self._open(producer):
                self.asked = False
                return
            await asyncio.sleep(_RETRY_SECONDS)
        log.error(
            "Kafka has left a transaction of %(writer)s open (%(places)s), and no ender ends it: until `pumasi ender` runs, or "
            "somebody does it with `kafka-transactions.sh abort`, nobody reads on there",
            {"event": "left_open", "writer": self._id, "places": _names(one.place for one in left)},
        )  # fmt: skip
        raise RequestTimedOutError("no ender has ended what was left open")

    def _commits(self, producer: int, left: list[Open]) -> bool:
        # A writer that is shut out in mid-transaction loses its epoch first; that epoch's decision was about an earlier transaction.
        if any(self._decided.get((producer, one.epoch + 1)) is False for one in left):
            return False
        for one in left:
            if (producer, one.epoch) in self._decided:
                return self._decided[producer, one.epoch]
        return all(one.place != self._leading for one in left)

    async def _at_leaders(self, producer: AIOKafkaProducer, places: dict[TopicPartition, None], do: Any) -> None:
        """Call `do` with each leader and its partitions, until it returns none to be tried again."""
        client = producer.client
        for topic in {place.topic for place in places}:
            await producer.partitions_for(topic)
        for number in range(_TRIES):
            by_leader: dict[int | None, list[TopicPartition]] = defaultdict(list)
            for place in places:
                by_leader[client.cluster.leader_for_partition(place)].append(place)
            again: list[TopicPartition] = by_leader.pop(None, []) + by_leader.pop(-1, [])
            for node, asked in by_leader.items():
                again += await do(node, asked)
            if not again:
                return
            places = dict.fromkeys(again)
            if number >= _TRIES_FOR_OTHERS and self._leading not in places:
                log.warning(
                    "%(writer)s: not known whether anything is left open in %(places)s",
                    {"event": "left_open_unknown", "writer": self._id, "places": _names(places)},
                )
                return
            await client.force_metadata_update()
            await asyncio.sleep(_RETRY_SECONDS)
        raise RequestTimedOutError(f"no answer for {_names(places)}")

    def _tell(self, left: list[Open], commits: bool, refused: set[int]) -> None:
        which = ", ".join(f"{one.place.topic} partition {one.place.partition} from offset {one.begin}" for one in left)
        if not refused:
            log.warning(
                "Kafka had left a transaction of %(writer)s open (%(places)s); it is ended now: %(outcome)s",
                {"event": "left_open_ended", "writer": self._id, "places": which, "outcome": "committed" if commits else "aborted"},
            )  # fmt: skip


def _names(places: Iterable[TopicPartition]) -> str:
    return ", ".join(f"{place.topic}/{place.partition}" for place in places)
