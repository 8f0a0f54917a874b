"""The whole of Pumasi on this machine: a broker (unless there is one), the topics, and every service under a supervisor.

`pumasi up` and `pumasi demo` run the same system; they differ in who listens and for how long. Services are stopped before the broker,
and those at the front first: the doors close, what came in is matched and told, then Kafka stops.

From the moment it first answers, the broker is watched like the services. If it dies, it is started again at its address, even while
the services are still starting, and they wait for it. If it can't be started again, everything ends: no service outlives its
broker, so none can join another one that answers at that address later.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from services import keys, secret_files
from services.bus import access, fingerprints, topics
from services.bus.embedded import EmbeddedKafka, Watcher, classes, keep_up
from services.bus.embedded.ports import free_port, refuse_if_not_here, refuse_if_taken
from services.bus.security import client_properties, servers
from services.errors import KafkaUnreachable
from services.settings import OPEN, Settings
from services.system import sender_users
from services.system.holdings import Holdings
from services.system.supervisor import Listener, Service, Supervisor

T = TypeVar("T")
TOPICS_PATIENCE_S: Final = 120.0
TOPICS_PAUSE_S: Final = 0.2
HELD_WITHIN_S: Final = 30.0


@dataclass(frozen=True)
class System:
    """What runs: where Kafka and the HTTP door answer, and who keeps the services and the broker.

    `client_config` is a file for an operator's own tools; `health` says where each service tells its health, if any does. `broker` and
    `keeping` are None on a cluster of one's own.
    """

    kafka: str
    http: str
    client_config: Path
    health: Mapping[str, str]
    supervisor: Supervisor
    broker: EmbeddedKafka | None
    keeping: "asyncio.Task[None] | None"

    async def wait(self) -> None:
        """Return never; raise BrokerError or ServiceFailed when something can't be kept running."""
        await _while_kept(self.keeping, self.supervisor.wait())


