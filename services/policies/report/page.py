"""A comparison as one HTML file: nothing is fetched, no script runs, light and dark as the reader's system is.

The figures are those of the terminal's table and of `--json`; the plots beside them are drawn from the same runs.
"""

import ast
import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from schemas.times import text_of
from services.policies.commandlog import write_whole
from services.policies.comparison import Comparison
from services.policies.measures import BY_NAME
from services.policies.report import plots, spread
from services.policies.report.rows import classes_of, money_rows, sections
from services.policies.report.terminal import head
from services.policies.report.verdict import verdict
from services.policies.runs import SeasonSource
from services.policies.season import parameters
from services.policies.spread import LEADING, Spread
from services.visible import visible

_UNITS = {"part": "part of one, shown in %", "index": "index, 0 to 1", "money-days": "money × days"}
SURE = "Each cell is the median over the seeds, with the least and the most. In a season all policies meet the same people."


def write_page(told: Comparison | Spread, path: Path) -> None:
    """Write the page. Raises what `write_whole` does."""
    write_whole(path, [page(told)])


def page(told: Comparison | Spread) -> str:
    """The page's text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_seen,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = _words
    more = _of_one(told) if isinstance(told, Comparison) else _of_many(told)
    return environment.get_template("page.html").render({**_context(told), **more})


def _words(text: str) -> Markup:
    """A sentence of ours: what stands between backticks in it is code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(visible(text)))))  # noqa: S704  # escaped just before


def _seen(value: Any) -> Any:
    """What the template escapes for HTML, without letters that turn or hide what stands beside them."""
    return visible(value) if type(value) is str else value


def _context(told: Comparison | Spread) -> dict[str, Any]:
    """What both kinds of page have."""
    return {
        "verdict": verdict(told),
        "rules": told.rules,
        "policies": [
            {
                "letter": letter,
                "name": policy.name,
                "number": n % plots.COLOURS + 1,
                "dashes": plots.DASHES[n % len(plots.DASHES)],
            }
            for n, (letter, policy) in enumerate(zip(told.letters, told.policies, strict=True))
        ],
    }


def _of_many(told: Spread) -> dict[str, Any]:
    return {
        "seeds": told.seeds,
        "title": f"{len(told.seeds)} seasons under several policies",
        "lead": [spread.head(told)],
        "command": told.command,
        "recorded": False,
        "caveats": [SURE],
        "rows": spread.rows_of(told),
        "strips": [plots.strip(told, name) for name in told.over],
        "definitions": _definitions(LEADING),
        "parameters": assumptions(told.season),
    }


def _definitions(names: Iterable[str]) -> list[tuple[str, str, str, str]]:
    told = (BY_NAME[name] for name in names)
    return [(one.title, one.name, _UNITS.get(one.unit, one.unit), one.definition) for one in told]


def _of_one(comparison: Comparison) -> dict[str, Any]:
    start, end = (text_of(at)[:10] for at in comparison.source.span)
    groups = classes_of(comparison)
    return {
        "seeds": (),
        "title": f"A {'recorded log' if comparison.recorded else 'season'} under several policies",
        "lead": head(comparison, shared=True),
        "start": start,
        "end": end,
        "command": comparison.shared,
        "recorded": comparison.recorded,
        "caveats": comparison.caveats(),
        "sections": list(sections(comparison)),
        "money": money_rows(comparison),
        "funded": plots.funded_over_time(comparison, groups),
        "times": plots.time_to_funding(comparison, groups),
        "fill": [plots.lorenz_curves(comparison), plots.fill_bars(comparison)],
        "idle": [
            plots.money_over_time(comparison, "idle", "Money idle"),
            plots.money_over_time(comparison, "in_hand", "Money in hand"),
        ],
        "definitions": _definitions(BY_NAME),
        "parameters": assumptions(comparison.source.season) if isinstance(comparison.source, SeasonSource) else [],
    }


def assumptions(season: parameters.Season) -> list[tuple[str, str, str]]:
    """Each parameter of a season: its name, its value here, and what it is fitted to (its docstring)."""
    body = ast.parse(inspect.getsource(parameters.Season)).body[0]
    assert isinstance(body, ast.ClassDef)
    told = []
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            name = field.target.id if isinstance(field.target, ast.Name) else ""
            told.append((name, str(getattr(season, name)), " ".join(str(after.value.value).split())))
    return told
