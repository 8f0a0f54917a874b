"""What deploy/ asks of Prometheus, as data; and a real Prometheus and its `promtool`, where there is one.

Without them (apt-get install --no-install-recommends prometheus) its tests are skipped, and pytest says so.
"""

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import yaml

from services.bus.embedded.ports import free_port
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


def hastened(rules: str, by: float) -> str:
    """The same rules for an impatient world: lengths of time, and ages that are too old, are so many times shorter."""
    seconds = {"s": 1, "m": 60, "h": 3600}

    def shorter(found: re.Match[str]) -> str:
        return f"{found[1]}{max(2000, round(int(found[2]) * seconds[found[3]] * 1000 / by))}ms"

    rules = re.sub(r"(for: |\[|offset )(\d+)([smh])\b", shorter, rules)
    return re.sub(r"((?:_age|oldest_\w+)_seconds\) > )(\d+)", lambda found: f"{found[1]}{int(found[2]) / by}", rules)


class Prometheus:
    """A real one, which looks at its targets and its rules twice a second; use as a context manager.

    Args:
        home: an empty directory for all it keeps.
        by: how many times shorter lengths of time are in its rules.
    """

    def __init__(self, home: Path, by: float = 1.0) -> None:
        self._home, self._url = home, f"http://127.0.0.1:{free_port()}"
        self._targets: dict[tuple[str, int], None] = {}
        for path in RULES:
            (home / path.name).write_text(hastened(path.read_text(), by))
        often = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        jobs = [{"job_name": "pumasi", "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}]}]
        config = {"global": often, "rule_files": ["*.rules.yml"], "scrape_configs": jobs}
        (home / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._write_targets()

    def __enter__(self) -> Self:
        address = self._url.removeprefix("http://")
        command = [
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address={address}",
        ]
        with (self._home / "prometheus.log").open("w") as log:
            self._process = subprocess.Popen(command, cwd=self._home, stdout=log, stderr=log)
        self.until(lambda: self._process.poll() is None and httpx.get(f"{self._url}/-/ready").is_success)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def look_at(self, service: str, port: int) -> None:
        """Scrape this, too."""
        self._targets[service, port] = None
        self._write_targets()

    def leave(self, service: str, port: int) -> None:
        del self._targets[service, port]
        self._write_targets()

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """What an expression is now: each with `metric`, its labels, and `value`, the time and the value as text."""
        found: list[dict[str, Any]] = self._get("query", query=expr)["result"]
        return found

    def firing(self) -> dict[str, dict[str, Any]]:
        """The alerts that fire, by name."""
        return {one["labels"]["alertname"]: one for one in self._get("alerts")["alerts"] if one["state"] == "firing"}

    def until(self, condition: Callable[[], Any], seconds: float = 90.0) -> Any:
        """What a condition is once it holds."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                if found := condition():
                    return found
            assert time.monotonic() < deadline, "not in time"
            time.sleep(0.2)

    def _get(self, what: str, **how: Any) -> Any:
        answer = httpx.get(f"{self._url}/api/v1/{what}", params=how, timeout=10)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def _write_targets(self) -> None:
        told = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"job": f"pumasi-{service}"}}
            for service, port in self._targets
        ]
        beside = self._home / "targets.new"
        beside.write_text(json.dumps(told))
        beside.replace(self._home / "targets.json")
