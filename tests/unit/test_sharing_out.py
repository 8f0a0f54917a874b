"""How a group shares partitions out: evenly, few move, and members of an older version are no obstacle."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from services.bus.client.assignor import sticky

TOPIC = "pumasi.commands.v1"


class Group:
    """A consumer group without a broker: members join and leave, one of them shares out."""

    def __init__(self, partitions: int) -> None:
        self.members: dict[str, Any] = {}
        self.generation = 0
        self._cluster = SimpleNamespace(
            topics=lambda: {TOPIC}, partitions_for_topic=lambda _topic: set(range(partitions))
        )

    def share_out(self, leader: str) -> dict[str, set[int]]:
        self.generation += 1
        told = {name: member.metadata({TOPIC}) for name, member in self.members.items()}
        made = self.members[leader].assign(self._cluster, told)
        for name, member in self.members.items():
            member.on_assignment(made[name])
            member.generation = self.generation
        return {name: {place.partition for place in made[name].partitions()} for name in self.members}


def moved(before: dict[str, set[int]], after: dict[str, set[int]]) -> int:
    return sum(len(after[name] - before.get(name, set())) for name in after)


def assert_shared(shares: dict[str, set[int]], partitions: int) -> None:
    assert sorted(number for share in shares.values() for number in share) == list(range(partitions))
    sizes = [len(share) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1


def test_who_joins_gets_a_fair_share_and_no_more_moves() -> None:
    group = Group(12)
    group.members["b"] = sticky()
    shares = group.share_out("b")
    for name, most in (("a", 6), ("c", 4), ("d", 3)):
        group.members[name] = sticky()
        before, shares = shares, group.share_out("b")
        assert_shared(shares, 12)
        assert moved(before, shares) == most


def test_when_one_goes_only_what_it_had_moves() -> None:
    group = Group(12)
    group.members = {name: sticky() for name in "abcd"}
    before = group.share_out("a")
    del group.members["b"]
    after = group.share_out("c")
    assert_shared(after, 12)
    assert moved(before, after) == len(before["b"]) == 3


def test_one_that_slept_through_a_sharing_out_claims_nothing_of_what_others_have() -> None:
    group = Group(4)
    group.members = {"a": sticky(), "b": sticky()}
    group.share_out("a")
    sleeper = group.members.pop("b")
    group.share_out("a")
    group.members["b"] = sleeper
    before, after = {"a": set(range(4))}, group.share_out("a")
    assert_shared(after, 4)
    assert moved(before, after) == 2


def test_members_of_both_versions_share_out_whoever_does_it() -> None:
    group = Group(4)
    group.members = {"old": RoundRobinPartitionAssignor, "new": sticky()}
    assert sticky().name == RoundRobinPartitionAssignor.name
    for leader in ("old", "new", "old"):
        assert_shared(group.share_out(leader), 4)


def test_two_members_in_one_process_keep_their_claims_apart() -> None:
    first, second = sticky(), sticky()
    first.member_assignment = [TopicPartition(TOPIC, 0)]
    assert second.member_assignment is None
