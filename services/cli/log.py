"""What the services under one roof say, as whoever runs them reads it: one line each, with the service's name before it.

Services run with --json; here their events become what the same commands print for people: notices as the notifier shows
them, a matcher's events as its sentences. An event that says nothing to people is left out.
"""

from typing import Any

from rich.console import Console
from rich.text import Text

from services.cli.matcher import sentence

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")
SHOWN = 8
"""Characters of a pseudonym: enough to follow one person, not to be copied about."""


class Log:
    """A listener that prints on `console`, by default on standard error. Without `notices` no person's news are shown."""

    def __init__(self, console: Console | None = None, *, notices: bool = True) -> None:
        self._console, self._notices = console or Console(stderr=True), notices
        self._colours: dict[str, str] = {}

    def said(self, service: str, line: str) -> None:
        self._print(service, Text(line))

    def event(self, service: str, event: dict[str, Any]) -> None:
        told = in_words(event)
        if told is not None and (self._notices or "text" not in event):
            self._print(service, told)

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self._print(service, Text(f"ended with status {status}; started again in {pause_s:g} s", "bold red"))

    def _print(self, service: str, told: Text) -> None:
        colour = self._colours.setdefault(service, COLOURS[len(self._colours) % len(COLOURS)])
        self._console.print(Text.assemble((f"{service:<9} │ ", colour), told), soft_wrap=True, highlight=False)


def in_words(event: dict[str, Any]) -> Text | None:
    """An event of a service as a line for people; None if there is nothing in it for them."""
    if "ready" in event:
        return Text("ready" + _where(event), "green")
    if "text" in event and "role" in event:
        return _notice(event)
    name = event.get("event")
    if name is None:
        return None
    told = sentence(name, {field: value for field, value in event.items() if field != "event"})
    return Text(told, "bold red" if name in ("stopped", "stands_still") else "") if told else None


def _where(event: dict[str, Any]) -> str:
    if "http" in event:
        return f": takes submissions at {event['http']}/v1/events"
    return f": partitions {', '.join(map(str, event['partitions']))}" if event.get("partitions") else ""


def _notice(notice: dict[str, Any]) -> Text:
    at, to = notice["at"][:16].replace("T", " "), notice["to"]
    name = to if len(to) <= SHOWN else to[:SHOWN] + "…"
    return Text.assemble((at, "dim"), f"  {notice['role']:<11}  {name:<{SHOWN + 1}}  {notice['text']}")
