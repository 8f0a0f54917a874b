"""The machine and what runs on it, as far as a figure depends on them; no name of a host, a user or a path."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

KAFKA = "4.3.1"


@dataclass(frozen=True)
class Machine:
    """What was measured on.

    Attributes:
        cores: logical processors that this process may use; the broker shares them.
        processor: the model's name.
        memory_gib: in all.
        system: kernel and architecture.
        load: of the last minute before, runnable processes on average.
        versions: of what takes part.
    """

    cores: int
    processor: str
    memory_gib: float
    system: str
    load: float
    versions: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.cores} cores ({self.processor}, {self.memory_gib:.0f} GiB, {self.system}), shared with the broker; "
            f"load before: {self.load:.1f}"
        )


def this_machine() -> Machine:
    """This one, now."""
    names = ("aiokafka", "faststream", "pydantic", "msgspec", "uvloop")
    versions = {"python": platform.python_version(), "kafka": KAFKA, "java": _java()} | {n: version(n) for n in names}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory().total / 2**30
    return Machine(
        cores, _processor(), round(memory, 1), f"{platform.system()} {platform.machine()}", os.getloadavg()[0], versions
    )


def _processor() -> str:
    if sys.platform == "darwin":
        asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or platform.processor()
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown processor"


def _java() -> str:
    from services.bus.embedded.java import find_java
    from services.errors import JavaMissing

    try:
        release = find_java().resolve().parent.parent / "release"
        found = re.search(r'JAVA_VERSION="([^"]+)"', release.read_text())
    except (JavaMissing, OSError):
        return "unknown"
    return found[1] if found else "unknown"
