"""One AsyncAPI document of all that services read and write, from what their brokers declare and the shapes of the contract.

FastStream would name a shape after its class; a command and the fact that it becomes share one, and the last would win. So each stands
here under the name of its JSON Schema file, such as `commands.pumasi.pledge.made`.
"""

from __future__ import annotations

import json
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from schemas.generate import VERSION, schema_of, shapes
from services.bus.app import SHAPES

_ABOUT = (
    "Matches pledges of money to people's needs. Events are CloudEvents 1.0: submissions, which are signed, in structured mode, all "
    "others in binary mode. Amounts are in the currency's minor unit."
)


def document(*brokers: KafkaBroker) -> dict[str, Any]:
    """The document, in a stable order."""
    made = AsyncAPI(*brokers, title="Pumasi", version=VERSION, description=_ABOUT).to_specification().to_jsonable()
    components = made["components"]["schemas"]
    named: dict[str, list[dict[str, str]]] = {}
    for shape in shapes():
        if shape.group == "webhooks":  # no channel of Kafka's; OpenAPI has it
            continue
        name = f"{shape.group}.{shape.name}"
        text = json.dumps(schema_of(shape)).replace('"#/$defs/', f'"#/components/schemas/{name}.')
        schema = json.loads(text, object_hook=_named)
        del schema["$schema"], schema["$id"]
        components |= {f"{name}.{inner}": value for inner, value in schema.pop("$defs", {}).items()}
        components[name] = schema
        named.setdefault(shape.group, []).append({"$ref": f"#/components/schemas/{name}"})
    for payload in components.values():
        if group := payload.pop(SHAPES, None):
            payload["oneOf"] = named[group]
    ordered: dict[str, Any] = json.loads(json.dumps(made, sort_keys=True))
    return ordered


def _named(made: dict[str, Any]) -> dict[str, Any]:
    """A discriminator is an object in what Pydantic makes, and a name in AsyncAPI."""
    told = made.get("discriminator")
    return {**made, "discriminator": told["propertyName"]} if isinstance(told, dict) else made
