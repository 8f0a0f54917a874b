"""The plot of story 3: the same money under two weights, as an SVG file.

Under `equal` every claimant climbs the same steps until its claim is met; under `claim` each holds the same part of its claim. A donor
reads off the lines what the one word in the configuration does.
"""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from schemas.currencies import format_money
from services.stories.figures import FundFigures

_COLOURS = ("#0b6e4f", "#c84630", "#3d5a98", "#8a6d00")
_W, _H, _MARGIN = 360, 240, 40


def svg(funds: Sequence[FundFigures]) -> str:
    """One panel a fund: how each case's money grows (up) as money comes in (right), on one scale for all panels."""
    most = max(total for fund in funds for total, _ in fund.course)
    highest = max(amount for fund in funds for _, placed in fund.course for amount in placed.values())
    panels = "".join(_panel(fund, number, most, highest) for number, fund in enumerate(funds))
    width = _W * len(funds)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_H + 60}" font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/>{panels}</svg>\n'
    )


def _panel(fund: FundFigures, number: int, most: int, highest: int) -> str:
    left, inner_w, inner_h = number * _W + _MARGIN, _W - 2 * _MARGIN, _H - 2 * _MARGIN

    def point(total: int, placed: int) -> str:
        return f"{left + inner_w * total / most:.1f},{_MARGIN + inner_h * (1 - placed / highest):.1f}"

    parts = [f'<text x="{left}" y="20" font-weight="bold">{escape(fund.name)}</text>']
    parts.append(
        f'<path d="M{left},{_MARGIN} v{inner_h} h{inner_w}" fill="none" stroke="#888"/>'
        f'<text x="{left}" y="{_H - 22}">0</text>'
        f'<text x="{left + inner_w}" y="{_H - 22}" text-anchor="end">{escape(format_money(most, fund.currency))} promised</text>'
        f'<text x="{left + 4}" y="{_MARGIN - 4}">{escape(format_money(highest, fund.currency))}</text>'
    )
    for place, case in enumerate(fund.cases):
        colour = _COLOURS[place % len(_COLOURS)]
        line = " ".join([point(0, 0), *(point(total, placed.get(case, 0)) for total, placed in fund.course)])
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{left}" y="{_H + 14 * place}" fill="{colour}">{escape(case)}</text>')
    return "".join(parts)
