"""Text from outside steers nothing that shows it: no terminal, no markup, no page, no line of a log, whichever command prints it."""

import ast
import io
import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services import cli
from services.bus.deadletters.box import Box, DeadLetter
from services.bus.deadletters.letter import REMOVED, Letter, Place, place_of
from services.cli import audit, demo, explain, matcher, notifier, status, up
from services.cli.deadletters import screen
from services.cli.shared.log import Log
from services.console.explain.telling import Told
from services.console.readmodel.running import Finding, Process
from services.console.readmodel.survey import Late, Oldest, Partition, Survey, Waits
from services.errors import PumasiError, SettingError
from services.matcher.audit import PartitionAudit
from services.news import Waiting
from services.policies.commandlog import read_log
from services.policies.comparison import compare
from services.policies.policy import parse_policy
from services.policies.replay import LogSource
from services.policies.report import terminal
from services.policies.report.page import page
from services.settings import load
from services.stories.screen import Screen
from services.terminal import Terminal, marked
from services.visible import STEERS, json_line, visible

SERVICES = Path(__file__).parents[2] / "services"
HOSTILE = (
    "\x1b[2J\x1b]8;;http://x\x07 \x9b31m \x7f \r\n2026-01-01 INFO all is well \u202egnp\u2066 a\u200bb\u2028c"
    " [red]r[/] [link=http://x]l[/link] :warning: <script>alert(1)</script> \udce9"
)
"""Clears a screen, writes a link, colours, goes back, forges a line, turns the direction, hides, and is no UTF-8."""
OURS = re.compile(r"\x1b\[[0-9;]*m")
"""Colours, which Rich writes on a terminal."""


def assert_harmless(shown: str) -> None:
    """Nothing in what was printed steers; what is markup for Rich stands there as it came; the forged line is no line."""
    plain = OURS.sub("", shown)
    assert not STEERS.search(plain), ascii(plain)
    assert "\\x1b[2J" in plain
    folded = re.sub(r"[\s│]+", "", plain)
    assert "[red]r[/][link=http://x]l[/link]:warning:" in folded
    assert not any(line.lstrip("│ ").startswith("2026-01-01 INFO") for line in plain.splitlines())


@pytest.fixture
def console() -> Terminal:
    return Terminal(file=io.StringIO(), width=400, force_terminal=True)


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What commands print that make their console themselves, with colours, 400 columns wide."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    return lambda: "".join(capsys.readouterr())


# ---- the function, the console


def test_every_letter_that_steers_is_shown_and_all_others_stay() -> None:
    assert visible("\x1b[2J\n\t\x9b\u202e\ud800") == r"\x1b[2J\n\t\x9b\u202e\ud800"
    assert visible("품앗이 互助　“…” é 👩 \u00a0") == "품앗이 互助　“…” é 👩 \u00a0"
    assert visible("a\nb\x1b", lines=True) == "a\nb\\x1b"
    for letter in map(chr, range(0x110000)):
        if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(letter) in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        ):  # fmt: skip
            assert visible(letter).isascii() and visible(letter).startswith("\\"), ascii(letter)


def test_json_for_programs_steers_no_terminal_and_says_the_same() -> None:
    document = {"a" + HOSTILE: [HOSTILE, "품앗이", "\U000e0041"]}
    line = json_line(document)
    assert not STEERS.search(line) and "\n" not in line
    assert "품앗이" in line
    assert json.loads(line) == document


def test_a_value_in_a_line_of_ours_is_shown_as_it_is_in_the_style_of_its_place(console: Terminal) -> None:
    told = marked("[bold]Fund[/] [green]{}[/] of {}", HOSTILE, "{} \\")
    assert "\n" not in told.plain and told.plain.endswith("of {} \\")
    assert [span.style for span in told.spans] == ["bold", "green"]
    assert told.plain[slice(*told.spans[1][:2])] == visible(HOSTILE)
    assert Text.from_markup("[bold]a[/] b") == marked("[bold]a[/] b")


@pytest.mark.parametrize("given", [HOSTILE, Text(HOSTILE), Text.assemble(("x", "red"), (HOSTILE, "bold"))])
def test_whatever_is_printed_steers_nothing(console: Terminal, given: Any) -> None:
    table = Table(title=given)
    table.add_row(given, Panel(given))
    console.print(given, table, Panel(given))
    shown = OURS.sub("", console.file.getvalue())
    assert not STEERS.search(shown)
    assert "[red]r[/]" in shown and ":warning:" in shown


# ---- command by command


def letter() -> DeadLetter:
    """All of it is hostile but for the places, which are read by a pattern."""
    return DeadLetter(
        Place("pumasi.commands.v1", 2, 41),
        Place("pumasi.deadletters.v1", 2, 9),
        HOSTILE,
        HOSTILE,
        10**15,
        HOSTILE,
        (HOSTILE,),
        9,
        None,
    )


