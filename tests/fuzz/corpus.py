"""The kept corpus: per target, the few inputs that together reach what the fuzzer has reached; a line each, in base64.

`python -m tests.fuzz.corpus TARGET` chooses them anew from what lies in FOUND: the shortest that takes a step in our code (from a line
to a line) that none before it took. Needs no Atheris.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
FOUND = Path("/tmp/pumasi-fuzz")
KEPT = Path(__file__).parent / "corpus"
BYTES_MAX = 40_000
"""The most bytes kept of one target's inputs; the shortest ones stay."""


def kept(target: str) -> list[bytes]:
    """The inputs kept of a target."""
    path = KEPT / f"{target}.txt"
    return [base64.b64decode(line) for line in path.read_text().split()] if path.exists() else []


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Keep these in place of what is kept."""
    lines = [base64.b64encode(data).decode() for data in inputs]
    while sum(map(len, lines)) > BYTES_MAX:
        lines.pop()
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{target}.txt").write_text("\n".join(lines) + "\n")


def chosen(run: Callable[[bytes], None], inputs: Iterable[bytes]) -> Iterator[bytes]:
    """The inputs that take a step that none before it took, the short ones first."""
    taken: set[tuple[Any, int, int]] = set()
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        before = len(taken)
        sys.settrace(tracer(taken))
        try:
            run(data)
        finally:
            sys.settrace(None)
        if len(taken) > before:
            yield data


def tracer(taken: set[tuple[Any, int, int]]) -> Callable[..., Any]:
    """What notes each step in our code as its file, and the lines from and to."""
    ours = tuple(str(ROOT / folder) for folder in ("services", "schemas"))

    def begin(frame: FrameType, _event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(ours):
            return None
        last = 0

        def step(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            if event == "line":
                taken.add((frame.f_code, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    return begin


if __name__ == "__main__":
    from tests.fuzz.seeds import of
    from tests.fuzz.targets import TARGETS

    for name in sys.argv[1:] or TARGETS:
        found = [path.read_bytes() for path in (FOUND / name).iterdir()] if (FOUND / name).exists() else []
        keep(name, chosen(TARGETS[name], [*found, *kept(name), *of(name)]))
