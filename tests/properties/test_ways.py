"""Every way from commands to entries is one: any records, answered by the ledger's definition, and in turns.

Where the hot path is compiled, records found raw in a fetch (`bus/client/raw_records`) are held to the same; `bus/sound` reads those
that are sound.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import example, given, settings
from hypothesis import strategies as st

import schemas.ledger
from schemas.commands import Command
from schemas.ledger import GENESIS
from schemas.structs import said
from schemas.times import parse, text_of
from schemas.values import AMOUNT_MAX
from services import native
from services.bus.client.record_batch import Row, laid_out, row
from services.bus.envelope import command_headers, entry_headers, read_command
from services.bus.partition import partition_of
from services.matcher.engine.engine import Engine
from services.matcher.ledger import draft as draft_module
from services.matcher.ledger.answer import answer, linked
from services.matcher.ledger.draft import Draft
from services.matcher.partition.batch import Batch
from tests.oracle.season import by_wall_clocks, commands_of, gestures
from tests.properties.tries import TRIES
from tests.records import CommandRecord as Told

FUND = "jilin"
NOW = "2027-01-29T00:00:00Z"


def told(
    offset: int,
    kind: str,
    data: dict | bytes,
    event: str = "",
    time: str = NOW,
    fund: str = FUND,
    wall: int | None = None,
) -> Told:
    """A command's record; `wall`: it is stamped by a wall clock, and appended then, milliseconds since 1970."""
    value = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    headers = command_headers(f"pumasi.{kind}", event or f"e-{offset}", "/pumasi/intake", time, wall=wall is not None)
    return Told("pumasi.commands.v1", 0, offset, fund.encode(), value, tuple(headers), wall or 0)


def decided(batch: Batch) -> list[Row]:
    """Rows of the ledger, turn by turn."""
    return [row for portion in iter(batch.decide, None) for row in portion.linked()]


def answered(
    records: Sequence[Any], partition: int = 0, partitions: int = 1
) -> tuple[list[Row], list[Row], tuple[Any, ...]]:
    """Rows of the ledger and of dead letters, and all that an engine remembers."""
    engine, draft, rows, dead, rest = Engine(), Draft(partition, 0, GENESIS, -1), [], [], list(records)
    while rest:
        batch = Batch(rest, draft, engine, partitions, False, math.inf)
        rows += decided(batch)
        dead += batch.dead
        rest = rest[batch.done :]
    return (
        rows, dead, (state(engine), engine.latest, engine.clock, draft.hash, draft.seq, draft.watermark, draft.bytes, draft.verdicts),
    )  # fmt: skip


def defined(records: Sequence[Any], partition: int = 0, partitions: int = 1) -> list[Row]:
    """Rows of the ledger, as it is defined."""
    engine, digest, rows = Engine(), GENESIS, []
    for record in records:
        made = answer(engine, record, partitions, len(rows))
        values, digest = linked(made, digest)
        for value in values:
            headers = laid_out(entry_headers(partition, len(rows) + 1, made.time, made.trace))
            rows.append(row(None if made.fund is None else made.fund.encode(), value, headers))
    return rows


def assert_same(records: list[Told], partition: int = 0, partitions: int = 1) -> int | None:
    """Answers records in every way; how many are sound to whoever reads them in C, None if nothing is compiled."""
    general = answered(records, partition, partitions)
    assert general[0] == defined(records, partition, partitions)
    if not native.in_use():
        return None
    from services.bus.sound import sound

    found = raw(records)
    assert answered(found, partition, partitions) == general
    read = [(sound(one, partitions), read_command(told, partitions)) for one, told in zip(found, records, strict=True)]
    assert all(in_c is None or in_c == command for in_c, command in read)
    return sum(in_c is not None for in_c, _ in read)