async def while_alive(ending: Coroutine[Any, Any, Any], work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; or, if `ending` is over first, what it raises."""
    task = asyncio.create_task(ending)
    try:
        return await _while_kept(task, work)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _while_kept(keeping: "asyncio.Task[None] | None", work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; or, if the broker can't be kept running meanwhile, what `keeping` raises."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, keeping} if keeping else {task}, return_when=asyncio.FIRST_COMPLETED)
        if keeping is not None and keeping.done():
            await keeping
        return await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def whole_system(
    settings: Settings,
    watcher: Watcher,
    listener: Listener,
    *,
    matchers: int = 1,
    environment: Mapping[str, str] | None = None,
    before_services: Callable[[str], Awaitable[object]] | None = None,
) -> AsyncIterator[System]:
    """Bring everything up; inside, all is ready. On the way out everything is stopped, however it is left.

    Args:
        settings: `kafka` unset starts the embedded broker on `data`.
        watcher: sees the broker start.
        listener: hears the services.
        matchers: matcher processes; more than partitions are idle.
        environment: settings for the services, over this process's own environment.
        before_services: called with Kafka's address once the topics are there, to make senders that the doors know from the start.

    Raises:
        BrokerError, KafkaUnreachable, TopicsMismatch, ServiceFailed: what could not be had; nothing runs then.
        SettingError, PortTaken: as `refuse_unusable`; nothing was made then.
    """
    await refuse_unusable(settings)
    if settings.open:
        listener.said("up", OPEN)
    broker, keeping = None, None
    holdings = Holdings(listener, settings.partitions)
    supervisor = Supervisor(holdings)
    try:
        if settings.kafka is not None:
            kafka = settings.kafka
        else:
            broker = broker_of(settings, watcher)
            kafka = await broker.start()
            keeping = asyncio.create_task(keep_up(broker, partial(listener.said, "kafka")))
        watcher.stage("topics")
        patience = TOPICS_PATIENCE_S if broker else 0.0
        make_topics = partial(_ensure_topics, kafka, settings, partial(listener.said, "topics"))
        await _while_kept(keeping, _patiently(make_topics, patience))
        await _while_kept(keeping, ensure_keys(kafka, settings, partial(listener.said, "keys")))
        client_config = write_client_config(settings, kafka)
        if before_services is not None:
            await _while_kept(keeping, _patiently(partial(before_services, kafka), patience))
        watcher.stage("services")
        health = _health(settings, matchers)
        services = _services(settings, kafka, matchers, environment or {}, health)
        ready = await _while_kept(keeping, supervisor.start(services))
        if broker is not None:  # on a cluster of one's own, matchers elsewhere may hold their share
            watcher.stage("partitions")
            await _while_kept(keeping, _until_all_held(holdings, supervisor))
            classes.make_beside()
        where = {name: f"http://{settings.health_host}:{port}" for name, port in health.items()}
        yield System(kafka, ready[-1]["http"], client_config, where, supervisor, broker, keeping)
    finally:
        await supervisor.stop()
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        if broker is not None:
            await broker.stop()


async def refuse_unusable(settings: Settings) -> None:
    """See that no service will refuse its settings, as far as that can be known before anything is made or started.

    Raises:
        SettingError: whatever is at fault, as the service that it is for would say.
        PortTaken: if the HTTP port that was asked for has a listener.
    """
    refuse_if_not_here(settings.http_host)
    if settings.http_port_asked:
        refuse_if_taken(settings.http_port_asked, "--http-port", settings.http_host)
    absent = keys.missing(settings)
    for file, read in _KEYS_READ.items():
        if file not in absent and not (file == "notifier.key" and settings.notifier_public_key):
            read(settings)
    if settings.kafka is not None:
        for user in (access.ADMIN, access.KEYS, access.OPERATOR, access.INTAKE, access.MATCHER, access.NOTIFIER):
            servers(settings, settings.kafka, user)
    if settings.webhook_url is not None:
        from services.notifier.app import webhook_of  # many libraries, for those alone who have a webhook

        webhook = webhook_of(settings)
        assert webhook is not None, "there is a URL"
        async with webhook:
            await webhook.check()


_KEYS_READ: Final[Mapping[str, Callable[[Settings], object]]] = {
    "pseudonym.key": partial(keys.secret, what="pseudonym"),
    "id.key": partial(keys.secret, what="id"),
    "intake.key": partial(keys.private_keys, whose="intake"),
    "intake.pub": partial(keys.public_key, whose="intake"),
    "notifier.key": keys.notifier_private_key,
    "notifier.pub": partial(keys.public_key, whose="notifier"),
}


async def _ensure_topics(kafka: str, settings: Settings, said: Callable[[str], None]) -> None:
    bootstrap = servers(settings, kafka, access.ADMIN)
    reports = await topics.ensure(bootstrap, settings.partitions, settings.replication)
    if settings.kafka and (warning := topics.one_copy(reports, await topics.brokers(bootstrap))):
        said(warning)


async def _patiently(work: Callable[[], Awaitable[object]], patience_s: float) -> None:
    """Work; again, for so many seconds, if no broker answers: one that died just then is being started again."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            await work()
            return
        except KafkaUnreachable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(TOPICS_PAUSE_S)


async def ensure_keys(kafka: str, settings: Settings, said: Callable[[str], None]) -> None:
    """See that the keys here are those in use, and make them where none are. Raises KeyMissing, KeyOther."""
    bootstrap = servers(settings, kafka, access.KEYS)
    if missing := keys.missing(settings):
        fingerprints.refuse_if_lost(kafka, await fingerprints.known(bootstrap), missing, keys.directory(settings))
        made = keys.make(settings)
        said(f"made in {keys.directory(settings)}: {', '.join(made)}. Keep a copy where no copy of the data is")
    await fingerprints.hold(bootstrap, "keys", keys.fingerprints(settings), keys.directory(settings))


def broker_of(settings: Settings, watcher: Watcher) -> EmbeddedKafka:
    """The embedded broker by the settings, not started yet; the passwords that its users lack are made."""
    if not settings.open:
        keys.make_passwords(settings, access.USERS)
    return EmbeddedKafka(
        settings.data,
        settings.kafka_port_asked,
        heap_mb=settings.heap_mb,
        watcher=watcher,
        passwords=None if settings.open else partial(sender_users.passwords, settings),
    )


def write_client_config(settings: Settings, kafka: str) -> Path:
    """Write `client.properties` beside the keys, for an operator's own tools; where it is."""
    path = keys.directory(settings) / "client.properties"
    secret_files.write(path, client_properties(servers(settings, kafka, access.OPERATOR)))
    return path


async def _until_all_held(holdings: Holdings, supervisor: Supervisor) -> None:
    """Return once every partition has a matcher that has rebuilt it, or after 30 s: a matcher that isn't ours may have joined the
    group. Raises ServiceFailed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(HELD_WITHIN_S):
            await while_alive(supervisor.wait(), holdings.complete.wait())


def where_of(settings: Settings, kafka: str) -> dict[str, str]:
    """What another process is told of where all this is."""
    return {
        "PUMASI_KAFKA": kafka,
        "PUMASI_DATA": str(settings.data.absolute()),
        "PUMASI_KEYS": str(keys.directory(settings)),
        "PUMASI_OPEN": str(int(settings.open)),
    }


_SECRETS: Final = {
    "notifier": ("PUMASI_WEBHOOK_URL", "PUMASI_WEBHOOK_SECRET"),
    "intake": ("PUMASI_PSEUDONYM_KEY", "PUMASI_ID_KEY"),
}
"""The secret settings that a service sees."""


def _services(
    settings: Settings, kafka: str, matchers: int, environment: Mapping[str, str], health: Mapping[str, int]
) -> list[Service]:
    """In the order of their start; the door comes last, and goes first. `health`: the port of each, where it has one."""
    given = {**where_of(settings, kafka), "PUMASI_PARTITIONS": str(settings.partitions), **environment}
    given |= {"PUMASI_LOG_JSON": str(int(settings.log_json))}
    life = secrets.token_hex(4)  # what dies is back under its name, a matcher at once; another `up` may never share it
    services = []
    for name in (*_ender(settings), "notifier", *_matchers(matchers), "intake"):
        own = {"PUMASI_INSTANCE": f"{name}-{life}", **given, "PUMASI_HEALTH_PORT": str(health.get(name, ""))}
        services.append(Service(name, partial(_arguments, settings, name), own, _SECRETS.get(name, ())))
    return services


def _arguments(settings: Settings, name: str, ready: dict[str, Any] | None) -> list[str]:
    """Those of `pumasi`. A port that the door chose once is kept: senders know it by now."""
    command = [name.partition("-")[0], "--json"]
    port = ready["http"].rpartition(":")[2] if ready and "http" in ready else settings.http_port_asked
    return [*command, *(() if name != "intake" or port is None else ("--http-port", str(port)))]


def _health(settings: Settings, matchers: int) -> dict[str, int]:
    """By service, the port of its health: the one that is set and those after it, or any free ones; none if none is set."""
    if (first := settings.health_port) is None:
        return {}
    names = ("intake", "notifier", *_ender(settings), *_matchers(matchers))
    ports = {first + at: None for at in range(len(names))} if first else dict[int, None]()
    while len(ports) < len(names):
        ports[free_port()] = None
    return dict(zip(names, ports, strict=True))


def _matchers(number: int) -> list[str]:
    return ["matcher"] if number == 1 else [f"matcher-{one}" for one in range(1, number + 1)]


def _ender(settings: Settings) -> list[str]:
    """One is needed where Kafka asks for rights."""
    return [] if settings.way_in == "plain" else ["ender"]
