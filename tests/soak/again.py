"""The engine's own word: `pumasi audit` executes every command again, without faults, and compares every byte; and what a matcher
would remember if it took a partition now, from its checkpoint, is held against what the ledger's facts lead to from the first.

This is one part of the check and not the independent one: engine and audit share their code. It says that faults, kills and
recoveries left no trace in the ledger; the independent checker says that what stands there can be true.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

from services.bus import topics
from services.bus.consume.scan import Extent, TopicReader
from services.matcher.checkpoint.differences import differences
from services.matcher.checkpoint.recovery import recover
from services.matcher.checkpoint.restoring import NONE_YET, UNFINISHED
from services.matcher.ledger.replay import Replay

_TOLD_MAX = 5


async def audit(environment: Mapping[str, str]) -> dict[str, Any]:
    """`pumasi audit --json` as anybody would run it, by these settings; what it said, or its failure as `{"ok": false, …}`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "audit", "--json",
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said, complaint = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    try:
        told = json.loads(said)
    except ValueError:
        told = {"message": complaint.decode(errors="replace").strip()[-500:]}
    return {**told, "ok": process.returncode == 0 and bool(told.get("ok"))}


class _Written:
    """A partition as the recovering matcher reads it; nobody is fenced, since nobody writes any more."""

    def __init__(self, reader: TopicReader, partition: int) -> None:
        self._reader, self._partition = reader, partition

    async def checkpoint(self) -> AsyncIterator[list[tuple[bytes, bytes | None]]]:
        async for records in self._portions(topics.CHECKPOINTS, 0):
            yield [(record.key or b"", record.value) for record in records]

    async def read_back(self, begin: int = 0) -> AsyncIterator[list[bytes | None]]:
        async for records in self._portions(topics.LEDGER, begin):
            yield [record.value for record in records]

    async def _portions(self, topic: str, begin: int) -> AsyncIterator[Any]:
        extent = (await self._reader.extents(topic))[self._partition]
        start, end = max(begin, extent.begin), max(begin, extent.end)
        async for records in self._reader.portions(topic, {self._partition: Extent(start, end)}):
            yield records


async def restored(kafka: str, partition: int, entries_without: int) -> list[str]:
    """What a matcher that took a partition now would remember wrongly, a line each; and why, if it could not use the checkpoint.

    Args:
        kafka: bootstrap servers.
        partition: which.
        entries_without: up to so many entries there need be no checkpoint yet.

    Raises:
        KafkaUnreachable: if the broker can't be read.
        LedgerTampered: if the ledger does not hold.
    """
    async with TopicReader(kafka) as reader:
        written = _Written(reader, partition)
        found = await recover(partition, written)
        plain = Replay(partition)
        async for values in written.read_back():
            for value in values:
                plain.feed(value)
    wrong = [f"{what} is not what the ledger says" for what in differences(found.replay.engine, plain.engine)]
    if (found.replay.seq, found.replay.hash, found.replay.watermark) != (plain.seq, plain.hash, plain.watermark):
        wrong.append("it would go on from another entry")
    young = found.without in (NONE_YET, UNFINISHED) and plain.seq <= entries_without
    if found.head is None and found.without is not None and plain.seq and not young:
        wrong.append(f"no checkpoint is of use: {found.without}")
    return wrong[:_TOLD_MAX]
