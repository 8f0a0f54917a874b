"""One soak from start to end: up, load and faults, rest, down, check.

    home/   plan.txt  sent.jsonl  told.jsonl  services.log  findings.txt  figures.json
            data/ (the broker's and the services'; of several brokers: brokers/)

Whoever is told to stop ends load and faults, lets the system come to rest, and checks what there is; so the answer to Ctrl-C is
as sound as that of a full run, only about less.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from services.bus.embedded import Watcher
from services.bus.security import connection
from services.errors import PumasiError
from tests.soak import again
from tests.soak.adversary import Adversary
from tests.soak.check.checker import check_cluster
from tests.soak.check.findings import KEPT_OF_EACH
from tests.soak.disk import Disk
from tests.soak.doors import Doors
from tests.soak.figures import Result, Wanted, skipped_kinds
from tests.soak.load import Load
from tests.soak.rest import until_at_rest
from tests.soak.sent import Sent
from tests.soak.watch import Watch
from tests.soak.world import CHECKPOINT_ENTRIES, Ear, Kafka, World, world

SENDERS = 6
_LOOK_S = 0.25
_OPENED_WITHIN_S = 60.0
T = TypeVar("T")


class Told(Protocol):
    """Is told how a soak goes."""

    def phase(self, text: str) -> None:
        """Something new begins."""

    def beat(self, **figures: Any) -> None:
        """How things stand, some times a second."""


class Soak:
    """One soak.

    Args:
        wanted: what it is to be.
        home: an empty directory for all that is written down.
        disks: the brokers' disks by their names, if they can be filled.
        told: hears how it goes.
        watcher: sees the broker start.

    """

    def __init__(self, wanted: Wanted, home: Path, disks: Mapping[str, Disk], told: Told, watcher: Watcher) -> None:
        self.wanted, self.home, self.disks, self._told, self._watcher = wanted, home, disks, told, watcher
        self.result = Result(wanted)
        self.stopping = asyncio.Event()
        """Set to end load and faults early."""
        self._load = Load(wanted.seed, wanted.rate, wanted.length_s, wanted.partitions, SENDERS)

    async def run(self) -> Result:
        """From start to end.

        Raises:
            BrokerError, ServiceFailed: if the system could not be had in the first place. Once it is up, all that fails is a
            finding.

        """
        began, wanted = time.monotonic(), self.wanted
        faults = wanted.plan()
        (self.home / "plan.txt").write_text("".join(f"{fault}\n" for fault in faults))
        ear, sent = Ear(self.home / "services.log"), Sent(self.home / "sent.jsonl")
        try:
            async with world(
                wanted.crew, self.home, ear, self._load.tick_seconds, wanted.partitions, self._watcher
            ) as made:
                self.result.skipped = skipped_kinds(
                    bool(self.disks), bool(made.clocks), {fault.kind for fault in faults}
                )
                self.result.faults = [fault for fault in faults if fault.kind not in self.result.skipped]
                await self._soak(made, sent)
                await self._check(made)
        finally:
            ear.close()
            sent.close()
            self.result.seconds = time.monotonic() - began
        self._write()
        return self.result

    async def _soak(self, made: World, sent: Sent) -> None:
        doors = Doors(self._load, made.https, made.kafka.servers, made.sender, sent)
        async with Watch(made.kafka.servers, self.wanted.partitions) as watch:
            try:
                self._told.phase("All services are ready. Funds, rates and first cases are submitted.")
                async with asyncio.timeout(_OPENED_WITHIN_S):
                    await doors.open()
                await self._under_fire(made, doors, watch, sent)
            finally:
                await doors.close()
        sent.flush()
        result = self.result
        result.submitted, result.stalls, result.ends = sent.counts, watch.stalls, made.ear.ends
        result.broker_ends, result.recoveries = made.broker_ends, made.ear.events["taken"]
        for refusal in sent.refusals:
            result.find("refused", "HTTP door", refusal)
        for alarm in made.ear.alarms:
            result.find("alarm", "services", alarm)

    async def _under_fire(self, made: World, doors: Doors, watch: Watch, sent: Sent) -> None:
        result, adversary = self.result, Adversary(made, self.disks)
        result.began = began = time.monotonic()
        result.struck, result.missed = adversary.struck, adversary.missed
        beating = asyncio.create_task(self._beat(made, doors, watch, sent, adversary))
        lost = asyncio.create_task(made.failed())
        try:
            self._told.phase(f"Load and faults for {self.wanted.minutes:g} minutes; seed {self.wanted.seed}.")
            striking = asyncio.create_task(adversary.run(result.faults, began))
            sending = asyncio.create_task(doors.run(self.stopping, lambda: not striking.done()))
            await self._unless(lost, self._until_over(striking, sending))
            result.load_seconds = time.monotonic() - began
            result.stopped_early = self.stopping.is_set()
            self._told.phase("The load is over and the faults are undone; everything is brought to its end.")
            left = await self._unless(lost, until_at_rest(made.kafka.servers, watch, lambda: bool(made.ear.alarms)))
            if left:
                result.find("not_at_rest", "the system", f"nothing moves any more, and there are left: {left}")
        finally:
            for task in (beating, lost):
                task.cancel()
            await asyncio.gather(beating, lost, return_exceptions=True)

    async def _until_over(self, striking: asyncio.Task[None], sending: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({striking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            striking.cancel()
            await asyncio.gather(striking, return_exceptions=True)
            await sending
        finally:
            for task in (striking, sending, stopping):
                task.cancel()
            await asyncio.gather(striking, sending, stopping, return_exceptions=True)

    async def _unless(self, lost: asyncio.Task[None], work: Coroutine[Any, Any, T]) -> T | None:
        """The result of work; None, with a finding, if something of the system can't be kept running meanwhile."""
        task = asyncio.create_task(work)
        await asyncio.wait({task, lost}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return await task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        error = lost.exception()
        self.stopping.set()
        if not any(finding.code == "gave_up" for finding in self.result.findings):
            self.result.find("gave_up", "the supervisor", str(error))
        return None

    async def _beat(self, made: World, doors: Doors, watch: Watch, sent: Sent, adversary: Adversary) -> None:
        while True:
            self._told.beat(
                elapsed_s=doors.elapsed_s, length_s=self.wanted.length_s, acked=sent.acked, pledges=watch.pledges,
                entries=watch.entries, lag=watch.lag, notices=watch.notices, faults=len(adversary.struck),
                standing_s=watch.standing_s, late_s=doors.late_s, alarms=len(made.ear.alarms),
            )  # fmt: skip
            if made.ear.alarms:
                self.stopping.set()
            await asyncio.sleep(_LOOK_S)

    async def _check(self, made: World) -> None:
        """Stop the services, then read everything."""
        self._told.phase("All services are stopped; everything is read and checked.")
        await made.stop_services()
        made.sink.write(self.home / "told.jsonl")
        for wrong in made.sink.wrong[:KEPT_OF_EACH]:
            self.result.find("altered_notice", "the receiver", wrong)
        await check_kafka(self.home, made.kafka, self.result, self._told.phase)

    def _write(self) -> None:
        (self.home / "figures.json").write_text(json.dumps(self.result.as_json(), indent=1, ensure_ascii=False) + "\n")
        (self.home / "findings.txt").write_text("".join(f"{finding}\n" for finding in self.result.findings))


async def check_kafka(home: Path, kafka: Kafka, result: Result, told: Callable[[str], None]) -> None:
    """The independent check, then the audit; what they find goes to `result`."""
    if not kafka.running:
        result.find("gave_up", "the broker", "it does not run any more, so nothing can be checked")
        return
    try:
        check = await check_cluster(
            connection(kafka.servers), home / "sent.jsonl", home / "told.jsonl", lambda text: told(f"Checking {text}.")
        )
    except (PumasiError, OSError, TimeoutError) as error:
        result.find("unchecked", "the checker", f"{type(error).__name__}: {error}")
        return
    result.checked = check.figures
    result.findings += check.findings.kept
    result.finding_counts += check.findings.counts
    told("Executing every command again, without faults (audit).")
    result.audit = await again.audit(kafka.environment)
    if not result.audit["ok"]:
        result.find("audit", "pumasi audit", json.dumps(result.audit)[:2000])
    told("Restoring every checkpoint.")
    for partition in range(len(result.audit.get("partitions", ()))):
        try:
            wrong = await again.restored(kafka.servers, partition, CHECKPOINT_ENTRIES)
        except PumasiError as error:
            wrong = [error.message]
        for text in wrong:
            result.find("checkpoint", f"partition {partition}", text)
