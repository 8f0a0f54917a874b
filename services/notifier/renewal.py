"""The notifier's key, renewed while the notifier runs: `pumasi.services.v1` says when the keys here have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services import keys
from services.bus import fingerprints
from services.bus.consume.tail import Tail
from services.bus.envelope import Record
from services.bus.topics import SERVICES
from services.notifier.languages import Languages
from services.settings import Settings


class Renewal:
    """Has the notifier's keys read again whenever the topic announces them."""

    def __init__(self, languages: Languages) -> None:
        self._languages, self._told = languages, asyncio.Event()

    async def hold(self, bootstrap: str, settings: Settings) -> None:
        """Check that one of our keys is in use.

        Raises:
            KeyOther: if none is.
            KafkaUnreachable, TopicsMismatch: if that isn't known.
        """
        ours = [keys.fingerprint(bytes(key.public_key)) for key in keys.notifier_private_keys(settings)]
        told = (await fingerprints.known(bootstrap)).get("notifier")
        await fingerprints.hold(bootstrap, "notifier", {"notifier": told if told in ours else ours[0]})

    @asynccontextmanager
    async def following(self, bootstrap: Callable[[], str]) -> AsyncIterator[None]:
        """Follow what is announced about keys while inside."""
        tail = Tail(bootstrap, SERVICES, "pumasi-notifier", self._follow)
        tasks = asyncio.create_task(tail.run()), asyncio.create_task(self._renew())
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self, record: Record) -> None:
        if fingerprints.told_in(record)[0] == fingerprints.OURS:
            self._told.set()

    async def _renew(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            await self._languages.renew_keys()
