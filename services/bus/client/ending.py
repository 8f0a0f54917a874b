"""How transactions that Kafka has forgotten are ended: by the `ender`, at the request of the writer whose transaction it was.

    writer ─ "left open: …" ─► pumasi.services.v1 ─► ender ─ looks for itself ─ marker ─► the partition

Kafka asks for `ClusterAction` to have a marker written. That is the right of a broker: whoever has it may read everything and end
anybody's transaction. So no service that reads what others send has it. The ender reads nothing but requests, and believes none
of them: it ends a transaction only where the coordinator knows of none under way, the writer is still the one who asks, and the
partition says that it is open from exactly that offset. The only thing taken on the writer's word is whether to commit; nobody
else knows.

A marker that comes late could end the writer's next transaction. So a writer that has asked and doesn't see the end takes a new epoch.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.bus.client.producer import TROUBLE, Producer
from services.bus.client.requests import DescribeProducers, DescribeTransactions, WriteTxnMarkers
from services.bus.security import connection
from services.bus.topics import SERVICES

log = logging.getLogger("pumasi.bus")

LEFT_OPEN: Final = "pumasi.transaction.left-open"
UNDER_WAY: Final = ("Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence")
_TRANSACTION: Final = 1  # the kind of coordinator
_SEND_SECONDS_MAX: Final = 3.0


@dataclass(frozen=True)
class Left:
    """A part of a transaction that was left open: where, its coordinator's epoch, and the offset from which on it is open."""

    topic: str
    partition: int
    coordinator_epoch: int
    begin: int


@dataclass(frozen=True)
class Asked:
    """What an ender is asked: whose transaction, and whether it is to be committed."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    commits: bool
    left: tuple[Left, ...]


async def ask(bootstrap: str, asked: Asked) -> None:
    """Ask the ender. The caller checks whether it happens.

    Raises:
        KafkaError, OSError, TimeoutError: if it isn't known whether it was asked.
    """
    producer = Producer(**connection(bootstrap), client_id="pumasi-left-open", acks="all")
    headers = [("ce_specversion", b"1.0"), ("ce_type", LEFT_OPEN.encode()), ("content-type", b"application/json")]
    try:
        async with asyncio.timeout(_SEND_SECONDS_MAX):
            await producer.start()
            await producer.send_and_wait(
                SERVICES, json.dumps(asdict(asked)).encode(), asked.transactional_id.encode(), headers=headers
            )
    finally:
        await producer.give_up()


def read(record: Any) -> Asked | None:
    """The request in a record; None if it holds something else."""
    try:
        if dict(record.headers).get("ce_type") != LEFT_OPEN.encode():
            return None
        told = json.loads(record.value)
        return Asked(**told | {"left": tuple(Left(**one) for one in told["left"])})
    except (ValueError, TypeError, KeyError):
        return None


async def end(bootstrap: str, asked: Asked) -> list[Left]:
    """End what was left open, as far as that is true; returns what it ended.

    Raises:
        KafkaError, OSError, TimeoutError: if it can't be known or done; whoever asked asks again.
    """
    admin = AIOKafkaAdminClient(**connection(bootstrap), client_id="pumasi-ender")
    try:
        await admin.start()
        if not await _is_nobody_elses(admin, asked):
            return []
        by_leader: dict[int, list[Left]] = defaultdict(list)
        for one in asked.left:
            await admin._client.add_topic(one.topic)
            leader = admin._client.cluster.leader_for_partition(TopicPartition(one.topic, one.partition))
            if leader is not None and leader >= 0:
                by_leader[leader].append(one)
        ended: list[Left] = []
        for leader, left in by_leader.items():
            there = [one for one in left if await _is_open(admin, leader, asked, one)]
            if there:
                marks = [(TopicPartition(one.topic, one.partition), one.coordinator_epoch) for one in there]
                request = WriteTxnMarkers(asked.producer_id, asked.producer_epoch, asked.commits, marks)
                await admin._client.send(leader, request)
                ended += there
        return ended
    finally:
        await admin.close()


async def _is_nobody_elses(admin: AIOKafkaAdminClient, asked: Asked) -> bool:
    """Whether the coordinator knows of no transaction under way, and of no other writer since."""
    node = await admin.find_coordinator(asked.transactional_id, _TRANSACTION)
    answer: Any = await admin._client.send(node, DescribeTransactions(asked.transactional_id))
    [(code, _id, state, _timeout, _begin, producer, epoch, _topics, _tags)] = answer.transactions
    return not code and state not in UNDER_WAY and (producer, epoch) == (asked.producer_id, asked.producer_epoch)


async def _is_open(admin: AIOKafkaAdminClient, leader: int, asked: Asked, left: Left) -> bool:
    answer: Any = await admin._client.send(leader, DescribeProducers([TopicPartition(left.topic, left.partition)]))
    return any(
        (writer, begin) == (asked.producer_id, left.begin) and epoch <= asked.producer_epoch
        for _topic, partitions, _ in answer.topics
        for _number, _code, _message, writers, _ in partitions
        for writer, epoch, _sequence, _timestamp, _coordinator, begin, _ in writers or ()
    )


async def serve(bootstrap: Callable[[], str], asked: asyncio.Queue[Asked], told: Callable[[str], None]) -> None:
    """End what is asked for, for ever. `told` is called with a line for each transaction that was ended."""
    while True:
        one = await asked.get()
        try:
            ended = await end(bootstrap(), one)
        except TROUBLE as error:
            log.warning(
                "what %(writer)s left open can't be ended now: %(cause)s",
                {"event": "not_ended", "writer": one.transactional_id, "cause": type(error).__name__},
            )
            continue
        if ended:
            told(f"{_how(one)} a transaction of {one.transactional_id} that Kafka had left open: {_names(ended)}")


def _how(asked: Asked) -> str:
    return "committed" if asked.commits else "aborted"


def _names(left: Sequence[Left]) -> str:
    return ", ".join(f"{one.topic} partition {one.partition} from offset {one.begin}" for one in left)
