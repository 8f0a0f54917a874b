"""The bare peer of the bench: what aiokafka does at best when it only copies, exactly once per transaction.

Reads batches from one partition, sends each record on unchanged, and commits a transaction a batch, every send awaited, with the same
client settings as the matcher's journal. No parsing, no matching, no recovery: the ceiling that a matcher is measured against.

Usage: python -m services.lab.echo BOOTSTRAP SOURCE TARGET RECORDS
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.matcher.batch import BATCH_COMMANDS_MAX
from services.matcher.journal import BATCH_BYTES


async def echo(bootstrap: str, source: str, target: str, records: int) -> None:
    """Copy `records` records from partition 0 of `source` to partition 0 of `target`, then end."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        transactional_id="pumasi-bench-echo",
        max_batch_size=BATCH_BYTES,
        retry_backoff_ms=5,
    )
    await consumer.start()
    await producer.start()
    place = TopicPartition(source, 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    done = 0
    while done < records:
        found = (await consumer.getmany(place, timeout_ms=100, max_records=BATCH_COMMANDS_MAX)).get(place, [])
        if not found:
            continue
        await producer.begin_transaction()
        sent, batch = [], producer.create_batch()
        for record in found:
            fields = {"timestamp": None, "key": record.key, "value": record.value, "headers": list(record.headers)}
            if batch.append(**fields) is None:
                sent.append(await producer.send_batch(batch, target, partition=0))
                batch = producer.create_batch()
                batch.append(**fields)
        sent.append(await producer.send_batch(batch, target, partition=0))
        await asyncio.gather(*sent)
        await producer.commit_transaction()
        done += len(found)
    await producer.stop()
    await consumer.stop()


if __name__ == "__main__":
    uvloop.run(echo(*sys.argv[1:4], int(sys.argv[4])))
