"""`./run bench --memory`, `--parts` and `--scaling`, measured and shown."""

import asyncio
import json
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from tests.bench.memory import Memory
    from tests.bench.scaling import Row

MEMORY_MIB_MAX = 400
"""What is aimed at: a matcher with 100,000 live cases."""


def bench_memory(*, cases: int, pledges: int, more: int, seed: int, as_json: bool) -> None:
    """Measure and show; raises what makes the figure worthless."""
    from tests.bench.load import Load
    from tests.bench.machine import this_machine
    from tests.bench.memory import memory
    from tests.bench.screen import BenchScreen, described

    machine = this_machine()
    with BenchScreen() as screen:
        found = asyncio.run(memory(Load(cases, pledges, seed), more, screen))
    if as_json:
        print(json.dumps({"machine": machine.as_json(), "seed": seed, "memory": found.as_json()}))
        return
    _print_memory(found)
    print(described(machine))


def _print_memory(found: "Memory") -> None:
    title = f"MiB of a matcher with {found.cases:,} live cases and {found.pledges:,} pledges"
    table = plain_table(title, ("", "RSS", "PSS", "peak RSS"))
    for name, at in (
        ("having answered them all", found.first),
        ("recovered from a checkpoint", found.recovered),
        (f"and {found.more:,} more pledges answered", found.answered),
    ):
        table.add_row(name, *("–" if value is None else f"{value:,.0f}" for value in (at.rss, at.pss, at.peak)))
    show(table)


def bench_parts(*, loads: Sequence[str], cases: int, count: int, seed: int, as_json: bool) -> None:
    """Measure and show; raises UsageError where nothing is compiled."""
    from services.settings import Settings
    from tests.bench.machine import this_machine
    from tests.bench.parts import parts
    from tests.bench.screen import BenchScreen, described
    from tests.bench.shown.throughput import load_of

    machine, interval = this_machine(), Settings.model_fields["checkpoint_entries"].default
    found: dict[str, dict[str, float]] = {}
    with BenchScreen() as screen:
        for name in loads:
            screen.doing(f"{name}, part by part, without a broker")
            found[name] = parts(load_of(name, cases, count, seed), interval)
    if as_json:
        told = {load: {name: round(value, 3) for name, value in one.items()} for load, one in found.items()}
        print(json.dumps({"machine": machine.as_json(), "seed": seed, "microseconds": told}))
        return
    table = plain_table(f"µs of processor time a command, a checkpoint every {interval:,}", ("", *loads))
    for name in next(iter(found.values())):
        table.add_row(name, *(f"{one[name]:.2f}" for one in found.values()))
    table.add_row("all", *(f"{sum(one.values()):.2f}" for one in found.values()))
    show(table)
    print("What client, sockets, loop and waiting for Kafka take comes on top.")
    print(described(machine))


def bench_scaling(*, cases: int, pledges: int, rounds: int, seed: int, as_json: bool) -> None:
    """Measure and show; raises what makes a figure worthless."""
    from tests.bench.load import Load
    from tests.bench.machine import this_machine
    from tests.bench.scaling import PLANS, scaling
    from tests.bench.screen import BenchScreen, described

    machine = this_machine()
    with BenchScreen() as screen:
        rows = asyncio.run(scaling(Load(cases, pledges, seed), PLANS, rounds, screen))
    if as_json:
        told = {"cases": cases, "pledges": pledges, "rounds": rounds, "rows": [row.as_json() for row in rows]}
        print(json.dumps({"machine": machine.as_json(), "seed": seed, "scaling": told}))
        return
    _print_scaling(rows, cases, pledges, rounds)
    print(described(machine))


def _print_scaling(rows: "Sequence[Row]", cases: int, pledges: int, rounds: int) -> None:
    title = (
        f"Pledges a second in all; {pledges:,} pledges over {cases:,} open cases in each partition (of twelve, a third), medians "
        f"of {rounds}"
    )
    columns = (
        "partitions",
        "processes",
        "killed",
        "stall",
        "pledges/s",
        "min–max",
        "of one",
        "µs/command",
        "of one process",
    )
    table = plain_table(title, columns)
    one = median(rows[0].rates)
    costs = {row.plan.partitions: median(row.costs) for row in rows if row.plan.processes == 1}
    for row in rows:
        rate = median(row.rates)
        between = f"{min(row.rates):,.0f}–{max(row.rates):,.0f}"
        cost, alone = median(row.costs), costs.get(row.plan.partitions)
        killed = (str(row.plan.killed), f"{max(row.stalls):.1f} s") if row.plan.killed else ("–", "–")
        table.add_row(
            str(row.plan.partitions), str(row.plan.processes), *killed, f"{rate:,.0f}", between, f"{rate / one:.2f} ×",
            f"{cost:,.1f}", f"{cost / alone:.2f} ×" if alone else "–",
        )  # fmt: skip
    show(table)


def plain_table(title: str, columns: Sequence[str]) -> "Table":
    """A table as the bench shows them: the first column is names, the others are figures."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=number > 0)
    return table


def show(*what: Any) -> None:
    """On standard output, after an empty line."""
    from tests.bench.screen import wide_console

    console = wide_console()
    console.print()
    for each in what:
        console.print(each)


def bench_intake(*, events: int, seed: int, as_json: bool) -> None:
    """Measure and show; raises what makes a figure worthless."""
    from tests.bench.intake import BATCH, CONNECTIONS, intake
    from tests.bench.machine import this_machine
    from tests.bench.screen import BenchScreen, described

    machine = this_machine()
    with BenchScreen() as screen:
        found = asyncio.run(intake(events, seed, screen))
    if as_json:
        print(json.dumps({"machine": machine.as_json(), "seed": seed, "intake": found.as_json()}))
        return
    table = plain_table(
        "Events a second that one intake process takes in, each acknowledged by Kafka", ("", "events/s")
    )
    table.add_row(f"HTTP, one a request, {CONNECTIONS} connections", f"{found.single:,.0f}")
    table.add_row(f"HTTP, {BATCH} a request, {CONNECTIONS} connections", f"{found.batch:,.0f}")
    table.add_row("from pumasi.submissions.v1", f"{found.topic:,.0f}")
    show(table)
    print(described(machine))


def bench_notifier(*, cases: int, pledges: int, seed: int, as_json: bool) -> None:
    """Measure and show; raises what makes the figure worthless."""
    from tests.bench.load import Load
    from tests.bench.machine import this_machine
    from tests.bench.notifier import notifier
    from tests.bench.screen import BenchScreen, described

    machine = this_machine()
    with BenchScreen() as screen:
        found = asyncio.run(notifier(Load(cases, pledges, seed), screen))
    if as_json:
        print(json.dumps({"machine": machine.as_json(), "seed": seed, "notifier": found.as_json()}))
        return
    title = f"A second, one notifier without a webhook; {found.entries:,} entries, {found.notices:,} notices"
    table = plain_table(title, ("", "a second"))
    table.add_row("notices recorded", f"{found.rate:,.0f}")
    table.add_row("entries of the ledger digested", f"{found.entries_rate:,.0f}")
    show(table)
    print(described(machine))
