"""How a running command learns that it should stop: by a signal, or because this machine's keys are gone (`pumasi panic`)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from services.settings import Settings

_LOOK_EVERY_SECONDS = 0.75
T = TypeVar("T")


def until_told_to_stop(*, hangup: bool = False) -> asyncio.Future[signal.Signals]:
    """Done with the signal when SIGINT or SIGTERM comes, or SIGHUP if that is asked.

    A second one changes nothing: the stop is under way.
    """
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[signal.Signals] = loop.create_future()
    for number in (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hangup else ())):
        loop.add_signal_handler(number, _stop, stopping, number)
    return stopping


def _stop(stopping: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    if not stopping.done():
        stopping.set_result(number)


def stop_on_signals(settings: Settings, *users: str, hangup: bool = False) -> asyncio.Future[signal.Signals]:
    """What `until_told_to_stop` gives; done with SIGTERM also if keys of these Kafka users go (`when_keys_go`)."""
    stopping = until_told_to_stop(hangup=hangup)
    when_keys_go(settings, lambda: _stop(stopping, signal.SIGTERM), *users)
    return stopping


async def unless_stopped(work: Coroutine[Any, Any, T], stopping: asyncio.Future[Any]) -> T | None:
    """What work comes to, or raises; None if it was told to stop before: then it is over too, by a cancellation."""
    running = asyncio.ensure_future(work)
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        running.cancel()
        await asyncio.wait({running})
    return None if running.cancelled() and stopping.done() else running.result()


async def first(works: set[asyncio.Future[Any]]) -> None:
    """Return once one of these is over, or raise what ended it."""
    over, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
    for work in over:
        work.result()


def when_keys_go(settings: Settings, stop: Callable[[], None], *users: str) -> None:
    """Call `stop` once keys are gone that were there, whatever else lies beside them.

    Of the private files of these Kafka users any is enough; where they have none of their own here, all files of all services must go.
    """
    from services import keys
    from services.bus import access

    loop = asyncio.get_running_loop()
    own, others = (
        [str(path) for user in group for path in keys.own_files(settings, user)] for group in (users, access.USERS)
    )

    def look(seen: list[str], enough: Callable[[Iterable[bool]], bool]) -> None:
        mine = _there(own)
        if mine == seen or enough(map(os.path.lexists, seen)) or not seen:
            loop.call_later(_LOOK_EVERY_SECONDS, look, mine or _there(others), all if mine else any)
        else:
            print("This machine's keys are gone: stopping.", file=sys.stderr, flush=True)
            stop()

    look([], all)


def _there(files: Iterable[str]) -> list[str]:
    return [file for file in files if os.path.lexists(file)]