def test_deadletters_list_and_show(on_a_terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = letter()
    raw = HOSTILE.encode("utf-8", "surrogateescape")
    for columns in ("400", "60"):
        monkeypatch.setenv("COLUMNS", columns)
        screen.print_list([one], Box({one.id: one}), 1)
        assert_harmless(on_a_terminal())
        kept = Letter(raw, json.dumps({HOSTILE: REMOVED, "a": HOSTILE}).encode(), [(HOSTILE, raw), ("trace", None)])
        screen.print_letter(one, kept, Box({one.id: one}))
        assert_harmless(on_a_terminal())
    screen.print_letter(one, Letter(None, b"\x1b[2J [red]r[/] [link=http://x]l[/link] :warning:\n\x9b", []), Box())
    assert_harmless(on_a_terminal())


def test_deadletters_replay_prints_ids_and_no_letter_has_a_hostile_one() -> None:
    assert place_of(f"pumasi.commands.v1{HOSTILE}-0-1") is None
    assert place_of("pumasi.commands.v1-0-1\n") is None


def test_status(on_a_terminal: Any) -> None:
    from tests.unit.test_status_shown import FUNDS

    finding = Finding("odd", HOSTILE, HOSTILE)
    process = Process(HOSTILE, "intake", True, 1.0, None, "1.0", {}, [], None, {})
    amiss = Partition(0, 5, 3, 1, 4, "2026-01-01T00:00:00Z", finding)
    waits = [Waits("rate", HOSTILE, 2, HOSTILE, [Oldest(HOSTILE, HOSTILE, HOSTILE, HOSTILE)])]
    late = Late({0: 1}, 1, latest=[replace(letter(), sender=HOSTILE)])
    found = Survey(HOSTILE, [], 1, [process], [amiss], [], waits, late, [finding])
    status._print(found, public=False)
    assert_harmless(on_a_terminal())
    for width in (400, 40):
        console = Terminal(width=width)
        status._print_funds(console, [{**FUNDS[0], "fund": HOSTILE}])
        assert_harmless(on_a_terminal())


def test_audit(on_a_terminal: Any) -> None:
    audit._print_table([PartitionAudit(0, findings=[HOSTILE])])
    assert_harmless(on_a_terminal())


def test_explain(console: Terminal) -> None:
    told = Told({}, [HOSTILE, HOSTILE], [(HOSTILE, HOSTILE)], [("part", [("2026", HOSTILE)])], [], [HOSTILE])
    explain.show(told, console, exact=True)
    assert_harmless(console.file.getvalue())


def test_simulate_on_the_terminal_and_as_a_page(tmp_path: Path, console: Terminal) -> None:
    """What a log holds is read by the contract's models; its own name is whatever somebody called it."""
    file = tmp_path / HOSTILE.replace("/", "∕")
    data = {"fund": "jilin", "currency": "CNY"}
    event = {"type": "pumasi.fund.configured", "time": "2026-11-22T10:00:00Z", "data": data}
    file.write_text(json.dumps(event) + "\n")
    source = LogSource(read_log(file))
    comparison = compare(source, [parse_policy("recorded")], f"--log {file}", shared=f"--log {file}")
    terminal.show(comparison, console)
    assert not STEERS.search(OURS.sub("", console.file.getvalue()))
    written = page(comparison)
    assert not STEERS.search(written) and "<script" not in written
    assert "\\x1b[2J" in written and "&lt;script&gt;" in written


def test_what_a_command_ends_with(on_a_terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cli._report(PumasiError(HOSTILE, hint=HOSTILE))
    assert_harmless(on_a_terminal())
    monkeypatch.setattr("sys.argv", ["pumasi", "--json"])
    cli._report(PumasiError(HOSTILE, hint=HOSTILE))
    told = on_a_terminal()
    assert not STEERS.search(told) and json.loads(told)["message"] == HOSTILE


def test_a_setting_that_cant_be_used(on_a_terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMASI_LANGUAGE", "\x1b[2J [red]r[/] [link=http://x]l[/link] :warning:")
    with pytest.raises(SettingError) as raised:
        load()
    cli._report(raised.value)
    assert_harmless(on_a_terminal())


NOTICE = {"to": HOSTILE, "role": HOSTILE, "kind": HOSTILE, "at": "2021-11-24T10:53:00Z", "text": HOSTILE}


def test_up(console: Terminal, on_a_terminal: Any) -> None:
    log = Log(console, verbose=True)
    log.said("kafka", HOSTILE)
    log.event("notifier", NOTICE)
    log.event("matcher", {"event": "stopped", "partition": 1, "code": "x", "message": HOSTILE, "hint": None})
    calm = Log(console)
    calm.event("notifier", NOTICE)
    calm.sum_up()
    here = load(data=Path("/tmp/" + HOSTILE.replace("\udce9", "")))
    up._say_ready(_System(HOSTILE, HOSTILE), here, Path(f"/tmp/{HOSTILE}/bearer"), as_json=False)
    assert not STEERS.search(OURS.sub("", console.file.getvalue()))
    assert_harmless(on_a_terminal())


class _System:
    def __init__(self, kafka: str, http: str) -> None:
        self.kafka, self.http, self.client_config = kafka, http, Path(f"/tmp/{HOSTILE}/client.properties")
        self.health = {HOSTILE: http}


def test_a_services_own_lines(on_a_terminal: Any) -> None:
    matcher._Screen(False).tell(Waiting(HOSTILE))
    assert_harmless(on_a_terminal())
    notifier._Screen(False).tell(Waiting(HOSTILE))
    assert_harmless(on_a_terminal())


def test_the_demo(console: Terminal, on_a_terminal: Any) -> None:
    screen = Screen(console)
    screen.say(HOSTILE)
    assert not STEERS.search(OURS.sub("", console.file.getvalue()))
    demo._say_stopped(console, Path("/tmp/" + HOSTILE))
    assert not STEERS.search(OURS.sub("", console.file.getvalue()))


# ---- and whatever comes


def calls(tree: ast.AST) -> Any:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_every_console_is_the_one_that_escapes_and_all_legible_json_is_made_in_one_place() -> None:
    for file in sorted(SERVICES.rglob("*.py")):
        name = file.relative_to(SERVICES).as_posix()
        for call in calls(ast.parse(file.read_text())):
            called = ast.unparse(call.func)
            assert called not in ("Console", "rich.print"), f"{name}:{call.lineno}: `Terminal`, not `Console`"
            legible = called == "print" and "ensure_ascii=False" in ast.unparse(call)
            assert not legible, f"{name}:{call.lineno}: `json_line`"
