"""`./run bench --latency`: how soon an answer is readable, at fixed rates, measured and shown."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from services.errors import UsageError

if TYPE_CHECKING:
    from tests.bench.latency import Found, Latency

LIMIT_MS, LIMIT_RATE = 50.0, 1_000.0
"""What is aimed at: the matcher's p99 at that many pledges a second."""


def bench_latency(
    *,
    cases: int,
    rates: Sequence[float],
    seconds: float,
    rounds: int,
    seed: int,
    names: Sequence[str] | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure and show; raises what makes the matcher's figure worthless."""
    from tests.bench.latency import BEFORE, latency
    from tests.bench.load import Load
    from tests.bench.machine import this_machine
    from tests.bench.peers import LATENCY, chosen
    from tests.bench.screen import BenchScreen, described

    try:
        from uvloop import run  # the reader should not be what is measured
    except ImportError:
        from asyncio import run
    try:
        peers = chosen(list(LATENCY) if names is None else names, LATENCY)
    except KeyError as error:
        raise UsageError(
            f"--peers: {error.args[0]} takes no part in --latency", hint=f"There are {', '.join(LATENCY)}."
        ) from None
    if plot:
        from tests.bench.plot import check_kind

        check_kind(plot)  # before it takes minutes
    machine = this_machine()
    with BenchScreen() as screen:
        found = run(latency(Load(cases, BEFORE, seed), peers, rates, seconds, rounds, screen))
    document = {
        "machine": machine.as_json(), "cases": cases, "seed": seed, "seconds": seconds, "rounds": rounds,
        "latency": {each.name: each.as_json() for each in found},
    }  # fmt: skip
    if plot:
        from tests.bench.plot import draw

        draw(document, plot)
    if as_json:
        print(json.dumps(document))
        return
    _print(found, rates, rounds, cases)
    print(described(machine))


def _print(found: "Sequence[Found]", rates: Sequence[float], rounds: int, cases: int) -> None:
    from rich import box
    from rich.table import Table

    from tests.bench.latency import FLOOR, QUANTILES, WARM_SECONDS
    from tests.bench.peers import MATCHER
    from tests.bench.screen import wide_console

    of = f"; medians of {rounds} rounds" if rounds > 1 else ""
    table = Table(
        title=f"Milliseconds from when a pledge was due to when its answer is readable; {cases:,} open cases{of}",
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for name in ("pledges/s", *QUANTILES, "transactions/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for rate in rates:
        for each in found:
            style = {MATCHER: "bold", FLOOR: "dim"}.get(each.name)
            table.add_row(each.title, f"{rate:,.0f}", *_row(each.at(rate), QUANTILES), style=style)
        table.add_section()
    console = wide_console()
    console.print()
    console.print(table)
    for each in found:
        if each.failed:
            console.print(f"{each.title}: {each.failed}")
    late = max((row.late_ms_p99 for each in found for row in each.rows), default=0.0)
    console.print(
        f"Open loop: reckoned from when a pledge was due, whether the sender was late or not (its own p99: {late:.1f} ms at worst).\n"
        f"The first {WARM_SECONDS:.0f} s of each rate don't count. The floor is what sender, broker and reader take by themselves."
    )


def _row(rows: "Sequence[Latency]", quantiles: "dict[str, float]") -> list[str]:
    if not rows:
        return ["–"] * (len(quantiles) + 1)
    shown = [f"{median(row.ms[name] for row in rows):.1f}" for name in quantiles]
    return [*shown, f"{median(row.transactions for row in rows):,.0f}"]
