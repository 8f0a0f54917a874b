"""Metrics of a running system: each is there, moves when it should, and no label holds what could be somebody's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from schemas.currencies import DIGITS
from services import errors
from services.bus.embedded import EmbeddedKafka
from services.bus.topics import COMMANDS, LEDGER, SUBMISSIONS
from services.intake.documents import DOORS
from services.intake.problems import PROBLEMS
from services.metrics import OTHER, SERVICES, TABLE
from tests.broker.raw import PARTITION

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400)]

DEADLINE_S = 90
FUND = "jilin"
TORN = PARTITION["tianjin"]
"""The partition whose ledger somebody spoils."""
_ERRORS = {
    kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PumasiError)
}
ANY_OF = {
    "partition": {str(number) for number in PARTITION.values()},
    "broker": {"1"},
    "code": _ERRORS | PROBLEMS.keys() | {"unreadable"},
    "currency": set(DIGITS),
    "route": {door.path for door in DOORS} | {OTHER},
    "method": {"GET", "POST", OTHER},
    "status": {str(status.value) for status in HTTPStatus},
}
"""Of each label whose values the table leaves to the running system: what they may be."""
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Running:
    """A service as a process of its own, that tells its health on a port of its own."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, client: httpx.AsyncClient, told: dict[str, Any]
    ) -> None:
        self.name, self.process, self.client, self.told = name, process, client, told

    async def samples(self) -> Samples:
        answer = await self.client.get("/metrics")
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.text)
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    async def value(self, name: str, **labels: str) -> float | None:
        return (await self.samples()).get((name, frozenset(labels.items())))

    async def until(self, holds: Callable[[Samples], Any]) -> Samples:
        async with asyncio.timeout(DEADLINE_S):
            while not holds(found := await self.samples()):
                await asyncio.sleep(0.1)
        return found

    async def ready(self) -> list[dict[str, Any]]:
        """What is amiss, once that is known; nothing if it is ready."""
        answer = await self.client.get("/readyz")
        assert (answer.status_code == 200) is ("amiss" not in answer.json())
        found: list[dict[str, Any]] = answer.json().get("amiss", [])
        return found


@contextlib.asynccontextmanager
async def service(name: str, bootstrap: str, *arguments: str, port: int = 0) -> AsyncIterator[Running]:
    env = {
        **os.environ, "PUMASI_KAFKA": bootstrap, "PUMASI_HTTP_PORT": "0", "PUMASI_SESSION_TIMEOUT_MS": "6000",
        "PUMASI_INSTANCE": f"{name}-metrics", "PUMASI_HEALTH_PORT": str(port), "PUMASI_TICK_SECONDS": "3600",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", name, "--json", *arguments, env=env, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        told: dict[str, Any] = {}
        async with asyncio.timeout(DEADLINE_S):
            while "ready" not in told:
                line = await process.stdout.readline()
                assert line, "it ended"
                told = json.loads(line)
        reading = asyncio.create_task(process.stdout.read())
        async with httpx.AsyncClient(base_url=told["health"]) as client:
            yield Running(name, process, client, told)
        reading.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def send(http: str, number: int, kind: str, **data: Any) -> httpx.Response:
    event = {
        "specversion": "1.0",
        "id": str(number),
        "source": "/test",
        "type": f"pumasi.{kind}",
        "data": {"fund": FUND, **data},
    }
    async with httpx.AsyncClient(base_url=http, timeout=DEADLINE_S) as client:
        return await client.post("/v1/events", json=event, headers={"content-type": "application/cloudevents+json"})


async def put(bootstrap: str, topic: str, partition: int, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value, partition=partition)


def of(samples: Samples, name: str) -> dict[str, float]:
    """The samples of a name that has one label, by that."""
    return {next(iter(labels))[1]: value for (found, labels), value in samples.items() if found == name}


def at(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0)


def wrong_labels(samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]) -> Iterator[str]:
    """Labels of ours whose value is none that the code knows."""
    known = {one.name: one for one in TABLE}
    for sample, labels in samples:
        metric = known.get(re.sub(r"_(bucket|sum|count)$", "", sample)) or known.get(sample)
        if metric is None:
            assert sample.startswith(("process_", "python_", "faststream_")), sample
            continue
        for name, value in labels:
            values = set(metric.labels.get(name, ())) or ANY_OF.get(name, set())
            if value not in values and not (name == "le" and metric.kind == "histogram"):
                yield f"{sample} {name}={value}"


