"""What the services of one machine say, for whoever runs them: one line each, after the service's name.

Services run with --json; here their events become what the same commands print for people. An event that says nothing to people
is left out. Calm by default: what somebody should know is printed at once, with its time; notices, of which there may be
thousands, are counted until somebody asks for the sum; normal events (a start, a partition that is taken) are not printed. With
`verbose` everything has its line, each notice as the notifier shows it. `JsonLog` prints the same for a program, but for the sentences
of notices: logs go where contacts and words never may.
"""

import re
import sys
import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.text import Text

from schemas.times import text_of
from services.called import as_called
from services.cli.intake import sentence as sentence_of_flood
from services.cli.matcher import sentence
from services.counted import counted
from services.news import Flood, Forgotten, StandsStill, Stopped, Waiting, read
from services.system.supervisor import is_error
from services.terminal import Terminal
from services.visible import json_line, visible

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")
_LOST = ("failed", "gave-up")
_WIDE = 40
"""On a terminal this wide what does not fit goes on below, behind the service's name; on a narrower one it is not worth it."""
_CALM = re.compile(r"[0-9-]{10} [0-9:,]{12} (INFO|DEBUG) ")
"""How lines begin that report nothing amiss."""
_HEAD = re.compile(r"[0-9-]{10} [0-9:,]{12} ([A-Z]+) (?:pumasi[\w.]*: )?")
"""What such a line needs no more behind a time and a service's name: its own time, and which of our modules says it."""
_IN_REACH = "Kafka is in reach at "
"""How a line begins that matters only after Kafka was out of reach."""


class Log:
    """A listener that prints on `console`, by default on standard error.

    Args:
        notices: whether people's notices are shown at all.
        verbose: whether everything is shown, and not only what somebody should know.
    """

    def __init__(self, console: Console | None = None, *, notices: bool = True, verbose: bool = False) -> None:
        self._console, self._notices, self._verbose = console or Terminal(stderr=True), notices, verbose
        self._colours: dict[str, str] = {}
        self._counted: Counter[str] = Counter()
        self._lost = 0
        self._ended: set[str] = set()
        self._troubled: set[str] = set()

    def said(self, service: str, line: str) -> None:
        is_calm = _CALM.match(line) or (line.startswith(_IN_REACH) and service not in self._troubled)
        if not is_calm:
            (self._troubled.discard if line.startswith(_IN_REACH) else self._troubled.add)(service)
        if self._verbose or not is_calm:
            self._print(service, Text(as_called(visible(_HEAD.sub(r"\1 ", line, count=1)))))

    def event(self, service: str, event: dict[str, Any]) -> None:
        if "logger" in event:  # it logs in JSON
            at = event["at"].translate(str.maketrans({"T": " ", ".": ",", "Z": ""}))
            self.said(service, f"{at} {event['level'].upper()} {event['logger']}: {event['message']}")
            return
        self._lost += _is_notice(event) and event.get("outcome") in _LOST
        if _is_notice(event) and not (self._notices and self._verbose):
            self._counted[str(event.get("kind"))] += 1
        elif (told := in_words(event)) and (self._verbose or self._matters(service, event)):
            self._print(service, told)

    def _matters(self, service: str, event: dict[str, Any]) -> bool:
        """Whether somebody should know of an event: an error, an alarm, Kafka out of reach, a service back that had died."""
        back = "ready" in event and service in self._ended
        self._ended -= {service} if back else set()
        return back or is_error(event) or isinstance(read(event), _MATTERS)

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self._ended.add(service)
        self._print(service, Text(f"ended with status {status}; started again in {pause_s:g} s", "bold red"))

    def sum_up(self) -> None:
        """Print how many notices came since the last time, if any did, and how many of them reached nobody."""
        if self._notices and self._counted:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self._counted.most_common())
            self._print("notifier", Text(visible(f"{counted(self._counted.total(), 'notice')} told: {kinds}")))
        if self._lost:
            them = "A notice" if self._lost == 1 else f"{self._lost:,} notices"
            self._print("notifier", Text(as_called(f"{them} could not be told: see `pumasi status`"), "bold red"))
        self._counted.clear()
        self._lost = 0

    def _print(self, service: str, told: Text) -> None:
        colour = self._colours.setdefault(service, COLOURS[len(self._colours) % len(COLOURS)])
        head = Text.assemble((time.strftime("%H:%M:%S "), "dim"), (f"{service:<9} │ ", colour))
        room = self._console.width - head.cell_len
        if not self._console.is_terminal or room < _WIDE:
            self._console.print(head + told, soft_wrap=True, highlight=False)
            return
        for number, part in enumerate(told.wrap(self._console, room)):
            below = Text(" " * (head.cell_len - 2)) + Text("│ ", colour)
            self._console.print((below if number else head) + part, soft_wrap=True, highlight=False)


class JsonLog:
    """The same for a program: each line of a service, and each event, as a line of JSON on standard error.

    If `verbose`, notices are not only counted, but have their lines, without what they say.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._counted: Counter[str] = Counter()
        self._lost = 0

    def said(self, service: str, line: str) -> None:
        self._print(service, {"line": line})

    def event(self, service: str, event: dict[str, Any]) -> None:
        if not _is_notice(event):
            self._print(service, event)
        elif self._verbose:
            self._print(service, {name: value for name, value in event.items() if name != "text"})
        else:
            self._counted[str(event.get("kind"))] += 1
            self._lost += event.get("outcome") in _LOST

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self._print(service, {"event": "process_ended", "status": status, "pause_s": pause_s})

    def sum_up(self) -> None:
        """Print how many notices came since the last time, if any did, and how many of them reached nobody."""
        if self._counted:
            self._print("notifier", {"event": "notices_told", "kinds": dict(self._counted), "lost": self._lost})
        self._counted.clear()
        self._lost = 0

    def _print(self, service: str, told: dict[str, Any]) -> None:
        now = text_of(time.time_ns() // 1000)
        print(json_line({"logged_at": now, "service": service, **told}), file=sys.stderr, flush=True)


_MATTERS = (Waiting, Forgotten, StandsStill, Stopped, Flood)


def in_words(event: dict[str, Any]) -> Text | None:
    """An event of a service as a line for people; None if there is nothing in it for them."""
    if "ready" in event:
        parts = event.get("partitions")
        has = f": partitions {', '.join(map(str, parts))}" if parts else ""
        where = f": takes submissions at {event['http']}/v1/events" if "http" in event else has
        return Text(visible(f"ready{where}"), "green")
    if _is_notice(event):  # a screen is seen by others, so it says nobody's word
        day = (visible(event["at"][:10]), "dim")
        return Text.assemble(day, visible(f"  {event['role']:<11}  {event.get('text', '')}"))
    if is_error(event):
        hint = f". {event['hint']}" if event.get("hint") else ""
        return Text(as_called(visible(f"{event['message']}{hint}")), "red")
    news = read(event)
    if isinstance(news, Flood):
        return Text(sentence_of_flood(news), "bold red")
    told = sentence(news) if news else None
    return Text(as_called(told), "bold red" if isinstance(news, Stopped | StandsStill) else "") if told else None


def _is_notice(event: dict[str, Any]) -> bool:
    return "to" in event and "role" in event
