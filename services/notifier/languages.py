"""What the contacts topic holds for telling: in which language to speak to whom, and the words of thanks that were sealed.

A sealed contact is opened for its language alone. The address is let go at once, and nothing that is opened here is ever logged. A
text stays in its box until it is told, and so does an address, where the webhook's receiver is to have it. Without the private key the
language of the settings is spoken, and no text is told; with it, a box that it doesn't open is an alarm: somebody else has sealed it,
or not sealed it at all.

That goes for what stands under a name last. What was there before stays on the disk until Kafka compacts it away, and may be sealed for
a key that is destroyed. So while the topic is followed, boxes are opened once all that stands there is known.

While the key is being renewed (`services.rotation`) two keys open boxes. Before an alarm is raised, the keys in the directory are
read again; and when the services topic says which keys are in use, the others are dropped, once every contact has been read as
newly sealed.

A contact or text is on its topic before the command that it came with is on another: pending, under a key that begins with its
subject's (`services.bus.contacts`), until intake has seen the entry and writes it under the subject. The notifier may see that entry
first. So what is pending counts where nothing is known under the subject itself, and the ledger names the subject with the case or
pledge that the event was about: it was applied. Of several the oldest counts: so nobody's later event under the same id, which may be
refused, moves where somebody is told, however long intake is away. And before telling an unknown person, or passing on an unknown text,
the topic is read to its present end.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from sys import intern
from typing import TYPE_CHECKING, Annotated

import msgspec
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey

from schemas.notices import ADDRESS_MAX
from schemas.submissions import Language
from services import keys
from services.bus.consume.tail import Tail
from services.bus.contacts import event_of
from services.bus.envelope import Record
from services.bus.replacing import At, Lately, command_of, is_before
from services.bus.topics import CONTACTS
from services.errors import KeyMissing, SettingError
from services.news import Unopened

if TYPE_CHECKING:
    from services.settings import Settings

log = logging.getLogger("pumasi.notifier")

_LOOK_EVERY_SECONDS = 1.0
_AT_ONCE = 200
"""So many boxes are opened before others have their turn."""
_WAIT_SECONDS = 5.0
"""How long tidings wait at most for contacts that can't be read: a notice in another language is better than none."""


class _Content(msgspec.Struct):
    """What is read of an opened contact; the decoder skips the address."""

    language: Language


class _Reached(msgspec.Struct):
    """What is read of it besides, where addresses are asked for."""

    address: Annotated[str, msgspec.Meta(min_length=1, max_length=ADDRESS_MAX)]


class _Value(msgspec.Struct):
    sealed_contact: str | None = None
    sealed_text: str | None = None


