"""Intake put together: which part knows which, and in which order they start and stop. Nothing is decided here.

    bootstrap ─► Publisher ─► Desk ◄─ HttpDoor (Starlette)
                              Desk ◄─ TopicDoor (FastStream) ─► Clearing
    commands ─► Tail ─► Repeats ◄─ Desk
    ledger ───► Tail ─► Progress ◄─ receipts, Repeats
    contacts ─► Tail ─► PendingContacts ◄─ commands, Progress
    both ─────────────► Makers, Floods ◄─ Progress
    both ─────────────► Lag ◄─ health
    senders ──► Tail ─► Senders ◄─ HttpDoor, TopicDoor
    services ─► Tail ─► Sealing ─► Desk, Sealer, Opener

Starlette is outside, and everything else lives in its lifespan. HTTP listens at once, so that a sender hears 503 instead of nothing;
when Kafka is in reach, the first tick tells whether our clock is right; then all senders are read, the memory of repeats is warmed
from the end of the commands topic, and only then does the broker start. Stop: no new request, those in flight finish, then the
producer closes.

`uvicorn services.intake.app:get_application --factory` and `pumasi intake` (`Intake`) serve the same application.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial

from faststream.kafka import KafkaBroker
from starlette.applications import Starlette

from schemas.services import Amiss
from services import keys, logs, traces
from services.bus import access, fingerprints
from services.bus.app import ByPartition, acknowledged, broker_factory, lag, measured, unreadable
from services.bus.bootstrap import bootstrap_of
from services.bus.consume.clearing import Clearing
from services.bus.consume.tail import Tail
from services.bus.envelope import Record
from services.bus.heartbeat import Condition, Heartbeat
from services.bus.produce.publisher import Publisher
from services.bus.produce.transaction import hush_told_errors
from services.bus.security import Bootstrap
from services.bus.topics import COMMANDS, CONTACTS, DEADLETTERS, LEDGER, SENDERS, SERVICES, SUBMISSIONS
from services.bus.waiting import PATIENCE_SECONDS
from services.errors import KafkaUnreachable, PumasiError
from services.health import Health
from services.intake.clock import PROBE_SECONDS, Clock
from services.intake.contacts import Sealer
from services.intake.doorway import hosts_of
from services.intake.events import GROUP, TopicDoor, router_factory
from services.intake.floods import Floods
from services.intake.funds import Funds
from services.intake.http import HttpDoor
from services.intake.lag import Lag
from services.intake.makers import Makers
from services.intake.opening import Opener
from services.intake.pending import PendingContacts
from services.intake.progress import Progress
from services.intake.rates import Rates
from services.intake.receipts import Receipts
from services.intake.repeats import CAPACITY, Repeats
from services.intake.sealing import Sealing
from services.intake.senders import Anyone, Senders
from services.intake.sequencer import Desk
from services.intake.server import Server
from services.metrics import OLDEST_UNANSWERED, SUBMISSIONS_LAG, UNANSWERED, Metrics
from services.news import Flood
from services.settings import Settings, load

log = logging.getLogger("pumasi.intake")

NAME = "pumasi-intake"
LOOK_SECONDS = 60.0
"""How often intake looks for a new pseudonym key; `services.keys.NEXT_AFTER` is many times that."""
_HAND_OVER_SECONDS = 5.0


def get_application() -> Starlette:
    """The application by the settings of the environment, for an ASGI server of one's own."""
    settings = load()
    logs.begin(settings)
    traces.begin(settings, NAME)
    logging.getLogger("uvicorn.access").disabled = True  # a path may hold a receipt, which is a secret
    service = Service(partial(bootstrap_of, settings, user=access.INTAKE), settings)
    service.ended = lambda: signal.raise_signal(signal.SIGTERM)
    return service.application


def describe() -> KafkaBroker:
    """The broker with all that intake reads and writes, for AsyncAPI."""
    return broker_factory(lambda: "", GROUP, router_factory(Settings.model_construct().session_timeout_ms))


