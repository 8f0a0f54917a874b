"""How a group shares out its partitions: each stays with its member, as far as balance allows.

The assignor is aiokafka's sticky one, under the name of its default. The name is all that a group must agree on; what a member
says of its partitions is ignored by those who don't know it. So members with and without it can be in one group, as a rolling
upgrade needs. (Offering both names is no way: aiokafka 0.14 sends a JoinGroup for each, aio-libs/aiokafka#1168.)
"""

from __future__ import annotations

from typing import Any

from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor


def sticky() -> Any:
    """An assignor that leaves partitions with whom they are; for one member, since aiokafka keeps its state in the class."""
    return type("Sticky", (StickyPartitionAssignor,), {"name": RoundRobinPartitionAssignor.name})
