"""Poison under fire: whatever lies on a topic, and however a service dies over it, each record gets one letter and the rest goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from services.bus.deadletters.letter import PREFIX, dead_letter
from services.bus.deadletters.letterbox import Letterbox
from services.errors import KafkaUnreachable
from services.intake.events import GROUP as INTAKE
from services.matcher.app import GROUP as MATCHER
from tests.broker.poison import POISON
from tests.broker.raw import COMMANDS, DEADLETTERS, LEDGER, PARTITION, Client, headers, put_out
from tests.broker.test_matcher import assert_audit_holds, running, spawn
from tests.broker.test_replay import Rec

SUBMISSIONS = "pumasi.submissions.v1"
JILIN = PARTITION["jilin"]
KILLS = 3
DEADLINE_SECONDS = 90
LIMIT = 4 << 20
"""Bytes of a record that Pumasi's topics take."""


@pytest.fixture
async def client(topics_reset) -> AsyncIterator[Client]:
    async with Client(topics_reset.bootstrap) as client:
        yield client


GOOD_ELSEWHERE = {"wrong key", "wrong partition", "a number in its id"}
"""No poison among submissions, which come under any key, in any partition and with any id."""


class Stream:
    """Puts poison and good records on a topic by turns, a few hundred a second, until it is told that enough has happened."""

    def __init__(self, client: Client, topic: str, good: list[dict[str, Any]]) -> None:
        self._client, self._topic, self._good = client, topic, good
        self.poison: list[int] = []
        self.enough = asyncio.Event()
        self.sent = 0

    async def run(self) -> None:
        while not self.enough.is_set():
            for name, (key, value, heads) in POISON.items():
                if name in GOOD_ELSEWHERE and self._topic == SUBMISSIONS:
                    continue
                if name == "two megabytes" and self.sent > 100:
                    continue  # hundreds of them would only fill the disk
                self.poison.append(await self._send(key=key, value=value, headers=heads))
            for one in self._good:
                numbered = [(n, v.replace(b"#", b"%d" % self.sent)) for n, v in one["headers"]]
                await self._send(key=b"jilin", value=one["value"].replace(b"#", b"%d" % self.sent), headers=numbered)
            await asyncio.sleep(0.05)

    async def _send(self, **record: Any) -> int:
        self.sent += 1
        return (await self._client.producer.send_and_wait(self._topic, partition=JILIN, **record)).offset


async def end_of(client: Client, topic: str) -> int:
    """Where the committed records of a partition end."""
    async with AIOKafkaConsumer(bootstrap_servers=client.bootstrap, isolation_level="read_committed") as consumer:
        return (await consumer.end_offsets([TopicPartition(topic, JILIN)]))[TopicPartition(topic, JILIN)]


