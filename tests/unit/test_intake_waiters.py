"""Who waits for a receipt hears as soon as there is a decision, and nobody waits for nothing."""

import asyncio
import time
from typing import Any

import pytest
from starlette.requests import Request

from services.intake import waiters as waiters_module
from services.intake.cloudevents import Malformed
from services.intake.waiters import WAITERS_PER_ADDRESS_MAX, Waiters, seconds_of
from services.settings import load
from tests.unit.test_intake_http import PLEDGED, Bench, pledge

LONG_SECONDS = 25.0
SOON_SECONDS = 5.0


def request(*messages: str, address: str = "10.0.0.1") -> Request:
    """A request of an address; after these messages nothing more is heard of its client."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return {"type": left.pop(0)}

    return Request({"type": "http", "client": (address, 1), "headers": []}, receive)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1m", "1e3", "1s ", "٣s", "1.5555", "9" * 7, "2 s"])
def test_a_wait_that_is_no_time_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        seconds_of(text)


@pytest.mark.parametrize(("text", "seconds"), [("2s", 2), ("0", 0), ("1.5s", 1.5), ("1500ms", 1.5), ("99999s", 30)])
def test_a_wait_is_so_many_seconds(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


async def test_a_receipt_answers_as_soon_as_its_event_is_decided() -> None:
    one = Bench()
    receipt, place = await one.sent(pledge(1))
    asked = asyncio.create_task(one.client.get(f"/v1/receipts/{receipt}", params={"wait": f"{LONG_SECONDS}s"}))
    while not one.waiters.waiting:
        await asyncio.sleep(0.001)
    one.decide(place, PLEDGED)
    answer = await asyncio.wait_for(asked, SOON_SECONDS)
    assert (answer.json()["state"], answer.headers.get("retry-after")) == ("applied", None)
    again = await asyncio.wait_for(one.client.get(f"/v1/receipts/{receipt}?wait={LONG_SECONDS}s"), SOON_SECONDS)
    assert again.json()["state"] == "applied"
    await one.client.aclose()


async def test_a_receipt_answers_when_the_time_is_over_and_says_when_to_ask_again() -> None:
    one = Bench()
    receipt, _ = await one.sent(pledge(1))
    began = time.monotonic()
    answer = await one.client.get(f"/v1/receipts/{receipt}?wait=50ms")
    assert (answer.json()["state"], answer.headers["retry-after"]) == ("accepted", "1")
    assert time.monotonic() - began >= 0.05
    malformed = await one.client.get(f"/v1/receipts/{receipt}?wait=soon")
    assert (malformed.status_code, malformed.json()["code"]) == (400, "malformed")
    await one.client.aclose()


@pytest.mark.parametrize("limit", ["WAITERS_MAX", "WAITERS_PER_ADDRESS_MAX"])
async def test_one_more_than_so_many_is_answered_at_once(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(waiters_module, limit, 3)
    waiters, decision = Waiters(), asyncio.get_running_loop().create_future()
    there = [asyncio.create_task(waiters.wait(decision, request(), LONG_SECONDS)) for _ in range(3)]
    await asyncio.sleep(0)
    assert waiters.waiting == 3
    await asyncio.wait_for(waiters.wait(decision, request(), LONG_SECONDS), SOON_SECONDS)
    elsewhere = asyncio.create_task(waiters.wait(decision, request(address="10.0.0.2"), LONG_SECONDS))
    await asyncio.sleep(0.01)
    assert elsewhere.done() is (limit == "WAITERS_MAX")
    decision.set_result(None)
    await asyncio.wait_for(asyncio.gather(*there, elsewhere), SOON_SECONDS)
    assert waiters.waiting == 0


async def test_who_has_hung_up_is_not_waited_for() -> None:
    waiters, decision = Waiters(), asyncio.get_running_loop().create_future()
    gone = request("http.request", "http.disconnect")
    await asyncio.wait_for(waiters.wait(decision, gone, LONG_SECONDS), SOON_SECONDS)
    assert (waiters.waiting, decision.cancelled()) == (0, False)


async def test_a_service_that_stops_sends_all_home() -> None:
    waiters, decision = Waiters(), asyncio.get_running_loop().create_future()
    there = [asyncio.create_task(waiters.wait(decision, request(), LONG_SECONDS)) for _ in range(9)]
    await asyncio.sleep(0)
    waiters.end()
    await asyncio.wait_for(asyncio.gather(*there), SOON_SECONDS)
    assert 9 <= WAITERS_PER_ADDRESS_MAX <= load().http_connections_per_address // 2, (
        "room is left for whoever asks at once"
    )
