"""What `./run` calls when the virtual environment is missing or its lock has changed. Standard library only.

The environment is `.venv` in the checkout. A copy of the installed lock inside it is the stamp, written last: no stamp, no
finished set-up, so an interrupted one is redone from nothing. One file lock (`flock`, which dies with its process, so it can't
go stale) makes a second `./run` wait. The project itself is put on the path by a *relative* `.pth` line, which needs no
build and stays right when the checkout moves.

`bench` is an environment beside it, `.venv-bench`, for the programs that Pumasi is compared with: nothing of Pumasi is in it.

Usage: bootstrap.py CHECKOUT runtime|dev|bench
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import IO

LOCKS = {
    "runtime": ["requirements.lock"],
    "dev": ["requirements-dev.lock", "requirements.lock"],
    "bench": ["requirements-bench.lock"],
}
# Wheels alone: nothing of a package is run to install it.
PIP_OPTIONS = (
    "--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
)  # fmt: skip
LINES_KEPT = 20  # of pip's output, shown when it fails


def main(checkout: Path, kind: str) -> int:
    """Make the environment whole; 0 when it is, 1 with pip's last lines when it isn't."""
    with (checkout / ".venv.lock").open("w") as lock:
        wait_for(lock)
        if is_current(checkout, kind):  # the other one did it
            return 0
        return set_up(checkout, kind, lock.fileno())


def wait_for(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another ./run is setting up this checkout; waiting for it.")
        fcntl.flock(lock, fcntl.LOCK_EX)


def is_current(checkout: Path, kind: str) -> bool:
    home, lock = home_of(checkout, kind), checkout / LOCKS[kind][0]
    stamp = home / lock.name
    return has_python(home) and stamp.exists() and stamp.read_bytes() == lock.read_bytes()


def home_of(checkout: Path, kind: str) -> Path:
    return checkout / (".venv-bench" if kind == "bench" else ".venv")


def has_python(home: Path) -> bool:
    """Whether the environment's Python still starts: its base may have been removed from the machine."""
    return os.access(home / "bin" / "python", os.X_OK)


def set_up(checkout: Path, kind: str, held: int) -> int:
    began, home, lock = time.monotonic(), home_of(checkout, kind), checkout / LOCKS[kind][0]
    whole = (home / LOCKS[kind][-1]).exists() and has_python(home)
    what = "what Pumasi is compared with" if kind == "bench" else "Pumasi"
    say(f"Setting up {what} in {home} (once; Python {sys.version.split()[0]})")
    if not whole:
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, symlinks=True, with_pip=True)
    for stamp in home.glob("requirements*.lock"):
        stamp.unlink()
    if not install(home / "bin" / "python", lock, held):
        return 1
    if kind != "bench":
        link_project(home, checkout)
    for name in LOCKS[kind]:  # the stamps, last
        shutil.copyfile(checkout / name, home / name)
    say(f"Ready in {time.monotonic() - began:.0f} s.")
    return 0


def install(python: Path, lock: Path, held: int) -> bool:
    """Install the hashed lock with the user's own pip settings; pip's wall of text becomes one counter.

    pip inherits the file lock `held`: if this process is killed, the next ./run waits until pip has ended too.
    """
    total = len(re.findall(r"^[A-Za-z0-9._-]+==", lock.read_text(), re.MULTILINE))
    say(f"Installing {total} packages from {lock.name}, each checked against its hash …")
    command: list[str | Path] = [python, "-m", "pip", "install", *PIP_OPTIONS, "-r", lock]
    pip = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", pass_fds=[held]
    )
    seen, kept = 0, list[str]()
    assert pip.stdout is not None
    for line in pip.stdout:
        kept = [*kept[1 - LINES_KEPT :], line]
        if found := re.match(r"\s*(?:Collecting|Requirement already satisfied:) (\S+)", line):
            seen += 1
            show_progress(seen, total, found[1].split("=")[0])
        elif big := re.search(r"Downloading (?:\S*/)?([^/\s-]+)\S* \(([0-9.]+ MB)\)", line):
            show_progress(seen, total, f"{big[1]} ({big[2]})", note=float(big[2].split()[0]) > 10)
        elif line.startswith("Installing collected"):
            show_progress(seen, total, "unpacking", note=True)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if pip.wait() == 0:
        return True
    say("".join(kept).rstrip())
    say("The packages could not be installed. If this machine is offline, or uses a package index of its own, set pip up for\n"
        "it (PIP_INDEX_URL, PIP_PROXY, …) and call ./run again: it starts over by itself.")  # fmt: skip
    return False


def link_project(home: Path, checkout: Path) -> None:
    site = next((home / "lib").glob("python3.*/site-packages"))
    (site / "pumasi.pth").write_text(os.path.relpath(checkout, site) + "\n")
    script = home / "bin" / "pumasi"  # for those who activate the environment
    script.write_text('#!/bin/sh\nexec "$(dirname -- "$0")/python" -P -m services.cli "$@"\n')
    script.chmod(0o755)


def show_progress(seen: int, total: int, what: str, note: bool = False) -> None:
    """On a terminal one line that counts; in a log every tenth package, and what takes long."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K  {seen}/{total} {what}")
        sys.stderr.flush()
    elif note or (seen % 10 == 0 and "(" not in what):
        say(f"  {seen}/{total} {what}")


def say(text: str) -> None:
    """To standard error: standard output belongs to the command that is being set up for."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
    except OSError as error:
        if error.filename is None:
            raise
        say(
            f"The environment can't be made: {error.filename} can't be used ({error.strerror}).\n"
            "Let who may write to the checkout call ./run first, or clone your own; later calls only read it."
        )
        sys.exit(2)
    except KeyboardInterrupt:
        say("\nStopped; the next ./run starts the set-up over.")
        sys.exit(130)
