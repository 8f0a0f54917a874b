"""The whole of Pumasi on this machine: a broker (unless there is one), the topics, and every service under a supervisor.

`pumasi up` and `pumasi demo` run the same system; they differ in who listens and for how long. Services are stopped before the broker,
and those at the front first: the doors close, what came in is matched and told, then Kafka stops.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.bus import topics
from services.bus.kafka import EmbeddedKafka, Watcher
from services.cli.processes import Listener, Service, Supervisor
from services.settings import Settings


@dataclass(frozen=True)
class System:
    """What runs: where Kafka and the HTTP door answer, and who keeps the services. `broker` is None on a cluster of one's own."""

    kafka: str
    http: str
    supervisor: Supervisor
    broker: EmbeddedKafka | None

    async def wait(self) -> None:
        """Return never; raise BrokerFailed or ServiceFailed when something can't be kept running."""
        watched = [asyncio.create_task(self.supervisor.wait())]
        if self.broker is not None:
            watched.append(asyncio.create_task(self.broker.wait()))
        try:
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            for task in watched:
                task.cancel()
            await asyncio.gather(*watched, return_exceptions=True)


@asynccontextmanager
async def whole_system(
    settings: Settings,
    watcher: Watcher,
    listener: Listener,
    *,
    matchers: int = 1,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[System]:
    """Bring everything up; inside, all is ready. On the way out everything is stopped, however it is left.

    Args:
        settings: `kafka` unset starts the embedded broker on `data`.
        watcher: sees the broker start.
        listener: hears the services.
        matchers: matcher processes; more than partitions are idle.
        environment: settings for the services, over this process's own environment.

    Raises:
        BrokerError, KafkaUnreachable, TopicsMismatch, ServiceFailed: what could not be had; nothing runs then.
    """
    broker = None
    if settings.kafka is None:
        broker = EmbeddedKafka(settings.data, settings.kafka_port_asked, heap_mb=settings.heap_mb, watcher=watcher)
    supervisor = Supervisor(listener)
    try:
        kafka = settings.kafka or await broker.start()
        await topics.ensure(kafka, settings.partitions, settings.replication)
        ready = await supervisor.start(_services(settings, kafka, matchers, environment or {}))
        yield System(kafka, ready[-1]["http"], supervisor, broker)
    finally:
        await supervisor.stop()
        if broker is not None:
            await broker.stop()


def _services(settings: Settings, kafka: str, matchers: int, environment: Mapping[str, str]) -> list[Service]:
    """In the order of their start; the door comes last, and goes first."""
    given = {
        "PUMASI_KAFKA": kafka,
        "PUMASI_DATA": str(settings.data.absolute()),
        "PUMASI_PARTITIONS": str(settings.partitions),
        **environment,
    }
    names = ["matcher"] if matchers == 1 else [f"matcher-{number}" for number in range(1, matchers + 1)]
    return [
        Service("notifier", lambda _: ("notifier", "--json"), given),
        *(Service(name, lambda _: ("matcher", "--json"), given) for name in names),
        Service("intake", lambda ready: _intake(settings, ready), given),
    ]


def _intake(settings: Settings, ready: dict[str, Any] | None) -> list[str]:
    """A port that was chosen once is kept: senders know it by now."""
    port = ready["http"].rpartition(":")[2] if ready else settings.http_port_asked
    return ["intake", "--json", *(() if port is None else ("--http-port", str(port)))]
