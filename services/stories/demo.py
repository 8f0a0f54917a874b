"""The demo: a whole Pumasi brought up, stories played through its doors, told, added up, audited, and taken down again.

What is said at the end is read from the ledger (read_committed) and the notices topic, and held against what the story's file
expects. A run on a kept directory repeats every event under its id, so its figures are those of the first run; so are those of a
run in which the matcher is killed half-way.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from schemas.times import text_of
from services import keys
from services.bus import access
from services.bus.security import servers
from services.console.report.access import AccessReport, access_report
from services.console.report.boxes import asked_in
from services.errors import UsageError
from services.senders import Issued
from services.settings import Settings
from services.stories import routes, summary
from services.stories.outcome import Outcome, outcome
from services.stories.player import Player
from services.stories.scenario import Row, Story, load_stories
from services.stories.screen import MARGIN, Screen
from services.stories.watch import Watch
from services.system.own_senders import own_sender
from services.system.progress import BrokerProgress
from services.system.whole import System, where_of, while_alive, whole_system

TICK_SECONDS = 86_400
"""Of story time: timers that no event of their own fund wakes fire at most a day of story late."""
PLOT = Path("two-routes.svg")
"""Where in the data directory the plot of the story of this name goes."""
REPORTS = "provinces"
"""The story that ends with the report of access."""
SESSION_S = 6
SENDER = "demo"
AFTER_ONE = ("./run demo --all", "all five stories: more needs and funds, deadlines, a death")
AFTER_ALL = ("./run demo --kill-matcher", "one of them, with the matcher killed half-way")
NEXT = (
    ("./run simulate", "a season of made-up needs and pledges under each rule"),
    ("./run up", "a Pumasi of your own, to send events to, until Ctrl-C"),
)
"""What to try after it."""
ENVIRONMENT = {
    "PUMASI_TRUST_TIME": "1",
    "PUMASI_TICK_SECONDS": str(TICK_SECONDS),
    "PUMASI_SESSION_TIMEOUT_MS": str(SESSION_S * 1000),  # a killed matcher's partitions come back the sooner
    "PUMASI_LOG_LEVEL": "WARNING",
    "PUMASI_HTTP_HOST": "127.0.0.1",
    **dict.fromkeys(
        ("PUMASI_KAFKA_SECURITY", "PUMASI_KAFKA_USER", "PUMASI_KAFKA_PASSWORD_FILE", "PUMASI_KAFKA_CA_FILE"), ""
    ),
    "PUMASI_HTTP_CERTIFICATE_FILE": "",  # nobody's certificate is for this address
    "PUMASI_HTTP_KEY_FILE": "",
    "PUMASI_WEBHOOK_URL": "",  # the stories' notices must not leave this machine
}


@dataclass(frozen=True)
class Wanted:
    """What to do: which stories (None: all), and whether to kill the matcher half-way."""

    stories: list[str] | None
    kill_matcher: bool


@dataclass
class Result:
    """What came of it."""

    outcomes: list[Outcome]
    audit: dict[str, Any]
    seconds: float
    killed: int
    repeated: bool
    new_entries: int

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.outcomes) and bool(self.audit.get("ok"))

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ok": self.ok,
            "stories": [one.as_json() for one in self.outcomes],
            "audit": self.audit,
            "matcher_killed": bool(self.killed),
            "repeated": self.repeated,
            "new_entries": self.new_entries,
            "seconds": round(self.seconds, 1),
        }


async def run(settings: Settings, wanted: Wanted, console: Console, quiet: bool) -> Result:
    """Bring everything up, play, add up, audit, take everything down.

    Raises ScenarioInvalid, UsageError, BrokerError, ServiceFailed; nothing is left running then either.
    """
    stories = load_stories(wanted.stories)
    screen = Screen(console, quiet)
    began = time.monotonic()
    sender: Issued | None = None

    async def become_sender(kafka: str) -> None:
        nonlocal sender
        sender = await own_sender(kafka, settings, SENDER)

    try:
        async with AsyncExitStack() as stack:
            with BrokerProgress(quiet) as bars:
                whole = whole_system(settings, bars, screen, environment=ENVIRONMENT, before_services=become_sender)
                system = await stack.enter_async_context(whole)
            screen.say(f"Kafka is at {system.kafka}, intake at {system.http}.")
            assert sender is not None, "made before the services were started"
            result = await while_alive(system.wait(), _play(system, sender, settings, stories, wanted, screen))
    except asyncio.CancelledError:  # told to stop: nothing is wrong, so nothing is explained
        screen.stop()
        raise
    except BaseException:
        screen.stop()
        for line in screen.log[-5:]:
            screen.say(line, "bright_black")
        raise
    result.seconds = time.monotonic() - began
    return result


async def _play(
    system: System, sender: Issued, settings: Settings, stories: list[Story], wanted: Wanted, screen: Screen
) -> Result:
    followed = first_pledge(stories)
    watch = Watch(servers(settings, system.kafka, access.OPERATOR), screen.entry, followed.id if followed else None)
    killer = _Killer(system, screen, sum(len(story.rows) for story in stories) // 2) if wanted.kill_matcher else None
    outcomes = []
    try:
        await watch.start()
        refuse_what_is_over(stories, watch)
        _say_what_is_repeated(stories, watch, screen)
        bootstrap = servers(settings, system.kafka, access.SENDER)
        async with Player(system.http, bootstrap, sender, watch, screen, followed) as player:
            for number, story in enumerate(stories, 1):
                screen.open(story, number, len(stories), watch.figures)
                await player.play(story, killer.look if killer else lambda _: None)
                if killer:
                    killer.before += len(story.rows)
                screen.close()
                outcomes.append(outcome(story, watch, await _access(story, system.kafka, settings)))
                summary.show_story(screen, outcomes[-1])
                if story.name == PLOT.stem:
                    (settings.data / PLOT).write_text(await asyncio.to_thread(routes.svg, outcomes[-1].figures))
        audit = await _audit(system.kafka, settings)
        outcomes = [outcome(end.story, watch, end.access) for end in outcomes]  # with what came in since
    finally:
        await watch.stop()
    old = watch.old_entries
    return Result(outcomes, audit, 0.0, killer.pid if killer else 0, old > 0, watch.figures.entries - old)


def first_pledge(stories: list[Story]) -> Row | None:
    """The first pledge that comes by HTTP: an event small enough to be shown whole."""
    rows = (row for story in stories for row in story.rows)
    return next((row for row in rows if row.door == "http" and row.type == "pumasi.pledge.made"), None)


def refuse_what_is_over(stories: list[Story], watch: Watch) -> None:
    """A fund's time never goes back: a story that is new to a ledger can't begin before the latest there. Raises UsageError."""
    for story in stories:
        new = not story.currencies.keys() & watch.figures.funds.keys()
        if new and story.starts < watch.figures.latest:
            raise UsageError(
                f"the ledger on this directory is at {text_of(watch.figures.latest)} already; the story {story.name} begins "
                f"at {text_of(story.starts)}",
                hint="Play it on a directory of its own: --data DIR.",
            )


def _say_what_is_repeated(stories: list[Story], watch: Watch, screen: Screen) -> None:
    rows = [row.id for story in stories for row in story.rows]
    known = sum(row in watch.causes for row in rows)
    if known == len(rows):
        screen.say(
            "All of this was played on this directory before. It is played again, every event under its id; each is known for a repeat "
            "and changes nothing, so the ledger has nothing to tell on the way, and the figures are those of before.",
            "bold yellow",
        )
    elif known:
        screen.say(
            f"{known} of {len(rows)} events were played on this directory before: those are known for repeats and change nothing; the "
            "rest is new.",
            "bold yellow",
        )


async def _access(story: Story, kafka: str, settings: Settings) -> tuple[AccessReport, ...]:
    """What `pumasi report access` tells of the funds of a story that ends with it."""
    if story.name != REPORTS:
        return ()
    found = await asked_in(servers(settings, kafka, access.REPORTER), keys.private_keys(settings, "reporter"))
    return tuple(access_report(fund) for fund in found.funds if fund.name in story.currencies)


class _Killer:
    """kill -9 of the matcher, once, when half of all rows are sent and their commands lie there undone."""

    def __init__(self, system: System, screen: Screen, at_row: int) -> None:
        self.system, self.screen, self.at_row = system, screen, at_row
        self.before = 0
        self.pid = 0

    def look(self, sent: int) -> None:
        if self.pid or self.before + sent < self.at_row:
            return
        self.pid = self.system.supervisor.keeper("matcher").kill()
        if self.pid:
            self.screen.say(
                f"kill -9 of the matcher (process {self.pid}), on purpose, in the middle of its work. Some seconds of silence follow: "
                f"Kafka gives its partitions to the next matcher only when its group's session has run out, after {SESSION_S} s.",
                "red",
                MARGIN,
            )


async def _audit(kafka: str, settings: Settings) -> dict[str, Any]:
    """`pumasi audit --json` as anybody would run it; what it said, or its failure as `{"ok": false, …}`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "audit", "--json",
        env={**os.environ, **ENVIRONMENT, **where_of(settings, kafka)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said, complaint = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    try:
        told = json.loads(said)
    except ValueError:
        told = {"message": complaint.decode(errors="replace").strip()[-500:]}
    return {**told, "ok": process.returncode == 0 and bool(told.get("ok"))}


def finish(result: Result, console: Console, data: Path | None) -> None:
    """The end: all figures in one table, the audit's word, and what was left where."""
    summary.show_end(console, result.outcomes)
    show = console.print
    parts = result.audit.get("partitions", ())
    sums = ", ".join(f"{sum(part[name] for part in parts)} {name}" for name in ("commands", "entries"))
    found = f"finds nothing: {sums}" if result.audit.get("ok") else f"FINDS SOMETHING: {json.dumps(result.audit)}"
    show(f"The audit decides all anew, and {found}.")
    if result.killed:
        show(f"The matcher was killed half-way (process {result.killed}); not one figure is different for it.")
    if result.repeated and not result.new_entries:
        show(
            "This directory had seen the stories: every event was a repeat, known by its id, and the ledger did not grow."
        )
    elif result.repeated:
        show(
            f"This directory had seen a part of it; repeats changed nothing, and {result.new_entries} entries are new."
        )
    show(f"{result.seconds:.0f} s. Nothing is left running." + (f" The data stay in {data}." if data else ""))
    if data and (data / PLOT).exists():
        show(f"The plot of the two routes is {data / PLOT}.")
    show("Next:")
    further = (AFTER_ONE if len(result.outcomes) == 1 else AFTER_ALL, *NEXT)
    width = max(len(command) for command, _ in further)
    for command, what in further:
        show(f"  {command:<{width}}  {what}")
