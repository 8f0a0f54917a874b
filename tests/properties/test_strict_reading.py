"""One spelling for each value: whatever else stands in a field's place is refused, by the models and by all that reads with them.

The fields are found by walking the models, and each stands in a golden example: whoever adds a field without one is told so here.
Into each place goes what lax readers are talked into: numbers as text, text as numbers, `true` for 1, `1.0`, `1e0`, blanks.
"""

import json
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from nacl.public import PrivateKey
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from schemas import generate
from schemas.commands import Command, Unreadable
from schemas.facts import Fact
from schemas.generate import Shape, shapes
from schemas.notices import Notice
from schemas.times import parse
from services.bus.envelope import command_headers, read_command
from services.errors import InvalidSubmission
from services.intake.admission import admit
from services.intake.cloudevents import BATCH, JSON, Malformed, read_http
from services.intake.contacts import Sealer
from tests.properties.test_ways import PLAIN, assert_same, opened, told
from tests.records import CommandRecord

GOLDEN = generate.HERE / "golden" / generate.VERSION
SHAPES = [pytest.param(shape, id=f"{shape.group}-{shape.name}") for shape in shapes()]
HOLE = '"<hole>"'
ANY_TEXT = {("detail",), ("cause", "id"), ("cause", "type"), ("text",), ("address",), ("contact", "address")}
"""Text in which blanks may stand: nothing is read out of the first five, and of the last the same is made however it is written."""

OWN_TIMES = {"at", "told_at", "timestamp", "since", "forgotten_on"}
"""Times that Pumasi says and no sender gives: any year may stand there."""

NUMBERS = ["1.0", "1e0", "1E3", "10e-1", "1.5", "true", "false", '"1"', '"١"', "[1]", "{}", "-1", "NaN", "Infinity", "-Infinity", "01",
           "0x1", "+1", "1_000", "1" + "0" * 5000]  # fmt: skip
TEXTS = ["1", "0", "1.0", "true", "false", "[]", "{}", "NaN"]
TIMES = ['"20311231"', "20311231", "1795341600", "1795341600.5", '"1795341600"', '"1795341600.5"', '"2031-12-31"', "1e9", '"P1D"',
         '"2031-12-31T00:00:00"', '"2031-12-31 00:00:00Z"', '"2031-12-31T00:00Z"', '"2031-12-31T00:00:00+0900"', '"now"',
         '"2031-12-31T24:00:00Z"', '"2031-12-31T23:59:60Z"', '"2031-02-29T00:00:00Z"', '"+2031-12-31T00:00:00Z"',
         '"-0001-01-01T00:00:00Z"', '"0001-01-01T00:00:00+09:00"',
         '"9999-12-31T23:59:59-09:00"', '"2031-12-31T00:00:00Z[Asia/Seoul]"']  # fmt: skip
GIVEN_TIMES = ['"1970-01-01T00:00:00Z"', '"1999-12-31T23:59:59.999999Z"', '"2000-01-01T00:00:00+00:01"', '"2200-01-01T00:00:00Z"',
               '"9999-12-31T23:59:59Z"', '"0001-01-01T00:00:00Z"']  # fmt: skip


def inner_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's value may hold; facts and notices are shapes of their own."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, Fact | Notice):
        yield annotation
    for inner in get_args(annotation):
        yield from inner_models(inner)


