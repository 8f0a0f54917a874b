"""What reads bytes that somebody else wrote, each as a function of bytes that must return whatever they are.

An input is a record, or several, in a form that a fuzzer can take apart and put together: records end with GS (0x1d); the parts of a
record (key, value, headers) with RS (0x1e); a header's name and value are parted by US (0x1f); a part that is NAK (0x15) is null.
What each target expects beyond "no exception but the documented ones" it asserts.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import msgspec
from nacl.public import PrivateKey, SealedBox

from schemas.commands import Unreadable
from schemas.ledger import GENESIS, link
from schemas.times import parse, text_of
from services.bus.deadletters.box import DeadLetter, Mark, content, read
from services.bus.deadletters.letter import Letter, dead_letter
from services.bus.envelope import MAC, SENDER, command_headers, read_command
from services.bus.partition import partition_of
from services.bus.topics import COMMANDS, CONTACTS, DEADLETTERS, LEDGER, NOTICES, SUBMISSIONS
from services.console.readmodel.model import ReadModel
from services.console.readmodel.reading import PartitionRead
from services.errors import InvalidSubmission, LedgerTampered, PumasiError, UnknownFact, UnreadableRecord
from services.intake.admission import Admitted, admit
from services.intake.cloudevents import Malformed, read_record
from services.intake.contacts import Sealer
from services.intake.events import told_on_topic
from services.intake.floods import Floods
from services.intake.http import HttpDoor
from services.intake.progress import Progress
from services.intake.rates import Rates
from services.intake.receipts import Place, Receipts
from services.intake.repeats import Repeats
from services.intake.senders import Anyone
from services.matcher.checkpoint.restoring import Unusable, restored
from services.matcher.checkpoint.writing import HEAD, mark_of
from services.matcher.engine.engine import Engine
from services.matcher.ledger.answer import answer, linked
from services.matcher.ledger.draft import Draft
from services.matcher.ledger.replay import Replay
from services.matcher.partition.batch import Batch
from services.notifier.app import _ids
from services.notifier.languages import Languages
from services.notifier.ledger import Reading

RECORD_END, PART_END, HEADER_VALUE, NULL = b"\x1d", b"\x1e", b"\x1f", b"\x15"
PARTITIONS = 4
KEY = PrivateKey(b"n" * 32)
NOW = parse("2026-11-22T10:00:00Z")
FUND, PARTITION = "jilin", partition_of("jilin", PARTITIONS)


class Rec(NamedTuple):
    """A record as consumed."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def parts_of(data: bytes) -> list[bytes | None]:
    return [None if part == NULL else part for part in data.split(PART_END)]