async def test_each_metric_of_a_running_system_is_there_and_moves_when_it_should(topics_reset: EmbeddedKafka) -> None:
    bootstrap = topics_reset.bootstrap
    async with (
        service("ender", bootstrap) as ender,
        service("notifier", bootstrap, "--quiet") as notifier,
        service("intake", bootstrap) as intake,
    ):
        http = intake.told["http"]
        async with service("matcher", bootstrap) as matcher:
            await what_moves_while_all_is_well(http, intake, matcher, notifier, bootstrap)
            found = {one.name: await one.samples() for one in (ender, notifier, intake, matcher)}
            assert [wrong for samples in found.values() for wrong in wrong_labels(samples)] == []
            families = {one.name: (await one.client.get("/metrics")).text for one in (ender, notifier, intake, matcher)}
            for one in TABLE:
                for name in (one.service,) if one.service else SERVICES:
                    assert f"\n# TYPE {one.name} {one.kind}\n" in f"\n{families[name]}", (name, one.name)
            assert set(families) == set(SERVICES)
            assert "pumasi_money" not in families["intake"]
            for one in (ender, notifier, intake, matcher):
                await one.until(lambda samples: at(samples, "pumasi_ready") == 1)
                assert await one.ready() == []
            matcher.process.kill()
            await matcher.process.wait()
        await what_moves_while_the_matcher_is_away(http, intake, bootstrap)
        async with service("matcher", bootstrap) as matcher:
            samples = await matcher.until(
                lambda samples: at(samples, "pumasi_decisions_total", type="pumasi.pledge.made", outcome="applied")
            )
            assert (at(samples, "pumasi_recoveries_total"), at(samples, "pumasi_recovery_seconds_count")) == (3, 3), (
                "of four"
            )
            assert at(samples, "pumasi_partition_stopped", partition=str(TORN), code="ledger_tampered") == 1
            assert str(TORN) not in of(samples, "pumasi_partition_lag_records"), "nobody has read its ledger"
            assert (at(samples, "pumasi_ready"), await matcher.ready()) == (
                0,
                [{"code": "ledger_tampered", "partition": TORN}],
            )
            await matcher.until(lambda samples: set(of(samples, "pumasi_watermark_age_seconds").values()) == {0})
            await intake.until(lambda samples: at(samples, "pumasi_unanswered_commands") == 0)
            await notifier.until(lambda samples: at(samples, "pumasi_oldest_notice_seconds") > 0)
            assert await notifier.ready() == [{"code": "ledger_tampered", "partition": TORN}]
            assert (await notifier.client.get("/livez")).status_code == 200


