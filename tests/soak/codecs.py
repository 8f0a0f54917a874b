"""Codecs: topics whose records the broker compresses, as whoever runs a cluster may have set it."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.bus import topics

CODECS = ("snappy", "zstd", "lz4", "gzip")


async def compress(bootstrap: str, partitions: int, *codecs: str) -> None:
    """Let the broker compress what comes to our topics; codecs in turn, topic by topic.

    Raises:
        KafkaError: if it can't be asked.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        for number, topic in enumerate(topics.wanted_topics(partitions)):
            config = {**topic.config, **topic.tuning, "compression.type": codecs[number % len(codecs)]}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=config)])
    finally:
        await admin.close()
