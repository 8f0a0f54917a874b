"""Results, for a program or for people."""

import json
from typing import Any


def show(as_json: bool, told: dict[str, Any], *lines: str | None) -> None:
    """Print a document as JSON, or lines; None is no line."""
    print(json.dumps(told) if as_json else "\n".join(line for line in lines if line is not None))


def moved(address: str, port: int) -> str:
    """What to say behind an address that is not on the port that was asked for; 0 asks for any."""
    return "" if port == 0 or address.endswith(f":{port}") else f"  (port {port} is taken)"


def show_ready(title: str, *lines: tuple[object, ...]) -> None:
    """Show people what runs, and where: a panel of lines, each with its values, as `services.terminal.marked` takes them."""
    from rich.panel import Panel
    from rich.text import Text

    from services.terminal import Terminal, marked

    text = Text("\n").join(marked(str(line), *values) for line, *values in lines)
    Terminal().print(Panel(text, title=title, expand=False))


def ready_line(service: str, health: str | None, **told: Any) -> dict[str, Any]:
    """What a service prints with --json once it is ready; `health`: where it tells of itself, if it does."""
    return {"ready": service, **told, **({"health": health} if health else {})}
