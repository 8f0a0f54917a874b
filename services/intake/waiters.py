"""Waiting for a receipt to say more: `?wait=10s` answers as soon as the event is decided, or when the time is over.

A waiter costs a connection, which isn't closed to make room, so many may wait, but not any number: one more is answered at once, and
asks again. A client that has hung up stops waiting, and a service that stops ends all waiting.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

from starlette.requests import Request

from services.intake.cloudevents import Malformed
from services.intake.rates import network_of

WAIT_SECONDS_MAX = 30.0
"""The longest wait; whoever asks for more gets this. Proxies give up after a minute, or half of one."""
WAITERS_MAX = 256
"""So many wait at once."""
WAITERS_PER_ADDRESS_MAX = 32
"""So many of one address: half of the connections that it may have, so that the others are there for whoever asks at once."""

_WAIT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s)?")


def seconds_of(text: str) -> float:
    """The seconds that a `wait` asks for, at most WAIT_SECONDS_MAX: `2s`, `1.5s`, `500ms`, or a bare number of seconds.

    Raises:
        Malformed: if it asks for nothing of the kind.

    >>> seconds_of("2s"), seconds_of("500ms"), seconds_of("3600")
    (2.0, 0.5, 30.0)
    """
    found = _WAIT.fullmatch(text)
    if found is None:
        raise Malformed(f"wait: not a time such as 2s or 500ms, of at most {WAIT_SECONDS_MAX:g}s")
    return min(float(found[1]) / (1000 if found[2] == "ms" else 1), WAIT_SECONDS_MAX)


class Waiters:
    """Those who wait now."""

    def __init__(self) -> None:
        self._here = Counter[str]()
        self._end = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many these are."""
        return self._here.total()

    def end(self) -> None:
        self._end.set()

    async def wait(self, decision: asyncio.Future[None], request: Request, seconds: float) -> None:
        """Return once there is a decision, the time is over, or the waiting is pointless; at once if too many wait already."""
        address = network_of(request.client.host if request.client else "")
        if self.waiting >= WAITERS_MAX or self._here[address] >= WAITERS_PER_ADDRESS_MAX:
            return
        self._here[address] += 1
        others: list[asyncio.Task[Any]] = [asyncio.create_task(_gone(request)), asyncio.create_task(self._end.wait())]
        try:
            await asyncio.wait([decision, *others], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in others:
                task.cancel()
            self._here[address] -= 1
            self._here += Counter()  # drops those that wait no more


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