class Languages:
    """Subject → language, and id → text.

    Args:
        otherwise: the language for people whose language is unknown.
        key: what opens boxes; None: nothing does.
        told: called where a box can't be opened.
        keys_now: reads the keys that open boxes now, the newest last.
        addresses: whether somebody may ask for addresses.
        was_applied: whether an event in a fund, about a case or pledge, that named a subject was applied, as far as the ledger is read.
    """

    def __init__(
        self,
        otherwise: Language,
        key: PrivateKey | None = None,
        told: Callable[[Unopened], None] = lambda _news: None,
        keys_now: Callable[[], Sequence[PrivateKey]] = lambda: (),
        *,
        addresses: bool = False,
        was_applied: Callable[[str, str, str], bool] = lambda _fund, _about, _subject: True,
    ) -> None:
        self._was_applied = was_applied
        self._otherwise, self._told, self._keys_now, self._addresses = otherwise, told, keys_now, addresses
        self._keys = [] if key is None else [key]
        self._of: dict[str, Language] = {}
        self._texts: dict[str, bytes] = {}  # sealed
        self._contacts: dict[str, bytes] = {}  # sealed
        self._pending: dict[str, dict[str, tuple[str, str]]] = {}  # by subject and key, of what fund, and about what
        self._unopened: dict[str, Record] = {}
        self._commands: dict[str, At] = {}  # that what is under a name came with
        self._lately = Lately()
        self._tail: Tail | None = None

    def of(self, subject: str) -> Language:
        """The language of a pseudonym's notices."""
        for key in self._keys_of(subject):
            self._open(key)
            if key in self._of:
                return self._of[key]
        return self._otherwise

    def text(self, thanks: str) -> str | None:
        """The words whose id thanks are; None for a phrase's code, and where there are no such words (any more)."""
        content = self._kept(self._texts, thanks)
        return None if content is None else content.decode().rstrip()

    def address(self, subject: str) -> str | None:
        """Where a pseudonym is reached; None if nobody may ask, or there is no contact (any more)."""
        content = self._kept(self._contacts, subject)
        return None if content is None else msgspec.json.decode(content, type=_Reached).address

    def is_since(self, name: str, command: At) -> bool:
        """Whether what stands under a pseudonym, or a text's id, came with a later command than this."""
        return is_before(command, self._commands.get(name))

    def take(self, record: Record) -> None:
        """Take in a record of the contacts topic. One without a value, or that can't be opened, makes what is under its key unknown."""
        if not self._lately.counts(record):
            return
        key = (record.key or b"").decode("utf-8", "replace")
        for known in (self._of, self._texts, self._contacts, self._unopened, self._commands):
            known.pop(key, None)
        if record.value is not None and (command := command_of(record.headers)) is not None:
            self._commands[key] = command
        subject, is_pending, _ = key.partition("/")
        if is_pending:
            self._pend(subject, key, record)
        if not self._keys or record.value is None:
            return
        self._unopened[key] = record
        if self._tail is None:
            self._open(key)

    def _pend(self, subject: str, key: str, record: Record) -> None:
        """Something of a subject is pending under a key, or not any more."""
        pending = self._pending.setdefault(subject, {})
        if record.value is not None:
            fund, about = event_of(record.headers)
            pending[key] = intern(fund), about
        else:
            pending.pop(key, None)
        if not pending:
            del self._pending[subject]

    def _keys_of(self, subject: str) -> list[str]:
        """The keys under which something of a subject may lie, by which counts first: its own, then what came first."""
        pending = self._pending.get(subject, {}).items()
        return [subject, *(key for key, (fund, about) in pending if self._was_applied(fund, about, subject))]

    def _open(self, key: str) -> None:
        """Open what came last under a key, unless it was."""
        record = self._unopened.pop(key, None)
        if record is None:
            return
        try:
            self._keep(key, msgspec.json.decode(record.value or b"", type=_Value))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # whatever stands there, it can't be opened
            place = record.partition, record.offset
            log.error(
                "a box on the contacts topic can't be opened (partition %(partition)d, offset %(offset)d)",
                {"event": "contact_not_opened", "partition": record.partition, "offset": record.offset},
            )
            self._told(Unopened(*place))

    async def _open_all(self) -> None:
        """Open what came last of each, as it comes, for ever."""
        while True:
            if self._unopened:
                await self.read_all()
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _keep(self, key: str, value: _Value) -> None:
        """Raises one of many errors if a box can't be opened, or holds something else."""
        if value.sealed_text is not None:
            sealed = base64.b64decode(value.sealed_text, validate=True)
            self._opened(sealed).decode()
            self._texts[key] = sealed
            return
        sealed = base64.b64decode(value.sealed_contact or "", validate=True)
        content = self._opened(sealed)
        language = msgspec.json.decode(content, type=_Content).language
        if self._addresses:
            msgspec.json.decode(content, type=_Reached)  # now, when it may be an alarm, and not when somebody is told
            self._contacts[key] = sealed
        self._of[key] = language

    def _kept(self, boxes: dict[str, bytes], subject: str) -> bytes | None:
        """What is in a box that is kept; None if there is none, or it was sealed for a key that is gone, by who didn't know yet."""
        for key in self._keys_of(subject):
            self._open(key)
            with suppress(KeyError, CryptoError):
                return self._opened(boxes[key])
        return None

    def _opened(self, box: bytes) -> bytes:
        """The content of a box. Raises CryptoError if no key that is there now opens it."""
        with suppress(CryptoError):
            return keys.opened(box, reversed(self._keys))  # less and less is sealed for a former one
        self._keys += [key for key in self._read_keys() if key not in self._keys]
        return keys.opened(box, reversed(self._keys))

    def _read_keys(self) -> Sequence[PrivateKey]:
        try:
            return self._keys_now()
        except SettingError:
            return ()  # the keys that we have are better than none

    async def renew_keys(self) -> None:
        """Drop keys that are gone, once what was sealed for them has been read as newly sealed."""
        await self.read_all()
        self._keys = [*self._read_keys()] or self._keys

    @property
    def followed(self) -> bool:
        """Whether the contacts topic is being followed."""
        return self._tail is not None

    @asynccontextmanager
    async def following(self, bootstrap: str) -> AsyncIterator[None]:
        """Follow the contacts topic while inside."""
        self._tail = Tail(lambda: bootstrap, CONTACTS, "pumasi-notifier", self.take)
        tasks = asyncio.create_task(self._tail.run()), asyncio.create_task(self._open_all())
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            self._tail = None
            await asyncio.gather(*tasks, return_exceptions=True)

    async def read_all(self) -> None:
        """Wait until the contacts that stand on the topic now are known, and opened."""
        if self._tail is None:
            return
        await self._tail.reach_end()
        for number, key in enumerate([*self._unopened]):
            self._open(key)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def prepare(self, subjects: Iterable[str]) -> None:
        """The same where a subject or a text's id is unknown, but for seconds only."""
        if self._keys and not all(
            any(key in self._of or key in self._texts for key in self._keys_of(one)) for one in subjects
        ):
            with suppress(TimeoutError):
                await asyncio.wait_for(self.read_all(), _WAIT_SECONDS)


def private_key(settings: Settings) -> PrivateKey | None:
    """The key that opens contacts here; None if the settings say that contacts are sealed for a key that is not on this machine.

    Of two, while one is being renewed, it is the former; `keys.private_keys` has both.

    Raises:
        SettingError: if they don't, and it isn't there.
    """
    if settings.notifier_public_key is None:
        return keys.notifier_private_key(settings)
    with suppress(KeyMissing):
        if (key := keys.notifier_private_key(settings)).public_key == keys.public_key(settings, "notifier"):
            return key
    return None
