"""`./run bench`: how fast is Pumasi on this machine, beside others who do less?"""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.shared import options
from services.errors import UsageError

EXAMPLES = """**Examples**

- `./run bench`: the matcher and eight peers, three rounds; about ten minutes
- `./run bench --peers streams,quix --rounds 5`: only these two, to be surer
- `./run bench --quick`: one round, a fifth of the pledges; too short for the JVM's warm-up, so good for a look only
- `./run bench --quick --peers aiokafka --json`: for a program
- `./run bench --latency`: how soon an award is readable at 100, 1,000 and 5,000 pledges a second; six minutes
- `./run bench --latency --rates 1000 --seconds 30 --peers aiokafka`: at one rate, beside one peer
- `./run bench --check`: has anything become slower? Ratios against those recorded in the repository; some five minutes
- `./run bench --check --record`: record them anew, once a change is meant
- `./run bench --memory`: of a matcher with 100,000 live cases and as many pledges; a minute
- `./run bench --rest`: what a whole Pumasi takes when nobody sends anything, minute by minute; three minutes
- `./run bench --scaling --pledges 100000`: from one partition and process to four of each; some minutes
- `./run bench --intake`, `./run bench --notifier`: what comes before the matcher, and after it; half a minute each
- `./run bench --engine`: the engine alone, from 100 to 1,000,000 open cases; some minutes and 3 GB of memory
- `./run bench --engine --sizes 100,10000 --no-ceilings`: two sizes only; half a minute
- `./run bench --growth`: what size costs: 1,000, 100,000 and 1,000,000 entities alive, and a million entries before; minutes, 7 GB
- `./run bench --growth --live 1000,10000 --entries 50000`: the same in small
- `./run bench --growth --broker`: the smallest and the largest of them in service, on a real broker; ten minutes
- `./run bench --auditing`: entries a second of `pumasi audit`, over a million on four partitions; three minutes
- `./run bench --recovery`: a million entries, the matcher killed; ten minutes or more, most of it to make the ledgers
- `./run bench --recovery --entries 50000 --live 5000`: the same in small

**Peers**: `streams` (Kafka Streams, exactly_once_v2, tuned), `streams-defaults`, `aiokafka-bytes` (doesn't even parse: the ceiling),
`aiokafka`, `quix`, `faststream-batch`, `faust`, `faststream`. Each copies the very records that the matcher decides. What isn't
Pumasi's own (Kafka Streams' jars, the Python libraries, in an environment of their own) is fetched on first use, locked by hash; who
can't be had is left out, and the table says why.
"""

_CASES, _PLEDGES, _ROUNDS = 10_000, 500_000, 3
_CASES_LIVE, _PLEDGES_LIVE = 100_000, 100_000
_CASES_TOLD, _PLEDGES_TOLD, _EVENTS = 1_000, 5_000, 30_000
_LIVE, _LIVE_RECOVERED = "1000,100000,1000000", "100000,1000000"
_QUICK_PART = 5
_INSTEAD = "Instead of throughput"


