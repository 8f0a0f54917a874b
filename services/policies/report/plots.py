"""Plots as SVG that lives inside a page: its colours are the page's, so one drawing serves a light and a dark scheme.

Matplotlib draws with stand-in colours; each is then replaced by a CSS variable (`--ink`, `--policy-1`, …). Text stays text, in
the page's own font. Every id gets the plot's name before it, since a page holds many drawings and an id only once. Lines differ
in their dashes too, for people who can't tell the colours apart. The same figures give the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.currencies import format_whole
from services.policies.comparison import Comparison
from services.policies.inequality import lorenz
from services.policies.measures import GROUPS
from services.policies.report.figures import shown
from services.policies.report.rows import label_of
from services.policies.report.spread import title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import RcKeyType

    from services.policies.spread import Spread

Points = Sequence[tuple[float, float]]
SIZE_IN = (4.3, 2.9)
DASHES = ("", "7 3", "2 2", "9 3 2 3", "12 3", "4 2 1 2", "1 3", "14 3 3 3")
"""SVG dash patterns of the policies, in turn: here and in the page's legend."""
COLOURS = 8
_INK, _FAINT = "#010101", "#020202"
_POLICY = "#0a00{:02x}"
_BINS = (0.0, 0.25, 0.5, 0.75, 1.0)
_PER_CENT = [f"{100 * edge:.0f} %" for edge in _BINS]


class Plot(NamedTuple):
    """A drawing: its name in the page, what it shows, and the SVG."""

    name: str
    title: str
    svg: str


def funded_over_time(comparison: Comparison, groups: Sequence[str]) -> list[Plot]:
    """Of all that was asked so far, the part promised; one plot a class."""

    def frame(axes: Axes) -> None:
        _axes(axes, "days since the start", (0, comparison.days), part=True)

    return [
        _plot(f"funded-{group}", _named(group), [(drawn["funded"][group], False) for drawn in comparison.curves], frame)
        for group in groups
    ]


def time_to_funding(comparison: Comparison, groups: Sequence[str]) -> list[Plot]:
    """The part of the cases funded within so many days of their opening, as far as one was seen; one plot a class."""
    told = [drawn["time_to_funding"] for drawn in comparison.curves]
    longest = max([1.0, *(of[group][-1][0] for of in told for group in groups if of[group])])

    def frame(axes: Axes) -> None:
        _axes(axes, "days since the case opened", (0, longest), part=True)

    return [
        _plot(f"time-{group}", _named(group), [([(0.0, 0.0), *of[group]], True) for of in told], frame)
        for group in groups
    ]


def lorenz_curves(comparison: Comparison) -> Plot:
    """Lorenz's curve of fill."""

    def frame(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.9, dashes=(1, 2))  # all alike
        _axes(axes, "part of the cases, least filled first", (0, 1), part=True, percent=True)
        axes.set_ylabel("part of all fill")

    lines = [(lorenz(value for _, value in drawn["fill"]["all"]), False) for drawn in comparison.curves]
    return _plot("lorenz", "Lorenz curve of fill", lines, frame)


def fill_bars(comparison: Comparison) -> Plot:
    """How many cases are filled how far: bars, side by side."""
    labels = ("none", "to 25 %", "to 50 %", "to 75 %", "< 100 %", "all")

    def frame(axes: Axes) -> None:
        width = 0.8 / len(comparison.curves)
        for number, drawn in enumerate(comparison.curves):
            values = [value for _, value in drawn["fill"]["all"]]
            counts = _counts(values)
            places = [place - 0.4 + width * (number + 0.5) for place in range(len(labels))]
            axes.bar(places, counts, width * 0.9, color=_POLICY.format(number % COLOURS + 1))
        axes.set_xticks(range(len(labels)), labels)
        axes.set_ylabel("cases")
        _bare(axes)

    return _plot("fill", "Cases by fill", [], frame)


def money_over_time(comparison: Comparison, kind: str, title: str) -> Plot:
    """Money idle, or in hand, over time."""

    def frame(axes: Axes) -> None:
        _axes(axes, "days since the start", (0, comparison.days))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda amount, _place: format_whole(amount, comparison.currency))
        axes.set_ylabel(comparison.currency)

    return _plot(kind, title, [(drawn["money"][kind], False) for drawn in comparison.curves], frame)


def strip(told: Spread, name: str) -> Plot:
    """A measure of each seed as a dot, a policy a row: how far the draw alone moves it."""

    def frame(axes: Axes) -> None:
        for number, over in enumerate(told.over[name]):
            there = [figure for figure in over.figures if figure is not None]
            axes.scatter(there, [number] * len(there), s=22, color=_POLICY.format(number % COLOURS + 1))
        axes.set_yticks(range(len(told.policies)), told.letters)
        axes.set_ylim(len(told.policies) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(lambda figure, _place: shown(name, figure, told.currency))
        _bare(axes)

    return _plot(f"strip-{name}", title_of(told, name), [], frame)


def _counts(values: Sequence[float]) -> list[int]:
    none, whole = sum(value == 0 for value in values), sum(value >= 1 for value in values)
    between = [sum(low < value <= high and value < 1 for value in values) for low, high in pairwise(_BINS)]
    return [none, *between, whole]


def _named(group: str) -> str:
    return "all classes" if group == GROUPS[-1] else label_of(group)


# ---- drawing


def _axes(axes: Axes, x: str, limits: tuple[float, float], part: bool = False, percent: bool = False) -> None:
    axes.set_xlim(*limits)
    axes.set_xlabel(x)
    if part:
        axes.set_ylim(0, 1.02)
        axes.set_yticks(_BINS, _PER_CENT)
    if percent:
        axes.set_xticks(_BINS, _PER_CENT)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=_FAINT, linewidth=0.5)
    axes.set_axisbelow(True)


def _plot(name: str, title: str, lines: Sequence[tuple[Points, bool]], frame: Callable[[Axes], None]) -> Plot:
    """Draw lines (points, and whether they are steps) in a frame."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_style(name)):
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        axes = figure.add_subplot()
        for number, (points, steps) in enumerate(lines):
            x, y = [point[0] for point in points], [point[1] for point in points]
            dashes = [float(part) for part in DASHES[number % len(DASHES)].split()]
            line = axes.plot(
                x, y, color=_POLICY.format(number % COLOURS + 1), drawstyle="steps-post" if steps else None
            )[0]
            if dashes:
                line.set_dashes([part / line.get_linewidth() for part in dashes])
        frame(axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Plot(name, title, _for_page(written.getvalue(), name))


def _style(name: str) -> dict[RcKeyType, Any]:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 9,
        "lines.linewidth": 1.8,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "axes.linewidth": 0.7,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "path.simplify_threshold": 0.2,
    }


def _for_page(svg: str, name: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true" focusable="false">', svg, count=1
    )
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    svg = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = svg.replace(_INK, "var(--ink)").replace(_FAINT, "var(--line)")
    return re.sub(r"#0a00(\d\d)", lambda found: f"var(--policy-{int(found[1], 16)})", svg)
