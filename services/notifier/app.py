"""The notifier service, a FastStream application: reads the ledger as a group, tells people, and only then commits how far it has come.

Each notice is sent at least once, always under one id. What is read goes to the partition's `Backlog`, which tells, records and
commits: a partition's group offset is the place up to which all has been told and recorded. On taking a partition the audience's
memory is rebuilt by reading the ledger from its start: silently up to the group offset, aloud from there. The consumer's own
position is not trusted: a record that is not the very next entry has the memory rebuilt, one that this process has taken already is
skipped, and a gap stops the partition.

The handler raises what is amiss; `Notifier.decide` forgets, goes back or stops the partition, and its neighbours go on.

A new group starts at the ledger's beginning: nothing stays untold. What stands on the notices topic already is not told again: its
last notices, where the group has an offset, and all where it has none (Kafka forgets those of a group that was away for a week).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from itertools import chain
from typing import Annotated, Any

from faststream import Context
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from faststream.kafka import KafkaBroker, KafkaRouter
from faststream.kafka.annotations import Consumer

from schemas.notices import Tidings
from schemas.services import Amiss
from services import keys, logs, traces
from services.bus import access, heartbeat
from services.bus.app import (
    ByPartition,
    Each,
    Part,
    broker_factory,
    lag,
    measured,
    raw_batches,
    unreadable,
    writes,
)
from services.bus.bootstrap import bootstrap_of
from services.bus.consume.membership import Rebalance
from services.bus.consume.scan import Extent, TopicReader
from services.bus.consume.tail import read_last
from services.bus.contacts import keep_swept
from services.bus.envelope import Record, trace_of
from services.bus.heartbeat import Condition, Heartbeat
from services.bus.produce.publisher import Publisher
from services.bus.security import Bootstrap
from services.bus.topics import CONTACTS, LEDGER, NOTICES, SERVICES
from services.bus.waiting import PATIENCE_SECONDS
from services.errors import LedgerTampered, PumasiError, TopicUnreadable
from services.health import PATHS, Health
from services.metrics import LEDGER_LAG, NOTICES_WAITING, OLDEST_NOTICE, Metrics
from services.news import Assigned, NotifierNews, Resumed, Waiting
from services.notifier import screen
from services.notifier.channels.webhook import Webhook
from services.notifier.languages import Languages, private_key
from services.notifier.ledger import Reading
from services.notifier.renewal import Renewal
from services.notifier.teller import Teller, View
from services.notifier.untold import AHEAD_MAX, TOGETHER_MAX, Backlog, Since, Stopping
from services.settings import Settings, load

GROUP = "pumasi-notifier"
log = logging.getLogger("pumasi.notifier")

_RECORDS_PER_POLL_MAX = 500
_POLL_INTERVAL_MAX_MS = 1_800_000  # who takes a partition reads its ledger from the start
_PAUSE_SECONDS = 1.0
_FINISH_SECONDS = 5.0
_BREATHE_EVERY = 200
_ALL = 1 << 62


def get_application() -> AsgiFastStream:
    """The application by the settings of the environment, for an ASGI server of one's own; it tells by webhook alone."""
    settings = load()
    logs.begin(settings)
    traces.begin(settings, GROUP)
    return application_factory(settings, screen.quiet())


