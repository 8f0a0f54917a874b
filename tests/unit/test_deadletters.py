"""Dead letters: a name planted anywhere is nowhere, what is whole is so to the last byte, and each fits its topic."""

import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey

from schemas.submissions import SUBMISSIONS
from services.bus.deadletters.letter import (
    FRAME_BYTES_MAX,
    NOTHING,
    PREFIX,
    REMOVED,
    REPLAY_OF,
    VALUE_BYTES_MAX,
    WITHHELD,
    Letter,
    Place,
    dead_letter,
    place_of,
)
from services.bus.topics import COMMANDS as COMMANDS_TOPIC
from services.bus.topics import MAX_RECORD_BYTES
from services.bus.topics import SUBMISSIONS as SUBMISSIONS_TOPIC
from services.errors import PumasiError
from services.intake.admission import admit
from services.intake.cloudevents import read_record
from services.intake.contacts import Sealer
from services.intake.events import told_on_topic

SEALER = Sealer(b"k" * 32, PrivateKey.generate().public_key)
TIME = "2026-11-22T10:00:00Z"
TOPICS = st.sampled_from([COMMANDS_TOPIC, SUBMISSIONS_TOPIC])
HEADERS = {"ce_specversion": "1.0", "ce_id": "e-1", "ce_source": "/forms", "ce_time": TIME}
GOOD: dict[str, dict[str, Any]] = {
    "pledge.made": {"fund": "jilin", "donor": "d-1", "amount": 5, "currency": "CNY", "pledge": "p-1", "expires_at": TIME,
                    "designation": {"case": "c-1"}, "recurrence": {"every": "P1M", "times": 3}},
    "case.submitted": {"fund": "jilin", "need": "test", "route": "home", "goal": 7, "priority": "stat", "beneficiary": "b-1",
                       "needed_by": TIME},
    "payment.failed": {"fund": "jilin", "pledge": "p-1", "reason": "no-funds"},
    "rate.quoted": {"fund": "jilin", "currency": "KRW", "rate": "0.005"},
}  # fmt: skip


@dataclass
class Rec:
    """A record as consumed."""

    value: bytes | None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    key: bytes | None = None
    topic: str = "pumasi.submissions.v1"
    partition: int = 0
    offset: int = 7


def record(kind: str, data: Any, *, key: bytes | None = None, **more: str) -> Rec:
    value = data if isinstance(data, bytes) else json.dumps(data).encode()
    headers = {**HEADERS, "ce_type": f"pumasi.{kind}", "content-type": "application/json", **more}
    return Rec(value, [(name, text.encode()) for name, text in headers.items()], key)


def structured(kind: str, data: Any, **more: Any) -> Rec:
    whole = {**{name[3:]: text for name, text in HEADERS.items()}, "type": f"pumasi.{kind}", "data": data, **more}
    return Rec(json.dumps(whole).encode(), [("content-type", b"application/cloudevents+json")])


def letter_of(one: Rec) -> Letter:
    """The dead letter as the topic door writes it; also of a record that is good."""
    try:
        admit(read_record(one), SEALER, clear_contact=False)
    except PumasiError as error:
        return dead_letter(one, error.code, told_on_topic(error))
    return dead_letter(one, "id_conflict", "an event with this id came before")


def kept_headers(letter: Letter) -> list[tuple[str, bytes | None]]:
    return [(name, text) for name, text in letter.headers if not name.startswith(PREFIX) and name != WITHHELD]


def withheld(letter: Letter) -> str:
    return dict(letter.headers)[WITHHELD].decode()


def everything(letter: Letter) -> str:
    """All of a letter as text; JSON read, so that no escape hides a name."""
    value = json.loads(letter.value) if letter.value else None
    headers = [(name, text.decode() if text else None) for name, text in letter.headers]
    return json.dumps([(letter.key or b"").decode("utf-8", "replace"), value, headers], ensure_ascii=False)


