"""What deploy/ asks of Prometheus, as data; and Prometheus' own `promtool`, where there is one.

Without it (apt-get install --no-install-recommends prometheus) its tests are skipped, and pytest says so.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy_files import DEPLOY

RULES = sorted((DEPLOY / "prometheus").glob("*.rules.yml"))
NEEDED = "needs Prometheus and its promtool: apt-get install --no-install-recommends prometheus"
needs_prometheus = pytest.mark.skipif(not (shutil.which("prometheus") and shutil.which("promtool")), reason=NEEDED)

_WORDS = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_APART = re.compile(
    r"""\{[^}]*\}|"[^"]*"|\[[^\]]*\]|\b(?:by|on|without|group_left|ignoring)\s*\([^)]*\)|\boffset\s+\w+"""
)


def promtool(*command: str | Path) -> str:
    """What it says, in its own words if it isn't content; empty if it is."""
    done = subprocess.run(["promtool", *command], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def groups() -> list[dict[str, Any]]:
    return [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups() for rule in group["rules"] if "alert" in rule}


def recorded() -> dict[str, str]:
    """What recording rules make, and of what."""
    return {rule["record"]: rule["expr"] for group in groups() for rule in group["rules"] if "record" in rule}


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((DEPLOY / "grafana").glob("*.json"))}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def asked(**variables: str) -> Iterator[tuple[str, str]]:
    """Every query of every dashboard, by where it stands, as Grafana would send it."""
    given = {"__rate_interval": "1m", "currency": "CNY", **variables}
    for name, board in dashboards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                yield f"{name}: {panel['title']}", re.sub(r"\$(\w+)", lambda found: given[found[1]], target["expr"])


def series_in(expr: str) -> set[str]:
    """The names of metrics in an expression: whatever is neither called nor a keyword, and all but what tells them apart."""
    bare = _APART.sub(" ", expr)
    words = {found[0] for found in _WORDS.finditer(bare) if not bare[found.end() :].lstrip().startswith("(")}
    return words - {"or", "and", "unless", "bool", "by", "on"}
