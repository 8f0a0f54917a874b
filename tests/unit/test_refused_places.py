"""A place that can't be used is one sentence with a code and a hint, and status 2, wherever it comes up; a defect stays a traceback."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services import cli
from services.errors import PumasiError


@pytest.mark.parametrize("command", ["up", "kafka", "demo", "keys make"])
def test_a_place_that_cant_be_made_is_said(command: str) -> None:
    told = refused([*command.split(), "--data", "/proc/x"])
    assert (told["code"], told["message"]) == (
        "invalid_setting", "/proc/x-keys can't be used (No such file or directory)",
    )  # fmt: skip
    assert "--data DIR" in told["hint"]


def test_a_data_directory_that_cant_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "data" / "kafka" / "lock").mkdir(parents=True)  # as good as read-only, to root too
    (tmp_path / "data" / "pumasi.json").write_text('{"pumasi": 1, "cluster": "AAAAAAAAAAAAAAAAAAAAAA"}')
    told = refused(["up", "--data", str(tmp_path / "data")])
    assert told["message"] == f"{tmp_path}/data/kafka/lock can't be used (Is a directory)"


@pytest.mark.parametrize(
    "defect",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", str(Path(cli.__file__).with_name("gone.py"))),
        OSError(errno.ENOSPC, "No space left on device", "/data/kafka"),
        PermissionError(errno.EPERM, "Operation not permitted"),
    ],
)
def test_what_nobody_named_or_what_may_pass_is_no_setting(defect: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_app: object) -> None:
        raise defect

    monkeypatch.setattr(cli, "_run", fail)
    with pytest.raises(OSError) as raised:
        cli.main()
    assert raised.value is defect and not isinstance(raised.value, PumasiError)


def test_a_checkout_that_cant_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / ".venv.lock").mkdir()
    script = Path(cli.__file__).with_name("bootstrap.py")
    done = subprocess.run(
        [sys.executable, "-I", script, tmp_path, "runtime"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"The environment can't be made: {tmp_path}/.venv.lock can't be used (Is a directory)."
    )


def refused(command: list[str]) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PUMASI_")}
    program = [sys.executable, "-P", "-m", "services.cli", *command, "--json"]
    done = subprocess.run(
        program, capture_output=True, text=True, check=False, timeout=60, env=environment | {"PUMASI_PURE": "1"}
    )
    assert done.returncode == 2, done.stderr
    told: dict[str, str] = json.loads(done.stderr)
    return told
