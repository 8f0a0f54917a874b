"""aiokafka's consumer, with an end that is one.

When it stops, aiokafka (0.14) cancels its fetches and awaits them. A fetch that failed, since its broker has died, waits out a back-off
for a moment, and there it lets the cancellation through: `stop` ends with a CancelledError though nobody has cancelled its caller, and
leaves connections open. No `except Exception` hears of that. A task that only tidied up after itself ends in silence, and with it
whatever it was there for: a partition's recovery, a place in the group.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

from services.bus.fetching import find_records_raw


class Consumer(AIOKafkaConsumer):
    """The same; `stop` raises CancelledError only to who is cancelled, and records are found in the quicker way."""

    async def start(self) -> None:
        """Begin; see `AIOKafkaConsumer.start`."""
        await super().start()
        find_records_raw(self._fetcher)

    async def stop(self) -> None:
        """Let go of everything."""
        try:
            await super().stop()
        except asyncio.CancelledError:
            await self._client.close()
            if asyncio.current_task().cancelling():
                raise
