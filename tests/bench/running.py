"""A contender's process: started, watched, killed; what it complained of is kept in case it fails."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes  # noqa: F401  # at hand for the child, which is bound between fork and exec
import json
import os
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from services.bus.embedded.guard import die_with
from services.errors import PumasiError

_LINES_KEPT = 3
_LOOK_EVERY_SECONDS = 0.05


class Ended(PumasiError):
    """A contender's process ended by itself, or stood still."""

    code = "bench_failed"


class Running:
    """A process of the bench and the file that holds its output."""

    def __init__(self, process: Process, output: Path) -> None:
        self.process, self.output = process, output

    def still(self) -> None:
        """Raise Ended unless it runs."""
        if self.process.returncode is not None:
            raise Ended(f"ended with {self.process.returncode}: {self.last_words()}")

    async def told(self, key: str, seconds_max: float) -> dict[str, Any]:
        """The first line of JSON in its output that has `key`, once it is there. Raises Ended."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            for line in self.output.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    if key in (said := json.loads(line)):
                        return said
            self.still()
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        raise Ended(f"never said {key}: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its output, on one line."""
        lines = self.output.read_text(errors="replace").split("\n")
        return " | ".join([line.strip() for line in lines if line.strip()][-_LINES_KEPT:])[-400:] or "it said nothing"


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str], output: Path, environment: dict[str, str] | None = None
) -> AsyncIterator[Running]:
    """Run a command; killed at the end, if it still runs."""
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **(environment or {})},
            preexec_fn=partial(die_with, os.getpid()),  # nothing is left behind, however the bench ends (Linux)
        )
    try:
        yield Running(process, output)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
