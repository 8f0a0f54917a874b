"""A peer of the bench: FastStream doing its best, a handler a batch, which publishes a batch; committed once that is acknowledged.

FastStream has no transactions, so after a crash it repeats: at least once. Messages are decoded by itself, by the batch.

Usage: python -m tests.bench.peers.faststream_batch BOOTSTRAP SOURCE TARGET GROUP
"""

import logging
import sys
from typing import Any

import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaPublishMessage

BATCH_MAX = 2000


async def run(bootstrap: str, source: str, target: str, group: str) -> None:
    """Copy until told to stop."""
    broker = KafkaBroker(
        bootstrap, logger=None, apply_types=False, allow_auto_create_topics=False, acks="all", max_batch_size=1 << 20
    )

    @broker.subscriber(
        source,
        group_id=group,
        batch=True,
        max_records=BATCH_MAX,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
    )
    async def copy(commands: list[dict[str, Any]]) -> None:
        raw = broker.context.get_local("message").raw_message
        await broker.publish_batch(
            *(
                KafkaPublishMessage(command, key=record.key, headers={k: v.decode() for k, v in record.headers})
                for command, record in zip(commands, raw, strict=True)
            ),
            topic=target,
        )

    await FastStream(broker, logger=logging.getLogger("faststream.quiet")).run(log_level=logging.CRITICAL)


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:5]))