def raw(records: list[Told]) -> list[Any]:
    """The records as they are found in a fetch."""
    from services.bus.client.raw_records import RawRecords

    found = []
    for record in records:
        built = DefaultRecordBatchBuilder(
            2, 0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1 << 20
        )
        built.append(0, timestamp=record.timestamp, key=record.key, value=record.value, headers=list(record.headers))
        fetched = RawRecords(record.offset.to_bytes(8, "big") + bytes(built.build())[8:])
        fetched.lie_in(record.topic, record.partition)
        found += fetched.next_batch()
    return found


def record_of(command: Command, offset: int) -> Told:
    data = said(command.data)
    kind, wall = command.type.removeprefix("pumasi."), None if command.appended is None else command.appended // 1000
    return told(offset, kind, data, time=text_of(command.time), fund=data.get("fund", ""), wall=wall)


def test_whole_seasons_are_answered_the_same_and_almost_all_is_sound() -> None:
    sound = commands = 0
    for seed in range(400):
        said = commands_of(by_wall_clocks(seed) if seed % 4 == 0 else gestures(seed))
        readable = [one for one in said if isinstance(one, Command)]
        commands += len(readable)
        sound += assert_same([record_of(command, offset) for offset, command in enumerate(readable)]) or 0
    assert sound > 0.99 * commands or not native.in_use()


def test_a_plain_stream_is_sound_to_the_last_pledge() -> None:
    pledges = [pledge(offset, {"pledge": f"p-{offset}", "amount": 1 + offset * 37 % 400}) for offset in range(20, 520)]
    assert assert_same([*opened(), *pledges]) in (None, len(opened()) + len(pledges))


NOW_MS = parse(NOW) // 1000
TWO_MINUTES_MS = 120_000


def test_what_intake_stamps_by_its_wall_clock_is_sound_whether_it_is_ahead_or_not() -> None:
    def stamped(offset: int, ahead_ms: int) -> Told:
        return told(offset, "pledge.made", PLAIN | {"pledge": f"p-{offset}"}, wall=NOW_MS - ahead_ms)

    ahead = [TWO_MINUTES_MS - 1, TWO_MINUTES_MS, TWO_MINUTES_MS + 1, -(10**12), 10**11]
    made = [stamped(20 + number, ms) for number, ms in enumerate(ahead)]
    exact = told(30, "pledge.made", PLAIN, time="2027-01-29T00:02:00Z", wall=NOW_MS)
    beyond = told(31, "pledge.made", PLAIN | {"pledge": "p-2"}, time="2027-01-29T00:02:00.000001Z", wall=NOW_MS)
    assert assert_same([*opened(), *made, exact, beyond]) in (None, len(opened()) + len(made) + 2)


def test_what_intake_sends_is_sound_and_headers_that_nobody_can_read_are_not() -> None:
    def sent(offset: int, who: bytes | None, what: bytes | None, wall: int | None = None) -> Told:
        one = told(offset, "pledge.made", PLAIN | {"pledge": f"p-{offset}"}, wall=wall)
        return one._replace(headers=(*one.headers, ("pumasi_sender", who), ("pumasi_mac", what)))

    mac, first = b"a" * 26, len(opened())
    assert assert_same([*opened(), sent(20, b"clinic", mac), sent(21, b"x" * 65, mac, NOW_MS), sent(22, b"", b"")]) in (
        None,
        first + 3,
    )
    odd = [(None, mac), (b"clinic", None), (b"clinic", b"\xff"), (b"x" * 9000, mac)]
    assert assert_same([*opened(), *(sent(20 + n, *one) for n, one in enumerate(odd))]) in (None, first)
    good = sent(40, b"clinic", mac)
    for headers in (
        good.headers[:-1],
        good.headers[:5],
        (*good.headers[:6], *good.headers[:5:-1]),
        (*good.headers, ("trace", b"x")),
    ):
        assert assert_same([*opened(), good._replace(headers=headers)]) in (None, first + 1)
    for headers in ((*good.headers, good.headers[3]), (*good.headers, good.headers[-1]), good.headers * 3):
        assert assert_same([*opened(), good._replace(headers=headers)]) in (None, first)


