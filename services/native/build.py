"""Compile the hot path into the environment: `python -m services.native.build [--beside]`. What `./run` does once after setting up.

Cython makes C of each module, the machine's compiler makes a library of that. Exit status 0: built, or nothing to do; 1: it could not
be, for the reason printed on standard error, and everything runs in Python as it is.

With `--beside` a process of its own does it, at the lowest priority, while the caller goes on. No terminal has it in hand, so it
outlives the command that it was started beside, and Ctrl-C; what it has to say is in `native/said` of the environment. Whoever compiles
holds a file lock that dies with its process: two never do the same, and what one left half-way the next clears away. A build appears
whole, by a rename, and is used by processes that start after that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from services.native import COMPILED, ROOT, digest, home, source_of
from services.secret_files import environment

_HEADERS = Path(__file__).parent
_KEPT = 4  # builds of other versions: whoever goes back and forth need not wait, and who runs one has it under his feet
_AT_WORK = ".making-"
_DIRECTIVES = ("-X", "annotation_typing=False", "-X", "embedsignature=True")
_FLAGS = ("-O2", "-fPIC", "-shared", "-w", "-fno-strict-aliasing", "-fwrapv")
_LAST = 19  # of all priorities: nobody waits for it


def main(beside: bool = False) -> int:
    """Build what is missing, now or beside the caller."""
    begun = time.time()
    home().parent.mkdir(parents=True, exist_ok=True)
    with (home().parent / ".lock").open("w") as lock:
        if not _taken(lock, fcntl.LOCK_NB):
            if beside:
                return 0
            _say("The hot path is being compiled already; waiting for that.")
            _taken(lock)
        if home().is_dir():
            return _done(begun)
        compiler = _compiler()
        if isinstance(compiler, str):
            return _done(begun, compiler)
        if beside:
            _say("Compiling the hot path beside it; the next start is faster.")
            _hand_over(lock, begun)
            return 0
        _say("Compiling the hot path (once for each version of it; half a minute) …")
        return _done(begun, _build(compiler))


def apart(begun: float) -> int:
    """What the process of its own does; the lock came with it."""
    os.nice(_LAST)
    compiler = _compiler()
    return _done(begun, compiler if isinstance(compiler, str) else _build(compiler))


def _hand_over(lock: IO[str], begun: float) -> None:
    """Start the process of its own. It inherits the lock, so there is no moment in which nobody holds it."""
    code = f"from services.native import build; build.apart({begun!r})"
    with (home().parent / "said").open("w") as said:
        subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            cwd=ROOT, env=environment(), pass_fds=[lock.fileno()], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip


def _taken(lock: IO[str], how: int = 0) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | how)
    except BlockingIOError:
        return False
    return True


def _done(begun: float, why_not: str = "") -> int:
    """Exit status; and the stamp by which `./run` knows that there is nothing to do, but for what was changed since the beginning."""
    stamp = Path(sys.prefix, "native.stamp")
    with contextlib.suppress(OSError):
        stamp.touch()
        os.utime(stamp, (begun, begun))
    if why_not:
        _say(f"The hot path runs in Python, about half as fast: {why_not}")
    return 1 if why_not else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _compiler() -> list[str] | str:
    """The command to compile with; or why there is none."""
    named = shlex.split(os.environ.get("CC", ""))
    found = named or [path for path in map(shutil.which, ("cc", "gcc", "clang")) if path][:1]
    if not found:
        return "no C compiler"
    here = Path(sysconfig.get_paths()["include"], "Python.h").exists()
    return found if here else "no Python.h (Debian, Ubuntu: apt install python3-dev)"


def _build(compiler: list[str]) -> str:
    """Compile all, and clear away what is left over; why it could not be done, or nothing. The caller holds the lock."""
    begun = home()
    for left in begun.parent.glob(_AT_WORK + "*"):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(dir=home().parent, prefix=_AT_WORK) as work:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(lambda module: _compile(module, compiler, Path(work)), COMPILED))
            digest.cache_clear()
            if home() != begun:
                return "its source was changed meanwhile"
            Path(work, "built").rename(begun)
    except subprocess.CalledProcessError as error:
        return f"{error}\n{error.stderr[-2000:]}"
    except OSError as error:
        return str(error)
    builds = [path for path in home().parent.iterdir() if path.is_dir()]
    for old in sorted(builds, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return ""


def _compile(module: str, compiler: list[str], work: Path) -> None:
    source, c = source_of(module), work / f"{module}.c"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    library = work.joinpath("built", *module.split(".")).with_suffix(suffix)
    library.parent.mkdir(parents=True, exist_ok=True)
    named = ("--module-name", module, *_DIRECTIVES, "-I", str(ROOT), str(source), "-o", str(c))
    headers = (sysconfig.get_paths()["include"], str(source.parent), str(_HEADERS))
    cython = (sys.executable, "-m", "cython", "-3", *named)
    for command in (cython, (*compiler, *_FLAGS, *(f"-I{path}" for path in headers), str(c), "-o", str(library))):
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main("--beside" in sys.argv[1:]))