def written(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """An input's record: what `record_of` reads."""
    parts = [key, value, *(name.encode() + HEADER_VALUE + (NULL if v is None else v) for name, v in headers)]
    return PART_END.join(NULL if part is None else part for part in parts)


def record_of(data: bytes, topic: str, offset: int = 7, partition: int = PARTITION) -> Rec:
    key, value, *headers = (*parts_of(data), None, None)[: max(2, data.count(PART_END) + 1)]
    told = []
    for header in headers:
        name, _, text = (header or b"").partition(HEADER_VALUE)
        told.append((name.decode(errors="replace"), None if text == NULL else text))
    timestamp = int.from_bytes((key or b"")[:8].ljust(8, b"\0"), "big", signed=True)
    return Rec(topic, partition, offset, timestamp, key, value, tuple(told))


def assert_letter(record: Rec, letter: Letter) -> None:
    """A letter can be written, is read again, and names its record."""
    assert sum(len(part or b"") for part in (letter.key, letter.value)) < 4 << 20
    headers = tuple((name.encode().decode(), value) for name, value in letter.headers)
    found = read(Rec(DEADLETTERS, 0, 0, 0, letter.key, letter.value, headers))
    assert isinstance(found, DeadLetter), found
    assert found.source == (record.topic, record.partition, record.offset)
    found.code.encode("ascii")


def assert_command(one: Admitted) -> None:
    """The matcher reads what intake admits."""
    headers = command_headers(one.type, one.id, one.source, text_of(one.time or NOW))
    headers += [(SENDER, one.sender.encode()), (MAC, one.mac.encode())]
    partition = partition_of(one.fund, PARTITIONS)
    record = Rec(COMMANDS, partition, 0, 0, one.fund.encode(), one.value, tuple(headers))
    command = read_command(record, PARTITIONS)
    assert not isinstance(command, Unreadable), command
    Repeats(Progress()).follow(record, PARTITIONS)


def submission(data: bytes) -> None:
    """A record of the submissions topic."""
    record = record_of(data, SUBMISSIONS)
    try:
        admitted = admit(read_record(record), sealer(), clear_contact=False)
    except (UnreadableRecord, InvalidSubmission, Malformed) as error:
        why = told_on_topic(error)
        assert len(why) <= 2000
        assert_letter(record, dead_letter(record, error.code, why))
    else:
        assert_command(admitted)


def command(data: bytes) -> None:
    """Records of the commands topic, behind those that open a fund; answered as the ledger is defined, and in turns."""
    records = [*opening(), *(record_of(one, COMMANDS, 20 + n) for n, one in enumerate(data.split(RECORD_END)))]
    engine, seq, last, general = Engine(), 0, GENESIS, []
    for record in records:
        read_again = read_command(record, PARTITIONS)
        made, last = linked(answer(engine, record, PARTITIONS, seq), last)
        seq += len(made)
        general += made
        if isinstance(read_again, Unreadable):
            assert_letter(record, dead_letter(record, "unreadable", read_again.detail))
        Repeats(Progress()).follow(record, PARTITIONS)
    engine = Engine()
    batch = Batch(records, Draft(PARTITION, 0, GENESIS, -1), engine, PARTITIONS, False, 10.0)
    rows = [row for portion in iter(batch.decide, None) for row in portion.linked()]
    assert batch.fault is None
    assert [value for value in general if not any(value in row for row in rows)] == []
    assert len(rows) == len(general)


def ledger(data: bytes) -> None:
    """Entries behind those of a story, rightly hashed if they come without a hash, to all that read the ledger."""
    replay, reading = Replay(PARTITION), Reading(PARTITION)
    progress, chain, model = Progress(), PartitionRead(PARTITION), ReadModel()
    last = GENESIS
    for offset, text in enumerate([*story(), *data.split(RECORD_END)]):
        value: bytes | None = None if text == NULL else text
        if value and value.startswith(b"{") and not value.endswith(b'"}'):
            value, last = link(last, value)
        elif value:
            with suppress(Exception):
                last = bytes.fromhex(json.loads(value)["hash"])
        record = Rec(LEDGER, PARTITION, offset, 0, None, value, ())
        with suppress(ValueError):
            progress.fold(record)
        chain.take(model, value)
        replay.is_last(value)
        reading.precedes(value)
        if replay is not None:
            with suppress(LedgerTampered):
                replay.feed(value)
        with suppress(LedgerTampered):
            reading.take(record)
    for number in range(12):
        with suppress(UnknownFact):
            json.dumps(progress.tell(Place(PARTITION, number)))


def letter(data: bytes) -> None:
    """A record of the dead-letters topic."""
    record = record_of(data, DEADLETTERS)
    found = read(record)
    content(record)
    if found is not None:
        text_of(found.at)
    if isinstance(found, DeadLetter):
        assert found.id
        assert isinstance(found.refusal, str | None)
        found.withheld_parts.sort()
    elif isinstance(found, Mark):
        assert str(found.to)


def contact(data: bytes) -> None:
    """A record of the contacts topic: as it is, with its value sealed, and with its value as the content of a sealed contact."""
    languages = Languages("en", KEY)
    record = record_of(data, CONTACTS)
    box = base64.b64encode(SealedBox(KEY.public_key).encrypt(record.value or b"")).decode()
    for value in (record.value, msgspec.json.encode({"subject": "s", "sealed_contact": box})):
        languages.take(record._replace(value=value))
    languages.of("s")
    _ids(record._replace(topic=NOTICES))


def http(data: bytes) -> None:
    """A request: the body is the record's value; headers as they are, and one content type for each value of the key's first byte."""
    record = record_of(data, "http")
    headers = [(name.lower().encode(), value or b"") for name, value in record.headers]
    media = (record.key or b"\0")[:1]
    if media in MEDIA:
        headers.append((b"content-type", MEDIA[media]))
    status, body = asked(headers, record.value or b"")
    told = json.loads(body)
    assert status in (202, 400, 413, 415, 422), (status, told)
    assert "could not be read (" not in body.decode(), told
    assert len(body) < 128 * 1024
    if status == 202:
        for one in DESK.admitted:
            assert_command(one)
        assert len(told["accepted"]) == len(DESK.admitted)
        if media == b"b":  # another reader sees the same events
            assert [event["id"] for event in json.loads(record.value or b"")] == [one["id"] for one in told["accepted"]]


def checkpoint(data: bytes) -> None:
    """Records of a checkpoint, key and value; with a head that counts them rightly, unless there is one among them."""
    records: dict[bytes, bytes] = {}
    for one in data.split(RECORD_END):
        key, _, value = one.partition(PART_END)
        records[key] = value
    if HEAD not in records:
        state = sum(mark_of(*record) for record in records.items()) % (1 << 128)
        told = {"version": 1, "seq": 9, "hash": "0" * 64, "watermark": 8, "ledger_offset": 8, "clock": 0, "latest": 0}
        records[HEAD] = msgspec.json.encode({**told, "records": len(records), "state": f"{state:032x}"})
    with suppress(Unusable):
        restored(records)


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (submission, command, ledger, letter, contact, http, checkpoint)
}
"""The index of targets."""

