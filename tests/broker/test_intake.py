"""Intake on a real broker: what is told 202 is on the topic, what can't be read is in dead letters, and nothing in between."""

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from nacl.public import SealedBox

from schemas.commands import Unreadable
from schemas.ledger import GENESIS, entries
from schemas.times import text_of
from services import keys
from services.bus import topics
from services.bus.client.consumer import Consumer
from services.bus.contacts import subject_of
from services.bus.embedded import EmbeddedKafka
from services.bus.envelope import entry_headers, read_command
from services.bus.partition import partition_of
from services.console.readmodel.survey import survey
from services.intake import sequencer
from services.intake.app import Intake
from services.intake.events import GROUP
from services.intake.floods import CONFLICTS_MAX
from services.matcher.engine.engine import Engine
from services.settings import Settings, load
from tests.broker.raw import everything
from tests.broker.test_matcher import running as matching

DEADLINE_S = 60
PARTITIONS = 4
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


@pytest.fixture
def nobody_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no matcher: who waits for a decision waits in vain."""
    monkeypatch.setattr(sequencer, "PATIENCE_SECONDS", 0.01)


@contextlib.asynccontextmanager
async def running(kafka: EmbeddedKafka, data: Path, **options: Any) -> AsyncIterator[tuple[Intake, httpx.AsyncClient]]:
    """Intake in this process, ready, and a client of it."""
    intake = Intake(lambda: kafka.bootstrap, settings(data, **options))
    try:
        await intake.start()
        async with asyncio.timeout(DEADLINE_S):
            await intake.ready.wait()
        async with httpx.AsyncClient(base_url=intake.http, timeout=DEADLINE_S) as client:
            yield intake, client
    finally:
        await intake.stop()


def settings(data: Path, **options: Any) -> Settings:
    return load(data=data, http_port=0, session_timeout_ms=6000, tick_seconds=86400, **options)


async def read(
    bootstrap: str,
    topic: str,
    *,
    least: int = 0,
    committed: bool = True,
    counts: Callable[[ConsumerRecord], bool] = bool,
) -> list[ConsumerRecord]:
    """Everything on a topic, by partition; waits until there are `least` records that count."""
    level = "read_committed" if committed else "read_uncommitted"
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=None, isolation_level=level, auto_offset_reset="earliest"
    ) as consumer:
        return await everything(consumer, least, counts)


def has_fund(command: ConsumerRecord) -> bool:
    return command.key is not None


async def commands(bootstrap: str, *, least: int = 0) -> list[ConsumerRecord]:
    """The commands with a fund; ticks left out. Waits until there are `least`."""
    return [*filter(has_fund, await read(bootstrap, topics.COMMANDS, least=least, counts=has_fund))]


async def answered(bootstrap: str) -> None:
    """What a matcher would do: an entry for every command, each partition in one transaction. Once, on an empty ledger."""
    engines: dict[int, tuple[Engine, int, bytes]] = {}
    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="test-matcher") as producer,
        producer.transaction(),
    ):
        for record in await read(bootstrap, topics.COMMANDS):
            engine, seq, digest = engines.get(record.partition) or (Engine(), 0, GENESIS)
            command = read_command(record, PARTITIONS)
            fund, at, facts = engine.execute(command)
            cause = {"id": command.id, "type": command.type, "offset": command.offset}
            for number, value, linked in entries(seq + 1, digest, fund, text_of(at), cause, facts):
                headers = entry_headers(record.partition, number, text_of(at))
                await producer.send_and_wait(topics.LEDGER, value, partition=record.partition, headers=headers)
                seq, digest = number, linked
            engines[record.partition] = engine, seq, digest


def event(kind: str, number: int, time: str | None = None, **data: Any) -> dict[str, Any]:
    told = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/forms",
        "type": f"pumasi.{kind}",
        "data": {"fund": "jilin", **data},
    }
    return {**told, "time": time} if time else told


def pledge(number: int, **data: Any) -> dict[str, Any]:
    return event("pledge.made", number, **{"donor": "d-1", "amount": 5, "currency": "CNY", **data})


def case(number: int, **data: Any) -> dict[str, Any]:
    needs = {"beneficiary": "b-1", "need": "test", "route": "home", "goal": 1000, "priority": "stat"}
    return event("case.submitted", number, **{**needs, **data})


async def post(client: httpx.AsyncClient, *events: dict[str, Any]) -> httpx.Response:
    batch = len(events) > 1
    content = json.dumps(events if batch else events[0])
    return await client.post("/v1/events", content=content, headers=BATCH if batch else STRUCTURED)


async def test_each_mode_of_http_leads_to_a_command_in_its_funds_partition(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    async with running(topics_reset, tmp_path) as (_, client):
        structured = await post(client, pledge(1))
        one = pledge(2, fund="harbin")
        binary_headers = {f"ce-{name}": one[name] for name in ("specversion", "id", "source", "type")}
        binary = await client.post("/v1/events", json=one["data"], headers=binary_headers)
        batch = await post(client, *(pledge(n, fund=f"fund-{n % 5}") for n in range(3, 13)))
        assert [r.status_code for r in (structured, binary, batch)] == [202, 202, 202]
        accepted = [one for r in (structured, binary, batch) for one in r.json()["accepted"]]
    found = await commands(topics_reset.bootstrap)
    by_id = {dict(record.headers)["ce_id"].decode(): record for record in found}
    assert len(found) == len(by_id) == len(accepted) == 12
    for told in accepted:
        record = by_id[told["id"]]
        data = json.loads(record.value)
        assert (data["fund"], data["pledge"]) == (told["fund"], told["pledge"])
        assert (record.key, record.partition) == (told["fund"].encode(), partition_of(told["fund"], PARTITIONS))
        assert {name for name, _ in record.headers} == {
            "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "pumasi_clock",
            "pumasi_sender", "pumasi_mac",
        }  # fmt: skip
        assert read_command(record, PARTITIONS).data.amount == 5
        assert None not in data.values()


async def test_a_batch_of_500_is_quick_and_in_order(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    async with running(topics_reset, tmp_path) as (_, client):
        await post(client, pledge(1000))
        began = time.monotonic()
        assert (await post(client, *(pledge(n) for n in range(500)))).status_code == 202
        took = time.monotonic() - began
    found = [dict(r.headers)["ce_id"].decode() for r in await commands(topics_reset.bootstrap)]
    assert found == ["e-1000", *(f"e-{n}" for n in range(500))]
    assert took < 5, "500 one after the other would take about as many round trips"


@pytest.mark.usefixtures("nobody_decides")
async def test_a_repeat_is_the_same_answer_and_another_datum_a_conflict_also_after_a_restart(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    async with running(topics_reset, tmp_path) as (_, client):
        first = (await post(client, pledge(1))).json()
        assert (await post(client, pledge(1))).json() == first
    async with running(topics_reset, tmp_path) as (_, client):
        assert (await post(client, pledge(1))).json() == first
        conflict = await post(client, pledge(1, amount=6))
        assert (conflict.status_code, conflict.json()["code"]) == (409, "id_conflict")
        invalid = await post(client, pledge(2, amount=-1))
        assert (invalid.status_code, invalid.json()["errors"][0]["pointer"]) == (422, "/data/amount")
    assert len(await commands(topics_reset.bootstrap)) == 1


@pytest.mark.usefixtures("nobody_decides")
async def test_two_intakes_agree_on_which_of_two_events_under_one_id_came_first(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    async with running(topics_reset, tmp_path) as (_, one), running(topics_reset, tmp_path) as (_, other):
        for number in range(CONFLICTS_MAX // 2):  # as many conflicts of one sender as are no flood
            first = await post(one, pledge(number))
            assert first.status_code == 202
            misuse = await post(other, pledge(number, amount=6))  # it may not have heard of the first yet
            assert misuse.status_code in (202, 409)
            again = await post(other, pledge(number))
            assert (again.status_code, again.json()) == (202, first.json())
            for client in (one, other):
                assert (await post(client, pledge(number, amount=6))).status_code == 409


async def test_a_receipt_goes_from_accepted_to_applied_or_rejected(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    events = [
        event("fund.configured", 0, currency="CNY", vouchers_required=0),
        case(1, case="c-1"), pledge(2, pledge="p-1", amount=1500), pledge(3, fund="nowhere"),
        event("payment.received", 4, pledge="p-1", amount=400), event("case.delivered", 5, case="c-1", amount=300),
    ]  # fmt: skip
    async with running(topics_reset, tmp_path) as (_, client):
        receipts = [one["receipt"] for one in (await post(client, *events)).json()["accepted"]]
        assert {(await client.get(f"/v1/receipts/{r}")).json()["state"] for r in receipts} == {"accepted"}
        await answered(topics_reset.bootstrap)
        async with asyncio.timeout(DEADLINE_S):
            told: list[dict] = [{"state": "accepted"}]
            while any(one["state"] == "accepted" for one in told):
                told = [(await client.get(f"/v1/receipts/{receipt}")).json() for receipt in receipts]
    in_case = {"status": "open", "promised": 100, "settled": 25, "delivered": 25}  # of 1000: 1000, 400 and 300
    figures = {"amount": 1500, "awarded": 1000, "settled": 400, "delivered": 300, "waiting": 500, "released": 0}
    in_pledge = {**figures, "currency": "CNY", "face": 1500, "face_currency": "CNY"}
    assert [one["state"] for one in told] == ["applied", "applied", "applied", "rejected", "applied", "applied"]
    assert [one.get("progress") for one in told] == [None, in_case, in_pledge, None, in_pledge, in_case]
    assert (told[3]["code"], told[3]["receipt"]) == ("unknown_fund", receipts[3])
    waits = [one.get("waiting_for") for one in told]
    of_pledge, of_case = ["claim", "payment", "confirmation"], ["payment"]
    assert waits == [None, of_case, of_pledge, None, of_pledge, of_case]


async def test_who_waits_for_a_receipt_does_not_hold_up_a_stop(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    async with running(topics_reset, tmp_path) as (intake, client):
        path = (await post(client, pledge(1))).headers["location"]
        asked = asyncio.create_task(client.get(path, params={"wait": "30s"}))
        while not intake._door.waiters.waiting:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        await intake.stop()
        assert (await asked).json()["state"] == "accepted"
        assert time.monotonic() - began < 9, "that is before those who are still served are cut off"


async def test_a_contact_is_sealed_before_its_command_and_nowhere_in_the_clear(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    secret = b"kim.cholsu"
    async with running(topics_reset, tmp_path) as (_, client):
        contact = {"address": f"mailto:{secret.decode()}@example.org", "language": "ko"}
        response = await post(client, pledge(1, donor=None, contact=contact))
        assert response.status_code == 202
    [sealed] = await read(topics_reset.bootstrap, topics.CONTACTS)
    [command] = await commands(topics_reset.bootstrap)
    assert subject_of(sealed.key).decode() == json.loads(command.value)["donor"]
    assert sealed.key == dict(command.headers)["pumasi_contact"]
    assert sealed.timestamp <= command.timestamp
    box = SealedBox(keys.notifier_private_key(settings(tmp_path)))
    assert json.loads(box.decrypt(base64.b64decode(json.loads(sealed.value)["sealed_contact"]))) == contact
    for record in (sealed, command):
        assert secret not in repr(record).encode()


def sealed_for_intake(data: Path, content: str) -> str:
    """What a sender seals."""
    return base64.b64encode(SealedBox(keys.public_key(settings(data), "intake")).encrypt(content.encode())).decode()


def opened_by_the_notifier(data: Path, box: str) -> str:
    """What the notifier finds in a box."""
    return SealedBox(keys.notifier_private_key(settings(data))).decrypt(base64.b64decode(box)).decode().rstrip()


async def test_what_is_sealed_for_intake_reaches_the_notifier_through_either_door_and_nobody_else(
    topics_reset: EmbeddedKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contact, words = '{"address":"mailto:kim.cholsu@example.org","language":"ko"}', "김철수: 고맙습니다"
    sealed = {"fund": "jilin", "amount": 5, "currency": "CNY", "sealed_contact": sealed_for_intake(tmp_path, contact)}
    thanked = {"fund": "jilin", "case": "c-1", "thanks": sealed_for_intake(tmp_path, words)}
    legible = {**sealed, "sealed_contact": base64.b64encode("전화 김철수 ".encode("euc-kr") * 9).decode()}
    async with AIOKafkaProducer(bootstrap_servers=topics_reset.bootstrap) as producer:
        for one in (
            record(1, value=sealed), record(2, ce_type=b"pumasi.case.thanked", value=thanked), record(3, value=legible),
        ):  # fmt: skip
            await producer.send_and_wait(topics.SUBMISSIONS, partition=1, **one)
    async with running(topics_reset, tmp_path) as (_, client):
        assert (await post(client, event("pledge.made", 4, **sealed))).status_code == 202
        assert (await post(client, event("case.thanked", 5, **thanked))).status_code == 202
        refused = await post(client, event("pledge.made", 6, **legible))
        assert [found["code"] for found in refused.json()["errors"]] == ["not_sealed"]
        await read(topics_reset.bootstrap, topics.DEADLETTERS, least=1)
        await commands(topics_reset.bootstrap, least=4)
    [letter] = await read(topics_reset.bootstrap, topics.DEADLETTERS)
    found = await commands(topics_reset.bootstrap)
    told = b"/data/sealed_contact: must be a NaCl sealed box for intake's key, in base64 (not_sealed)"
    assert dict(letter.headers)["__streams.errors.message"] == told
    assert json.loads(letter.value)["sealed_contact"] == "[removed]"
    boxes = await read(topics_reset.bootstrap, topics.CONTACTS)
    donors = {json.loads(r.value)["donor"] for r in found if b"pledge" in r.value}
    thanks = {json.loads(r.value)["thanks"] for r in found if b"thanks" in r.value}
    assert (len(donors), len(thanks), len(boxes)) == (1, 1, 4)
    for box in boxes:
        said = json.loads(box.value)
        is_contact = "sealed_contact" in said
        assert subject_of(box.key).decode() == said["subject"] in (donors if is_contact else thanks)
        inside = opened_by_the_notifier(tmp_path, said["sealed_contact" if is_contact else "sealed_text"])
        assert json.loads(inside) == json.loads(contact) if is_contact else inside == words
    ours = [line for line in caplog.records if line.name.startswith("pumasi")]
    assert len([line for line in ours if line.levelname == "ERROR"]) == 2  # one at each door
    for one in (*boxes, *found, letter):
        assert "cholsu" not in repr(one)
        assert "김철수" not in repr(one)


async def test_nobodys_number_is_on_the_bus_whatever_it_is_called(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    number = "wx-138.0013.8000"
    data = pledge(0)["data"]
    paid = {"fund": "jilin", "pledge": "p-1", "payment": number, "amount": 5}
    poison = [
        *(record(n, value={**data, name: number}) for n, name in enumerate(("pledge", "donor", "fund"), 1)),
        record(
            4,
            ce_type=b"pumasi.payment.failed",
            value={"fund": "jilin", "pledge": "p-1", "payment": "y", "reason": number},
        ),
        record(5, ce_type=b"pumasi.case.thanked", value={"fund": "jilin", "case": "c-1", "thanks": number}),
        record(6, ce_source=b"/forms?name=%EA%B9%80"),
        record(7, ce_source=b"/forms/13800138000"),
        record(8, value={**data, number: number}),
        record(9, ("qq", b"13800138000")) | {"key": number.encode(), "value": b"{"},
    ]
    good = [
        record(10, ce_id=number.encode()),
        record(11, ce_id=b"partition:1/offset:24"),
        record(12, ce_id=number.encode(), ce_type=b"pumasi.payment.received", value=paid, ce_source=b"/bank"),
    ]
    async with AIOKafkaProducer(bootstrap_servers=topics_reset.bootstrap) as producer:
        for one in (*poison, *good):
            await producer.send_and_wait(topics.SUBMISSIONS, partition=1, **one)
    async with running(topics_reset, tmp_path) as (_, _):
        await read(topics_reset.bootstrap, topics.DEADLETTERS, least=len(poison))
        await commands(topics_reset.bootstrap, least=len(good))
    letters = await read(topics_reset.bootstrap, topics.DEADLETTERS)
    found = await commands(topics_reset.bootstrap)
    assert (len(letters), len(found)) == (len(poison), len(good))
    for one in (*letters, *found):
        assert not re.search("138.?0013", repr((one.key, one.value, one.headers)))
    for one in found:
        assert not isinstance(read_command(one, PARTITIONS), Unreadable)


GOOD = {"ce_specversion": b"1.0", "ce_source": b"/partner", "ce_type": b"pumasi.pledge.made"}


def record(number: int, *more: tuple[str, bytes | None], value: object = None, **changed: bytes) -> dict[str, Any]:
    """A submission in binary mode for `producer.send`."""
    headers = {**GOOD, "ce_id": b"t-%d" % number, **changed}
    body = value if isinstance(value, bytes) else json.dumps(value or pledge(0)["data"]).encode()
    return {"value": body, "headers": [*headers.items(), *more]}


async def test_poison_on_the_topic_goes_to_dead_letters_once_and_its_neighbours_go_on(
    topics_reset: EmbeddedKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clear = {**pledge(0)["data"], "donor": None, "contact": {"address": "mailto:kim.cholsu@example.org"}}
    structured = {
        "value": json.dumps(pledge(90)).encode(),
        "headers": [("content-type", b"application/cloudevents+json")],
    }
    poison = [
        record(2, ("note", None)),
        record(3, ("note", b"\xff\xfe")),
        record(4, value=b"{nonsense"),
        record(5, ce_type=b"pumasi.pledge.lost"),
        {"value": None, "key": b"k", "headers": list(GOOD.items())},
        record(7, value=clear),
        record(8, value={"fund": "jilin"}),
        record(1, value={**pledge(0)["data"], "amount": 77}),  # the first one's id with other data
        record(10, ce_type=b"pumasi.clock.ticked", value=b"{}"),
        record(11, ("Baek Suji", b"Baek Suji"), value={**pledge(0)["data"], "donor": "Baek Suji", "Baek Suji": 1}),
        record(12, value=b'{"fund":"jilin","fund":"harbin"}'),
        record(13, ("ce_id", b"t-13")),  # twice
        record(14, value=b'{"fund":"jilin","donor":"d-1","amount":NaN,"currency":"CNY"}'),
        record(15, value=b"[" * 60_000 + b"]" * 4_000),
        record(16, value=b"[" * 100_000),
        record(17, value=b'{"fund":"' + b"j" * 2_000_000 + b'"}'),
        record(18, value={**pledge(0)["data"], "expires_at": "0001-01-01T00:00:00+09:00"}),
        record(19, value={**pledge(0)["data"], "expires_at": "20301231"}),
        record(20, ce_time=b"9999-12-31T23:59:59-09:00"),
    ]
    async with running(topics_reset, tmp_path) as (_, client):
        await post(client, event("fund.configured", 0, currency="CNY"))
    async with AIOKafkaProducer(bootstrap_servers=topics_reset.bootstrap, max_request_size=4 << 20) as producer:
        for one in (record(1), *poison, structured, record(1), record(99, ce_fullname=b"Baek Suji")):
            await producer.send_and_wait(topics.SUBMISSIONS, partition=3, **one)
    with nothing_acknowledged():
        async with matching(topics_reset.bootstrap), running(topics_reset, tmp_path) as (_, _):
            letters = await read(topics_reset.bootstrap, topics.DEADLETTERS, least=len(poison))
            found = await commands(topics_reset.bootstrap, least=4)
    assert [dict(r.headers)["ce_id"] for r in found] == [b"e-0", b"t-1", b"e-90", b"t-99"]
    assert len(letters) == len(poison)
    told = [
        {name: value for name, value in letter.headers if name.startswith("__streams.errors.")} for letter in letters
    ]
    assert {letter.partition for letter in letters} == {3}
    assert sorted(int(one["__streams.errors.offset"]) for one in told) == list(range(1, len(poison) + 1))
    assert {one["__streams.errors.topic"] for one in told} == {topics.SUBMISSIONS.encode()}
    codes = {int(one["__streams.errors.offset"]): one["__streams.errors.exception"].decode() for one in told}
    assert codes == {
        1: "unreadable", 2: "unreadable", 3: "malformed", 4: "invalid_submission", 5: "unreadable", 6: "invalid_submission",
        7: "invalid_submission", 8: "id_conflict", 9: "invalid_submission",
        10: "invalid_submission", 11: "malformed", 12: "unreadable", 13: "malformed", 14: "malformed", 15: "unreadable",
        16: "unreadable", 17: "invalid_submission", 18: "invalid_submission", 19: "unreadable",
    }  # fmt: skip
    assert all(one["__streams.errors.message"] for one in told)
    assert b"cholsu" not in repr(letters).encode()
    originals = {int(dict(letter.headers)["__streams.errors.offset"]): letter for letter in letters}
    assert json.loads(originals[3].value).keys() == {"withheld", "bytes"}
    assert json.loads(originals[16].value)["withheld"] == "too large"
    assert "note" not in dict(originals[1].headers)
    whole = [offset for offset, letter in originals.items() if dict(letter.headers)["pumasi.withheld"] == b"nothing"]
    assert sorted(whole) == [7, 8, 12], "these could be put back as they came"
    assert originals[5].key == b"[removed]"
    assert json.loads(originals[7].value) == {"fund": "jilin"}
    assert b"Baek" not in repr((letters, found)).encode()
    assert "Baek" not in caplog.text
    warned = [entry.getMessage() for entry in caplog.records if "went to dead letters" in entry.getMessage()]
    assert sum(int(line.split()[0]) for line in warned) == len(poison)
    assert any("invalid_submission" in line for line in warned)
    assert all((line.split()[1] == "submission") == (line.split()[0] == "1") for line in warned)
    assert (await survey(topics_reset.bootstrap, 4, 1)).late.letters == {3: len(poison)}
    assert originals[5].value is None
    async with running(topics_reset, tmp_path):  # no letter comes again
        await acknowledged(topics_reset.bootstrap, partition=3)
    assert len(await read(topics_reset.bootstrap, topics.DEADLETTERS)) == len(poison)
    async with running(topics_reset, tmp_path):  # all was acknowledged: a second start finds nothing to do
        async with AIOKafkaProducer(bootstrap_servers=topics_reset.bootstrap) as producer:
            await producer.send_and_wait(topics.SUBMISSIONS, partition=3, **record(100))
        assert len(await commands(topics_reset.bootstrap, least=5)) == 5
    assert len(await read(topics_reset.bootstrap, topics.DEADLETTERS)) == len(poison)


@contextlib.contextmanager
def nothing_acknowledged() -> Iterator[None]:
    """As if every intake died between publishing and acknowledging."""

    async def nothing(_consumer: Consumer, _offsets: Any = None) -> None:
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Consumer, "commit", nothing)
        yield


async def acknowledged(bootstrap: str, partition: int) -> None:
    """Wait until the door's group has acknowledged all of a partition."""
    place = TopicPartition(topics.SUBMISSIONS, partition)
    async with (
        AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None) as plain,
        AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False) as group,
    ):
        group.assign([place])
        async with asyncio.timeout(DEADLINE_S):
            while (await group.committed(place) or 0) != (await plain.end_offsets([place]))[place]:
                await asyncio.sleep(0.05)


