"""Kafka Streams on this machine: its locked jars, and the peer's Java source compiled once.

`streams.lock.toml` holds Kafka Streams with all it needs, and Eclipse's compiler, which runs on a plain Java runtime; so no JDK is
asked for, and everyone runs the same bytes. What is compiled is kept in `directory` for as long as the bench runs. `python -m
tests.bench.peers.streams` writes the lock anew.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from services.bus.embedded.jars import Progress, ensure_jars
from services.bus.embedded.java import find_java
from services.errors import JarsUnavailable

HERE = Path(__file__).parent
LOCK = HERE / "streams.lock.toml"
STREAMS = "org.apache.kafka:kafka-streams:4.3.1"
ALONE = ("org.eclipse.jdt:ecj:3.46.0", "org.slf4j:slf4j-simple:1.7.36")
"""The compiler, and what shows warnings on standard error; resolved without what they in turn would bring."""
_COMPILE_SECONDS_MAX = 120
_JVM = ("-Xms256m", "-Xmx1g", "-XX:-UsePerfData", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")


@dataclass(frozen=True)
class Streams:
    """How the peer is started: a `java` and its class path."""

    java: Path
    classpath: str

    def command(self, main: str, *arguments: str) -> list[str]:
        """A command line that runs the class `main`."""
        return [str(self.java), *_JVM, "-cp", self.classpath, main, *arguments]


def ready(directory: Path, progress: Progress | None = None) -> Streams:
    """Fetch the jars if need be, and compile the peer into `directory`. Blocks; seconds.

    Raises:
        JarsUnavailable: if the jars can't be had, or the compiler fails.
        JavaMissing: if there is no Java to run it.
    """
    java, jars = find_java(), ensure_jars(progress, LOCK)
    compiler = next(jar for jar in jars if jar.name.startswith("ecj-"))
    classpath = os.pathsep.join(str(jar) for jar in jars if jar != compiler)
    command = [java, "-jar", compiler, "-17", "-nowarn", "-cp", classpath, "-d", directory, HERE / "StreamsEcho.java"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS_MAX, check=False)
    if done.returncode:
        raise JarsUnavailable(
            f"Kafka Streams' peer could not be compiled: {done.stderr.strip()[-300:]}", hint="This is a defect."
        )
    return Streams(java, os.pathsep.join((classpath, str(directory))))


def relock() -> int:
    """Resolve, download, hash, write the lock; how many jars. For a change of version; never run by users."""
    from jgo.config import GlobalSettings
    from jgo.env import LockFile
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=GlobalSettings.load().repo_cache, timeout=60)
    inputs, transitive = context.resolver.resolve([context.create_dependency(STREAMS)])
    needed = [*inputs, *(dep for dep in transitive if dep.scope in ("compile", "runtime"))]
    for coordinates in ALONE:
        needed += context.resolver.resolve([context.create_dependency(coordinates)], transitive=False)[0]
    needed.sort(key=lambda dep: (dep.groupId, dep.artifactId))
    lock = LockFile.from_resolved_dependencies(needed, environment_name="streams", min_java_version=17)
    lock.save(LOCK)
    return len(lock.dependencies)


if __name__ == "__main__":
    print(f"{LOCK.name}: {relock()} jars")
