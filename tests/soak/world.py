"""The system under test: broker, matchers, intakes and notifiers, each a real process under `up`'s own supervisor.

Every service has a name, such as `matcher-2`. Matchers reach the broker by a link of their own (`proxy`), the others directly. A
broker is kept as `up` keeps it, only with more patience: a full disk is not mended by giving up.

One broker is the embedded one, and lets everybody in: passwords are not what is tried. Several are a cluster (`tests.cluster`), where
everybody comes by TLS as their own user; with them runs an ender, as it would.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from services import keys
from services.bus import topics
from services.bus.embedded import Door, EmbeddedKafka, Watcher, keep_up
from services.bus.embedded.ports import free_port
from services.senders import Issued
from services.settings import load
from services.system.own_senders import own_sender
from services.system.supervisor import Keeper, Service, Supervisor
from tests.cluster import Cluster
from tests.soak.check.sentfile import ID_KEY, PSEUDONYM_KEY, SENDER
from tests.soak.clocks import Clock, library
from tests.soak.codecs import CODECS, compress
from tests.soak.plan import KAFKA, brokers_of
from tests.soak.proxy import Link, Tls
from tests.soak.sink import Sink

SESSION_TIMEOUT_MS = 6_000
CHECKPOINT_SECONDS, CHECKPOINT_ENTRIES = 10, 2_000
"""Checkpoints come often, so that kills fall between them and recovery begins at one."""
BROKER_FAILURES_IN_A_ROW = 60
BROKERS = "brokers"
"""Where several brokers' directories lie."""


@dataclass(frozen=True)
class Crew:
    """How many of each there are."""

    matchers: int = 3
    intakes: int = 2
    notifiers: int = 2
    brokers: int = 1

    @property
    def names(self) -> list[str]:
        """The services' names."""
        enders = int(self.brokers > 1)
        return [
            f"{kind}-{number}"
            for kind, many in (
                ("ender", enders),
                ("notifier", self.notifiers),
                ("matcher", self.matchers),
                ("intake", self.intakes),
            )
            for number in range(1, many + 1)
        ]


class Ear:
    """Hears the services: writes all of it down, and counts what matters.

    Attributes:
        ends: service → how often it ended without being asked to by the supervisor.
        events: matchers' events by name.
        alarms: partitions that a service has stopped, a line each.

    """

    def __init__(self, log: Path) -> None:
        self._log: TextIO = log.open("w", encoding="utf-8", buffering=1)  # a line is there once it is said
        self._began = time.monotonic()
        self.ends: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.alarms: list[str] = []

    def said(self, service: str, line: str) -> None:
        self.note(service, line)

    def event(self, service: str, event: dict[str, Any]) -> None:
        name = event.get("event", "ready" if "ready" in event else "")
        self.events[name] += 1
        self.note(service, f"{event}")
        if name == "stopped":
            self.alarms.append(f"{service} stopped partition {event.get('partition')}: {event.get('message')}")

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self.ends[service] += 1
        self.note(service, f"ended with status {status}; started again in {pause_s:g} s")

    def note(self, who: str, line: str) -> None:
        """Write a line down, with the time."""
        self._log.write(f"{time.monotonic() - self._began:9.3f}  {who:<12} {line}\n")

    def close(self) -> None:
        """End the log."""
        self._log.close()


