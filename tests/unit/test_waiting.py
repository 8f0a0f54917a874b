"""What tests lean on says what went wrong, and doesn't hide it."""

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import kafka_classes, waiting


async def test_what_did_not_come_in_time_is_named_whatever_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "WITHIN_S", 0.01)
    for holds, named in ((partial(int, "0"), "functools.partial"), (lambda: False, "lambda: False")):
        with pytest.raises(TimeoutError, match=named):
            await waiting.until(holds)


@pytest.mark.parametrize("ends", [subprocess.TimeoutExpired("java", 120), None], ids=["hangs", "makes nothing"])
def test_classes_that_cannot_be_made_ready_are_told_of_and_leave_no_half_a_file(
    ends: Exception | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_command: list[str], *, env: dict[str, str], **_how: Any) -> None:
        if ends:
            Path(env[kafka_classes.OPTIONS].partition("=")[2]).write_bytes(b"half")
            raise ends

    monkeypatch.setattr(kafka_classes, "cache", lambda: tmp_path / "kafka-0.aot")
    monkeypatch.setattr(subprocess, "run", run)
    kafka_classes.make()
    assert not list(tmp_path.iterdir())
    assert len(capsys.readouterr().err.splitlines()) == 1
