"""The keys that intake seals for, and opens by, as they change: intake follows `pumasi.services.v1`, as it follows senders, and reads
notifier.pub, reporter.pub and its own keys anew.

The bus says only which key is in use, never the key itself: whoever may write there could have contacts sealed for themselves. A
key comes from the directory of keys alone, and is taken once it is the one that the bus announces. Until then nothing that is
sealed for the notifier is published, since the key it is sealed for is about to be destroyed: senders get 503, the topic waits. What
is sealed for the reporter's former key is published for as long as the bus says that one is in use as well, since that one is kept.

Once all that was sealed for the former key is on its topic, or given up, intake announces the new key too: whoever renews the key
waits for that.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping

from services import keys
from services.bus import access, fingerprints
from services.bus.envelope import Record
from services.bus.fingerprints import FORMER
from services.bus.security import Bootstrap
from services.errors import KafkaUnreachable, KeyMoved, SettingError
from services.intake.contacts import Sealer
from services.intake.opening import Opener
from services.settings import Settings

log = logging.getLogger("pumasi.intake")

_AGAIN_SECONDS = 0.3
_INTAKE = "intake"


class Sealing:
    """Keeps a sealer's keys, and an opener's, those in use.

    Args:
        caught_up: returns once `follow` has been given all that stands on the topic now.

    Attributes:
        process: which one announces.
    """

    def __init__(
        self, settings: Settings, sealer: Sealer, opener: Opener, caught_up: Callable[[], Awaitable[None]]
    ) -> None:
        self._settings, self._sealer, self._opener, self._caught_up = settings, sealer, opener, caught_up
        self._told: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._complete = False
        self._moved = asyncio.Event()
        self.process = f"{access.INTAKE}-{secrets.token_hex(4)}"

    async def catch_up(self) -> None:
        """Return once it is known which keys are in use now."""
        await self._caught_up()
        self._complete = True

    def follow(self, record: Record) -> None:
        """Take in a record of the topic."""
        process, told = fingerprints.told_in(record)
        if process == fingerprints.OURS:
            staying = {name: one for name, one in self._told.items() if not name.endswith(FORMER)}
            self._told = staying | told
            self._moved.set()

    def used(self) -> dict[str, str]:
        """The fingerprints of the keys that we seal for and open by."""
        return {**self._sealer.sealed_for, _INTAKE: self._opener.fingerprint}

    @property
    def is_behind(self) -> bool:
        """Whether we seal for a key for which nothing may be published any more."""
        return not all(self._serves(*one) for one in self._sealer.sealed_for.items())

    def _serves(self, whose: str, key: str) -> bool:
        told = self._told.get(whose, key)
        return key == told or (whose in keys.RINGS and key == self._told.get(whose + FORMER))

    def hold(self, sealed_for: Mapping[str, str]) -> None:
        """Check that what is sealed for these keys, by whose they are, may be published.

        Raises:
            KeyMoved: if another is in use.
            KafkaUnreachable: if that isn't known yet.
        """
        if not self._complete:
            raise KafkaUnreachable("which keys are in use is not known yet", hint="Try again: a repeat is safe.")
        for whose, key in sealed_for.items():
            if key != self._sealer.sealed_for[whose] or not self._serves(whose, key):
                raise KeyMoved(f"the {whose}'s key is being replaced", hint="Try again: a repeat is safe.")

    async def keep(self, bootstrap: Bootstrap, drain: Callable[[], Awaitable[None]]) -> None:
        """Take each new key as it comes, for ever.

        Args:
            drain: returns once nothing is under way of what is lined up for publication.
        """
        loop = asyncio.get_running_loop()
        while True:
            await self._moved.wait()
            self._moved.clear()
            self._opener.renew()  # former keys may be revoked, and count no more
            taken = {
                name: self._told[name] for name in (*keys.READERS, _INTAKE) if name in self._told and self._take(name)
            }
            if taken.keys() < {*keys.READERS, _INTAKE} & self._told.keys():
                loop.call_later(_AGAIN_SECONDS, self._moved.set)
            # Whoever renews a key waits for these words, also for those of an intake that has started meanwhile, with the new key.
            awaited = {name: key for name, key in taken.items() if name + FORMER in self._told}
            if awaited != self._said:
                await drain()
                self._said = await self._say(bootstrap, awaited)

    def _take(self, whose: str) -> bool:
        """Use the key in use, if it lies in the directory; whether we do."""
        told = self._told[whose]
        if whose == _INTAKE:
            return self._opener.fingerprint == told and self._opener.has(self._told.get(whose + FORMER, told))
        if self._sealer.sealed_for[whose] == told:
            return True
        try:
            key = keys.public_key(self._settings, whose)
        except SettingError:
            return False
        if keys.fingerprint(key) != told:
            return False
        self._sealer.seal_for(key, whose)
        log.info(
            "what is for the %(whose)s is sealed for a new key, %(fingerprint)s",
            {"event": "key_renewed", "whose": whose, "fingerprint": told},
        )
        return True

    async def _say(self, bootstrap: Bootstrap, awaited: dict[str, str]) -> dict[str, str]:
        while awaited:
            try:
                await fingerprints.tell(bootstrap(), self.process, awaited)
                break
            except KafkaUnreachable:
                await asyncio.sleep(_AGAIN_SECONDS)
        return awaited
