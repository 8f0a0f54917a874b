"""`./run bench --growth` and `--auditing`, measured and shown."""

import asyncio
import json
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.shown.parts import plain_table, show

if TYPE_CHECKING:
    from tests.bench.growth import Row

FLAT = 1.5
"""What is aimed at: a command costs at most so much more than over the fewest."""
AUDITED = 50_000
"""What is aimed at: entries a second."""


def bench_growth(live: Sequence[int], past: int, seed: int, *, broker: bool, as_json: bool) -> None:
    """Measure and show; raises what makes a figure worthless."""
    from tests.bench.growth import in_service, measure, sizes_of
    from tests.bench.machine import this_machine
    from tests.bench.screen import BenchScreen, described

    machine = this_machine()
    with BenchScreen() as screen:
        if broker:
            rates = asyncio.run(in_service([min(live), max(live)], seed, screen))
        else:
            rows = measure(sizes_of(live, past), seed, screen)
    told = {"machine": machine.as_json(), "seed": seed}
    if as_json and broker:
        print(json.dumps({**told, "in_service": {str(size): round(rate) for size, rate in rates.items()}}))
    elif as_json:
        print(json.dumps({**told, "growth": [row.as_json(rows[0]) for row in rows]}))
    elif broker:
        table = plain_table(
            "Mixed commands a second, on a real broker", ("live entities, about", "commands/s", "of the first")
        )
        for size, rate in rates.items():
            table.add_row(f"{size:,}", f"{rate:,.0f}", f"{rate / rates[min(live)]:.2f} ×")
        show(table)
        print(described(machine))
    else:
        _print_growth(rows)
        print(described(machine))


def _print_growth(rows: "Sequence[Row]") -> None:
    from tests.bench.growth import PLAN, bytes_of_past

    columns = (
        "live entities",
        "µs",
        "of the first",
        "B/entry",
        "longest",
        "MiB",
        "B/live one",
        "restored in",
        "checkpoint",
    )
    table = plain_table("Processor time of a mixed command, by cases and pledges alive", columns)
    for row in rows:
        each, grown = row.bytes_alive, row.grown
        table.add_row(
            row.size.title, f"{median(row.microseconds):.1f}", f"{row.ratio(rows[0]):.2f} ×", f"{row.bytes_an_entry:,.0f}",
            f"{row.longest_ms:.1f} ms", f"{row.mib:,.0f}", "–" if each is None else f"{each:,.0f}",
            f"{grown.restored_seconds:.2f} s", f"{grown.checkpoint_mb:,.1f} MB",
        )  # fmt: skip
    notes = [
        f"Medians of {PLAN.turns} turns of {PLAN.turn:,}; aimed at: {FLAT} ×. Longest: one command, where all is done first."
    ]
    if (kept := bytes_of_past(rows)) is not None:
        notes.append(f"An entry of what has ended keeps {kept:,.0f} bytes of memory.")
    show(table, *notes)


def bench_auditing(entries: int, runs: int, seed: int, *, as_json: bool) -> None:
    """Measure and show; raises what makes a figure worthless."""
    from tests.bench.auditing import PARTITIONS, auditing
    from tests.bench.machine import this_machine
    from tests.bench.screen import BenchScreen, described

    machine = this_machine()
    with BenchScreen() as screen:
        found = asyncio.run(auditing(entries, runs, seed, screen))
    if as_json:
        print(json.dumps({"machine": machine.as_json(), "seed": seed, "auditing": found.as_json()}))
        return
    rate = found.rate
    title = f"`pumasi audit` of {found.entries:,} entries on {PARTITIONS} partitions, medians of {runs}; aimed at: {AUDITED:,}"
    table = plain_table(title, ("", "entries/s", "min–max", "µs/entry, all processes"))
    table.add_row(
        "as a whole", f"{rate.median:,.0f}", f"{rate.low:,.0f}–{rate.high:,.0f}", f"{found.microseconds.median:.1f}"
    )
    show(table)
    print(described(machine))
