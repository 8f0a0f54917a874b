"""No figure that others may read tells whether a guess was right: not at intake's HTTP door, nor of a voucher at the matcher."""

from __future__ import annotations

import json

import pytest

from services.intake import sequencer
from services.intake.events import TopicDoor
from services.intake.floods import Floods
from services.intake.receipts import Place
from services.intake.senders import Anyone
from services.metrics import DECISIONS, PUBLIC_SECONDS, REJECTIONS
from tests.properties.test_ways import FUND, opened, told
from tests.unit.test_intake_events import PLEDGE, AllFresh, Letters, record
from tests.unit.test_intake_http import PLEDGED, Bench, pledge
from tests.unit.test_metrics import figures
from tests.unit.test_processor import a_processor

MISS = json.dumps({**json.loads(PLEDGE), "amount": 6}).encode()


async def figures_after(guess: bytes) -> tuple[str, str]:
    """What the HTTP door and the health port tell after an event came by the topic, and its id once more with other data."""
    one = Bench()
    door = TopicDoor(lambda: "", one.desk, one.kafka, one.sealer, Anyone(), Floods(one.alarms.append), one.metrics)  # type: ignore[arg-type]
    door._submissions = AllFresh()  # type: ignore[assignment]
    door._box = lambda _partition: Letters()  # type: ignore[assignment,method-assign,return-value]
    await door.bring([record(0)])
    place = next(n for n, out in enumerate(one.kafka.records) if out.key is not None)
    one.decide(Place(0, place), PLEDGED)
    one.read(Place(0, place))
    await door.bring([record(1, guess)])
    shown = (await one.client.get("/metrics")).text
    await one.client.aclose()
    return shown, one.metrics.text().decode()


async def test_whether_a_guess_on_the_topic_was_right_stands_in_no_figure_at_the_http_door(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequencer, "PATIENCE_SECONDS", 0.01)
    (hit, hit_inside), (miss, miss_inside) = await figures_after(PLEDGE), await figures_after(MISS)
    assert 'pumasi_events_total{door="topic",outcome="repeated"} 1.0\n' in hit_inside
    assert 'pumasi_refusals_total{code="id_conflict",door="topic"} 1.0\n' in miss_inside
    assert hit == miss
    assert 'pumasi_events_total{door="http",outcome="accepted"} 0.0\n' in hit


async def test_nobody_makes_the_http_door_tell_its_figures_more_than_once_a_second() -> None:
    one, seconds = Bench(), [100.0]
    before = one.metrics.public_text(lambda: seconds[0])
    assert (await one.send(pledge(1))).status_code == 202
    seconds[0] += PUBLIC_SECONDS / 2
    assert one.metrics.public_text(lambda: seconds[0]) is before
    seconds[0] += PUBLIC_SECONDS / 2
    after = one.metrics.public_text(lambda: seconds[0])
    assert b'pumasi_events_total{door="http",outcome="accepted"} 1.0\n' in after
    await one.client.aclose()


OWN, OTHER = ("~" + letter * 26 for letter in "ab")
VOUCH = {"fund": FUND, "case": "c-1", "voucher": "v-1", "mark": OTHER}
HITS = {"who vouched": {}, "the beneficiary": {"voucher": "v-2", "mark": OWN}, "nobody": {"voucher": "v-2"}}


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
async def test_whether_a_guessed_voucher_was_right_stands_in_no_figure_of_the_matcher(
    monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    seen = []
    for guess in HITS.values():
        fund, case, *_ = opened()
        case = told(1, "case.submitted", {**json.loads(case.value), "mark": OWN})
        end = [told(3, "case.closed", {"fund": FUND, "case": "c-1", "outcome": "completed"})] if closed else []
        commands = [fund, case, told(2, "case.vouched", VOUCH), *end]
        at_work, _ = a_processor(monkeypatch, 60.0)
        await at_work.take()
        await at_work.answer([*commands, told(len(commands), "case.vouched", VOUCH | guess)])
        assert figures(at_work._metrics, DECISIONS)["pumasi.case.vouched", "applied"] == 2
        assert not any(figures(at_work._metrics, REJECTIONS).values())
        seen.append(figures(at_work._metrics, DECISIONS))
    assert seen == [seen[0]] * len(HITS)
