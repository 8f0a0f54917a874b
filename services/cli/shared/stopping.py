"""How a command that runs until it is told to stop hears of it."""

import asyncio
import signal


def stop_on_signals() -> "asyncio.Future[None]":
    """Done when SIGINT or SIGTERM comes; a second signal changes nothing, since the stop is under way."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopping.done():
            stopping.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return stopping
