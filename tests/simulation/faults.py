"""The adversary: lets go wrong what the plan says, each at its request, one after the other.

A fault is bound to a kind of request rather than to a moment, since that is where things can go wrong that matter: between a commit
and its reply, between a batch and the next. When the faults of the plan are used up, or the run has nothing left to be troubled with,
the world is calm, and from then on the service has to come through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from services.bus.topics import CHECKPOINTS
from tests.simulation.broker import Broker
from tests.simulation.clock import Process, VirtualLoop
from tests.simulation.cluster import Cluster
from tests.simulation.network import Fate, Network
from tests.simulation.plan import Fault
from tests.simulation.transactions import State

_REFUSALS = {
    "InitProducerId": (14, 16), "AddPartitions": (14, 16, 51), "EndTxn": (14, 16, 51),
    "Produce": (6, 19, 56, -1), "Heartbeat": (16,),
}  # fmt: skip
"""Error codes: coordinator loading, or elsewhere; a transaction under way; leader elsewhere; too few replicas; disk; anything."""

_MARKERS_SECONDS_MAX = 2.0
PATIENCE = 60
"""A fault whose request doesn't come among so many is passed over, or those behind it would never come about."""


class Adversary:
    """Carries out a plan's faults.

    Args:
        loop: the clock.
        r: what is left to chance.
        faults: in order.
        told: for stories.

    Attributes:
        done: how often what happened.
        calm_at: when the last fault was over, seconds of virtual time.
    """

    broker: Broker
    network: Network
    cluster: Cluster

    def __init__(self, loop: VirtualLoop, r: Random, faults: tuple[Fault, ...], told: Callable[[str], None]) -> None:
        self._loop, self._r, self._told = loop, r, told
        self._left = list(reversed(faults))
        self._passed = self._waited = 0
        self._under_way = 0
        self.done: Counter[str] = Counter()
        self.calm_at = 0.0
        self._means: dict[str, Callable[[Process, str, Any, Fault], Fate | None]] = {
            "request lost": lambda *_: Fate(arrives=False, broken=True),
            "request late": self._late,
            "request overtaken": self._overtaken,
            "request slow": lambda _process, _kind, _request, fault: Fate(slow_seconds=fault.seconds),
            "reply lost": lambda *_: Fate(answered=False, broken=True),
            "request swallowed": lambda *_: Fate(arrives=False),
            "reply swallowed": lambda *_: Fate(answered=False),
            "refused": self._refused,
            "killed before": self._killed_before,
            "killed after": self._killed_after,
            "killed at reply": self._killed_at_reply,
            "paused": self._paused,
            "stopped": self._stopped,
            "broker killed": self._broker_killed,
            "broker killed after": self._broker_killed_after,
            "timed out": self._timed_out,
            "markers slow": self._markers_slow,
            "markers skipped": self._markers_skipped,
            "put out of the group": self._put_out,
            "cut off": self._cut_off,
            "compacted": self._compacted,
        }

    @property
    def over(self) -> bool:
        """Whether nothing goes wrong any more, and nothing that did still goes on."""
        return not self._left and not self._under_way and not self.network.holds_back

    @property
    def used_up(self) -> bool:
        """Whether no more will go wrong; what did may still go on."""
        return not self._left

    def give_up(self) -> None:
        """Let the faults be that have not come about, and what is held back come."""
        self._left.clear()
        self.network.let_go()

    def fate(self, process: Process, kind: str, request: Any) -> Fate | None:
        """What becomes of a request (`network.Meddler`)."""
        if not self._left:
            return None
        fault = self._left[-1]
        self._waited += 1
        if self._waited > PATIENCE:
            self._next()
            return None
        if fault.at not in (kind, "any"):
            return None
        if self._passed < fault.wait:
            self._passed += 1
            return None
        self._next()
        fate = self._means[fault.what](process, kind, request, fault)
        if fate is not None:
            self.done[fault.what] += 1
            self.calm_at = self._loop.time()
            self._told(f"FAULT at {kind} of {process.name}: {fault.what}, {fault.seconds} s")
        return fate

    def _next(self) -> None:
        self._left.pop()
        self._passed = self._waited = 0

    def _for(self, seconds: float, end: Callable[[], None]) -> None:
        """Something goes on for a while, and then ends."""
        self._under_way += 1

        def over() -> None:
            self._under_way -= 1
            self.calm_at = self._loop.time()
            end()

        self._loop.later(seconds, over)

    # What goes wrong with one request

    def _late(self, _process: Process, kind: str, _request: Any, fault: Fault) -> Fate:
        if kind == "Connect":
            return Fate(broken=True)
        self._for(fault.seconds + 1.0, lambda: None)
        return Fate(late_seconds=fault.seconds, broken=True)

    def _overtaken(self, _process: Process, kind: str, _request: Any, fault: Fault) -> Fate:
        return Fate(broken=True) if kind == "Connect" else Fate(overtaken_by=fault.requests, broken=True)

    def _refused(self, _process: Process, kind: str, _request: Any, _fault: Fault) -> Fate | None:
        return Fate(refusal=self._r.choice(_REFUSALS[kind])) if kind in _REFUSALS else None

    # What happens to a matcher

    def _killed_before(self, process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        self._kill(process, fault)
        return Fate(arrives=False)

    def _killed_after(self, process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        self._kill(process, fault)
        return Fate()

    def _killed_at_reply(self, process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        return Fate(at_reply=lambda: self._kill(process, fault))

    def _kill(self, process: Process, fault: Fault) -> None:
        self.cluster.kill(process)
        self._for(min(fault.seconds, 2.0), lambda: self.cluster.start_again(process))

    def _paused(self, process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        self._loop.pause(process)
        self._for(fault.seconds, lambda: self._loop.wake(process))
        return Fate()

    def _stopped(self, process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        self.cluster.stop(process)
        self._for(fault.seconds, lambda: self.cluster.start_again(process))
        return Fate()

    def _put_out(self, process: Process, _kind: str, _request: Any, _fault: Fault) -> Fate | None:
        members = [name for name in self.broker.group.members if self.cluster.is_member(process, name)]
        for name in members:
            self.broker.group.expel(name)
        return Fate() if members else None

    def _cut_off(self, process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        self.network.cut_off.add(process)
        self.network.cut(process)
        self._for(fault.seconds, lambda: self.network.cut_off.discard(process))
        return Fate(arrives=self._r.random() < 0.5, answered=False)

    # What happens to the broker

    def _broker_killed(self, _process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        self._kill_broker(fault)
        return Fate(arrives=False, broken=True)

    def _broker_killed_after(self, _process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        return Fate(at_broker=lambda: self._kill_broker(fault))

    def _kill_broker(self, fault: Fault) -> None:
        if self.broker.up:
            self.broker.die()
            self.network.cut()
            self._for(fault.seconds, self.broker.come_back)

    def _timed_out(self, _process: Process, _kind: str, _request: Any, _fault: Fault) -> Fate | None:
        coordinator = self.broker.coordinator
        ongoing = [held for held in coordinator.transactions.values() if held.state is State.ONGOING]
        for held in ongoing:
            coordinator.expire(held)
        return Fate() if ongoing else None

    def _markers_slow(self, _process: Process, _kind: str, _request: Any, fault: Fault) -> Fate:
        seconds = min(fault.seconds, _MARKERS_SECONDS_MAX)
        usual, self.broker.marker_seconds = self.broker.marker_seconds, seconds

        def end() -> None:
            self.broker.marker_seconds = usual

        self._for(seconds + 1.0, end)
        return Fate()

    def _markers_skipped(self, _process: Process, _kind: str, _request: Any, _fault: Fault) -> Fate:
        self.broker.leaderless = True
        return Fate()

    def _compacted(self, _process: Process, _kind: str, _request: Any, _fault: Fault) -> Fate | None:
        changed = 0
        for (topic, _), log in self.broker.logs.items():
            if topic == CHECKPOINTS and log.end:
                upto = self._r.choice([log.end, self._r.randint(0, log.end)])
                changed += log.compact(upto, tombstones=not self.cluster.recovering and self._r.random() < 0.5)
        return Fate() if changed else None
