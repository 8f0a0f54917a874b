"""The OpenAPI and AsyncAPI documents as pages: rendered here, readable without a script, nothing loaded from elsewhere.

Both are laid out alike: operations (or topics) first, then the shapes that they refer to, each field with its type and what it means.
The style's hash stands in the page's policy, so a browser takes this style and nothing else.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent
_NAMES_SHOWN = 12
_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_ITEM = re.compile(r"^- ", re.MULTILINE)


class Row(NamedTuple):
    """A field, a parameter or an answer: its name, what it is, whether it is needed, what it means."""

    name: str
    kind: Markup
    needed: bool
    about: str


class Section(NamedTuple):
    """An operation, a topic or a shape: `id` leads to it, `tables` are rows by their heading, `example` is JSON."""

    id: str
    title: str
    about: str
    tables: dict[str, list[Row]]
    example: str | None = None


def rendered(document: bytes) -> tuple[str, str]:
    """The page of an OpenAPI or AsyncAPI document, and its Content-Security-Policy."""
    told = json.loads(document)
    sections = list(_operations(told) if "openapi" in told else _topics(told))
    shapes = [_shape(name, schema) for name, schema in told["components"]["schemas"].items() if _is_shown(schema)]
    style = (_HERE / "page.css").read_text("utf-8")
    made = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters |= {"words": words, "breakable": _breakable}
    html_text = made.get_template("page.html").render(
        told=told, style=Markup(style), sections=sections, shapes=shapes, is_http="openapi" in told  # noqa: S704  # our own
    )  # fmt: skip
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    return html_text, f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"


def words(text: str) -> Markup:
    """Text with `code`, **bold** and items of a list (`- `) as HTML; anything else in it is text."""
    made = _BOLD.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", html.escape(text, quote=False)))
    blocks = []
    for block in made.split("\n\n"):
        first, *items = _ITEM.split(block)
        blocks.append(f"<p>{first}</p>" if first.strip() else "")
        blocks.append("".join(["<ul>", *(f"<li>{item}</li>" for item in items), "</ul>"]) if items else "")
    return Markup("".join(blocks))  # noqa: S704  # escaped above


def _breakable(name: str) -> Markup:
    """A name that breaks after a slash before it breaks within a word."""
    return Markup("/<wbr>").join(name.split("/"))


def _operations(told: dict[str, Any]) -> Iterator[Section]:
    paths = [(path, method, one) for path, methods in told["paths"].items() for method, one in methods.items()]
    hooks = [(f"your receiver ({name})", "post", one["post"]) for name, one in told["webhooks"].items()]
    for path, method, one in [*paths, *hooks]:
        sent, scopes = one.get("requestBody", {}).get("content", {}), one.get("x-scopes", {})
        tables = {
            "Scopes of keys": [
                Row(scope, Markup("lets send"), False, ", ".join(f"`{kind}`" for kind, of in scopes.items() if of == scope))
                for scope in dict.fromkeys(scopes.values())
            ],
            "Parameters": [
                Row(found["name"], _kind(found["schema"]), found["required"], found["description"])
                for found in one.get("parameters", ())
            ],
            "Body": [Row(media, _kind(body["schema"]), False, body["schema"].get("description", "")) for media, body in sent.items()],
            "Answers": [
                Row(status, _contents(answer), False, answer["description"]) for status, answer in one["responses"].items()
            ],
        }  # fmt: skip
        examples = [found["value"] for body in sent.values() for found in body.get("examples", {}).values()]
        example = max((json.dumps(one, indent=2, ensure_ascii=False) for one in examples), key=len, default=None)
        about = f"{one['summary']}.\n\n{one.get('description', '')}"
        yield Section(one["operationId"], f"{method.upper()} {path}", about, tables, example)


def _topics(told: dict[str, Any]) -> Iterator[Section]:
    """Those that others write to come first. What several do with the same shape is one row: a shape of many kinds is read once."""
    by_address: dict[str, dict[Markup, Row]] = {}
    for name, channel in told["channels"].items():
        does = next(
            one["action"] for one in told["operations"].values() if one["channel"]["$ref"] == f"#/channels/{name}"
        )
        service = name.rpartition(":")[2].lower()
        for message in channel["messages"].values():
            payload = _at(told, _at(told, message)["payload"])
            rows, kind = by_address.setdefault(channel["address"], {}), _kind(payload)
            row = Row(f"{service} {'writes' if does == 'send' else 'reads'}", kind, False, channel["description"])
            if (said := rows.get(kind)) is not None:
                about = "\n\n".join(dict.fromkeys([*said.about.split("\n\n"), row.about]))
                row = Row(f"{said.name}, {row.name}", kind, False, about)
            rows[kind] = row
    for address, rows in sorted(
        by_address.items(), key=lambda one: any("writes" in row.name for row in one[1].values())
    ):
        yield Section(address, address, "", {"Who does what with it": [*rows.values()]})


def _at(told: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to; anything else as it is."""
    at = told
    for part in found["$ref"].removeprefix("#/").split("/") if "$ref" in found else ():
        at = at[part]
    return at if "$ref" in found else found


def _is_shown(schema: dict[str, Any]) -> bool:
    return "properties" in schema or "discriminator" in schema


def _shape(name: str, schema: dict[str, Any]) -> Section:
    needed = schema.get("required", ())
    rows = [
        Row(field, _kind(found), field in needed, found.get("description", ""))
        for field, found in schema.get("properties", {}).items()
    ]
    about = schema.get("description", "")
    if not rows:
        rows = [Row("one of", _kind(schema), False, "")]
    return Section(name, name, about, {"Fields": rows})


def _kind(schema: dict[str, Any]) -> Markup:
    """What a value is, in a few words, with links to shapes."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{}">{}</a>').format(name, name)
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return Markup(" or&nbsp;").join(_kind(one) for one in schema[several])
    if "const" in schema:
        return Markup("<code>{}</code>").format(schema["const"])
    if listed := schema.get("enum") or schema.get("x-extensible-enum"):
        shown = [Markup("<code>{}</code>").format(one) for one in listed[:_NAMES_SHOWN]]
        return Markup(", ").join(shown) + (f" and {len(listed) - len(shown)} more" if len(listed) > len(shown) else "")
    if schema.get("type") == "array":
        return Markup("list of ") + _kind(schema.get("items", {}))
    bounds = [
        f"{word} {schema[name]}" for name, word in (("minimum", "at least"), ("maximum", "at most")) if name in schema
    ]
    return Markup("{}").format(" ".join([schema.get("type", "anything"), *bounds]))


def _contents(answer: dict[str, Any]) -> Markup:
    return Markup(", ").join(_kind(body["schema"]) for body in answer.get("content", {}).values())
