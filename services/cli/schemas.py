"""`pumasi schemas`: the shapes of everything on the bus, for whoever writes or reads it."""

import json
from typing import Annotated

import typer

from services.cli.shared import options

EXAMPLES = """**Examples**

- `pumasi schemas`: the names of all shapes
- `pumasi schemas commands/pumasi.pledge.made`: its JSON Schema
- `pumasi schemas --openapi > pumasi.json`: one OpenAPI 3.1 document of the HTTP door and the webhook
- `pumasi schemas --asyncapi > pumasi.json`: one AsyncAPI 3.0 document of every channel, who writes and who reads it
"""


def schemas(
    name: Annotated[str | None, typer.Argument(help="A shape, such as `facts/awarded`.  [default: list all]")] = None,
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="Print the AsyncAPI document, which is JSON.")] = False,
    openapi: Annotated[bool, typer.Option("--openapi", help="Print the OpenAPI document, which is JSON.")] = False,
    as_json: options.Json = False,
) -> None:
    """Print JSON Schemas (2020-12) of commands, submissions, facts, notices and the ledger's entries; or OpenAPI, or AsyncAPI."""
    from schemas.generate import schema_of, shapes

    found = {f"{shape.group}/{shape.name}": shape for shape in shapes()}
    if asyncapi:
        from services.bus.asyncapi import document
        from services.bus.senders import describe as of_keys
        from services.intake.app import describe as of_intake
        from services.matcher.app import describe as of_matcher
        from services.notifier.app import describe as of_notifier

        _print(document(of_intake(), of_matcher(), of_notifier(), of_keys()))
    elif openapi:
        from services.intake.openapi import document as of_http

        _print(of_http())
    elif name is None:
        print(json.dumps(list(found)) if as_json else "\n".join(found))
    elif name in found:
        _print(schema_of(found[name]))
    else:
        raise typer.BadParameter(f"no shape {name!r}; see `pumasi schemas`", param_hint="NAME")


def _print(made: dict[str, object]) -> None:
    print(json.dumps(made, indent=2))