class World:
    """What runs. Made by `world`."""

    def __init__(self, crew: Crew, data: Path, ear: Ear, sink: Sink) -> None:
        self.crew, self.data, self.ear, self.sink = crew, data, ear, sink
        self.links: dict[str, Link] = {}
        self.clocks: dict[str, Clock] = {}
        self.supervisor = Supervisor(ear)
        self.kafka: Kafka
        self.sender: Issued
        self.broker_ends = 0
        self.keeping: list[asyncio.Task[None]] = []

    @property
    def brokers(self) -> Mapping[str, EmbeddedKafka]:
        """The brokers by name."""
        return self.kafka.brokers

    def https(self) -> list[str]:
        """Where the intakes listen, those that have ever been ready."""
        keepers = [keeper for keeper in self.supervisor.keepers if keeper.service.name.startswith("intake")]
        return [keeper.told_ready["http"] for keeper in keepers if keeper.told_ready]

    def keeper(self, name: str) -> Keeper:
        """The keeper of a service."""
        return self.supervisor.keeper(name)

    def pid(self, name: str) -> int:
        """The process of a service or of the broker; 0 if it doesn't run at this moment."""
        if name not in self.brokers:
            return self.keeper(name).pid
        return self.brokers[name].pid if self.brokers[name].running else 0

    def leading(self) -> str:
        """The broker whose controller leads; none known: empty."""
        cluster = self.kafka.cluster
        return next((name for name, one in self.brokers.items() if cluster and one is cluster.leading()), "")

    async def until_in_step(self) -> None:
        """Wait until every partition has all its copies."""
        if self.kafka.cluster:
            await self.kafka.cluster.until_in_step()

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Send a signal; False if there is no process."""
        pid = self.pid(name)
        if not pid:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    async def failed(self) -> None:
        """Return never; raise BrokerError or ServiceFailed when something can't be kept running."""
        lost = asyncio.create_task(self.supervisor.wait())
        try:
            done, _ = await asyncio.wait({lost, *self.keeping}, return_when=asyncio.FIRST_COMPLETED)
            await done.pop()
        finally:
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)

    def keep(self, name: str, broker: EmbeddedKafka) -> None:
        """Start a broker again whenever it ends."""

        def hear(line: str) -> None:
            self.broker_ends += "is back" not in line
            self.ear.note(name, line)

        keeping = keep_up(broker, hear, failures_in_a_row=BROKER_FAILURES_IN_A_ROW)
        self.keeping.append(asyncio.create_task(keeping))

    async def stop_services(self) -> None:
        """End the services, the doors first; the brokers stay."""
        await self.supervisor.stop()

    async def stop(self) -> None:
        """End everything, the brokers last. Safe to repeat."""
        await self.supervisor.stop()
        for link in self.links.values():
            await link.close()
        for task in self.keeping:
            task.cancel()
        await asyncio.gather(*self.keeping, return_exceptions=True)
        await self.kafka.stop()


@asynccontextmanager
async def world(
    crew: Crew, home: Path, ear: Ear, tick_seconds: int, partitions: int, watcher: Watcher
) -> AsyncIterator[World]:
    """Bring everything up; inside, all is ready. On the way out all is stopped, however it is left.

    Args:
        crew: how many of each.
        home: for all that is kept; the data directory of broker and services is `data` in it.
        ear: hears them.
        tick_seconds: of story time.
        partitions: of every topic.
        watcher: sees the broker start.

    Raises:
        BrokerError, TopicsMismatch, ServiceFailed: what could not be had; nothing runs then.

    """
    async with Sink() as sink:
        made = World(crew, home / "data", ear, sink)
        made.kafka = Kafka(home, crew.brokers, watcher, [name for name in crew.names if name.startswith("matcher")])
        made.links = made.kafka.links
        try:
            await made.kafka.start(partitions)
            for name, broker in made.brokers.items():
                made.keep(name, broker)
            await compress(made.kafka.servers, made.kafka.copies, *CODECS)
            made.sender = await own_sender(made.kafka.servers, made.kafka.settings, SENDER)
            watcher.stage("services")
            preloaded = await asyncio.to_thread(library, home)
            await made.supervisor.start(_services(made, tick_seconds, preloaded))
            yield made
        finally:
            for name in [*made.brokers, *(crew.names if made.supervisor.keepers else ())]:
                made.signal(name, signal.SIGCONT)  # whoever is stopped can't be told to end
            await made.stop()


