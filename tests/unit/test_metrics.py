"""What is measured: each metric as Prometheus wants it, and each figure what it says, by stand-ins for what it is read from."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.commands import Command, read_data
from schemas.times import parse
from services.errors import KafkaUnreachable, LedgerTampered
from services.matcher.app import Matcher
from services.matcher.engine.engine import Engine
from services.matcher.partition import gauges
from services.matcher.partition.backlog import Backlog
from services.metrics import (
    DECISIONS,
    LETTERS,
    MONEY,
    OPEN_CASES,
    PARTITION_LAG,
    PARTITION_STOPPED,
    RECOVERIES,
    REJECTIONS,
    SERVICES,
    TABLE,
    TRANSACTIONS,
    WATERMARK_AGE,
    Metric,
    Metrics,
    Name,
)
from services.settings import Settings, load
from tests.properties.test_ways import opened
from tests.records import CommandRecord
from tests.unit.test_processor import RECORDS, a_processor
from tests.unit.test_tenure import Life

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not here (Debian: prometheus)"
)
COULD_BE_SOMEBODY = {
    "fund",
    "case",
    "pledge",
    "award",
    "payment",
    "subject",
    "donor",
    "voucher",
    "beneficiary",
    "sender",
    "id",
}


def figures(metrics: Metrics, metric: Metric) -> dict[tuple[str, ...], float]:
    """What a scrape tells of one metric, by the values of its labels as the table orders them."""
    return {
        tuple(sample.labels[name] for name in metric.labels): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == metric.name
    }


@needs_promtool
@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_tells_passes_promtool(service: Name) -> None:
    metrics = Metrics(service)
    for one in TABLE:
        if one.service in (None, service) and one.kind == "gauge" and one.name not in metrics._sources:
            metrics.reads(one, lambda one=one: {tuple("0" for _ in one.labels): 1.0})
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics.text(), capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_no_label_could_name_anybody_and_each_metric_has_one_name_and_a_help() -> None:
    assert len({one.name for one in TABLE}) == len(TABLE)
    for one in TABLE:
        assert not COULD_BE_SOMEBODY & set(one.labels), one.name
        assert one.name.startswith("pumasi_") and one.help
        assert one.name.endswith("_total") is (one.kind == "counter"), one.name
        assert bool(one.buckets) is (one.kind == "histogram"), one.name


def test_two_services_of_one_kind_in_a_process_measure_apart() -> None:
    one, other = Metrics("matcher"), Metrics("matcher")
    one.count(REJECTIONS, "unknown_fund")
    assert figures(one, REJECTIONS)["unknown_fund",] == 1
    assert figures(other, REJECTIONS)["unknown_fund",] == 0, "it begins at 0, so that the first is a rise"
    assert len(figures(other, DECISIONS)) == len(DECISIONS.labels["type"]) * len(DECISIONS.labels["outcome"])


def engine(*said: tuple[str, dict[str, Any]]) -> Engine:
    made = Engine()
    for number, (kind, data) in enumerate(said):
        named = f"pumasi.{kind}"
        command = Command(
            named,
            f"e-{number}",
            parse("2026-11-22T10:00:00Z"),
            read_data(named, encoded({"fund": "f", **data})),
            number,
        )
        made.execute(command)
    return made


def encoded(data: dict[str, Any]) -> bytes:
    from schemas.ledger import encode

    return encode(data)


def test_money_is_in_one_stage_each_and_cases_in_one_class_by_running_totals() -> None:
    case = {"beneficiary": "b", "need": "test", "route": "clinic", "priority": "urgent"}
    of_one = engine(
        ("fund.configured", {"currency": "CNY", "vouchers_required": 0}),
        ("case.submitted", {"case": "c", "goal": 700, **case}),
        ("case.submitted", {"case": "d", "goal": 50, **case, "priority": "stat", "beneficiary": "other"}),
        ("pledge.made", {"pledge": "p", "donor": "d", "amount": 1000, "currency": "CNY"}),
        ("payment.received", {"pledge": "p", "payment": "x", "amount": 300}),
        ("case.delivered", {"case": "d", "delivery": "y", "amount": 50}),
        ("pledge.made", {"pledge": "q", "donor": "d", "amount": 5, "currency": "CNY"}),
        ("pledge.withdrawn", {"pledge": "q"}),
    )
    of_other = engine(
        ("fund.configured", {"currency": "KRW"}),
        ("pledge.made", {"pledge": "p", "donor": "d", "amount": 7, "currency": "KRW"}),
    )
    metrics, tenures = Metrics("matcher"), {}
    gauges.show(metrics, tenures)
    assert figures(metrics, MONEY) == {}, "it holds no partition"
    for number, memory in enumerate((of_one, of_other)):
        tenures[number] = SimpleNamespace(
            processor=SimpleNamespace(recovered=SimpleNamespace(replay=SimpleNamespace(engine=memory))),
            backlog=None, amiss=None,
        )  # fmt: skip
    assert figures(metrics, MONEY) == {
        ("waiting", "CNY"): 250, ("promised", "CNY"): 450, ("settled", "CNY"): 250, ("delivered", "CNY"): 50, ("released", "CNY"): 5,
        ("waiting", "KRW"): 7, ("promised", "KRW"): 0, ("settled", "KRW"): 0, ("delivered", "KRW"): 0, ("released", "KRW"): 0,
    }  # fmt: skip
    assert figures(metrics, OPEN_CASES) == {("routine",): 0, ("urgent",): 1, ("asap",): 0, ("stat",): 1}


def held(**tenures: Any) -> Metrics:
    metrics = Metrics("matcher")
    gauges.show(
        metrics,
        {
            int(name[1:]): SimpleNamespace(processor=SimpleNamespace(recovered=None), **one)
            for name, one in tenures.items()
        },
    )
    return metrics


def test_lag_and_age_are_left_out_where_nobody_knows_them() -> None:
    ten_seconds_ago = (time.time() - 10) * 1000
    metrics = held(
        p0={"backlog": Backlog(0, None), "amiss": None},
        p1={"backlog": Backlog(12, ten_seconds_ago), "amiss": "recovering"},
        p2={"backlog": None, "amiss": "ledger_tampered"},
        p3={"backlog": Backlog(3, None), "amiss": "stands_still"},
    )
    assert figures(metrics, PARTITION_LAG) == {("0",): 0, ("1",): 12, ("3",): 3}
    ages = figures(metrics, WATERMARK_AGE)
    assert (set(ages), ages["0",], 10 <= ages["1",] < 60) == ({("0",), ("1",)}, 0, True)
    stopped = figures(metrics, PARTITION_STOPPED)
    assert {labels for labels, value in stopped.items() if value} == {("2", "ledger_tampered"), ("3", "stands_still")}
    assert len(stopped) == 4 * len(PARTITION_STOPPED.labels["code"])


async def test_a_tenure_knows_what_waits_by_what_it_fetched_or_by_what_somebody_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = Life(monkeypatch)
    processor: Any = life.processor
    processor.since_ms, processor.ready = None, True
    await life.until(lambda: life.processor.seq == 3)
    tenure = life.tenure
    assert (tenure.backlog, tenure.unknown_from, tenure.stalled) == (Backlog(0, None), None, False)
    processor.since_ms, life.reader.end = 1, 5
    assert tenure.backlog.since_ms == 1, "those at hand"
    assert tenure.unknown_from is None
    processor.ready = False
    assert (tenure.backlog, tenure.unknown_from) == (None, 3), "while it is rebuilt, its topic has to be looked at"
    tenure.looked = Backlog(9, 1)
    assert tenure.backlog == Backlog(9, 1)
    assert not tenure.stalled, "it has just answered"
    monkeypatch.setattr(tenure, "_got_on_at", asyncio.get_running_loop().time() - 61)
    assert tenure.stalled
    await tenure.end()


async def test_a_tenure_that_never_read_its_ledger_does_not_take_the_whole_topic_for_lag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taking, life = asyncio.Event(), Life(monkeypatch)
    processor: Any = life.processor

    async def take() -> None:
        taking.set()
        await asyncio.Event().wait()

    processor.take, processor.ready, processor.since_ms = take, False, None
    await taking.wait()
    assert (life.tenure.backlog, life.tenure.unknown_from) == (None, None)
    await life.tenure.end()


async def test_a_matcher_is_ready_once_every_partition_that_it_was_given_gets_on() -> None:
    matcher = Matcher("nowhere", load())
    assert [one.code for one in matcher.amiss()] == ["joining"]
    matcher._assigned(frozenset(), 4)
    assert matcher.amiss() == [], "there is nothing for it to do"
    well = {"amiss": None, "stalled": False, "processor": SimpleNamespace(ready=True, next_offset=0)}
    for number, one in enumerate(
        ({}, {"amiss": "recovering"}, {"amiss": "ledger_tampered", "stalled": True}, {"stalled": True})
    ):
        matcher.tenures[number] = SimpleNamespace(**well | one)  # type: ignore[assignment]
    assert {(one.partition, one.code) for one in matcher.amiss()} == {
        (1, "recovering"), (2, "ledger_tampered"), (3, "not_answered"),
    }  # fmt: skip


async def test_the_notifier_is_stalled_where_something_is_at_hand_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.notifier import app
    from services.notifier.untold import Since
    from tests.unit.test_notifier_events import World, entry

    monkeypatch.setattr(app, "_PAUSE_SECONDS", 0.0)
    world = World(p0=LedgerTampered("torn"))
    notifier = world.notifier
    async with world.running() as poll:
        await poll(entry(0), entry(1))
    assert set(notifier._taking) == {0}, "what stopped waits, what was told does not"
    notifier._taking[0] = notifier._taking[0]._replace(written_ms=round((time.time() - 100) * 1000))
    assert not notifier.stalled, "it is old, and has just come here: others may have been away for long"
    just_written = Since(round((time.time() + 60) * 1000), time.monotonic() - 61)
    neighbour: Any = SimpleNamespace(waiting=0, since=just_written)
    notifier._backlogs[1] = neighbour
    assert notifier.stalled == [1]
    notifier._taking[0] = notifier._taking[0]._replace(at_hand=notifier._taking[0].at_hand - 61)
    assert notifier.stalled == [0, 1]
    assert 99 < notifier._oldest_seconds() < 160
    neighbour.since = just_written._replace(written_ms=round((time.time() - 200) * 1000))
    assert 199 < notifier._oldest_seconds() < 260, "what is taken and not told waits too"
    neighbour.since = just_written
    notifier._assigned([SimpleNamespace(partition=1)])
    assert (notifier._oldest_seconds(), notifier.stalled) == (0, [1]), "it is another's now"


async def test_what_is_committed_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, ledger = a_processor(monkeypatch, 60.0)
    metrics = at_work._metrics
    await at_work.take()
    await at_work.answer(RECORDS[:100])
    assert at_work.since_ms is None
    assert figures(metrics, DECISIONS)["pumasi.pledge.made", "applied"] == 100 - len(opened())
    assert sum(figures(metrics, DECISIONS).values()) == sum(ledger) == 100
    assert figures(metrics, TRANSACTIONS) == {("committed",): len(ledger), ("failed",): 0}
    again = RECORDS[50]._replace(offset=100)
    other = again._replace(offset=101, value=json.dumps({**json.loads(again.value or b""), "amount": 1}).encode())
    await at_work.answer([again, other, CommandRecord("", 0, 102, None, b"{", ())])
    told = {labels: value for labels, value in figures(metrics, DECISIONS).items() if labels[1] != "applied" and value}
    assert told == {("pumasi.pledge.made", "repeated"): 2, ("other", "unreadable"): 1}, (
        "a hit and a miss are one figure"
    )
    assert {code for code, value in figures(metrics, REJECTIONS).items() if value} == {("unreadable",)}
    assert figures(metrics, LETTERS) == {("unreadable",): 1}


async def test_what_fails_counts_as_one_failed_transaction_and_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, _ledger = a_processor(monkeypatch, 60.0, "commit")
    await at_work.take()
    with pytest.raises(KafkaUnreachable):
        await at_work.answer(RECORDS[:5])
    assert at_work.since_ms == RECORDS[0].timestamp
    await at_work.take()
    assert at_work.since_ms is None, "it is read again"
    assert figures(at_work._metrics, TRANSACTIONS) == {("committed",): 0, ("failed",): 1}
    assert sum(figures(at_work._metrics, DECISIONS).values()) == 0
    assert figures(at_work._metrics, RECOVERIES) == {(): 2}


@pytest.mark.parametrize(
    ("port", "matchers", "told"),
    [
        (None, 1, {"intake": "", "notifier": "", "ender": "", "matcher": ""}),
        (9100, 2, {"intake": "9100", "notifier": "9101", "ender": "9102", "matcher-1": "9103", "matcher-2": "9104"}),
    ],
)
def test_under_up_each_service_has_a_port_of_its_own_or_none_has(
    port: int | None, matchers: int, told: dict[str, str]
) -> None:
    from services.system.whole import _health, _services

    settings = Settings.model_construct(health_port=port)
    services = _services(settings, "k:9092", matchers, {}, _health(settings, matchers))
    assert {one.name: one.environment["PUMASI_HEALTH_PORT"] for one in services} == told


def test_any_free_ports_are_as_many_as_services() -> None:
    from services.system.whole import _health

    ports = _health(Settings.model_construct(health_port=0), 3).values()
    assert len(set(ports)) == 6
