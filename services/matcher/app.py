"""The matcher service: one tenure for each partition that the consumer group gives this process.

The group decides who has which partition. Correctness doesn't rely on it: a record that comes twice, late or to the wrong process is
recognised by its offset or by fencing. So nobody pauses during a rebalance: an owner who keeps a partition goes on, and one who loses
it finds itself fenced. If a partition fails, it is taken again with back-off, with an alarm if the same failure repeats, and the others
go on. If its ledger is wrong, that partition alone stops, with an alarm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from faststream.kafka import KafkaBroker, KafkaRouter

from schemas.services import Amiss
from services.bus import heartbeat
from services.bus.app import Each, broker_factory, writes
from services.bus.consume.membership import Membership
from services.bus.deadletters.put_back import release
from services.bus.heartbeat import Condition
from services.bus.produce.transaction import hush_told_errors
from services.bus.topics import CHECKPOINTS, COMMANDS, DEADLETTERS, LEDGER, SERVICES
from services.errors import PumasiError
from services.matcher.partition.backlog import LOOK_SECONDS, look
from services.matcher.partition.gauges import show
from services.matcher.partition.processor import Processor
from services.matcher.partition.tenure import Tenure
from services.metrics import Metrics
from services.news import Assigned, MatcherNews, StandsStill, Stopped, Waiting
from services.settings import Settings

log = logging.getLogger("pumasi.matcher")

GROUP = "pumasi-matcher"
_MEMBERSHIP_APART = True


def describe() -> KafkaBroker:
    """A broker, never to be started, with what the matcher's own loops read and write: for AsyncAPI."""
    router = KafkaRouter()
    router.subscriber(COMMANDS, title=f"{COMMANDS}:Matcher", group_id=GROUP)(commands)
    writes(
        router,
        "Matcher",
        (
            LEDGER,
            "One entry for each command, in the same partition, in transactions; key: the fund",
            Annotated[Any, Each("ledger")],
        ),
        (CHECKPOINTS, "Rows of the state, in the same transactions, compacted; key: the entity", bytes),
        (
            DEADLETTERS,
            "A command that could not be read, as it came, in the same transactions; why: in its headers",
            bytes,
        ),
        (SERVICES, heartbeat.ABOUT, Annotated[Any, Each("services")]),
    )
    return broker_factory(lambda: "", GROUP, router)


async def commands(command: Annotated[Any, Each("commands")]) -> None:
    """Commands: each is answered by one entry of the ledger, exactly once."""


class Matcher:
    """All tenures of one process.

    Attributes:
        tenures: by partition, those that the group gave to this process.
        alarms: what stopped partitions, or held them up, in the order in which it was found.
    """

    def __init__(
        self,
        bootstrap: str,
        settings: Settings,
        told: Callable[[MatcherNews], None] = lambda _news: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics("matcher")
        self.bootstrap, self.settings = bootstrap, settings
        self.tenures: dict[int, Tenure] = {}
        show(self._metrics, self.tenures)
        self.alarms: list[str] = []
        self._told = told
        self._settled = asyncio.Event()
        self._endings: set[asyncio.Task[None]] = set()
        self._stopping = self._joined = False
        self._looking: asyncio.Task[None] | None = None
        self._membership = Membership(
            bootstrap,
            COMMANDS,
            GROUP,
            session_timeout_ms=settings.session_timeout_ms,
            instance=settings.instance,
            assigned=self._assigned,
            unsettled=self._settled.clear,
            waiting=lambda why: self.told(Waiting(why)),
            apart=_MEMBERSHIP_APART,
        )

    async def start(self) -> None:
        """Join the group; for as long as Kafka is out of reach, keep trying."""
        hush_told_errors(asyncio.get_running_loop())
        self._membership.start()
        self._looking = asyncio.create_task(self._look())

    @property
    def held(self) -> set[int]:
        """The partitions that the group gave to this process."""
        return set(self.tenures)

    @property
    def stopped(self) -> dict[int, PumasiError]:
        """Those of them that stopped with an alarm, and why."""
        return {number: tenure.stopped for number, tenure in self.tenures.items() if tenure.stopped}

    def condition(self) -> Condition:
        """How far each partition is, and where it does not get on, for the heartbeat."""
        return Condition(
            {number: tenure.processor.next_offset for number, tenure in self.tenures.items() if tenure.processor.ready},
            [Amiss(code=code, partition=number) for number, tenure in self.tenures.items() if (code := tenure.amiss)],
        )

    def amiss(self) -> list[Amiss]:
        """Why a command that comes now would not be answered here; nothing if it would."""
        if not self._joined:
            return [Amiss(code="joining")]
        found = list(self.condition().amiss)
        known = {one.partition for one in found}
        stalled = [number for number, tenure in self.tenures.items() if tenure.stalled and number not in known]
        return found + [Amiss(code="not_answered", partition=number) for number in stalled]

    async def stop(self) -> None:
        """Finish the transactions at hand, let go of all partitions, leave the group."""
        self._stopping = True
        self._settled.set()  # nobody need wait for the group any more
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*(tenure.end() for tenure in self.tenures.values()), *self._endings)
        await self._membership.stop()

    def told(self, news: MatcherNews) -> None:
        """Hand news on, and remember alarms."""
        match news:
            case Stopped(partition, code, message):
                self.alarms.append(f"partition {partition}: {code}: {message}")
            case StandsStill(partition, why=why):
                self.alarms.append(f"partition {partition}: {why}")
        self._told(news)

    def _assigned(self, ours: frozenset[int], partitions: int) -> None:
        """Begin a tenure of each partition that is new, end those of partitions that are gone, and leave the others at work."""
        if self._stopping:
            return
        self._settled.set()
        self._joined = True
        for gone in self.held - ours:
            ending = asyncio.create_task(self.tenures.pop(gone).end())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
        for number in sorted(ours - self.held):
            self.tenures[number] = self._tenure(number, partitions)
        self.told(Assigned(sorted(ours)))

    async def _look(self) -> None:
        """Now and then see what waits where nothing is fetched; see `partition.backlog`."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            begins = {}
            for number, tenure in self.tenures.items():
                if (begin := tenure.unknown_from) is None:
                    tenure.looked = None
                else:
                    begins[number] = begin
            if not begins:
                continue
            try:
                found = await look(self.bootstrap, begins)
            except Exception as error:  # noqa: BLE001  # whatever it is: what was known is older then, and nothing depends on it
                log.debug(
                    "not known what waits (%(cause)s)", {"event": "backlog_unknown", "cause": type(error).__name__}
                )
                continue
            for number in found.keys() & self.tenures.keys():
                self.tenures[number].looked = found[number]

    def _tenure(self, partition: int, partitions: int) -> Tenure:
        settings = self.settings
        processor = Processor(
            self.bootstrap,
            partition,
            partitions,
            settings.transaction_timeout_ms,
            settings.checkpoint_entries,
            settings.checkpoint_seconds,
            self._metrics,
        )
        return Tenure(
            processor,
            self._settled,
            self._membership.heartbeat_seconds,
            partial(release, self.bootstrap, partitions),
            self.told,
            partial(self._membership.report, partition),
        )
