"""Struct and model agree: whatever JSON a command's data is written in, both take it or both refuse it, and both read the same values.

The model is the definition, the struct is what reads (`schemas.structs`). Of two members of one name a model takes the last; the
contract refuses both, so the model is asked only about JSON in which none comes twice.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.commands import COMMANDS, READERS, FundConfigured, PledgeMade, read_data
from schemas.generate import shapes
from schemas.structs import Unfit, is_id, said, says_twice
from schemas.values import AMOUNT_MAX, Model
from tests.properties.test_strict_reading import HOLE, examples, misspelt, places, with_hole
from tests.properties.tries import TRIES

GOLDEN = {shape.name: examples(shape) for shape in shapes() if shape.group == "commands"}
KINDS = list(COMMANDS)


def values(one: Any) -> Any:
    """All fields of a struct or a model, by name."""
    if isinstance(one, Model):
        return {name: values(getattr(one, name)) for name in type(one).model_fields}
    return (
        {name: values(getattr(one, name)) for name in one.__struct_fields__} if isinstance(one, msgspec.Struct) else one
    )


def twice(text: str) -> bool:
    """Whether a member comes twice in one object, found in the simplest way."""
    found = False

    def look(members: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len(dict(members)) < len(members)

    try:
        json.loads(text, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return False
    return found


def assert_same(kind: str, text: str) -> bool:
    """Read JSON by struct and by model; whether it was taken."""
    model, reader, value = COMMANDS[kind], READERS[kind], text.encode("utf-8", "surrogatepass")
    try:
        expected = None if twice(text) else model.model_validate_json(value)
    except ValidationError:
        expected = None
    try:
        read = reader.read(value)
    except Unfit:
        assert expected is None, f"{kind}: only the struct refuses {text[:300]}"
        return False
    assert expected is not None, f"{kind}: only the struct takes {text[:300]}"
    assert values(read) == values(expected)
    assert {name: type(one) for name, one in values(read).items()} == {n: type(o) for n, o in values(expected).items()}
    assert values(reader.struct_of(expected)) == values(read)
    assert said(read) == expected.model_dump(mode="json", exclude_none=True)
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_golden_examples_are_taken_however_they_are_spaced(kind: str) -> None:
    assert GOLDEN[kind]
    for data in GOLDEN[kind]:
        for text in (json.dumps(data), json.dumps(data, separators=(",", ":")), json.dumps(data, indent="\t")):
            assert assert_same(kind, text)
            assert assert_same(kind, f"\n {text}\r\n")


@pytest.mark.parametrize("kind", KINDS)
def test_odd_spellings_of_each_field_are_refused_by_both(kind: str) -> None:
    for place, field in places(COMMANDS[kind]):
        for text, value in (hole for data in GOLDEN[kind] if (hole := with_hole(data, place))):
            for wrong in misspelt(place, field, value):
                assert not assert_same(kind, text.replace(HOLE, wrong)), (place, wrong[:80])


@pytest.mark.parametrize(
    "word", ["13800138000", "wx-138.0013.8000", "~010_1234~5678", "0123456789" * 6, "20261130-101500"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_somebodys_number_is_refused_by_both_wherever_it_stands(kind: str, word: str) -> None:
    for place, _field in places(COMMANDS[kind]):
        for text, value in (hole for data in GOLDEN[kind] if (hole := with_hole(data, place))):
            if isinstance(value, str):
                assert_same(kind, text.replace(HOLE, json.dumps(word)))
                assert_same(kind, text.replace(HOLE, json.dumps(f"{word}#2")))


# ---- anything at all ---------------------------------------------------------------------------------------------------

MEMBERS = sorted({place[-1] for model in COMMANDS.values() for place, _ in places(model)})
WORDS = st.one_of(
    st.sampled_from([
        "", "a" * 64, "a" * 65, "p-1#2", "p-1#0", "p-1#02", "p#9999999", "p#10000000", "#2", "p-1#", "p#1#2", "p-1\n", "p#2\n",
        "é", "김", "a\u0000", "13800138000", "wx-138.0013.8000", "p13800138000q", "p13800138000#2", "p-1380013#8000", "0123456789" * 6,
        "550e8400-e29b-41d4-a716",
        "CNY", "XXX", "cny", "CNY\n", "1", "1.0", "0", "0.10", "00.1", "1e3", "7.2345", "7.2345\n", "9" * 40, "urgent", "pool", "hold",
        "other", "other:x", "CN-22", "KR-11", "CN-99", "P1M", "P1W", "every", "::::", '":"', '"fund":', "\\", "\ud7ff", "\U0001f91d",
        "2031-12-31T00:00:00Z", "2031-12-31t00:00:00.123456z", "2031-12-31T00:00:00+09:00", "2031-12-31T00:00:00.1234567Z",
        "1999-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "2031-02-29T00:00:00Z", "2031-12-31 00:00:00Z",
    ]),
    st.text('ab-._~#:"\\/é1 ', max_size=5),
)  # fmt: skip
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.floats(allow_nan=False),
    st.sampled_from([0, 1, AMOUNT_MAX, AMOUNT_MAX + 1, 2**63, 2**64, 10**40, -0.0, 1e300, 876_000, 36500]),
    WORDS,
)  # fmt: skip
ODDER = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*MEMBERS, "x"]), inner, max_size=3),
    max_leaves=4,
)
SPACES = st.sampled_from(["", "", "", " ", "\n", "\t\r\n  "])


def written(draw: st.DrawFn, value: Any) -> str:
    """JSON of a value: spaced, escaped and ordered in any way, now and then with a member twice."""
    if isinstance(value, dict):
        members = [(name, written(draw, one)) for name, one in value.items()]
        if members and draw(st.integers(0, 3)) == 0:
            members = list(draw(st.permutations(members)))
        if members and draw(st.integers(0, 11)) == 0:
            again = draw(st.sampled_from(members))
            one = again[1] if draw(st.booleans()) else written(draw, draw(ODD))
            members.insert(draw(st.integers(0, len(members))), (again[0], one))
        said = (
            f"{draw(SPACES)}{written(draw, name)}{draw(SPACES)}:{draw(SPACES)}{one}{draw(SPACES)}"
            for name, one in members
        )
        return "{" + ",".join(said) + "}"
    if isinstance(value, str) and value and draw(st.integers(0, 9)) == 0:
        return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 1 << 16 else c for c in value) + '"'
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@st.composite
def datas(draw: st.DrawFn) -> tuple[str, str]:
    """A command's `ce_type`, and JSON that is nearly its data."""
    kind = draw(st.sampled_from(KINDS))
    data = json.loads(json.dumps(draw(st.sampled_from(GOLDEN[kind]))))
    for _ in range(draw(st.integers(0, 2))):
        at = data
        while (inner := [one for one in at.values() if isinstance(one, dict)]) and draw(st.booleans()):
            at = draw(st.sampled_from(inner))
        name = draw(st.sampled_from([*(at or MEMBERS), *COMMANDS[kind].model_fields, "x", "Fund", "fund "]))
        if draw(st.integers(0, 3)) == 0:
            at.pop(name, None)
        else:
            at[name] = draw(ODDER)
    text = written(draw, data)
    if draw(st.integers(0, 19)) == 0:
        text = draw(st.sampled_from([text[:-1], text + "x", "\ufeff" + text, f"[{text}]", "null", "", text + text]))
    return kind, text


