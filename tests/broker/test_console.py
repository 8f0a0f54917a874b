"""`pumasi status` and `explain` on a real broker: what is committed shows, what was aborted never does, lag is told from peace."""

import asyncio
import json
import os
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer

from services.bus import topics
from services.bus.consume.scan import group_of
from services.bus.embedded import EmbeddedKafka
from tests.ledgers import Told, publish


async def pumasi(kafka: EmbeddedKafka, *arguments: str) -> tuple[int, str, str]:
    """Run the command line as a process of its own; exit status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PUMASI_KAFKA": kafka.bootstrap, "COLUMNS": "80"},
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def status(kafka: EmbeddedKafka) -> tuple[int, dict[str, Any]]:
    code, out, err = await pumasi(kafka, "status", "--json")
    assert out, err
    return code, json.loads(out)


def season(fund: str) -> Told:
    told = Told(fund)
    told.case("c-1", 100_000, "stat")
    told.case("c-2", 100_000)
    told.pledge("p-1", 130_000)
    told.pledge("p-2", 90_000)
    told.pay("p-1", 60_000)
    told("case.delivered", case="c-1", delivery="h-1", amount=40_000)
    told("pledge.withdrawn", pledge="p-2")
    told("clock.ticked")
    return told


async def test_what_is_committed_shows_and_what_was_aborted_does_not(topics_reset: EmbeddedKafka) -> None:
    told, other = season("jilin"), season("yanbian")
    assert told.partition != other.partition
    await publish(topics_reset.bootstrap, told, other)
    code, found = await status(topics_reset)
    [untold] = found["findings"]
    assert (code, untold["code"], found["ok"]) == (1, "no_notifier", False)
    assert untold["message"] == "18 entries are untold, and no notifier runs"
    assert sum(row["untold"] for row in found["partitions"]) == len(told.entries) + len(other.entries)
    assert found["audience"] == "operator"
    row = found["partitions"][told.partition]
    assert (row["commands"], row["watermark"], row["lag"]) == (len(told.commands), len(told.commands) - 1, 0)
    assert (row["seq"], row["at"]) == (len(told.entries), told.entries[-1][1])
    jilin = found["funds"][0]
    assert jilin == {
        "fund": "jilin", "currency": "CNY", "beneficiaries": 2, "donors": 2, "submitted": 0, "open": 1, "funded": 1, "closed": 0,
        "pledges": 2, "unvalued": 0, "asked": 200_000, "placed": 130_000, "settled": 60_000, "delivered": 40_000, "waiting": 0,
        "released": 90_000, "refunded": 0,
    }  # fmt: skip
    code, out, _ = await pumasi(topics_reset, "status")
    assert code == 1
    assert "✗ 18 entries are untold, and no notifier runs." in out
    assert "1,300.00" in out
    assert "For operators" in out


async def test_the_public_sees_nothing_about_fewer_than_five(topics_reset: EmbeddedKafka) -> None:
    many = Told("yanbian")
    for number in range(6):
        many.case(f"c-{number}", 10_000)
        many.pledge(f"p-{number}", 9_000)
    await publish(topics_reset.bootstrap, season("jilin"), many)
    code, out, _ = await pumasi(topics_reset, "status", "--public", "--json")
    told = json.loads(out)
    assert (code, told["audience"], told["suppressed_below"], told["ok"]) == (1, "public", 5, False)
    jilin, yanbian = told["funds"]
    assert {name for name, value in jilin.items() if value is not None} == {"fund", "currency"}
    assert (yanbian["beneficiaries"], yanbian["placed"], yanbian["open"]) == (6, 54_000, None)


async def test_lag_is_a_finding_only_while_no_matcher_runs(topics_reset: EmbeddedKafka) -> None:
    async with asyncio.timeout(30):  # a matcher of another test may still be in the group
        while (await group_of(topics_reset.bootstrap, "pumasi-matcher", topics.COMMANDS)).members:
            await asyncio.sleep(0.1)
    told = season("jilin")
    behind = len(told.commands)
    await publish(topics_reset.bootstrap, told)
    for number in range(3):
        told.pledge(f"late-{number}", 100)
    told.entries.clear()
    told.commands[:] = told.commands[behind:]
    await publish(topics_reset.bootstrap, told)
    code, found = await status(topics_reset)
    assert (code, found["partitions"][told.partition]["lag"], found["matchers"]) == (1, 3, 0)
    assert "3 commands have no answer, and no matcher runs" in [one["message"] for one in found["findings"]]
    async with AIOKafkaConsumer(
        topics.COMMANDS, bootstrap_servers=topics_reset.bootstrap, group_id="pumasi-matcher", enable_auto_commit=False
    ):
        code, found = await status(topics_reset)
        assert (code, found["matchers"]) == (1, 1)
        assert [one["code"] for one in found["findings"]] == ["no_intake", "no_notifier"], (
            "a matcher alone is no Pumasi"
        )


async def test_topics_prints_for_a_program_what_it_shows_and_not_all_that_kafka_has(
    topics_reset: EmbeddedKafka,
) -> None:
    code, out, _ = await pumasi(topics_reset, "topics", "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["warning"]) == (0, True, None)
    for topic in told["topics"]:
        assert topic["config"] == topic["wanted"]["config"]
        assert (topic["state"], topic["replicas"]) == ("ok", 1)
        assert topic["kept"] in ("for ever", "until answered", "30 days", "90 days", "latest of each key")


async def test_a_ledger_that_does_not_hold_is_a_finding(topics_reset: EmbeddedKafka) -> None:
    told = season("jilin")
    seq, at, value = told.entries[3]
    told.entries[3] = (seq, at, value.replace(b"130000", b"130001"))
    assert told.entries[3][2] != value
    await publish(topics_reset.bootstrap, told)
    code, found = await status(topics_reset)
    assert code == 1
    assert any("entry 4: its hash does not follow" in finding["message"] for finding in found["findings"])
    code, _, err = await pumasi(topics_reset, "explain", "pledge", "p-1", "--json")
    assert (code, json.loads(err)["code"]) == (1, "ledger_tampered")


async def explain(kafka: EmbeddedKafka, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, err = await pumasi(kafka, "explain", *arguments, "--json")
    return code, json.loads(out or err)


async def test_a_pledge_a_case_and_an_award_are_explained(topics_reset: EmbeddedKafka) -> None:
    await publish(topics_reset.bootstrap, season("jilin"), season("yanbian"))
    code, found = await explain(topics_reset, "pledge", "p-1", "--fund", "jilin")
    assert (code, found["ok"]) == (0, True)
    assert found["figures"] == {
        "placed": 130_000, "settled": 60_000, "delivered": 40_000, "waiting": 0, "released": 0, "refunded": 0,
    }  # fmt: skip
    assert [award["award"] for award in found["awards"]] == ["p-1/1", "p-1/2"]
    code, found = await explain(topics_reset, "case", "c-2", "--fund", "yanbian", "--lang", "ko")
    assert (code, found["fund"], found["figures"]["lacks"]) == (0, "yanbian", 70_000)
    assert any("지금은 앞에 아무도 없습니다" in line for line in found["text"])
    code, out, _ = await pumasi(topics_reset, "explain", "award", "p-1/1", "--fund", "jilin", "--exact")
    assert code == 0
    assert "min(100,000, (0 // 10,000 + 1) × 10,000) = 10,000" in out
    code, out, _ = await pumasi(topics_reset, "explain", "award", "p-1/1", "--fund", "jilin", "--lang", "zh")
    assert (code, "为何给那里" in out) == (0, True)


async def test_what_cannot_be_explained_is_said_plainly(topics_reset: EmbeddedKafka) -> None:
    await publish(topics_reset.bootstrap, season("jilin"), season("yanbian"))
    code, error = await explain(topics_reset, "case", "c-99")
    assert (code, error["code"]) == (1, "unknown_id")
    code, error = await explain(topics_reset, "case", "c-1", "--fund", "nowhere")
    assert (code, error["code"]) == (1, "unknown_id")
    code, error = await explain(topics_reset, "case", "c-1")
    assert (code, error["code"]) == (2, "usage")
    assert "jilin, yanbian" in error["message"]


async def test_no_kafka_is_said_plainly(topics_reset: EmbeddedKafka) -> None:
    for arguments in (["status"], ["explain", "case", "c-1"]):
        code, _, err = await pumasi(topics_reset, *arguments, "--kafka", "127.0.0.1:1", "--json")
        assert (code, json.loads(err)["code"]) == (1, "kafka_unreachable")


async def test_an_empty_cluster_and_one_without_topics(topics_reset: EmbeddedKafka) -> None:
    code, found = await status(topics_reset)
    assert (code, found["funds"], [row["seq"] for row in found["partitions"]]) == (0, [], [0, 0, 0, 0])
    await topics.remove(topics_reset.bootstrap)
    code, found = await status(topics_reset)
    assert code == 1
    assert ("topic_missing", "topic pumasi.ledger.v1: missing") in [
        (f["code"], f["message"]) for f in found["findings"]
    ]
    await topics.ensure(topics_reset.bootstrap)
