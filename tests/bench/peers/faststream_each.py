"""A peer of the bench: FastStream as its tutorial has it, a handler a message, which publishes; every send awaited.

FastStream has no transactions; committing after each message's handler (`ACK`), it repeats after a crash, so at least once.

Usage: python -m tests.bench.peers.faststream_each BOOTSTRAP SOURCE TARGET GROUP
"""

import logging
import sys
from typing import Any

import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage


async def run(bootstrap: str, source: str, target: str, group: str) -> None:
    """Copy until told to stop."""
    broker = KafkaBroker(bootstrap, logger=None, allow_auto_create_topics=False, acks="all")
    publisher = broker.publisher(target)

    @broker.subscriber(source, group_id=group, auto_offset_reset="earliest", ack_policy=AckPolicy.ACK)
    async def copy(command: dict[str, Any], message: KafkaMessage) -> None:
        await publisher.publish(command, key=message.raw_message.key, headers=message.headers)

    await FastStream(broker, logger=logging.getLogger("faststream.quiet")).run(log_level=logging.CRITICAL)


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:5]))