def test_only_the_very_header_says_that_a_wall_clock_stamped() -> None:
    def with_header(offset: int, name: str, value: bytes | None) -> Told:
        one = told(offset, "pledge.made", PLAIN | {"pledge": f"p-{offset}"})
        return one._replace(headers=(*one.headers, (name, value)))

    odd = [("pumasi_clock", b"Wall"), ("pumasi_clock", b""), ("pumasi_clock", None), ("traceparent", b"wall")]
    made = [with_header(20 + n, *one) for n, one in enumerate(odd)]
    ahead = with_header(30, "pumasi_clock", b"wall")
    first = ahead._replace(offset=31, headers=(ahead.headers[-1], *ahead.headers[:-1]))
    assert_same([*opened(), *made, ahead, first])
    command = read_command(ahead, 1)
    assert isinstance(command, Command)
    assert command.ahead
    assert not read_command(made[0], 1).ahead


def test_what_does_not_fit_an_entry_is_cut_alike_on_every_way(monkeypatch) -> None:
    records = [*opened(), pledge(20, {"amount": 1_500}), pledge(21, {"pledge": "p-2", "amount": 10**9})]
    assert_same(records)
    for module in (draft_module, schemas.ledger):
        monkeypatch.setattr(module, "FACTS_MANY", 2)
        monkeypatch.setattr(module, "ENTRY_BYTES_MAX", 2_000)
    assert len(defined(records)) > len(records)
    assert_same(records)


def opened(cases: int = 6, goal: int = 1_000) -> list[Told]:
    """A fund with a few open cases; the next offset is 20."""
    fund = told(0, "fund.configured", {"fund": FUND, "currency": "CNY", "share": 100, "vouchers_required": 0})
    return [
        fund,
        *(
            told(n, "case.submitted", {"fund": FUND, "case": f"c-{n}", "beneficiary": f"b-{n % 4}", "need": "test",
                                       "route": "home", "goal": goal * n, "priority": ["urgent", "asap"][n % 2]})
            for n in range(1, cases + 1)
        ),
    ]  # fmt: skip


PLAIN = {"fund": FUND, "pledge": "p-1", "donor": "d-1", "amount": 250, "currency": "CNY"}


def pledge(offset: int, change: dict) -> Told:
    return told(offset, "pledge.made", PLAIN | change)


ids = st.one_of(
    st.sampled_from(
        [
            "p-1",
            "p-2",
            "",
            "a" * 64,
            "a" * 65,
            "é",
            "x\n",
            "a b",
            "٣",
            "\u0000",
            "p-1#2",
            "ａ",
            "a\u00ad",
            "13800138000",
            "p-138.0013.8000",
        ]
    ),
    st.text('ab-._~#"\\/\u00e9\ud7ff 1', max_size=4),
)
amounts = st.one_of(
    st.integers(-1, 3_000),
    st.sampled_from(
        [0, 1.0, 250.0, 1e2, 1.5, AMOUNT_MAX, AMOUNT_MAX + 1, 2**63, 2**64, 10**30, True, None, "250", float("nan")]
    ),
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "fund": st.sampled_from([FUND, "other", "", None, 1]), "pledge": ids, "donor": ids, "amount": amounts,
        "currency": st.sampled_from(["CNY", "USD", "cny", "XXX", "", None]),
        "fallback": st.sampled_from(["pool", "hold", "release", "else", None]),
        "designation": st.sampled_from([None, {}, {"case": "c-1"}, {"need": "test"}]),
        "expires_at": st.sampled_from([None, "2027-02-01T00:00:00Z"]),
        "recurrence": st.sampled_from([None, {"every": "P1M"}]),
        "unknown": st.just(1),
    },
)  # fmt: skip
NAMES = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "traceparent", "pumasi_clock")
header_values = st.sampled_from([
    None, b"", b"1.0", b"\xff", "é".encode(), b"x" * 257, b'quo"te', b"back\\slash", b"tab\t", b"pumasi.pledge.made",
    b"/forms/13800138000", b"wall",
    b"2027-01-29T00:00:00Z", b"0001-01-01T00:00:00+09:00", b"2199-12-31T23:59:59Z", b"2200-01-01T00:00:00Z", b"1970-01-01T00:00:00Z",
    b"2027-01-29T00:00:00.5+09:00", b"2026-01-29t00:00:00z", b"tomorrow", b"2027-02-29T00:00:00Z",
    b"application/json", b"application/json; charset=utf-8", b"text/plain", "2027-01-29T00:00:0\u0663Z".encode(),
])  # fmt: skip