FOUND = [
    ("pledge.made", {"donor": "Kim Yongsun"}),
    ("pledge.made", {"amount": "Park Minji"}),
    ("case.thanked", {"thanks": "Dear Lee Hana, thank you"}),
    ("case.submitted", {"need": "Jung Sora has cancer"}),
    ("case.submitted", {"access": {"province": "12 Renmin Lu", "status": "unknown"}}),
    ("payment.failed", {"reason": "he has no money"}),
    ("pledge.made", {"designation": {"case": "for Kim"}}),
    ("pledge.made", {"expires_at": "when Kim comes back"}),
    ("pledge.made", {"fund": "the fund of Kim"}),
    ("pledge.made", {"Baek Suji": 1}),
    ("pledge.made", {"recurrence": {"every": "P1M", "Baek": 1}}),
    ("pledge.made", {"amount": ["Park Minji"]}),
    ("pledge.made", {"amount": {"Park": "Minji"}}),
    ("pledge.made", {"amount": 13812345678}),
    ("pledge.made", {"contact": {"address": "mailto://kim@example.org"}}),
    ("case.submitted", {"access": {"province": "CN-JL", "status": "unregistered"}}),
    ("pledge.made", {"sealed_contact": "S2ltIFlvbmdzdW4g" * 6}),
    ("case.thanked", {"case": "c-1", "thanks": "RGVhciBMZWUgSGFuYQ=="}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "planted"), FOUND)
def test_a_value_that_is_not_its_fields_own_is_removed_and_its_neighbours_stay(
    kind: str, planted: dict[str, Any]
) -> None:
    data = {**GOOD.get(kind, {"fund": "jilin"}), **planted}
    for one in (record(kind, data), structured(kind, data)):
        letter = letter_of(one)
        for word in (
            "Kim",
            "Park",
            "Minji",
            "Lee",
            "Dear",
            "Sora",
            "Renmin",
            "money",
            "Baek",
            "kim",
            "138",
            "S2l",
            "RGV",
        ):
            assert word not in everything(letter)
        told = json.loads(letter.value)
        told = told.get("data", told)
        assert told["fund"] == (REMOVED if "fund" in planted else "jilin")
        stays = GOOD.get(kind, {}).keys() - planted.keys()
        assert {name: told[name] for name in stays} == {name: data[name] for name in stays}


def test_what_nobody_knows_is_told_by_its_number() -> None:
    letter = letter_of(record("rate.quoted", {**GOOD["rate.quoted"], "Baek Suji": 1, "Oh Jiwon": "x"}))
    assert json.loads(letter.value) == {**GOOD["rate.quoted"], REMOVED: 2}
    known = "is no field of this event; known here: fund, currency, rate"
    assert dict(letter.headers)["__streams.errors.message"].decode() == f"/data/?: {known} (unknown_field)"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ammount", "ammount"),
        ("expiresAt", "expiresAt"),
        ("voucher", "voucher"),
        ("kim_minsu", "?"),
        ("boucher", "?"),
        ("conor", "?"),
        ("gopal", "?"),
    ],
)
def test_a_misspelt_field_is_told_by_its_name_and_what_may_be_somebodys_is_not(name: str, told: str) -> None:
    letter = letter_of(structured("pledge.made", {**GOOD["pledge.made"], name: 1}))
    assert dict(letter.headers)["__streams.errors.message"].decode().startswith(f"/data/{told}: is no field")
    assert told != "?" or name not in everything(letter)


INTEGER = "must be an integer in the currency's minor unit, without quotes or fraction"


