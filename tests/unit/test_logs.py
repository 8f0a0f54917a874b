"""What reaches a log: what happened and where, whatever the level; never a value, never a forged line."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CANARY = "Kim-Yongsun-13912345678"
_BEGIN = f"""
import asyncio, logging, threading, warnings
from services import logs
from services.errors import LedgerTampered
canary = {CANARY!r}
"""


def logged(code: str, level: str = "DEBUG", status: int = 0, as_json: bool = False, **environment: str) -> str:
    """What a process writes to standard error."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{_BEGIN}logs.set_up({level!r}, {as_json})\n{code}"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert not done.stdout
    return done.stderr


def logged_in_json(code: str, level: str = "DEBUG", status: int = 0) -> list[dict[str, Any]]:
    """The same by PUMASI_LOG_JSON: each line is an object, and none holds the canary or what steers a terminal."""
    told = logged(code, level, status, as_json=True)
    assert CANARY not in told
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", told)
    return [json.loads(line) for line in told.splitlines()]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "ERROR"])
@pytest.mark.parametrize(
    "library", ["aiokafka.consumer.fetcher", "faststream.access", "uvicorn.error", "httpx", "asyncio", "x"]
)
def test_libraries_are_never_heard_below_warning_and_never_with_what_they_filled_in(library: str, level: str) -> None:
    told = logged(
        f"log = logging.getLogger({library!r}); log.setLevel(1)\n"
        "for how in range(0, 60, 5): log.log(how, 'record %s of %r', canary, {'value': canary}); log.log(how, f'got {canary}')\n"
        "log.error('failed: %s', canary, exc_info=ValueError(canary), stack_info=True)",
        level,
    )
    assert CANARY not in told
    assert not re.search(r" (DEBUG|INFO|NOTSET) ", told)
    assert not told or (f"ERROR {library}: failed: %s (" in told and "ValueError" in told)


def test_of_an_error_a_log_has_its_class_and_where_it_came_through_and_words_only_of_our_own() -> None:
    told = logged("""
def deep(): raise KeyError(canary)
log = logging.getLogger("pumasi.matcher")
try:
    try: deep()
    except KeyError as error: raise RuntimeError(canary) from error
except RuntimeError as error:
    log.exception("partition %d: %s", 3, error)
log.error("all of them", exc_info=ExceptionGroup(canary, [OSError(canary), LedgerTampered("a gap at entry 6")]))
log.warning("partition 4: %s", LedgerTampered("a gap at entry 7"))
log.error("partition 5", exc_info=LedgerTampered("a gap at entry 8"))
""")
    assert CANARY not in told
    assert "ERROR pumasi.matcher: partition 3: RuntimeError\n" in told
    assert re.search(r"\n    <string>:\d+ deep\n    KeyError\n(    .*\n)+    RuntimeError\n", told)
    assert "all of them\n    OSError\n    LedgerTampered: a gap at entry 6\n    ExceptionGroup\n" in told
    assert "partition 4: a gap at entry 7\n" in told
    assert "partition 5\n    LedgerTampered: a gap at entry 8\n" in told


def test_our_own_lines_come_from_the_level_on() -> None:
    code = "for name in ('debug', 'info', 'warning'): getattr(logging.getLogger('pumasi.bus'), name)(name)"
    assert [logged(code, level).count("pumasi.bus: ") for level in ("DEBUG", "INFO", "WARNING", "ERROR")] == [
        3,
        2,
        1,
        0,
    ]


def test_nothing_that_is_logged_forges_a_line_or_steers_a_terminal() -> None:
    told = logged("""
log = logging.getLogger("pumasi.intake")
bad = "x\\n2026-01-01 INFO pumasi: all is well\\r\\x1b[2J\\u202e"
log.warning("fund %s", bad)
log.error("fund", exc_info=LedgerTampered(bad))
""")
    assert [line for line in told.splitlines() if line.startswith("2026-01-01 INFO")] == []
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", told)
    assert r"fund x\n2026-01-01 INFO pumasi: all is well\r\x1b[2J\u202e" in told


@pytest.mark.parametrize(
    ("code", "told_of", "status"),
    [
        ("raise ValueError(canary)", "the process ended with an error that nobody foresaw", 1),
        ("t = threading.Thread(target=lambda: int(canary)); t.start(); t.join()", "a thread ended", 0),
        ("class A:\n  def __del__(self): raise ValueError(canary)\nA()", "a clearing away ended", 0),
        ("warnings.warn(canary)", "UserWarning at <string>:", 0),
        ("async def f(): raise ValueError(canary)\n"
         "async def main(): asyncio.create_task(f()); await asyncio.sleep(0)\nasyncio.run(main())",
         "ERROR asyncio: something is amiss (base_events:", 0),
        ("async def main():\n"
         "  asyncio.get_running_loop().call_exception_handler({'message': canary, 'got': canary})\nasyncio.run(main())",
         "ERROR asyncio: something is amiss (base_events:", 0),
    ],
)  # fmt: skip
def test_what_nobody_foresaw_is_told_without_its_words(code: str, told_of: str, status: int) -> None:
    told = logged(code, "INFO", status)
    assert told_of in told
    assert CANARY not in told


def test_asyncios_debug_mode_tells_what_was_slow_and_not_of_whom() -> None:
    told = logged(
        "def slow(who):\n  import time; time.sleep(0.15)\n"
        "async def main():\n  asyncio.get_running_loop().call_soon(slow, canary); await asyncio.sleep(0.01)\nasyncio.run(main())",
        PYTHONASYNCIODEBUG="1",
    )
    assert "WARNING asyncio: Executing %s took %.3f seconds" in told
    assert CANARY not in told