@st.composite
def writings(draw: st.DrawFn) -> bytes:
    """A pledge as somebody might write it: reordered, twice said, spaced, escaped, cut short."""
    data = list((PLAIN | draw(changes)).items())
    if draw(st.booleans()):
        data = draw(st.permutations(data))
    if draw(st.integers(0, 5)) == 0:
        data.append(draw(st.sampled_from(data)))
    escaped, spaced = draw(st.booleans()), draw(st.booleans())
    members = (
        json.dumps(name, ensure_ascii=escaped) + (": " if spaced else ":") + json.dumps(value, ensure_ascii=escaped)
        for name, value in data
    )
    text = "{" + (", \n" if spaced else ",").join(members) + "}"
    if draw(st.integers(0, 5)) == 0:
        text = draw(
            st.sampled_from(
                [text[:-1], text + "x", text + " ", "\ufeff" + text, f"[{text}]", text.replace("250", "2.5e2")]
            )
        )
    return text.encode("utf-8", "surrogatepass")


@st.composite
def records(draw: st.DrawFn) -> list[Told]:
    made: list[Told] = []
    for offset in range(20, 20 + draw(st.integers(1, 6))):
        one = told(
            offset,
            "pledge.made",
            draw(writings()),
            event=draw(st.sampled_from(["", "urn:x:1", "e é", 'a"b', "wx13800138000", "0" * 64])),
        )
        headers = dict(one.headers)
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=1)):
            headers[name] = draw(header_values)
        order = [*headers.items()]
        if draw(st.integers(0, 7)) == 0:
            order = draw(st.permutations(order))
        if draw(st.integers(0, 7)) == 0:
            order = order[: draw(st.integers(0, 6))]
        if draw(st.integers(0, 7)) == 0:
            order.append((draw(st.sampled_from(NAMES)), draw(header_values)))
        key = draw(st.sampled_from([FUND.encode(), FUND.encode(), FUND.encode(), None, b"", b"other"]))
        value = one.value if draw(st.integers(0, 9)) else draw(st.sampled_from([None, b"", b" " * 70_000, b"\xff"]))
        partition = 0 if draw(st.integers(0, 9)) else 1
        made.append(one._replace(headers=tuple(order), key=key, value=value, partition=partition))
    return made


walls = st.sampled_from([None, None, NOW_MS, *(NOW_MS - TWO_MINUTES_MS - ms for ms in (-1, 0, 1)), 0])
DAMAGE = list(b'"\\{}:,0159 -.~_AZaz\x00\x7f\x80\xff\xc3')