async def what_moves_while_all_is_well(
    http: str, intake: Running, matcher: Running, notifier: Running, bootstrap: str
) -> None:
    case = {"beneficiary": "b", "need": "test", "route": "clinic", "priority": "stat"}
    sent = [
        await send(http, 1, "fund.configured", currency="CNY", vouchers_required=0),
        await send(http, 1, "fund.configured", currency="CNY", vouchers_required=0),
        await send(http, 2, "case.submitted", case="c", goal=700, **case),
        await send(http, 3, "pledge.made", pledge="p", donor="d", amount=1000, currency="CNY"),
        await send(http, 4, "payment.received", pledge="p", payment="x", amount=300),
        await send(http, 5, "case.delivered", case="c", delivery="y", amount=100),
        await send(http, 6, "pledge.withdrawn", pledge="nobodys"),
        await send(http, 7, "pledge.made", pledge="q", donor="d", amount=-1, currency="CNY"),
    ]
    assert [answer.status_code for answer in sent] == [202] * 7 + [422]
    await put(bootstrap, SUBMISSIONS, 0, b"no event")
    await put(bootstrap, COMMANDS, PARTITION[FUND], b"no command")
    samples = await matcher.until(lambda samples: at(samples, "pumasi_rejections_total", code="unreadable"))
    money = {
        stage: at(samples, "pumasi_money_minor_units", stage=stage, currency="CNY")
        for stage in ("waiting", "promised", "settled", "delivered", "released")
    }
    assert money == {"waiting": 300, "promised": 400, "settled": 200, "delivered": 100, "released": 0}
    assert of(samples, "pumasi_open_cases") == {"routine": 0, "urgent": 0, "asap": 0, "stat": 1}
    assert at(samples, "pumasi_decisions_total", type="pumasi.pledge.withdrawn", outcome="rejected") == 1
    assert at(samples, "pumasi_decisions_total", type="pumasi.pledge.made", outcome="applied") == 1
    assert at(samples, "pumasi_decisions_total", type=OTHER, outcome="unreadable") == 1
    assert at(samples, "pumasi_rejections_total", code="unknown_pledge") == 1
    assert at(samples, "pumasi_deadletters_total", code="unreadable") == 1
    assert at(samples, "pumasi_recoveries_total") == len(PARTITION)
    committed = at(samples, "pumasi_transactions_total", outcome="committed")
    assert (
        committed
        == at(samples, "pumasi_transaction_seconds_count")
        == at(samples, "pumasi_transaction_commands_count")
        > 0
    )
    decided = sum(value for (name, _), value in samples.items() if name == "pumasi_decisions_total")
    assert at(samples, "pumasi_transaction_commands_sum") == decided
    await matcher.until(
        lambda samples: of(samples, "pumasi_partition_lag_records") == dict.fromkeys(ANY_OF["partition"], 0)
    )
    samples = await intake.until(lambda samples: at(samples, "pumasi_refusals_total", door="topic", code="unreadable"))
    events = {
        outcome: at(samples, "pumasi_events_total", door="http", outcome=outcome)
        for outcome in ("accepted", "repeated", "refused")
    }
    assert events == {"accepted": 6, "repeated": 1, "refused": 1}
    assert at(samples, "pumasi_refusals_total", door="http", code="invalid_submission") == 1
    assert at(samples, "pumasi_deadletters_total", code="unreadable") == 1
    assert at(samples, "pumasi_http_request_seconds_count", route="/v1/events", method="POST", status="202") == 7
    assert at(samples, "pumasi_publish_seconds_count") >= 7
    assert at(samples, "faststream_received_messages_total", app_name="intake", broker="kafka", handler=SUBMISSIONS) > 0
    samples = await notifier.until(
        lambda samples: at(samples, "pumasi_notices_total", channel="none", outcome="suppressed")
    )
    await notifier.until(
        lambda samples: of(samples, "pumasi_ledger_lag_records") == dict.fromkeys(ANY_OF["partition"], 0)
    )
    for one in (intake, matcher, notifier):
        samples = await one.until(lambda samples: ("pumasi_clock_offset_seconds", frozenset()) in samples)
        assert abs(at(samples, "pumasi_clock_offset_seconds")) < 5


async def what_moves_while_the_matcher_is_away(http: str, intake: Running, bootstrap: str) -> None:
    assert (await send(http, 8, "pledge.made", pledge="r", donor="d", amount=5, currency="CNY")).status_code == 202
    await put(bootstrap, LEDGER, TORN, b"no entry")
    samples = await intake.until(lambda samples: at(samples, "pumasi_unanswered_commands") == 1)
    age = at(samples, "pumasi_oldest_unanswered_seconds")
    await intake.until(lambda samples: at(samples, "pumasi_oldest_unanswered_seconds") > age)
