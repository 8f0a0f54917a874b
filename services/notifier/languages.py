"""In which language to speak to whom: that of the contact they gave, for as long as it stands.

A sealed contact is opened for its language alone. The address is let go at once: it is kept nowhere, and nothing that is opened here is
ever logged. Without the private key, or where a box is not for it, the language of the settings is spoken.

A contact is published together with the command it came with, on another topic. So before somebody unknown is told anything, what
stands on the contacts topic by then is read.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, get_args

import msgspec
from nacl.public import PrivateKey, SealedBox

from schemas.submissions import Language
from services import keys
from services.bus.envelope import Record
from services.bus.tail import Tail
from services.bus.topics import CONTACTS
from services.errors import SettingError

if TYPE_CHECKING:
    from services.settings import Settings

log = logging.getLogger("pumasi.notifier")

_LANGUAGES: Final = frozenset(get_args(Language))
_WAIT_SECONDS = 5.0
"""How long tidings wait at most for contacts that can't be read: in another language is better than not at all."""


class _Content(msgspec.Struct):
    """What is read of an opened contact; the decoder passes the address by."""

    language: str


class _Value(msgspec.Struct):
    sealed_contact: str


class Languages:
    """Subject → language.

    Args:
        otherwise: spoken to whom no other language is known.
        key: what opens contacts; None: nothing does.
    """

    def __init__(self, otherwise: Language, key: PrivateKey | None = None) -> None:
        self._otherwise = otherwise
        self._box = SealedBox(key) if key is not None else None
        self._of: dict[str, Language] = {}
        self._tail: Tail | None = None

    def of(self, subject: str) -> Language:
        """The language of a pseudonym's notices."""
        return self._of.get(subject, self._otherwise)

    def take(self, record: Record) -> None:
        """Take in a record of the contacts topic. One without a value, or that can't be opened, makes the subject unknown."""
        subject = (record.key or b"").decode("utf-8", "replace")
        language = self._opened(record.value) if record.value is not None else None
        if language is None:
            self._of.pop(subject, None)
        else:
            self._of[subject] = language

    def _opened(self, value: bytes) -> Language | None:
        if self._box is None:
            return None
        try:
            sealed = base64.b64decode(msgspec.json.decode(value, type=_Value).sealed_contact, validate=True)
            language = msgspec.json.decode(self._box.decrypt(sealed), type=_Content).language
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # whatever stands there, it can't be opened; the notice goes out in the other language
            return None
        return language if language in _LANGUAGES else None  # type: ignore[return-value]

    @asynccontextmanager
    async def following(self, bootstrap: str) -> AsyncIterator[None]:
        """Follow the contacts topic while inside. Without a key there is nothing to follow."""
        if self._box is None:
            yield
            return
        self._tail = Tail(lambda: bootstrap, CONTACTS, "pumasi-notifier", self.take)
        task = asyncio.create_task(self._tail.run())
        try:
            yield
        finally:
            task.cancel()
            self._tail = None
            with suppress(asyncio.CancelledError):
                await task

    async def read_all(self) -> None:
        """Wait until the contacts that stand on the topic now are known."""
        if self._tail is not None:
            await self._tail.reach_end()

    async def prepare(self, subjects: Iterable[str]) -> None:
        """The same where a subject is unknown, but for seconds only."""
        if any(subject not in self._of for subject in subjects):
            with suppress(TimeoutError):
                await asyncio.wait_for(self.read_all(), _WAIT_SECONDS)


def private_key(settings: Settings) -> PrivateKey | None:
    """What opens contacts here, None if that is not on this machine.

    A key is made only on an installation that has none of the pair: beside a public key from elsewhere a new one would open nothing.
    """
    kept = settings.data / "keys"
    foreign = settings.notifier_public_key is not None or (kept / "notifier.pub").exists()
    if foreign and not (kept / "notifier.key").exists():
        return None
    try:
        return keys.notifier_private_key(settings)
    except (SettingError, OSError) as error:
        log.warning("contacts stay closed, so notices are in %s: %s", settings.language, type(error).__name__)
        return None
