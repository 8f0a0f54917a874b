"""Guessing who somebody is, with keys of one's own and a real matcher: a batch of guesses, as fast as it can be sent."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.bus.embedded import EmbeddedKafka
from services.intake.floods import CONFLICTS_MAX
from services.intake.makers import UNTOLD
from tests.broker.test_intake import BATCH, case, event, pledge, running
from tests.broker.test_matcher import assert_audit_holds
from tests.broker.test_matcher import running as matching
from tests.broker.test_refused import decided
from tests.broker.test_senders import Keys

BENEFICIARY, VOUCHER, DONOR = "tel:+8613800138000", "mailto:voucher@example.org", "mailto:donor@example.org"
MISSES = [f"mailto:u{number}@example.org" for number in range(300)]


def contact(address: str) -> dict[str, Any]:
    return {"contact": {"address": address, "language": "en"}}


def vouch(number: int, address: str) -> dict[str, Any]:
    return event("case.vouched", number, case="c-1", **contact(address))


def promise(number: int, address: str, name: str = "p-1") -> dict[str, Any]:
    one = pledge(number, pledge=name, **contact(address))
    del one["data"]["donor"]
    return one


async def told_of(client: httpx.AsyncClient, receipts: list[str]) -> list[dict[str, Any]]:
    told = [await decided(client, one) for one in receipts]  # one by one: an address has so many connections
    return [{name: value for name, value in one.items() if name != "receipt"} for one in told]


class Sender:
    """Sends batches with a key, and reads their receipts."""

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self._client, self._headers = client, {**BATCH, "authorization": f"Bearer {key}"}

    async def post(self, *events: dict[str, Any]) -> httpx.Response:
        return await self._client.post("/v1/events", content=json.dumps(events), headers=self._headers)

    async def hears(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        response = await self.post(*events)
        assert response.status_code == 202, response.text
        return await told_of(self._client, [one["receipt"] for one in response.json()["accepted"]])


async def test_who_guesses_with_a_key_learns_of_others_nothing_and_under_own_ids_next_to_nothing(
    topics_reset: EmbeddedKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys(topics_reset, tmp_path)
    async with matching(topics_reset.bootstrap), running(topics_reset, tmp_path, open=False) as (_, client):

        async def sender(name: str, *scopes: str) -> Sender:
            options = [word for scope in scopes for word in ("--scope", scope)]
            key = (await keys("add", name, *options, "--fund", "jilin"))["key"]
            one = Sender(client, key)
            async with asyncio.timeout(30):
                while (await one.post({})).status_code == 401:
                    await asyncio.sleep(0.05)
            return one

        home = await sender("home", "funds", "cases", "vouch")
        strangers, thief = await sender("strangers", "vouch"), await sender("thief", "pledges")
        need = case(2, case="c-1", **contact(BENEFICIARY))
        del need["data"]["beneficiary"]
        await home.hears(event("fund.configured", 1, currency="CNY", vouchers_required=2), need, vouch(3, VOUCHER))

        began = time.monotonic()
        guesses = [*MISSES[: CONFLICTS_MAX - 3], BENEFICIARY, VOUCHER, MISSES[0]]
        told = await strangers.hears(*(vouch(100 + number, address) for number, address in enumerate(guesses)))
        print(f"a stranger: {len(guesses)} vouchers in {time.monotonic() - began:.2f} s")
        assert told == [{"state": "applied"}] * len(guesses)
        assert "strangers" not in caplog.text
        assert await strangers.hears(vouch(200, VOUCHER)) == [{"state": "applied"}]
        assert "strangers" in caplog.text, "and it is an alarm"
        for case_name in ("c-1", "c-9"):
            one_more = event("case.vouched", 201, case=case_name, **contact(VOUCHER))
            assert (await strangers.post(one_more)).status_code == 429, "nothing more, be there such a case or not"
        others = await sender("others", "vouch")
        many = await others.post(*(vouch(300 + number, address) for number, address in enumerate(MISSES)))
        assert (many.status_code, "others" in caplog.text) == (429, True), "whole, before the matcher sees any"

        await thief.hears(promise(1, DONOR))
        began = time.monotonic()
        guessed = await thief.post(*(promise(100 + n, address) for n, address in enumerate([*MISSES, DONOR])))
        receipts = [one["receipt"] for one in guessed.json()["accepted"]]
        told = await told_of(client, receipts)
        seconds = time.monotonic() - began
        learned = sum(one != UNTOLD for one in told)
        print(f"a thief: {len(told)} pledges in {seconds:.2f} s, {learned} told of")
        assert [one["code"] for one in told] == ["id_conflict"] * CONFLICTS_MAX + ["refused"] * (301 - CONFLICTS_MAX)
        assert [(await thief.post(promise(n, one))).status_code for n, one in ((901, DONOR), (902, VOUCHER))] == [
            429
        ] * 2
        assert (await thief.hears(promise(903, DONOR, "p-2")))[0]["state"] == "applied"
        assert (await home.hears(vouch(904, "mailto:third@example.org")))[0]["progress"]["status"] == "open"
        async with running(topics_reset, tmp_path, open=False) as (_, other):
            assert await told_of(other, receipts) == told, "an intake that reads it all again comes to the same"
    await assert_audit_holds(topics_reset.bootstrap)
