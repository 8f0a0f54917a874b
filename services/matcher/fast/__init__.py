"""The short way for plain pledges, from record to entry; compiled where there is a C compiler. All of it can be deleted.

It takes a record only if the general way would say the very same, and has no rule and no error of its own.
"""

from __future__ import annotations

from services.matcher.engine.engine import Engine
from services.matcher.fast.express import Express


def lane_of(engine: Engine, partition: int, partitions: int) -> Express:
    """The lane of a partition: the compiled one, where there is one."""
    try:
        from services.matcher.fast.lane import Lane
    except ImportError:  # not compiled
        return Express(engine, partition, partitions)
    lane: Express = Lane(engine, partition, partitions)
    return lane
