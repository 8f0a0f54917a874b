"""The watcher: follows the ledger (read_committed) and the notices, and knows what became of what was sent.

The player waits here for what the ledger says, never for a length of time. Figures are folded from entries alone. Entries that were
there before watching began are folded too, but not shown: a second run on the same directory has nothing new to show.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from services.bus.consume.tail import Tail, read_last
from services.bus.envelope import Record
from services.bus.topics import LEDGER, NOTICES
from services.errors import ServiceFailed
from services.stories.figures import Figures

_ALL = 1 << 62
STALLED_AFTER_S = 60.0
_LOOK_EVERY_S = 0.01


class Watch:
    """Follows a ledger from its start.

    `on_entry` is called with each entry (decoded value) that is new since `start`; `notices` holds the ids told for each fund. The
    entry that the event `keep` caused is `kept` as it lies on the topic.
    """

    def __init__(
        self, bootstrap: str, on_entry: Callable[[dict[str, Any]], None] = lambda _: None, keep: str | None = None
    ) -> None:
        self._bootstrap, self._on_entry, self._keep = bootstrap, on_entry, keep
        self.figures = Figures()
        self.causes: set[str] = set()
        self.kept: Record | None = None
        self.notices: dict[str, set[str]] = defaultdict(set)
        self.old_entries = 0
        self._old: dict[int, int] = {}  # partition → offset of the last entry that is not new
        self._read: dict[int, int] = {}
        self._tails: list[asyncio.Task[None]] = []
        self._failure: Exception | None = None

    async def start(self) -> None:
        """Look how far the ledger has come, then follow it and the notices. Raises KafkaUnreachable, TopicsMismatch."""

        def note_end(record: Record) -> None:
            self._old[record.partition] = record.offset

        await read_last(self._bootstrap, LEDGER, _ALL, note_end)  # the very last is a transaction's mark
        for topic, handle in ((LEDGER, self._entry), (NOTICES, self._notice)):
            tail = Tail(lambda: self._bootstrap, topic, "pumasi-demo", self._guarded(handle))
            self._tails.append(asyncio.create_task(tail.run()))
        await self.until(
            lambda: all(self._read.get(partition, -1) >= end for partition, end in self._old.items()),
            "what is in the ledger already is read",
        )
        self.old_entries = self.figures.entries

    async def stop(self) -> None:
        """Stop following."""
        for tail in self._tails:
            tail.cancel()
        await asyncio.gather(*self._tails, return_exceptions=True)

    async def until(self, holds: Callable[[], bool], what: str, stalled_after_s: float = STALLED_AFTER_S) -> None:
        """Wait until `holds`, as long as anything at all still moves. Raises ServiceFailed when nothing did for a minute."""
        moved, seen = time.monotonic(), self._moves()
        while not holds():
            if self._failure is not None:
                raise self._failure
            if self._moves() != seen:
                moved, seen = time.monotonic(), self._moves()
            if time.monotonic() - moved > stalled_after_s:
                raise ServiceFailed(f"nothing moved for {stalled_after_s:.0f} s while waiting until {what}")
            await asyncio.sleep(_LOOK_EVERY_S)

    def _moves(self) -> tuple[int, int]:
        """How many entries and different notices there are, for all funds."""
        return self.figures.entries, sum(map(len, self.notices.values()))

    def _guarded(self, handle: Callable[[Record], None]) -> Callable[[Record], None]:
        """A tail logs what is raised and passes on; a figure that can't be folded must end the demo."""

        def guarded(record: Record) -> None:
            try:
                handle(record)
            except Exception as error:
                self._failure = self._failure or error
                raise

        return guarded

    def _entry(self, record: Record) -> None:
        entry = json.loads(record.value or b"")
        self.figures.take(entry, record.partition)
        self._read[record.partition] = record.offset
        if not entry.get("more") and entry["cause"]["id"]:
            self.causes.add(entry["cause"]["id"])
            if entry["cause"]["id"] == self._keep:
                self.kept = record
        if record.offset > self._old.get(record.partition, -1):
            self._on_entry(entry)

    def _notice(self, record: Record) -> None:
        notice = json.loads(record.value or b"")
        self.notices[notice["fund"]].add(notice["id"])
