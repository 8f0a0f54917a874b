"""The plot of story 3: the same money under two weights, as bars for a terminal and as an SVG file.

Under `equal` every claimant climbs the same steps until its claim is met; under `claim` each holds the same part of its claim. A donor
reads off the bars what the one word in the configuration does.
"""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from schemas.currencies import format_money
from services.stories.figures import CaseFigures, FundFigures

BAR = (12, 30)
"""Characters of the longest claim's bar: at least, at most."""
_COLOURS = ("#0b6e4f", "#c84630", "#3d5a98", "#8a6d00")
_W, _H, _MARGIN = 360, 240, 40


def bars(funds: Sequence[FundFigures], width: int = 120) -> list[str]:
    """Lines of text up to `width` characters: each fund's cases on one scale, placed money against the claim."""
    cases = [(fund, case) for fund in funds for case in fund.cases.values()]
    widest = max(case.claim for _, case in cases)
    room = width - 12 - max(len(_told(fund, case) + _own(fund, case)) for fund, case in cases)
    below = "" if room >= BAR[0] else f"\n{'':11}"
    if below:
        room = width - 12 - max(len(_told(fund, case)) for fund, case in cases)
    length = min(BAR[1], max(BAR[0], room))
    lines = []
    for fund in funds:
        lines.append(f"{fund.name}")
        for case in fund.cases.values():
            whole, filled = (round(length * amount / widest) for amount in (case.claim, case.promised))
            drawn = "█" * filled + "░" * (whole - filled)
            own = _own(fund, case)
            own = below + own.removeprefix(", ") if own and below else own
            lines.append(f"  {case.id:<8} {drawn:<{length}} {_told(fund, case)}{own}")
    return [part for line in lines for part in line.split("\n")]


def _told(fund: FundFigures, case: CaseFigures) -> str:
    percent = 100 * case.promised // case.claim if case.claim else 100
    return f"{format_money(case.promised, fund.currency)} of {format_money(case.claim, fund.currency)} ({percent} %)"


def _own(fund: FundFigures, case: CaseFigures) -> str:
    return f", beside {format_money(case.own, fund.currency)} of their own" if case.own else ""


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
