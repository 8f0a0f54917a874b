"""The key that intake seals for, as it changes: intake follows `pumasi.services.v1`, as it follows senders, and reads
notifier.pub anew.

The bus says only which key is in use, never the key itself: whoever may write there could have contacts sealed for themselves. A
key comes from the directory of keys alone, and is taken once it is the one that the bus announces. Until then nothing that is
sealed is published, since the key it is sealed for is about to be destroyed: senders get 503, the topic waits.

Once all that was sealed for the former key is on its topic, or given up, intake announces the new key too: whoever renews the key
waits for that.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from services import keys
from services.bus import access, fingerprints
from services.bus.envelope import Record
from services.errors import KafkaUnreachable, KeyMoved, SettingError
from services.intake.contacts import Sealer
from services.settings import Settings

log = logging.getLogger("pumasi.intake")

_AGAIN_SECONDS = 0.3


class Sealing:
    """Keeps a sealer's key the one in use.

    Args:
        settings: say where keys lie.
        sealer: seals.
        caught_up: returns once `follow` has been given all that stands on the topic now.

    Attributes:
        process: which one announces.
    """

    def __init__(self, settings: Settings, sealer: Sealer, caught_up: Callable[[], Awaitable[None]]) -> None:
        self._settings, self._sealer, self._caught_up = settings, sealer, caught_up
        self._told: str | None = None
        self._complete = self._is_awaited = False
        self._moved = asyncio.Event()
        self.process = f"{access.INTAKE}-{secrets.token_hex(4)}"

    async def catch_up(self) -> None:
        """Return once it is known which key is in use now."""
        await self._caught_up()
        self._complete = True

    def follow(self, record: Record) -> None:
        """Take in a record of the topic."""
        process, told = fingerprints.told_in(record)
        if process == fingerprints.OURS:
            self._told = told.get("notifier", self._told)
            self._is_awaited = f"notifier{fingerprints.FORMER}" in told
            self._moved.set()

    @property
    def is_behind(self) -> bool:
        """Whether another key is in use than the one that we seal for."""
        return self._told not in (None, self._sealer.sealed_for)

    def hold(self, sealed_for: str) -> None:
        """Check that what is sealed for a key may be published.

        Raises:
            KeyMoved: if another is in use.
            KafkaUnreachable: if that isn't known yet.
        """
        if not self._complete:
            raise KafkaUnreachable("which keys are in use is not known yet", hint="Try again: a repeat is safe.")
        if self._told not in (None, sealed_for):
            raise KeyMoved(
                "the key that contacts are sealed for is being replaced", hint="Try again: a repeat is safe."
            )

    async def keep(self, bootstrap: Callable[[], str], drain: Callable[[], Awaitable[None]]) -> None:
        """Take each new key as it comes, for ever.

        Args:
            bootstrap: says where Kafka is.
            drain: returns once nothing is under way of what is lined up for publication.
        """
        while True:
            await self._moved.wait()
            self._moved.clear()
            while self.is_behind and not self._take():
                await asyncio.sleep(_AGAIN_SECONDS)
            if self._is_awaited:  # also of an intake that has started meanwhile, with the new key
                await drain()
                await self._say(bootstrap)

    def _take(self) -> bool:
        """Take the public key in the directory, if it is the one in use."""
        try:
            key = keys.notifier_public_key(self._settings)
        except SettingError:
            return False
        if keys.fingerprint(key) != self._told:
            return False
        self._sealer.seal_for(key)
        log.info(
            "contacts are sealed for the notifier's new key, %(fingerprint)s",
            {"event": "key_renewed", "fingerprint": self._told},
        )
        return True

    async def _say(self, bootstrap: Callable[[], str]) -> None:
        while True:
            try:
                return await fingerprints.tell(bootstrap(), self.process, {"notifier": self._sealer.sealed_for})
            except KafkaUnreachable:
                await asyncio.sleep(_AGAIN_SECONDS)