@settings(max_examples=TRIES * 25)
@given(datas())
@example(("pumasi.pledge.withdrawn", '{"fund":"f","pledge":"p-1","pledge":"p-1"}'))
@example(("pumasi.pledge.withdrawn", '{"fund":"f","pledge":"p\\u002d1"}'))
@example(("pumasi.pledge.withdrawn", '{"fund":"f","pledge":"p\\ud800"}'))
@example(("pumasi.case.closed", '{"fund":"f","case":"c","outcome":"completed","outcome":"completed"}'))
@example(("pumasi.case.amended", '{"fund":"f","case":"c","goal":null,"needed_by":null}'))
@example(("pumasi.clock.ticked", "{}"))
@example(("pumasi.clock.ticked", '{"fund":"f"}'))
def test_whatever_is_written_is_taken_by_both_or_by_none(one: tuple[str, str]) -> None:
    assert_same(*one)


@settings(max_examples=TRIES * 10)
@given(datas())
@example(("pumasi.case.amended", '{"fund":"f","case":"c","goal":5,"goal":6,"needed_by":"2031-12-31T00\\u003a00:00Z"}'))
def test_no_member_said_twice_passes_for_said_once(one: tuple[str, str]) -> None:
    kind, text = one
    value = text.encode("utf-8", "surrogatepass")
    if twice(text):
        with contextlib.suppress(ValueError):  # it is no JSON besides
            assert says_twice(value)
        with pytest.raises(Unfit):
            READERS[kind].read(value)


