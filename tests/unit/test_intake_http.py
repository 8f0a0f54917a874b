"""The HTTP door with a publisher that can be told to fail: what is answered, and that nothing is promised that is not kept."""

import asyncio
import http.client
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import uvicorn
from aiokafka import TopicPartition
from aiokafka.structs import RecordMetadata
from nacl.public import PrivateKey
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from schemas.ledger import GENESIS, entries
from schemas.times import parse
from services.bus.contacts import subject_of
from services.bus.produce.publisher import Outgoing, Pending
from services.bus.topics import COMMANDS, CONTACTS
from services.errors import ClockOff, Conflict, KafkaUnreachable
from services.intake import http as door_module
from services.intake import sequencer as desk_module
from services.intake.admission import Admitted, admit
from services.intake.clock import Clock
from services.intake.cloudevents import read_http
from services.intake.contacts import Sealer
from services.intake.doorway import Doorway, hosts_of
from services.intake.findings import FINDINGS_MAX
from services.intake.floods import Floods
from services.intake.funds import Funds
from services.intake.http import BODIES_PER_SENDER_MAX, BODY_BYTES_MAX, HttpDoor
from services.intake.makers import Makers
from services.intake.progress import Progress
from services.intake.rates import Rates
from services.intake.receipts import Place, Receipts
from services.intake.repeats import Repeats
from services.intake.senders import Anyone, Known, Senders
from services.intake.sequencer import Desk
from services.metrics import Metrics
from services.news import Flood
from tests.records import CommandRecord

KEY = b"k" * 32
MINUTE = 60 * 10**6


