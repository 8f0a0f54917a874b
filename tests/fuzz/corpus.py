"""The kept corpus: per target, the few inputs that together reach what the fuzzer has reached; a line each, in base64."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

KEPT = Path(__file__).parent / "corpus"
BYTES_MAX = 40_000
"""The most bytes kept of one target's inputs; the shortest ones stay."""


def kept(target: str) -> list[bytes]:
    """The inputs kept of a target."""
    path = KEPT / f"{target}.txt"
    return [base64.b64decode(line) for line in path.read_text().split()] if path.exists() else []


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Keep these in place of what is kept."""
    lines, size = [], 0
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        lines.append(base64.b64encode(data).decode())
        size += len(lines[-1])
        if size > BYTES_MAX:
            break
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{target}.txt").write_text("\n".join(lines) + "\n")
