"""The HTTP door with a publisher that can be told to fail: what is answered, and that nothing is promised that is not kept."""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import uvicorn
from aiokafka import TopicPartition
from aiokafka.structs import RecordMetadata
from nacl.public import PrivateKey

from services.bus.publisher import Outgoing, Pending
from services.bus.topics import COMMANDS, CONTACTS
from services.errors import ClockOff, KafkaUnreachable
from services.intake.clock import Clock
from services.intake.contacts import Sealer
from services.intake.desk import Desk
from services.intake.http import BODY_BYTES_MAX, HttpDoor
from services.intake.progress import Progress
from services.intake.receipts import Place, Receipts
from services.intake.repeats import Repeats
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

    def __init__(self, trust_time: bool = False, requests_max: int = 64) -> None:
        self.kafka, self.progress, self.now, self.off = Ledger(), Progress(), 0, 0
        self.receipts = Receipts(KEY)
        self.repeats, self.elsewhere = Repeats(), list[CommandRecord]()
        self.kafka.clock = lambda: self.now
        self.clock = Clock(lambda: self.now + self.off)
        self.clock.heard(0, [0])
        desk = Desk(self.kafka, self.repeats, self.caught_up, 60, trust_time, self.clock)  # type: ignore[arg-type]
        sealer = Sealer(KEY, PrivateKey.generate().public_key)
        door = HttpDoor(desk, sealer, self.receipts, self.progress, self.kafka, requests_max)  # type: ignore[arg-type]
        self.desk, self.app = desk, door.app
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(door.app), base_url="http://intake")

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
    assert problem(await one.client.get("/v1/events")) == (405, "method_not_allowed")
    assert problem(await one.client.get("/nowhere")) == (404, "not_found")


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
    unknown = await one.send({**pledge(1), "comexampleext": "x", "traceparent": "00-1"})
    assert problem(unknown) == (422, "invalid_submission")
    assert [found["pointer"] for found in unknown.json()["errors"]] == ["/comexampleext"]
    assert (await one.send({**pledge(1), "traceparent": "00-1", "partitionkey": "k"})).status_code == 202
    assert len(one.kafka.records) == 1


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
    one.now = 5 * MINUTE
    await one.send(pledge(1, "2030-01-01T00:00:00Z"))
    assert dict(one.kafka.commands()[0].headers)["ce_time"] == b"1970-01-01T00:05:00Z"
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
    assert contact.key == json.loads(one.kafka.commands()[0].value)["donor"].encode()
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