@pytest.mark.parametrize(
    ("field", "value", "told", "why"),
    [
        ("amount", -7000, True, "/data/amount: must be at least 1 (below_minimum)"),
        ("amount", 10**17, False, "/data/amount: must be at most 9007199254740991 (above_maximum)"),
        (
            "amount",
            -13800138000,
            False,
            "/data/amount: must be at least 1 (below_minimum)",
        ),  # somebody's number, with a dash
        ("donor", 19900101, False, "/data/donor: must be a string (wrong_type)"),  # a birthday, where a word belongs
        ("donor", 1990.0101, False, "/data/donor: must be a string (wrong_type)"),
        ("amount", 5000.5, True, f"/data/amount: {INTEGER} (wrong_type)"),
        ("amount", 13800138000.5, False, f"/data/amount: {INTEGER} (wrong_type)"),
        ("fallback", "nobody", False, "/data/fallback: must be one of: pool, hold, release (not_one_of)"),
    ],
)
def test_a_letter_says_what_http_says_and_tells_a_number_that_is_nobodys(
    field: str, value: Any, told: bool, why: str
) -> None:
    sent = {**GOOD["pledge.made"], field: value}
    letter = letter_of(structured("pledge.made", sent))
    assert json.loads(letter.value)["data"].get(field) == (value if told else REMOVED)
    assert why in dict(letter.headers)["__streams.errors.message"].decode().split("; ")


def test_headers_and_key_pass_their_own_rules_or_go() -> None:
    one = record(
        "rate.quoted", GOOD["rate.quoted"], key=b"Kim", ce_subject="Yoon Ara", fullname="Oh Jiwon", ce_id="Oh Jiwon", ce_fullname="Oh",
        ce_source="/forms?name=Oh", **{"Oh Jiwon": "x", "__streams.errors.Oh": "x", "ce_time": "Oh", "ce_type": "pumasi.rate.quoted"},
    )  # fmt: skip
    letter = letter_of(one)
    removed = REMOVED.encode()
    assert letter.key == removed
    assert kept_headers(letter) == [
        ("ce_specversion", b"1.0"), ("ce_id", removed), ("ce_source", removed), ("ce_time", removed),
        ("ce_type", b"pumasi.rate.quoted"), ("content-type", b"application/json"), ("ce_subject", removed),
    ]  # fmt: skip
    assert not {"Oh", "Yoon", "Kim"} & set(everything(letter).replace('"', " ").split())
    assert letter_of(record("rate.quoted", GOOD["rate.quoted"], key=b"jilin")).key == b"jilin"
    assert letter_of(record("rate.quoted", {**GOOD["rate.quoted"], "fund": "a b"}, key=b"a b")).key == removed


@pytest.mark.parametrize(
    "value",
    [
        b"Kim Yongsun", b'"Kim Yongsun"', b'["Kim Yongsun"]', b"\xffKim Yongsun", '"Kim"'.encode("utf-16"), b"[" * 60_000 + b'"Kim"',
        b'{"a":' * 20_000 + b'"Kim"', b'{"Kim":' + b"1" * 5000 + b"}", b'{"fund":"\\ud800Kim"}', b"7",
    ],
)  # fmt: skip
def test_what_is_no_object_is_withheld_whole(value: bytes) -> None:
    told = json.loads(letter_of(record("pledge.made", value)).value)
    assert told.keys() == {"withheld", "bytes"}
    assert told["bytes"] == len(value)


def test_an_unknown_type_says_nothing_about_its_members() -> None:
    assert json.loads(letter_of(record("Kim", {"fund": "jilin"})).value).keys() == {"withheld", "bytes"}
    told = json.loads(letter_of(structured("Kim", {"fund": "jilin"})).value)
    assert (told["type"], told["data"]) == (REMOVED, REMOVED)


NAMES = st.builds(
    lambda given, family, gap: f"{given}{gap}{family}",
    st.sampled_from(["Qyongsun", "Qminji", "김철수", "박민지", "李哈娜"]),
    st.sampled_from(["Qkim", "Qpark", "영희", "小明", "O'Qneill"]),
    st.sampled_from([" ", ", ", "\n", "/", " & "]),
)
PLACES = (
    "member",
    "nested",
    "unknown",
    "nested unknown",
    "twice",
    "header",
    "attribute",
    "key",
    "whole",
    "type",
    "list",
)


