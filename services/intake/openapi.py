"""The HTTP door as one OpenAPI 3.1 document, made from the models, the doors and the problems, so that it can't differ from them.

Whoever generates a client should get plain classes: each event has one of its own, named after its type (`PledgeMadeEvent`), and its
data another (`PledgeMade`). That exactly one of several members is to be given is said in words here, since generators make nothing
useful of it; `schemas/json` says it for validators.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from schemas.answers import Acceptance, Problem, Receipt
from schemas.generate import HERE, VERSION, Shape, schema_of
from schemas.notices import Posted
from schemas.senders import SCOPE_OF
from schemas.submissions import SUBMISSIONS
from services.bus.attributes import EVENT_ID_MAX, SOURCE_MAX
from services.intake.cloudevents import BATCH, BATCH_MAX, EVENT_BYTES_MAX, JSON, STRUCTURED
from services.intake.documents import DOORS
from services.intake.findings import CODES
from services.intake.problems import MEDIA_TYPE, PROBLEMS
from services.intake.waiters import WAIT_SECONDS_MAX

_ABOUT = f"""Pumasi matches pledges of money to people's needs. Events go in here, as CloudEvents 1.0 in any of the three modes of
the HTTP binding; a receipt tells what became of each.

- **Amounts** are integers in the currency's minor unit: `1000000` with `CNY` is CNY 10,000.00, `5000` with `KRW` is KRW 5,000.
- **A 202** says that every in-sync replica has the event, and that it will be decided. Anything else: nothing of the request was taken.
- **Repeat** whatever got no answer, under the same `id` and `source`: it counts once. The same id with other data is a 409.
- **People** are words of your own, or contacts in their place; a contact is sealed at the door and is on no topic in the clear.
- **A batch** has up to {BATCH_MAX:,} events and is taken whole or not at all.
- An event's data have at most {EVENT_BYTES_MAX // 1024} KiB. Attributes beyond CloudEvents' own are let pass and dropped.
"""
_EVERYWHERE = ("unknown_host", "foreign_origin", "internal")
_OF_EVENTS = (
    "malformed", "unauthenticated", "forbidden", "too_slow", "id_conflict", "too_large", "unsupported_media_type",
    "invalid_submission", "too_busy", "too_many", "kafka_unreachable", "clock_off", "key_moved", "key_changing",
)  # fmt: skip
_OF_RECEIPTS = ("malformed", "unknown_receipt", "too_many", "unknown_fact")
_OF_READINESS = ("kafka_unreachable", "clock_off", "stuck", "topic_unreadable", "warming_up", "not_answered")
_STRING = {"type": "string"}


def document() -> dict[str, Any]:
    """The document, in a stable order."""
    components: dict[str, Any] = {}
    for kind in SUBMISSIONS:
        components |= _with_inner(_name(kind), _plain(schema_of(Shape("submissions", kind, SUBMISSIONS[kind]))))
        components[f"{_name(kind)}Event"] = _event(kind)
    components["Event"] = {
        "description": "Any event, told apart by `type`",
        "oneOf": [_ref(f"{_name(kind)}Event") for kind in SUBMISSIONS],
        "discriminator": {
            "propertyName": "type",
            "mapping": {kind: f"#/components/schemas/{_name(kind)}Event" for kind in SUBMISSIONS},
        },
    }
    for model in (Acceptance, Receipt, Problem, Posted):
        components |= _with_inner(model.__name__, schema_of(Shape("", model.__name__, model)))
    components["Problem"]["properties"]["code"]["x-extensible-enum"] = list(PROBLEMS)
    components["FindingTold"]["properties"]["code"] |= {
        "x-extensible-enum": list(CODES),
        "description": "Stable. " + "; ".join(f"`{code}`: {what}" for code, what in CODES.items()),
    }
    licence = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    key = {
        "type": "http",
        "scheme": "bearer",
        "description": "A sender's key; whoever runs this Pumasi makes it (`keys add`)",
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pumasi", "version": VERSION, "description": _ABOUT, "license": licence},
        "servers": [{"url": "/", "description": "The intake that serves this document"}],
        "paths": _paths(),
        "webhooks": {"notice": {"post": _webhook()}},
        "components": {"schemas": dict(sorted(components.items())), "securitySchemes": {"key": key}},
    }


def _paths() -> dict[str, Any]:
    made = {
        "/v1/events": {"operationId": "sendEvents", "tags": ["events"], "security": [{"key": []}], **_sending()},
        "/v1/receipts/{receipt}": {"operationId": "readReceipt", "tags": ["events"], **_receipt()},
        "/livez": {"operationId": "isAlive", **_state("It serves", ())},
        "/readyz": {"operationId": "isReady", **_state("What is sent gets its answer", _OF_READINESS)},
        "/healthz": {"operationId": "isHealthy", **_state("What is sent gets its answer", _OF_READINESS)},
        "/openapi.json": {"operationId": "openapi", **_document("This document", JSON)},
        "/asyncapi.json": {"operationId": "asyncapi", **_document("The AsyncAPI document", JSON)},
        "/docs": {"operationId": "docs", **_document("A page", "text/html")},
        "/docs/topics": {"operationId": "topicsDocs", **_document("A page", "text/html")},
        "/metrics": {"operationId": "metrics", **_document("Prometheus' text format", "text/plain", ("too_many",))},
        "/": {"operationId": "doors", **_document("Every method and path there is", JSON)},
    }
    return {
        door.path: {door.method.lower(): {"tags": ["about"], "summary": door.what, **made[door.path]}} for door in DOORS
    }


def _sending() -> dict[str, Any]:
    only = "In binary mode (`application/json`) alone: the event's"
    header = {"in": "header", "required": False, "schema": _STRING}
    examples = {kind: {"value": _example(kind)} for kind in SUBMISSIONS}
    batch = {
        "description": f"Up to {BATCH_MAX:,} events, in order",
        "type": "array",
        "items": _ref("Event"),
        "minItems": 1,
        "maxItems": BATCH_MAX,
    }
    data = {
        "description": "The data of the event that `ce-type` names",
        "anyOf": [_ref(_name(kind)) for kind in SUBMISSIONS],
    }
    return {
        "description": (
            "Send the key as `Authorization: Bearer …`; it needs the scope of each event (`x-scopes`), for the event's fund. "
            "All events of a request are taken, or none."
        ),
        "x-scopes": SCOPE_OF,
        "parameters": [
            {"name": f"ce-{name}", **header, "description": f"{only} `{name}`"}
            for name in ("specversion", "id", "source", "type", "time")
        ],
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {
                    "schema": {"description": "One event, in its JSON form", **_ref("Event")},
                    "examples": examples,
                },
                BATCH: {"schema": batch},
                JSON: {"schema": data},
            },
        },
        "responses": {
            "202": {
                "description": "Every in-sync replica has it",
                "headers": {"Location": {"description": "The receipt, where one event was sent", "schema": _STRING}},
                "content": {JSON: {"schema": _ref("Acceptance")}},
            },
            **_problems(_OF_EVENTS),
        },
    }


def _receipt() -> dict[str, Any]:
    wait = f"Answer once the event is decided, or after this time: `2s`, `500ms`; at most {WAIT_SECONDS_MAX:g}s"
    return {
        "description": "No key is needed: the receipt is a secret itself. Once decided, `progress` and `waiting_for` go on changing.",
        "parameters": [
            {"name": "receipt", "in": "path", "required": True, "description": "As the 202 gave it", "schema": _STRING},
            {"name": "wait", "in": "query", "required": False, "description": wait, "schema": _STRING, "example": "10s"},
        ],
        **_answers("What became of it", JSON, _ref("Receipt"), _OF_RECEIPTS),
    }  # fmt: skip


def _answers(description: str, media: str, schema: dict[str, Any], codes: Iterable[str] = ()) -> dict[str, Any]:
    return {
        "responses": {"200": {"description": description, "content": {media: {"schema": schema}}}, **_problems(codes)}
    }


def _state(description: str, codes: tuple[str, ...]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
    return _answers(description, JSON, schema, codes)


def _document(description: str, media: str, codes: Iterable[str] = ()) -> dict[str, Any]:
    return _answers(description, media, _STRING if media != JSON else {"type": "object"}, codes)


def _problems(codes: Iterable[str]) -> dict[str, Any]:
    """A response for each status of these problems and of those that all paths share."""
    found: dict[HTTPStatus, list[str]] = {}
    for code, (status, what) in PROBLEMS.items():
        if code in (*codes, *_EVERYWHERE):
            found.setdefault(status, []).append(f"`{code}`: {what}")
    return {
        str(int(status)): {"description": "; ".join(told), "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
        for status, told in sorted(found.items())
    }


def _webhook() -> dict[str, Any]:
    headers = {
        "webhook-id": "The notice's id, the same at every try: drop what you have",
        "webhook-timestamp": "Seconds since 1970",
        "webhook-signature": "Standard Webhooks, `v1,` and HMAC-SHA256 over id, timestamp and body: verify it",
    }
    return {
        "operationId": "receiveNotice",
        "tags": ["notices"],
        "summary": "What Pumasi tells your receiver (PUMASI_WEBHOOK_URL)",
        "description": "Signed as Standard Webhooks has it. One person's notices of one fund come in the ledger's order.",
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": what, "schema": _STRING}
            for name, what in headers.items()
        ],
        "requestBody": {"required": True, "content": {JSON: {"schema": _ref("Posted")}}},
        "responses": {
            "2XX": {"description": "It is delivered"},
            "429": {"description": "It is tried again; Retry-After is heeded"},
            "5XX": {"description": "It is tried again"},
            "default": {"description": "It failed, and isn't tried again"},
        },
    }


def _event(kind: str) -> dict[str, Any]:
    return {
        "title": f"{_name(kind)}Event",
        "description": f"`{kind}` in its JSON form. Binary data may come as `data_base64` in place of `data`.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {**_attributes(kind), "data": _ref(_name(kind))},
        "examples": [_example(kind)],
    }


def _attributes(kind: str) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    return {
        "specversion": {"type": "string", "const": "1.0"},
        "id": {**text, "maxLength": EVENT_ID_MAX, "description": "Yours; with `source`, what a repeat is known by"},
        "source": {**text, "maxLength": SOURCE_MAX, "description": "Which form or system sent it, such as `/forms`"},
        "type": {"type": "string", "const": kind, "description": "What happened"},
        "time": {"type": "string", "format": "date-time", "description": "Taken with PUMASI_TRUST_TIME=1 alone"},
        "datacontenttype": {"type": "string", "const": JSON},
    }


def _example(kind: str) -> dict[str, Any]:
    """The smallest golden example, in an event."""
    data = json.loads((HERE / "golden" / VERSION / "submissions" / f"{kind}.minimal.json").read_text("utf-8"))
    return {
        "specversion": "1.0",
        "id": f"{kind.removeprefix('pumasi.')}-1",
        "source": "/forms",
        "type": kind,
        "data": data,
    }


def _name(kind: str) -> str:
    return "".join(part.capitalize() for part in kind.split(".")[1:])


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _with_inner(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """A component and those that it is made of; each goes by its model's name, which is one for all."""
    made = json.loads(json.dumps(schema).replace('"#/$defs/', '"#/components/schemas/'))
    del made["$schema"], made["$id"]
    inner = made.pop("$defs", {})
    yield name, {**made, "title": name}
    yield from ((other, {**_plain(found), "title": other}) for other, found in inner.items())


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the rule that exactly one of several members is to be given, which is said in words instead."""
    ways = [way["required"][0] for way in schema.get("oneOf", ()) if "required" in way]
    if not ways:
        return schema
    told = f"{schema.get('description', '')} Give exactly one of {', '.join(f'`{way}`' for way in ways)}.".strip()
    return {name: value for name, value in schema.items() if name != "oneOf"} | {"description": told}
