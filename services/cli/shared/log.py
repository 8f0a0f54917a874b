"""What the services under one roof say, as whoever runs them reads it: one line each, with the service's name before it.

Services run with --json; here their events become what the same commands print for people. An event that says nothing to people is
left out. Calm by default: what happens to services comes at once, with its time; notices, of which there may be thousands, are counted
until somebody asks for the sum. With `verbose` each notice has its line, as the notifier shows it.
"""

import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.text import Text

from services.cli.matcher import sentence
from services.news import StandsStill, Stopped, read
from services.terminal import Terminal
from services.visible import visible

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")


class Log:
    """A listener that prints on `console`, by default on standard error.

    Args:
        console: where to.
        notices: whether people's news are told at all.
        verbose: whether each has a line.
    """

    def __init__(self, console: Console | None = None, *, notices: bool = True, verbose: bool = False) -> None:
        self._console, self._notices, self._verbose = console or Terminal(stderr=True), notices, verbose
        self._colours: dict[str, str] = {}
        self._counted: Counter[str] = Counter()

    def said(self, service: str, line: str) -> None:
        self._print(service, Text(visible(line)))

    def event(self, service: str, event: dict[str, Any]) -> None:
        if _is_notice(event) and not (self._notices and self._verbose):
            self._counted[str(event.get("kind"))] += 1
        elif told := in_words(event):
            self._print(service, told)

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self._print(service, Text(f"ended with status {status}; started again in {pause_s:g} s", "bold red"))

    def sum_up(self) -> None:
        """Tell how many notices came since the last time, if any did."""
        if self._notices and self._counted:
            number = self._counted.total()
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self._counted.most_common())
            self._print("notifier", Text(visible(f"{number:,} notice{'' if number == 1 else 's'} told: {kinds}")))
        self._counted.clear()

    def _print(self, service: str, told: Text) -> None:
        colour = self._colours.setdefault(service, COLOURS[len(self._colours) % len(COLOURS)])
        at = time.strftime("%H:%M:%S ")
        self._console.print(
            Text.assemble((at, "dim"), (f"{service:<9} │ ", colour), told), soft_wrap=True, highlight=False
        )


def in_words(event: dict[str, Any]) -> Text | None:
    """An event of a service as a line for people; None if there is nothing in it for them."""
    if "ready" in event:
        return Text(visible("ready" + _where(event)), "green")
    if _is_notice(event):
        return _notice(event)
    news = read(event)
    told = sentence(news) if news else None
    return Text(told, "bold red" if isinstance(news, Stopped | StandsStill) else "") if told else None


def _is_notice(event: dict[str, Any]) -> bool:
    return "text" in event and "role" in event


def _where(event: dict[str, Any]) -> str:
    if "http" in event:
        return f": takes submissions at {event['http']}/v1/events"
    return f": partitions {', '.join(map(str, event['partitions']))}" if event.get("partitions") else ""


def _notice(notice: dict[str, Any]) -> Text:
    """A day, a role and words; a screen is seen by others, so it says nobody's word."""
    return Text.assemble((visible(notice["at"][:10]), "dim"), visible(f"  {notice['role']:<11}  {notice['text']}"))
