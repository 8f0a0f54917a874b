"""Results, for a program or for people."""

import json
from typing import Any


def show(as_json: bool, told: dict[str, Any], *lines: str | None) -> None:
    """Print a document as JSON, or lines; None is no line."""
    print(json.dumps(told) if as_json else "\n".join(line for line in lines if line is not None))


def ready_line(service: str, health: str | None, **told: Any) -> dict[str, Any]:
    """What a service prints with --json once it is ready; `health`: where it tells of itself, if it does."""
    return {"ready": service, **told, **({"health": health} if health else {})}