def doubled(data: dict[str, Any], colon: str) -> Iterator[str]:
    """JSON in which one member comes twice, each in turn, those within others included; at either end, with the value or without."""
    text = json.dumps(data, separators=(",", colon))
    for found in re.finditer(rf'"(\w+)"{colon}("[^"]*"|\d+|\{{[^}}]*\}})', text):
        begin, end = found.span()
        for value in {found[2], "null"}:
            yield f'{text[:begin]}"{found[1]}"{colon}{value},{text[begin:]}'
            yield f'{text[:end]},"{found[1]}"{colon}{value}{text[end:]}'


@pytest.mark.parametrize("colon", [":", " :", ": ", "\n:\t"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if any(GOLDEN[kind])])
def test_each_member_said_twice_is_found_out(kind: str, colon: str) -> None:
    tried = 0
    for text in (text for data in GOLDEN[kind] for text in doubled(data, colon)):
        assert twice(text)
        assert not assert_same(kind, text)
        tried += 1
    assert tried >= 2


# ---- the parts ---------------------------------------------------------------------------------------------------------


@given(st.lists(WORDS, max_size=3))
def test_words_are_ids_if_the_model_takes_each_of_them(words: list[str]) -> None:
    def taken(word: str) -> bool:
        try:
            return bool(FundConfigured(fund=word, currency="CNY"))
        except ValidationError:
            return False

    assert [is_id(word) for word in words] == [taken(word) for word in words]


def test_words_beside_the_data_are_looked_at_too() -> None:
    value = b'{"fund":"f","pledge":"p-1"}'
    reader = READERS["pumasi.pledge.withdrawn"]
    assert reader.read(value, "e-1")
    for word in ("", "a" * 65, "e 1", "13800138000", "é"):
        with pytest.raises(Unfit):
            reader.read(value, word)


def test_the_model_explains_what_the_struct_refuses() -> None:
    for kind in KINDS:
        with pytest.raises(ValidationError):
            read_data(kind, b'{"unknown":1}')
    made = read_data("pumasi.pledge.made", b'{"fund":"f","pledge":"p","donor":"d","amount":1,"currency":"CNY"}')
    assert type(made) is type(READERS["pumasi.pledge.made"].read(json.dumps(said(made)).encode()))
    assert not isinstance(made, PledgeMade)


def test_times_are_datetimes_of_the_same_instant() -> None:
    text = (
        '{"fund":"f","pledge":"p","donor":"d","amount":1,"currency":"CNY","expires_at":"2031-12-31T09:00:00.5+09:00"}'
    )
    assert assert_same("pumasi.pledge.made", text)
    assert isinstance(READERS["pumasi.pledge.made"].read(text.encode()).expires_at, datetime)  # type: ignore[attr-defined]
