"""`pumasi demo`: real stories through a real Kafka, told as they go, then audited."""

import asyncio
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from services.cli.shared import options
from services.cli.shared.stopping import unless_stopped, until_told_to_stop
from services.errors import UsageError
from services.terminal import Terminal
from services.visible import json_line, visible

if TYPE_CHECKING:
    from services.stories.demo import Result, Wanted

PLAIN_WIDTH = 120
"""Columns where there is no terminal and COLUMNS doesn't say."""


EXAMPLES = """**Examples**

- `pumasi demo`: the story of a chat room, in a directory that is removed afterwards
- `pumasi demo --all`: all five stories
- `pumasi demo --story no-papers --story provinces`: two of them
- `pumasi demo --data /tmp/p`: keep everything; a second run repeats every event and changes nothing
- `pumasi demo --kill-matcher --quiet --json`: crash the matcher half-way; print one JSON object
"""
SHORT = "chat-room"
"""The story that is played by default."""


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            callback=options.carried,
            metavar="DIR",
            help="Keep everything in DIR, created if missing.  [default: a fresh one, removed]",
        ),
    ] = None,
    story: Annotated[
        list[str] | None,
        typer.Option(
            "--story",
            metavar="NAME",
            help="Play it: chat-room, tuberculosis, two-routes, no-papers or provinces. May be given again.  [default: chat-room]",
        ),
    ] = None,
    all_stories: Annotated[bool, typer.Option("--all", help="Play all five stories.")] = False,
    kill_matcher: Annotated[
        bool, typer.Option("--kill-matcher", help="kill -9 the matcher half-way; the figures must not change.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.")] = False,
    as_json: options.Json = False,
) -> None:
    """Play a real story through a whole Pumasi on this machine, then audit the result.

    Starts Kafka, intake, matcher and notifier on free ports and stops them at the end, also on Ctrl-C. Time comes with the events, so
    months pass in seconds. Exit status 1 if a figure differs from the story's file, or if the audit finds something; 130 if Ctrl-C
    stopped it (143: SIGTERM). A directory kept with --data can be used again, also after it was stopped.
    """
    from services.stories.demo import Wanted

    if all_stories and story:
        raise UsageError("--all plays every story already", hint="Give --all or --story, not both.")
    wanted = Wanted(None if all_stories else story or [SHORT], kill_matcher)
    result = asyncio.run(_until_stopped(data.absolute() if data else None, wanted, quiet, as_json))
    if isinstance(result, int):
        raise typer.Exit(result)
    if not result.ok:
        raise typer.Exit(1)


async def _until_stopped(kept: Path | None, wanted: "Wanted", quiet: bool, as_json: bool) -> "Result | int":
    """The result, or 128 + the signal that stopped it; either way nothing runs any more."""
    from services.stories.demo import finish, run

    stopping = until_told_to_stop(hangup=True)
    stream = sys.stderr if as_json else sys.stdout
    console = Terminal(file=stream, width=_width(stream))
    with ExitStack() as stack:
        home = kept or (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pumasi-demo-", ignore_cleanup_errors=True)))
            / "data"  # keys come beside it
        )
        stopping.add_done_callback(lambda _: console.print("\nStopping …"))
        result = await unless_stopped(run(_settings(home), wanted, console, quiet), stopping)
    if result is None:
        _say_stopped(console, kept)
        return 128 + stopping.result()
    if as_json:
        print(json_line(result.as_json()))
    else:
        finish(result, console, kept)
    return result


def _width(stream: TextIO) -> int | None:
    """None lets the terminal say."""
    if stream.isatty():
        return None
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdigit() and int(asked) else PLAIN_WIDTH


def _say_stopped(console: Terminal, kept: Path | None) -> None:
    stays = f"What was played stays in {kept}; the same command goes on from there."
    data = visible(stays) if kept else "Its directory is removed."
    console.print(f"Stopped. Everything is down, and nothing is left running. {data}", soft_wrap=True)


def _settings(home: Path) -> "options.Settings":
    """A broker of the demo's own, on free ports, and keys: the demo never plays on the Kafka that PUMASI_KAFKA names."""
    theirs = ("kafka", "keys", "kafka_security", "kafka_user", "kafka_password_file", "kafka_ca_file", "webhook_url")
    own = {**dict.fromkeys(theirs), "open": False}
    return options.load(data=home, kafka_port=0, http_port=0).model_copy(update=own)
