"""`./run bench --recovery`: ledgers made, matchers killed, and what was measured as a table."""

import asyncio
import json
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.recovery import Recovery, Row

_STAGES = {"fence": "fencing", "fetch": "fetching", "restore": "restoring", "tail": "the entries since"}


def bench_recovery(entries: int, live: Sequence[int], runs: int, seed: int, as_json: bool) -> None:
    """Measure and show, a ledger for each number of entities alive; raises RuntimeError if what was measured wasn't right."""
    from services.terminal import Terminal
    from tests.bench.recovery import Past, measure

    errors = Terminal(stderr=True)

    async def measured() -> "list[Row]":
        pasts = [Past(max(entries, alive + 1), alive, seed) for alive in live]
        return [await measure(past, runs, lambda line: errors.print(line, highlight=False)) for past in pasts]

    rows = asyncio.run(measured())
    if as_json:
        print(json.dumps({"seed": seed, "rows": [row.as_json() for row in rows]}))
    else:
        _print(rows, runs)


def _print(rows: "list[Row]", runs: int) -> None:
    from rich import box
    from rich.table import Table

    from services.terminal import Terminal

    table = Table(
        title=f"From kill -9 until ready, seconds; medians of {runs}",
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
    )
    table.add_column("entities alive")
    for row in rows:
        table.add_column(f"{row.live:,}", justify="right", no_wrap=True)

    def line(name: str, shown: "Callable[[Row], str]") -> None:
        table.add_row(name, *(shown(row) for row in rows))

    line("entries of the ledger", lambda row: f"{row.entries:,}")
    line("  since the checkpoint", lambda row: f"{row.tail:,}")
    line("records of the checkpoint", lambda row: f"{row.records:,}, {row.megabytes:,.0f} MB")
    table.add_section()
    line("ready after", lambda row: f"{row.median:.1f}")
    line("  Python's start, the group", lambda row: _median(row, lambda run: run.start))
    for stage, name in _STAGES.items():
        line(f"  {name}", lambda row, stage=stage: _median(row, lambda run: run.stages[stage]))
    line("processor time until then", lambda row: _median(row, lambda run: run.processor))
    line("memory, MiB", lambda row: f"{median(run.memory for run in row.runs):,.0f}")
    table.add_section()
    line("without a checkpoint", lambda row: f"{row.without.ready:.1f}" if row.without else "–")
    Terminal().print(table)


def _median(row: "Row", of: "Callable[[Recovery], float]") -> str:
    return f"{median(of(run) for run in row.runs):.1f}"
