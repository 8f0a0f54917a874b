"""Codecs: topics whose records the broker compresses, as whoever runs a cluster may have set it."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.bus import topics
from services.bus.security import connection

CODECS = ("snappy", "zstd", "lz4", "gzip")


async def compress(bootstrap: str, copies: int, *codecs: str) -> None:
    """Let the broker compress what comes to our topics, of which there are so many copies; codecs in turn, topic by topic.

    Raises:
        KafkaError: if it can't be asked.
    """
    admin = AIOKafkaAdminClient(**connection(bootstrap))
    await admin.start()
    try:
        for number, topic in enumerate(topics.wanted_topics(replication=copies)):
            config = {**topic.config, **topic.tuning, "compression.type": codecs[number % len(codecs)]}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=config)])
    finally:
        await admin.close()
