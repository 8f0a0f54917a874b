"""Figures in words, short enough for a column: parts in percent, times in the unit that suits them, money without its currency."""

from schemas.currencies import format_whole
from schemas.times import DAY, HOUR
from services.policies.measures import BY_NAME, Figure

NONE = "–"
_GLUE = "\u00a0"
"""Between a number and its unit: no line breaks there."""
_HOURS = DAY / HOUR
_MINUTES = _HOURS * 60


def shown(name: str, figure: Figure, currency: str) -> str:
    """A measure's figure, without its unit where the unit is the row's."""
    if figure is None:
        return NONE
    unit = BY_NAME[name].unit
    if unit == "part":
        return f"{100 * figure:.1f}"
    if unit == "days":
        return duration(figure)
    if unit in ("money", "money-days"):
        return format_whole(figure, currency)
    return f"{figure:.3f}" if unit == "index" else f"{figure:,}"


def duration(days: float) -> str:
    """A span of time with its unit.

    >>> [duration(days).replace(_GLUE, " ") for days in (0.01, 0.5, 3.25, 40.2, 0)]
    ['14 min', '12.0 h', '3.2 d', '40 d', '0 min']
    """
    if days * _MINUTES < 59.5:
        return f"{days * _MINUTES:.0f}{_GLUE}min"
    if days * _HOURS < 23.95:
        return f"{days * _HOURS:.1f}{_GLUE}h"
    return f"{days:.1f}{_GLUE}d" if days < 9.95 else f"{days:.0f}{_GLUE}d"


def best(name: str, figures: list[Figure], currency: str) -> set[int]:
    """Which policies are best by a measure: none where it has no better way, or all are alike as they are shown."""
    better, texts = BY_NAME[name].better, [shown(name, figure, currency) for figure in figures]
    there = [figure for figure in figures if figure is not None]
    if better is None or not there or len(set(texts)) == 1:
        return set()
    top = shown(name, max(there) if better == "more" else min(there), currency)
    return {number for number, text in enumerate(texts) if text == top}