def places(model: type[BaseModel], way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Every field of a model and of those within, by its names from the top."""
    for name, field in model.model_fields.items():
        place = (*way, field.alias or name)
        yield place, field
        for inner in inner_models(field.annotation):
            yield from places(inner, place)


def examples(shape: Shape) -> list[Any]:
    if shape.group == "ledger":
        chain = [json.loads(line) for line in (GOLDEN / "ledger" / "chain.jsonl").read_bytes().splitlines()]
        return [*chain, {**chain[0], "more": True}]
    return [json.loads(file.read_text("utf-8")) for file in sorted((GOLDEN / shape.group).glob(f"{shape.name}.*.json"))]


def with_hole(example: Any, place: tuple[str, ...]) -> tuple[str, Any] | None:
    """An example with a hole in a place, and what stood there; None if nothing did."""
    copy = json.loads(json.dumps(example))
    at = copy
    for step in place[:-1]:
        at = at.get(step)
        at = at[0] if isinstance(at, list) and at else at
        if not isinstance(at, dict):
            return None
    if at.get(place[-1]) is None:
        return None
    was, at[place[-1]] = at[place[-1]], "<hole>"
    return json.dumps(copy, separators=(",", ":")), was


def may_be_null(annotation: Any) -> bool:
    return annotation is type(None) or (
        get_origin(annotation) in (Union, types.UnionType) and any(map(may_be_null, get_args(annotation)))
    )


def is_word(annotation: Any) -> bool:
    """Whether it is one of some words."""
    return get_origin(annotation) is Literal or any(map(is_word, get_args(annotation)))


def is_time(value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def misspelt(place: tuple[str, ...], field: FieldInfo, value: Any) -> Iterator[str]:
    """JSON that must not be taken in this place, where `value` may stand."""
    if not may_be_null(field.annotation):
        yield "null"
    if isinstance(value, bool):
        yield from ["0", "1", "1.0", '"true"', "[]"]
    elif isinstance(value, int):
        yield from [*NUMBERS, f"{value}.0", f'"{value}"', f"{value}e0", f"[{value}]", f" {value}.000 "]
    elif isinstance(value, str):
        yield from TEXTS
        yield f"[{json.dumps(value)}]"
        if place not in ANY_TEXT:
            blanks = [" ", "\n", "\t", "\u00a0", "\u3000", "\ufeff", "\u200b", "\0"]
            yield '""'
            yield from (json.dumps(text) for blank in blanks for text in (blank + value, value + blank))
        if is_word(field.annotation):
            yield from map(json.dumps, {value.upper(), value.title(), value + "s", value[:-1]} - {value})
        if is_time(value):
            yield from TIMES
            if place[-1] not in OWN_TIMES:
                yield from GIVEN_TIMES
    else:
        yield from ["1", '"x"', "true", json.dumps(json.dumps(value)), json.dumps([[value]])]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_field_stands_in_a_golden_example_and_takes_no_other_spelling(shape: Shape) -> None:
    read = READERS.get(shape.group, lambda shape, text: shape.model.model_validate_json(text))
    for place, field in places(shape.model):
        found = [hole for example in examples(shape) if (hole := with_hole(example, place))]
        if place == ("fund",) and shape.group == "facts" and not found:
            continue  # every fact's, and only in a tick's entry
        assert found, f"{'.'.join(place)} stands in no golden example"
        for text, value in found:
            read(shape, text.replace(HOLE, json.dumps(value)))
            for wrong in misspelt(place, field, value):
                with pytest.raises(ValidationError):
                    read(shape, text.replace(HOLE, wrong))
                    pytest.fail(f"{'.'.join(place)} takes {wrong[:80]} for {value!r}")


# ---- the readers of both doors -----------------------------------------------------------------------------------------

SEALER = Sealer(b"k" * 32, PrivateKey.generate().public_key)


def read_as_command(shape: Shape, text: str) -> None:
    """The model's word, which the reader of the commands topic must share."""
    headers = tuple(command_headers(shape.name, "e-1", "/forms", "2026-11-22T10:00:00Z"))
    answer = read_command(CommandRecord("pumasi.commands.v1", 0, 0, None, text.encode(), headers), 1)
    try:
        shape.model.model_validate_json(text)
    except ValidationError:
        assert isinstance(answer, Unreadable)
        raise
    assert isinstance(answer, Command), answer


def read_as_submission(shape: Shape, text: str) -> None:
    """The model's word, which HTTP must share, be it a whole event in JSON or the data alone."""
    envelope = {"specversion": "1.0", "id": "e-1", "source": "/forms", "type": shape.name}
    whole = json.dumps({**envelope, "data": "<hole>"}).replace(HOLE, text)
    binary = [("content-type", JSON), *((f"ce-{name}", value) for name, value in envelope.items())]
    answer = admitted(binary, text)
    assert admitted([("content-type", BATCH)], f"[{whole}]") == answer
    try:
        shape.model.model_validate_json(text)
    except ValidationError:
        assert answer is None
        raise


def admitted(headers: list[tuple[str, str]], body: str) -> bytes | None:
    """The command that an event leads to, if it does."""
    try:
        [event], _ = read_http(headers, body.encode())
        return admit(event, SEALER, clear_contact=True).mac
    except (InvalidSubmission, Malformed):
        return None


READERS = {"commands": read_as_command, "submissions": read_as_submission}


@pytest.mark.parametrize("name", list(PLAIN))
def test_what_is_read_in_c_has_no_other_spelling_either(name: str) -> None:
    field = next(s for s in shapes() if s.name == "pumasi.pledge.made").model.model_fields[name]
    text = json.dumps({**PLAIN, name: "<hole>"}, separators=(",", ":"))
    for wrong in misspelt((name,), field, PLAIN[name]):
        record = told(20, "pledge.made", text.replace(HOLE, wrong).encode())
        assert assert_same([*opened(), record]) in (None, len(opened())), wrong[:80]


def test_a_minus_before_nought_is_nought_to_every_reader() -> None:
    """JSON has it as an integer; it says nothing else than 0, and as 0 it goes on."""
    case = next(s for s in shapes() if (s.group, s.name) == ("submissions", "pumasi.case.submitted"))
    text = json.dumps({**examples(case)[0], "own_contribution": "<hole>"}).replace(HOLE, "-0")
    read_as_submission(case, text)
    assert case.model.model_validate_json(text).own_contribution == 0
