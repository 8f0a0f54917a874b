"""The broker's disk: a small filesystem in memory, in a mount namespace of this process and its children, that can be filled.

Nobody else sees the mount, and it is gone with the last process that does, kill -9 included. Making it needs root; who isn't
root keeps the broker's data on an ordinary disk, which nobody would want filled, and that fault is left out.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

LEAST_MB = 600
BYTES_A_SUBMISSION = 8_000
"""What one submission leaves behind on all topics together, at most."""
_CLONE_NEWNS = 0x00020000  # linux/sched.h
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000  # linux/mount.h
_MNT_DETACH = 2  # linux/fs.h
_BLOCK = b"\0" * (1 << 20)


class Disk:
    """A bounded filesystem on a directory.

    Args:
        place: an empty directory.

    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / "ballast"

    def fill(self) -> int:
        """Write until there is no room; how many bytes that took."""
        written = 0
        with self._ballast.open("wb", buffering=0) as ballast:
            try:
                while True:
                    written += ballast.write(_BLOCK)
            except OSError:
                pass
            try:
                while True:
                    written += ballast.write(_BLOCK[:512])
            except OSError:
                return written

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    def keep(self) -> None:
        """Copy what lies on it to the directory under it, which stays; the mount is gone then."""
        kept = self.place.with_name(f"{self.place.name}.kept")
        shutil.copytree(self.place, kept, ignore=shutil.ignore_patterns("ballast"))
        self.unmount()
        self.place.rmdir()
        kept.rename(self.place)

    def unmount(self) -> None:
        """Let go of it, with all that lies on it."""
        _done(ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(self.place), _MNT_DETACH))


def size_for(length_s: float, rate: float) -> int:
    """MiB that the broker's data of a soak of so many seconds, with so many submissions a second, have room in."""
    return LEAST_MB + int(length_s * rate * BYTES_A_SUBMISSION) // (1 << 20)


def mounted(place: Path, size_mb: int) -> Disk | None:
    """Mount a filesystem of so many MiB on `place`; None where this process may not. Call it before any thread is started."""
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        _done(libc.unshare(_CLONE_NEWNS))
        _done(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
        _done(libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, f"size={size_mb}m,mode=0700".encode()))
    except (OSError, AttributeError):
        return None
    return Disk(place)


def _done(status: int) -> None:
    if status != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