async def grown(client: Client, topic: str, end: int) -> None:
    """Wait until a partition reaches beyond `end`."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await end_of(client, topic) <= end:
            await asyncio.sleep(0.005)


async def kill_in_the_midst(client: Client, group: str, start: Any) -> None:
    """Start a process, and kill it as soon as it has written letters; over and over."""
    for _ in range(KILLS):
        end = await end_of(client, DEADLETTERS)
        process = await start()
        await grown(client, DEADLETTERS, end)
        process.kill()
        await process.wait()
        await put_out(client.bootstrap, group)


def places(letters: list) -> list[tuple[str, int]]:
    """Of which records letters are."""
    told = [dict(letter.headers) for letter in letters]
    return [(one[PREFIX + "topic"].decode(), int(one[PREFIX + "offset"])) for one in told]


async def test_a_matcher_that_is_killed_over_poison_leaves_one_entry_and_one_letter_of_each(client: Client) -> None:
    await client.fund("jilin")
    await client.flush()
    pledge = b'{"fund":"jilin","pledge":"p-#","donor":"d","amount":5,"currency":"CNY"}'
    stream = Stream(client, COMMANDS, [{"value": pledge, "headers": headers("pumasi.pledge.made", "s-#")}])
    sending = asyncio.create_task(stream.run())
    await kill_in_the_midst(client, MATCHER, lambda: spawn(client.bootstrap))
    stream.enough.set()
    await sending
    last = await spawn(client.bootstrap)
    await client.ledger("jilin", stream.sent + 1)
    await client.read(DEADLETTERS, JILIN, len(stream.poison))
    last.send_signal(signal.SIGTERM)
    assert await last.wait() == 0
    entries = await client.ledger("jilin", stream.sent + 1)
    letters = await client.read(DEADLETTERS, JILIN, len(stream.poison))
    assert len(entries) == stream.sent + 1
    unreadable = [e["cause"]["offset"] for e in entries if e["facts"][0].get("code") == "unreadable"]
    assert unreadable == stream.poison
    assert places(letters) == [(COMMANDS, offset) for offset in stream.poison]
    await assert_audit_holds(client.bootstrap)


async def test_an_intake_that_is_killed_over_poison_leaves_one_letter_of_each(client: Client, tmp_path: Path) -> None:
    pledge = b'{"fund":"jilin","donor":"d-1","amount":5,"currency":"CNY"}'
    heads = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"s-#"),
        ("ce_source", b"/forms"),
        ("ce_type", b"pumasi.pledge.made"),
    ]
    stream = Stream(client, SUBMISSIONS, [{"value": pledge, "headers": heads}])
    sending = asyncio.create_task(stream.run())

    async def start() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "intake", "--json", "--data", str(tmp_path), "--http-port", "0",
            env={**os.environ, "PUMASI_KAFKA": client.bootstrap, "PUMASI_TICK_SECONDS": "86400"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await process.stdout.readline()
        return process

    await kill_in_the_midst(client, INTAKE, start)
    stream.enough.set()
    await sending
    last = await start()
    await client.read(DEADLETTERS, JILIN, len(stream.poison))
    good = {f"s-{n}" for n in range(1, stream.sent + 1)}
    commands = set[str]()  # some more than once
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(commands) < stream.sent - len(stream.poison):
            commands = {dict(r.headers)["ce_id"].decode() for r in await client.read(COMMANDS, JILIN, 1) if r.key}
    last.send_signal(signal.SIGTERM)
    assert await last.wait() == 0
    letters = await client.read(DEADLETTERS, JILIN, len(stream.poison))
    assert sorted(places(letters)) == [(SUBMISSIONS, offset) for offset in stream.poison]
    assert len(commands) == stream.sent - len(stream.poison)
    assert commands <= good


async def test_how_large_a_record_may_be_is_for_the_producer_and_the_topic_to_say(client: Client) -> None:
    async with AIOKafkaProducer(bootstrap_servers=client.bootstrap) as usual:
        with pytest.raises(MessageSizeTooLargeError):  # 1 MiB is what a producer sends unless told otherwise
            await usual.send_and_wait(COMMANDS, b"j" * 2_000_000, partition=JILIN)
    async with AIOKafkaProducer(bootstrap_servers=client.bootstrap, max_request_size=8 << 20) as generous:
        for topic in (COMMANDS, SUBMISSIONS):
            with pytest.raises(MessageSizeTooLargeError):
                await generous.send_and_wait(topic, b"j" * LIMIT, partition=JILIN)
            assert await end_of(client, topic) == 0
            await generous.send_and_wait(topic, b"j" * (LIMIT - 100), partition=JILIN)


LARGEST = {
    "a word": b"j" * (LIMIT - 700),
    "JSON that would grow": b'{"fund":"a b","n":[1e9' + b",1e9" * ((LIMIT - 700) // 4 - 10) + b"]}",
}


@pytest.mark.parametrize("name", LARGEST)
async def test_the_largest_record_that_a_topic_takes_has_a_letter_that_says_what_it_leaves_out(
    client: Client, name: str
) -> None:
    value = LARGEST[name]
    await client.fund("jilin")
    await client.flush()
    async with AIOKafkaProducer(bootstrap_servers=client.bootstrap, max_request_size=LIMIT) as producer:
        await producer.send_and_wait(COMMANDS, value, b"jilin", JILIN, headers=headers("pumasi.pledge.made", "x"))
    await client.case("jilin", "c-1", 100)
    await client.flush()
    async with running(client.bootstrap):
        await client.ledger("jilin", 3)
        await client.read(DEADLETTERS, JILIN, 1)
    entries = await client.ledger("jilin", 3)
    [letter] = await client.read(DEADLETTERS, JILIN, 1)
    assert [fact.get("detail") for fact in entries[1]["facts"]] == ["value: too large"]
    assert json.loads(letter.value) == {"withheld": "too large", "bytes": len(value)}
    assert dict(letter.headers)["pumasi.withheld"] == b"key,value"


async def test_of_two_that_write_letters_at_once_each_letter_stands_once(client: Client) -> None:
    def box() -> Letterbox:
        return Letterbox(lambda: client.bootstrap, COMMANDS, JILIN, JILIN, "some-door")

    def letters(*offsets: int) -> dict[int, Any]:
        return {offset: dead_letter(Rec(b"{", offset=offset), "unreadable", "value: not JSON") for offset in offsets}

    first, second = box(), box()
    assert len(await first.put(letters(1, 2))) == 2
    assert len(await second.put(letters(1, 2, 3))) == 1
    with pytest.raises(KafkaUnreachable):  # the second has shut it out: what it does next is read first
        await first.put(letters(3, 4))
    assert len(await first.put(letters(3, 4))) == 1
    assert len(await first.put(letters(1, 4))) == 0, "an offset from before it looked is looked up again"
    found = await client.read(DEADLETTERS, JILIN, 4)
    assert places(found) == [(COMMANDS, offset) for offset in (1, 2, 3, 4)]
    await first.close()
    await second.close()


async def test_a_letterbox_forgets_what_it_can_look_up(client: Client, monkeypatch) -> None:
    monkeypatch.setattr("services.bus.deadletters.letterbox.REMEMBERED_MAX", 3)
    box = Letterbox(lambda: client.bootstrap, COMMANDS, JILIN, JILIN, "some-door")
    for start in (0, 5, 10):
        batch = {n: dead_letter(Rec(b"{", offset=n), "unreadable", "x") for n in range(start, start + 5)}
        assert len(await box.put(batch)) == 5
    assert not await box.put({n: dead_letter(Rec(b"{", offset=n), "unreadable", "x") for n in range(15)})
    await box.close()
    assert len(await client.read(DEADLETTERS, JILIN, 15)) == 15


async def test_a_ledger_is_never_waited_for_by_letters(client: Client) -> None:
    """A door's open letters hold up nobody who reads the ledger or commands."""
    box = Letterbox(lambda: client.bootstrap, COMMANDS, JILIN, JILIN, "some-door")
    await box._open(0)
    opened = box._writer.transaction()
    transaction = await opened.__aenter__()
    await transaction.append(DEADLETTERS, JILIN, [dead_letter(Rec(b"{"), "unreadable", "x")])
    await client.fund("jilin")
    await client.flush()
    async with running(client.bootstrap):
        assert len(await client.read(LEDGER, JILIN, 1)) == 1
    await opened.__aexit__(None, None, None)
    await box.close()
