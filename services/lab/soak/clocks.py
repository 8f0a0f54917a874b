"""Clocks that step: libfaketime under a service, which reads from a file how far its clock is off.

The monotonic clock is left alone, as on a machine whose time was set. Where libfaketime isn't installed there are no such
faults, and the figures say so (Debian: `apt-get install libfaketime`).
"""

from __future__ import annotations

from pathlib import Path

_PLACES = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/libfaketime.so.1",
)


def library() -> Path | None:
    """Where libfaketime lies; None if it isn't installed."""
    for place in _PLACES:
        found = sorted(Path("/").glob(place.lstrip("/")))
        if found:
            return found[0]
    return None


class Clock:
    """One service's clock.

    Args:
        file: where it is told how far it is off.
        preloaded: libfaketime.

    """

    def __init__(self, file: Path, preloaded: Path) -> None:
        self._file, self._library = file, preloaded
        self.step(0.0)

    def step(self, seconds: float) -> None:
        """Be off by so many seconds from now on."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{seconds:+.3f}\n")
        draft.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """What the service has to be started with."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
