"""No record stops anybody: whatever reading raises, foreseen or not, is an answer about that record, at every reader of a topic."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from schemas.commands import Unreadable
from schemas.ledger import GENESIS, link
from services.bus import envelope
from services.bus.deadletters.box import DeadLetter, read
from services.bus.envelope import command_headers, read_command
from services.console.readmodel.model import ReadModel
from services.console.readmodel.reading import PartitionRead
from services.errors import LedgerTampered
from services.intake.progress import Progress
from services.intake.receipts import Place
from services.matcher.checkpoint import restoring
from services.matcher.checkpoint.restoring import Unusable, restored
from services.matcher.checkpoint.writing import HEAD, mark_of
from services.matcher.ledger.replay import Replay
from services.notifier.languages import Languages
from services.notifier.ledger import Reading
from tests.fuzz.targets import FUND, KEY, PARTITION, PARTITIONS, Rec, story
from tests.records import CommandRecord

SECRET = "Kim Cholsu"
PLEDGE = {"fund": FUND, "pledge": "p-1", "donor": "d-1", "amount": 5, "currency": "CNY"}


def told(
    value: bytes | None = None, *more: tuple[str, bytes | None], kind: str = "pumasi.pledge.made"
) -> CommandRecord:
    value = json.dumps(PLEDGE).encode() if value is None else value
    headers = command_headers(kind, "e-1", "/f", "2027-01-29T00:00:00Z")
    return CommandRecord("pumasi.commands.v1", PARTITION, 7, FUND.encode(), value, (*headers, *more))


def fail(*_: object, **__: object) -> Any:
    raise OverflowError(SECRET)


def no_memory(*_: object, **__: object) -> Any:
    raise MemoryError


class TestCommands:
    def test_what_nobody_foresaw_makes_a_command_unreadable_and_tells_nothing_of_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(envelope, "parse_given", lambda _text: [][1])
        found = read_command(told(), PARTITIONS)
        assert found == Unreadable("could not be read (IndexError)", "pumasi.pledge.made", 7)

    def test_a_lack_of_memory_says_nothing_of_the_record(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(envelope, "parse_given", no_memory)
        with pytest.raises(MemoryError):
            read_command(told(), PARTITIONS)

    @pytest.mark.parametrize(
        "value",
        [
            b'{"fund":"jilin","pledge":"p-1","donor":"d-1","amount":5,"currency":"CNY","amount":5}',
            b'{"fund":"jilin","pledge":"p-1","donor":"d-1","amount":6,"amount":5,"currency":"CNY"}',
            b'{"fund":"jilin","pledge":"p-1","donor":"d-1","amount":5,"currency":"CNY","designation":{"case":"a","case":"b"}}',
            b'{"fund":"jilin","p\\u006cedge":"p-2","pledge":"p-1","donor":"d-1","amount":5,"currency":"CNY"}',
        ],
    )
    def test_a_member_that_comes_twice_makes_a_command_unreadable(self, value: bytes) -> None:
        found = read_command(told(value), PARTITIONS)
        assert found == Unreadable("value: a member comes twice in one object", "pumasi.pledge.made", 7)

    @pytest.mark.parametrize("name", ["ce_id", "ce_type", "ce_time", "ce_anything", "content-type", "pumasi_clock"])
    def test_a_header_of_ours_that_comes_twice_makes_a_command_unreadable(self, name: str) -> None:
        value = dict(told().headers).get(name, b"x")
        more = [(name, value)] if name in dict(told().headers) else [(name, value)] * 2
        found = read_command(told(None, *more), PARTITIONS)
        assert isinstance(found, Unreadable)
        assert found.detail == "a header comes twice"

    def test_other_headers_may_come_twice(self) -> None:
        assert not isinstance(read_command(told(None, ("x-b3", b"1"), ("x-b3", b"2")), PARTITIONS), Unreadable)

    def test_any_way_to_write_what_intake_writes_is_read(self) -> None:
        for value in (
            json.dumps(PLEDGE, indent=2),
            json.dumps({**PLEDGE, "donor": "d-9"}),
            json.dumps(PLEDGE).replace("p-1", "\\u0070-1"),
        ):
            assert not isinstance(read_command(told(value.encode()), PARTITIONS), Unreadable)


def entry(number: int = 1, **changed: Any) -> bytes:
    """A chained entry that comes first."""
    cause = {"id": "e", "type": "pumasi.pledge.made", "offset": 0}
    body = {"seq": number, "fund": FUND, "at": "2027-01-29T00:00:00Z", "cause": cause, "facts": [], **changed}
    return link(GENESIS, msgspec.json.encode(body))[0]


ODD_ENTRIES: dict[str, bytes | None] = {
    "nothing": None,
    "not UTF-8": b'{"seq":1,"fund":"\xff"}',
    "nested without end": b"[" * 200_000,
    "no object": b"7",
    "an offset that is a text": entry(cause={"id": "e", "type": "t", "offset": "0"}),
    "an offset beyond all memory": entry(cause={"id": "e", "type": "t", "offset": 10**18}),
    "an offset below zero": entry(cause={"id": "e", "type": "t", "offset": -5}),
    "facts that are a number": entry(facts=7),
    "facts that are texts": entry(facts=["awarded"]),
    "a fact without a name": entry(facts=[{"amount": 5}]),
    "a fact whose name is a list": entry(facts=[{"fact": ["awarded"]}]),
    "an award beyond all memory": entry(
        facts=[{"fact": "awarded", "award": "p-0/999999999999", "pledge": "p-0", "case": "c-1", "amount": 1}]
    ),
    "days that are a text": entry(
        facts=[{"fact": "fund_configured", "currency": "CNY", "rule": "urgency-waterfill/1", "share": 1, "weights": "equal",
                "ageing_days": "7", "deadline_hours": "9", "vouchers_required": 1}]
    ),
    "a time that is none": entry(at="0001-01-01T00:00:00+09:00", facts=[{"fact": "waiting", "pledge": "p", "amount": 5}]),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD_ENTRIES)
def test_no_reader_of_the_ledger_fails_but_by_its_alarm(what: str) -> None:
    value = ODD_ENTRIES[what]
    record = Rec("pumasi.ledger.v1", PARTITION, 0, 0, None, value, ())
    assert not Replay(PARTITION).is_last(value)
    with suppress(LedgerTampered):
        Replay(PARTITION).feed(value)
    reading = Reading(PARTITION)
    reading.precedes(value)
    with suppress(LedgerTampered):
        reading.take(record)
    PartitionRead(PARTITION).take(ReadModel(), value)
    with suppress(ValueError):
        Progress().fold(record)


@pytest.mark.parametrize(
    "what",
    ["nothing", "not UTF-8", "nested without end", "no object", "an offset that is a text", "facts that are a number"],
)
def test_what_is_no_entry_is_an_alarm_of_matcher_and_notifier(what: str) -> None:
    value = ODD_ENTRIES[what]
    with pytest.raises(LedgerTampered):
        Replay(PARTITION).feed(value)
    with pytest.raises(LedgerTampered):
        Reading(PARTITION).take(Rec("pumasi.ledger.v1", PARTITION, 0, 0, None, value, ()))


def test_receipts_go_on_behind_an_odd_entry() -> None:
    progress = Progress()
    for offset, value in enumerate([*story(), *ODD_ENTRIES.values()]):
        try:
            progress.fold(Rec("pumasi.ledger.v1", PARTITION, offset, 0, None, value, ()))
        except ValueError:
            assert offset >= len(story())
    clean = Progress()
    for offset, value in enumerate(story()):
        clean.fold(Rec("pumasi.ledger.v1", PARTITION, offset, 0, None, value, ()))
    place = Place(PARTITION, 4)
    assert progress.tell(place)["progress"] == clean.tell(place)["progress"]


def test_what_nobody_foresaw_in_a_checkpoint_makes_it_unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    records = {b"fund/f": b"[1,{}]"}
    state = sum(mark_of(*record) for record in records.items())
    head = {
        "version": restoring.VERSION,
        "seq": 1,
        "hash": "0" * 64,
        "watermark": 0,
        "ledger_offset": 0,
        "clock": 0,
        "latest": 0,
    }
    records[HEAD] = msgspec.json.encode({**head, "records": 1, "state": f"{state:032x}"})
    for broken in (fail, lambda *_: {}["x"], lambda *_: (_ for _ in ()).throw(RuntimeError(SECRET))):
        monkeypatch.setattr(restoring, "fund_of", broken)
        with pytest.raises(Unusable) as found:
            restored(records)
        assert SECRET not in str(found.value)
    with pytest.raises(Unusable):
        restored({HEAD: b"[" * 200_000})


def test_a_letter_whose_timestamp_no_calendar_has_is_read() -> None:
    headers = [(f"__streams.errors.{name}", value) for name, value in
               (("exception", b"malformed"), ("topic", b"pumasi.submissions.v1"), ("partition", b"0"), ("offset", b"7"))]  # fmt: skip
    for timestamp in (-(2**63), -1, 2**63 - 1):
        found = read(Rec("pumasi.deadletters.v1", 0, 0, timestamp, None, b"{}", tuple(headers)))
        assert isinstance(found, DeadLetter)
        assert 0 <= found.at < 253_402_300_800_000_000


def test_a_contact_that_is_nested_without_end_is_one_that_cannot_be_opened() -> None:
    Languages("en", KEY).take(Rec("pumasi.contacts.v1", 0, 0, 0, b"s", b"[" * 200_000, ()))
