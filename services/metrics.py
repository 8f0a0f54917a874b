"""Everything that is measured: each metric once, with its help; and the registry of one service, which Prometheus reads at `/metrics`.

    what happens ─ count, observe ─► Metrics ◄─ asked at each scrape ─ positions, lag, money: what is there anyway
                                        │
                                        ▼
                              /metrics (`services.health`)

No label holds an id, a fund, a person or an address: each has a handful of values, known from the code, but for partitions and
currencies. Names keep to Prometheus' conventions: base units, and `_total` where it only rises. A registry is a service's own and
not the process's, so that tests may have several of a kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.commands import COMMANDS
from schemas.facts import RejectionCode
from schemas.notices import Channel, NoticeOutcome
from schemas.values import CLASSES
from services import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series of each, telling when it began
Name = Literal["intake", "matcher", "notifier", "ender"]
SERVICES: Final[tuple[Name, ...]] = get_args(Name)
MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
OTHER: Final = "other"
"""Stands in a label for whatever is none of its values."""

PUBLIC_SECONDS: Final = 1.0
"""How long what anybody may read stays as it was read."""

Values = Mapping[tuple[str, ...], float]
"""What a gauge is, by the values of its labels."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        labels: by name, its values; none named where only a running system knows them.
        service: the one that has it; None: each.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    service: Name | None
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()


ANY: Final[tuple[str, ...]] = ()
"""Of a label whose values only a running system knows."""
DOORS: Final = ("http", "topic")
TYPES: Final = (*COMMANDS, OTHER)
STAGES: Final = ("waiting", "promised", "settled", "delivered", "released")
STOPS: Final = ("conservation_breach", "ledger_tampered", "stands_still")
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PARTITION: Final = {"partition": ANY}

# fmt: off
BUILD = Metric("pumasi_build_info", "gauge", None,
    "1; its labels say what runs", {"version": (__version__,), "service": SERVICES})
READY = Metric("pumasi_ready", "gauge", None,
    "1 while what is taken now would be answered, as at /readyz")
CLOCK_OFFSET = Metric("pumasi_clock_offset_seconds", "gauge", None,
    "This machine's clock minus the broker's, by the last heartbeat; left out before the first")
LETTERS = Metric("pumasi_deadletters_total", "counter", None,
    "Records put on the dead letters topic, by the code of what is wrong with them", {"code": ANY})

EVENTS = Metric("pumasi_events_total", "counter", "intake",
    "Events that came, by door and what became of them; over HTTP a request that is refused counts as one",
    {"door": DOORS, "outcome": ("accepted", "repeated", "refused")})
REFUSALS = Metric("pumasi_refusals_total", "counter", "intake",
    "Those refused, by door and code", {"door": DOORS, "code": ANY})
REQUEST_SECONDS = Metric("pumasi_http_request_seconds", "histogram", "intake",
    "How long HTTP requests took; of receipts, waiting as asked included",
    {"route": ANY, "method": ANY, "status": ANY}, _SECONDS)
PUBLISH_SECONDS = Metric("pumasi_publish_seconds", "histogram", "intake",
    "From when events are read until every in-sync replica has their commands", buckets=_SECONDS)
UNANSWERED = Metric("pumasi_unanswered_commands", "gauge", "intake",
    "Commands without an entry on the ledger yet, as this intake sees it")
OLDEST_UNANSWERED = Metric("pumasi_oldest_unanswered_seconds", "gauge", "intake",
    "Age of the oldest of them since the broker appended it; 0 if there is none")
SUBMISSIONS_LAG = Metric("pumasi_submissions_lag_records", "gauge", "intake",
    "Records of the submissions topic not brought through yet, of partitions held here", _PARTITION)

DECISIONS = Metric("pumasi_decisions_total", "counter", "matcher",
    "Commands whose entries are committed, by type and outcome; a type that nobody knows is `other`. "
    "What comes under an id that stands is repeated, be its data the same or not. "
    "A vouch or thanks for a case counts as applied, be it new, known, the beneficiary's own or too late",
    {"type": TYPES, "outcome": ("applied", "repeated", "rejected", "unreadable")})
REJECTIONS = Metric("pumasi_rejections_total", "counter", "matcher",
    "Those of them that were rejected, or unreadable, by code",
    {"code": tuple(code for code in get_args(RejectionCode) if code not in ("own_voucher", "id_conflict"))})
TRANSACTIONS = Metric("pumasi_transactions_total", "counter", "matcher",
    "Transactions on the ledger; after one that failed, the partition is recovered",
    {"outcome": ("committed", "failed")})
TRANSACTION_SECONDS = Metric("pumasi_transaction_seconds", "histogram", "matcher",
    "From a transaction's first decision until it is committed", buckets=_SECONDS)
TRANSACTION_COMMANDS = Metric("pumasi_transaction_commands", "histogram", "matcher",
    "Commands answered by one transaction", buckets=(1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000))
RECOVERIES = Metric("pumasi_recoveries_total", "counter", "matcher",
    "Partitions taken: fenced, and rebuilt from checkpoint and ledger")
RECOVERY_SECONDS = Metric("pumasi_recovery_seconds", "histogram", "matcher",
    "How long that took", buckets=(0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0))
PARTITION_LAG = Metric("pumasi_partition_lag_records", "gauge", "matcher",
    "End of the commands topic minus where the ledger has come to, of partitions held here; left out until the ledger was read",
    _PARTITION)
WATERMARK_AGE = Metric("pumasi_watermark_age_seconds", "gauge", "matcher",
    "Age, since the broker appended it, of the oldest command without an entry; 0 if none waits, left out where nobody knows",
    _PARTITION)