@st.composite
def nearly_plain(draw: st.DrawFn) -> list[Told]:
    """Pledges as intake writes them, but for a byte or two: all around what is sound."""
    made: list[Told] = []
    for offset in range(20, 20 + draw(st.integers(1, 4))):
        amount = draw(st.sampled_from([1, 5, 250, 10**6, AMOUNT_MAX, AMOUNT_MAX + 1, 10**16]))
        name = draw(st.sampled_from(["p-1", "p-2", "p" * 64, "p" * 65, "p-138001380", "p-1380013800"]))
        data = PLAIN | {"pledge": name, "amount": amount} | draw(st.sampled_from([{}, {"fallback": "pool"}]))
        one = told(offset, "pledge.made", data, wall=draw(walls))
        parts = [bytearray(one.value), *(bytearray(value) for _name, value in one.headers)]
        for _ in range(draw(st.integers(0, 2))):
            part = parts[draw(st.integers(0, len(parts) - 1))]
            place = draw(st.integers(0, len(part)))
            match draw(st.integers(0, 2)):
                case 0:
                    part[place : place + 1] = bytes([draw(st.sampled_from(DAMAGE))])
                case 1:
                    part[place:place] = bytes([draw(st.sampled_from(DAMAGE))]) * draw(
                        st.sampled_from([1, 1, 70, 130, 260])
                    )
                case _:
                    del part[place : place + draw(st.sampled_from([1, 2, 50]))]
        names = [name for name, _value in one.headers]
        headers = tuple(zip(names, map(bytes, parts[1:]), strict=True))
        made.append(one._replace(value=bytes(parts[0]), headers=headers, partition=draw(st.sampled_from([0, 0, 0, 1]))))
    return made


@settings(max_examples=TRIES * 15)
@given(nearly_plain())
def test_a_byte_beside_the_one_way_is_answered_the_same(made: list[Told]) -> None:
    assert_same([*opened(), *made])


@pytest.mark.parametrize(
    "number", ["13800138000", "wx-138.0013.8000", "p13800138000q", "~010_1234~5678", "p-008613800138000"]
)
def test_somebodys_number_is_unreadable_by_every_way(number: str) -> None:
    plain = json.dumps(PLAIN, separators=(",", ":")).encode()
    sourced = [
        (name, f"/forms/{number}".encode() if name == "ce_source" else value) for name, value in pledge(23, {}).headers
    ]
    made = [
        pledge(20, {"pledge": number}),
        pledge(21, {"donor": number}),
        told(22, "pledge.made", plain, event=number),
        pledge(23, {})._replace(headers=tuple(sourced)),
    ]
    assert assert_same([*opened(), *made]) in (None, len(opened()))
    _rows, dead, _standing = answered([*opened(), *made])
    assert len(dead) == len(made)


@pytest.mark.parametrize(
    "word", ["1732960800123", "20261130-101500", "550e8400-e29b-41d4-a716-446655440000", "0123456789" * 6]
)
def test_digits_that_are_nobodys_are_sound(word: str) -> None:
    made = [pledge(20, {"pledge": word, "donor": word}), told(21, "pledge.made", PLAIN | {"pledge": "p-2"}, event=word)]
    assert assert_same([*opened(), *made]) in (None, len(opened()) + len(made))


def test_a_fund_is_not_taken_for_another_whose_name_it_begins_with() -> None:
    other = told(
        10, "fund.configured", {"fund": "jil", "currency": "CNY", "share": 100, "vouchers_required": 0}, fund="jil"
    )
    names = ["jilin", "jil", "jilin", "jili", "jil", "jilinx", "jilin"]
    made = [
        told(20 + n, "pledge.made", PLAIN | {"fund": name, "pledge": f"p-{n}"}, fund=name)
        for n, name in enumerate(names)
    ]
    first = opened()
    to_other = told(11, "case.submitted", {"fund": "jil", "case": "c-1", "beneficiary": "b", "need": "test", "route": "home",
                                           "goal": 900, "priority": "stat"}, fund="jil")  # fmt: skip
    assert assert_same([*first, other, to_other, *made]) in (None, len(first) + 2 + len(made))


def test_commands_in_another_partition_than_their_funds_are_not_sound() -> None:
    partitions = 4
    right = partition_of(FUND, partitions)
    for partition in range(partitions):
        first, made = ([one._replace(partition=partition) for one in some] for some in (opened(), [pledge(20, {})]))
        assert assert_same([*first, *made], partition, partitions) in (None, (partition == right) * (len(first) + 1))
    strays = [one._replace(partition=right) for one in opened()]
    assert assert_same([*strays, pledge(20, {})._replace(partition=right + 1)], right, partitions) in (
        None,
        len(strays),
    )


