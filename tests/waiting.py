"""Tests wait for what they rely on, and never for a length of time."""

import asyncio
import inspect
from collections.abc import Callable

import psutil

WITHIN_S = 60.0
"""What comes at all comes within a second or two; a machine that does ten things at once takes longer."""


async def until(holds: Callable[[], object], what: str = "") -> None:
    """Wait for a condition, which may be one to be awaited. Raises TimeoutError."""
    try:
        async with asyncio.timeout(WITHIN_S):
            while not (await held if inspect.isawaitable(held := holds()) else held):
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"not within {WITHIN_S:.0f} s: {what or _source(holds)}") from None


def _source(holds: Callable[[], object]) -> str:
    """What is waited for, as it is written; of what is no function of its own, as Python shows it."""
    try:
        return inspect.getsource(holds).strip()
    except (TypeError, OSError):
        return repr(holds)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, also one that nobody has asked for its status."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
