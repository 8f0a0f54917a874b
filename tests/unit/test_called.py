"""What is printed can be typed, help is plain, and a program hears of each error as JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from services.called import VARIABLE, as_called, name
from services.cli import build
from services.settings import PREFIX, SECRET
from services.terminal import Terminal, marked


def pumasi(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "services.cli", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "80", **variables},
    )  # fmt: skip


def commands(group: object, *above: str) -> list[list[str]]:
    found = getattr(group, "commands", {})
    return [[*above, one] for one in found] + [
        way for one, inner in found.items() for way in commands(inner, *above, one)
    ]


def test_a_command_is_named_as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    text = "Run `pumasi audit`, or PUMASI_OPEN=1 pumasi up; pumasi-intake, /x/pumasi up and pumasi.ledger.v1 stay."
    assert (name(), as_called(text)) == ("pumasi", text)
    monkeypatch.setenv(VARIABLE, "./run")
    told = "Run `./run audit`, or PUMASI_OPEN=1 ./run up; pumasi-intake, /x/pumasi up and pumasi.ledger.v1 stay."
    assert as_called(text) == as_called(told) == told
    assert marked("See [bold]pumasi topics[/] of {}", "pumasi up").plain == "See ./run topics of pumasi up"
    assert Terminal().render_str("See `pumasi up`").plain == "See `./run up`"
    monkeypatch.setenv(VARIABLE, "/a b/run")
    assert as_called("pumasi up") == "'/a b/run' up"


def test_errors_and_helps_name_it_too() -> None:
    error = pumasi("status", "--data", "/nowhere", **{VARIABLE: "./run"})
    assert (error.returncode, "`./run up`" in error.stderr, "pumasi up" in error.stderr) == (1, True, False)
    told = pumasi("up", "--help", **{VARIABLE: "./run"}).stdout
    assert "Usage: ./run up" in told
    assert "./run up --data /tmp/p" in told


def test_no_help_tells_the_type_of_a_flag() -> None:
    ways = [[], *commands(get_command(build()))]
    assert ["keys", "add"] in ways
    for way in ways:
        told = CliRunner().invoke(build(), [*way, "--help"], terminal_width=200)
        assert told.exit_code == 0, way
        assert "<bool>" not in told.stdout, way
        assert "--help" in told.stdout


def test_no_secret_is_an_option_since_everybody_on_a_machine_sees_command_lines() -> None:
    def options(command: Any) -> list[Any]:
        return command.params + [one for inner in getattr(command, "commands", {}).values() for one in options(inner)]

    told = [one for one in options(get_command(build())) if one.envvar]
    assert "PUMASI_DATA" in {one.envvar for one in told}
    assert [one.opts for one in told if one.envvar in SECRET] == []
    named = [name for one in options(get_command(build())) for name in one.opts]
    assert not {f"--{name.removeprefix(PREFIX).lower().replace('_', '-')}" for name in SECRET} & {*named}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "--no-such"], "No such option: --no-such"),
        (["nonsense"], "No such command 'nonsense'"),
        (["explain"], "Missing argument"),
        (["keys", "add", "x", "--scope", "foo"], "no scope 'foo'"),
        (["up", "--matchers", "0"], "Invalid value for '--matchers'"),
    ],
)
def test_a_usage_error_is_json_for_a_program(arguments: list[str], says: str) -> None:
    told = pumasi(*arguments, "--json")
    assert (told.returncode, told.stdout) == (2, "")
    error = json.loads(told.stderr)
    assert (error["code"], says in error["message"]) == ("usage", True), error
    assert "--help" in error["hint"]
    plain = pumasi(*arguments)
    assert (plain.returncode, plain.stdout, "Usage:" in plain.stderr) == (2, "", True)


def test_an_exit_status_is_the_same_for_a_program() -> None:
    assert pumasi("schemas", "--json").returncode == 0
    assert pumasi("status", "--json", "--data", "/nowhere").returncode == 1


def test_a_page_is_written_though_nobody_reads_on(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    season = ("--days", "20", "--funds", "1", "--cases", "1", "--policy", "first-come/1")
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "services.cli", "simulate", *season, "--html", str(page)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        process.wait(120)
    assert re.search(r"</html>\s*$", page.read_text())