def test_the_partitions_clock_and_timers_count_on_every_way() -> None:
    tick = told(19, "clock.ticked", {}, time="2027-03-01T00:00:00Z")._replace(key=None)
    later = told(21, "clock.ticked", {}, time="2027-03-01T00:00:01Z")._replace(key=None)
    ends = "2027-03-02T00:00:00Z"
    ending = told(22, "pledge.made", PLAIN | {"pledge": "p-ends", "amount": 10**9, "expires_at": ends})
    at_once = told(24, "pledge.made", PLAIN | {"pledge": "p-4"}, time=ends)
    records = [
        *opened(),
        tick,
        pledge(20, {}),
        later,
        ending,
        pledge(23, {"pledge": "p-3"}),
        at_once,
        pledge(25, {"pledge": "p-5"}),
    ]
    assert_same(records)


@pytest.mark.parametrize("sound", [0, 1, 50])
def test_a_breach_leaves_what_was_before_it_and_nothing_else(monkeypatch, sound: int) -> None:
    """The case is made to claim less than the book knows: a defect, as none is known."""
    for given_raw in (False, native.in_use()):
        engine = Engine()
        first = [
            *opened(cases=1, goal=10**6),
            *(pledge(20 + n, {"pledge": f"p-{n}", "amount": 1}) for n in range(sound)),
        ]
        more = [pledge(500 + n, {"pledge": f"q-{n}"}) for n in range(3)]
        start, rest = (raw(first), raw(more)) if given_raw else (first, more)
        draft = Draft(0, 0, GENESIS, -1)
        before = Batch(start, draft, engine, 1, False, math.inf)
        assert len(decided(before)) == len(start)
        broken = engine.funds[FUND].cases["c-1"]
        really = broken.claim
        broken.claim = broken.awarded - 1
        standing = (draft.seq, draft.hash, draft.watermark)
        batch = Batch(rest, draft, engine, 1, False, math.inf)
        assert decided(batch) == []
        assert batch.fault is not None and batch.fault.__traceback__ is None
        assert (batch.done, batch.dead) == (0, [])
        assert (draft.seq, draft.hash, draft.watermark) == standing
        broken.claim = really


@settings(max_examples=TRIES * 6)
@given(records())
@example([told(20, "pledge.made", b'{"fund":"jilin","pledge":"p-1","donor":"d-1","amount":250.0,"currency":"CNY"}')])
@example([told(20, "pledge.made", b'{"fund":"jilin","pledge":"p-1","donor":"d-1","amount":-0,"currency":"CNY"}')])
@example([told(20, "pledge.made", b'{"fund":"jilin","pledge":"p-1","donor":"d-1","amount":"5","currency":"CNY"}')])
@example([told(20, "pledge.made", b'{"fund":"jilin","pledge":"p\\u002d1","donor":"d-1","amount":5,"currency":"CNY"}')])
@example([told(20, "pledge.made", b'{"fund":"jilin","pledge":"p\\ud800","donor":"d-1","amount":5,"currency":"CNY"}')])
@example(
    [told(20, "pledge.made", b'{"fund":"jilin","pledge":"p-1","donor":"d-1","amount":5,"amount":6,"currency":"CNY"}')]
)
def test_whatever_is_written_is_answered_the_same(made: list[Told]) -> None:
    assert_same([*opened(), *made])


def state(engine: Engine) -> list[object]:
    """All that a later command could see of an engine's cases, pledges and awards."""
    return [
        (
            fund.name, fund.now, fund.pledges_made, fund.awards_made, fund.totals.told(),
            [
                (p.id, p.order, p.amount, p.waiting, p.awarded, p.paid_waiting, p.awards_made, p.accepted_at, p.queue,
                 [(a.id, a.order, a.amount, a.case.id) for a in p.awards])
                for p in fund.pledges.values()
            ],
            [(c.id, c.awarded, c.claim, c.rank, [a.order for a in c.awards]) for c in fund.cases.values()],
        )
        for fund in engine.funds.values()
    ]  # fmt: skip