async def test_ticks_go_to_every_partition(topics_reset: EmbeddedKafka, tmp_path: Path) -> None:
    intake = Intake(lambda: topics_reset.bootstrap, load(data=tmp_path, http_port=0, tick_seconds=0.2))
    await intake.start()
    try:
        found: list[ConsumerRecord] = []
        async with asyncio.timeout(DEADLINE_S):
            while len(found) < 3 * PARTITIONS:
                found = await read(topics_reset.bootstrap, topics.COMMANDS)
    finally:
        await intake.stop()
    for partition in range(PARTITIONS):
        here = [one for one in found if one.partition == partition]
        assert len(here) >= 2
        read_back = [read_command(one, PARTITIONS) for one in here]
        assert {one.type for one in read_back} == {"pumasi.clock.ticked"}
        assert sorted(one.time for one in read_back) == [one.time for one in read_back]


@pytest.mark.usefixtures("nobody_decides")
async def test_while_the_broker_is_down_the_answer_is_503_and_every_202_is_kept(
    new_kafka: Callable[..., EmbeddedKafka], tmp_path: Path
) -> None:
    kafka = new_kafka()
    await kafka.start()
    await topics.ensure(kafka.bootstrap)
    port = int(kafka.bootstrap.rpartition(":")[2])
    answers: dict[int, int] = {}
    async with running(kafka, tmp_path) as (_, client):

        async def send(number: int) -> int:
            answers[number] = (await post(client, pledge(number))).status_code
            return answers[number]

        assert await send(0) == 202
        sending = [asyncio.create_task(send(number)) for number in range(1, 40)]
        await kafka.kill()
        await asyncio.gather(*sending)
        response = await post(client, pledge(40))
        assert (response.status_code, response.json()["code"]) == (503, "kafka_unreachable")
        assert response.headers["retry-after"]
        assert (await client.get("/healthz")).status_code == 503
        assert set(answers.values()) <= {202, 503}
        again = new_kafka(port=port)
        await again.start()
        async with asyncio.timeout(DEADLINE_S):
            while await send(41) != 202:
                await asyncio.sleep(0.2)
        for number in [number for number, status in answers.items() if status == 503]:
            assert await send(number) == 202
        async with AIOKafkaProducer(bootstrap_servers=again.bootstrap) as producer:  # the other door is open again, too
            await producer.send_and_wait(topics.SUBMISSIONS, partition=0, **record(99))
        found = {dict(r.headers)["ce_id"].decode() for r in await commands(again.bootstrap, least=42)}
        async with asyncio.timeout(DEADLINE_S):
            while "t-99" not in found:
                found = {dict(r.headers)["ce_id"].decode() for r in await commands(again.bootstrap)}
    assert {f"e-{number}" for number in answers} <= found