class Kafka:
    """One broker or several, and how to connect to them.

    Args:
        home: for all that is kept.
        brokers: how many.
        watcher: sees the first one start.
        linked: names of services that come by a link of their own.
    """

    def __init__(self, home: Path, brokers: int, watcher: Watcher, linked: Sequence[str] = ()) -> None:
        self._home, self._number, self._watcher = home, brokers, watcher
        self.settings = load(data=home / "data").model_copy(update={"keys": None})
        self.links = {name: Link(name, [free_port() for _ in range(brokers)]) for name in linked}
        self.cluster: Cluster | None = None
        self._alone: EmbeddedKafka | None = None
        self.copies = min(brokers, 3)

    async def start(self, partitions: int | None = None) -> None:
        """Bring links and brokers up, and make the keys, and so many partitions of each topic if told.

        Raises:
            BrokerError, CommandFailed, TopicsMismatch: if they can't be had.
        """
        keys.make(self.settings)
        if self._number == 1:
            [doors] = await self._doors()
            self._alone = EmbeddedKafka(self._home / "data", 0, watcher=self._watcher, doors=doors)
            await self._alone.start()
            if partitions is not None:
                self._watcher.stage("topics")
                await topics.ensure(self.servers, partitions)
            return
        self.cluster = Cluster(self._home / BROKERS, self.settings, self._number, watcher=self._watcher)
        for link in self.links.values():
            link.tls = Tls(*self.cluster.contexts())
        self.settings = self.cluster.settings
        await self.cluster.start(partitions, await self._doors())

    async def stop(self) -> None:
        """End the brokers. Safe to repeat."""
        await asyncio.gather(*(broker.stop() for broker in self.brokers.values()))

    @property
    def brokers(self) -> Mapping[str, EmbeddedKafka]:
        """The brokers by name, once they are started."""
        members = self.cluster.members if self.cluster else [self._alone] if self._alone else []
        return dict(zip(brokers_of(self._number), members, strict=False))

    @property
    def running(self) -> bool:
        """Whether all brokers run."""
        return all(broker.running for broker in self.brokers.values())

    @property
    def servers(self) -> str:
        """Where they answer, for somebody who may do everything."""
        return self.cluster.servers() if self.cluster else self.brokers[KAFKA].bootstrap

    @property
    def environment(self) -> dict[str, str]:
        """What a process is told of it."""
        plain = {"PUMASI_KAFKA": str(self.servers), "PUMASI_KAFKA_SECURITY": "plain"}
        return self.cluster.environment if self.cluster else plain

    async def _doors(self) -> list[list[Door]]:
        """What leads to each broker by the links, which listen from now on."""
        for link in self.links.values():
            await link.listen()
        return [
            [Door(name.replace("-", "").upper(), link.upstreams[n], link.ports[n]) for name, link in self.links.items()]
            for n in range(self._number)
        ]


def _services(made: World, tick_seconds: int, preloaded: Path | None) -> list[Service]:
    given = {name: "" for name in os.environ if name.startswith("PUMASI_")} | {
        **made.kafka.environment,
        "PUMASI_DATA": str(made.data.absolute()),
        "PUMASI_TRUST_TIME": "1",
        "PUMASI_SENDER_RATE": "100000",
        "PUMASI_PSEUDONYM_KEY": base64.b64encode(PSEUDONYM_KEY).decode(),
        "PUMASI_ID_KEY": base64.b64encode(ID_KEY).decode(),
        "PUMASI_TICK_SECONDS": str(tick_seconds),
        "PUMASI_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
        "PUMASI_CHECKPOINT_SECONDS": str(CHECKPOINT_SECONDS),
        "PUMASI_CHECKPOINT_ENTRIES": str(CHECKPOINT_ENTRIES),
        "PUMASI_LOG_LEVEL": "INFO",
        "PUMASI_HTTP_HOST": "127.0.0.1",
        "PUMASI_WEBHOOK_URL": made.sink.url,
        "PUMASI_WEBHOOK_SECRET": made.sink.secret,
        "PUMASI_WEBHOOK_ALLOW_PRIVATE": "1",
    }
    return [_service(made, name, given, preloaded) for name in made.crew.names]


def _service(made: World, name: str, given: dict[str, str], preloaded: Path | None) -> Service:
    link = made.links.get(name)
    environment = given | ({"PUMASI_KAFKA": link.servers} if link else {})
    if name.startswith("matcher"):
        environment["PUMASI_INSTANCE"] = name  # as `up` names its own: it is back at once after kill -9
    if preloaded is not None and name.startswith(("matcher", "intake")):
        made.clocks[name] = Clock(made.data.parent / f"{name}.clock", preloaded)
        environment |= made.clocks[name].environment
    return Service(
        name, lambda ready: _arguments(name.partition("-")[0], ready), environment, afresh=name in made.clocks
    )


def _arguments(kind: str, ready: dict[str, Any] | None) -> Sequence[str]:
    """An intake keeps the port it got: senders know it."""
    if kind == "intake":
        port = ready["http"].rpartition(":")[2] if ready else "0"
        return ("intake", "--json", "--http-port", port)
    return ("notifier", "--json", "--quiet") if kind == "notifier" else (kind, "--json")
