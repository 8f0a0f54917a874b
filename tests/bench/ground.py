"""Topics for a run: a commands topic that is filled once, and fresh ones to write to."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.bus import topics

MATCHERS = (topics.LEDGER, topics.CHECKPOINTS, topics.DEADLETTERS)
"""What a matcher writes."""
QUICK_TO_DELETE = {"log.segment.delete.delay.ms": 500}
"""What is deleted is gone at once, and not in a minute: else runs of gigabytes pile up, and who comes later shares the disk with their
being written back, and has memory that the machine has never used before. Nobody reads what is deleted here."""
_LOOK_EVERY_SECONDS = 0.05


async def make(bootstrap: str, topic: str, partitions: int = 1) -> None:
    """A topic for copies."""
    async with _admin(bootstrap) as admin:
        await admin.create_topics([NewTopic(topic, partitions, 1)])


async def clear(bootstrap: str, names: Collection[str], partitions: int = 1) -> None:
    """Delete topics with all in them, and make those of Pumasi anew."""
    async with _admin(bootstrap) as admin:
        await admin.delete_topics(list(names))
        while set(names) & set(await admin.list_topics()):
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    await topics.ensure(bootstrap, partitions)


class _admin:  # noqa: N801  # used as a function
    def __init__(self, bootstrap: str) -> None:
        self._client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._client.start()
        return self._client

    async def __aexit__(self, *_error: object) -> None:
        await self._client.close()
