"""The environment of the Python libraries that Pumasi is compared with: `.venv-bench` in the checkout, made on first use.

They are no dependencies of Pumasi, and theirs may contradict Pumasi's own. The same code makes it that makes Pumasi's
(`bootstrap.py`), from a lock with hashes, with progress on standard error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from services.errors import PumasiError

CHECKOUT = Path(__file__).parents[4]
LOCK = CHECKOUT / "requirements-bench.lock"
PYTHON = CHECKOUT / ".venv-bench" / "bin" / "python"
_BOOTSTRAP = CHECKOUT / "services" / "cli" / "bootstrap.py"


class PeersUnavailable(PumasiError):
    """What Pumasi is compared with could not be installed."""

    code = "peers_unavailable"


def is_ready() -> bool:
    """Whether the environment is there and holds the lock."""
    stamp = CHECKOUT / ".venv-bench" / LOCK.name
    return PYTHON.exists() and LOCK.exists() and stamp.exists() and stamp.read_bytes() == LOCK.read_bytes()


def ready() -> Path:
    """The environment's Python; made if it isn't there. Blocks; a minute when cold.

    Raises:
        PeersUnavailable: if it can't be made; what pip said is on standard error.
    """
    if not is_ready():
        if not LOCK.exists():
            raise PeersUnavailable(f"no {LOCK.name} here", hint="Run the bench from a checkout.")
        if subprocess.run([sys.executable, "-I", _BOOTSTRAP, CHECKOUT, "bench"], check=False).returncode:
            raise PeersUnavailable("their packages could not be installed", hint="See above; the others still run.")
    return PYTHON


def versions(python: Path, *names: str) -> dict[str, str]:
    """The version of each distribution `names` in the environment of `python`."""
    code = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    told = subprocess.run([python, "-I", "-c", code, *names], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(told.stdout)