def application_factory(
    settings: Settings, view: View, told: Callable[[NotifierNews], None] = lambda _news: None
) -> AsgiFastStream:
    """The notifier, with `/livez`, `/readyz` and `/metrics`. Its context knows the `Notifier` as `notifier`, its `Health` as `health`.

    Raises:
        SettingError: if a webhook can't be made of them; of one that must not be reached, when it starts.
    """
    bootstrap, webhook = partial(bootstrap_of, settings, user=access.NOTIFIER), webhook_of(settings)
    publisher = Publisher(bootstrap, [LEDGER, CONTACTS, NOTICES, SERVICES], GROUP, told=lambda why: wait_for(why))
    key = private_key(settings)
    languages = Languages(
        settings.language,
        key,
        told,
        lambda: keys.private_keys(settings, "notifier"),
        addresses=settings.webhook_addresses,
        was_applied=lambda *about: notifier.was_applied(*about),
    )
    renewal = Renewal(languages, settings)
    metrics = Metrics("notifier")
    notifier = Notifier(bootstrap, Teller(publisher, webhook, view, languages, metrics), told, metrics)
    used = renewal.used if key is not None else dict
    beat = Heartbeat(bootstrap, "notifier", settings.instance, lambda: condition(), used, metrics)
    notifier.went_wrong = beat.went_wrong
    held = AsyncExitStack()

    def wait_for(why: str) -> None:
        if not publisher.in_reach.is_set() and not notifier.assigned.is_set():
            told(Waiting(why))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with held:
            if webhook is not None:
                await held.enter_async_context(webhook)
                await webhook.check()
            publisher.start()
            held.push_async_callback(publisher.stop)
            await held.enter_async_context(beat)
            await held.enter_async_context(health.serving())
            sweeping = asyncio.create_task(keep_swept(publisher))
            held.callback(sweeping.cancel)
            yield

    async def opening() -> None:
        await publisher.in_reach.wait()
        if key is not None:
            await renewal.hold(bootstrap())
        if not languages.followed:
            await held.enter_async_context(languages.following(bootstrap()))
            if key is not None:
                await held.enter_async_context(renewal.following(bootstrap))
        await languages.read_all()

    broker = notifier.broker(settings.session_timeout_ms, opening)
    metrics.reads(LEDGER_LAG, partial(lag, broker))

    def condition() -> Condition:
        amiss = [Amiss(code=error.code, partition=number) for number, error in notifier.stopped.items()]
        amiss += [Amiss(code="topic_unreadable", partition=stuck.partition) for stuck in unreadable(broker)]
        amiss += [Amiss(code="webhook_down")] if webhook is not None and webhook.is_down else []
        amiss += [Amiss(code="not_told", partition=number) for number in notifier.stalled]
        return Condition(notifier.positions, amiss)

    def amiss() -> list[Amiss]:
        """Why an entry that comes now would not be told; nothing if it would."""
        if not publisher.in_reach.is_set():
            return [Amiss(code="kafka_unreachable")]
        if not notifier.assigned.is_set():
            return [Amiss(code="joining")]
        return [*condition().amiss]

    health = Health(metrics, amiss, settings)
    broker.context.set_global("health", health)
    return AsgiFastStream(
        broker,
        context=broker.context,
        logger=None,
        lifespan=lifespan,
        on_shutdown=[notifier.finish],
        asgi_routes=[(path, _door(health, path)) for path in PATHS],
    )


def _door(health: Health, path: str) -> Any:
    @get
    async def door(_scope: Any) -> AsgiResponse:
        found = health.answer(path)
        assert found is not None, "one of its paths"
        return AsgiResponse(found.body, found.status, {"content-type": found.media_type})

    return door


def describe() -> KafkaBroker:
    """The broker with all that the notifier reads and writes, for AsyncAPI."""
    return broker_factory(lambda: "", GROUP, router_factory(Settings.model_construct().session_timeout_ms))


def router_factory(
    session_timeout_ms: int, listener: Rebalance | None = None, middlewares: Sequence[Any] = ()
) -> KafkaRouter:
    """What the notifier reads and writes; arguments as intake's has them."""
    router = KafkaRouter(middlewares=middlewares)
    writes(
        router,
        "Notifier",
        (NOTICES, "What was told to whom, when, with what outcome; key: the subject", Annotated[Any, Each("notices")]),
        (SERVICES, heartbeat.ABOUT, Annotated[Any, Each("services")]),
        (CONTACTS, "That somebody is forgotten: a record without a value; key: the subject", bytes),
    )
    options = raw_batches(GROUP, _RECORDS_PER_POLL_MAX, session_timeout_ms, _POLL_INTERVAL_MAX_MS)
    options["rebalance_timeout_ms"] = session_timeout_ms * 3
    router.subscriber(LEDGER, title=f"{LEDGER}:Notifier", listener=listener, **options)(entries)
    return router


async def entries(
    records: Annotated[Sequence[Record], Each("ledger")], notifier: Annotated[Any, Context()], consumer: Consumer
) -> None:
    """Entries of the ledger, in order; those concerned are told."""
    await notifier.hear(records, consumer)


def webhook_of(settings: Settings) -> Webhook | None:
    """The webhook that settings ask for. Raises SettingError if it can't be made of them."""
    if settings.webhook_url is None:
        return None
    url = settings.webhook_url.get_secret_value()
    return Webhook(url, lambda: keys.webhook_secrets(settings), allow_private=settings.webhook_allow_private)


