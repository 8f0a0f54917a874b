"""Many conflicts within a minute are an alarm, and for a while who makes them learns nothing about ids that stand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from services.cli.intake import sentence
from services.errors import Conflict
from services.intake import sequencer
from services.intake.floods import CONFLICTS_MAX, HELD_OFF_S, WINDOW_S
from services.news import Flood, document, read
from tests.unit.test_intake_events import Desk, World, record
from tests.unit.test_intake_http import REFUSED, Bench, problem
from tests.unit.test_senders import Topic, event, send, sender
from tests.unit.test_up_log import shown

ALARM = Flood("clinic", CONFLICTS_MAX + 1, WINDOW_S)


@pytest.fixture(autouse=True)
def nobody_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "PATIENCE_SECONDS", 0.01)


@pytest.fixture
async def door() -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*senders: Any) -> Bench:
        made.append(Bench(senders=Topic(*senders)))
        return made[-1]

    yield make
    for one in made:
        await one.client.aclose()


def guess(amount: int, number: int = 1) -> dict[str, Any]:
    return event(number=number, amount=amount)


async def test_guesses_are_counted_alarmed_and_then_neither_hit_nor_miss(door: Callable[..., Bench]) -> None:
    clinic, church = sender(), sender("church")
    one = door(clinic, church)
    assert (await send(one, clinic.key, guess(5))).status_code == 202
    for amount in range(CONFLICTS_MAX):
        assert problem(await send(one, clinic.key, guess(100 + amount))) == (409, "id_conflict")
    assert one.alarms == []
    late = await send(one, clinic.key, guess(200))
    assert problem(late) == (429, "too_many")
    assert late.headers["retry-after"] == str(HELD_OFF_S + 1)
    assert one.alarms == [ALARM]
    hit, miss = await send(one, clinic.key, guess(5)), await send(one, clinic.key, guess(6))
    assert (hit.status_code, hit.content) == (miss.status_code, miss.content), "a guess tells nothing"
    assert problem(await send(one, clinic.key, guess(7, number=2), guess(5)))[0] == 429, "in a batch neither"
    assert (await send(one, clinic.key, guess(5, number=3))).status_code == 202, "what is new passes"
    assert (await send(one, church.key, guess(5))).status_code == 202, "and so does everybody else's"
    assert one.alarms == [ALARM], "once"
    one.seconds += HELD_OFF_S
    assert (await send(one, clinic.key, guess(5))).status_code == 202


async def test_a_batch_that_contradicts_itself_counts_and_what_was_refused_stands_for_nothing(
    door: Callable[..., Bench],
) -> None:
    clinic = sender()
    one = door(clinic)
    taken = await send(one, clinic.key, guess(5, number=9))
    place = one.receipts.read(taken.json()["accepted"][0]["receipt"])
    for _ in range(CONFLICTS_MAX):
        assert problem(await send(one, clinic.key, guess(5), guess(6))) == (409, "id_conflict")
    for _ in range(2):
        assert problem(await send(one, clinic.key, guess(5), guess(6))) == (429, "too_many")
    assert one.alarms == [ALARM]
    one.decide(place, REFUSED)
    one.read(place)
    assert (await send(one, clinic.key, guess(6, number=9))).status_code == 202


async def test_conflicts_on_the_topic_are_alarmed_too_and_each_is_a_letter() -> None:
    world = World(Desk(lambda: Conflict("other data"), failures=1 << 30))
    async with world.running() as poll:
        await poll(*(record(number) for number in range(CONFLICTS_MAX)))
        assert world.alarms == []
        await poll(record(CONFLICTS_MAX), record(CONFLICTS_MAX + 1))
    assert len(world.letters) == CONFLICTS_MAX + 2, "nothing is dropped"
    assert [alarm.conflicts for alarm in world.alarms] == [CONFLICTS_MAX + 1]


def test_a_flood_is_told_to_programs_and_people() -> None:
    told = json.loads(json.dumps(document(ALARM)))
    assert told == {"event": "flood", "sender": "clinic", "conflicts": CONFLICTS_MAX + 1, "seconds": WINDOW_S}
    assert read(told) == ALARM
    assert shown(("intake", told)) == [f"intake    │ {sentence(ALARM)}"]
    assert sentence(ALARM).startswith("clinic SENT 21 EVENTS WITHIN 60 s")
