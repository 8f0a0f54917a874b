"""Dead letters of what came from outside: by allow-list, so that a name planted anywhere is nowhere."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey

from schemas.submissions import SUBMISSIONS
from services.bus.deadletters import REMOVED, Letter, outsiders_letter
from services.errors import PumasiError
from services.intake.admission import admit
from services.intake.contacts import Sealer
from services.intake.reading import read_record
from services.intake.topic_door import told_on_topic

SEALER = Sealer(b"k" * 32, PrivateKey.generate().public_key)
TIME = "2026-11-22T10:00:00Z"
HEADERS = {"ce_specversion": "1.0", "ce_id": "e-1", "ce_source": "/forms", "ce_time": TIME}
GOOD: dict[str, dict[str, Any]] = {
    "pledge.made": {"fund": "jilin", "donor": "d-1", "amount": 5, "currency": "CNY", "pledge": "p-1", "expires_at": TIME,
                    "designation": {"case": "c-1"}, "recurrence": {"every": "P1M", "times": 3}},
    "case.submitted": {"fund": "jilin", "need": "test", "route": "home", "goal": 7, "priority": "stat", "beneficiary": "b-1",
                       "access": {"province": "CN-22", "status": "unknown"}},
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
        return outsiders_letter(one, error.code, told_on_topic(error))
    return outsiders_letter(one, "id_conflict", "an event with this id came before")


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
    assert dict(letter.headers)["__streams.errors.message"] == b"/data/?: unknown_field"


def test_headers_and_key_pass_their_own_rules_or_go() -> None:
    one = record(
        "rate.quoted", GOOD["rate.quoted"], key=b"Kim", ce_subject="Yoon Ara", fullname="Oh Jiwon", ce_id="Oh Jiwon", ce_fullname="Oh",
        ce_source="/forms?name=Oh", **{"Oh Jiwon": "x", "__streams.errors.Oh": "x", "ce_time": "Oh", "ce_type": "pumasi.rate.quoted"},
    )  # fmt: skip
    letter = letter_of(one)
    removed = REMOVED.encode()
    assert letter.key == removed
    assert [header for header in letter.headers if not header[0].startswith("__")] == [
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
