"""Which partitions the matchers hold together, learnt from their events: Pumasi is up only when none is missing.

With several matchers, the first gets all partitions and hands some on when the next joins. Each says that it is ready once its own are
rebuilt, and that says nothing about partitions that are just changing hands.
"""

import asyncio
from typing import Any

from services.news import Assigned, Forgotten, Stopped, Taken, read
from services.system.supervisor import Listener


class Holdings:
    """Hears all that services say, and passes it on.

    `complete` is set at the first moment at which every one of `partitions` is held, or stopped by an alarm of its own.
    """

    def __init__(self, listener: Listener, partitions: int) -> None:
        self.complete = asyncio.Event()
        self._listener, self._wanted = listener, set(range(partitions))
        self._given: dict[str, set[int]] = {}
        self._rebuilt: dict[str, set[int]] = {}

    def said(self, service: str, line: str) -> None:
        self._listener.said(service, line)

    def event(self, service: str, event: dict[str, Any]) -> None:
        self._listener.event(service, event)
        rebuilt = self._rebuilt.setdefault(service, set())
        match read(event):
            case Assigned(partitions):
                self._given[service] = set(partitions)
                rebuilt &= self._given[service]
            case Taken(partition) | Stopped(partition):
                rebuilt.add(partition)
            case Forgotten(partition):
                rebuilt.discard(partition)
        if self._wanted <= {p for name, ours in self._rebuilt.items() for p in ours & self._given.get(name, set())}:
            self.complete.set()

    def ended(self, service: str, status: int, pause_s: float) -> None:
        self._given.pop(service, None)
        self._rebuilt.pop(service, None)
        self._listener.ended(service, status, pause_s)
