"""The contract's shapes: generated files, golden examples, and what a shape must refuse.

A golden example of a version is never changed once it is shipped: a change of the wire that breaks one breaks readers of old records.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas import generate, values
from schemas.generate import Shape, schema_of, shapes
from schemas.ledger import GENESIS, Entry, check_link

GOLDEN = generate.HERE / "golden" / generate.VERSION
SHAPES = [pytest.param(shape, id=f"{shape.group}-{shape.name}") for shape in shapes()]
CHAIN = (GOLDEN / "ledger" / "chain.jsonl").read_bytes().splitlines()
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER


def examples(shape: Shape) -> list[Any]:
    if shape.group == "ledger":
        return [json.loads(line) for line in CHAIN]
    files = sorted((GOLDEN / shape.group).glob(f"{shape.name}.*.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]


def read(model: type[BaseModel], example: Any) -> BaseModel:
    return model.model_validate_json(json.dumps(example))


def fields_of(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every property of the schema and of its `$defs`, references followed."""
    parts = [schema, *schema.get("$defs", {}).values()]
    found = [(name, field) for part in parts for name, field in part.get("properties", {}).items()]
    return [(name, schema["$defs"][f["$ref"].rpartition("/")[2]] if "$ref" in f else f) for name, f in found]


def branches(field: dict[str, Any]) -> list[dict[str, Any]]:
    return [branch for part in field.get("anyOf", [field]) for branch in part.get("anyOf", [part])]


# ---- generated files ---------------------------------------------------------------------------------------------------


def test_the_committed_schemas_are_as_generated() -> None:
    assert written() == generate.files(), "run: python -P -m tests.renew"


def written() -> dict[Path, str]:
    return {path: path.read_text("utf-8") for path in generate.JSON.rglob("*.json")}


def test_a_changed_missing_or_leftover_file_is_put_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "HERE", tmp_path)
    monkeypatch.setattr(generate, "JSON", tmp_path / "json")
    generate.write()
    assert written() == generate.files()
    facts = tmp_path / "json" / "facts"
    (facts / "awarded.json").write_text("{}")
    (facts / "waiting.json").unlink()
    (facts / "gone.json").write_text("{}")
    assert written() != generate.files()
    generate.write()
    assert written() == generate.files()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_schema_is_valid_2020_12_and_says_what_each_field_is(shape: Shape) -> None:
    schema = schema_of(shape)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"].startswith("urn:pumasi:v1:")
    assert schema["title"] == shape.name
    assert schema["description"]
    for name, field in fields_of(schema):
        assert field.get("description"), name
        for branch in branches(field):
            if branch.get("type") == "string":
                limited = {"pattern", "enum", "const", "format", "maxLength"} & branch.keys()
                assert limited, f"{name}: text without a limit"
            if branch.get("type") == "integer":
                assert {"minimum", "enum"} & branch.keys(), f"{name}: a number without a limit"


def test_ids_of_schemas_are_distinct() -> None:
    ids = [schema_of(shape)["$id"] for shape in shapes()]
    assert len(ids) == len(set(ids))


# ---- golden examples ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_golden_examples_fit_schema_and_model_and_come_back_the_same(shape: Shape) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(shape), format_checker=FORMATS)
    found = examples(shape)
    assert found, "every shape has an example"
    for example in found:
        validator.validate(example)
        told = read(shape.model, example).model_dump_json(by_alias=True, exclude_unset=True)
        assert json.loads(told) == example


def test_no_golden_file_is_of_no_shape() -> None:
    names = {(shape.group, shape.name) for shape in shapes()}
    files = {(path.parent.name, path.name.rsplit(".", 2)[0]) for path in GOLDEN.glob("*/*.json")}
    assert files <= names


def test_the_golden_chain_holds_byte_by_byte() -> None:
    previous = GENESIS
    for seq, value in enumerate(CHAIN, 1):
        previous = check_link(previous, value)
        assert previous is not None, f"entry {seq}"
        entry = Entry.read(value)
        assert (entry.seq, entry.hash) == (seq, previous.hex())


# ---- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_frozen_and_closed_to_unknown_fields(shape: Shape) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(shape))
    for example in examples(shape):
        model = read(shape.model, example)
        for name in shape.model.model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(model, name, None)
        extra = {**example, "passport": "1"}
        assert not validator.is_valid(extra)
        with pytest.raises(ValidationError, match="passport"):
            read(shape.model, extra)