def test_in_json_a_line_has_a_stable_event_and_fields_with_their_types() -> None:
    [told] = logged_in_json("""
logging.getLogger("pumasi.matcher").warning(
    "partition %(partition)d: %(cause)s; rebuilt in %(seconds).1f s",
    {"event": "partition_forgotten", "partition": 3, "cause": RuntimeError(canary), "seconds": 0.25, "line": 7},
)""")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("at"))
    assert told == {
        "level": "warning", "logger": "pumasi.matcher", "event": "partition_forgotten", "partition": 3, "seconds": 0.25, "line": 7,
        "cause": "RuntimeError", "message": "partition 3: RuntimeError; rebuilt in 0.2 s",
    }  # fmt: skip


def test_in_json_an_error_is_in_the_line_by_class_and_places_and_words_only_of_our_own() -> None:
    told, held = logged_in_json("""
def deep(): raise KeyError(canary)
log = logging.getLogger("pumasi.matcher")
try:
    try: deep()
    except KeyError as error: raise RuntimeError(canary) from error
except RuntimeError: log.exception("it failed", {"event": "failed"})
log.error("all", exc_info=ExceptionGroup(canary, [OSError(canary), LedgerTampered("a gap\\nat entry 6")]))
""")
    first, second = told["error"]
    assert (first["class"], second["class"]) == ("KeyError", "RuntimeError")
    assert re.fullmatch(r"<string>:\d+ deep", first["places"][-1])
    assert [one.get("message") for one in held["error"]] == [None, "a gap\nat entry 6", None]
    assert held["event"] == "said", "its words came without a code"


@pytest.mark.parametrize("library", ["aiokafka.consumer.fetcher", "uvicorn.error", "asyncio", "opentelemetry.sdk"])
def test_in_json_a_library_is_heard_by_its_authors_words_alone(library: str) -> None:
    told = logged_in_json(
        f"log = logging.getLogger({library!r}); log.setLevel(1)\n"
        "for how in range(0, 60, 5): log.log(how, 'record %s of %r', canary, {'value': canary}); log.log(how, f'got {canary}')\n"
        "log.error('failed: %(who)s', {'who': canary}, exc_info=ValueError(canary), stack_info=True)"
    )
    assert {one["event"] for one in told} == {"library"}
    assert {one["level"] for one in told} <= {"warning", "error", "critical", "level 35", "level 45", "level 55"}
    assert told[-1]["message"].startswith("failed: %(who)s (")
    assert [one["class"] for one in told[-1]["error"]] == ["ValueError"]


@pytest.mark.parametrize(("code", "event", "status"), [
    ("raise ValueError(canary)", "unforeseen", 1),
    ("t = threading.Thread(target=lambda: int(canary)); t.start(); t.join()", "unforeseen", 0),
    ("warnings.warn(canary)", "warned", 0),
    ("logging.getLogger('pumasi').error('%d of %s', canary, {'who': canary})", "said", 0),
])  # fmt: skip
def test_in_json_what_nobody_foresaw_is_a_line_too(code: str, event: str, status: int) -> None:
    assert [one["event"] for one in logged_in_json(code, "INFO", status)] == [event]


def test_what_is_said_to_whoever_looks_on_is_an_event_among_the_others() -> None:
    code = "logs.say('Partition 3: 100% read', 'resumed', partition=3)"
    assert logged(code) == "Partition 3: 100% read\n"
    [told] = logged_in_json(code)
    assert (told["event"], told["partition"], told["message"]) == ("resumed", 3, "Partition 3: 100% read")


def test_every_line_of_ours_has_a_code_of_its_own_and_names_what_it_fills_in() -> None:
    levels = {"debug", "info", "warning", "error", "critical", "exception", "log"}
    taken = {"at", "level", "logger", "message", "error"}
    words: dict[str, set[str]] = {}
    for file in sorted((ROOT / "services").rglob("*.py")):
        if "logging" not in file.read_text():
            continue
        nodes = list(ast.walk(ast.parse(file.read_text())))
        told = [one for one in nodes if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)]
        for node in nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in levels):
                continue
            if ast.unparse(node.func.value) not in {"log", "logging.getLogger(OURS)"}:
                continue
            where = f"{file.relative_to(ROOT)}:{node.lineno}"
            text, fields = node.args[-2:]
            if isinstance(fields, ast.Name):  # it is said a line before
                before = [
                    one
                    for one in told
                    if one.targets[0].id == fields.id and node.lineno - 3 <= one.lineno < node.lineno
                ]
                fields = before[0].value if before else fields
            if file.name == "logs.py" and not (isinstance(fields, ast.Dict) and None not in fields.keys):
                continue  # `say`, whose callers name the event
            assert isinstance(fields, ast.Dict), f"{where}: fields stand in a dict"
            names = [one.value for one in fields.keys if isinstance(one, ast.Constant)]
            assert names[0] == "event" and not taken & set(names), where
            code = fields.values[0].value
            assert re.fullmatch(r"[a-z_]+", code), where
            words.setdefault(code, set()).add(ast.unparse(text))
            if isinstance(text, ast.Constant):
                assert set(re.findall(r"%\((\w+)\)", text.value)) <= set(names), where
                assert not re.search(r"%[sdrf.]", text.value), where
    assert len(words) > 40
    assert {code for code, texts in words.items() if len(texts) > 1} <= {"partition_stopped"}


def test_logging_is_set_up_in_one_place() -> None:
    allowed = {
        "services/logs.py",
        "services/matcher/app.py",
        "services/bus/embedded/jars.py",
    }  # the last two make one quieter
    for file in sorted((ROOT / "services").rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        if name in allowed:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).rpartition(".")[2]
                assert called not in (
                    "basicConfig",
                    "dictConfig",
                    "setLevel",
                    "addHandler",
                    "print_exc",
                    "StreamHandler",
                ), name