PARTITION_STOPPED = Metric("pumasi_partition_stopped", "gauge", "matcher",
    "1 while a partition held here does not go on, by why not", {"partition": ANY, "code": STOPS})
MONEY = Metric("pumasi_money_minor_units", "gauge", "matcher",
    "Money of all pledges in partitions held here, each unit in one stage, in the currency's minor unit",
    {"stage": STAGES, "currency": ANY})
OPEN_CASES = Metric("pumasi_open_cases", "gauge", "matcher",
    "Open cases in partitions held here, by class", {"class": CLASSES})

TOLD = Metric("pumasi_notices_total", "counter", "notifier",
    "Notices recorded, by channel and what came of them",
    {"channel": get_args(Channel), "outcome": get_args(NoticeOutcome)})
NOTICES_WAITING = Metric("pumasi_notices_waiting", "gauge", "notifier",
    "Notices being told at this moment, and not recorded yet")
OLDEST_NOTICE = Metric("pumasi_oldest_notice_seconds", "gauge", "notifier",
    "Age, since the broker appended it, of the oldest ledger entry at hand of which not everybody is told yet; 0 if there is none")
LEDGER_LAG = Metric("pumasi_ledger_lag_records", "gauge", "notifier",
    "Records of the ledger not told yet, of partitions held here", _PARTITION)

DISK = Metric("pumasi_kafka_disk_bytes", "gauge", "ender",
    "What the file system of a broker's log directory holds, by the broker's id; of several directories, the fullest's",
    {"broker": ANY})
DISK_USABLE = Metric("pumasi_kafka_disk_usable_bytes", "gauge", "ender",
    "How much of that Kafka may still write", {"broker": ANY})
# fmt: on

TABLE: Final = tuple(one for one in list(globals().values()) if isinstance(one, Metric))
"""Every metric of ours, in the order of this file; beside them `process_*`, `python_*`, and FastStream's `faststream_*`."""
PUBLIC: Final = (BUILD, READY, CLOCK_OFFSET, EVENTS, REFUSALS, REQUEST_SECONDS, UNANSWERED, OLDEST_UNANSWERED)
"""What intake shows to anybody. Whoever sends on the topic hears no answer, so no figure may stand for one: nothing of that door is
among these, and nothing that an answer moves, such as dead letters, or a process' time."""


class Metrics(Collector):
    """What one service measures. Every method takes a metric of this file that the service has."""

    def __init__(self, service: Name) -> None:
        self.service: Name = service
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._sources: dict[str, Callable[[], Values | float | None]] = {}
        self._public: tuple[float, bytes] | None = None
        for one in TABLE:
            if one.service in (None, service):
                self._begin(one)
        self.reads(BUILD, lambda: {(__version__, service): 1.0})
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        counter = self._counters[metric.name]
        (counter.labels(*labels) if labels else counter).inc(by)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        histogram = self._histograms[metric.name]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def reads(self, metric: Metric, source: Callable[[], Values | float | None]) -> None:
        """Have a gauge read at each scrape: a number, one by the values of its labels, or None for as long as nothing is known."""
        assert metric.service in (None, self.service) and metric.kind == "gauge", metric.name
        self._sources[metric.name] = source

    def text(self) -> bytes:
        """All of it as Prometheus reads it, of `MEDIA_TYPE`."""
        return generate_latest(self.registry)

    def public_text(self, now: Callable[[], float] = time.monotonic) -> bytes:
        """What of it anybody may read, `PUBLIC`; made anew once PUBLIC_SECONDS have passed, however many ask."""
        if self._public is None or now() - self._public[0] >= PUBLIC_SECONDS:
            self._public = now(), generate_latest(_Public(self, *self._counters.values(), *self._histograms.values()))
        return self._public[1]

    def collect(self) -> Iterable[Family]:
        """The gauges, read now."""
        for one in TABLE:
            source = self._sources.get(one.name)
            found = None if source is None else source()
            if found is None:
                continue
            family = GaugeMetricFamily(one.name, one.help, labels=tuple(one.labels))
            for labels, value in found.items() if isinstance(found, Mapping) else [((), found)]:
                family.add_metric(labels, value)
            yield family

    def _begin(self, one: Metric) -> None:
        """What is counted begins at 0 where its labels are known, so that the first time is a rise, too."""
        names = tuple(one.labels)
        if one.kind == "histogram":
            histogram = Histogram(one.name, one.help, names, registry=self.registry, buckets=one.buckets)
            self._histograms[one.name] = histogram
        elif one.kind == "counter":
            counter = self._counters[one.name] = Counter(one.name, one.help, names, registry=self.registry)
            for labels in product(*one.labels.values()) if names else ():
                counter.labels(*labels)


class _Public(Collector):
    """What anybody may read of what some collectors have."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors, self._names = collectors, {one.name.removesuffix("_total") for one in PUBLIC}

    def collect(self) -> Iterable[Family]:
        """Families of `PUBLIC`, without what is told of the topic."""
        for family in (family for one in self._collectors for family in one.collect()):
            if family.name in self._names:
                family.samples = [one for one in family.samples if one.labels.get("door") != "topic"]
                yield family


def as_markdown() -> str:
    """The tables of `deploy/METRICS.md`, one for every service and one for each."""
    lines: list[str] = []
    for service in (None, *SERVICES):
        whose = "Every service" if service is None else service.title()
        lines += ["", f"**{whose}**", "", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
        lines += [_row(one) for one in TABLE if one.service == service]
    return "\n".join(lines) + "\n"


def _row(one: Metric) -> str:
    labels = ", ".join(f"`{name}`" for name in one.labels)
    return f"| `{one.name}` | {one.kind} | {labels or '–'} | {one.help} |"
