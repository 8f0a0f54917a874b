"""Turns: work that may be long, in slices, so that whoever shares the loop is answered meanwhile."""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.01
"""How long a slice is, about: it ends with the piece of work at hand."""


class Turns:
    """Gives others a turn whenever a slice is over."""

    def __init__(self) -> None:
        self._over = time.monotonic() + SLICE_SECONDS

    async def breathe(self) -> None:
        """Call between two pieces of work."""
        if time.monotonic() > self._over:
            await asyncio.sleep(0)
            self._over = time.monotonic() + SLICE_SECONDS
