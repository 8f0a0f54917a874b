"""`./run bench`: the matcher beside its peers, measured and shown."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from services.errors import UsageError

if TYPE_CHECKING:
    from tests.bench.load import Load
    from tests.bench.peers import Peer
    from tests.bench.season import Season
    from tests.bench.stats import Spread
    from tests.bench.throughput import Found, Throughput

_THROUGH = 0.999


def bench_throughput(
    *,
    cases: int,
    count: int,
    loads: Sequence[str],
    rounds: int,
    seed: int,
    names: Sequence[str] | None,
    audited: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure and show; raises what makes the matcher's figure worthless."""
    from tests.bench.machine import this_machine
    from tests.bench.screen import BenchScreen, described
    from tests.bench.throughput import throughput

    peers, measured = peers_of(names), [load_of(name, cases, count, seed) for name in loads]
    if plot:
        from tests.bench.plot import check_kind

        check_kind(plot)  # before it takes minutes
    machine = this_machine()
    results = []
    for load in measured:
        with BenchScreen() as screen:
            results.append(asyncio.run(throughput(load, peers, rounds, audited, screen)))
        if not as_json:
            _print(results[-1])
    machine.versions.update(_foreign(names))
    document = {
        "machine": machine.as_json(),
        "loads": {name: one.as_json() for name, one in zip(loads, results, strict=True)},
    }
    if plot:
        from tests.bench.plot import draw

        draw({**document, **results[0].as_json()}, plot)
    if as_json:
        print(json.dumps(document))
    else:
        print(described(machine))


def load_of(name: str, cases: int, count: int, seed: int) -> "Load | Season":
    """What `--load` names. Raises UsageError if it names none."""
    from tests.bench.load import Load
    from tests.bench.season import MIXTURES, Season

    if name == "pledges":
        return Load(cases, count, seed)
    if name in MIXTURES:
        return Season(min(cases, 1_000), count * 2 // 5, name, seed)
    raise UsageError(f"--load: {name} is none", hint=f"There are pledges, {', '.join(MIXTURES)}.")


def _foreign(names: Sequence[str] | None) -> dict[str, str]:
    """Versions of the libraries that aren't Pumasi's, if they took part."""
    from tests.bench.peers import environment

    given = {"quix": "quixstreams", "faust": "faust-streaming"}
    asked = [library for name, library in given.items() if names is None or name in names]
    return environment.versions(environment.PYTHON, *asked) if asked and environment.is_ready() else {}


def peers_of(names: Sequence[str] | None) -> "list[Peer]":
    """Peers by name, the matcher first; all for None. Raises UsageError."""
    from tests.bench.peers import PEERS, chosen

    try:
        return chosen(list(PEERS) if names is None else names)
    except KeyError as error:
        raise UsageError(
            f"--peers: {error.args[0]} is none", hint=f"There are {', '.join(PEERS)}. The matcher always takes part."
        ) from None


def _print(result: "Throughput") -> None:
    from rich import box
    from rich.table import Table

    from tests.bench.screen import wide_console

    load = result.load
    table = Table(
        title=f"Commands a second; {load.title}, one partition, medians of {result.rounds}",
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for name in ("commands/s", "min–max", "matcher is", "min–max"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("does", "guarantee"):
        table.add_column(name, no_wrap=True)
    for found in result.found:
        table.add_row(*_row(result, found), style="bold" if found is result.matcher else None)
    console = wide_console()
    console.print()
    console.print(table)
    for found in result.found:
        for note in _notes(found):
            console.print(note, highlight=False)
    console.print(
        "Measured over the last 60 % of the commands; of a peer that was cut short, over what came after a third of its time. Every\n"
        "output was read back and verified. “matcher is”: its rate as a multiple of the peer's, pair by pair within a round.",
        highlight=False,
    )


def _row(result: "Throughput", found: "Found") -> list[str]:
    peer, shown = found.peer, [found.peer.title]
    if found.spread is None:
        return [*shown, "–", "", "", "", peer.does, peer.guarantee]
    shown += [f"{found.spread.median:,.0f}", _between(found.spread, ",.0f")]
    ratio = None if found is result.matcher else result.ratio(found)
    shown += [f"{ratio.median:.2f} ×", _between(ratio, ".2f")] if ratio else ["", ""]
    return [*shown, peer.does, peer.guarantee]


def _between(spread: "Spread", form: str) -> str:
    return f"{spread.low:{form}}–{spread.high:{form}}"


def _notes(found: "Found") -> list[str]:
    notes = []
    if found.failed:
        notes.append(f"{found.peer.title}: {found.failed}")
    elif found.part < _THROUGH:
        notes.append(f"{found.peer.title} was cut short when it had copied {found.part:.1%} of the records.")
    if found.awards is not None:
        notes.append(f"{found.peer.title}: {found.awards:.1f} awards a command.")
    return notes
