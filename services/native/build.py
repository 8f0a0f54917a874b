"""Compile the hot path into the environment: `python -m services.native.build`. What `./run` does once after setting up.

Cython makes C of each module, the machine's compiler makes a library of that. Exit status 0: built, or nothing to do; 1: it could not
be, for the reason printed on standard error, and everything runs in Python as it is.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.native import COMPILED, ROOT, home, source_of

_HEADERS = Path(__file__).parent
_KEPT = 4  # builds of other versions: whoever goes back and forth need not wait, and who runs one has it under his feet
_AT_WORK = ".making-"
_DIRECTIVES = ("-X", "annotation_typing=False", "-X", "embedsignature=True")
_FLAGS = ("-O2", "-fPIC", "-shared", "-w", "-fno-strict-aliasing", "-fwrapv")


def main() -> int:
    """Build what is missing."""
    if home().is_dir():
        return 0
    compiler = (
        shlex.split(os.environ.get("CC", ""))
        or [found for found in map(shutil.which, ("cc", "gcc", "clang")) if found][:1]
    )
    include = sysconfig.get_paths()["include"]
    if not compiler or not Path(include, "Python.h").exists():
        return _without("no Python.h (Debian, Ubuntu: apt install python3-dev)" if compiler else "no C compiler")
    print("Compiling the hot path (once for each version of it; a quarter of a minute) …", file=sys.stderr, flush=True)
    try:
        home().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home().parent, prefix=_AT_WORK) as work:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(lambda module: _compile(module, compiler, include, Path(work)), COMPILED))
            with contextlib.suppress(OSError):  # another has just built the same
                Path(work, "built").rename(home())
    except subprocess.CalledProcessError as error:
        return _without(f"{error}\n{error.stderr[-2000:]}")
    except OSError as error:
        return _without(str(error))
    with contextlib.suppress(OSError):  # another is at the same
        builds = [path for path in home().parent.iterdir() if not path.name.startswith(_AT_WORK)]
        for old in sorted(builds, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return 0


def _without(why: str) -> int:
    print(f"The hot path runs in Python, about half as fast: {why}", file=sys.stderr)
    return 1


def _compile(module: str, compiler: list[str], include: str, work: Path) -> None:
    source, c = source_of(module), work / f"{module}.c"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    library = work.joinpath("built", *module.split(".")).with_suffix(suffix)
    library.parent.mkdir(parents=True, exist_ok=True)
    named = ("--module-name", module, *_DIRECTIVES, "-I", str(ROOT), str(source), "-o", str(c))
    headers = (include, str(source.parent), str(_HEADERS))
    cython = (sys.executable, "-m", "cython", "-3", *named)
    for command in (cython, (*compiler, *_FLAGS, *(f"-I{path}" for path in headers), str(c), "-o", str(library))):
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
