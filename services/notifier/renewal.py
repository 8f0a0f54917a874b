"""The notifier's key, renewed while the notifier runs: `pumasi.services.v1` says when the keys here have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from services import keys
from services.bus import fingerprints
from services.bus.consume.tail import Tail
from services.bus.envelope import Record
from services.bus.security import Bootstrap
from services.bus.topics import SERVICES
from services.errors import SettingError
from services.notifier.languages import Languages
from services.settings import Settings


class Renewal:
    """Has the notifier's keys read again whenever the topic announces them."""

    def __init__(self, languages: Languages, settings: Settings) -> None:
        self._languages, self._settings, self._told = languages, settings, asyncio.Event()
        self._in_use: str | None = None
        self._used: dict[str, str] = {}

    def used(self) -> dict[str, str]:
        """The fingerprint of our key, of two the one in use; while none can be read, that of before."""
        with suppress(SettingError):
            self._used = self._ours()
        return self._used

    def _ours(self) -> dict[str, str]:
        ours = [keys.fingerprint(key.public_key) for key in keys.private_keys(self._settings, "notifier")]
        return {"notifier": self._in_use if self._in_use in ours else ours[0]}

    async def hold(self, bootstrap: str) -> None:
        """See that one of our keys is in use.

        Raises:
            KeyOther: if none is.
            KeyMissing, KeyUnsafe: if they can't be read.
            KafkaUnreachable, TopicsMismatch: if that isn't known.
        """
        self._in_use = (await fingerprints.known(bootstrap)).get("notifier")
        await fingerprints.hold(bootstrap, "notifier", self._ours(), keys.directory(self._settings))

    @asynccontextmanager
    async def following(self, bootstrap: Bootstrap) -> AsyncIterator[None]:
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
        process, told = fingerprints.told_in(record)
        if process == fingerprints.OURS:
            self._in_use = told.get("notifier", self._in_use)
            self._told.set()

    async def _renew(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            await self._languages.renew_keys()
