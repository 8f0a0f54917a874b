"""The demo as anybody runs it, on a real broker: the same figures whatever happens, and nothing left behind.

The commands are the same in every run, so the ledger is too, to its last hash: that is what "the same figures" means here.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.bus.topics import SUBMISSIONS
from services.errors import UsageError
from services.stories.demo import refuse_what_is_over
from services.stories.rehearsal import rehearse
from services.stories.scenario import load_stories
from services.stories.watch import Watch

pytestmark = [pytest.mark.usefixtures("guarded_kafka"), pytest.mark.timeout(300)]
DEADLINE_S = 120
PUMASI = (sys.executable, "-P", "-m", "services.cli")


async def demo(*options: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, the JSON object, standard error."""
    process = await asyncio.create_subprocess_exec(
        *PUMASI, "demo", "--json", "--quiet", *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    lines = output.decode().splitlines()
    assert len(lines) == 1, (lines, errors.decode())
    return process.returncode, json.loads(lines[0]), errors.decode()


def last_hashes(result: dict[str, Any]) -> list[str]:
    return [part["last_hash"] for part in result["audit"]["partitions"]]


async def test_all_stories_twice_on_one_directory_and_once_with_a_killed_matcher(data_dir: Path) -> None:
    status, first, _ = await demo("--all", "--data", str(data_dir))
    assert (status, first["ok"], first["audit"]["ok"]) == (0, True, True)
    assert len(first["stories"]) == 5
    assert all(fund["told"] == fund["expected"] for story in first["stories"] for fund in story["funds"])
    assert sum(part["commands"] for part in first["audit"]["partitions"]) == first["new_entries"] > 500

    [provinces] = [story for story in first["stories"] if story["story"] == "provinces"]
    groups = [group for fund in provinces["access"] for group in fund["groups"]]
    assert groups and all(group["people"] >= 5 for group in groups)
    assert sum(fund["hidden"] for fund in provinces["access"]) >= 5
    told = {path.parent.name for path in data_dir.rglob("*.log") if b"family-register" in path.read_bytes()}
    assert not [topic for topic in told if not topic.startswith(SUBMISSIONS)], "province and papers are in boxes"

    status, second, _ = await demo("--all", "--data", str(data_dir))
    assert (status, second["repeated"], second["new_entries"]) == (0, True, 0)
    assert second["stories"] == first["stories"]
    assert last_hashes(second) == last_hashes(first)

    status, killed, _ = await demo("--all", "--kill-matcher")
    assert (status, killed["matcher_killed"]) == (0, True)
    assert killed["stories"] == first["stories"]
    assert last_hashes(killed) == last_hashes(first)


async def test_a_demo_that_is_stopped_leaves_nothing_running_and_can_be_gone_on_with(data_dir: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *PUMASI, "demo", "--data", str(data_dir), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            while b"Pledges come in" not in (line := await process.stdout.readline()):
                assert line, (await process.stderr.read()).decode()
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 7, "the broker and its guard, the nursery and four services"
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), DEADLINE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 128 + signal.SIGINT
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    status, result, _ = await demo("--data", str(data_dir), "--story", "chat-room", "--story", "two-routes")
    assert (status, result["repeated"], result["audit"]["ok"]) == (0, True, True)
    assert result["new_entries"] > 0
    assert all(fund["told"] == fund["expected"] for story in result["stories"] for fund in story["funds"])


def test_a_story_that_would_begin_in_the_past_is_refused() -> None:
    chat_room, two_routes = load_stories(["chat-room", "two-routes"])
    watch = Watch("nowhere:9092")
    for told in rehearse(two_routes):
        watch.figures.take(told.entry)
    refuse_what_is_over([two_routes], watch)  # it is there: a repeat
    with pytest.raises(UsageError, match="chat-room begins at 2021-11-24T10:00:00Z"):
        refuse_what_is_over([chat_room], watch)


async def test_one_story_is_played_by_default_and_shows_an_event_as_it_is_within_a_screen_and_a_half() -> None:
    """80 columns. The event, its receipt and its entry can be put together again from what is shown."""
    process = await asyncio.create_subprocess_exec(
        *PUMASI, "demo", env={**os.environ, "COLUMNS": "80"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    text = output.decode()
    assert process.returncode == 0, errors.decode()
    lines = text.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    assert "Needs that return" not in text
    event, receipt, entry = (shown(text, title) for title in ("One event, as", "Its receipt, as", "Its entry on"))
    assert (event["data"]["pledge"], event["data"]["amount"]) == ("room-01", 20000)
    assert receipt["state"] == "applied"
    assert entry["cause"]["id"] == event["id"]
    assert {"pledge_accepted", "awarded"} <= {fact["fact"] for fact in entry["facts"]}
    assert [line.split("  ")[1] for line in lines[lines.index("Next:") + 1 :]] == [
        "./run demo --all", "./run simulate", "./run up",
    ]  # fmt: skip

    readme = (Path(__file__).parents[2] / "README.md").read_text()
    excerpt = readme.partition("<!-- captured: ./run demo,")[2].partition("```text\n")[2].partition("```")[0]
    places = [lines.index(line) for line in excerpt.splitlines() if line != "…"]
    assert places == sorted(places)
    assert len(places) == 9


def shown(text: str, title: str) -> dict[str, Any]:
    """The JSON whose lines stand indented below a title."""
    below = text.partition(f"\n{title}")[2].splitlines()[1:]
    return json.loads("".join(line for line in itertools.takewhile(lambda line: re.match(r"  \S", line), below)))


async def test_all_and_a_story_are_not_asked_for_together() -> None:
    process = await asyncio.create_subprocess_exec(
        *PUMASI, "demo", "--all", "--story", "chat-room", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert process.returncode == 2


async def test_an_unknown_story_is_a_usage_error_before_anything_starts() -> None:
    process = await asyncio.create_subprocess_exec(
        *PUMASI, "demo", "--json", "--story", "moonshot", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert (process.returncode, output) == (2, b"")
    assert json.loads(errors)["code"] == "invalid_scenario"