@contextlib.asynccontextmanager
async def process(*arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    one = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "intake", "--json", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **variables},
    )  # fmt: skip
    try:
        yield one
    finally:
        if one.returncode is None:
            one.kill()
        await one.communicate()


async def test_the_command_says_when_it_is_ready_and_stops_on_a_signal(
    topics_reset: EmbeddedKafka, tmp_path: Path
) -> None:
    arguments = ("--kafka", topics_reset.bootstrap, "--data", str(tmp_path), "--http-port", "0")
    async with process(*arguments) as one, asyncio.timeout(DEADLINE_S):
        ready = json.loads(await one.stdout.readline())
        assert ready["ready"] == "intake"
        async with httpx.AsyncClient(base_url=ready["http"]) as client:
            assert (await post(client, pledge(1))).status_code == 202
        one.send_signal(signal.SIGTERM)
        assert await one.wait() == 0


async def test_without_kafka_the_command_says_so_answers_503_and_still_stops(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    arguments = ("--kafka", "127.0.0.1:1", "--data", str(tmp_path), "--http-port", str(unused_tcp_port))
    async with process(*arguments) as one, asyncio.timeout(DEADLINE_S):
        assert b"PUMASI_OPEN=1" in await one.stderr.readline()
        assert b"no Kafka broker answers" in await one.stderr.readline()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
            response = await post(client, pledge(1))
        assert (response.status_code, response.json()["code"]) == (503, "kafka_unreachable")
        one.send_signal(signal.SIGINT)
        assert await one.wait() == 0


async def test_missing_topics_are_named_with_what_to_do(fresh_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    told: list[str] = []
    intake = Intake(lambda: fresh_kafka.bootstrap, settings(tmp_path), told=told.append)
    await intake.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not told:
                await asyncio.sleep(0.02)
            assert topics.COMMANDS in told[0]
            assert "pumasi topics --apply" in told[0]
            await topics.ensure(fresh_kafka.bootstrap)
            await intake.ready.wait()
    finally:
        await intake.stop()


@pytest.mark.parametrize("name", ["pseudonym_key", "id_key", "notifier_public_key"])
async def test_a_setting_that_is_no_key_is_refused_without_being_told(name: str, tmp_path: Path) -> None:
    async with process("--data", str(tmp_path), **{f"PUMASI_{name.upper()}": "c2VjcmV0"}) as one:
        _, errors = await one.communicate()
    assert one.returncode == 2
    assert f"PUMASI_{name.upper()}".encode() in errors
    assert b"c2VjcmV0" not in errors
