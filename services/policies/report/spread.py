"""Many seeds on a terminal: the median and the range of each measure and policy, and which policy is best in most seeds."""

from rich.console import Console
from rich.text import Text

from services.policies.measures import BY_NAME
from services.policies.report.figures import shown
from services.policies.report.rows import Row
from services.policies.report.terminal import Line, show_judged
from services.policies.spread import Over, Spread


def show(told: Spread, console: Console) -> None:
    """Print it."""
    lines: list[Line] = []
    for row in rows_of(told):
        lines += [Text(row.label), ("  ", row)]
    best = "The median over the seeds, and the least and the most. {mark}: best in more than half of the seeds."
    caveat = "Without a mark no policy is: another draw may turn the difference round."
    show_judged(console, told, [head(told)], "  ", lines, best, [caveat])


def head(told: Spread) -> str:
    """What was run."""
    funds = f"{told.season.funds} funds" if told.season.funds > 1 else "one fund"
    seeds = f"seeds {told.seeds[0]} to {told.seeds[-1]}"
    return f"{len(told.seeds)} generated seasons of {told.season.days} days, {seeds}, {funds}."


def title_of(told: Spread, name: str) -> str:
    """A measure with its unit, where a cell doesn't say it."""
    return BY_NAME[name].title + {"part": ", %", "money": f", {told.currency}"}.get(BY_NAME[name].unit, "")


def rows_of(told: Spread) -> list[Row]:
    """A row a measure: for each policy the median, the least and the most."""
    return [
        Row(title_of(told, name), "", [_cell(name, one, told.currency) for one in overs], told.best(name))
        for name, overs in told.over.items()
    ]


def _cell(name: str, over: Over, currency: str) -> str:
    middle, low, high = (shown(name, figure, currency) for figure in (over.median, over.least, over.most))
    return f"{middle} ({low} to {high})"
