"""What waits in a partition that does not get on: one that gets on knows by what it fetches.

A partition that is being rebuilt, or has stopped, fetches nothing. That is when it matters most how much waits, and for how long; so
its topic is looked at, now and then, by a reader of its own. Before its ledger was read once, nobody here knows what is answered, and
so what waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import NamedTuple

from services.bus.consume.scan import Extent, TopicReader
from services.bus.topics import COMMANDS
from services.errors import TopicUnreadable

LOOK_SECONDS = 5.0


class Backlog(NamedTuple):
    """What waits.

    Attributes:
        records: from the first that may be unanswered to the topic's end, markers of transactions included.
        since_ms: when the broker appended the first, milliseconds since 1970; None if none waits, or it can't be read.
    """

    records: int
    since_ms: int | None


async def look(bootstrap: str, begins: Mapping[int, int]) -> dict[int, Backlog]:
    """What waits in some partitions.

    Args:
        bootstrap: Kafka's servers.
        begins: by partition, the first offset that may be unanswered.

    Raises:
        KafkaUnreachable: if no broker answers.
    """
    found = {}
    async with TopicReader(bootstrap, committed=False) as reader:
        for partition, begin in begins.items():
            end, since = await reader.high_watermark(COMMANDS, partition), None
            with contextlib.suppress(TopicUnreadable):
                async with contextlib.aclosing(reader.records(COMMANDS, {partition: Extent(begin, end)})) as records:
                    async for record in records:
                        since = record.timestamp
                        break
            found[partition] = Backlog(max(0, end - begin), since)
    return found
