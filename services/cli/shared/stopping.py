"""How a running command learns that it should stop: by a signal, or because this machine's keys are gone (`pumasi panic`)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.settings import Settings

_LOOK_EVERY_SECONDS = 0.3


def stop_on_signals(settings: Settings) -> asyncio.Future[None]:
    """Done when SIGINT or SIGTERM comes, or keys that were there are gone; a second time changes nothing: the stop is under way."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopping.done():
            stopping.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    when_keys_go(settings, stop)
    return stopping


def when_keys_go(settings: Settings, stop: Callable[[], None]) -> None:
    """Call `stop` once the directory of keys has been seen with something in it, and then isn't there or is empty."""
    from services import keys

    loop, kept = asyncio.get_running_loop(), keys.directory(settings)

    def look(before: bool) -> None:
        now = _holds_any(kept)
        if before and not now:
            print("This machine's keys are gone: stopping.", file=sys.stderr, flush=True)
            stop()
        else:
            loop.call_later(_LOOK_EVERY_SECONDS, look, now)

    look(False)


def _holds_any(kept: Path) -> bool:
    try:
        with os.scandir(kept) as found:
            return any(True for _ in found)
    except OSError:
        return False