@st.composite
def submissions(draw: st.DrawFn) -> tuple[Rec, str]:
    """A good submission, and a name planted somewhere in it."""
    name, place = draw(NAMES), draw(st.sampled_from(PLACES))
    kind = draw(st.sampled_from(sorted(GOOD)))
    data = json.loads(json.dumps(GOOD[kind]))
    fields = sorted(SUBMISSIONS[f"pumasi.{kind}"].model_fields)
    more: dict[str, Any] = {}
    if place == "member":
        data[draw(st.sampled_from(fields))] = name
    elif place in ("nested", "nested unknown", "list"):
        whole = draw(st.sampled_from(fields))
        inside = data.get(whole) if isinstance(data.get(whole), dict) else {}
        key = draw(st.sampled_from(["case", "need", "every", "times", "province", "status", "address", *inside]))
        data[whole] = [name] if place == "list" else {**inside, **({key: name} if place == "nested" else {name: key})}
    elif place == "unknown":
        data[name] = draw(st.none() | st.integers() | NAMES.map(lambda _: name))
    elif place == "header":
        more = {
            draw(st.sampled_from(["fullname", "ce_fullname", name, f"ce_{name}", f"__streams.errors.{name}"])): name
        }
    elif place == "attribute":
        told = [
            "id",
            "source",
            "time",
            "subject",
            "specversion",
            "dataschema",
            "partitionkey",
            "tracestate",
            "traceparent",
        ]
        more = {f"ce_{draw(st.sampled_from(told))}": name}
    elif place == "type":
        more = {draw(st.sampled_from(["ce_type", "content-type", "ce_datacontenttype"])): name}
    key = name.encode() if place == "key" else draw(st.none() | st.just(b"jilin"))
    if place == "whole":
        return record(kind, draw(st.sampled_from([name, [name], name.encode(), name.encode("utf-16")])), key=key), name
    if place == "twice":
        body = json.dumps(data)[:-1] + f', "fund": {json.dumps(name)}, "fund": "jilin"}}'
        return record(kind, body.encode(), key=key), name
    if draw(st.booleans()):
        return structured(kind, data, **{header.removeprefix("ce_"): text for header, text in more.items()}), name
    return record(kind, data, key=key, **more), name


@settings(max_examples=600, deadline=None)
@given(submissions())
def test_a_name_planted_anywhere_is_nowhere_in_the_dead_letter(planted: tuple[Rec, str]) -> None:
    one, name = planted
    told = everything(letter_of(one))
    for part in name.replace(",", " ").replace("/", " ").replace("&", " ").split():
        assert part not in told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "data", "fund", "access", "id", "x"]), inner),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(), st.binary(), st.booleans())
def test_every_record_gets_a_letter_that_is_json(value: bytes, odd: bytes, whole: bool) -> None:
    one = structured("pledge.made", {}) if whole else record("pledge.made", {})
    one.value, one.key, one.headers = value, odd, [*one.headers, ("ce_subject", None), ("ce_id", odd)]
    letter = letter_of(one)
    assert json.loads(letter.value or b"") is not None
    assert letter.key in (REMOVED.encode(), odd)
    assert withheld(letter) != NOTHING  # an attribute is null


# ---- what is whole is so to the last byte ---------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(submissions(), TOPICS)
def test_a_letter_says_what_it_withholds(planted: tuple[Rec, str], topic: str) -> None:
    one = replace(planted[0], topic=topic)
    letter = dead_letter(one, "x", "y")
    differ = {
        "key": letter.key != one.key,
        "value": letter.value != one.value,
        "headers": kept_headers(letter) != one.headers,
    }
    assert withheld(letter) == (",".join(name for name, so in differ.items() if so) or NOTHING)


