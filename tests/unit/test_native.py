"""The compiled hot path and the Python it is made of do the same; and it is used where it can be."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from services import native

ROOT = Path(__file__).parents[2]
_LEDGERS = """
from hashlib import blake2b
from services import native
from services.matcher.checkpoint.writing import Head, Keeper
from services.matcher.engine.engine import Engine
from tests.oracle.season import log
from tests.properties.test_ways import answered, opened, pledge, raw, record_of
from schemas.commands import Command

found = blake2b()
for seed in range(150):
    engine, keeper, commands = Engine(), Keeper(), log(seed)
    for number, command in enumerate(commands):
        found.update(repr(engine.execute(command)).encode())
        if number in (len(commands) // 2, len(commands) - 1):  # a checkpoint, and another that is made of what changed since
            for portion in keeper.rows(engine):
                found.update(b"".join(portion))
            found.update(repr(keeper.head(engine, Head(1, bytes(32), 0, 0))).encode())
pledges = [pledge(offset, {"pledge": f"p-{offset}", "amount": 1 + offset * 37 % 400}) for offset in range(20, 420)]
records = [*opened(), *pledges]
rows, dead, *_ = answered(raw(records) if native.in_use() else records)
found.update(repr((rows, dead)).encode())
print(native.in_use(), found.hexdigest())
"""


def run(*command: str, pure: bool) -> str:
    """What a Python process prints, with the hot path in Python or as it is here."""
    done = subprocess.run(
        [sys.executable, "-P", *command],
        cwd=ROOT, env={**os.environ, "PUMASI_PURE": str(int(pure)), "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_where_there_is_a_compiler_the_hot_path_is_compiled() -> None:
    if os.environ.get("PUMASI_PURE", "0") not in ("", "0"):
        pytest.skip("PUMASI_PURE is set")
    here = (
        any(map(shutil.which, ("cc", "gcc", "clang"))) and Path(sysconfig.get_paths()["include"], "Python.h").exists()
    )
    if not here:
        pytest.skip("no C compiler with Python.h here: everything runs in Python")
    assert native.in_use(), "./run compiles it; else: python -m services.native.build"


@pytest.mark.skipif(not native.in_use(), reason="nothing is compiled here")
def test_ledgers_and_checkpoints_are_the_same_to_the_last_byte() -> None:
    compiled, python = (run("-c", _LEDGERS, pure=pure).split() for pure in (False, True))
    assert (compiled[0], python[0]) == ("True", "False")
    assert compiled[1] == python[1]


@pytest.mark.skipif(not native.in_use(), reason="nothing is compiled here, so that all tests have tried the Python")
def test_the_python_keeps_every_promise_too() -> None:
    files = (
        "properties/test_rule.py",
        "properties/test_walk.py",
        "unit/test_engine_examples.py",
    )
    run("-m", "pytest", "-q", "-x", *(f"tests/{file}" for file in files), pure=True)


def test_a_build_is_of_this_very_source(monkeypatch, tmp_path: Path) -> None:
    """A changed line is run as it is written, in Python, until it is compiled."""
    was = native.digest()
    for folder in ("services", "schemas"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(native, "ROOT", tmp_path)
    native.digest.cache_clear()
    try:
        assert native.digest() == was
        book = tmp_path / "services" / "matcher" / "rules" / "waterfill.py"
        book.write_text(book.read_text() + "\n")
        native.digest.cache_clear()
        assert native.digest() != was
    finally:
        monkeypatch.undo()
        native.digest.cache_clear()


@pytest.mark.skipif(not native.in_use(), reason="nothing is compiled here")
def test_where_a_module_was_imported_in_python_all_the_others_are_too() -> None:
    said = run(
        "-c",
        "import schemas.times, services.bus.envelope as e; from services import native; print(native.in_use(), e.read_command)",
        pure=False,
    )
    assert said.startswith("False <function read_command")
