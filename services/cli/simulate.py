"""`pumasi simulate`: what would the rule do? For now, whether it does what it says, by the hundred thousand."""

import json
import time
from typing import Annotated

import typer

from services.cli import options


def register(app: typer.Typer) -> None:
    app.command("simulate", epilog=_EXAMPLES)(simulate)


_EXAMPLES = """**Examples**

- `pumasi simulate --campaign 20000`: twenty thousand random seasons, engine against oracle; some minutes
- `pumasi simulate --campaign 1 --seed 4711`: one season again, the one that failed
"""


def simulate(
    campaign: Annotated[int, typer.Option(min=1, metavar="N", help="How many random seasons to try.")],
    seed: Annotated[
        int, typer.Option(min=0, metavar="S", help="The first season's seed; the others follow on it.")
    ] = 1,
    as_json: options.Json = False,
) -> None:
    """Run random command logs through the engine and a naive oracle written from the contract alone, and compare every fact.

    Each season has all types of commands, several funds, jumps of time, foreign currencies, duplicates and nonsense; each is replayed
    half-way from its facts, and every sum of conservation is checked after every entry. Exit status 1 at the first season that does
    not hold, told in its shortest form with a line that reproduces it.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from services.lab.campaign import campaign as run

    began = time.perf_counter()
    columns = (TextColumn("seasons"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=as_json, transient=True) as bars:
        task = bars.add_task("", total=campaign)
        failure = run(seed, campaign, lambda number: bars.advance(task, number))
    seconds = time.perf_counter() - began
    if as_json:
        told = {"ok": failure is None, "seed": seed, "seasons": campaign, "seconds": round(seconds, 1)}
        print(json.dumps(told | ({} if failure is None else {"failed": failure.seed, "report": failure.report})))
    elif failure is None:
        print(
            f"{campaign:,} seasons from seed {seed}: engine and oracle tell the same, entry by entry ({seconds:.0f} s)."
        )
    else:
        print(failure.report)
        print(f"\nReproduce it with: ./run simulate --campaign 1 --seed {failure.seed}")
    if failure:
        raise typer.Exit(1)
