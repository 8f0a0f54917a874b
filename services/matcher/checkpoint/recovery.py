"""Recovery: from what a partition has written back to the memory that wrote it.

It reads the newest checkpoint and the entries since, or all entries if there is no checkpoint to trust. A checkpoint is trusted only if
its state hash is right, the ledger holds the very entry that it names (number and hash), and the entries since follow from it. The
ledger alone is true; a checkpoint only saves reading it.

Other partitions of the process go on meanwhile, since everything is done in steps of some milliseconds. The garbage collector is
off: these objects are long-lived, and scanning them again and again would take longer than making it.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from services.errors import LedgerTampered, TopicUnreadable
from services.matcher.checkpoint.restoring import Restored, Unusable, newest, restoring
from services.matcher.checkpoint.writing import Head, Keeper
from services.matcher.ledger.replay import Replay

_ENTRIES_A_STEP = 200


class Written(Protocol):
    """What a partition has written, as its journal reads it back."""

    def checkpoint(self) -> AsyncIterator[list[tuple[bytes, bytes | None]]]:
        """Key and value of every record of the checkpoints' partition, in order, in portions."""

    def read_back(self, begin: int = 0) -> AsyncIterator[list[bytes | None]]:
        """The ledger's values from an offset on, in portions."""


class Recovered(NamedTuple):
    """A partition's memory, rebuilt.

    Attributes:
        replay: engine, chain and watermark.
        keeper: knows what the checkpoint says.
        head: the checkpoint's; None if the whole ledger was read.
        without: why there was no checkpoint to rely on, or None.
        seconds: what took how long: `fetch` the checkpoint's records, `restore` the engine from them, replay the ledger's `tail`.
    """

    replay: Replay
    keeper: Keeper
    head: Head | None
    without: str | None
    seconds: dict[str, float]


async def recover(partition: int, written: Written) -> Recovered:
    """Rebuild a partition's memory; call after fencing.

    Raises:
        KafkaUnreachable: try again later.
        LedgerTampered: the partition must stop.
    """
    stages = _Stages()
    with collector_at_rest():
        records: dict[bytes, bytes] = {}
        try:
            async for portion in written.checkpoint():
                newest(records, portion)
            stages.end("fetch")
            engine, head, keeper = await _in_steps(restoring(records))
            stages.end("restore")
            replay = Replay(partition, engine, head.seq, head.hash, head.watermark)
            await _resume(replay, written, head)
            without = None
        except (Unusable, TopicUnreadable) as unusable:  # of the ledger, the whole will say so again
            stages.end("restore")
            replay, head, keeper = Replay(partition), None, Keeper(records)
            async for values in written.read_back():
                await _feed(replay, values)
            replay.finish()
            without = str(unusable)
        stages.end("tail")
    return Recovered(replay, keeper, head, without, stages.seconds)


async def _resume(replay: Replay, written: Written, head: Head) -> None:
    """Find the checkpoint's entry in the ledger, then replay what follows."""
    anchored = False
    try:
        async for values in written.read_back(head.ledger_offset):
            start = 0
            while not anchored and start < len(values):
                anchored = replay.is_last(values[start])
                start += 1
            await _feed(replay, values[start:])
        replay.finish()
    except (
        LedgerTampered
    ) as tampered:  # or the checkpoint is amiss in a way that no hash tells: the whole ledger will say
        raise Unusable(f"the entries since do not fit: {tampered.message}") from tampered
    if not anchored:
        raise Unusable(f"the ledger does not hold entry {head.seq} as the checkpoint has it")


async def _feed(replay: Replay, values: list[bytes | None]) -> None:
    for start in range(0, len(values), _ENTRIES_A_STEP):
        for value in values[start : start + _ENTRIES_A_STEP]:
            replay.feed(value)
        await asyncio.sleep(0)


async def _in_steps(steps: Generator[None, None, Restored]) -> Restored:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Restored = done.value
            return found
        await asyncio.sleep(0)


class _Stages:
    """What took how long, seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self._since, 3)
        self._since = now


_resting = 0


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector from looking through memory that is just being built; may be entered by several at once."""
    global _resting  # the collector is the process's, too
    if not _resting and not gc.isenabled():  # somebody else's decision
        yield
        return
    _resting += 1
    gc.disable()
    try:
        yield
    finally:
        _resting -= 1
        if not _resting:
            gc.freeze()  # or the collector begins with looking through all that was built meanwhile, without a pause
            gc.enable()
