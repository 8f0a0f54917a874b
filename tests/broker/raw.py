"""A raw Kafka client of the tests' own: puts commands on the bus and reads the ledger by the contract's text alone.

Nothing of `services` is used here but topic names, so that a mistake shared by writer and reader can't hide.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest

COMMANDS, LEDGER, DEADLETTERS = "pumasi.commands.v1", "pumasi.ledger.v1", "pumasi.deadletters.v1"
PARTITIONS = 4
PARTITION = {"jilin": 0, "liaoning": 1, "tianjin": 2, "yanji": 3}
"""Funds by partition: murmur2 mod 4, as Java's own client says."""
DEADLINE_SECONDS = 60


def headers(kind: str, event: str, time: str = "2026-11-22T10:00:00Z") -> list[tuple[str, bytes]]:
    """A command's headers."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.encode()),
        ("ce_source", b"/test"),
        ("ce_type", kind.encode()),
        ("ce_time", time.encode()),
        ("content-type", b"application/json"),
    ]


class Client:
    """Producer and consumers for one test; use as an async context manager."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._count = 0

    async def __aenter__(self) -> Client:
        self.producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all", max_request_size=4 << 20)
        await self.producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.producer.stop()

    async def command(self, kind: str, time: str = "2026-11-22T10:00:00Z", **data: Any) -> asyncio.Future:
        """Put a command on its fund's partition; await the result to know it is there."""
        self._count += 1
        fund = data["fund"]
        return await self.producer.send(
            COMMANDS,
            key=fund.encode(),
            value=json.dumps(data).encode(),
            partition=PARTITION[fund],
            headers=headers("pumasi." + kind, f"e-{self._count}", time),
        )

    async def fund(self, fund: str, **policy: Any) -> None:
        """Open a fund that asks for no vouchers."""
        await self.command("fund.configured", fund=fund, currency="CNY", vouchers_required=0, **policy)

    async def case(self, fund: str, case: str, goal: int, **data: Any) -> None:
        """Submit a case."""
        given = {"beneficiary": f"b-{case}", "need": "treatment", "route": "clinic", "priority": "urgent", **data}
        await self.command("case.submitted", fund=fund, case=case, goal=goal, **given)

    async def pledge(self, fund: str, pledge: str, amount: int, **data: Any) -> None:
        """Make a pledge."""
        await self.command(
            "pledge.made", fund=fund, pledge=pledge, donor=f"d-{pledge}", amount=amount, currency="CNY", **data
        )

    async def raw(self, partition: int, key: bytes | None, value: bytes | None, heads: list) -> None:
        """Put any record at all on the commands topic."""
        await (await self.producer.send(COMMANDS, key=key, value=value, partition=partition, headers=heads))

    async def flush(self) -> None:
        """Wait until all that was sent is there."""
        await self.producer.flush()

    async def read(self, topic: str, partition: int, at_least: int) -> list:
        """All committed records of a partition, once there are `at_least` of them.

        More may come a moment later. A test that means "and no more" reads again once whoever writes them has stopped.

        Raises:
            TimeoutError: if they don't come in time; it tells how many did.
        """
        async with AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
        ) as consumer:
            consumer.assign([TopicPartition(topic, partition)])
            return await everything(consumer, at_least)

    async def ledger(self, fund: str, at_least: int) -> list[dict[str, Any]]:
        """The fund's partition of the ledger, held against the contract, decoded."""
        return check_chain(await self.read(LEDGER, PARTITION[fund], at_least))


async def everything(
    consumer: AIOKafkaConsumer, at_least: int = 0, counts: Callable[[ConsumerRecord], bool] = lambda _: True
) -> list[ConsumerRecord]:
    """All that there is on a consumer's partitions, in their order, once there are `at_least` records that count.

    Raises:
        TimeoutError: if they don't come in time; it tells how many did.
    """
    found, deadline = list[ConsumerRecord](), time.monotonic() + DEADLINE_SECONDS
    while True:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += records
        if (many := sum(map(counts, found))) >= at_least:
            return sorted(found, key=lambda record: (record.topic, record.partition, record.offset))
        if time.monotonic() > deadline:
            raise TimeoutError(f"{', '.join({place.topic for place in ends})}: {many} of {at_least} records")
        await asyncio.sleep(0.02)


async def put_out(bootstrap: str, group: str) -> None:
    """Put all members out of a group, as Kafka does once the sessions of killed ones are over: for tests of what comes after."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        described = await client.send(client.get_random_node(), DescribeGroupsRequest([group]))
        [(_error, _group, _state, _type, _protocol, members, *_)] = described.groups
        for member, *_ in members:
            await client.send(client.get_random_node(), LeaveGroupRequest(group, member))
    finally:
        await client.close()


def check_chain(records: list) -> list[dict[str, Any]]:
    """Assert numbers, hash chain, headers and compactness as the contract has them; returns the entries."""
    entries, previous, watermark = [], bytes(32), -1
    for number, record in enumerate(records, 1):
        entry = json.loads(record.value)
        assert list(entry)[-1] == "hash"
        cut = record.value.rindex(b',"hash":"')
        body = record.value[:cut] + b"}"
        previous = blake2b(previous + body, digest_size=32).digest()
        assert entry["hash"] == previous.hex(), f"entry {number}: broken chain"
        assert entry["seq"] == number
        assert len(record.value) <= 512 * 1024
        assert record.value == json.dumps(entry, separators=(",", ":")).encode()
        assert dict(record.headers) == {
            "ce_specversion": b"1.0",
            "ce_id": f"{record.partition}-{number}".encode(),
            "ce_source": b"/pumasi/matcher",
            "ce_type": b"pumasi.ledger.entry",
            "ce_time": entry["at"].encode(),
            "content-type": b"application/json",
        }
        continued = entries and entries[-1].get("more")
        assert entry["cause"]["offset"] == watermark if continued else entry["cause"]["offset"] > watermark
        watermark = entry["cause"]["offset"]
        entries.append(entry)
    assert not entries or not entries[-1].get("more")
    return entries


def kinds(entry: dict[str, Any]) -> list[str]:
    """The names of an entry's facts."""
    return [fact["fact"] for fact in entry["facts"]]
