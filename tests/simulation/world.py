"""The world: one plan, from start to verdict.

Everything of the process that could tell real time or real chance is turned to the simulated: the clocks of `time`, Python's random
numbers, aiokafka's connections. What makes a run long without making it telling is made small: how many commands, facts and rows go
into one transaction, entry and bundle. Nothing else of the real code is touched.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import aiokafka.client
import aiokafka.consumer.consumer
import aiokafka.producer.message_accumulator
import aiokafka.producer.producer

import schemas.ledger
import services.bus.consume.membership
import services.bus.produce.transaction
import services.matcher.app
import services.matcher.checkpoint.writing
import services.matcher.ledger.draft
import services.matcher.partition.batch
import services.matcher.partition.processor
from services.news import Forgotten, MatcherNews, Stopped, document
from services.settings import Settings
from tests.simulation.broker import Broker
from tests.simulation.checks import Checks, Finding
from tests.simulation.clock import Process, VirtualLoop, process_of_this_step
from tests.simulation.cluster import Cluster
from tests.simulation.faults import Adversary
from tests.simulation.feed import Feed
from tests.simulation.log import Log
from tests.simulation.network import Network
from tests.simulation.plan import Plan, Sizes

CALM_SECONDS = 400.0
"""Within so long after the last fault every command has its answer: aiokafka's request timeout and a few back-offs, with room."""
_FAULTS_SECONDS = 600.0
_QUIET_SECONDS = 2.0
_REVIEW_SECONDS = 0.25
_HEARTBEATS_PER_SESSION = 5
_FETCHER_MS = 2000
_EPOCH = 1_800_000_000.0
_AIOKAFKAS_OWN = "MessageAccumulator._pop_batch.<locals>.cb"
"""Trips over a batch that failed while it waited to be sent again (aiokafka 0.14): a traceback in the log, and nothing else."""

Variant = Callable[["World"], contextlib.AbstractContextManager[Any]]
"""Changes the real code for one run."""


@dataclass
class Outcome:
    """What came of a plan.

    Attributes:
        plan: which.
        finding: what was wrong, or None.
        kind: the finding's stable name, or None.
        story: what happened, if it was asked for.
        faults: how often what went wrong.
        figures: how much of what there was.
        digest: the same for the same run.
    """

    plan: Plan
    finding: str | None = None
    kind: str | None = None
    story: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)
    digest: int = 0


