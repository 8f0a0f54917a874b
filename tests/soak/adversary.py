"""The adversary: does what the plan says, when it says so, to whoever runs under that name then.

A fault whose target is between two lives waits some seconds for the next one; if it can't be had, the fault is noted as missed and not
counted. Whatever lasts is ended at the latest when the adversary is told to stop, so that the system can come to rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.cluster import SESSION_S
from tests.soak.disk import Disk
from tests.soak.plan import Fault
from tests.soak.proxy import END_TXN, INIT_PRODUCER_ID, PRODUCE, SPRINGS_WITHIN_S, How, Snare
from tests.soak.world import World

_ALIVE_WITHIN_S = 8.0
_LOOK_S = 0.02
_IN_STEP_WITHIN_S = 120.0
_SNARES: dict[str, tuple[int, How]] = {
    "lost-endtxn-reply": (END_TXN, "lose-reply"),
    "late-endtxn": (END_TXN, "late"),
    "lost-endtxn": (END_TXN, "lose-request"),
    "lost-produce-reply": (PRODUCE, "lose-reply"),
    "lost-init-reply": (INIT_PRODUCER_ID, "lose-reply"),
}


@dataclass
class Strike:
    """A fault that was done: when it began to bite and when it ended, on the monotonic clock."""

    fault: Fault
    began: float
    ended: float | None = None


@dataclass
class Adversary:
    """Does a plan's faults to a world.

    Attributes:
        struck: what was done, in order.
        missed: what could not be: no such process, or no such request within 20 s.

    """

    world: World
    disks: Mapping[str, Disk]
    struck: list[Strike] = field(default_factory=list)
    missed: list[Fault] = field(default_factory=list)
    _brokers: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, faults: Sequence[Fault], began: float) -> None:
        """Do all faults, each at its time after `began` (monotonic); return when the last is over. Cancel to end them early."""
        at_work = []
        try:
            for fault in faults:
                await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
                at_work.append(asyncio.create_task(self._do(fault)))
            await asyncio.gather(*at_work)
        finally:
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    async def _do(self, fault: Fault) -> None:
        act = self._once_in_step if self._is_of_several(fault) else _ACTS[fault.kind].__get__(self)
        if not await act(fault):
            self.missed.append(fault)
            self.world.ear.note("adversary", f"missed: {fault}")

    def _is_of_several(self, fault: Fault) -> bool:
        """Three brokers can do without one, and without no second: so they are struck one after the other."""
        return fault.target in self.world.brokers and len(self.world.brokers) > 1

    async def _once_in_step(self, fault: Fault) -> bool:
        """Strike one of several brokers once the others have all there is; the next has to wait until it shows that one is missed."""
        async with self._brokers:
            try:
                async with asyncio.timeout(_IN_STEP_WITHIN_S):
                    await self.world.until_in_step()
            except TimeoutError:
                return False
            done = await _ACTS[fault.kind](self, fault)
            await asyncio.sleep(SESSION_S)
        return done

    @contextlib.contextmanager
    def _striking(self, fault: Fault):
        """Note when a fault begins and ends."""
        strike = Strike(fault, time.monotonic())
        self.struck.append(strike)
        self.world.ear.note("adversary", f"{fault.kind} {fault.target} (planned for {fault.at_s:.1f} s)")
        try:
            yield
        finally:
            strike.ended = time.monotonic()
            if fault.seconds:
                self.world.ear.note("adversary", f"{fault.kind} {fault.target} is over")

    async def _alive(self, target: str) -> bool:
        deadline = time.monotonic() + _ALIVE_WITHIN_S
        while not self.world.pid(target):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def _end(self, fault: Fault) -> bool:
        number = signal.SIGKILL if fault.kind.startswith("kill") else signal.SIGTERM
        if not await self._alive(fault.target):
            return False
        with self._striking(fault):
            return self.world.signal(fault.target, number)

    async def _pause(self, fault: Fault) -> bool:
        if not await self._alive(fault.target) or not self.world.signal(fault.target, signal.SIGSTOP):
            return False
        with self._striking(fault):
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                self.world.signal(fault.target, signal.SIGCONT)
        return True

    async def _cut(self, fault: Fault) -> bool:
        link = self.world.links[fault.target]
        with self._striking(fault):
            link.refusing = True
            link.cut()
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                link.refusing = False
        return True

    async def _delay(self, fault: Fault) -> bool:
        link = self.world.links[fault.target]
        with self._striking(fault):
            link.delay_s = fault.size
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                link.delay_s = 0.0
        return True

    async def _silence(self, fault: Fault) -> bool:
        link = self.world.links[fault.target]
        with self._striking(fault):
            link.silent = True
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                link.silent = False
                link.cut()
        return True

    async def _snare(self, fault: Fault) -> bool:
        api, how = _SNARES[fault.kind]
        with self.world.links[fault.target].snare(Snare(api, how, fault.seconds)) as snare:
            try:
                await asyncio.wait_for(snare.sprung.wait(), SPRINGS_WITHIN_S)
            except TimeoutError:
                return False
        with self._striking(fault):
            await asyncio.sleep(fault.seconds)
        return True

    async def _clock(self, fault: Fault) -> bool:
        clock = self.world.clocks.get(fault.target)
        if clock is None:
            return False
        with self._striking(fault):
            clock.step(fault.size)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                clock.step(0.0)
        return True

    async def _fill(self, fault: Fault) -> bool:
        disk = self.disks.get(fault.target)
        if disk is None or not await self._alive(fault.target):
            return False
        with self._striking(fault):
            try:
                await asyncio.to_thread(disk.fill)
                await asyncio.sleep(fault.seconds)
            finally:
                disk.free()
        return True

    async def _kill_leader(self, fault: Fault) -> bool:
        """Of the moment: whom it strikes is known only then."""
        leader = self.world.leading()
        return bool(leader) and await self._end(fault._replace(target=leader))

    async def _roll(self, fault: Fault) -> bool:
        with self._striking(fault):
            names = list(self.world.brokers)
            first = names.index(fault.target)
            for broker in names[first:] + names[:first]:
                await self.world.until_in_step()
                if not await self._alive(broker):
                    return False
                pid = self.world.pid(broker)
                self.world.ear.note("adversary", f"{fault.kind}: {broker}")
                self.world.signal(broker, signal.SIGTERM)
                while self.world.pid(broker) in (pid, 0):
                    await asyncio.sleep(_LOOK_S)
            await self.world.until_in_step()
        return True


_ACTS: dict[str, Callable[[Adversary, Fault], Awaitable[bool]]] = {
    "kill": Adversary._end,
    "kill-broker": Adversary._end,
    "restart": Adversary._end,
    "restart-broker": Adversary._end,
    "pause": Adversary._pause,
    "pause-broker": Adversary._pause,
    "cut": Adversary._cut,
    "delay": Adversary._delay,
    "silence": Adversary._silence,
    "clock": Adversary._clock,
    "disk-full": Adversary._fill,
    "kill-controller": Adversary._kill_leader,
    "roll-brokers": Adversary._roll,
    **dict.fromkeys(_SNARES, Adversary._snare),
}
"""The index of acts, by kind of fault."""
