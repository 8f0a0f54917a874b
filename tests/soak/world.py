"""The system under test: the embedded broker, and matchers, intakes and notifiers, each a real process under `up`'s own supervisor.

Every service but the broker has a name, such as `matcher-2`. Matchers reach the broker by a link of their own (`proxy`), the others
directly. The broker is kept as `up` keeps it, only with more patience: a full disk is not mended by giving up.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
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
from tests.soak.check.sentfile import ID_KEY, PSEUDONYM_KEY, SENDER
from tests.soak.clocks import Clock, library
from tests.soak.codecs import CODECS, compress
from tests.soak.plan import KAFKA
from tests.soak.proxy import Link
from tests.soak.sink import Sink

SESSION_TIMEOUT_MS = 6_000
CHECKPOINT_SECONDS, CHECKPOINT_ENTRIES = 10, 2_000
"""Checkpoints come often, so that kills fall between them and recovery begins at one."""
BROKER_FAILURES_IN_A_ROW = 60


@dataclass(frozen=True)
class Crew:
    """How many of each service there are."""

    matchers: int = 3
    intakes: int = 2
    notifiers: int = 2

    @property
    def names(self) -> list[str]:
        """The services' names."""
        return [
            f"{kind}-{number}"
            for kind, many in (("notifier", self.notifiers), ("matcher", self.matchers), ("intake", self.intakes))
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
        self.broker: EmbeddedKafka
        self.sender: Issued
        self.broker_ends = 0
        self.keeping: asyncio.Task[None] | None = None

    @property
    def kafka(self) -> str:
        """Where the broker answers."""
        return self.broker.bootstrap

    def https(self) -> list[str]:
        """Where the intakes listen, those that have ever been ready."""
        keepers = [keeper for keeper in self.supervisor.keepers if keeper.service.name.startswith("intake")]
        return [keeper.told_ready["http"] for keeper in keepers if keeper.told_ready]

    def keeper(self, name: str) -> Keeper:
        """The keeper of a service."""
        return self.supervisor.keeper(name)

    def pid(self, name: str) -> int:
        """The process of a service or of the broker; 0 if it doesn't run at this moment."""
        if name != KAFKA:
            return self.keeper(name).pid
        return self.broker.pid if self.broker.running else 0

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
        assert self.keeping is not None, "runs"
        lost = asyncio.create_task(self.supervisor.wait())
        try:
            await asyncio.wait({lost, self.keeping}, return_when=asyncio.FIRST_COMPLETED)
            await (self.keeping if self.keeping.done() else lost)
        finally:
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)

    def hear_broker(self, line: str) -> None:
        """What is told of the broker's ends and returns."""
        self.broker_ends += "is back" not in line
        self.ear.note(KAFKA, line)

    async def stop_services(self) -> None:
        """End the services, the doors first; the broker stays."""
        await self.supervisor.stop()

    async def stop(self) -> None:
        """End everything, the broker last. Safe to repeat."""
        await self.supervisor.stop()
        for link in self.links.values():
            await link.close()
        if self.keeping is not None:
            self.keeping.cancel()
            await asyncio.gather(self.keeping, return_exceptions=True)
        await self.broker.stop()


@asynccontextmanager
async def world(
    crew: Crew, data: Path, ear: Ear, tick_seconds: int, partitions: int, watcher: Watcher
) -> AsyncIterator[World]:
    """Bring everything up; inside, all is ready. On the way out all is stopped, however it is left.

    Args:
        crew: how many of each.
        data: the data directory of broker and services.
        ear: hears them.
        tick_seconds: of story time.
        partitions: of every topic.
        watcher: sees the broker start.

    Raises:
        BrokerError, TopicsMismatch, ServiceFailed: what could not be had; nothing runs then.

    """
    async with Sink() as sink:
        made = World(crew, data, ear, sink)
        doors = [await _link(made, name) for name in crew.names if name.startswith("matcher")]
        made.broker = EmbeddedKafka(data, 0, watcher=watcher, doors=doors)
        try:
            await made.broker.start()
            made.keeping = asyncio.create_task(
                keep_up(made.broker, made.hear_broker, failures_in_a_row=BROKER_FAILURES_IN_A_ROW)
            )
            watcher.stage("topics")
            await topics.ensure(made.kafka, partitions)
            await compress(made.kafka, partitions, *CODECS)
            settings = load(data=data).model_copy(update={"keys": None})
            keys.make(settings)
            made.sender = await own_sender(made.kafka, settings, SENDER)
            watcher.stage("services")
            preloaded = await asyncio.to_thread(library, data.parent)
            await made.supervisor.start(_services(made, tick_seconds, preloaded))
            yield made
        finally:
            for name in crew.names:  # whoever is stopped can't be told to end
                if made.supervisor.keepers:
                    made.signal(name, signal.SIGCONT)
            await made.stop()


async def _link(made: World, name: str) -> Door:
    """A service's link, and the broker's door for it."""
    upstream = free_port()
    made.links[name] = link = Link(name, upstream)
    await link.listen()
    return Door(name.replace("-", "").upper(), upstream, link.port)


def _services(made: World, tick_seconds: int, preloaded: Path | None) -> list[Service]:
    given = {name: "" for name in os.environ if name.startswith("PUMASI_")} | {
        "PUMASI_DATA": str(made.data.absolute()),
        "PUMASI_KAFKA_SECURITY": "plain",
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
    environment = {**given, "PUMASI_KAFKA": f"127.0.0.1:{link.port}" if link else made.kafka}
    if name.startswith("matcher"):
        environment["PUMASI_INSTANCE"] = name  # as `up` names its own: it is back at once after kill -9
    if preloaded is not None and not name.startswith("notifier"):
        made.clocks[name] = Clock(made.data.parent / f"{name}.clock", preloaded)
        environment |= made.clocks[name].environment
    return Service(name, lambda ready: _arguments(name.partition("-")[0], ready), environment)


def _arguments(kind: str, ready: dict[str, Any] | None) -> Sequence[str]:
    """An intake keeps the port it got: senders know it."""
    if kind == "intake":
        port = ready["http"].rpartition(":")[2] if ready else "0"
        return ("intake", "--json", "--http-port", port)
    return ("notifier", "--json", "--quiet") if kind == "notifier" else ("matcher", "--json")