MEDIA = {
    b"s": b"application/cloudevents+json",
    b"b": b"application/cloudevents-batch+json",
    b"j": b"application/json",
    b"u": b"application/cloudevents+json; charset=UTF-8",
}


@cache
def sealer() -> Sealer:
    return Sealer(b"k" * 32, KEY.public_key)


@cache
def opening() -> tuple[Rec, ...]:
    """Commands that open a fund with three cases, some money in it."""
    told = [
        ("fund.configured", {"currency": "CNY", "share": 100, "vouchers_required": 0}),
        *(("case.submitted", {"case": f"c-{n}", "beneficiary": f"b-{n}", "need": "test", "route": "home", "goal": 500 * n,
                              "priority": "asap"}) for n in (1, 2, 3)),
        ("pledge.made", {"pledge": "p-0", "donor": "d-0", "amount": 700, "currency": "CNY"}),
        ("payment.received", {"pledge": "p-0", "payment": "y-0", "amount": 300}),
    ]  # fmt: skip
    return tuple(
        Rec(COMMANDS, PARTITION, offset, 0, FUND.encode(), msgspec.json.encode({"fund": FUND, **data}),
            tuple(command_headers(f"pumasi.{kind}", f"e-{offset}", "/f", "2027-01-29T00:00:00Z")))
        for offset, (kind, data) in enumerate(told)
    )  # fmt: skip


@cache
def story() -> tuple[bytes, ...]:
    """The entries of `opening`."""
    engine, seq, last, values = Engine(), 0, GENESIS, []
    for record in opening():
        made, last = linked(answer(engine, record, PARTITIONS, seq), last)
        seq += len(made)
        values += made
    return tuple(values)


class Desk:
    """A desk that takes all."""

    def __init__(self) -> None:
        self.admitted: list[Admitted] = []

    @property
    def repeats(self) -> Desk:
        """Nothing was taken before."""
        return self

    def stands(self, _admitted: Sequence[Admitted]) -> bool:
        """Nothing."""
        return False

    async def take(self, admitted: Sequence[Admitted]) -> list[Place]:
        """Keep them."""
        self.admitted = list(admitted)
        return [Place(0, number) for number in range(len(admitted))]


class InReach:
    """A publisher as far as the door looks at it."""

    in_reach = asyncio.Event()


DESK = Desk()


@cache
def door() -> tuple[Any, asyncio.AbstractEventLoop]:
    made: Any = HttpDoor(
        DESK, sealer(), Receipts(b"k" * 32), Progress(), InReach(), Anyone(), Rates(), Floods([].append)
    )  # type: ignore[arg-type]
    return made.application(), asyncio.new_event_loop()


def asked(headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a POST of events."""
    app, loop = door()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/v1/events",
        "raw_path": b"/v1/events", "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    loop.run_until_complete(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


assert issubclass(Malformed, PumasiError)
