"""What the operator sees: one line per notice, for people or for programs.

A screen is seen by others, so the pretty line names nobody's pseudonym. `--json` has them.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from schemas.notices import Notice
from schemas.times import text_of_datetime
from services.notifier.teller import View
from services.visible import json_line, visible

_STYLES = {
    "matched": "cyan", "payment-due": "yellow", "settled": "green", "delivered": "bold green", "thanks": "magenta",
    "released": "dim", "refunded": "dim", "forgetting": "dim", "forgotten": "dim", "opened": "blue", "progress": "blue",
}  # fmt: skip


def pretty(console: Console) -> View:
    """Lines for people: day, role, words. Shown before telling begins, so a slow webhook holds none back."""
    return View(coming=lambda notice: console.print(_line(notice), soft_wrap=True))


def json_lines() -> View:
    """Lines for programs: the notice, once its outcome is known."""

    def told(notice: Notice) -> None:
        sys.stdout.write(json_line(notice.model_dump(mode="json", by_alias=True, exclude_defaults=True)) + "\n")
        sys.stdout.flush()

    return View(told=told)


def quiet() -> View:
    return View(is_channel=False)


def _line(notice: Notice) -> Text:
    at = text_of_datetime(notice.at)[:10]
    return Text.assemble(
        (at, "dim"),
        "  ",
        visible(f"{notice.role:<11}  "),
        (visible(notice.text or ""), _STYLES[notice.kind]),
    )
