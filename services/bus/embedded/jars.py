"""Kafka's jars: exactly those of `kafka.lock.toml`, or none.

jgo knows where jars come from and where they are kept (`M2_REPO`, `~/.m2/repository`, its configuration file). What they
must be is in the lock: coordinates and SHA-256, 46 jars, 44 MB. Every jar is hashed before every start (0.1 s in all), so neither
a broken download nor a changed cache is ever run. A file lock lets several first starts share one download.

jgo comes with much that is of use for this moment alone. So who runs for months has them looked for by a process of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from services.errors import JarsUnavailable

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

LOCK = Path(__file__).with_name("kafka.lock.toml")
DOWNLOADS_AT_ONCE = 4
TIMEOUT_S = 30

Progress = Callable[[int, int, int], None]
"""Told how far the download is: jars fetched, jars to fetch, bytes received."""


def ensure_jars(progress: Progress | None = None, lock: Path = LOCK) -> list[Path]:
    """The paths of all jars of `lock`, downloaded if need be, verified. Blocks; seconds when cold.

    Raises JarsUnavailable when a jar can't be had or isn't the locked one.
    """
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext, PythonResolver

    meter = _Meter(progress)
    context = MavenContext(
        PythonResolver(progress_callback=meter.one_file), repo_cache=GlobalSettings.load().repo_cache, timeout=TIMEOUT_S
    )
    jars = _locked_jars(context, lock)
    if unfit := _unfit(jars):
        with _alone(context.repo_cache):
            unfit = _unfit(unfit)  # another process may have fetched them while this one waited
            meter.total = len(unfit)
            _download(unfit)
            _refuse(_unfit(unfit))
    return [_path(jar) for jar in jars]


def ensure_jars_apart(progress: Progress | None = None) -> list[Path]:
    """The same, by a process of its own; an error of `progress` ends it."""
    command = [sys.executable, "-P", "-c", f"from {__name__} import tell_jars; tell_jars()"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as finder:
        assert finder.stdout is not None, "a pipe"
        try:
            for line in finder.stdout:
                match json.loads(line):
                    case {"jars": jars}:
                        return [Path(jar) for jar in jars]
                    case {"message": message, "hint": hint}:
                        raise JarsUnavailable(message, hint=hint)
                    case {"come": come} if progress:
                        progress(*come)
        except BaseException:
            finder.kill()
            raise
    raise JarsUnavailable(f"who looks for the jars of Apache Kafka ended with status {finder.returncode}")


def tell_jars() -> None:
    """Print a line of JSON for each step of a download, then the jars, or why they can't be had."""
    told: dict[str, object]
    try:
        told = {"jars": [str(jar) for jar in ensure_jars(lambda *come: print(json.dumps({"come": come}), flush=True))]}
    except JarsUnavailable as error:
        told = {"message": error.message, "hint": error.hint}
    print(json.dumps(told), flush=True)


def _locked_jars(context: MavenContext, lock: Path) -> dict[Artifact, str | None]:
    """Each jar with the SHA-256 it must have."""
    from jgo.env import LockFile

    return {
        context.project(dep.groupId, dep.artifactId)
        .at_version(dep.version)
        .artifact(dep.classifier or "", dep.packaging): dep.sha256
        for dep in LockFile.load(lock).dependencies
    }


def _unfit(jars: dict[Artifact, str | None]) -> dict[Artifact, str | None]:
    return {jar: sha256 for jar, sha256 in jars.items() if _sha256(_path(jar)) != sha256}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _path(jar: Artifact) -> Path:
    assert jar.cached_path is not None, "jgo has a repository on this machine"
    return jar.cached_path


def _download(jars: dict[Artifact, str | None]) -> None:
    from jgo.maven import Artifact
    from requests import RequestException

    logging.getLogger("jgo").setLevel(logging.ERROR)  # what it would warn of, a wrong checksum, is refused here
    for jar in jars:
        _path(jar).unlink(missing_ok=True)  # half a download, or not the locked jar
    try:
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE, "kafka-jars") as pool:
            list(pool.map(Artifact.resolve, jars))
    except (RequestException, RuntimeError, OSError) as error:
        raise JarsUnavailable(
            f"the jars of Apache Kafka could not be downloaded ({type(error).__name__}: {str(error)[:200]})",
            hint="Check the network and try again (what came is kept), or set PUMASI_KAFKA=host:9092 to use a Kafka of your own.",
        ) from error


def _refuse(unfit: dict[Artifact, str | None]) -> None:
    if unfit:
        first = next(iter(unfit))
        raise JarsUnavailable(
            f"{len(unfit)} jars of Kafka are not the locked ones, first {first} at {_path(first)}; none was run",
            hint="The repository they came from is damaged or was tampered with. Remove them and try again.",
        )


@contextmanager
def _alone(repository: Path) -> Iterator[None]:
    repository.mkdir(parents=True, exist_ok=True)
    with (repository / ".pumasi-jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Meter:
    """Adds up what several downloads report, and passes it on."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress, self.total, self._fetched, self._bytes, self._lock = progress, 0, 0, 0, Lock()

    @contextmanager
    def one_file(self, _name: str, _bytes: int) -> Iterator[Callable[[int], None]]:
        yield lambda received: self._add(0, received)
        self._add(1, 0)

    def _add(self, files: int, received: int) -> None:
        with self._lock:
            self._fetched += files
            self._bytes += received
            if self.progress:
                self.progress(self._fetched, self.total, self._bytes)