class World:
    """One run.

    Args:
        plan: what to run.
        story: whether to keep what happens.
    """

    def __init__(self, plan: Plan, *, story: bool = False) -> None:
        self.plan = plan
        self.outcome = Outcome(plan)
        self.loop = VirtualLoop()
        self._keeps_story = story
        self.adversary = Adversary(self.loop, plan.random("faults"), plan.faults, self.tell)
        self.broker = Broker(self.loop, plan.random("broker"), plan.partitions, self.tell, self._shown)
        self.broker.marker_seconds, self.broker.replica_seconds = plan.marker_seconds, plan.replica_seconds
        self.network = Network(
            self.loop, plan.random("network"), plan.latency_seconds, self.broker, self.adversary, self.tell
        )
        self.cluster = Cluster(self.loop, self.network, _settings(plan), plan.named, self.tell, self._heard)
        self.adversary.broker, self.adversary.network, self.adversary.cluster = self.broker, self.network, self.cluster
        self.checks = Checks(self.broker.logs, plan.partitions)
        self.feed = Feed(self.loop, plan.random("feed"), self.broker, plan, lambda: self.adversary.used_up)
        self._quiet_since: float | None = None
        self._ended = self._closed = False

    def tell(self, what: str) -> None:
        """Keep what happens, for a story."""
        if self._keeps_story:
            self.outcome.story.append(f"{self.loop.time():10.4f}  {what}")

    def found(self, kind: str, message: str) -> None:
        """Something is wrong; the first finding counts."""
        if self.outcome.kind is None:
            self.outcome.kind, self.outcome.finding = kind, message
            self.tell(f"FOUND {kind}: {message}")

    def run(self, variant: Variant | None = None) -> Outcome:
        """Run the plan to its end."""
        with _turned(self), variant(self) if variant else contextlib.nullcontext():
            self.feed.begin()
            self._review()
            for number in range(self.plan.processes):
                self.cluster.add("ABCDEFGH"[number])
            self._until_all_is_answered()
            if self.outcome.kind is None:
                self._finish()
            self._look_at_complaints()
            self._count()
            self._closed = True
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.loop.end()
        return self.outcome

    def _until_all_is_answered(self) -> None:
        if self.loop.drive(self._over, _FAULTS_SECONDS):
            return
        self.adversary.give_up()
        if not self.loop.drive(self._over, self.loop.time() + CALM_SECONDS):
            standing = [f"{p.seen} of {len(p.entries)} entries in partition {p.number}" for p in self.checks.partitions]
            self.found("stands still", ", ".join(standing))

    def _finish(self) -> None:
        """Ask what can only be asked at the end, as a process of its own that reads what is there."""
        asked = self.loop.start(Process("checks"), self.checks.finish())
        if not self.loop.drive(asked.done, self.loop.time() + CALM_SECONDS):
            self.found("stands still", "what is written can't be read")
            return
        with self._finding():
            asked.result()

    def _over(self) -> bool:
        return self._ended or self.outcome.kind is not None

    def _review(self) -> None:
        """Now and then: end the run once all is answered, all faults are over, and some time has passed in quiet."""
        self.loop.later(_REVIEW_SECONDS, self._review)
        if not (self.feed.done and self.checks.answered):
            self._quiet_since = None
        elif not self.adversary.over:
            self.adversary.give_up()
        elif self._quiet_since is None:
            self._quiet_since = self.loop.time()
        elif self.loop.time() >= self._quiet_since + _QUIET_SECONDS:
            self._ended = True

    @contextlib.contextmanager
    def _finding(self) -> Iterator[None]:
        try:
            yield
        except Finding as finding:
            self.found(finding.kind, str(finding).partition(": ")[2])

    def _shown(self, log: Log) -> None:
        with self._finding():
            self.checks.shown(log)

    def _heard(self, news: MatcherNews) -> None:
        if self._closed:
            return
        self.outcome.figures[document(news)["event"]] += 1
        match news:
            case Stopped(partition, code, message):
                self.found("stopped", f"partition {partition}: {code}: {message}")
            case Forgotten(partition, why) if " " not in why:  # an exception's name: nobody expected it
                self.found("unexpected", f"partition {partition}: {why}")

    def _look_at_complaints(self) -> None:
        for complaint in self.loop.complaints:
            error = complaint.get("exception")
            if isinstance(error, KeyError) and _AIOKAFKAS_OWN in complaint["message"]:
                continue
            if error is not None and not isinstance(error, aiokafka.errors.KafkaError):
                self.found("unexpected", f"{complaint['message']}: {error!r}")

    async def recover(self, really: Callable[..., Any], partition: int, *given: Any) -> Any:
        """The real recovery, watched."""
        process = process_of_this_step()
        name, transactions = f"pumasi-matcher-{partition}", self.broker.coordinator.transactions
        writer = given[0]._writer._producer  # its own epoch: it may have been shut out since it fenced
        epoch = writer._txn_manager.producer_epoch if writer else None
        self.cluster.recovering.add(process)
        try:
            recovered = await really(partition, *given)
        finally:
            self.cluster.recovering.discard(process)
        self.outcome.figures["recovered from a checkpoint" if recovered.head else "recovered from the ledger"] += 1
        if name in transactions and transactions[name].epoch == epoch:
            with self._finding():
                self.checks.recovered(partition, recovered)
        return recovered

    def _count(self) -> None:
        figures = self.outcome.figures
        figures["steps"] += self.loop.steps
        figures["requests"] += self.network.requests
        figures["entries"] += self.checks.entries
        figures["seconds"] += round(self.loop.time())
        figures["processes"] += sum(service.starts for service in self.cluster.services)
        self.outcome.faults = self.adversary.done
        self.outcome.digest = self.network.digest


