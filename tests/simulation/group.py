"""The group coordinator: who is in the consumer group, and who was told to have which partitions.

As Kafka's classic protocol has it: members join, one of them shares the partitions out, all are told; whoever is silent for longer than
its session, or does not join again in time, is put out. It tells members only in reply to what they ask. So a member that is
paused, cut off or slow believes for a while in what it was told before, and two processes believe in one partition.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from tests.simulation.clock import VirtualLoop

OK = 0
ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED, FENCED_INSTANCE = 22, 25, 27, 79, 82

Reply = Callable[[Any], None]


class Phase(Enum):
    """Of the group."""

    EMPTY = "empty"
    JOINING = "joining"
    SHARING = "sharing out"
    STABLE = "stable"


class Member:
    """One member; `join` and `sync` are replies that it waits for."""

    def __init__(self, name: str, instance: str | None) -> None:
        self.id, self.instance = name, instance
        self.session_seconds = 0.0
        self.rebalance_seconds = 0.0
        self.protocols: list[tuple[str, bytes]] = []
        self.heard = 0.0
        self.join: Callable[[int], None] | None = None
        self.sync: Callable[[int, bytes], None] | None = None
        self.assignment = b""


class Group:
    """One consumer group.

    Args:
        loop: the clock.
        told: for stories.
    """

    def __init__(self, loop: VirtualLoop, told: Callable[[str], None]) -> None:
        self._loop, self._told = loop, told
        self.phase = Phase.EMPTY
        self.generation = 0
        self.leader = ""
        self.members: dict[str, Member] = {}
        self.offsets: dict[tuple[str, int], int] = {}
        self._instances: dict[str, str] = {}
        self._expected: set[str] = set()
        self._names_made = 0
        self._round = 0

    # Requests

    def join(self, request: Any, client: str, reply: Reply) -> None:
        """JoinGroup v5."""

        def turn_away(code: int, name: str = "") -> None:
            reply(request.RESPONSE_TYPE(0, code, -1, "", "", name, []))

        name, instance = request.member_id, request.group_instance_id
        if not name and not instance:
            self._expected.add(fresh := self._name(client))
            turn_away(MEMBER_ID_REQUIRED, fresh)
            return
        member, again = self.members.get(name), False
        if instance and self._instances.get(instance, name) != name:
            if name:
                turn_away(FENCED_INSTANCE)
                return
            member = self._replace(instance, client)
        elif member is None:
            if name and name not in self._expected:
                turn_away(UNKNOWN_MEMBER, name)
                return
            self._expected.discard(name)
            member, again = self._add(name or self._name(client), instance), True
        elif (self.phase is Phase.STABLE and member.id == self.leader) or member.protocols != request.group_protocols:
            again = True
        member.session_seconds = request.session_timeout / 1000
        member.rebalance_seconds = request.rebalance_timeout / 1000
        member.protocols, member.heard = request.group_protocols, self._loop.time()
        self._let_in(member, again, request, reply)

    def _let_in(self, member: Member, again: bool, request: Any, reply: Reply) -> None:
        def answer(code: int) -> None:
            member.join, member.heard = None, self._loop.time()
            told = [(m.id, m.instance, m.protocols[0][1]) for m in self.members.values()]
            reply(
                request.RESPONSE_TYPE(
                    0,
                    code,
                    self.generation,
                    member.protocols[0][0],
                    self.leader,
                    member.id,
                    told * (member.id == self.leader),
                )
            )

        member.join = answer
        if self.phase is Phase.JOINING:
            self._all_joined()
        elif again or self.phase is Phase.EMPTY:
            self._rebalance()
        else:
            answer(OK)  # it missed the reply, or comes back with nothing new

    def _name(self, client: str) -> str:
        self._names_made += 1
        return f"{client}-{self._names_made}"

    def _add(self, name: str, instance: str | None) -> Member:
        member = self.members[name] = Member(name, instance)
        if instance:
            self._instances[instance] = name
        self._watch(member)
        return member

    def _replace(self, instance: str, client: str) -> Member:
        """A member with a name is back as another process: it has its predecessor's place and partitions."""
        former = self.members.pop(self._instances[instance])
        member = self._add(self._name(client), instance)
        member.assignment, member.protocols = former.assignment, former.protocols
        if self.leader == former.id:  # the newcomer shall not share out anew, so it is not told that it leads
            self.leader = next((name for name in self.members if name != member.id), member.id)
        self._told(f"group: {member.id} takes the place of {former.id}")
        return member

    def sync(self, request: Any, reply: Reply) -> None:
        """SyncGroup v3."""

        def answer(code: int, assignment: bytes = b"") -> None:
            reply(request.RESPONSE_TYPE(0, code, assignment))

        code = self._known(request.member_id, request.generation_id)
        if code or self.phase is Phase.JOINING:
            answer(code or REBALANCE_IN_PROGRESS)
            return
        member = self.members[request.member_id]
        member.heard = self._loop.time()
        if self.phase is Phase.STABLE:
            answer(OK, member.assignment)
            return
        member.sync = answer
        if member.id == self.leader:
            shares = dict(request.group_assignment)
            self.phase = Phase.STABLE
            self._told(f"group: generation {self.generation}, {len(self.members)} members")
            for each in self.members.values():
                each.assignment, each.heard = shares.get(each.id, b""), self._loop.time()
                if each.sync is not None:
                    waiting, each.sync = each.sync, None
                    waiting(OK, each.assignment)

    def heartbeat(self, request: Any, reply: Reply) -> None:
        """Heartbeat v1."""
        code = self._known(request.member_id, request.generation_id)
        if not code:
            self.members[request.member_id].heard = self._loop.time()
            code = REBALANCE_IN_PROGRESS if self.phase is Phase.JOINING else OK
        reply(request.RESPONSE_TYPE(0, code))

    def leave(self, request: Any, reply: Reply) -> None:
        """LeaveGroup v1."""
        known = request.member_id in self.members
        if known:
            self.expel(request.member_id)
        reply(request.RESPONSE_TYPE(0, OK if known else UNKNOWN_MEMBER))

    def commit(self, request: Any, reply: Reply) -> None:
        """OffsetCommit v3."""
        code = self._known(request.consumer_id, request.consumer_group_generation_id)
        topics = []
        for topic, places in request.topics:
            if not code:
                self.offsets.update({(topic, partition): offset for partition, offset, _ in places})
            topics.append((topic, [(partition, code) for partition, *_ in places]))
        reply(request.RESPONSE_TYPE(0, topics))

    def fetch(self, request: Any, reply: Reply) -> None:
        """OffsetFetch v3."""
        topics = [
            (topic, [(partition, self.offsets.get((topic, partition), -1), "", 0) for partition in partitions])
            for topic, partitions in request.topics
        ]
        reply(request.RESPONSE_TYPE(0, topics, 0))

    # What happens by itself

    def expel(self, name: str) -> None:
        """Put a member out; the others share again."""
        member = self.members.pop(name, None)
        if member is None:
            return
        if self._instances.get(member.instance) == name:
            del self._instances[member.instance]
        self._told(f"group: {name} is out")
        if member.join is not None:
            member.join(UNKNOWN_MEMBER)
        if not self.members:
            self.phase = Phase.EMPTY
        elif self.phase is Phase.JOINING:
            self._all_joined()
        else:
            self._rebalance()

    def forget_waiting(self) -> None:
        """The broker died: replies that were waited for won't come, and silence is counted from now on."""
        for member in self.members.values():
            member.join = member.sync = None
            member.heard = self._loop.time()
        if self.members:
            self._rebalance()

    def _known(self, name: str, generation: int) -> int:
        if name not in self.members:
            return UNKNOWN_MEMBER
        return OK if generation == self.generation else ILLEGAL_GENERATION

    def _rebalance(self) -> None:
        self.phase = Phase.JOINING
        self._round += 1
        for member in self.members.values():
            if member.sync is not None:
                waiting, member.sync = member.sync, None
                waiting(REBALANCE_IN_PROGRESS)
        patience = max((member.rebalance_seconds for member in self.members.values()), default=0.0)
        self._loop.later(patience, self._out_of_patience, self._round)
        self._all_joined()

    def _out_of_patience(self, of: int) -> None:
        if self.phase is Phase.JOINING and self._round == of:
            for name in [member.id for member in self.members.values() if member.join is None]:
                self._told(f"group: {name} did not join again in time")
                self._instances.pop(self.members.pop(name).instance, None)
            self._all_joined()

    def _all_joined(self) -> None:
        if not self.members:
            self.phase = Phase.EMPTY
        elif all(member.join is not None for member in self.members.values()):
            self.generation += 1
            self.phase = Phase.SHARING
            if self.leader not in self.members:
                self.leader = next(iter(self.members))
            for member in list(self.members.values()):
                member.join(OK)

    def _watch(self, member: Member) -> None:
        """Put a member out once it has been silent for longer than its session; who waits to be let in is not silent."""
        if self.members.get(member.id) is not member:
            return
        silent = self._loop.time() - member.heard
        if member.join is None and member.session_seconds and silent >= member.session_seconds:
            self.expel(member.id)
            return
        wait = member.session_seconds - silent if member.join is None and member.session_seconds else 1.0
        self._loop.later(max(wait, 0.01), self._watch, member)
