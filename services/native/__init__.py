"""The hot path, compiled where there is a C compiler: the same source, or the same contract, several times faster.

Some modules are compiled as they are, with their classes' fields laid out for C in a `.pxd` beside them. Others are written in Cython,
beside the Python that defines what they do. All of it can be done without: where nothing is compiled, or with `PUMASI_PURE=1`, the
Python modules do the same, byte for byte.

A build lies in the environment (`sys.prefix`), under a digest of all it was made of. So it can't be older than the source: whoever
changes a line runs that line, in Python, until the next `./run`.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from hashlib import blake2b
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

COMPILED = (
    "schemas.numbers", "schemas.currencies", "schemas.times", "schemas.plain", "schemas.structs", "schemas.command", "schemas.forms",
    "schemas.ledger",
    "services.native.blake", "services.native.buffer", "services.native.chain",
    "services.bus.client.framing", "services.bus.client.record_batch", "services.bus.client.raw_records",
    "services.bus.envelope", "services.bus.sound",
    "services.matcher.model.award_rows", "services.matcher.model.entities", "services.matcher.model.changes",
    "services.matcher.model.timers", "services.matcher.model.totals", "services.matcher.model.waiting_money",
    "services.matcher.rules.protocol", "services.matcher.rules.waterfill_arithmetic", "services.matcher.rules.key_heap",
    "services.matcher.rules.waterfill",
    "services.matcher.engine.fund", "services.matcher.engine.ageing", "services.matcher.engine.facts",
    "services.matcher.engine.transition", "services.matcher.engine.commands", "services.matcher.engine.conservation",
    "services.matcher.engine.engine", "services.matcher.ledger.answer", "services.matcher.ledger.draft",
    "services.matcher.checkpoint.rows", "services.matcher.checkpoint.writing", "services.matcher.checkpoint.rowtext",
)  # fmt: skip
"""The modules that are compiled."""
ROOT = Path(__file__).parents[2]
_TOO_LATE = any(name in sys.modules for name in COMPILED)
"""Whether one is in Python already: what is compiled knows the others as compiled."""


def source_of(module: str) -> Path:
    """The source of a compiled module: Cython's, or Python's."""
    path = ROOT.joinpath(*module.split("."))
    return next(found for suffix in (".pyx", ".py") if (found := path.with_suffix(suffix)).exists())


@cache
def digest() -> str:
    """Stands for all that a build is made of; hex."""
    found = blake2b(digest_size=16)
    for module in COMPILED:
        source = source_of(module)
        for part in (source, source.with_suffix(".pxd"), source.with_suffix(".h")):
            found.update(part.read_bytes() if part.exists() else b"-")
            found.update(b"\0")
    found.update(Path(__file__).with_name("build.py").read_bytes())
    found.update(str(sysconfig.get_config_var("EXT_SUFFIX")).encode())
    return found.hexdigest()


def home() -> Path:
    """Where the build of this source lies, if there is one."""
    return Path(sys.prefix) / "native" / digest()


@cache
def in_use() -> bool:
    """Whether compiled modules are used by this process."""
    return os.environ.get("PUMASI_PURE", "0") in ("", "0") and not _TOO_LATE and home().is_dir()


class _Finder(MetaPathFinder):
    """Finds a compiled module before its source."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name not in COMPILED or not in_use():
            return None
        library = home().joinpath(*name.split(".")).with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
        return spec_from_file_location(name, library)


sys.meta_path.insert(0, _Finder())