class Service:
    """All of intake but the server that serves `application`.

    Args:
        told: called with a line for people when Kafka comes into reach, or why it isn't.
        alarm: called with each flood of conflicts.

    Attributes:
        application: the HTTP door; the rest lives in its lifespan.
        ready: set once Kafka was reached, has told its time, all senders are known, and the memory of repeats is warm.
        health: what it tells at its health port, if it has one.
        ended: called when a part that should run for ever has ended; `wait` raises why.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        settings: Settings,
        told: Callable[[str], None] = log.info,
        alarm: Callable[[Flood], object] = log.warning,
    ) -> None:
        opener, id_key = Opener(partial(keys.private_keys, settings, "intake")), keys.secret(settings, "id")
        self._clock, metrics = Clock(), Metrics("intake")
        self._funds = Funds(keys.pseudonym_keys(settings), self._clock.now, settings.trust_time)
        sealer = Sealer(
            keys.secret(settings, "pseudonym"),
            keys.public_key(settings, "notifier"),
            opener,
            id_key,
            settings.recipients.split(","),
            keys.public_key(settings, "reporter"),
            self._funds.key_of,
        )
        self._bootstrap, self._settings = bootstrap, settings
        self._publisher = Publisher(
            bootstrap, (COMMANDS, CONTACTS, DEADLETTERS, LEDGER, SENDERS, SERVICES, SUBMISSIONS), NAME, told=told
        )
        floods = Floods(alarm)
        self._progress = Progress(self._funds.began, None if settings.open else Makers(CAPACITY, floods))
        self._repeats, self._lag = Repeats(self._progress), Lag(self._progress.answered_to)
        self._commands = Tail(bootstrap, COMMANDS, NAME, self._follow_command, last=CAPACITY)
        self._ledger = Tail(bootstrap, LEDGER, NAME, self._progress.fold)
        self._senders_tail = Tail(bootstrap, SENDERS, NAME, lambda record: self._senders.follow(record))
        self._senders = Anyone() if settings.open else Senders(opener, self._senders_tail.reach_end)
        reach_end, ticks, trusts = self._commands.reach_end, settings.tick_seconds, settings.trust_time
        self._services_tail = Tail(bootstrap, SERVICES, NAME, lambda record: self._sealing.follow(record))
        self._sealing = Sealing(settings, sealer, opener, self._services_tail.reach_end)
        holds = self._funds.hold, self._sealing.hold
        self._desk = Desk(self._publisher, self._repeats, reach_end, ticks, trusts, self._clock, *holds, metrics)
        self._pending = PendingContacts(
            self._desk, self._publisher, self._progress, bootstrap, self._ledger.reach_end, self._clock.now
        )
        self._contacts = Tail(bootstrap, CONTACTS, NAME, self._pending.take_contact)
        self._topic_door = TopicDoor(bootstrap, self._desk, self._publisher, sealer, self._senders, floods, metrics)
        self._tails = self._senders_tail, self._services_tail, self._commands, self._ledger, self._contacts
        partitions = self._topic_door.partitions
        router = router_factory(
            settings.session_timeout_ms, partitions.listener, [partial(ByPartition, partitions.bring_through)]
        )
        self._broker = broker_factory(
            bootstrap,
            GROUP,
            router,
            opening=self._publisher.in_reach.wait,
            context={"door": self._topic_door},
            middlewares=[*traces.middlewares(), measured(metrics)],
            stop_seconds=_HAND_OVER_SECONDS,
        )
        self._clearing = Clearing(bootstrap, SUBMISSIONS, partial(acknowledged, self._broker), self._publisher)
        rates = Rates(settings.sender_rate, settings.address_rate)
        receipts, about = Receipts(id_key), (self._progress, self._publisher, self._senders, rates, floods)
        hosts = hosts_of(settings.http_hosts, settings.http_host)
        self._door = HttpDoor(self._desk, sealer, receipts, *about, amiss=self.amiss, hosts=hosts, metrics=metrics)
        self.application = self._door.application(self._lifespan)
        self._used = keys.fingerprints(settings)
        self._heartbeat = Heartbeat(
            bootstrap,
            "intake",
            settings.instance,
            self.condition,
            lambda: {**self._used, **self._sealing.used()},
            metrics,
        )
        metrics.reads(UNANSWERED, self._lag.unanswered)
        metrics.reads(OLDEST_UNANSWERED, lambda: (self._lag.oldest() or (0, 0.0))[1])
        metrics.reads(SUBMISSIONS_LAG, partial(lag, self._broker))
        self.health = Health(metrics, self._not_ready, settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._serving: list[asyncio.Task[None]] = []
        self.ready = asyncio.Event()
        self.ended: Callable[[], object] = lambda: None

    @contextlib.asynccontextmanager
    async def _lifespan(self, _application: Starlette) -> AsyncIterator[None]:
        hush_told_errors(asyncio.get_running_loop())
        self._publisher.start()
        minding = self._look_for_keys(), self._sealing.keep(self._bootstrap, self._desk.drain), self._clearing.run()
        contacts = self._pending.keep(), self._pending.look(self._contacts.reach_end)
        works = (self._open(), *map(self._follow, self._tails), self._tick(), *minding, *contacts)
        self._tasks = [asyncio.create_task(work) for work in works]
        for task in self._tasks:
            task.add_done_callback(lambda task: task.cancelled() or self.ended())
        try:
            async with self._heartbeat, self.health.serving():
                yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._topic_door.partitions.leave(_HAND_OVER_SECONDS)
            await self._clearing.close()
            await self._broker.stop()
            await self._topic_door.close()
            await self._publisher.stop()

    async def wait(self) -> None:
        """Return, or raise, when a part that should run for ever has ended."""
        done, _ = await asyncio.wait([*self._tasks, *self._serving], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _open(self) -> None:
        """Warm the memory, then start the broker. HTTP works meanwhile: the matcher remembers what intake doesn't yet."""
        await self._publisher.in_reach.wait()
        await fingerprints.until_held(
            self._bootstrap, "intake", keys.fingerprints(self._settings), keys.directory(self._settings)
        )
        await self._take_keys()
        if not self._settings.trust_time:
            await self._clock.right.wait()
        await self._senders.catch_up()
        await self._sealing.catch_up()
        await self._commands.reach_end()
        self.ready.set()
        await self._broker.start()
        await asyncio.Event().wait()  # an end of this task would be a failure

    def amiss(self) -> tuple[str, str] | None:
        """Why an event taken now would not be answered, as a code and a sentence; None if it would."""
        if stuck := [*unreadable(self._broker), *(one for tail in self._tails for one in tail.stuck)]:
            return "topic_unreadable", "; ".join(map(str, stuck))
        if self._topic_door.partitions.stuck:
            return "stuck", "submissions on the topic don't get through; see the log"
        if not self.ready.is_set():
            return "warming_up", "what came before is still being read"
        if self._sealing.is_behind:
            return "key_moved", "a key that intake seals for was renewed, and its .pub isn't in PUMASI_KEYS here"
        oldest = self._lag.oldest()
        if oldest is not None and oldest[1] > PATIENCE_SECONDS:
            return "not_answered", f"a command in partition {oldest[0]} has no answer for {oldest[1]:.0f} s"
        return None

    def _not_ready(self) -> list[Amiss]:
        """Why an event taken now would not be answered, as codes: what `/readyz` says."""
        if not self._publisher.in_reach.is_set():
            return [Amiss(code="kafka_unreachable")]
        try:
            self._desk.check_clock()
        except PumasiError as error:
            return [Amiss(code=error.code)]
        found = self.amiss()
        return [Amiss(code=found[0])] if found else []

    def condition(self) -> Condition:
        """How far submissions were brought through, and why an event taken now would not be answered, for the heartbeat."""
        code = "clock_off" if self._clock.off else (self.amiss() or (None,))[0]
        return Condition(self._topic_door.partitions.through, [Amiss(code=code)] if code else [])

    def _follow_command(self, record: Record) -> None:
        self._lag.came(record)
        self._repeats.follow(record, self._publisher.partitions(COMMANDS))
        self._pending.take_command(record)
        self._funds.follow(record)

    async def _take_keys(self) -> None:
        """Use the pseudonym keys that are there; with more than one, once all funds are known."""
        ring = keys.pseudonym_keys(self._settings)
        if len(ring) > 1:
            await self._commands.reach_end()
            await self._ledger.reach_end()
        self._funds.turn_to(ring)
        self._used |= keys.fingerprints(self._settings, *keys.pseudonym_names(self._settings))

    async def _look_for_keys(self) -> None:
        """Check each minute that our pseudonym keys are those in use, and take a new one long before it serves."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(KafkaUnreachable):
                ours = keys.fingerprints(self._settings, *keys.pseudonym_names(self._settings))
                await fingerprints.hold(self._bootstrap(), "intake", ours, keys.directory(self._settings))
                await self._take_keys()

    async def _follow(self, tail: Tail) -> None:
        await self._publisher.in_reach.wait()
        await tail.run()

    async def _tick(self) -> None:
        """Ticks of the wall clock, the first before all commands; with trusted time the desk sends them by itself."""
        if self._settings.trust_time:
            await asyncio.Event().wait()
        while True:
            await self._publisher.in_reach.wait()
            pause = self._settings.tick_seconds
            try:
                await self._desk.tick()
            except KafkaUnreachable:
                pause = min(pause, 1.0)
            if not self._clock.right.is_set():
                pause = min(pause, PROBE_SECONDS)
            await asyncio.sleep(pause)


class Intake(Service):
    """One intake process: the service and its server. Arguments as `Service` has them."""

    http = ""
    """Where HTTP listens, such as `http://127.0.0.1:8080`; known once `start` has returned."""

    async def start(self) -> None:
        """Listen, and begin to connect; `ready` tells when submissions are taken. Raises as `Server`."""
        self._server = Server(self.application, self._settings)
        self.http = self._server.http
        self._serving = [asyncio.create_task(self._server.serve())]
        while not self._server.started and not self._serving[0].done():
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Finish what is in flight, then close everything."""
        self._door.waiters.end()
        if self._serving:
            self._server.should_exit = True
        await asyncio.gather(*self._serving, return_exceptions=True)