class Notifier:
    """All partitions of one process.

    Attributes:
        stopped: partitions whose ledger does not hold, and why.
        assigned: set once the group has given this process its share, be it nothing.
        over: set once the service can't go on at all; `failed` says why.
        went_wrong: called with what fails and is tried again, as a stable code, and its partition.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        teller: Teller,
        told: Callable[[NotifierNews], None] = lambda _news: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics("notifier")
        self._metrics.reads(OLDEST_NOTICE, self._oldest_seconds)
        self._metrics.reads(NOTICES_WAITING, lambda: sum(one.waiting for one in self._backlogs.values()))
        self._taking: dict[int, Since] = {}  # by partition, since when the first entry waits that is being taken
        self._bootstrap, self.teller, self.told = bootstrap, teller, told
        self.stopped: dict[int, LedgerTampered] = {}
        self.assigned, self.over = asyncio.Event(), asyncio.Event()
        self.failed: BrokenPipeError | None = None
        self.went_wrong: Callable[[str, int], None] = lambda _code, _partition: None
        self._readings: dict[int, Reading] = {}
        self._latest: dict[int, Reading] = {}  # of each partition, whether it is kept or not
        self._backlogs: dict[int, Backlog] = {}
        self._told_before: set[str] = set()
        self._looked_up = 0
        self._stopping = asyncio.Event()

    def broker(self, session_timeout_ms: int, opening: Callable[[], Any]) -> KafkaBroker:
        """What brings it entries; arguments as `router_factory` and `broker_factory` have them."""
        listener = Rebalance(lambda _revoked: None, self._assigned)
        router = router_factory(session_timeout_ms, listener, [partial(ByPartition, self.decide)])
        return broker_factory(
            self._bootstrap,
            GROUP,
            router,
            opening=opening,
            context={"notifier": self},
            middlewares=[*traces.middlewares(), measured(self._metrics)],
        )

    def was_applied(self, fund: str, about: str, name: str) -> bool:
        """As `Reading.holds`, of all that is read here."""
        return any(reading.holds(fund, about, name) for reading in self._latest.values())

    @property
    def stalled(self) -> list[int]:
        """Partitions of which something has been at hand for longer than it may, though others be told meanwhile."""
        since, now = self._taking | self._taken(), time.monotonic()
        return sorted(number for number, one in since.items() if now - one.at_hand > PATIENCE_SECONDS)

    def _oldest_seconds(self) -> float:
        waits = (*self._taking.values(), *self._taken().values())
        return max(0.0, time.time() - min(one.written_ms for one in waits) / 1000) if waits else 0.0

    def _taken(self) -> dict[int, Since]:
        """By partition, since when the oldest of what was taken, and is not told, has waited."""
        return {number: since for number, one in self._backlogs.items() if (since := one.since) is not None}

    @property
    def positions(self) -> dict[int, int]:
        """By partition that has been read here, the offset up to which all is told."""
        return {number: backlog.told_to for number, backlog in self._backlogs.items()}

    async def finish(self) -> None:
        """What is being told may be told to its end, within seconds; nothing new is begun."""
        self._stopping.set()
        await asyncio.gather(*(backlog.finish(_FINISH_SECONDS) for backlog in self._backlogs.values()))

    def _assigned(self, assigned: Iterable[Any]) -> None:
        """aiokafka swallows errors raised here, so none may be raised."""
        ours = sorted(place.partition for place in assigned)
        for partition in {*self._readings, *self._backlogs, *self._taking} - set(ours):
            self._forget(partition)
            self._taking.pop(partition, None)
        self._looked_up = 0  # others may have told since
        self.assigned.set()
        self.told(Assigned(ours))

    async def decide(self, parts: Sequence[Part], consumer: Any) -> None:
        """Have each partition's entries told, one partition after the other, and decide what to do about errors."""
        for part in parts:
            if part.partition in self.stopped or self._stopping.is_set():
                continue
            before = self._taking.get(part.partition)  # what is brought again has been at hand all along
            at_hand = time.monotonic() if before is None else before.at_hand
            self._taking[part.partition] = Since(part.records[0].timestamp, at_hand)
            try:
                await part.handle()
                self._taking.pop(part.partition, None)
            except LedgerTampered as error:
                self._alarm(part.partition, error)
            except Stopping:
                self._readings.pop(part.partition, None)
            except BrokenPipeError as error:
                self._unseen(error)
            except Exception as error:  # noqa: BLE001  # whatever it is: forget, read again, go on
                await self._go_back(part.records[0], error, consumer)

    async def hear(self, records: Sequence[Record], consumer: Any) -> None:
        """Begin to tell what entries of one partition say, as far as there is room; it is committed as it is told.

        A partition without room is paused at the first entry that has to wait, and its neighbours go on.

        Raises:
            LedgerTampered: if they don't follow from what came before.
            Stopping: if the service stops meanwhile, or the partition is no longer ours.
            KafkaError, KafkaUnreachable: if they could not be read.
        """
        partition = records[0].partition
        reading, missed = await self._reading(records[0], consumer)
        self._latest[partition] = reading
        if self._stopping.is_set():
            raise Stopping
        backlog = self._backlogs.get(partition)
        if backlog is None:
            backlog = self._backlogs[partition] = self._backlog(partition, reading.next_offset, consumer)
        tidings: list[Tidings] = []
        traced: dict[str, bytes] = {}
        for record in chain(missed, records):
            if record.offset < reading.next_offset:
                continue  # taken by us before the group lost count
            if not backlog.has_room:
                place = _place(consumer, partition)
                consumer.pause(place)
                consumer.seek(place, record.offset)
                break
            untold = [one for one in reading.take(record) if one.id not in self._told_before]
            tidings += untold
            if (trace := trace_of(record)) is not None:
                traced |= dict.fromkeys((one.id for one in untold), trace)
            if len(tidings) >= TOGETHER_MAX:
                await backlog.add(tidings, reading.next_offset, records[0].timestamp, traced)
                tidings, traced = [], {}
        await backlog.add(tidings, reading.next_offset, records[0].timestamp, traced)
        self._readings[partition] = reading

    def _backlog(self, partition: int, at: int, consumer: Any) -> Backlog:
        async def commit(offset: int) -> None:
            await consumer.commit({_place(consumer, partition): offset})

        def failed(error: Exception) -> None:
            if isinstance(error, BrokenPipeError):
                self._unseen(error)
                return
            with suppress(LookupError):  # what is untold is brought again, and finds the error: see `_go_back`
                consumer.seek(_place(consumer, partition), backlog.told_to)
                roomy()

        def roomy() -> None:
            with suppress(LookupError):
                consumer.resume(_place(consumer, partition))

        backlog = Backlog(self.teller, at, commit, failed, roomy)
        return backlog

    def _forget(self, partition: int) -> None:
        """Let go of a partition; what of it is not recorded is told again."""
        self._readings.pop(partition, None)
        self._latest.pop(partition, None)
        if (backlog := self._backlogs.pop(partition, None)) is not None:
            backlog.cancel()

    def _unseen(self, error: BrokenPipeError) -> None:
        """Nobody reads our screen any more."""
        self.failed = self.failed or error
        self.over.set()

    async def _reading(self, record: Record, consumer: Any) -> tuple[Reading, list[Record]]:
        """The reading that `record` follows or is part of, and the records before it that are still to be told."""
        partition = record.partition
        reading = self._readings.pop(partition, None)  # put back once all is taken
        if reading is not None and (record.offset < reading.next_offset or reading.precedes(record.value)):
            return reading, []
        if (backlog := self._backlogs.pop(partition, None)) is not None:
            await backlog.end()
            self._looked_up = 0
        reading, missed = Reading(partition), []
        committed = await consumer.committed(_place(consumer, partition))
        await self._look_up_told(_ALL if committed is None else AHEAD_MAX)
        if record.offset:
            async with TopicReader(self._bootstrap()) as reader:
                async for former in reader.records(LEDGER, {partition: Extent(0, record.offset)}):
                    if former.offset >= (committed or 0):
                        missed.append(former)
                        continue
                    reading.take(former, silent=True)
                    if reading.seq % _BREATHE_EVERY == 0:
                        await asyncio.sleep(0)
                        if self._stopping.is_set():
                            raise Stopping
        self.told(Resumed(partition, reading.seq))
        return reading, missed

    async def _look_up_told(self, last: int) -> None:
        """Learn which of the last notices, so many of each partition of their topic, are recorded."""
        if last > self._looked_up:
            found: set[str] = set()
            try:
                await read_last(self._bootstrap(), NOTICES, last, lambda record: found.update(_ids(record)))
            except TopicUnreadable:
                if last == _ALL:
                    raise  # all would be told again
            self._told_before, self._looked_up = found, last

    async def _go_back(self, record: Record, error: Exception, consumer: Any) -> None:
        """Forget the partition and have `record` brought again; what is told then begins at the group offset."""
        partition = record.partition
        self._forget(partition)
        self._looked_up = 0
        why = error.message if isinstance(error, PumasiError) else type(error).__name__
        code = error.code if isinstance(error, PumasiError) else "unforeseen"
        told = {"event": "to_be_read_again", "partition": partition, "code": code, "why": why}
        log.warning("partition %(partition)d: %(why)s; to be read again", told)
        self.went_wrong(code, partition)
        try:
            consumer.seek(_place(consumer, partition), record.offset)
        except LookupError:
            return  # its new owner begins at the group offset
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), _PAUSE_SECONDS)

    def _alarm(self, partition: int, error: LedgerTampered) -> None:
        """Stop one partition, with an alarm; it stays ours, and nobody hears of its cases and pledges."""
        self.stopped[partition] = error
        self._readings.pop(partition, None)
        told = {"event": "partition_stopped", "partition": partition, "code": error.code, "why": error.message}
        log.critical("partition %(partition)d STOPPED: %(why)s", told)


def _place(consumer: Any, partition: int) -> Any:
    """Raises LookupError if the group has given the partition to somebody else."""
    for place in consumer.assignment() if consumer else ():
        if place.partition == partition:
            return place
    raise LookupError(f"partition {partition} is no longer ours")


def _ids(record: Record) -> list[str]:
    return [value.decode("ascii", "replace") for name, value in record.headers if name == "ce_id" and value]
