"""The plot of story 3: the same money under two weights, as an SVG file.

Under `equal` every claimant climbs the same steps until its claim is met; under `claim` each holds the same part of its claim. A donor
reads off the lines what the one word in the configuration does.
"""

import io
from collections.abc import Sequence

from schemas.currencies import format_whole
from services.stories.figures import FundFigures


def svg(funds: Sequence[FundFigures]) -> str:
    """One panel a fund: how each case's money grows (up) as money comes in (right), on one scale for all panels."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "routes"}):
        figure = Figure(figsize=(4.5 * len(funds), 3.2), layout="constrained")
        panels = figure.subplots(1, len(funds), sharex=True, sharey=True, squeeze=False)[0]
        for axes, fund in zip(panels, funds, strict=True):
            axes.set_title(fund.name)
            axes.set_xlabel(f"promised in all, {fund.currency}")
            axes.set_ylabel(f"to each case, {fund.currency}")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(lambda amount, _place, of=fund.currency: format_whole(amount, of))
            totals = [0, *(total for total, _ in fund.course)]
            for case in fund.cases:
                axes.plot(totals, [0, *(placed.get(case, 0) for _, placed in fund.course)], label=case, gid=case)
            axes.legend()
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return written.getvalue()