def bench(
    pledges: Annotated[
        int | None,
        typer.Option(
            min=100,
            help="Pledges of each run.  [default: 500000; less with other measurements]",
        ),
    ] = None,
    cases: Annotated[
        int | None,
        typer.Option(min=1, help="Open cases they are matched to.  [default: 10000; with --memory 100000]"),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds", "--runs", min=1, help="Rounds; in each, everyone has a turn.  [default: 3; with --latency 1]"
        ),
    ] = None,
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
    latency: Annotated[
        bool,
        typer.Option(
            "--latency", rich_help_panel=_INSTEAD, help="How soon an award is readable, at fixed rates (open loop)."
        ),
    ] = False,
    rates: Annotated[str, typer.Option(metavar="N,N,…", help="With --latency: pledges a second.")] = "100,1000,5000",
    seconds: Annotated[float, typer.Option(min=1, help="With --latency: how long each rate is measured.")] = 15.0,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            rich_help_panel=_INSTEAD,
            help="Compare ratios with those recorded in the repository; status 1 if one fell.",
        ),
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", rich_help_panel=_INSTEAD, help="With --check: record what is found instead.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", rich_help_panel=_INSTEAD, help="How much a matcher remembers, in MiB.")
    ] = False,
    rest: Annotated[
        bool,
        typer.Option(
            "--rest",
            rich_help_panel=_INSTEAD,
            help="Memory and processor time of a whole Pumasi at rest; status 1 if it is more than aimed at.",
        ),
    ] = False,
    parts: Annotated[
        bool,
        typer.Option(
            "--parts", rich_help_panel=_INSTEAD, help="Where a command's time goes, part by part, without a broker."
        ),
    ] = False,
    scaling: Annotated[
        bool, typer.Option("--scaling", rich_help_panel=_INSTEAD, help="From 1 to 4 partitions, with 1 to 4 processes.")
    ] = False,
    intake: Annotated[
        bool, typer.Option("--intake", rich_help_panel=_INSTEAD, help="Events a second over HTTP and from the topic.")
    ] = False,
    notifier: Annotated[
        bool, typer.Option("--notifier", rich_help_panel=_INSTEAD, help="Entries and notices a second.")
    ] = False,
    engine: Annotated[
        bool,
        typer.Option("--engine", rich_help_panel=_INSTEAD, help="The engine alone, without a broker, by open cases."),
    ] = False,
    sizes: Annotated[
        str, typer.Option(metavar="N,N,…", help="With --engine: how many open cases to try.")
    ] = "100,1000,10000,100000,1000000",
    ceilings: Annotated[
        bool, typer.Option(help="With --engine: also what must cost nothing (leaps, timers, history); minutes.")
    ] = True,
    recovery: Annotated[
        bool,
        typer.Option(
            "--recovery", rich_help_panel=_INSTEAD, help="How soon a matcher is ready after kill -9, by entities alive."
        ),
    ] = False,
    growth: Annotated[
        bool,
        typer.Option(
            "--growth",
            rich_help_panel=_INSTEAD,
            help="What a command costs, by entities alive and after a long history.",
        ),
    ] = False,
    broker: Annotated[
        bool, typer.Option("--broker", help="With --growth: the least and the most of them, on a real broker.")
    ] = False,
    auditing: Annotated[
        bool,
        typer.Option("--auditing", rich_help_panel=_INSTEAD, help="Entries a second of `pumasi audit`."),
    ] = False,
    entries: Annotated[
        int,
        typer.Option(min=1_000, help="With --recovery, --auditing: entries of the ledger; with --growth of history."),
    ] = 1_000_000,
    live: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="With --recovery, --growth: how many pledges and cases are alive.  [default: 100000,1000000; "
            "with --growth 1000,100000,1000000]",
        ),
    ] = None,
    loads: Annotated[
        str,
        typer.Option(
            "--load", metavar="NAME,…", help="What is answered: community, pledges, slowest; one after the other."
        ),
    ] = "community,pledges",
    as_json: options.Json = False,
) -> None:
    """Measure commands → committed ledger, beside peers who only copy the same records on the same broker.

    One partition, one process each, in turn; the clock runs over the last 60 % of the pledges; every output is read back and verified.
    The figure to quote is a ratio: the machine's speed drifts, ratios within a round much less.
    """
    modes = {
        "--check": check or record,
        "--latency": latency,
        "--memory": memory,
        "--rest": rest,
        "--parts": parts,
        "--scaling": scaling,
        "--intake": intake,
        "--notifier": notifier,
        "--engine": engine,
        "--recovery": recovery,
        "--growth": growth,
        "--auditing": auditing,
    }
    asked = [name for name, wanted in modes.items() if wanted]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} measure different things", hint="Give one of them.")
    names = None if peers is None else [name.strip() for name in peers.split(",") if name.strip()]
    if check or record:
        from tests.bench.shown.check import bench_check

        bench_check(seed=seed, record=record, as_json=as_json)
    elif latency:
        from tests.bench.shown.latency import bench_latency

        bench_latency(
            cases=cases or _CASES, rates=_sizes_in("--rates", rates), seconds=seconds, rounds=rounds or 1, seed=seed, names=names,
            plot=plot, as_json=as_json,
        )  # fmt: skip
    elif memory:
        from tests.bench.shown.parts import bench_memory

        count = pledges or _PLEDGES_LIVE
        bench_memory(cases=cases or _CASES_LIVE, pledges=count, more=count // 5, seed=seed, as_json=as_json)
    elif rest:
        from tests.bench.shown.rest import bench_rest

        bench_rest(as_json=as_json)
    elif parts:
        from tests.bench.shown.parts import bench_parts

        names = [name.strip() for name in loads.split(",")]
        bench_parts(loads=names, cases=cases or _CASES, count=pledges or _PLEDGES, seed=seed, as_json=as_json)
    elif scaling:
        from tests.bench.shown.parts import bench_scaling

        each = pledges or _PLEDGES_LIVE
        bench_scaling(cases=cases or _CASES, pledges=each, rounds=rounds or 1, seed=seed, as_json=as_json)
    elif intake:
        from tests.bench.shown.parts import bench_intake

        bench_intake(events=pledges or _EVENTS, seed=seed, as_json=as_json)
    elif notifier:
        from tests.bench.shown.parts import bench_notifier

        bench_notifier(cases=cases or _CASES_TOLD, pledges=pledges or _PLEDGES_TOLD, seed=seed, as_json=as_json)
    elif engine:
        from tests.bench.shown.engine import bench_engine

        bench_engine(_sizes_in("--sizes", sizes), seed, ceilings, as_json)
    elif recovery:
        from tests.bench.shown.recovery import bench_recovery

        bench_recovery(entries, _sizes_in("--live", live or _LIVE_RECOVERED), rounds or _ROUNDS, seed, as_json)
    elif growth:
        from tests.bench.shown.growth import bench_growth

        bench_growth(_sizes_in("--live", live or _LIVE), entries, seed, broker=broker, as_json=as_json)
    elif auditing:
        from tests.bench.shown.growth import bench_auditing

        bench_auditing(entries, rounds or _ROUNDS, seed, as_json=as_json)
    else:
        from tests.bench.shown.throughput import bench_throughput

        rounds = rounds or (1 if quick else _ROUNDS)
        pledges = pledges or (_PLEDGES // _QUICK_PART if quick else _PLEDGES)
        bench_throughput(
            cases=cases or _CASES,
            count=pledges,
            loads=[name.strip() for name in loads.split(",")],
            rounds=rounds,
            seed=seed,
            names=names,
            audited=audit,
            plot=plot,
            as_json=as_json,
        )


def _sizes_in(option: str, text: str) -> list[int]:
    try:
        sizes = [int(part.replace("_", "")) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise UsageError(f"{option} {text}: not a list of numbers", hint=f"For example {option} 1000,10000")
    return sizes
