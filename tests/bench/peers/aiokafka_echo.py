"""A peer of the bench: what aiokafka does at best when it only copies, exactly once, a transaction per fetch.

Reads batches from one partition, sends each record on unchanged, and commits a transaction a batch, every send awaited, with the
same client settings as the matcher's journal; where it stands is the target's own affair, so nothing is recovered. With `parse` it
reads each value's JSON too (msgspec); without, it is the ceiling: what any Python program that copies with aiokafka is measured
against.

Usage: python -m tests.bench.peers.aiokafka_echo BOOTSTRAP SOURCE TARGET NAME bytes|parse
"""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.bus.produce.transaction import BATCH_BYTES

BATCH_RECORDS_MAX = 5_000
"""Records of a transaction at most; fewer cost more ends of transactions, more wait longer for their first."""


async def echo(bootstrap: str, source: str, target: str, name: str, parse: bool) -> None:
    """Copy partition 0 of `source` to partition 0 of `target` until told to stop."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        transactional_id=name,
        max_batch_size=BATCH_BYTES,
        retry_backoff_ms=5,
    )
    await consumer.start()
    await producer.start()
    place = TopicPartition(source, 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    while True:
        found = (await consumer.getmany(place, timeout_ms=100, max_records=BATCH_RECORDS_MAX)).get(place, [])
        if not found:
            continue
        await producer.begin_transaction()
        sent, batch = [], producer.create_batch()
        for record in found:
            if parse and "fund" not in msgspec.json.decode(record.value):
                raise ValueError("not a command")
            fields = {"timestamp": None, "key": record.key, "value": record.value, "headers": list(record.headers)}
            if batch.append(**fields) is None:
                sent.append(await producer.send_batch(batch, target, partition=0))
                batch = producer.create_batch()
                batch.append(**fields)
        sent.append(await producer.send_batch(batch, target, partition=0))
        await asyncio.gather(*sent)
        await producer.commit_transaction()


if __name__ == "__main__":
    uvloop.run(echo(*sys.argv[1:5], sys.argv[5] == "parse"))
