"""Senders on a real broker: made and revoked by `pumasi keys`, heard of by an intake that runs, within a second."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

import services.bus.senders
import services.keys
from schemas.senders import ANYONE, Sender
from services.bus.consume.scan import TopicReader
from services.bus.embedded import EmbeddedKafka
from services.bus.senders import senders
from services.bus.topics import DEADLETTERS, LEDGER, SUBMISSIONS
from services.cli import build
from services.intake import sequencer
from services.senders import hash_of, signed
from services.settings import load
from services.system.own_senders import MACHINE, machine_key
from tests.broker.test_intake import STRUCTURED, pledge, running

WITHIN_S = 1.0


@pytest.fixture(autouse=True)
def nobody_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "PATIENCE_SECONDS", 0.01)


class Keys:
    """`pumasi keys` on a broker."""

    def __init__(self, kafka: EmbeddedKafka, data: Path) -> None:
        self._where = ["--kafka", kafka.bootstrap, "--data", str(data), "--json"]

    async def __call__(self, *arguments: str, status: int = 0, whole: bool = False) -> Any:
        """What a command prints; the whole result, if it failed or that is wanted."""
        result = await asyncio.to_thread(CliRunner().invoke, build(), ["keys", *arguments, *self._where])
        assert result.exit_code == status, result.output
        return json.loads(result.stdout) if status == 0 and not whole else result


async def status_of(http: httpx.AsyncClient, key: str, number: int = 1) -> int:
    headers = {**STRUCTURED, "authorization": f"Bearer {key}"}
    return (await http.post("/v1/events", content=json.dumps(pledge(number)), headers=headers)).status_code


async def seconds_until(http: httpx.AsyncClient, key: str, wanted: int) -> float:
    began = time.monotonic()
    while await status_of(http, key) != wanted:
        assert time.monotonic() < began + 30
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_a_key_counts_and_is_refused_within_a_second_of_being_made_renewed_and_revoked(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    keys = Keys(topics_reset, tmp_path)
    async with running(topics_reset, tmp_path, open=False) as (intake, http):
        assert intake.ready.is_set()
        first = await keys("add", "clinic", "--scope", "pledges", "--fund", "jilin")
        assert await seconds_until(http, first["key"], 202) < WITHIN_S
        second = await keys("rotate", "clinic")
        assert await seconds_until(http, second["key"], 202) < WITHIN_S
        assert await status_of(http, first["key"]) == 202
        assert len((await keys("revoke", "clinic", "--old"))["keys"]) == 1
        assert await seconds_until(http, first["key"], 401) < WITHIN_S
        assert await status_of(http, second["key"]) == 202
        await keys("revoke", "clinic")
        assert await seconds_until(http, second["key"], 401) < WITHIN_S
        told = await keys("list")
        assert [(row["sender"], row["scopes"], row["funds"], row["keys"]) for row in told["senders"]] == [
            ("clinic", ["pledges"], ["jilin"], [])
        ]
    async with running(topics_reset, tmp_path, open=False) as (_, http):
        assert await status_of(http, second["key"]) == 401, "it is read from the start"


async def test_what_a_sender_may_is_said_anew_within_a_second_and_its_keys_stay(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    keys = Keys(topics_reset, tmp_path)
    async with running(topics_reset, tmp_path, open=False) as (_, http):
        made = await keys("add", "clinic", "--scope", "cases", "--fund", "jilin")
        assert await seconds_until(http, made["key"], 403) < WITHIN_S
        granted = await keys("grant", "clinic", "--scope", "pledges", "--scope", "cases", "--fund", "jilin")
        assert await seconds_until(http, made["key"], 202) < WITHIN_S
        assert (granted["scopes"], granted["funds"], granted["keys"]) == (["pledges", "cases"], ["jilin"], made["keys"])
        await keys("grant", "clinic", "--scope", "pledges", "--fund", "yanbian")
        assert await seconds_until(http, made["key"], 403) < WITHIN_S
        await keys("grant", "clinic", "--scope", "pledges", "--all-funds")
        assert await seconds_until(http, made["key"], 202) < WITHIN_S
    (row,) = (await keys("list"))["senders"]
    assert (row["scopes"], row["funds"], row["keys"]) == (["pledges"], None, made["keys"])
    await keys("grant", "church", "--scope", "pledges", "--all-funds", status=1)
    await keys("grant", "clinic", "--all-funds", status=2)
    await keys("grant", "clinic", "--scope", "pledges", "--fund", "no fund", status=2)
    await keys("revoke", "clinic")
    assert (await keys("grant", "clinic", "--scope", "cases", "--all-funds"))["keys"] == [], "no key comes back by it"


async def test_a_key_is_shown_before_it_counts_so_that_none_is_lost(
    topics_reset: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, put = Keys(topics_reset, tmp_path), services.bus.senders.put_sender
    services.keys.make(load(data=tmp_path, kafka=topics_reset.bootstrap, kafka_security="plain"))

    async def interrupted(bootstrap: str, sender: Sender) -> None:
        await put(bootstrap, sender)
        raise KeyboardInterrupt

    monkeypatch.setattr(services.bus.senders, "put_sender", interrupted)
    result = await keys("add", "clinic", "--scope", "pledges", "--all-funds", status=130)
    (written,) = (await senders(topics_reset.bootstrap))["clinic"].keys
    assert hash_of(json.loads(result.stdout)["key"]).hex() == written.hash


async def test_a_fund_that_is_not_there_is_warned_of(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    keys = Keys(topics_reset, tmp_path)
    entry = {"fund": "jilin", "facts": [{"fact": "fund_configured"}]}
    async with AIOKafkaProducer(bootstrap_servers=topics_reset.bootstrap) as producer:
        await producer.send_and_wait(LEDGER, json.dumps(entry).encode(), partition=0)
    result = await keys("add", "clinic", "--scope", "pledges", "--fund", "jilin", "--fund", "jillin", whole=True)
    assert json.loads(result.stdout)["unknown_funds"] == ["jillin"]
    assert result.stderr == "There is no fund jillin yet (did you mean jilin?): the key counts there once there is.\n"
    known = await keys("add", "bank", "--scope", "payments", "--fund", "jilin", whole=True)
    assert ("unknown_funds" in json.loads(known.stdout), known.stderr) == (False, "")


async def test_on_the_topic_a_signed_event_passes_and_an_unsigned_one_is_a_letter(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    keys = Keys(topics_reset, tmp_path)
    async with (
        running(topics_reset, tmp_path, open=False) as (_, http),
        AIOKafkaProducer(bootstrap_servers=topics_reset.bootstrap) as producer,
    ):
        made = await keys("add", "clinic", "--scope", "pledges", "--all-funds")
        body = json.dumps(pledge(1)).encode()
        headers = signed("clinic", made["secret"], pledge(1)["id"], body)
        await producer.send_and_wait(SUBMISSIONS, body, partition=0, headers=headers)
        await producer.send_and_wait(SUBMISSIONS, body, partition=0, headers=headers[:1])
        async with asyncio.timeout(30):
            while not (letters := await all_of(topics_reset, DEADLETTERS)):
                await asyncio.sleep(0.1)
        assert [dict(letter.headers)["__streams.errors.exception"] for letter in letters] == [b"unsigned"]
        assert (await http.get("/readyz")).status_code in (200, 503)
    commands = [record for record in await all_of(topics_reset, "pumasi.commands.v1") if record.key is not None]
    assert [dict(command.headers)["pumasi_sender"] for command in commands] == [b"clinic"]


async def all_of(kafka: EmbeddedKafka, topic: str) -> list[Any]:
    async with TopicReader(kafka.bootstrap) as reader:
        return [record async for record in reader.records(topic)]


async def test_what_cant_be_made_is_said(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    keys = Keys(topics_reset, tmp_path)
    await keys("add", "clinic", "--scope", "read", "--all-funds")
    for wrong in (
        ["add", "clinic", "--scope", "read", "--all-funds"],
        ["add", "church", "--all-funds"],
        ["add", "church", "--scope", "all", "--all-funds"],
        ["add", "church", "--scope", "read"],
        ["add", "church", "--scope", "read", "--fund", "a", "--all-funds"],
        ["add", "church", "--scope", "read", "--fund", "no fund"],
        ["add", ANYONE, "--scope", "read", "--all-funds"],
    ):
        await keys(*wrong, status=2 if wrong[1] != "clinic" else 1)
    await keys("rotate", "church", status=1)
    await keys("revoke", "church", status=1)


async def test_this_machines_key_is_made_once_kept_from_others_and_does_not_come_back_when_revoked(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    kept = tmp_path / "data-keys"
    settings = load(data=tmp_path / "data", kafka=topics_reset.bootstrap, open=False, kafka_security="plain", keys=kept)
    services.keys.make(settings)
    file = await machine_key(topics_reset.bootstrap, settings)
    assert file == tmp_path / "data-keys" / "bearer"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    key = file.read_text()
    keys = Keys(topics_reset, tmp_path / "data")
    async with running(topics_reset, tmp_path / "data", open=False, keys=kept) as (_, http):
        assert await status_of(http, key.strip()) == 202
    await keys("revoke", MACHINE)
    await machine_key(topics_reset.bootstrap, settings)
    assert file.read_text() == key
    assert (await senders(topics_reset.bootstrap))[MACHINE].keys == []
    file.unlink()
    await machine_key(topics_reset.bootstrap, settings)
    assert file.read_text() != key
