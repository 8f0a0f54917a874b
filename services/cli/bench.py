"""`pumasi bench`: how fast is the matcher on this machine, beside a bare copy?"""

import asyncio
import json
from typing import Annotated

import typer

from services.cli import options
from services.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command("bench", epilog=_EXAMPLES)(bench)


_EXAMPLES = """**Examples**

- `pumasi bench`: 100,000 pledges over 1,000 cases, three runs of each, in turn
- `pumasi bench --pledges 20000 --runs 1 --json`: a quick look, for a program
- `pumasi bench --engine`: the engine alone, from 100 to 1,000,000 open cases; some minutes and 3 GB of memory
- `pumasi bench --engine --sizes 100,10000 --no-ceilings`: two sizes only; half a minute
- `pumasi bench --recovery`: a million entries, the matcher killed; ten minutes or more, most of it to make the ledgers
- `pumasi bench --recovery --entries 50000 --live 5000`: the same in small
"""


def bench(
    pledges: Annotated[int, typer.Option(min=100, help="Pledges to match in each run.")] = 100_000,
    cases: Annotated[int, typer.Option(min=1, help="Open cases they are matched to.")] = 1_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of matcher and echo, in turn.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the load.")] = 1,
    engine: Annotated[
        bool, typer.Option("--engine", help="The engine alone, without a broker, by open cases.")
    ] = False,
    sizes: Annotated[
        str, typer.Option(metavar="N,N,…", help="With --engine: how many open cases to try.")
    ] = "100,1000,10000,100000,1000000",
    ceilings: Annotated[
        bool, typer.Option(help="With --engine: also what must cost nothing (leaps, timers, history); minutes.")
    ] = True,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="How soon a matcher is ready after kill -9, by entities alive.")
    ] = False,
    entries: Annotated[int, typer.Option(min=1_000, help="With --recovery: entries of the ledger.")] = 1_000_000,
    live: Annotated[
        str, typer.Option(metavar="N,N,…", help="With --recovery: how many pledges and cases are alive.")
    ] = "100000,1000000",
    as_json: options.Json = False,
) -> None:
    """Measure commands → committed ledger on a broker of its own, beside a bare transactional echo in the same run.

    One partition, one process each, every output verified by the audit. The figure to quote is the ratio: the machine's speed drifts,
    the ratio much less.
    """
    if engine and recovery:
        raise UsageError("--engine and --recovery measure two things", hint="Give one of them.")
    if engine:
        from services.cli.engine_shown import bench_engine

        bench_engine(_sizes_in("--sizes", sizes), seed, ceilings, as_json)
        return
    if recovery:
        from services.cli.recovery_shown import bench_recovery

        bench_recovery(entries, _sizes_in("--live", live), runs, seed, as_json)
        return
    from rich.console import Console

    from services.lab.bench import Load
    from services.lab.bench import bench as measure

    console = Console(stderr=True)
    result = asyncio.run(measure(Load(cases, pledges, seed), runs, lambda line: console.print(line, highlight=False)))
    if as_json:
        print(json.dumps(result))
        return
    print(f"\n{pledges:,} pledges over {cases:,} cases, seed {seed}; medians of {runs}, commands a second")
    for name, what in (("matcher", "decided, hash-chained, committed"), ("echo", "bare aiokafka transactions")):
        print(f"  {name:8} {result['median'][name]:9,}   {what}")
    print(f"  ratio    {result['ratio']['median']:9.2f}   matcher / echo, pair by pair: {result['ratio']['runs']}")


def _sizes_in(option: str, text: str) -> list[int]:
    try:
        sizes = [int(part.replace("_", "")) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise UsageError(f"{option} {text}: not a list of numbers", hint=f"For example {option} 1000,10000")
    return sizes
