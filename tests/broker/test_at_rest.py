"""At rest every group's lag is 0, also where transactions have left their marks; a restart tells nothing again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.bus.consume.scan import group_of
from services.bus.embedded import EmbeddedKafka
from services.bus.topics import COMMANDS, LEDGER, SUBMISSIONS
from services.console.readmodel.survey import survey
from services.intake.events import GROUP as INTAKE
from services.matcher.app import GROUP as MATCHER
from services.notifier.app import GROUP as NOTIFIER
from tests.broker import test_intake, test_notifier
from tests.broker.raw import PARTITION, PARTITIONS, headers
from tests.broker.test_matcher import assert_audit_holds, running

GROUPS = {INTAKE: SUBMISSIONS, MATCHER: COMMANDS, NOTIFIER: LEDGER}
DEADLINE_S = 60
JILIN = PARTITION["jilin"]


async def lags(bootstrap: str) -> dict[str, dict[int, int]]:
    """By group and partition, as any tool would reckon: from the end, whatever stands there, to the group's offset."""
    found = {}
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        for group, topic in GROUPS.items():
            ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
            offsets = (await group_of(bootstrap, group, topic)).offsets
            found[group] = {place.partition: end - offsets.get(place.partition, 0) for place, end in ends.items()}
    return found


async def until_at_rest(bootstrap: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while any(lag for of_group in (await lags(bootstrap)).values() for lag in of_group.values()):
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def everybody(kafka: EmbeddedKafka, data: Path) -> AsyncIterator[test_notifier.Process]:
    async with (
        test_intake.running(kafka, data),
        running(kafka.bootstrap),
        test_notifier.notifier(kafka.bootstrap, data=str(data)) as process,
    ):
        yield process


async def in_a_transaction(bootstrap: str, topic: str, *records: dict) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"test-{topic}")
    async with producer, producer.transaction():
        for record in records:
            await producer.send_and_wait(topic, partition=JILIN, **record)


def command(kind: str, **data: object) -> dict:
    value = json.dumps({"fund": "jilin", **data}).encode()
    return {"key": b"jilin", "value": value, "headers": headers(f"pumasi.{kind}", f"c-{kind}-{len(value)}")}


async def test_no_group_has_a_lag_once_all_is_done_and_a_restart_tells_nothing_again(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    bootstrap = topics_reset.bootstrap
    need = {"beneficiary": "b-1", "need": "test", "route": "home", "goal": 1000, "priority": "stat"}
    pledge = {"donor": "d-1", "amount": 100, "currency": "CNY"}
    async with everybody(topics_reset, tmp_path) as process:
        await in_a_transaction(
            bootstrap, COMMANDS, command("fund.configured", currency="CNY", vouchers_required=0),
            command("case.submitted", case="c-1", **need), command("pledge.made", pledge="p-1", **pledge),
        )  # fmt: skip
        told = {line["id"] for line in await process.notices(2)}
        await in_a_transaction(bootstrap, SUBMISSIONS, test_intake.record(1), test_intake.record(2))
        told |= {line["id"] for line in await process.notices(4)}
        await until_at_rest(bootstrap)
        found = await survey(bootstrap, PARTITIONS, 1)
        assert found.findings == []
        there = sum(partition.commands for partition in found.partitions)
        assert there == sum(partition.seq for partition in found.partitions), "no marker is a command"
        assert found.partitions[JILIN].commands == 5 + 1, "and a tick"
    async with everybody(topics_reset, tmp_path) as process:
        await until_at_rest(bootstrap)
        await in_a_transaction(bootstrap, COMMANDS, command("pledge.made", pledge="p-4", **pledge))
        more = {line["id"] for line in await process.notices(2)}
        assert not more & told
        await until_at_rest(bootstrap)
    await assert_audit_holds(bootstrap)
