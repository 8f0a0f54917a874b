"""Recovery: from what a partition has written back to the memory that wrote it.

The newest checkpoint, then the entries since; or, where there is no checkpoint that can be relied on, all entries from the first. A
checkpoint is relied on only if its state hash is right and the ledger holds the very entry that it names: its number, its hash. The
ledger alone decides what is true; a checkpoint only saves reading it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from services.matcher.checkpoint import HEAD, Head, Keeper, Unusable
from services.matcher.conservation import ConservationBreach, check_all
from services.matcher.engine import Engine
from services.matcher.replay import Replay


class Written(Protocol):
    """What a partition has written, as its journal reads it back."""

    async def checkpoint(self) -> dict[bytes, bytes]:
        """The newest value of every key of the checkpoints' partition that has one."""

    def read_back(self, begin: int = 0) -> AsyncIterator[list[bytes | None]]:
        """The ledger's values from an offset on, in portions."""


class Recovered(NamedTuple):
    """A partition's memory, rebuilt.

    Attributes:
        replay: engine, chain and watermark.
        keeper: knows what the checkpoint says.
        head: the checkpoint's; None if the whole ledger was read.
        without: why there was no checkpoint to rely on, or None.
    """

    replay: Replay
    keeper: Keeper
    head: Head | None
    without: str | None


async def recover(partition: int, written: Written) -> Recovered:
    """Rebuild a partition's memory; call after fencing.

    Raises:
        KafkaUnreachable: try again later.
        LedgerTampered: the partition must stop.
    """
    records = await written.checkpoint()
    keeper = Keeper()
    try:
        engine, head = keeper.restore(records)
        _hold(engine)
        return Recovered(await _resumed(partition, written, engine, head), keeper, head, None)
    except Unusable as unusable:
        replay = Replay(partition)
        async for values in written.read_back():
            for value in values:
                replay.feed(value)
        replay.finish()
        return Recovered(replay, Keeper(frozenset(records) - {HEAD}), None, str(unusable))


async def _resumed(partition: int, written: Written, engine: Engine, head: Head) -> Replay:
    replay = Replay(partition, engine, head.seq, head.hash, head.watermark)
    anchored = False
    async for values in written.read_back(head.ledger_offset):
        for value in values:
            if anchored:
                replay.feed(value)
            else:
                anchored = replay.is_last(value)
    if not anchored:
        raise Unusable(f"the ledger does not hold entry {head.seq} as the checkpoint has it")
    replay.finish()
    return replay


def _hold(engine: Engine) -> None:
    try:
        for fund in engine.funds.values():
            check_all(fund)
    except ConservationBreach as breach:
        raise Unusable(f"it does not conserve money: {breach}") from breach