@pytest.mark.parametrize("kind", sorted(GOOD))
@pytest.mark.parametrize("layout", [{}, {"indent": 2}, {"ensure_ascii": True, "separators": (" , ", " : ")}])
def test_what_passes_every_rule_is_kept_byte_by_byte(kind: str, layout: dict[str, Any]) -> None:
    for one in (record(kind, json.dumps(GOOD[kind], **layout).encode(), key=b"jilin"), structured(kind, GOOD[kind])):
        letter = dead_letter(one, "id_conflict", "an event with this id came before")
        assert (letter.key, letter.value, kept_headers(letter)) == (one.key, one.value, one.headers)
        assert withheld(letter) == NOTHING


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b'{"fund":"jilin","currency":"KRW","rate":"Kim","rate":"0.005"}', b'{"fund":"jilin","currency":"KRW","rate":"0.005"}'),
        (b'{"fund":"jilin","currency":"KRW","rate":"0.005","x":1}', b'{"fund":"jilin","currency":"KRW","rate":"0.005","[removed]":1}'),
    ],
)  # fmt: skip
def test_of_two_members_of_one_name_none_is_taken_for_the_record(value: bytes, told: bytes) -> None:
    letter = letter_of(record("rate.quoted", value))
    assert (letter.value, withheld(letter)) == (told, "value")


def test_a_number_that_says_more_than_is_seen_of_it_is_not_kept_whole() -> None:
    one = record(
        "pledge.made",
        b'{"fund":"jilin","pledge":"p","donor":"d","amount":5.00000000000000013812345678,"currency":"CNY"}',
    )
    assert b"138" not in letter_of(one).value
    assert "value" in withheld(letter_of(one))


def test_a_name_in_the_first_of_two_members_of_a_command_is_no_part_of_its_letter() -> None:
    letter = dead_letter(
        record("pledge.withdrawn", b'{"fund":"jilin","pledge":"Kim Yongsun","pledge":"p-1","x":1}'), "unreadable", "x"
    )
    assert (letter.value, withheld(letter)) == (b'{"fund":"jilin","pledge":"p-1","[removed]":1}', "value")


def test_a_record_cannot_speak_for_its_letter() -> None:
    one = record("rate.quoted", GOOD["rate.quoted"], **{WITHHELD: NOTHING, PREFIX + "topic": "pumasi.ledger.v1"})
    letter = dead_letter(one, "x", "y")
    names = [name for name, _ in letter.headers]
    assert names.count(WITHHELD) == names.count(PREFIX + "topic") == 1
    assert dict(letter.headers)[PREFIX + "topic"] == b"pumasi.submissions.v1"
    assert withheld(letter) == "headers"


@pytest.mark.parametrize(("text", "stays"), [("pumasi.commands.v1-0-41", True), ("for Kim Yongsun", False)])
def test_the_letter_a_record_was_put_back_from_stays_on_it(text: str, stays: bool) -> None:
    letter = dead_letter(record("rate.quoted", GOOD["rate.quoted"], **{REPLAY_OF: text}), "x", "y")
    told = dict(letter.headers).get(REPLAY_OF)
    assert told == (text.encode() if stays else REMOVED.encode())
    assert (withheld(letter) == NOTHING) == stays


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("pumasi.commands.v1-0-41", Place("pumasi.commands.v1", 0, 41)),
        ("pumasi.submissions.v12-12-1234567890123", Place("pumasi.submissions.v12", 12, 1234567890123)),
        ("commands-0-41", None), ("pumasi.commands.v1-0", None), ("pumasi.commands.v1--1-3", None), ("pumasi.commands.v1-0-41\n", None),
        ("pumasi.commands.v1-٣-41", None), ("", None),
    ],
)  # fmt: skip
def test_an_id_is_the_place_of_the_record(text: str, place: Place | None) -> None:
    assert place_of(text) == place
    if place:
        assert str(place) == text


# ---- each fits its topic --------------------------------------------------------------------------------------------------


def size(letter: Letter) -> int:
    return (
        len(letter.key or b"") + len(letter.value or b"") + sum(len(n) + len(v or b"") + 16 for n, v in letter.headers)
    )


