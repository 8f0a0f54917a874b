"""What was measured as a drawing: `FILE.svg`, `FILE.png`, or `FILE.html`, a page by itself with drawing and machine.

Pumasi has the one strong colour; peers are grey where they promise as much, lighter where they promise less. Bars begin at zero.
"""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.errors import FileUnwritable, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = (".svg", ".png", ".html")
_OURS, _PEER, _LESS, _INK = "#b5402a", "#8c98a4", "#cfd6dc", "#22262a"
_LINES = ("#4c6a88", "#7a9a3c", "#8a6bb0", "#c08a2b")
_BAR_IN, _WIDTH_IN = 0.42, 8.6
_WHOLE_MS = 10

Document = Mapping[str, Any]


def draw(document: Document, file: Path) -> None:
    """Draw the JSON document of a throughput or a latency run.

    Raises:
        UsageError: for a kind of file that isn't drawn.
        FileUnwritable: if it can't be written.
    """
    check_kind(file)
    figure = (_throughput if "peers" in document else _latency)(document)
    try:
        if file.suffix == ".html":
            file.write_text(_page(document, _svg(figure)))
        else:
            figure.savefig(file, dpi=150)
    except OSError as error:
        raise FileUnwritable(
            f"--plot: {file} can't be written ({error.strerror})", hint="Name another file."
        ) from error


def check_kind(file: Path) -> None:
    """Raise UsageError for a kind of file that isn't drawn."""
    if file.suffix not in KINDS:
        raise UsageError(f"--plot: {file.name} is none of {', '.join(KINDS)}", hint="For example --plot bench.html")


def _throughput(document: Document) -> Figure:
    peers = [peer for peer in document["peers"].values() if "commands_per_second" in peer]
    ours = peers[0]
    peers.sort(key=lambda peer: peer["commands_per_second"]["median"])

    def drawn(axes: Axes) -> None:
        for place, peer in enumerate(peers):
            rate = peer["commands_per_second"]
            same = peer["guarantee"] == ours["guarantee"]
            axes.barh(place, rate["median"], color=_OURS if peer is ours else _PEER if same else _LESS, height=0.62)
            axes.plot([rate["min"], rate["max"]], [place, place], color=_INK, linewidth=1.2)
            axes.annotate(
                f"{rate['median']:,.0f}", (max(rate["max"], rate["median"]), place), xytext=(6, 0),
                textcoords="offset points", va="center", color=_INK, fontsize=9,
            )  # fmt: skip
        axes.set_yticks(range(len(peers)), [f"{peer['title']}\n{peer['does']}, {peer['guarantee']}" for peer in peers])
        for label, peer in zip(axes.get_yticklabels(), peers, strict=True):
            label.set_fontsize(8.5)
            label.set_fontweight("bold" if peer is ours else "normal")
        axes.set_xlim(0, 1.15 * max(peer["commands_per_second"]["max"] for peer in peers))
        axes.xaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
        axes.grid(axis="x", color="#e3e6e9", linewidth=0.8)

    rounds = document["rounds"]
    of = f"bar: median of {rounds} rounds, line: least to most" if rounds > 1 else "one round"
    title = f"Commands a second, {document['load']}, one partition ({of})"
    return _figure(title, _WIDTH_IN, 1.4 + _BAR_IN * 1.25 * len(peers), 1, lambda _place, axes: drawn(axes))


def _latency(document: Document) -> Figure:
    found = document["latency"]
    rates = sorted({row["rate"] for each in found.values() for row in each["rows"]})

    def drawn(place: int, axes: Axes) -> None:
        colours = iter(_LINES)
        for name, each in found.items():
            rows = [row["ms"] for row in each["rows"] if row["rate"] == rates[place]]
            colour = {"matcher": _OURS, "floor": _LESS}.get(name) or next(colours)
            if rows:
                values = [sorted(row[q] for row in rows)[len(rows) // 2] for q in rows[0]]
                wide = 2.4 if name == "matcher" else 1.6
                axes.plot(
                    range(len(values)),
                    values,
                    color=colour,
                    marker="o",
                    markersize=4,
                    linewidth=wide,
                    label=each["title"],
                )
                axes.set_xticks(range(len(values)), list(rows[0]))
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda ms, _place: f"{ms:g}" if ms < _WHOLE_MS else f"{ms:,.0f}")
        axes.set_title(f"{rates[place]:,.0f} pledges/s", fontsize=10, color=_INK)
        axes.grid(axis="y", color="#e3e6e9", linewidth=0.8)
        if not place:
            axes.set_ylabel("milliseconds until readable")

    title = f"From when a pledge was due to when its answer is readable, {document['cases']:,} open cases"
    figure = _figure(title, _WIDTH_IN + 1.4, 4.4, len(rates), drawn)
    lines, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    return figure


def _figure(title: str, width: float, height: float, panels: int, drawn: Callable[[int, Axes], None]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=11, x=0.01, ha="left", color=_INK)
    many = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for place, axes in enumerate(many):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_INK, labelsize=8.5)
        drawn(place, axes)
    return figure


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _page(document: Document, svg: str) -> str:
    machine = document["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    on = f"{machine['cores']} cores ({machine['processor']}, {machine['memory_gib']} GiB), shared with the broker. {versions}."
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Pumasi: bench</title>"
        '<meta name=viewport content="width=device-width"><style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;'
        "max-width:62rem;padding:0 1rem;color:#22262a;background:#fff}svg{max-width:100%;height:auto}</style>"
        f"<h1>Pumasi: bench</h1>{svg}<p>{html.escape(on)}</p></html>\n"
    )
