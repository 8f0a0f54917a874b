"""A trial: one command log through the engine and the oracle side by side, entry by entry, and through a replay.

`trial(log)` tells the first thing that is wrong, or None. `python -m tests.oracle.trial SEED…` tries seasons, cuts a failing one
down to the few gestures that still fail, and prints them, ready to become an example; `--count N` tries N seeds from the first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from schemas.commands import TICK, Command, Unreadable
from schemas.facts import FACTS
from schemas.structs import said
from services.matcher.engine.conservation import check_all
from services.matcher.engine.engine import Engine
from tests.oracle.oracle import Oracle
from tests.oracle.season import Gesture, by_wall_clocks, commands_of, gestures

Log = Sequence[Command | Unreadable]


def trial(log: Log, replay_from: int | None = None) -> str | None:
    """Run a log through everything.

    Args:
        log: the commands of one partition.
        replay_from: the entry after which the engine is built anew from its entries alone; None: half way.

    Returns:
        What was wrong first, in a few lines, or None.
    """
    engine, oracle = Engine(), Oracle()
    cut = len(log) // 2 if replay_from is None else replay_from
    told: list[tuple[str | None, int, list[dict[str, Any]], bool]] = []
    for index, command in enumerate(log):
        if index == cut:
            engine = replayed(told)
        decision = engine.execute(command)
        facts = [dict(fact) for fact in decision.facts]
        fund, at, expected = oracle.execute(command)
        if (decision.fund, decision.at, facts) != (fund, at, expected):
            return (
                f"entry {index} {_brief(command)}\n  engine {decision.fund} {decision.at}\n  oracle {fund} {at}\n"
                + (_difference(facts, expected))
            )
        for fact in facts:
            wrong = misshapen(fact)
            if wrong:
                return f"entry {index} {_brief(command)}\n  {wrong}"
        for each in engine.funds.values():
            check_all(each)
        # An unreadable tick is no tick: it moves no clock.
        told.append((decision.fund, decision.at, facts, isinstance(command, Command) and command.type == TICK))
    return None


def replayed(entries: Sequence[tuple[str | None, int, list[dict[str, Any]], bool]]) -> Engine:
    """An engine that has only read the ledger; the facts come to it as they come off the wire."""
    engine = Engine()
    for fund, at, facts, tick in entries:
        engine.absorb(fund, at, json.loads(json.dumps(facts)), tick=tick)
    return engine


def misshapen(fact: dict[str, Any]) -> str | None:
    """What is wrong with a fact's shape: it must pass its model and come back from it as it was."""
    model = FACTS[fact["fact"]].model_validate_json(json.dumps(fact))
    back = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return None if back == fact else f"{fact} comes back as {back}"


def _brief(command: Command | Unreadable) -> str:
    if isinstance(command, Unreadable):
        return f"unreadable ({command.type})"
    return f"{command.type} {json.dumps(said(command.data))} at {command.time}"


def _difference(facts: list[dict[str, Any]], expected: list[dict[str, Any]]) -> str:
    width = max(len(facts), len(expected))
    lines = []
    for n in range(width):
        mine = facts[n] if n < len(facts) else None
        other = expected[n] if n < len(expected) else None
        lines += [f"    {mine}"] if mine == other else [f"  ≠ engine {mine}", f"  ≠ oracle {other}"]
    return "\n".join(lines)


def smallest(log: list[Gesture], fails: Callable[[list[Gesture]], bool]) -> list[Gesture]:
    """Drop gestures, in ever smaller bunches, as long as the rest still fails."""
    bunch = max(1, len(log) // 2)
    while True:
        start, shrunk = 0, False
        while start < len(log):
            shorter = log[:start] + log[start + bunch :]
            if fails(shorter):
                log, shrunk = shorter, True
            else:
                start += bunch
        if bunch == 1 and not shrunk:
            return log
        bunch = max(1, bunch // 2)


def verdict(log: Log) -> str | None:
    """As `trial`, an exception counted as a thing that is wrong."""
    try:
        return trial(log)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def report(seed: int) -> str | None:
    """None if a season passes, else its shortest failing form."""
    said = by_wall_clocks(seed) if seed % 4 == 0 else gestures(seed)
    if verdict(commands_of(said)) is None:
        return None
    few = smallest(said, lambda log: verdict(commands_of(log)) is not None)
    lines = [f"  {one.jump / 3.6e9:+.2f} h  {one.type} {json.dumps(one.data)} off {one.off}" for one in few]
    return "\n".join([f"season {seed}: python -m tests.oracle.trial {seed}", *lines, str(verdict(commands_of(few)))])


def main(arguments: list[str]) -> int:
    """Try the seeds; 1 at the first that fails."""
    count = int(arguments[arguments.index("--count") + 1]) if "--count" in arguments else 1
    seeds = [int(word) for word in arguments if word.isdigit()][: None if count == 1 else 1]
    for first in seeds:
        for seed in range(first, first + count):
            wrong = report(seed)
            if wrong:
                print(wrong)
                return 1
    print("all seasons pass")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
