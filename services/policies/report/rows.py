"""Which figures are shown, in which order: the same rows on the screen and on the page."""

from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

from schemas.currencies import format_whole
from services.policies.comparison import Comparison
from services.policies.measures import BY_NAME, BY_SIZE, GROUPS, SIZES
from services.policies.report.figures import shown
from services.words.classes import CLASSES, class_name

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Fully funded, % of the cases opened", ("funded",)),
    ("Wholly delivered, % of the cases opened", ("whole",)),
    ("Time to full funding, estimated: half of all / nine in ten", ("funding_days_median", "funding_days_p90")),
    ("Waiting for the first money, estimated: half / nine in ten", ("waiting_days_median", "waiting_days_p90")),
    ("Funded before the deadline, % of those come due", ("in_time",)),
    ("Promised / delivered, % of what is asked", ("promised", "delivered")),
    ("Fill: the least / the least-filled tenth, %", ("least_fill", "least_tenth_fill")),
    ("Gini of fill (0: all alike)", ("gini",)),
    ("Promises that fell through, {currency}", ("lost",)),
    ("Deaths before full funding / all deaths", ("deaths_unfunded", "deaths")),
)
"""By class."""
MONEY = (
    "pledged", "paid", "idle_days", "idle", "idle_here", "idle_elsewhere", "in_hand", "failed", "withdrawn", "expired",
    "unplaced", "refunded", "refused",
)  # fmt: skip
"""Of all."""


class Row(NamedTuple):
    """One line: its group, how many cases that has (if it is a class), a text for each policy, and which policies are best."""

    label: str
    note: str
    cells: list[str]
    best: set[int]


def classes_of(comparison: Comparison) -> list[str]:
    """The groups that have a case under any policy."""
    return [group for group in GROUPS if any(comparison.figures("opened", group)) or group == "all"]


def sections(comparison: Comparison) -> Iterator[tuple[str, list[Row]]]:
    """Headings with their rows, one for each class."""
    for title, names in SECTIONS:
        rows = [_row(comparison, label_of(group), names, group) for group in classes_of(comparison)]
        if any(cell.strip("– /") for one in rows for cell in one.cells):
            yield title.format(currency=comparison.currency), rows
        if names[0] in BY_SIZE:
            yield _by_size(comparison, names[0])


def _by_size(comparison: Comparison, name: str) -> tuple[str, list[Row]]:
    low, high = (format_whole(limit, comparison.currency) for limit in comparison.size_limits)
    rows = [_row(comparison, size, (name,), size) for size in SIZES]
    title = f"{BY_NAME[name].title}, %, by claim: small to {low}, large above {high}"
    return title, [one for one in rows if one.note != "0"]


def money_rows(comparison: Comparison) -> list[Row]:
    """The rows of all; those that are nothing under every policy are left out."""
    rows = []
    for name in MONEY:
        if any(comparison.figures(name)) or name in ("pledged", "idle_days"):
            unit = {"money": f", {comparison.currency}", "money-days": f", {comparison.currency} × days"}
            label = BY_NAME[name].title + unit.get(BY_NAME[name].unit, "")
            rows.append(_row(comparison, label, (name,), "all"))
    return rows


def _row(comparison: Comparison, label: str, names: tuple[str, ...], group: str) -> Row:
    told = zip(*(comparison.figures(name, group) for name in names), strict=True)
    cells = [" / ".join(map(shown, names, figures, repeat(comparison.currency))) for figures in told]
    count = max(number or 0 for number in comparison.figures("opened", group))
    note = f"{count:,}" if label in (group, label_of(group)) else ""
    return Row(label, note, cells, comparison.best(names[0], group))


def label_of(group: str) -> str:
    """A class by its name, or `all`."""
    return class_name(group) if group in CLASSES else group
