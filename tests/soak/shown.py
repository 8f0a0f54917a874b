"""How a soak looks: a line that lives on a terminal, a line every so often in a log; a table at the end."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self, TextIO

from rich import box
from rich.live import Live
from rich.table import Table
from rich.text import Text

from services.system.progress import BrokerProgress
from services.terminal import Terminal
from services.visible import json_line
from tests.soak.figures import Result

LOG_EVERY_S = 15.0
_FINDINGS_SHOWN = 12


class Screen:
    """Shows phases and beats on a stream; use as a context manager around the soak."""

    def __init__(self, stream: TextIO) -> None:
        self.console = Terminal(file=stream)
        self.watcher = BrokerProgress(quiet=True)
        self._live = Live(Text(), console=self.console, transient=True, auto_refresh=False) if stream.isatty() else None
        self._logged = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def phase(self, text: str) -> None:
        self.console.print(text)

    def beat(self, **figures: Any) -> None:
        line = in_a_line(figures)
        if self._live:
            self._live.update(Text(line, overflow="ellipsis", no_wrap=True), refresh=True)
        elif time.monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = time.monotonic()
            self.console.print(line, soft_wrap=True)


def in_a_line(f: dict[str, Any]) -> str:
    """How things stand, in under 80 columns as a rule."""
    minutes, seconds = divmod(int(f["elapsed_s"]), 60)
    late = f" · sent {f['late_s']:.0f} s late" if f["late_s"] > 2 else ""
    still = f" · still for {f['standing_s']:.0f} s" if f["standing_s"] > 1 else ""
    return (
        f"{minutes:3d}:{seconds:02d} · {f['pledges']:,} pledges · {f['entries']:,} entries · lag {f['lag']:,} · "
        f"{f['notices']:,} notices · {f['faults']} faults{still}{late}"
    )


def show(result: Result, console: Terminal, as_json: bool) -> None:
    """The end: figures, findings, and how to do it again."""
    if as_json:
        print(json_line(result.as_json()))
        return
    out = Terminal(file=sys.stdout)
    if result.faults:
        out.print(_faults(result))
    for line in sentences(result):
        out.print(line, soft_wrap=True)
    for finding in result.findings[:_FINDINGS_SHOWN]:
        out.print(Text(str(finding), "red"), soft_wrap=True)
    if not result.ok:
        out.print(f"\n{sum(result.finding_counts.values()):,} findings: "
                  + ", ".join(f"{count} {code}" for code, count in sorted(result.finding_counts.items())), soft_wrap=True)  # fmt: skip
    if result.evidence:
        out.print(
            f"Everything is kept in {result.evidence}; `./run soak --check {result.evidence}` checks it again.",
            soft_wrap=True,
        )
    if result.faults:
        out.print(f"Again: {result.wanted.command}", soft_wrap=True)
    if result.ok:
        out.print("Nothing was found.", style="green")


def _faults(result: Result) -> Table:
    """Of the longest stall in which each such fault was at work the median and the most; `alone`: in which only such faults were."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("fault", no_wrap=True)
    for name in ("done", "planned", "stall p50", "max", "alone"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result.rows():
        table.add_row(
            row.kind, str(row.struck), str(row.planned), *map(_seconds, (row.typical, row.longest, row.alone))
        )
    return table


def _seconds(stall: float | None) -> str:
    return "–" if stall is None else f"{stall:.1f} s"


def sentences(result: Result) -> list[str]:
    """The figures in words."""
    c, told = result.checked, []
    if result.faults:
        told.append(
            f"{result.load_seconds / 60:.1f} minutes of load; {sum(result.submitted.values()):,} submissions acknowledged, "
            f"{result.submitted['pumasi.pledge.made']:,} of them pledges; {len(result.struck)} faults, {result.kills} of them kills."
        )
    told.append(
        f"{c['commands']:,} commands ({c['unreadable']:,} of them poison, {c['commands sent twice']:,} sent more than once), "
        f"{c['entries']:,} entries; {c['pledges']:,} pledges accepted; {c['tellings']:,} things to tell, {c['notices']:,} notices, "
        f"{c['told again']:,} of them told again; {c['dead letters']:,} dead letters."
    )
    if result.longest:
        place = result.place_of(result.longest)
        when = f"{place['from_s']:.0f} to {place['to_s']:.0f} s"
        told.append(f"Longest stall: {result.longest.seconds:.1f} s, of partition {place['partition']} ({when}).")
    if result.faults:
        told.append(
            f"Services ended {sum(result.ends.values())} times, the broker {result.broker_ends} times; partitions were recovered "
            f"{result.recoveries} times. {result.seconds / 60:.1f} minutes in all."
        )
    told += [f"Left out: {kind}: {why}." for kind, why in result.skipped.items()]
    return told
