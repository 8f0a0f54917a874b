"""A dry run and a comparison on a real broker: the fund's own commands, read and never written."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from services.bus import topics
from services.bus.consume.scan import Extent, TopicReader
from services.bus.embedded import EmbeddedKafka
from services.errors import TopicsMismatch, UnknownId
from services.policies.recorded import recorded
from tests.broker.raw import PARTITION, Client

DEADLINE_SECONDS = 120
EQUAL = {"share": 10_000, "ageing_days": 0, "deadline_hours": 0}


def at(hour: int) -> str:
    return f"2026-11-22T{hour:02}:00:00Z"


async def fill(client: Client) -> None:
    """What fund jilin did on one day, with a neighbour in the same partition, and one record that is none.

    small asks 10,000, large 40,000. As recorded small is whole with the first pledge, large gets the 20,000 of the second.
    """
    await client.command("fund.configured", fund="jilin", currency="CNY", vouchers_required=0, time=at(0), **EQUAL)
    await client.command("fund.configured", fund="liaoning", currency="KRW", time=at(1))
    await client.case("jilin", "small", 10_000, time=at(1))
    await client.case("jilin", "large", 40_000, time=at(1))
    await client.raw(PARTITION["jilin"], b"jilin", b"not JSON", [])
    await client.pledge("jilin", "p-1", 10_000, time=at(2))
    await client.pledge("jilin", "p-2", 20_000, time=at(12))
    await client.command("payment.received", fund="jilin", pledge="p-1", payment="m-1", amount=10_000, time=at(13))
    await client.command("payment.received", fund="jilin", pledge="p-2", payment="m-2", amount=20_000, time=at(13))
    await client.command("case.delivered", fund="jilin", case="small", delivery="h-1", amount=10_000, time=at(14))
    await client.flush()


async def extents(bootstrap: str) -> dict[str, dict[int, Extent]]:
    async with TopicReader(bootstrap) as reader:
        return {topic: await reader.extents(topic) for topic in sorted(await topics.partition_counts(bootstrap))}


async def simulate(*args: str) -> tuple[int, str, str]:
    """Run the command as a person would."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "simulate", *args, cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE_SECONDS):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def told(*args: str) -> dict[str, Any]:
    status, out, err = await simulate(*args, "--json")
    assert status == 0, err
    return json.loads(out)


async def test_what_a_change_would_have_done_to_a_live_fund_and_nothing_is_written(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    bootstrap = topics_reset.bootstrap
    async with Client(bootstrap) as client:
        await fill(client)
    before = await extents(bootstrap)

    change = await told("--kafka", bootstrap, "--fund", "jilin", "--change", "weights=claim", "--since", at(1))
    assert {case["case"]: case["more"] for case in change["cases"]} == {"small": -10_000, "large": 10_000}
    [refused] = change["refused"]
    assert (refused["code"], refused["item"], refused["ready"]) == ("exceeds_settled", "h-1", 0)
    assert change["unreadable"] == 1
    assert change["before"] == {"jilin": {"weights": "equal"}}

    later = await told("--kafka", bootstrap, "--fund", "jilin", "--change", "weights=claim", "--since", at(3))
    assert later["cases"] == [] and later["refused"] == []

    log = str(tmp_path / "jilin.jsonl")
    compared = await told(
        "--kafka", bootstrap, "--fund", "jilin", "--policy", "recorded", "--policy", "weights=claim", "--save", log
    )
    opened, changed = (policy["measures"] for policy in compared["policies"])
    assert (opened["funded"]["all"], changed["funded"]["all"]) == (0.5, 0)
    assert (opened["delivered"]["all"], changed["refused"]["all"]) == (0.2, 1)
    assert compared["source"]["funds"] == ["jilin"]

    from_file = await told("--log", log, "--policy", "recorded", "--policy", "weights=claim")
    assert [policy["measures"] for policy in from_file["policies"]] == [opened, changed]
    assert await extents(bootstrap) == before


async def test_in_words_it_is_said_plainly_what_could_not_have_been(topics_reset: EmbeddedKafka) -> None:
    async with Client(topics_reset.bootstrap) as client:
        await fill(client)
    status, out, _err = await simulate(
        "--kafka", topics_reset.bootstrap, "--fund", "jilin", "--change", "weights=claim"
    )
    assert status == 0
    assert "Nothing was written." in out
    assert (
        "CNY 100.00 handed over for case small (delivery h-1) would have found no money settled there"
        in out.replace("\u00a0", " ")
    )


async def test_a_fund_that_was_never_configured_is_told(topics_reset: EmbeddedKafka) -> None:
    status, _out, err = await simulate("--kafka", topics_reset.bootstrap, "--fund", "nobody", "--json")
    assert status == 1
    assert json.loads(err)["code"] == "unknown_id"
    with pytest.raises(UnknownId):
        await recorded(topics_reset.bootstrap, [])


async def test_ticks_of_the_funds_partition_come_along_and_its_neighbours_commands_do_not(
    topics_reset: EmbeddedKafka,
) -> None:
    from tests.broker.raw import headers

    async with Client(topics_reset.bootstrap) as client:
        await fill(client)
        for partition in (PARTITION["jilin"], PARTITION["tianjin"]):
            await client.raw(partition, None, b"{}", headers("pumasi.clock.ticked", f"tick-{partition}", at(20)))
    log = await recorded(topics_reset.bootstrap, ["jilin"])
    assert [said.type for said in log.said][-1] == "pumasi.clock.ticked"
    assert {said.partition for said in log.said} == {PARTITION["jilin"]}
    assert len(log.said) == 9
    every = await recorded(topics_reset.bootstrap, [])
    assert every.funds() == ["jilin", "liaoning"]


async def test_a_cluster_without_the_topic_is_told(fresh_kafka: EmbeddedKafka) -> None:
    with pytest.raises(TopicsMismatch):
        await recorded(fresh_kafka.bootstrap, ["jilin"])
