"""`pumasi bench`: how fast is Pumasi on this machine, beside others who do less?"""

from pathlib import Path
from typing import Annotated

import typer

from services.cli import options
from services.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command("bench", epilog=_EXAMPLES)(bench)


_EXAMPLES = """**Examples**

- `pumasi bench`: the matcher and eight peers, three rounds; about ten minutes
- `pumasi bench --peers streams,quix --rounds 5`: only these two, to be surer
- `pumasi bench --quick`: one round, a fifth of the pledges; too short for the JVM's warm-up, so good for a look only
- `pumasi bench --quick --peers aiokafka --json`: for a program
- `pumasi bench --engine`: the engine alone, from 100 to 1,000,000 open cases; some minutes and 3 GB of memory
- `pumasi bench --engine --sizes 100,10000 --no-ceilings`: two sizes only; half a minute
- `pumasi bench --recovery`: a million entries, the matcher killed; ten minutes or more, most of it to make the ledgers
- `pumasi bench --recovery --entries 50000 --live 5000`: the same in small

**Peers**: `streams` (Kafka Streams, exactly_once_v2, tuned), `streams-defaults`, `aiokafka-bytes` (doesn't even parse: the ceiling),
`aiokafka`, `quix`, `faststream-batch`, `faust`, `faststream`. Each copies the very records that the matcher decides. What isn't
Pumasi's own (Kafka Streams' jars, the Python libraries, in an environment of their own) is fetched on first use, locked by hash; who
can't be had is left out, and the table says why.
"""

_QUICK_PART = 5


def bench(
    pledges: Annotated[int, typer.Option(min=100, help="Pledges of each run.")] = 500_000,
    cases: Annotated[int, typer.Option(min=1, help="Open cases they are matched to.")] = 10_000,
    rounds: Annotated[int, typer.Option("--rounds", "--runs", min=1, help="Rounds; in each, everyone has a turn.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the load.")] = 1,
    peers: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="Which peers take part; see below.  [default: all]")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One round with a fifth of the pledges: a look, not a figure.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="At the end, also decide every command of the last ledger anew.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it too: FILE.svg, .png or .html.")] = None,
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
    """Measure commands → committed ledger, beside peers who only copy the same records on the same broker.

    One partition, one process each, in turn; the clock runs over the last 60 % of the pledges; every output is read back and verified.
    The figure to quote is a ratio: the machine's speed drifts, ratios within a round much less.
    """
    if engine and recovery:
        raise UsageError("--engine and --recovery measure two things", hint="Give one of them.")
    if engine:
        from services.cli.engine_shown import bench_engine

        bench_engine(_sizes_in("--sizes", sizes), seed, ceilings, as_json)
        return
    if recovery:
        from services.cli.recovery_shown import bench_recovery

        bench_recovery(entries, _sizes_in("--live", live), rounds, seed, as_json)
        return
    from services.cli.throughput_shown import bench_throughput

    if quick:
        rounds, pledges = 1, max(100, pledges // _QUICK_PART)
    names = None if peers is None else [name.strip() for name in peers.split(",") if name.strip()]
    bench_throughput(
        cases=cases, pledges=pledges, rounds=rounds, seed=seed, names=names, audited=audit, plot=plot, as_json=as_json
    )


def _sizes_in(option: str, text: str) -> list[int]:
    try:
        sizes = [int(part.replace("_", "")) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise UsageError(f"{option} {text}: not a list of numbers", hint=f"For example {option} 1000,10000")
    return sizes
