"""What a process does with its memory, where the system can be told.

A batch of megabytes is made, sent and freed many times a second. By default the C library returns such pieces to the system, which
clears every page when it is wanted again; on a virtual machine, where the host takes part, that takes microseconds a page.

What a command touches lies anywhere in what is remembered. A processor knows by heart where some thousand pages are, and has to look
up the others; of a hundred megabytes in small pages that is nearly all, in large ones none.
"""

import contextlib
import ctypes
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_PIECE_BYTES, _KEPT_BYTES = 32 << 20, 64 << 20  # a larger piece glibc would not keep
_HUGEPAGE, _COLLAPSE = 14, 25  # sys/mman.h; an older Linux lacks the second, and moves memory when it finds the time
_LARGE_PAGE_BYTES = 2 << 20
_ANONYMOUS = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0\s+(?:\[heap\])?$")


def keep_freed_memory() -> None:
    """Let this process keep what it frees, up to 64 MiB; where the C library isn't GNU's, nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        if mallopt(_MMAP_THRESHOLD, _PIECE_BYTES) == 1:
            mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def give_freed_memory_back() -> None:
    """Give back what this process has freed up to now; after a recovery, which takes much that is never wanted again."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class LargePages:
    """Moves what this process remembers to large pages, once it is much, and again whenever it has doubled.

    To move it takes processor time, and who needs more memory meanwhile waits. Elsewhere than on Linux, and where an administrator has
    turned such pages off, nothing happens.
    """

    def __init__(self, from_bytes: int = 256 << 20) -> None:
        self._from_bytes = from_bytes
        self._moving: Thread | None = None

    def keep_up(self) -> None:
        """To be called now and then; whoever moves does so beside the caller."""
        if (self._moving and self._moving.is_alive()) or (resident := _resident_bytes()) < self._from_bytes:
            return
        self._from_bytes = 2 * resident
        self._moving = Thread(target=_move, daemon=True, name="large pages")
        self._moving.start()

    def wait(self) -> None:
        """Wait until nothing is being moved."""
        if self._moving:
            self._moving.join()


def _resident_bytes() -> int:
    """Memory that this process has; 0 where the system doesn't tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _move() -> None:
    with contextlib.suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None).madvise  # other threads go on meanwhile
        madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for begin, end in _regions():
            if madvise(begin, end - begin, _HUGEPAGE) == 0:
                for page in range(begin, end, _LARGE_PAGE_BYTES):
                    madvise(page, _LARGE_PAGE_BYTES, _COLLAPSE)


def _regions() -> Iterator[tuple[int, int]]:
    """Where there is memory of this process alone, as far as it fills large pages."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if found := _ANONYMOUS.match(line):
            begin = -(-int(found[1], 16) // _LARGE_PAGE_BYTES) * _LARGE_PAGE_BYTES
            end = int(found[2], 16) // _LARGE_PAGE_BYTES * _LARGE_PAGE_BYTES
            if begin < end:
                yield begin, end
