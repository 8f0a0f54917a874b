"""Clocks that step: a few lines of C under a service, which add to its time of day what a file says at that moment.

The monotonic clock is left alone, as on a machine whose time was set. libfaketime, made for this, fakes either that one too, so that
Python waits for hours, or breaks its `time.sleep` (0.9.10 under Python 3.11: EINVAL); so the C is here, and is compiled at the start
by the machine's own compiler. Where there is none there are no such faults, and the figures say so.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")
_COMPILE_S = 60


def library(directory: Path) -> Path | None:
    """Compile what is to be preloaded into a directory; None if there is no C compiler, or it fails."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        return None
    made = directory / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(made), str(SOURCE), "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_COMPILE_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return made


class Clock:
    """One service's clock.

    Args:
        file: where it is told how far it is off.
        preloaded: the library.
    """

    def __init__(self, file: Path, preloaded: Path) -> None:
        self._library, self._name = preloaded, file
        file.write_bytes(struct.pack("=q", 0))
        self._file = file.open("r+b", buffering=0)

    def step(self, seconds: float) -> None:
        """Be off by so many seconds from now on."""
        self._file.seek(0)
        self._file.write(struct.pack("=q", int(seconds * 1e9)))

    @property
    def environment(self) -> dict[str, str]:
        """What the service has to be started with."""
        return {"LD_PRELOAD": str(self._library), "PUMASI_SOAK_CLOCK": str(self._name)}