class Ledger:
    """A publisher by hand: keeps what it is given, confirms when told to."""

    deadline_seconds = 5.0

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.clock = lambda: 0
        self.in_reach, self.confirming = asyncio.Event(), asyncio.Event()
        self.in_reach.set()
        self.confirming.set()
        self.fails_at: str | None = None

    def partitions(self, _topic: str) -> int:
        return 4

    async def enqueue(self, records: list[Outgoing]) -> Pending:
        if self.fails_at == "enqueue":
            raise KafkaUnreachable("out of reach")
        start = len(self.records)
        self.records += records
        return Pending(None, [self._placed(start + n) for n in range(len(records))])

    def _placed(self, offset: int) -> asyncio.Future:
        """Where and when a record was appended: when it was stamped, unless its broker's clock is another."""
        place, placed = TopicPartition(COMMANDS, 0), asyncio.get_running_loop().create_future()
        placed.set_result(RecordMetadata(COMMANDS, 0, place, offset, self.clock() // 1000, 1, 0))
        return placed

    async def confirm(self, pending: Pending) -> list[int]:
        await self.confirming.wait()
        if self.fails_at == "confirm":
            raise KafkaUnreachable("out of reach")
        return [future.result().offset for future in pending.futures]

    def commands(self) -> list[Outgoing]:
        return [record for record in self.records if record.topic == COMMANDS and record.key is not None]

    def ticks(self) -> list[Outgoing]:
        return [record for record in self.records if record.topic == COMMANDS and record.key is None]


class Bench:
    """A door, its publisher and a client."""

    def __init__(
        self,
        trust_time: bool = False,
        requests_max: int = 64,
        amiss: Callable[[], tuple[str, str] | None] = lambda: None,
        senders: Senders | None = None,
        rates: Rates | None = None,
        body_seconds: float = 20.0,
        makers_max: int = 100,
    ) -> None:
        self.kafka, self.now, self.off = Ledger(), parse("2026-11-22T10:00:00Z"), 0
        self.seconds, self.alarms = 0.0, list[Flood]()
        floods = Floods(self.alarms.append, lambda: self.seconds)
        self.progress = Progress(makers=Makers(makers_max, floods) if senders else None)
        self.receipts = Receipts(KEY)
        self.repeats, self.elsewhere = Repeats(self.progress), list[CommandRecord]()
        self.kafka.clock = lambda: self.now
        self.clock = Clock(lambda: self.now + self.off)
        self.clock.heard(self.now, [self.now])
        self.metrics = Metrics("intake")
        desk = Desk(self.kafka, self.repeats, self.caught_up, 60, trust_time, self.clock, metrics=self.metrics)  # type: ignore[arg-type]
        sealer = Sealer(KEY, PrivateKey.generate().public_key)
        self.senders: Any = senders or Anyone()
        who = (self.senders, rates or Rates(), floods)
        more = {"body_seconds": body_seconds, "metrics": self.metrics}
        door = HttpDoor(desk, sealer, self.receipts, self.progress, self.kafka, *who, requests_max, amiss, **more)  # type: ignore[arg-type]
        self.desk, self.app, self.sealer, self.waiters = desk, door.application(), sealer, door.waiters
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://intake")

    async def caught_up(self) -> None:
        """Hear now what other intakes published before."""
        for record in self.elsewhere:
            self.repeats.follow(record, 4)

    async def send(self, *events: dict[str, Any]) -> httpx.Response:
        if len(events) == 1:
            headers, body = {"content-type": "application/cloudevents+json"}, json.dumps(events[0])
        else:
            headers, body = {"content-type": "application/cloudevents-batch+json"}, json.dumps(events)
        return await self.client.post("/v1/events", content=body, headers=headers)

    def decide(self, place: Place, fact: dict[str, Any], kind: str = "pumasi.pledge.made") -> None:
        """Hear from the ledger what became of the command at `place`."""
        cause = {"id": "e", "type": kind, "offset": place.offset}
        for _, value, _ in entries(1, GENESIS, "jilin", "2026-11-22T10:00:00Z", cause, [fact]):
            self.progress.fold(CommandRecord("ledger", place.partition, 0, None, value, ()))

    def read(self, place: Place, at: float | None = None) -> None:
        """Hear from the commands topic what was sent to `place`, and appended at a time, in seconds: else now."""
        out = self.kafka.records[place.offset]
        headers, at_ms = tuple(out.headers), int((self.seconds if at is None else at) * 1000)
        self.repeats.follow(
            CommandRecord(out.topic, out.partition, place.offset, out.key, out.value, headers, at_ms), 4
        )

    async def told(self, receipt: str) -> dict[str, Any]:
        return (await self.client.get(f"/v1/receipts/{receipt}")).json()

    async def sent(self, *events: dict[str, Any]) -> tuple[str, Place]:
        """The receipt of the last of events that are taken, and the place it tells."""
        response = await self.send(*events)
        assert response.status_code == 202, response.text
        receipt = response.json()["accepted"][-1]["receipt"]
        return receipt, self.receipts.read(receipt)

    def admitted(self, event: dict[str, Any]) -> Admitted:
        """As the topic's door admits it."""
        [[one], _] = read_http([("content-type", "application/cloudevents+json")], json.dumps(event).encode())
        return admit(one, self.sealer, clear_contact=False)


REFUSED = {"fact": "rejected", "code": "unknown_fund", "detail": "no fund jilin"}
PLEDGED = {
    "fact": "pledge_accepted", "pledge": "p-1", "donor": "d-1", "amount": 5, "face": 5, "currency": "CNY", "rate": "1",
}  # fmt: skip
FACTS = [{"fact": "duplicate"}, PLEDGED]


@pytest.fixture(autouse=True)
def _short_of_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no matcher here: who waits for a decision waits in vain, unless the test decides."""
    monkeypatch.setattr(desk_module, "PATIENCE_SECONDS", 0.01)


@pytest.fixture
async def bench() -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        made.append(Bench(**options))
        return made[-1]

    yield make
    for one in made:
        await one.client.aclose()


def pledge(number: int, time: str | None = None, **data: Any) -> dict[str, Any]:
    told = {"fund": "jilin", "donor": "d-1", "amount": 5, "currency": "CNY", **data}
    event = {"specversion": "1.0", "id": f"e-{number}", "source": "/forms", "type": "pumasi.pledge.made", "data": told}
    return {**event, "time": time} if time else event


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    return body["status"], body["code"]


async def test_an_accepted_event_is_told_its_ids_and_a_receipt(bench: Callable[..., Bench]) -> None:
    one = bench()
    response = await one.send(pledge(1))
    [accepted] = response.json()["accepted"]
    [command] = one.kafka.commands()
    assert response.status_code == 202
    assert accepted == {
        "id": "e-1",
        "fund": "jilin",
        "pledge": json.loads(command.value)["pledge"],
        "receipt": accepted["receipt"],
    }
    receipt = await one.client.get(f"/v1/receipts/{accepted['receipt']}")
    assert receipt.json() == {"receipt": accepted["receipt"], "state": "accepted"}


async def test_a_receipt_says_nothing_where_the_ledger_is_newer_than_this_intake(bench: Callable[..., Bench]) -> None:
    one = bench()
    receipt, place = await one.sent(pledge(1))
    one.decide(place, {"fact": "covered", "pledge": "p-1", "amount": 5})
    told = await one.client.get(f"/v1/receipts/{receipt}")
    assert problem(told) == (503, "unknown_fact")
    assert "the fact covered is unknown" in told.json()["detail"]


NUMBER = "wx-138.0013.8000"


@pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
@pytest.mark.parametrize("given", ["partition:1/offset:24", NUMBER, "x" * 256, "a b", 'e"\\'])
async def test_any_id_is_taken_and_echoed_to_its_sender_and_to_nobody_else(
    bench: Callable[..., Bench], mode: str, given: str
) -> None:
    one = bench()

    async def send(data: dict[str, Any]) -> httpx.Response:
        event = {**pledge(1, **data), "id": given}
        if mode == "binary":
            headers = {f"ce-{name}": event[name] for name in ("specversion", "id", "source", "type")}
            return await one.client.post("/v1/events", json=event["data"], headers=headers)
        return await one.send(*[event] * (1 + (mode == "batch")))

    first, again = await send({}), await send({})
    assert (first.status_code, first.json()) == (202, again.json())
    assert {told["id"] for told in first.json()["accepted"]} == {given}
    [command] = one.kafka.commands()
    stands = dict(command.headers)["ce_id"].decode()
    assert re.fullmatch("~[a-z2-7]{26}", stands)
    assert given not in repr(one.kafka.records)
    assert problem(await send({"amount": 6})) == (409, "id_conflict")
    one.repeats.follow(CommandRecord(command.topic, 0, 0, command.key, command.value, command.headers), 1)
    assert (await send({})).json() == first.json()


async def test_an_id_beyond_256_characters_is_refused(bench: Callable[..., Bench]) -> None:
    response = await bench().send({**pledge(1), "id": "x" * 257})
    assert (problem(response), response.json()["errors"][0]["pointer"]) == ((422, "invalid_submission"), "/id")


@pytest.mark.parametrize(
    ("kind", "data", "pointer", "code"),
    [
        ("pledge.made", {"pledge": NUMBER}, "/data/pledge", "looks_like_contact"),
        ("pledge.made", {"fund": NUMBER}, "/data/fund", "looks_like_contact"),
        ("pledge.made", {"donor": "13800138000"}, "/data/donor", "looks_like_contact"),
        ("payment.failed", {"pledge": "p-1", "reason": NUMBER}, "/data/reason", "looks_like_contact"),
        ("case.thanked", {"case": "c-1", "thanks": "I.am-Kim"}, "/data/thanks", "wrong_form"),
        ("case.thanked", {"case": "c-1", "thanks": "S2lt" * 30}, "/data/thanks", "not_sealed"),
        ("pledge.made", {"donor": None, "sealed_contact": "S2lt" * 30}, "/data/sealed_contact", "not_sealed"),
    ],
)
async def test_nobody_can_be_called_by_what_is_sent(
    bench: Callable[..., Bench], kind: str, data: dict[str, Any], pointer: str, code: str
) -> None:
    one = bench()
    given = {**pledge(1, **data)["data"]} if kind == "pledge.made" else {"fund": "jilin", **data}
    response = await one.send({**pledge(1), "type": f"pumasi.{kind}", "data": given})
    assert problem(response) == (422, "invalid_submission")
    assert (pointer, code) in {(found["pointer"], found["code"]) for found in response.json()["errors"]}
    assert one.kafka.records == []


@pytest.mark.parametrize(
    "source", [f"/forms/{NUMBER}", "/forms?name=%EA%B9%80", "/forms/%EA%B9%80", "/kim@example.org"]
)
async def test_a_source_that_may_tell_of_somebody_is_refused(bench: Callable[..., Bench], source: str) -> None:
    response = await bench().send({**pledge(1), "source": source})
    assert (problem(response), response.json()["errors"][0]["pointer"]) == ((422, "invalid_submission"), "/source")


async def test_a_payments_answer_names_what_stands_on_the_bus(bench: Callable[..., Bench]) -> None:
    one = bench()
    data = {"fund": "jilin", "pledge": "p-1", "payment": "13800138000", "amount": 5}
    [told] = (await one.send({**pledge(1), "type": "pumasi.payment.received", "data": data})).json()["accepted"]
    assert told["payment"] == json.loads(one.kafka.commands()[0].value)["payment"] != "13800138000"
    back = {**data, "payment": told["payment"]}
    [again] = (await one.send({**pledge(2), "type": "pumasi.payment.refunded", "data": back})).json()["accepted"]
    assert again["payment"] == told["payment"]


async def test_a_repeat_gets_the_same_answer_and_no_second_command(bench: Callable[..., Bench]) -> None:
    one = bench()
    first = await one.send(pledge(1))
    again = await one.send(pledge(1))
    twice_in_one = await one.send(pledge(1), pledge(1), pledge(2), pledge(2))
    assert again.json() == first.json()
    assert [a["id"] for a in twice_in_one.json()["accepted"]] == ["e-1", "e-1", "e-2", "e-2"]
    assert len(one.kafka.commands()) == 2


async def test_repeats_at_the_same_moment_are_one_command(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.kafka.confirming.clear()
    sending = [asyncio.create_task(one.send(pledge(1))) for _ in range(5)]
    while not one.kafka.commands():
        await asyncio.sleep(0)
    one.kafka.confirming.set()
    answers = [(await task).json() for task in sending]
    assert len(one.kafka.commands()) == 1
    assert all(answer == answers[0] for answer in answers)


async def test_the_same_id_with_other_data_is_a_conflict_and_refuses_its_batch_whole(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    await one.send(pledge(1))
    assert problem(await one.send(pledge(1, amount=6))) == (409, "id_conflict")
    assert problem(await one.send(pledge(7), pledge(1, amount=6))) == (409, "id_conflict")
    assert problem(await one.send(pledge(8), pledge(8, amount=6))) == (409, "id_conflict")
    assert len(one.kafka.commands()) == 1


@pytest.mark.parametrize("amount", [5, 6])
async def test_a_refused_event_that_comes_again_corrected_or_not_is_a_new_command_that_the_old_receipt_names(
    bench: Callable[..., Bench], amount: int
) -> None:
    one = bench()
    old, place = await one.sent(pledge(1))
    one.decide(place, REFUSED)
    assert "superseded_by" not in await one.told(old)
    new, there = await one.sent(pledge(1, amount=amount))
    assert [json.loads(command.value)["amount"] for command in one.kafka.commands()] == [5, amount]
    assert [dict(command.headers).get("pumasi_supersedes") for command in one.kafka.commands()] == [
        None, str(place).encode(),
    ]  # fmt: skip
    assert await one.told(old) == {
        "receipt": old, "state": "rejected", "code": "unknown_fund", "detail": "no fund jilin", "superseded_by": new,
    }  # fmt: skip
    assert await one.told(new) == {"receipt": new, "state": "accepted"}
    assert (await one.sent(pledge(1, amount=amount)))[0] == new, "undecided, it is a repeat"
    one.decide(there, REFUSED)
    last, _ = await one.sent(pledge(1, amount=5))
    assert (await one.told(new))["superseded_by"] == last
    assert len(one.kafka.commands()) == 3


@pytest.mark.parametrize("fact", FACTS)
async def test_what_was_applied_or_told_duplicate_stays_a_repeat_or_a_conflict(
    bench: Callable[..., Bench], fact: dict[str, Any]
) -> None:
    one = bench()
    receipt, place = await one.sent(pledge(1))
    one.decide(place, fact)
    assert await one.sent(pledge(1)) == (receipt, place)
    assert problem(await one.send(pledge(1, amount=6))) == (409, "id_conflict")
    assert len(one.kafka.commands()) == 1


@pytest.mark.parametrize("amount", [5, 6])
async def test_an_event_that_comes_again_undecided_waits_for_the_decision_and_holds_up_nobody(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, amount: int
) -> None:
    monkeypatch.setattr(desk_module, "PATIENCE_SECONDS", 30.0)
    one = bench()
    old, place = await one.sent(pledge(1))
    again = asyncio.create_task(one.sent(pledge(1, amount=amount), pledge(1, amount=amount)))
    await one.sent(pledge(2))
    assert not again.done()
    one.decide(place, REFUSED)
    new, _ = await again
    assert (await one.told(old))["superseded_by"] == new
    assert len(one.kafka.commands()) == 3, "twice in one batch it is one event"


async def test_no_more_than_so_many_wait_for_decisions_at_once(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "PATIENCE_SECONDS", 30.0)
    monkeypatch.setattr(desk_module, "WAITING_MAX", 2)
    one = bench()
    receipt, place = await one.sent(pledge(1))
    waiting = [asyncio.create_task(one.sent(pledge(1))) for _ in range(2)]
    while one.desk._waiting < 2:
        await asyncio.sleep(0)
    assert (await one.sent(pledge(1)))[0] == receipt
    assert not any(task.done() for task in waiting)
    one.decide(place, FACTS[1])
    assert {(await task)[0] for task in waiting} == {receipt}


async def test_a_new_command_that_may_not_have_arrived_is_tried_anew_in_the_refused_ones_place(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    old, place = await one.sent(pledge(1))
    one.decide(place, REFUSED)
    one.kafka.fails_at = "confirm"
    assert problem(await one.send(pledge(1))) == (503, "kafka_unreachable")
    one.kafka.fails_at = None
    assert "superseded_by" not in await one.told(old)
    new, _ = await one.sent(pledge(1))
    assert (await one.told(old))["superseded_by"] == new
    assert dict(one.kafka.commands()[-1].headers)["pumasi_supersedes"] == str(place).encode()


def lying(command: Outgoing, offset: int) -> CommandRecord:
    return CommandRecord(COMMANDS, command.partition, offset, command.key, command.value, tuple(command.headers))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
async def test_every_intake_learns_from_the_topic_what_took_a_refused_commands_place_in_whatever_order_it_reads(
    bench: Callable[..., Bench], order: tuple[int, ...]
) -> None:
    there, here = bench(), bench()
    receipts = []
    for amount, fund in ((5, "jilin"), (6, "yanji"), (7, "jilin")):  # corrected into another fund, and back
        receipt, place = await there.sent(pledge(1, amount=amount, fund=fund))
        receipts.append(receipt)
        for one in (there, here):
            one.decide(place, REFUSED if amount < 7 else FACTS[1])
    told = [lying(command, offset) for offset, command in enumerate(there.kafka.commands())]
    assert told[0].partition != told[1].partition
    for number in order:
        here.repeats.follow(told[number], 4)
    assert [(await here.told(receipt)).get("superseded_by") for receipt in receipts] == [*receipts[1:], None]
    assert (await here.sent(pledge(1, amount=7)))[0] == receipts[-1]
    assert here.kafka.commands() == []


async def test_of_two_intakes_that_are_sent_a_refused_event_at_once_the_first_on_the_topic_takes_its_place(
    bench: Callable[..., Bench],
) -> None:
    one, other = bench(), bench()
    old, place = await one.sent(pledge(1))
    other.repeats.follow(lying(one.kafka.commands()[0], place.offset), 4)
    other.kafka.records = [*one.kafka.records, one.kafka.commands()[0]._replace(key=b"another")]
    for intake in (one, other):
        intake.decide(place, REFUSED)
    first, _ = await one.sent(pledge(1))
    second, _ = await other.sent(pledge(1))  # it lies behind the first, of which nothing is known here yet
    assert first != second
    other.repeats.follow(lying(one.kafka.commands()[1], 1), 4)
    one.repeats.follow(lying(other.kafka.commands()[-1], 2), 4)
    for intake in (one, other):
        assert (await intake.told(old))["superseded_by"] == first
        assert (await intake.sent(pledge(1)))[0] == first


async def test_where_nobody_asks_again_only_what_is_decided_is_passed_over_and_what_is_behind_it_waits(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    batch = [one.admitted(event) for event in (pledge(1), pledge(2), pledge(1), pledge(3))]
    assert await one.desk.take_decided(batch) == 2
    assert await one.desk.take_decided(batch[2:]) == 0, "the second waits for the first one's decision"
    place = Place(one.kafka.commands()[0].partition, 0)
    one.decide(place, REFUSED)
    assert await one.desk.take_decided(batch[2:]) == 2
    assert [dict(command.headers)["ce_id"] for command in one.kafka.commands()] == [b"e-1", b"e-2", b"e-1", b"e-3"]
    assert dict(one.kafka.commands()[2].headers)["pumasi_supersedes"] == str(place).encode()
    one.decide(Place(place.partition, 2), FACTS[1])
    assert await one.desk.take_decided([one.admitted(pledge(1))]) == 1
    with pytest.raises(Conflict):
        await one.desk.take_decided([one.admitted(pledge(1, amount=6))])
    assert len(one.kafka.commands()) == 4


async def test_where_nobody_asks_again_an_event_on_its_way_by_another_door_is_waited_for(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    one.kafka.confirming.clear()
    sending = asyncio.create_task(one.sent(pledge(1)))
    while not one.kafka.commands():
        await asyncio.sleep(0)
    assert await one.desk.take_decided([one.admitted(pledge(1, amount=6))]) == 0
    one.kafka.confirming.set()
    _, place = await sending
    assert await one.desk.take_decided([one.admitted(pledge(1, amount=6))]) == 0
    one.decide(place, REFUSED)
    assert await one.desk.take_decided([one.admitted(pledge(1, amount=6))]) == 1


async def test_what_another_intake_let_pass_before_is_the_true_one_and_its_repeat_is_not_refused(
    bench: Callable[..., Bench],
) -> None:
    there, here = bench(), bench()
    await there.send(pledge(0))
    true = (await there.send(pledge(1))).json()
    [_, first] = there.kafka.commands()
    await here.send(*map(pledge, range(10, 20)))
    misused = (await here.send(pledge(1, amount=6))).json()  # its id came there before, which is not known here yet
    assert misused["accepted"]
    here.elsewhere = [CommandRecord(COMMANDS, first.partition, 1, first.key, first.value, first.headers)]
    assert (await here.send(pledge(1))).json() == true
    assert problem(await here.send(pledge(1, amount=6))) == (409, "id_conflict")
    assert len(here.kafka.commands()) == 11


async def test_what_another_intake_lets_pass_while_ours_is_on_its_way_comes_first(bench: Callable[..., Bench]) -> None:
    there, here = bench(), bench()
    await there.send(pledge(1))
    [first] = there.kafka.commands()
    here.kafka.records = [first._replace(key=b"another")] * 5
    here.kafka.confirming.clear()
    sending = asyncio.create_task(here.send(pledge(1, amount=6)))
    while len(here.kafka.records) < 6:
        await asyncio.sleep(0)
    here.elsewhere = [CommandRecord(COMMANDS, first.partition, 3, first.key, first.value, first.headers)]
    repeating = asyncio.create_task(here.send(pledge(1)))
    await asyncio.sleep(0)
    here.kafka.confirming.set()
    assert (await sending).status_code == (await repeating).status_code == 202
    assert problem(await here.send(pledge(1, amount=6))) == (409, "id_conflict")


async def test_a_command_seen_on_the_topic_is_known_though_its_confirmation_failed(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.kafka.confirming.clear()
    sending = asyncio.create_task(one.send(pledge(1)))
    while not one.kafka.commands():
        await asyncio.sleep(0)
    [landed] = one.kafka.commands()
    one.repeats.follow(CommandRecord(COMMANDS, landed.partition, 1, landed.key, landed.value, landed.headers), 4)
    one.kafka.fails_at = "confirm"
    one.kafka.confirming.set()
    assert problem(await sending) == (503, "kafka_unreachable")
    one.kafka.fails_at = None
    assert (await one.send(pledge(1))).status_code == 202
    assert len(one.kafka.commands()) == 1


async def test_an_unreadable_record_under_an_id_stands_for_nothing(bench: Callable[..., Bench]) -> None:
    one = bench()
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-1"),
        ("ce_source", b"/forms"),
        ("ce_time", b"2026-11-28T10:00:00Z"),
    ]
    for kind, value in ((b"pumasi.pledge.made", b"not json"), (b"pumasi.pledge.made", b"{}"), (b"pumasi.nope", b"{}")):
        one.elsewhere.append(CommandRecord(COMMANDS, 0, 0, b"jilin", value, (*headers, ("ce_type", kind))))
    await one.caught_up()
    assert (await one.send(pledge(1))).status_code == 202


async def test_a_batch_is_all_or_nothing_and_keeps_its_order(bench: Callable[..., Bench]) -> None:
    one = bench()
    response = await one.send(pledge(1), pledge(2, amount=-1), pledge(3, bogus=1))
    assert problem(response) == (422, "invalid_submission")
    assert {(e["event"], e["pointer"]) for e in response.json()["errors"]} == {(1, "/data/amount"), (2, "/data/bogus")}
    assert one.kafka.records == []
    await one.send(*(pledge(n) for n in range(500)))
    assert [dict(r.headers)["ce_id"] for r in one.kafka.commands()] == [b"e-%d" % n for n in range(500)]


@pytest.mark.parametrize("where", ["enqueue", "confirm"])
async def test_there_is_no_202_without_kafkas_confirmation_and_a_repeat_is_tried_anew(
    bench: Callable[..., Bench], where: str
) -> None:
    one = bench()
    one.kafka.fails_at = where
    response = await one.send(pledge(1))
    assert problem(response) == (503, "kafka_unreachable")
    assert response.headers["retry-after"] == "1"
    one.kafka.fails_at, before = None, len(one.kafka.commands())
    assert (await one.send(pledge(1))).status_code == 202
    assert len(one.kafka.commands()) == before + 1


async def test_one_request_too_many_is_told_to_come_back(bench: Callable[..., Bench]) -> None:
    one = bench(requests_max=1)
    one.kafka.confirming.clear()
    first = asyncio.create_task(one.send(pledge(1)))
    while not one.kafka.commands():
        await asyncio.sleep(0)
    response = await one.send(pledge(2))
    assert problem(response) == (429, "too_busy")
    assert response.headers["retry-after"] == "1"
    one.kafka.confirming.set()
    assert (await first).status_code == 202
    assert (await one.send(pledge(2))).status_code == 202


class Named(Anyone):
    """Everybody is who they say they are."""

    def bearing(self, authorization: str | None) -> Known:
        return Known(authorization or "anyone")


async def test_bodies_that_do_not_come_hold_no_place_of_anybodys_but_of_their_own_sender(
    bench: Callable[..., Bench],
) -> None:
    one, come, begun = bench(requests_max=1, senders=Named()), asyncio.Event(), 0
    headers = {"content-type": "application/cloudevents+json"}
    neighbour = {**headers, "authorization": "a neighbour"}

    async def late() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        yield b"{"
        await come.wait()

    slow = [
        asyncio.create_task(one.client.post("/v1/events", content=late(), headers=headers))
        for _ in range(BODIES_PER_SENDER_MAX)
    ]
    while begun < BODIES_PER_SENDER_MAX:
        await asyncio.sleep(0)
    answer = await one.client.post("/v1/events", content=json.dumps(pledge(1)), headers=neighbour)
    assert answer.status_code == 202, "of the same address; their work has not begun, though their bodies have"
    assert problem(await one.send(pledge(2))) == (429, "too_busy")
    come.set()
    assert {problem(answer)[0] for answer in await asyncio.gather(*slow)} == {400}
    assert (await one.send(pledge(2))).status_code == 202


async def test_a_body_that_does_not_come_in_time_is_given_up(bench: Callable[..., Bench]) -> None:
    one = bench(requests_max=1, body_seconds=0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    headers = {"content-type": "application/cloudevents+json"}
    assert problem(await one.client.post("/v1/events", content=never(), headers=headers)) == (408, "too_slow")
    assert (await one.send(pledge(1))).status_code == 202


async def test_what_is_too_large_or_of_another_kind_is_refused(bench: Callable[..., Bench]) -> None:
    one = bench()
    headers = {"content-type": "application/cloudevents+json"}

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 65536 + 2):
            yield b" " * 65536

    for content in (b" " * (BODY_BYTES_MAX + 1), stream()):
        assert problem(await one.client.post("/v1/events", content=content, headers=headers)) == (413, "too_large")
    assert problem(await one.client.post("/v1/events", content="{}")) == (415, "unsupported_media_type")
    assert problem(await one.client.post("/v1/events", content="{", headers=headers)) == (400, "malformed")


async def test_another_path_or_method_is_led_to_the_right_one(bench: Callable[..., Bench]) -> None:
    one = bench()
    for path, method, allowed in (("/v1/events", "GET", ["POST"]), ("/livez", "POST", ["GET", "HEAD"])):
        other = await one.client.request(method, path)
        assert problem(other) == (405, "method_not_allowed")
        assert (other.headers["allow"], other.json()["detail"]) == (
            ", ".join(allowed),
            f"this path takes {' and '.join(allowed)}",
        )
    slashed, nowhere = await one.client.post("/v1/events/", json=pledge(1)), await one.client.get("/nowhere/")
    assert problem(slashed) == problem(nowhere) == (404, "not_found")
    assert slashed.json()["hint"] == "It is /v1/events, without a slash at its end."
    assert "hint" not in nowhere.json()


async def test_a_malformed_envelope_and_a_member_twice_are_400_with_a_pointer(bench: Callable[..., Bench]) -> None:
    one = bench()
    response = await one.send(pledge(1), {**pledge(2), "time": "noon"})
    assert problem(response) == (400, "malformed")
    assert (response.json()["pointer"], response.json()["event"]) == ("/time", 1)
    body = json.dumps(pledge(1)).replace('"donor"', '"fund": "harbin", "donor"')
    headers = {"content-type": "application/cloudevents+json"}
    assert problem(await one.client.post("/v1/events", content=body, headers=headers)) == (400, "malformed")
    headers = {f"ce-{name}": value for name, value in pledge(1).items() if name != "data"}
    twice = await one.client.post(
        "/v1/events", content='{"fund":"a","fund":"b"}', headers={**headers, "content-type": "application/json"}
    )
    assert problem(twice) == (400, "malformed")
    assert twice.json()["pointer"] == "/data"
    unnamed = await one.send({**pledge(1), "Not-An-Extension": "x"})
    assert problem(unnamed) == (400, "malformed")
    assert unnamed.json()["pointer"] == "/Not-An-Extension"
    more = {"knativearrivaltime": "2026-11-22T10:00:00Z", "traceparent": "00-1", "partitionkey": "k", "sequence": 5}
    assert (await one.send({**pledge(1), **more})).status_code == 202
    assert len(one.kafka.records) == 1


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "20311231", "1999-12-31T23:59:59Z"]
)
async def test_a_time_out_of_bounds_is_told_with_its_place_and_nothing_breaks(
    bench: Callable[..., Bench], time: str
) -> None:
    one = bench(trust_time=True)
    event = pledge(1)
    response = await one.send({**event, "data": {**event["data"], "expires_at": time}})
    assert problem(response) == (422, "invalid_submission")
    assert [(found["pointer"], found["code"]) for found in response.json()["errors"]] == [
        ("/data/expires_at", "invalid_time")
    ]
    response = await one.send({**event, "time": time})
    assert problem(response) == (400, "malformed")
    assert response.json()["pointer"] == "/time"
    headers = {f"ce-{name}": value for name, value in event.items() if name != "data"} | {"ce-time": time}
    response = await one.client.post("/v1/events", json=event["data"], headers=headers)
    assert problem(response) == (400, "malformed")
    assert one.kafka.records == []


async def test_a_client_that_sends_all_before_it_reads_sees_413(
    bench: Callable[..., Bench], unused_tcp_port: int
) -> None:
    one = bench()
    server = uvicorn.Server(uvicorn.Config(one.app, port=unused_tcp_port, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)

    def send(body: Any, chunked: bool) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", unused_tcp_port, timeout=20)
        try:
            headers = {"content-type": "application/cloudevents+json", "connection": "close"}  # as urllib does
            connection.request("POST", "/v1/events", body, headers, encode_chunked=chunked)
            return connection.getresponse().status
        finally:
            connection.close()

    try:
        for size in (BODY_BYTES_MAX + 1, 32 << 20):
            assert await asyncio.to_thread(send, b" " * size, False) == 413
            assert await asyncio.to_thread(send, iter([b" " * 65536] * (size // 65536 + 1)), True) == 413
    finally:
        server.should_exit = True
        await serving


async def test_a_receipt_that_intake_did_not_write_is_unknown(bench: Callable[..., Bench]) -> None:
    one = bench()
    good = one.receipts.write(Place(3, 99))
    assert one.receipts.read(good) == Place(3, 99)
    foreign = Receipts(b"other" * 6).write(Place(3, 99))
    for text in (foreign, good[:-1], "A" * 22, good[::-1]):
        assert problem(await one.client.get(f"/v1/receipts/{text}")) == (404, "unknown_receipt")


async def test_trusted_time_is_stamped_and_ticks_go_before_the_event_that_brings_the_time(
    bench: Callable[..., Bench],
) -> None:
    one = bench(trust_time=True)
    times = ["2026-11-22T10:00:00Z", "2026-11-22T10:00:59Z", "2026-11-22T10:01:00Z", "2026-11-23T00:00:00Z"]
    await one.send(*(pledge(n, time) for n, time in enumerate(times)))
    told = [(r.key is None, dict(r.headers)["ce_time"].decode()) for r in one.kafka.records]
    ticks = {time: [(True, time)] * 4 for time in times}
    events = {time: [(False, time)] for time in times}
    assert told == [
        *ticks[times[0]], *events[times[0]], *events[times[1]], *ticks[times[2]], *events[times[2]],
        *ticks[times[3]], *events[times[3]],
    ]  # fmt: skip
    assert [r.partition for r in one.kafka.ticks()[:4]] == [0, 1, 2, 3]
    assert {r.value for r in one.kafka.ticks()} == {b"{}"}


async def test_untrusted_time_is_intakes_own(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.now += 5 * MINUTE + 987_654  # which nobody has to know
    await one.send(pledge(1, "2030-01-01T00:00:00Z"))
    assert dict(one.kafka.commands()[0].headers)["ce_time"] == b"2026-11-22T10:05:00Z"
    assert one.kafka.ticks() == []
    await one.desk.tick()
    assert [(r.partition, dict(r.headers)["ce_source"]) for r in one.kafka.ticks()] == [
        (n, b"/pumasi/intake") for n in range(4)
    ]


async def test_a_tick_that_did_not_go_out_is_brought_again(bench: Callable[..., Bench]) -> None:
    one = bench(trust_time=True)
    one.kafka.fails_at = "enqueue"
    await one.send(pledge(1, "2026-11-22T10:00:00Z"))
    one.kafka.fails_at = None
    await one.send(pledge(1, "2026-11-22T10:00:00Z"))
    assert len(one.kafka.ticks()) == 4


async def test_no_contact_reaches_a_record_an_answer_or_the_log(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    one, secret = bench(), "mailto://kim.cholsu@example.org"
    caplog.set_level(0)
    data = {"donor": None, "contact": {"address": secret}}
    good = await one.send(pledge(1, **data))
    bad = await one.send(pledge(2, **data, amount="kim.cholsu", fund="kim.cholsu@example.org"))
    assert (good.status_code, bad.status_code) == (202, 422)
    contact = next(record for record in one.kafka.records if record.topic == CONTACTS)
    assert subject_of(contact.key) == json.loads(one.kafka.commands()[0].value)["donor"].encode()
    assert one.kafka.records.index(contact) < one.kafka.records.index(one.kafka.commands()[0])
    everything = repr(one.kafka.records) + good.text + bad.text + caplog.text
    assert "cholsu" not in everything


def stamps(records: list[Outgoing]) -> set[bytes | None]:
    return {dict(record.headers).get("pumasi_clock") for record in records}


async def test_what_the_wall_clock_stamps_says_so_and_what_has_a_trusted_time_does_not(
    bench: Callable[..., Bench],
) -> None:
    time = "2026-11-22T10:00:00Z"
    one, trusting, asked = bench(), bench(trust_time=True), bench(trust_time=True)
    await one.send(pledge(1, time))
    await one.desk.tick()
    await trusting.send(pledge(1, time))
    await asked.send(pledge(1))
    assert stamps(one.kafka.records) == stamps(asked.kafka.records) == {b"wall"}
    assert stamps(trusting.kafka.records) == {None}


@pytest.mark.parametrize("direction", [1, -1])
async def test_an_intake_that_sees_its_clock_off_stamps_only_probes_and_takes_again_once_it_is_right(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture, direction: int
) -> None:
    one = bench()
    one.now = 10**9 * MINUTE
    one.off = direction * 2 * MINUTE
    assert (await one.send(pledge(1))).status_code == 202, "as far as it may be"
    one.off += direction
    assert (await one.send(pledge(2))).status_code == 202, "who stamps the first can't know yet; the matcher refuses it"
    for _ in range(2):
        response = await one.send(pledge(3))
        assert problem(response) == (503, "clock_off")
        assert response.headers["retry-after"] == "1"
        assert problem(await one.client.get("/healthz")) == (503, "clock_off")
        await one.desk.tick()
    assert len(one.kafka.commands()) == 2
    assert len(one.kafka.ticks()) == 8, "these are the probes"
    assert [r.levelname for r in caplog.records] == ["CRITICAL"]
    one.off = 0
    assert problem(await one.send(pledge(3))) == (503, "clock_off"), "until a probe has told"
    await one.desk.tick()
    assert (await one.client.get("/healthz")).json() == {"status": "ok"}
    assert (await one.send(pledge(3))).status_code == 202
    assert [r.levelname for r in caplog.records] == ["CRITICAL", "WARNING"]


@pytest.mark.parametrize(("clock", "said"), [(0, b"2000-01-01T00:00:00Z"), (10**18, b"2199-12-31T23:59:59Z")])
async def test_a_clock_as_wrong_as_one_can_be_still_sends_ticks_that_can_be_read(
    bench: Callable[..., Bench], clock: int, said: bytes
) -> None:
    one = bench()
    one.now = 30_000_000 * MINUTE  # 2027
    one.off = clock - one.now
    await one.desk.tick()
    assert {dict(tick.headers)["ce_time"] for tick in one.kafka.ticks()} == {said}
    assert problem(await one.send(pledge(1))) == (503, "clock_off")


async def test_while_the_pseudonym_key_changes_no_fund_begins_and_all_else_goes_on(bench: Callable[..., Bench]) -> None:
    one = bench()
    funds = Funds({0: b"1" * 32, one.now + MINUTE: b"2" * 32}, lambda: one.now)
    one.desk._hold_fund = funds.hold
    begins = {**pledge(1), "type": "pumasi.fund.configured", "data": {"fund": "jilin", "currency": "CNY"}}
    assert problem(await one.send(begins)) == (503, "key_changing")
    assert (await one.send(pledge(2))).status_code == 202
    funds.began("jilin", 0)
    assert (await one.send(begins)).status_code == 202, "it is there already"
    one.now += 10 * MINUTE
    there = {**begins, "id": "e-9", "data": {"fund": "yanbian", "currency": "CNY"}}
    assert (await one.send(there)).status_code == 202


async def test_nothing_is_stamped_before_kafka_has_told_the_time(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.clock.right.clear()
    assert problem(await one.send(pledge(1))) == (503, "kafka_unreachable")
    assert problem(await one.client.get("/healthz")) == (503, "kafka_unreachable")
    await one.desk.tick()
    assert (await one.send(pledge(1))).status_code == 202


def test_a_late_confirmation_says_nothing_of_the_clock() -> None:
    """It was appended somewhen between stamp and hearing; only what is certain counts."""
    now = 0
    clock = Clock(lambda: now)
    clock.heard(0, [0])
    now = 10 * MINUTE
    clock.heard(0, [5 * MINUTE])
    clock.check()
    clock.heard(0, [now + 2 * MINUTE + 1])
    with pytest.raises(ClockOff):
        clock.check()
    clock.heard(0, [5 * MINUTE])
    with pytest.raises(ClockOff):
        clock.check()
    clock.heard(now, [])
    with pytest.raises(ClockOff):
        clock.check()
    clock.heard(now - 1, [now + 2 * MINUTE - 1])
    clock.check()


async def test_trusted_time_needs_no_clock(bench: Callable[..., Bench]) -> None:
    one = bench(trust_time=True)
    one.clock.right.clear()
    one.clock.off = 1
    assert (await one.send(pledge(1, "2026-11-22T10:00:00Z"))).status_code == 202
    assert (await one.client.get("/healthz")).json() == {"status": "ok"}


async def test_health_is_kafkas(bench: Callable[..., Bench]) -> None:
    one = bench()
    assert (await one.client.get("/healthz")).json() == {"status": "ok"}
    one.kafka.in_reach.clear()
    assert problem(await one.client.get("/healthz")) == (503, "kafka_unreachable")


def contacts(number: int, address: str) -> dict[str, Any]:
    event = pledge(number, contact={"address": address})
    del event["data"]["donor"]
    return event


GREEDY = {
    "addresses that NFKC makes 18 times as long": lambda: [
        contacts(n, "mailto:" + "\ufdfa" * 1000) for n in range(1000)
    ],
    "contacts to be sealed": lambda: [contacts(n, f"mailto:{n}@{'x' * 1000}.org") for n in range(1000)],
    "good pledges": lambda: [pledge(n) for n in range(1000)],
    "findings by the thousand": lambda: [pledge(n, **{f"a{m}": 0 for m in range(380)}) for n in range(1000)],
    "long strings": lambda: [pledge(n, donor="x" * 4_000) for n in range(1000)],
    "blanks": lambda: [pledge(n, fund=" " * 60_000) for n in range(66)],
    "small objects": lambda: [{**pledge(n), "data": [{}] * 990} for n in range(1000)],
    "small objects in one event": lambda: [{**pledge(0), "data": [{}] * 1_300_000}],
    "nothing but numbers": lambda: [0] * 2_000_000,
}


@pytest.mark.parametrize("what", GREEDY)
async def test_no_batch_holds_up_the_others_and_what_is_said_of_it_is_bounded(
    bench: Callable[..., Bench], what: str
) -> None:
    one, held = bench(), [0.0]
    body = json.dumps(GREEDY[what](), ensure_ascii=False, separators=(",", ":")).encode()[:BODY_BYTES_MAX]
    headers = {"content-type": "application/cloudevents-batch+json"}

    async def heart() -> None:
        while True:
            before = time.thread_time()  # others may hold the processor, too
            await asyncio.sleep(0)
            held.append(time.thread_time() - before)

    beating = asyncio.create_task(heart())
    response = await one.client.post("/v1/events", content=body, headers=headers)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    beating.cancel()
    print(f"{what}: {len(body)} bytes, {response.status_code}, longest hold {max(held) * 1000:.0f} ms")
    assert max(held) < 0.25  # some 30 ms
    assert len(response.content) < 512 * 1024
    if response.status_code == 422:
        errors = response.json()["errors"]
        assert len(errors) <= FINDINGS_MAX + 1
        if len(errors) > FINDINGS_MAX:
            assert errors[-1]["code"] == "more"
            assert not errors[-1]["pointer"]


async def test_what_nobody_foresaw_in_an_event_is_a_400_and_in_our_own_code_a_500_and_no_log_tells_of_it(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OverflowError("Kim Cholsu")

    one = bench()
    with monkeypatch.context() as patch:
        patch.setattr(door_module, "admit", fail)
        response = await one.send(pledge(1))
        assert problem(response) == (400, "malformed")
        assert problem(await one.send(pledge(1), pledge(2))) == (400, "malformed")
        assert "OverflowError" in response.json()["detail"]
    with monkeypatch.context() as patch:
        patch.setattr(one.desk, "take", fail)
        broken = await one.send(pledge(1))
        assert problem(broken) == (500, "internal")
    assert "Cholsu" not in caplog.text + response.text + broken.text
    assert "Traceback" not in caplog.text
    assert {record.levelno for record in caplog.records if record.name == "pumasi.intake"} == {logging.ERROR}
    assert (await one.send(pledge(1))).status_code == 202


async def test_ready_is_who_will_be_answered_and_alive_who_serves(bench: Callable[..., Bench]) -> None:
    amiss: list[tuple[str, str]] = []
    one = bench(amiss=lambda: amiss[0] if amiss else None)
    for path in ("/livez", "/readyz", "/healthz"):
        assert (await one.client.get(path)).json() == {"status": "ok"}
    amiss.append(("not_answered", "a command in partition 2 has no answer for 61 s"))
    for path in ("/readyz", "/healthz"):
        response = await one.client.get(path)
        assert problem(response) == (503, "not_answered")
        assert response.json()["detail"] == amiss[0][1]
    one.kafka.in_reach.clear()
    assert problem(await one.client.get("/readyz")) == (503, "kafka_unreachable")
    assert (await one.client.get("/livez")).status_code == 200


# ---- the doorway -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"host": "localhost:8080"}, 200, None),
        ({"host": "[::1]:8080"}, 200, None),
        ({"host": "door.example.org"}, 200, None),
        ({"host": "evil.example.org"}, 421, "unknown_host"),
        ({"host": "evil.example.org#localhost"}, 421, "unknown_host"),
        ({"host": ""}, 421, "unknown_host"),
        ({"host": "localhost", "origin": "https://evil.example.org"}, 403, "foreign_origin"),
        ({"host": "localhost", "origin": "null"}, 403, "foreign_origin"),
        ({"host": "localhost", "origin": "http://localhost:8080"}, 200, None),
    ],
)
async def test_a_door_answers_to_its_names_alone_and_to_no_other_sites_page(
    headers: dict[str, str], status: int, code: str | None
) -> None:
    hosts = hosts_of(None, "door.example.org")
    inner = Starlette(routes=[Route("/", lambda _request: Response("fine"))])
    transport = httpx.ASGITransport(app=Doorway(inner, hosts))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get("/", headers=headers)
    assert answer.status_code == status
    assert code is None or answer.json()["code"] == code
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_names_may_be_given_in_place_of_this_machines() -> None:
    assert hosts_of(" A.example.org,b.example.org", "0.0.0.0") == {"a.example.org", "b.example.org"}


async def test_metrics_tell_requests_by_the_path_as_it_is_documented_and_refusals_by_code() -> None:
    one = Bench()
    await one.send(pledge(1))
    await one.send({"specversion": "1.0"})
    await one.client.get("/v1/receipts/a-secret")
    await one.client.request("BREW", "/a-secret")
    told = (await one.client.get("/metrics")).text
    assert "a-secret" not in told
    assert "BREW" not in told
    counts = re.findall(r'pumasi_http_request_seconds_count{method="(\w+)",route="([^"]+)",status="(\d+)"} (.+)', told)
    assert set(counts) == {
        ("POST", "/v1/events", "202", "1.0"),
        ("POST", "/v1/events", "400", "1.0"),
        ("GET", "/v1/receipts/{receipt}", "404", "1.0"),
        ("other", "other", "404", "1.0"),
    }
    assert 'pumasi_refusals_total{code="malformed",door="http"} 1.0\n' in told
    assert 'pumasi_events_total{door="http",outcome="refused"} 1.0\n' in told
    assert "unknown_receipt" not in told, "no event was refused"
    assert 'pumasi_events_total{door="http",outcome="accepted"} 1.0\n' in told


async def test_whoever_asks_for_metrics_too_often_hears_429() -> None:
    one = Bench(rates=Rates(0, 2))
    assert [(await one.client.get("/metrics")).status_code for _ in range(3)] == [200, 200, 429]
