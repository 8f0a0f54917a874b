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

from services.called import CARRIED, GROUPS, VARIABLE, as_called, give, name
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
    assert as_called("See `pumasi --help`") == "See `'/a b/run' --help`"


def test_a_command_looks_where_the_one_before_was_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "./run")
    told = pumasi("status", "--data", "/no where", "--json", **{VARIABLE: "./run"})
    hint = json.loads(told.stderr)["hint"]
    assert (
        "`./run up --data '/no where'` or `./run kafka --data '/no where'`, name its directory with --data DIR" in hint
    )
    told = pumasi("status", "--json", **{VARIABLE: "./run", "PUMASI_DATA": "/no where"})
    assert "`./run up` or" in json.loads(told.stderr)["hint"], "the environment is there for the next one too"
    monkeypatch.setattr("services.called._given", {"--data": "d", "--kafka": "k1:9092"})
    for text, typed in {
        "If lost: pumasi keys make --lost": "If lost: ./run keys make --data d --kafka k1:9092 --lost",
        "`pumasi up`; ./run status": "`./run up --data d`; ./run status --data d --kafka k1:9092",
        "`pumasi keys` and `pumasi schemas`": "`./run keys` and `./run schemas`",
        "`pumasi --help` has them": "`./run --help` has them",
        "pumasi audit --data e": "./run audit --kafka k1:9092 --data e",
    }.items():
        assert as_called(text) == as_called(as_called(text)) == typed


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("explain c-1", "say what it is: `./run explain case c-1`, or `./run explain pledge c-1`"),
        ("explain pledg c-1", "did you mean pledge?"),
        ("explain case c-1 --lang xx", "'--lang': 'xx' is not one of 'en', 'ko', 'zh'"),
        ("up --kafka-port abc", "must be a whole number"),
        ("up --matchers 99", "'--matchers': must be at most 64"),
    ],
)
def test_a_value_is_refused_in_words_for_people(typed: str, told: str) -> None:
    refused = pumasi(*typed.split(), "--json", **{VARIABLE: "./run"})
    assert refused.returncode == 2
    message = json.loads(refused.stderr)["message"]
    assert told in message
    assert "Input should" not in message and "Value error" not in message


def test_options_are_carried_to_those_commands_that_have_them() -> None:
    ways = {"pumasi " + " ".join(way): options for way, options in _options(get_command(build()))}
    assert len(ways) > 20
    for way, options in ways.items():
        for option in CARRIED:
            give(option, "x")
            assert (option in as_called(way)) == (option in options), (way, option)
            give(option, None)


def _options(group: object, *above: str) -> list[tuple[list[str], set[str]]]:
    found: list[tuple[list[str], set[str]]] = []
    for one, inner in getattr(group, "commands", {}).items():
        if hasattr(inner, "commands"):
            assert one in GROUPS
            found += _options(inner, *above, one)
        else:
            found.append(([*above, one], {option for param in inner.params for option in param.opts}))
    return found


def test_errors_and_helps_name_it_too() -> None:
    error = pumasi("status", "--data", "/nowhere", **{VARIABLE: "./run"})
    assert (error.returncode, "`./run up --data /nowhere`" in error.stderr, "pumasi up" in error.stderr) == (
        1,
        True,
        False,
    )
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
