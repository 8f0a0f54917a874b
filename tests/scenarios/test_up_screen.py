"""What a person sees of `up` on a terminal of 80 columns, letter by letter; and what `status` says of it meanwhile."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
import threading
from pathlib import Path

import pytest

COLUMNS, ROWS, DEADLINE_S = 80, 50, 60
PUMASI = (sys.executable, "-P", "-m", "services.cli")
_STEP = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|\x1b\[\?\d+[hl]|([\r\n])|([^\x1b])")


def screen(written: str) -> list[str]:
    """What stands there in the end: as much of a terminal as Rich makes use of."""
    lines, row, column = [""], 0, 0
    for step in _STEP.finditer(written):
        number, command, line_end, letter = step.groups()
        if command == "A":
            row = max(0, row - int(number or 1))
        elif command == "K":
            lines[row] = lines[row][:column] if number in ("", "0") else ""
        elif line_end == "\r":
            column = 0
        elif line_end == "\n" or (letter and column == COLUMNS):
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        if letter:
            lines[row] = lines[row].ljust(column)[:column] + letter + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


class Terminal:
    """A terminal, and all that was written to it."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.written = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while some := os.read(self.ours, 65536):
                self.written += some
        except OSError:  # nobody has it any more
            return

    async def shows(self, text: str) -> list[str]:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                shown = screen(self.written.decode(errors="replace"))
                if any(text in line for line in shown):
                    return shown
                await asyncio.sleep(0.1)


@pytest.mark.usefixtures("guarded_kafka")
async def test_up_leaves_nothing_stale_breaks_no_word_and_status_finds_all_well(data_dir: Path) -> None:
    terminal, environment = Terminal(), {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"TERM": "xterm-256color", "PUMASI_CALLED_AS": "./run"}
    process = await asyncio.create_subprocess_exec(
        *PUMASI, "up", "--data", str(data_dir), "--kafka-port", "0", "--http-port", "0",
        stdin=terminal.theirs, stdout=terminal.theirs, stderr=terminal.theirs, env=environment,
    )  # fmt: skip
    os.close(terminal.theirs)
    try:
        shown = await terminal.shows("Ctrl-C stops everything.")
        assert "Starting the Kafka broker" in terminal.written.decode(), "a bar was shown"
        assert not [line for line in shown if "Waiting for" in line or "Starting the" in line or "━" in line]
        happened = [line for line in shown if re.match(r"\d\d:\d\d:\d\d ", line)]
        assert [line[9:13] for line in happened] == ["keys"], "that all goes as it should is not said"
        assert "  intake" not in "".join(shown)
        assert "keep a copy where no copy of the data is" in [line.strip("│ ") for line in shown]
        assert any(line.startswith("  ./run status --data ") for line in shown)
        async with asyncio.timeout(DEADLINE_S):
            while len((told := await status(data_dir))["services"]) < 4 or any(
                one["amiss"] for one in told["services"]
            ):
                await asyncio.sleep(0.2)
        assert (told["findings"], told["ok"]) == ([], True)
        assert [one["service"] for one in told["services"]] == ["intake", "matcher", "notifier", "ender"]
        assert all(one["running"] and not one["amiss"] for one in told["services"])
        process.terminate()
        shown = await terminal.shows("All stopped; the data stay.")
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 0
        assert "Traceback" not in "".join(shown)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def status(data: Path) -> dict[str, object]:
    asked = await asyncio.create_subprocess_exec(
        *PUMASI, "status", "--json", "--data", str(data), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asked.communicate()
    return json.loads(out)


def test_the_screen_is_read_as_a_terminal_would() -> None:
    assert screen("a\r\nbc\r\x1b[2Kd\r\n\x1b[1A\x1b[2K") == ["a", "", ""]
    assert screen("x" * 81) == ["x" * 80, "x"]
    assert screen("\x1b[38;5;237m━\x1b[0m") == ["━"]
