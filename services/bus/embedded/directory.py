"""The data directory: whose it is, who runs on it, and where its broker answers.

    DATA/pumasi.json              the mark: made by Pumasi, and which cluster
    DATA/broker.json              a broker is ready here: its bootstrap servers and process id
    DATA/kafka/lock               held (flock) by whoever starts the broker and by the JVM itself, so it falls with the JVM
    DATA/kafka/log/               Kafka's own directory, formatted once
    DATA/kafka/{server,log4j2}.properties, kafka.log, console.log, tmp/

Nothing is written outside, and nobody else may look in: the directories are ours alone (0700). A directory that holds other people's
files is refused, not adopted.
"""

import base64
import fcntl
import json
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.errors import DataDirForeign, DataDirLocked

MARK = "pumasi.json"
NOT_FILES = {"lost+found", ".gitkeep", ".keep", ".DS_Store"}  # what an empty volume or folder may hold
LOCK_PATIENCE_S = 15.0  # for a broker whose starter is dead and which is stopping
GLANCE_PATIENCE_S = 0.5  # for a look by `running_broker`, which holds the lock for an instant


def claim(data: Path) -> str:
    """Mark `data` as Pumasi's, or see that it is; returns its cluster id. For whoever keeps files there.

    Raises DataDirForeign if it holds files but no mark, or isn't a directory, or can't be written.
    """
    mark = data / MARK
    try:
        make_private(data)
        if not mark.exists():
            _refuse_strangers(data)
            write_atomically(mark, {"pumasi": 1, "cluster": _new_id()}, exclusive=True)
        return str(json.loads(mark.read_text())["cluster"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataDirForeign(
            f"{data} can't be used as a data directory ({type(error).__name__}: {error})",
            hint="Name another with --data DIR (or PUMASI_DATA), or repair its permissions.",
        ) from error


def make_private(directory: Path) -> None:
    """Make a directory for nobody else, or close one of ours that lies open. A mounted volume's root may be another's; it stays."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o077:
        directory.chmod(0o700)


def _refuse_strangers(data: Path) -> None:
    for stranger in sorted(entry.name for entry in data.iterdir()):
        if stranger not in NOT_FILES and not stranger.startswith(MARK):
            raise DataDirForeign(
                f"{data} is not a Pumasi data directory: it holds {stranger!r} and no {MARK}",
                hint="Name an empty or new directory with --data DIR (or PUMASI_DATA).",
            )


def _new_id() -> str:
    """A cluster id as Kafka makes them: 16 random bytes in URL-safe base64; none may begin with '-'."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def write_atomically(path: Path, content: dict[str, Any], *, exclusive: bool = False) -> None:
    """Write JSON so that a reader sees all of it or none. `exclusive`: the first writer wins, the others keep quiet."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content) + "\n")
    try:
        if exclusive:
            os.link(draft, path)
        else:
            draft.replace(path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


@dataclass(frozen=True)
class Running:
    """A broker that is ready on a data directory: `bootstrap` as `host:port`, `pid` of its JVM."""

    bootstrap: str
    pid: int


def running_broker(data: Path) -> Running | None:
    """The broker that runs on `data` and is ready, if there is one. Trusts the lock, not the file that a kill may leave."""
    try:
        said = json.loads((data / "broker.json").read_text())
        with (data / "kafka" / "lock").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Running(said["bootstrap"], said["pid"])
    except (OSError, ValueError, KeyError):
        pass
    return None


class DirectoryLock:
    """The right to run a broker on `data`. The descriptor goes to the JVM too, so the lock is free only once it has ended."""

    def __init__(self, data: Path) -> None:
        self.data, self.path = data, data / "kafka" / "lock"
        self.fd = -1

    def acquire(self) -> int:
        """Take the lock and write down who has it; returns the descriptor. Blocks up to 15 s for a broker that is on its way out.

        Raises DataDirLocked, with the process id of the other.
        """
        make_private(self.path.parent)
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        began = time.monotonic()
        while not self._try():
            owner = self._owner()
            waited = time.monotonic() - began
            if waited > (GLANCE_PATIENCE_S if owner is None or _alive(owner) else LOCK_PATIENCE_S):
                self.release()
                raise DataDirLocked(
                    f"{self.data} is in use: a broker started by process {owner or 'unknown'} runs on it",
                    hint="Stop that one, use it (commands given the same --data find it), or name another directory with --data DIR.",
                )
            time.sleep(0.05)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)
        return self.fd

    def _try(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _owner(self) -> int | None:
        text = os.pread(self.fd, 32, 0).strip()
        return int(text) if text.isdigit() else None

    def release(self) -> None:
        """Give this process's share back; the JVM's falls with it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
