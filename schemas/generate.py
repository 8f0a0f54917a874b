"""The JSON Schema files of `json/`, made from the models, so that the two can't differ.

One file a shape, JSON Schema 2020-12, each whole in itself (`$defs` inside), named by its `ce_type` or `fact`. `$id` is a name,
not an address: nothing has to be fetched to check a record. What a schema can't say the models still check: that amounts are
written without a fraction (`1.0` is an integer to JSON Schema and none to us), that a time is one that the calendar has and lies
in the years 2000 to 2199, that a province is of the list, and that no word holds somebody's number (`schemas.numbers`).

Usage: `python -P -m schemas.generate` writes them; a test holds that they are what it would write.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.commands import COMMANDS
from schemas.facts import FACTS
from schemas.ledger import ENTRY_TYPE, Entry
from schemas.notices import NOTICE_TYPE, Notice, Posted
from schemas.senders import SENDER_TYPE, Sender
from schemas.services import SERVICE_TYPE, ServiceTold
from schemas.submissions import SUBMISSIONS

HERE = Path(__file__).parent
JSON = HERE / "json"
VERSION = "v1"


class Shape(NamedTuple):
    """One thing that may stand on the bus: the folder and the name of its file (a `ce_type`, or a fact's name), and its model."""

    group: str
    name: str
    model: type[BaseModel]


def shapes() -> Iterator[Shape]:
    """Every shape of the contract, in a stable order."""
    yield from (Shape("commands", name, model) for name, model in COMMANDS.items())
    yield from (Shape("submissions", name, model) for name, model in SUBMISSIONS.items())
    yield from (Shape("facts", name, model) for name, model in FACTS.items())
    yield Shape("ledger", ENTRY_TYPE, Entry)
    yield Shape("notices", NOTICE_TYPE, Notice)
    yield Shape("webhooks", NOTICE_TYPE, Posted)
    yield Shape("senders", SENDER_TYPE, Sender)
    yield Shape("services", SERVICE_TYPE, ServiceTold)


class _Dialect(GenerateJsonSchema):
    """Pydantic's generator, less the titles it makes up from field names, plus a word on constants."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        made = super().literal_schema(schema)
        if "const" in made:
            made["description"] = "Which shape this is"
        return made

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        made = super().nullable_schema(schema)
        if described := next((part["description"] for part in made.get("anyOf", ()) if "description" in part), None):
            made["description"] = described  # a reader of the field sees it without looking into its branches
        return made


def schema_of(shape: Shape) -> dict[str, Any]:
    """The shape's JSON Schema."""
    made = shape.model.model_json_schema(schema_generator=_Dialect, by_alias=True)
    made.pop("title", None)
    description = " ".join(made.pop("description", "").split())
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:pumasi:{VERSION}:{shape.group}:{shape.name}",
        "title": shape.name,
        "description": description,
        **made,
        **_named_once(shape.model),
    }


def _named_once(model: type[BaseModel]) -> dict[str, Any]:
    """For a submission that tells of a person: a pseudonym, or a contact in its place (`schemas.submissions.misnamed`)."""
    person = getattr(model, "person", None)
    if person is None:
        return {}
    ways = {person: "string", "contact": "object", "sealed_contact": "string"}
    null = {"type": "null"}  # holds for a member that isn't there, too
    return {
        "oneOf": [
            {
                "required": [way],
                "properties": {name: {"type": kind} if name == way else null for name, kind in ways.items()},
            }
            for way in ways
        ]
    }


def files() -> dict[Path, str]:
    """Every file of `json/` and its text."""
    return {
        JSON / shape.group / f"{shape.name}.json": json.dumps(schema_of(shape), indent=2, ensure_ascii=False) + "\n"
        for shape in shapes()
    }


def write() -> None:
    """Bring `json/` to what the models say, leftovers removed."""
    wanted = files()
    for path in set(JSON.rglob("*.json")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    write()