def places_of_money(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where integers stand in an example; each must be an integer and nothing like one."""
    if isinstance(value, dict):
        return [place for key, item in value.items() for place in places_of_money(item, (*path, key))]
    if isinstance(value, list):
        return [place for index, item in enumerate(value) for place in places_of_money(item, (*path, index))]
    return [path] if isinstance(value, int) and not isinstance(value, bool) else []


def put(value: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    copy = json.loads(json.dumps(value))
    *way, last = path
    place = copy
    for step in way:
        place = place[step]
    place[last] = leaf
    return copy


@pytest.mark.parametrize("shape", SHAPES)
def test_a_number_is_an_integer_never_a_float_a_bool_or_a_text(shape: Shape) -> None:
    for example in examples(shape):
        for place in places_of_money(example):
            for wrong in (1.0, 1.5, 1e3, True, "1", -1):
                with pytest.raises(ValidationError):
                    read(shape.model, put(example, place, wrong))


@pytest.mark.parametrize("amount", ["1.0", "1e3", "true", '"1"', "0", "-1", "null", str(2**53), "NaN"])
def test_an_amount_is_a_whole_number_from_1_to_2_to_the_53rd_less_1(amount: str) -> None:
    adapter = TypeAdapter(values.Amount, config=values.Model.model_config)
    with pytest.raises(ValidationError):
        adapter.validate_json(amount)
    assert adapter.validate_json("1") == 1
    assert adapter.validate_json(str(2**53 - 1)) == 2**53 - 1


@pytest.mark.parametrize("wrong", ["", "a" * 65, "a b", "a/b", "a#2", "é", "a\n", " a", "a%20b", "名字"])
def test_what_is_no_id(wrong: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(values.Id).validate_python(wrong)


@pytest.mark.parametrize("good", ["a", "a" * 64, "A.b_c~d-9", "---"])
def test_what_is_an_id(good: str) -> None:
    assert TypeAdapter(values.Id).validate_python(good) == good


@pytest.mark.parametrize(
    ("good", "wrong"), [("p-1", "p-1#0"), ("p-1#2", "p-1#02"), ("p#1", "p#"), ("p#999999", "p#1#2")]
)
def test_a_pledge_may_name_its_instalment(good: str, wrong: str) -> None:
    adapter = TypeAdapter(values.PledgeRef)
    assert adapter.validate_python(good) == good
    with pytest.raises(ValidationError):
        adapter.validate_python(wrong)


@pytest.mark.parametrize(
    "wrong", ["0", "0.000", "-1", "1.", ".5", "1e3", "01", "1" * 13, "0." + "1" * 13, "1,5", "", "NaN"]
)
def test_what_is_no_rate(wrong: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(values.Rate).validate_python(wrong)
    schema = TypeAdapter(values.Rate).json_schema()
    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)


@pytest.mark.parametrize("given", [{}, {"case": "c-1", "need": "test"}, {"case": None}])
def test_a_designation_names_exactly_one(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(values.Designation, given)
    assert not jsonschema.Draft202012Validator(values.Designation.model_json_schema()).is_valid(given)


@pytest.mark.parametrize(
    ("named", "right"),
    [({"donor": "d-1"}, True), ({"contact": {"address": "mailto://a@example.org"}}, True),
     ({"sealed_contact": "A" * 64}, True), ({"donor": "d-1", "contact": None}, True),
     ({}, False), ({"donor": None}, False), ({"donor": "d-1", "sealed_contact": "A" * 64}, False),
     ({"donor": "d-1", "contact": {"address": "mailto://a@example.org"}}, False),
     ({"contact": {"address": "mailto://a@example.org"}, "sealed_contact": "A" * 64}, False)],
)  # fmt: skip
def test_a_submission_names_its_person_once_in_schema_and_model(named: dict[str, Any], right: bool) -> None:
    (shape,) = (shape for shape in shapes() if (shape.group, shape.name) == ("submissions", "pumasi.pledge.made"))
    given = {"fund": "jilin", "amount": 100, "currency": "CNY", **named}
    assert jsonschema.Draft202012Validator(schema_of(shape)).is_valid(given) is right
    try:
        read(shape.model, given)
    except ValidationError:
        assert not right
    else:
        assert right
