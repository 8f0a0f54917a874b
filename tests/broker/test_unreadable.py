"""What can't be read on a real broker: every codec can; what nobody can read stops its partition, is told, and is not passed over."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.bus.topics import COMMANDS, SUBMISSIONS
from services.console.readmodel.survey import survey
from services.matcher.app import Matcher
from services.matcher.audit import audit_partition
from services.matcher.ledger.answer import draft_answers
from services.news import MatcherNews, StandsStill
from tests.broker import test_intake, test_notifier
from tests.broker.raw import PARTITION, PARTITIONS, Client
from tests.broker.test_console import pumasi
from tests.broker.test_elastic import look_before_deciding
from tests.broker.test_matcher import SETTINGS, all_ready, assert_audit_holds, running
from tests.soak.codecs import compress
from tests.waiting import until

DEADLINE_S = 60
JILIN, YANJI = PARTITION["jilin"], PARTITION["yanji"]
MAGIC, ATTRIBUTES = 16, 22


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_topic_of_any_codec_is_read_by_everybody(
    topics_reset: EmbeddedKafka, tmp_path: Path, codec: str
) -> None:
    bootstrap = topics_reset.bootstrap
    await compress(bootstrap, 1, codec)
    async with (
        Client(bootstrap) as client,
        running(bootstrap),
        test_intake.running(topics_reset, tmp_path) as (_, http),
        test_notifier.notifier(bootstrap, data=str(tmp_path)) as process,
        AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec) as producer,
    ):
        await client.fund("jilin")
        await client.case("jilin", "c-1", 1000)
        await client.flush()
        assert (await test_intake.post(http, test_intake.pledge(1, pledge="p-1"))).status_code == 202
        for number in (2, 3):
            await producer.send(SUBMISSIONS, partition=number, **test_intake.record(number))
        await producer.send(SUBMISSIONS, partition=1, value=b"no event at all")
        await producer.flush()
        assert len(await process.notices(6)) == 6
        await client.read(topics.DEADLETTERS, 1, 1)
        assert (await http.get("/readyz")).status_code == 200
    _, out, _ = await pumasi(topics_reset, "status", "--json")
    assert json.loads(out)["dead_letters"]["total"] == 1
    assert sum(row["lag"] for row in json.loads(out)["partitions"]) == 0
    await assert_audit_holds(bootstrap)
    again = Matcher(bootstrap, SETTINGS)  # what is read back is compressed as well
    await again.start()
    try:
        await until(lambda: all_ready(again))
    finally:
        await again.stop()


def damage(data: Path, topic: str, partition: int, number: int, codec: int) -> None:
    """Let the `number`-th batch of a partition say that it is of another codec, as if its writer had; no broker must run."""
    [segment] = data.rglob(f"{topic}-{partition}/*.log")
    found, place = bytearray(segment.read_bytes()), 0
    for _ in range(number):
        place += 12 + struct.unpack_from(">i", found, place + 8)[0]
    end = place + 12 + struct.unpack_from(">i", found, place + 8)[0]
    found[place + ATTRIBUTES] = found[place + ATTRIBUTES] & ~7 | codec
    struct.pack_into(">I", found, place + 17, calc_crc32c(bytes(found[place + 21 : end])))
    segment.write_bytes(found)


async def test_a_batch_of_a_codec_that_nobody_knows_stops_its_partition_with_an_alarm_and_no_other(
    new_kafka: Callable[..., EmbeddedKafka], data_dir: Path, tmp_path: Path
) -> None:
    broker = new_kafka()
    await broker.start()
    await topics.ensure(broker.bootstrap)
    async with Client(broker.bootstrap) as client:
        for name in ("p-1", "p-2", "p-3"):
            await (await client.command("pledge.made", fund="jilin", pledge=name, donor="d", amount=5, currency="CNY"))
        for number in range(3):
            of_yanji = {**test_intake.pledge(number)["data"], "fund": "yanji"}
            await client.producer.send_and_wait(SUBMISSIONS, partition=2, **test_intake.record(number, value=of_yanji))
    await broker.stop()
    damage(data_dir, COMMANDS, JILIN, 1, 5)
    damage(data_dir, SUBMISSIONS, 2, 1, 6)
    broker = new_kafka()
    await broker.start()
    bootstrap, heard = broker.bootstrap, list[MatcherNews]()
    matcher = Matcher(bootstrap, SETTINGS, heard.append)
    of_commands = f"partition {JILIN} of {COMMANDS} can't be read at offset 1: unknown codec 5"
    of_submissions = f"partition 2 of {SUBMISSIONS} can't be read at offset 1: unknown codec 6"
    intake = test_intake.Intake(lambda: bootstrap, test_intake.settings(tmp_path))
    await matcher.start()
    await intake.start()
    try:
        await until(lambda: any(isinstance(news, StandsStill) for news in heard))
        [alarm] = [news for news in heard if isinstance(news, StandsStill)]
        assert (alarm.partition, alarm.offset, alarm.why) == (JILIN, 1, of_commands)
        async with Client(bootstrap) as client, test_intake.httpx.AsyncClient(base_url=intake.http) as http:
            await client.fund("yanji")
            await client.pledge("yanji", "p-4", 5)
            assert len(await client.ledger("yanji", 2)) >= 2, "neighbours go on"
            assert [entry["cause"]["offset"] for entry in await client.ledger("jilin", 1)] == [0], (
                "nothing is passed over"
            )
            async with asyncio.timeout(DEADLINE_S):
                while of_commands not in (told := (await http.get("/readyz")).json()).get("detail", ""):
                    await asyncio.sleep(0.1)
            assert told["code"] == "topic_unreadable"
            await asyncio.wait_for(intake.ready.wait(), DEADLINE_S)
            pledge = {**test_intake.pledge(0)["data"], "fund": "yanji"}
            await client.producer.send_and_wait(SUBMISSIONS, partition=1, **test_intake.record(9, value=pledge))
            async with asyncio.timeout(DEADLINE_S):  # the topic door is open for the others
                while "t-9" not in {entry["cause"]["id"] for entry in await client.ledger("yanji", 1)}:
                    pass
            assert (await http.get("/livez")).status_code == 200
        async with asyncio.timeout(DEADLINE_S):
            while not (found := await survey(bootstrap, PARTITIONS, 1)).partitions[JILIN].remark:
                await asyncio.sleep(0.1)
        assert {finding.code for finding in found.findings if of_commands in finding.message} == {
            "topic_unreadable",
            "partition_stands_still",
        }
        code, out, _ = await pumasi(SimpleNamespace(bootstrap=bootstrap), "status", "--json")
        assert code == 1
        assert [finding for finding in json.loads(out)["findings"] if finding["message"] == of_commands]
    finally:
        await intake.stop()
        await matcher.stop()
    assert of_commands in (await audit_partition(bootstrap, JILIN, PARTITIONS)).findings
    assert of_submissions in map(str, (await survey(bootstrap, PARTITIONS, 1)).findings)


async def test_a_command_that_brings_up_an_error_each_time_is_an_alarm_and_a_finding_and_is_answered_once_it_can_be(
    topics_reset: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("services.matcher.partition.tenure.BACKOFF_SECONDS", (0.01, 0.1))
    bootstrap = topics_reset.bootstrap

    def defect(record: Any) -> None:
        if b"p-bad" in record.value:
            raise OverflowError(record.value)

    look_before_deciding(monkeypatch, defect)
    heard = list[MatcherNews]()
    matcher = Matcher(bootstrap, SETTINGS, heard.append)
    await matcher.start()
    try:
        async with Client(bootstrap) as client:
            await client.fund("jilin")
            await client.pledge("jilin", "p-bad", 5)
            await client.fund("yanji")
            await client.flush()
            await until(lambda: any(isinstance(news, StandsStill) for news in heard))
            await client.ledger("yanji", 1)
            [alarm] = [news for news in heard if isinstance(news, StandsStill)]
            assert (alarm.partition, alarm.offset) == (JILIN, 1)
            assert alarm.why.startswith(f"partition {JILIN}, command at offset 1: OverflowError in test_unreadable.py")
            assert [r.levelname for r in caplog.records if "STANDS STILL" in r.message] == ["CRITICAL"]
            assert "p-bad" not in caplog.text
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    await (await client.command("clock.ticked", fund="jilin"))
                    found = await audit_partition(bootstrap, JILIN, PARTITIONS, patience_seconds=0.5)
                    if found.findings:
                        break
            assert found.findings == [
                f"{found.unanswered} commands have no answer, the first (offset 1) since {found.unanswered_since}"
            ]
            async with asyncio.timeout(DEADLINE_S):
                while not any(alarm.why in one.message for one in (await survey(bootstrap, PARTITIONS, 1)).findings):
                    await asyncio.sleep(0.1)
            monkeypatch.setattr("services.matcher.partition.batch.draft_answers", draft_answers)
            await client.ledger("jilin", found.unanswered + 1)
            async with asyncio.timeout(DEADLINE_S):
                while any(row.finding or row.remark for row in (await survey(bootstrap, PARTITIONS, 1)).partitions):
                    await asyncio.sleep(0.1)
    finally:
        await matcher.stop()
    await assert_audit_holds(bootstrap)
