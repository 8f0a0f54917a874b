"""`pumasi keys next` on a real broker: an old fund's words stay, the new key makes a new fund's, and none may be lost."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.times import SECOND, text_of
from schemas.values import SCHEMES
from services import keys
from services.bus import fingerprints
from services.bus.embedded import EmbeddedKafka
from services.errors import ClockOff, KeyMissing
from services.intake import app
from services.intake.ids import People
from services.intake.recipients import recipient_of
from services.settings import Settings
from tests.broker.test_intake import answered, case, commands, event, post, running
from tests.broker.test_intake import settings as settings_of

ADDRESS = "mailto:neighbour@example.org"
HOUR = 3600 * SECOND


async def pumasi(kafka: EmbeddedKafka, settings: Settings, *arguments: str) -> tuple[int, str, str]:
    where = {"PUMASI_KAFKA": kafka.bootstrap, "PUMASI_KEYS": str(keys.directory(settings))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **where},
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def word(key: bytes, fund: str) -> str:
    return People(key).pseudonym("beneficiary", fund, recipient_of(ADDRESS, SCHEMES).person)


async def sent(client: httpx.AsyncClient, at: int, *events: dict[str, Any]) -> None:
    answer = await post(client, *({**one, "time": text_of(at)} for one in events))
    assert answer.status_code == 202, answer.text


def needs(number: int, fund: str) -> dict[str, Any]:
    told = case(number, fund=fund, case=f"c-{number}", contact={"address": ADDRESS})
    del told["data"]["beneficiary"]
    return told


async def words(kafka: EmbeddedKafka, least: int) -> dict[str, str]:
    """Case → its beneficiary's word."""
    found = [json.loads(record.value or b"") for record in await commands(kafka.bootstrap, least=least)]
    return {data["case"]: data["beneficiary"] for data in found if "case" in data}


async def test_old_funds_keep_their_key_and_new_ones_have_the_new(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    settings, now = settings_of(tmp_path), time.time_ns() // 1000
    keys.make(settings)
    fund = {"currency": "CNY", "vouchers_required": 0}
    async with running(topics_reset, tmp_path, trust_time=True) as (_, client):
        await sent(client, now, event("fund.configured", 1, fund="old", **fund), needs(2, "old"))
    await answered(topics_reset.bootstrap)
    code, out, err = await pumasi(topics_reset, settings, "keys", "next", "--json")
    assert code == 0, err
    [made] = json.loads(out)["made"]
    first, following = keys.pseudonym_keys(settings).values()
    async with running(topics_reset, tmp_path, trust_time=True) as (_, client):
        await sent(
            client, now + HOUR, event("fund.configured", 3, fund="new", **fund), needs(4, "new"), needs(5, "old")
        )
    async with running(topics_reset, tmp_path, trust_time=True) as (_, client):
        await sent(client, now + 2 * HOUR, needs(6, "new"), needs(7, "old"))
    assert await words(topics_reset, 7) == {
        "c-2": word(first, "old"),
        "c-4": word(following, "new"),
        "c-5": word(first, "old"),
        "c-6": word(following, "new"),
        "c-7": word(first, "old"),
    }

    (keys.directory(settings) / made).unlink()
    code, _, err = await pumasi(topics_reset, settings, "intake", "--http-port", "0", "--json")
    assert (code, json.loads(err.splitlines()[-1])["code"]) == (2, "key_missing")
    assert made in err
    code, _, err = await pumasi(topics_reset, settings, "keys", "next", "--json")
    assert (code, json.loads(err.splitlines()[-1])["code"]) == (2, "key_missing")
    with pytest.raises(ClockOff):
        await fingerprints.refuse_if_behind(topics_reset.bootstrap, now - HOUR)
    await fingerprints.refuse_if_behind(topics_reset.bootstrap, now)
    code, out, err = await pumasi(topics_reset, settings, "keys", "make", "--lost", "--yes", "--json")
    assert (code, json.loads(out)["made"]) == (0, [made]), err


async def test_a_running_intake_takes_the_new_key_and_without_it_stops(
    topics_reset: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "LOOK_SECONDS", 0.05)
    settings, now = settings_of(tmp_path), time.time_ns() // 1000
    async with running(topics_reset, tmp_path, trust_time=True) as (intake, client):
        code, out, err = await pumasi(topics_reset, settings, "keys", "next", "--json")
        assert code == 0, err
        following = list(keys.pseudonym_keys(settings).values())[-1]
        async with asyncio.timeout(30):
            while intake._funds.key_of("new", now + HOUR) != following:
                await asyncio.sleep(0.05)
        await sent(client, now + HOUR, needs(1, "new"))
        assert await words(topics_reset, 1) == {"c-1": word(following, "new")}
        (keys.directory(settings) / json.loads(out)["made"][0]).unlink()
        async with asyncio.timeout(30):
            with pytest.raises(KeyMissing):
                await intake.wait()
