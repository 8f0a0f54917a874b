"""The hot path, compiled where there is a C compiler: the same source, or the same contract, several times faster.

Some modules are compiled as they are, with their classes' fields laid out for C in a `.pxd` beside them; others are written in Cython:
who is next in line (`matcher/places`), records found in the bytes of a fetch (`bus/rawrecords`), the express lane over them
(`matcher/lane`, `matcher/swift`), awards that lie untouched (`matcher/fresh`), a checkpoint's records of pledges (`matcher/rowtext`),
records framed for a batch (`bus/framing`), and what these write with (`buffer`, `blake`, `chain`). All of it can be done without:
where nothing is compiled, or with `PUMASI_PURE=1`, the Python modules do the same, byte for byte.

A build lies in the environment (`sys.prefix`), under a digest of all it was made of. So it can't be older than the source: whoever
changes a line runs that line, in Python, until the next `./run`.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from hashlib import blake2b
from pathlib import Path

COMPILED = (
    "services.native.blake", "services.native.buffer", "services.native.chain", "services.matcher.rules.waterfill_arithmetic", "services.matcher.model.award_rows",
    "services.matcher.model.entities", "services.matcher.model.changes", "services.matcher.engine.fund", "services.matcher.rules.key_heap",
    "services.matcher.rules.waterfill", "services.matcher.fast.plain", "services.matcher.fast.swift", "services.matcher.ledger.draft", "services.matcher.checkpoint.rows",
    "services.matcher.checkpoint.writing", "services.bus.client.framing", "services.bus.client.record_batch", "services.bus.client.raw_records",
    "services.matcher.checkpoint.rowtext", "services.matcher.fast.lane",
)  # fmt: skip
"""The modules that are compiled."""
ROOT = Path(__file__).parents[2]


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
    return os.environ.get("PUMASI_PURE", "0") in ("", "0") and home().is_dir()


def paths(package: str) -> list[str]:
    """Where else to look for a package's modules, before its own folder."""
    return [str(home().joinpath(*package.split(".")))] if in_use() else []


__path__[:0] = paths(__name__)
