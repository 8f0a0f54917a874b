"""The short way for plain pledges, from record to answer; there is one only where it is compiled. All of it can be deleted.

It takes a record only if the general way would say the very same, and has no rule and no error of its own.
"""

from __future__ import annotations

from typing import Any

from services.matcher.engine.engine import Engine


def lane_of(engine: Engine, partition: int, partitions: int) -> Any:
    """The lane of a partition; None if there is none."""
    try:
        from services.matcher.fast.lane import Lane
    except ImportError:  # not compiled
        return None
    return Lane(engine, partition, partitions)
