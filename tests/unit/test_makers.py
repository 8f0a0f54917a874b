"""Who did not make an id hears the same of a hit and of a miss: over HTTP, with the engine's own verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

import pytest

from schemas.commands import Command
from schemas.ledger import GENESIS, entries
from schemas.senders import Scope
from schemas.times import text_of
from services.bus.envelope import read_command
from services.intake import sequencer
from services.intake.floods import CONFLICTS_MAX, HELD_OFF_S, WINDOW_S
from services.intake.makers import CLOSED, UNTOLD
from services.intake.receipts import Place
from services.matcher.engine.engine import Engine
from services.news import Flood
from services.senders import Issued
from tests.records import CommandRecord
from tests.unit.test_intake_http import Bench, problem
from tests.unit.test_senders import NEED, Topic, send, sender

ALARM = Flood("stranger", CONFLICTS_MAX + 1, WINDOW_S)
BENEFICIARY, VOUCHER, NOBODY = "tel:+8613800138000", "mailto:voucher@example.org", "mailto:nobody@example.org"
SUBMITTED, VOUCHED, THANKED = "case.submitted", "case.vouched", "case.thanked"


class Town(Bench):
    """A door and an engine behind it; `maker` and `stranger` may send anything."""

    def __init__(self, **options: Any) -> None:
        self.maker, self.stranger = (sender(name, get_args(Scope)) for name in ("maker", "stranger"))
        super().__init__(senders=Topic(self.maker, self.stranger), **options)
        self._engine, self._seq, self._digest, self._read, self._events = Engine(), 0, GENESIS, 0, 0

    async def post(self, who: Issued, *told: tuple[str, dict[str, Any]], number: int | None = None) -> Any:
        """The answer to events, each of a new id, or of that of event `number`."""
        events = []
        for kind, data in told:
            self._events += 1
            event = {"specversion": "1.0", "id": f"e-{number or self._events}", "source": "/forms"}
            events.append({**event, "type": f"pumasi.{kind}", "data": {"fund": "jilin", **data}})
        return await send(self, who.key, *events)

    def decide_all(self, appended_at: float | None = None) -> None:
        """Let the engine decide all that is published, and intake read both topics."""
        for offset, out in enumerate(self.kafka.records[self._read :], self._read):
            self._read += 1
            if out.topic != "pumasi.commands.v1":
                continue
            record = CommandRecord(
                out.topic, out.partition, offset, out.key, out.value, tuple(out.headers), self.now // 1000
            )
            command = read_command(record, 4)
            assert isinstance(command, Command)
            fund, at, facts = self._engine.execute(command)
            cause = {"id": command.id, "type": command.type, "offset": offset}
            for number, value, linked in entries(self._seq + 1, self._digest, fund, text_of(at), cause, facts):
                self.progress.fold(CommandRecord("ledger", 0, number, None, value, ()))
                self._seq, self._digest = number, linked
            self.read(Place(0, offset), appended_at)

    async def hears(self, who: Issued, *told: tuple[str, dict[str, Any]], number: int | None = None) -> list[Any]:
        """What the receipts of events say once they are decided, and what comes with an answer, each without its secret."""
        response = await self.post(who, *told, number=number)
        assert response.status_code == 202, response.text
        self.decide_all()
        receipts = [one["receipt"] for one in response.json()["accepted"]]
        return [
            {name: value for name, value in (await self.told(one)).items() if name != "receipt"} for one in receipts
        ]


@pytest.fixture(autouse=True)
def one_partition_and_no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "PATIENCE_SECONDS", 0.01)
    for where in ("services.intake.sequencer.partition_of", "services.bus.envelope.partition_of_fund"):
        monkeypatch.setattr(where, lambda _key, _partitions: 0)


@pytest.fixture
async def town() -> AsyncIterator[Callable[..., Any]]:
    made: list[Town] = []

    async def make(vouchers: int = 2, **options: Any) -> Town:
        made.append(Town(**options))
        configured = ("fund.configured", {"currency": "CNY", "vouchers_required": vouchers})
        need = {name: value for name, value in NEED.items() if name != "beneficiary"}
        case = (SUBMITTED, {"case": "c-1", **need, "contact": contact(BENEFICIARY)})
        first, case_told, vouched = await made[0].hears(made[0].maker, configured, case, vouch(VOUCHER))
        assert [first["state"], case_told["state"], vouched["state"]] == ["applied"] * 3
        return made[-1]

    yield make
    for one in made:
        await one.client.aclose()


def contact(address: str) -> dict[str, str]:
    return {"address": address, "language": "en"}


def vouch(address: str, case: str = "c-1") -> tuple[str, dict[str, Any]]:
    return VOUCHED, {"case": case, "contact": contact(address)}


def pledge(donor: str, name: str = "p-1", **more: Any) -> tuple[str, dict[str, Any]]:
    return "pledge.made", {"pledge": name, "contact": contact(donor), "amount": 5, "currency": "CNY", **more}


CLOSE = ("case.closed", {"case": "c-1", "outcome": "deceased"})
GUESSES = [BENEFICIARY, VOUCHER, NOBODY]


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("vouchers", [1, 2, 3])
async def test_a_strangers_guess_at_a_voucher_or_beneficiary_hits_and_misses_alike(
    town: Callable[..., Any], vouchers: int, closed: bool
) -> None:
    here = await town(vouchers)
    if closed:
        await here.hears(here.maker, CLOSE)
    told = [*await here.hears(here.stranger, *map(vouch, GUESSES)), *await here.hears(here.stranger, vouch(NOBODY))]
    assert told == [CLOSED if closed else {"state": "applied"}] * 4
    later = [*await here.hears(here.stranger, *map(vouch, reversed(GUESSES)))]
    assert later == told[:3], "in whatever order, and whoever vouched before"
    assert await here.hears(here.stranger, vouch(NOBODY, "c-9")) == [UNTOLD]


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
async def test_neither_does_the_same_event_sent_again_tell_a_hit_from_a_miss(
    town: Callable[..., Any], closed: bool
) -> None:
    here = await town(3)
    if closed:
        await here.hears(here.maker, CLOSE)
    need = {name: value for name, value in NEED.items() if name != "beneficiary"}

    def case(address: str) -> tuple[str, dict[str, Any]]:
        return SUBMITTED, {"case": "c-1", **need, "contact": contact(address)}

    for guess in (vouch, case):
        seen = []
        for number, address in enumerate(GUESSES, 1000 if guess is vouch else 2000):
            answers = []
            for sent in (address, address, "mailto:other@example.org"):
                answers.append(await here.post(here.stranger, guess(sent), number=number))
                here.decide_all()
            first, again, _ = receipts = [
                one.json().get("accepted", [{"receipt": None}])[0]["receipt"] for one in answers
            ]
            told = [await here.told(one) if one else {} for one in receipts]
            verdicts = [(one.get("state"), one.get("code"), "superseded_by" in one) for one in told]
            seen.append((*verdicts, first == again, *(one.status_code for one in answers)))
        assert len(set(seen)) == 1, seen


async def test_thanks_and_outcomes_that_were_said_are_told_to_a_stranger_as_those_that_were_not(
    town: Callable[..., Any],
) -> None:
    here = await town(1)
    said, unsaid = ((THANKED, {"case": "c-1", "thanks": phrase}) for phrase in ("blessing", "recovering"))
    assert (await here.hears(here.maker, said))[0]["progress"]
    assert await here.hears(here.stranger, said, unsaid) == [{"state": "applied"}] * 2
    await here.hears(here.maker, CLOSE)
    outcomes = [("case.closed", {"case": "c-1", "outcome": outcome}) for outcome in ("deceased", "completed")]
    assert await here.hears(here.stranger, *outcomes) == [CLOSED] * 2
    assert (await here.hears(here.maker, *outcomes))[1]["detail"] == "case c-1 is closed: deceased"


async def test_the_maker_hears_the_true_verdict(town: Callable[..., Any]) -> None:
    here = await town(2)
    own, again, third = await here.hears(here.maker, *map(vouch, GUESSES))
    assert (own["state"], own["code"]) == ("rejected", "own_voucher")
    assert (again["state"], again["code"]) == ("applied", "duplicate")
    assert third["progress"]["status"] == "open"


async def test_of_another_senders_pledge_a_hit_and_a_miss_are_refused_alike(town: Callable[..., Any]) -> None:
    here = await town()
    await here.hears(here.maker, pledge(NOBODY))
    assert await here.hears(here.stranger, *map(pledge, GUESSES)) == [UNTOLD] * 3
    payment = ("payment.received", {"pledge": "p-1", "payment": "y-1", "amount": 5})
    [paid] = await here.hears(here.stranger, payment)
    assert paid["state"] == "applied"
    [twice] = await here.hears(here.stranger, payment)
    assert twice == {"state": "applied", "code": "duplicate"}, "whose payment it is, though not whose pledge"


async def test_a_refused_command_makes_nobody_a_maker(town: Callable[..., Any]) -> None:
    here = await town()
    [squat] = await here.hears(here.stranger, pledge(NOBODY, expires_at="2020-01-01T00:00:00Z"))
    assert squat["code"] == "already_expired"
    [true] = await here.hears(here.maker, pledge(VOUCHER))
    assert true["state"] == "applied"
    assert await here.hears(here.stranger, pledge(NOBODY), pledge(VOUCHER)) == [UNTOLD] * 2
    conflict, again = await here.hears(here.maker, pledge(NOBODY), pledge(VOUCHER))
    assert (conflict["code"], again["code"]) == ("id_conflict", "duplicate")


async def test_an_id_that_is_forgotten_has_no_maker_and_not_the_next_who_comes_by(town: Callable[..., Any]) -> None:
    here = await town(makers_max=2)
    await here.hears(here.maker, *(pledge(NOBODY, f"p-{number}") for number in range(3)))
    assert await here.hears(here.stranger, pledge(NOBODY, "p-0"), pledge(VOUCHER, "p-0")) == [UNTOLD] * 2
    assert await here.hears(here.maker, pledge(NOBODY, "p-0"), pledge(VOUCHER, "p-0")) == [UNTOLD] * 2
    assert await here.hears(here.stranger, *map(vouch, GUESSES)) == [{"state": "applied"}] * 3


async def test_guesses_under_an_own_id_are_a_flood_wherever_the_matcher_told_of_them(town: Callable[..., Any]) -> None:
    here = await town()
    await here.hears(here.stranger, pledge(BENEFICIARY))
    guesses = [f"mailto:u{number}@example.org" for number in range(300)]
    told = await here.hears(here.stranger, *map(pledge, [*guesses, BENEFICIARY]))
    assert [one["code"] for one in told] == ["id_conflict"] * CONFLICTS_MAX + ["refused"] * (301 - CONFLICTS_MAX)
    assert here.alarms == [ALARM]
    held = [await here.post(here.stranger, pledge(address)) for address in (BENEFICIARY, NOBODY)]
    assert [problem(one) for one in held] == [(429, "too_many")] * 2
    assert held[0].content == held[1].content
    assert [one["state"] for one in await here.hears(here.stranger, pledge(NOBODY, "p-2"))] == ["applied"]
    assert (await here.hears(here.maker, vouch(NOBODY)))[0]["state"] == "applied", "everybody else goes on"
    here.seconds += HELD_OFF_S
    assert (await here.hears(here.stranger, pledge(BENEFICIARY)))[0]["code"] == "duplicate"
    assert here.alarms == [ALARM]


async def test_repeats_alone_are_no_flood_and_amid_conflicts_they_count(town: Callable[..., Any]) -> None:
    here = await town()
    await here.hears(here.stranger, pledge(BENEFICIARY))
    told = await here.hears(here.stranger, *[pledge(BENEFICIARY)] * 50)
    assert [one.get("code") for one in told] == ["duplicate"] * 50
    told = await here.hears(here.stranger, pledge(NOBODY), *[pledge(BENEFICIARY)] * 50)
    assert [one["code"] for one in told[1:]] == ["duplicate"] * (CONFLICTS_MAX - 1) + ["refused"] * 31
    assert here.alarms == [ALARM]


async def test_conflicts_at_the_door_and_behind_it_are_one_flood(town: Callable[..., Any]) -> None:
    here = await town()
    await here.hears(here.stranger, pledge(BENEFICIARY), number=9000)
    for amount in range(CONFLICTS_MAX // 2):
        assert problem(await here.post(here.stranger, pledge(NOBODY, amount=100 + amount), number=9000))[0] == 409
        assert (await here.hears(here.stranger, pledge(NOBODY)))[0]["code"] == "id_conflict"
    assert here.alarms == []
    assert await here.hears(here.stranger, pledge(NOBODY)) == [UNTOLD]
    assert here.alarms == [ALARM]
    assert problem(await here.post(here.stranger, pledge(NOBODY, amount=7), number=9000))[0] == 429


async def test_vouchers_of_one_case_are_counted_and_those_of_many_are_not(town: Callable[..., Any]) -> None:
    here = await town()
    need = {name: value for name, value in NEED.items() if name != "beneficiary"}
    cases = [(SUBMITTED, {"case": f"s-{number}", **need, "contact": contact(BENEFICIARY)}) for number in range(30)]
    await here.hears(here.stranger, *cases)
    told = await here.hears(here.stranger, *(vouch(NOBODY, f"s-{number}") for number in range(30)))
    assert all("progress" in one for one in told)
    guesses = [f"mailto:u{number}@example.org" for number in range(CONFLICTS_MAX - 1)]
    await here.hears(here.stranger, *(vouch(address, "s-0") for address in guesses))
    assert here.alarms == []
    told = await here.hears(here.stranger, vouch(BENEFICIARY, "s-0"), vouch(NOBODY, "s-0"))
    assert told == [{"state": "applied"}] * 2
    assert here.alarms == [ALARM]


async def test_a_batch_with_too_many_vouchers_of_one_case_is_refused_whole_and_nothing_of_it_is_kept(
    town: Callable[..., Any],
) -> None:
    here = await town()
    vouches = [vouch(f"mailto:u{number}@example.org") for number in range(CONFLICTS_MAX + 1)]
    before = len(here.kafka.records)
    refused = await here.post(here.stranger, pledge(NOBODY), *vouches, vouch(NOBODY, "c-9"))
    assert (problem(refused), refused.headers["retry-after"]) == ((429, "too_many"), str(HELD_OFF_S))
    assert len(here.kafka.records) == before, "no command, no contact"
    assert here.alarms == [ALARM]
    assert problem(await here.post(here.stranger, *vouches[1:]))[0] == 429, "and its sender is held off"
    assert await here.hears(here.maker, *vouches[:10], *(vouch(NOBODY, f"c-{n}") for n in range(2, 40)))
    here.seconds += HELD_OFF_S
    assert await here.hears(here.stranger, *vouches[1:]) == [{"state": "applied"}] * CONFLICTS_MAX
    assert here.alarms == [ALARM], "so many may come together"


async def test_whoever_is_held_off_does_not_hear_whether_anothers_id_is_there(town: Callable[..., Any]) -> None:
    here = await town()
    await here.hears(here.maker, pledge(VOUCHER))
    await here.hears(here.stranger, pledge(NOBODY, "p-own"))
    await here.hears(here.stranger, *(pledge(NOBODY, "p-own", amount=100 + n) for n in range(CONFLICTS_MAX + 1)))
    assert here.alarms == [ALARM]

    async def status(*told: tuple[str, dict[str, Any]]) -> list[int]:
        return [(await here.post(here.stranger, one)).status_code for one in told]

    assert await status(pledge(NOBODY), pledge(NOBODY, "p-9"), pledge(NOBODY, "p-own")) == [202, 202, 429]
    assert await status(("case.closed", {**CLOSE[1], "case": "c-9"}), CLOSE) == [202, 202]
    assert await status(vouch(NOBODY), vouch(NOBODY, "c-9")) == [429, 429], "no more vouchers, of whatever case"


async def test_what_a_restart_reads_again_is_told_as_before(town: Callable[..., Any]) -> None:
    here = await town()
    await here.hears(here.stranger, pledge(BENEFICIARY))
    guesses = [*(f"mailto:u{number}@example.org" for number in range(30)), BENEFICIARY]
    before = await here.hears(here.stranger, *map(pledge, guesses))
    fresh = Town()
    fresh.seconds = 10_000.0
    fresh.kafka.records = here.kafka.records
    fresh.decide_all(appended_at=0.0)
    places = [n for n, out in enumerate(fresh.kafka.records) if out.topic == "pumasi.commands.v1"][-len(guesses) :]
    assert [fresh.progress.tell(Place(0, place)) for place in places] == before
    assert fresh.alarms == [], "it is no news"
    await fresh.client.aclose()
