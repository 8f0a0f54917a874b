"""Keeps freed memory that is wanted again soon.

A batch of megabytes is made, sent and freed many times a second. By default the C library returns such pieces to the system, which
clears every page when it is wanted again; on a virtual machine, where the host takes part, that takes microseconds a page.
"""

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_PIECE_BYTES, _KEPT_BYTES = 32 << 20, 64 << 20  # a larger piece glibc would not keep


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