HUGE = MAX_RECORD_BYTES - 1000
LARGE: dict[str, Rec] = {
    "a word": Rec(b"j" * HUGE),
    "JSON that is kept": Rec(b'{"fund":"' + b"j" * HUGE + b'"}'),
    "JSON that grows as it is cleaned": Rec(b'["a b"' + b",1e9" * (HUGE // 4) + b"]"),
    "members of no name": Rec(b'{"a b":[' + b"{}," * (HUGE // 3) + b'"a b"]}'),
    "a key": Rec(b"{}", key=b"k" * HUGE),
    "one header": Rec(b"{}", [("trace", b"h" * HUGE)]),
    "many headers": Rec(b"{}", [(" ", b" ")] * (HUGE // 4)),
    "a header's name": Rec(b"{}", [("ce_" + "n" * HUGE, b"")]),
    "a little of each": Rec(b"j" * (3 << 20), [("trace", b"h" * (256 << 10))], b"k" * (256 << 10)),
}  # fmt: skip


@pytest.mark.parametrize("topic", [COMMANDS_TOPIC, SUBMISSIONS_TOPIC])
@pytest.mark.parametrize("name", LARGE)
def test_the_letter_of_a_record_as_large_as_its_topic_takes_fits_its_own(name: str, topic: str) -> None:
    one = replace(LARGE[name], topic=topic)
    letter = dead_letter(one, "unreadable", "w" * 2000)
    assert size(letter) <= VALUE_BYTES_MAX + FRAME_BYTES_MAX + 4096 < MAX_RECORD_BYTES
    if letter.value != one.value:
        assert "value" in withheld(letter)


def test_what_is_long_goes_and_what_is_short_stays() -> None:
    given = record("rate.quoted", GOOD["rate.quoted"], key=b"jilin")
    given.headers.append(("trace", b"h" * FRAME_BYTES_MAX))
    letter = dead_letter(given, "unreadable", "x")
    assert (letter.key, kept_headers(letter)) == (b"jilin", given.headers[:-1])
    assert withheld(letter) == "headers"


def test_what_no_door_reads_nobody_goes_through_for_its_letter() -> None:
    one = record("rate.quoted", json.dumps(GOOD["rate.quoted"]).encode() + b" " * 100_000)
    letter = dead_letter(one, "unreadable", "value: too large")
    assert (letter.value, withheld(letter)) == (one.value, NOTHING)
    many = record("rate.quoted", b"{" + b",".join(b'"k%d":1' % n for n in range(300_000)) + b"}")
    began = time.process_time()
    assert json.loads(dead_letter(many, "x", "y").value) == {"withheld": "too large", "bytes": len(many.value)}
    assert time.process_time() - began < 0.5, "some milliseconds; it was seven seconds"
    longer = record("rate.quoted", one.value + b" " * 200_000)
    assert json.loads(dead_letter(longer, "x", "y").value) == {"withheld": "too large", "bytes": len(longer.value)}


# ---- commands are held to the same rule -----------------------------------------------------------------------------------

COMMAND = {"fund": "jilin", "pledge": "p-1"}
PLANTED = [
    {"qq": "1234567890"}, {"전화": "010"}, {"cellphone": 1234567}, {"Kim.Min-su": 1}, {"name": "Kim.Min-su"}, {"note": "Kim.Min-su"},
    {"pledge": "wx-138.0013.8000"}, {"pledge": "김민수"}, {"pledge": ["Kim.Min-su"]}, {"pledge": {"Kim.Min-su": "Kim.Min-su"}},
    {"fund": "13800138000"}, {"payment": "6222021234567890123"}, {"thanks": "I.am-Kim"},
]  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("kind", ["pledge.withdrawn", "payment.failed", "case.thanked"])
def test_a_commands_letter_keeps_only_what_its_model_knows_and_its_fields_rule_passes(
    kind: str, planted: dict[str, Any]
) -> None:
    one = replace(record(kind, {**COMMAND, **planted}, key=b"Kim.Min-su"), topic=COMMANDS_TOPIC)
    told = everything(dead_letter(one, "unreadable", "x"))
    for word in ("123456", "010", "138", "6222", "전화", "qq", "cellphone", "Kim", "김민수", "name"):
        assert word not in told


def test_a_commands_hashes_and_phrases_may_be_told_and_it_can_be_put_back() -> None:
    hashed = "~abcdefghijklmnopqrstuvwxyz"
    for kind, data in (
        ("payment.failed", {**COMMAND, "payment": hashed, "reason": "no-funds"}),
        ("case.thanked", {"fund": "jilin", "case": "c-1", "thanks": hashed}),
        ("case.thanked", {"fund": "jilin", "case": "c-1", "thanks": "blessing"}),
        ("clock.ticked", {}),
    ):
        one = replace(record(kind, data), topic=COMMANDS_TOPIC)
        letter = dead_letter(one, "unreadable", "x")
        assert (letter.value, kept_headers(letter), withheld(letter)) == (one.value, one.headers, NOTHING)


# ---- there is a letter whatever comes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OverflowError, MemoryError, KeyError, TypeError, AssertionError])
@pytest.mark.parametrize("part", ["_read", "_known_headers", "_members", "_letter", "holds_number"])
def test_a_reader_that_fails_withholds_all_and_leaves_the_reason(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], part: str
) -> None:
    def fails(*_: Any) -> Any:
        raise error("Kim Yongsun")

    monkeypatch.setattr(f"services.bus.deadletters.letter.{part}", fails)
    one = record("rate.quoted", GOOD["rate.quoted"], key=b"jilin")
    letter = dead_letter(one, "malformed", "where it was wrong")
    assert (letter.key, json.loads(letter.value).keys()) == (REMOVED.encode(), {"withheld", "bytes"})
    assert kept_headers(letter) == []
    assert withheld(letter) == "key,value,headers"
    assert dict(letter.headers)[PREFIX + "exception"] == b"malformed"
    assert dict(letter.headers)[PREFIX + "message"] == b"where it was wrong"
    empty = dead_letter(Rec(None), "malformed", "x")
    assert (empty.key, empty.value) == (None, None)


HOSTILE: list[bytes | None] = [
    None, b"", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b'{"fund":"\\ud800"}', b'{"fund":' + b"9" * 5_000 + b"}", b"NaN",
    b"1e999999",
    b'{"expires_at":"0001-01-01T00:00:00+09:00"}', b'{"needed_by":"9999-12-31T23:59:59-09:00"}', b'{"amount":1e400}',
    b'{"expires_at":1e400}', b'{"expires_at":99999999999999999999}', b'{"recurrence":{"every":"P1M","times":1e999}}', b'{"":{}}',
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("kind", sorted({*GOOD, "clock.ticked", "eaten"}))
@pytest.mark.parametrize("topic", [COMMANDS_TOPIC, SUBMISSIONS_TOPIC])
def test_no_content_keeps_a_letter_from_being_written(topic: str, kind: str, value: bytes | None) -> None:
    for one in (
        replace(record(kind, b""), value=value, topic=topic, key=b"\xff"),
        replace(structured(kind, {}), value=value, topic=topic),
    ):
        letter = dead_letter(one, "unreadable", "\ud800")
        assert dict(letter.headers)[PREFIX + "exception"] == b"unreadable"
        assert letter.value is None or json.loads(letter.value) is not None


def test_a_command_keeps_the_headers_that_intake_gave_it() -> None:
    value = json.dumps(GOOD["pledge.made"]).encode()
    given = [("ce_type", "pumasi.pledge.made"), *HEADERS.items(), ("pumasi_clock", "wall"), ("pumasi_submission", "3-41"),
             ("pumasi_supersedes", "1-40")]  # fmt: skip
    whole = Rec(value, [(name, text.encode()) for name, text in given], b"jilin", COMMANDS_TOPIC)
    assert (WITHHELD, NOTHING.encode()) in dead_letter(whole, "unreadable", "why").headers
    odd = [("pumasi_clock", b"Kim"), ("pumasi_submission", b"Kim"), ("pumasi_elsewhere", b"Kim")]
    assert "Kim" not in repr(dead_letter(replace(whole, headers=odd), "unreadable", "why"))
