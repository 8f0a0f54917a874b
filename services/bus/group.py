"""What a consumer group tells its members: partitions come and go.

aiokafka swallows what a listener raises and goes on as if nothing had been; so the callables given here must deal with their own
errors. They are plain functions that return at once: a rebalance waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import ConsumerRebalanceListener


class Rebalance(ConsumerRebalanceListener):
    """Hands a rebalance on.

    Args:
        revoked: called with the partitions that are being taken away.
        assigned: called with all partitions that are ours from now on.
    """

    def __init__(self, revoked: Callable[[Iterable[Any]], None], assigned: Callable[[Iterable[Any]], None]) -> None:
        self._revoked, self._assigned = revoked, assigned

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._revoked(revoked)

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._assigned(assigned)


def leave_for_good(consumer: Any) -> None:
    """Let a consumer that is about to stop leave its group, also one that has a name (`group_instance_id`).

    aiokafka keeps a named member's place until its session ends, for it might be back in a moment. Ours has a name for the moment after
    a crash; one that stops in good order is not waited for.
    """
    consumer._coordinator._group_instance_id = None