@cache
def _usual() -> Settings:
    """Made once: looking for settings takes longer than a tenth of a world."""
    return Settings()


def _settings(plan: Plan) -> Settings:
    return _usual().model_copy(
        update={
            "session_timeout_ms": plan.session_ms,
            "transaction_timeout_ms": plan.transaction_ms,
            "checkpoint_entries": plan.sizes.checkpoint_entries,
            "checkpoint_seconds": plan.sizes.checkpoint_seconds,
        }
    )


def _sizes(sizes: Sizes) -> list[tuple[Any, str, Any]]:
    return [
        (services.matcher.ledger.draft, "ENTRY_BYTES_MAX", 0),  # for entries are cut where no honest one is
        (schemas.ledger, "_cut", lambda facts, _: _parts(facts, sizes.entry_facts)),
        (services.matcher.partition.batch, "BATCH_COMMANDS_MAX", sizes.batch_commands),
        (services.bus.produce.transaction, "BATCH_BYTES", sizes.batch_bytes),
        (services.matcher.partition.processor, "RECORDS_AT_ONCE", sizes.records_at_once),
        (services.matcher.checkpoint.writing, "PORTION", sizes.portion),
        (services.matcher.checkpoint.writing, "BUNDLE", sizes.bundle),
        (services.matcher.checkpoint.writing, "VALUE_BYTES_MAX", sizes.value_bytes),
        (services.matcher.checkpoint.writing, "CHANGED_MAX", sizes.changed),
    ]


@contextlib.contextmanager
def _turned(world: World) -> Iterator[None]:
    """Turn clocks, chance, connections and sizes to the simulated ones."""
    plan, loop = world.plan, world.loop
    recover = services.matcher.partition.processor.recover
    append = aiokafka.producer.message_accumulator.BatchBuilder.append
    collects = gc.isenabled()
    gc.disable()  # when it comes would depend on what ran before, and with it when async generators are closed
    chance = random.getstate()
    random.seed(f"{plan.seed}/python")
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None  # the end of a world closes coroutines that did not expect it
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.ExitStack() as turned:
            for place, name, value in (
                (time, "monotonic", loop.time),
                (time, "time", lambda: _EPOCH + loop.time()),
                (aiokafka.client, "create_conn", world.network.connect),
                (aiokafka.consumer.consumer.AIOKafkaConsumer, "__del__", lambda _self: None),
                (aiokafka.producer.producer.AIOKafkaProducer, "__del__", lambda _self: None),
                (aiokafka.producer.message_accumulator.BatchBuilder, "append", _stamped(append)),
                (services.matcher.partition.processor, "recover", lambda *given: world.recover(recover, *given)),
                (services.bus.consume.membership, "HEARTBEATS_PER_SESSION", _HEARTBEATS_PER_SESSION),
                (services.matcher.app, "_MEMBERSHIP_APART", False),  # its own thread would tell real time
                *_sizes(plan.sizes),
            ):
                turned.enter_context(patch.object(place, name, value))
            defaults = aiokafka.consumer.consumer.AIOKafkaConsumer.__init__.__kwdefaults__
            turned.enter_context(patch.dict(defaults, consumer_timeout_ms=_FETCHER_MS))
            yield
    finally:
        if collects:
            gc.enable()
        logging.disable(level)
        sys.unraisablehook = hook
        random.setstate(chance)


def _stamped(append: Callable[..., Any]) -> Callable[..., Any]:
    """A record that is given no time gets the simulated; aiokafka's C code would take the real, and with it go sizes of batches."""

    def stamped(builder: Any, *, timestamp: int | None, **record: Any) -> Any:
        return append(builder, timestamp=round(time.time() * 1000) if timestamp is None else timestamp, **record)

    return stamped


def _parts(facts: Sequence[dict[str, Any]], most: int) -> Iterator[tuple[Sequence[dict[str, Any]], bool]]:
    """As the ledger's own, cut by number instead of size."""
    for start in range(0, max(1, len(facts)), most):
        yield facts[start : start + most], start + most < len(facts)
