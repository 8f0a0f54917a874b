"""Renewing the notifier's key: all that lives on the contacts topic is sealed anew, and only then the old key is destroyed.

    1  notifier.next.key is made: from here on, the notifier opens boxes with either
    2  `pumasi.services.v1` says that the new one is in use, and the former still; notifier.pub is the new one's
    3  every intake seals for the new one, has brought out what it had sealed for the former, and says so there
    4  what is sealed for the former is opened, sealed anew, written and read back, again and again until nothing is left
    5  the former's bytes are overwritten by the new key, where they lie, and nobody is told of it any more
    6  for some seconds it is waited for that services say by their heartbeats which key they use now

Somebody is forgotten on the way. What stands under their keys is taken off the topic before 2, and once more after 3, since intake may
have been about to write what was pending under its subject; in between none of it is sealed anew, so that whatever is written later
still, only the former key opens. What is sealed for the new key came since, and stays: they take part again.

Killed anywhere, it goes on from there when it is called again, since each step is seen from what lies there. After 5, nothing opens
what was sealed before: not on the topic, where Kafka compacts it away, nor in any copy of it. So of somebody whose record was taken off
the topic before, no copy can be read any more; if an earlier renewal was cut short, that one is finished first, and another follows.

Boxes that neither key opens were of no use before; they are counted, and left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey

from services import keys
from services.bus import access, fingerprints, heartbeat
from services.bus.consume.scan import group_of
from services.bus.contacts import Contacts, subject_of
from services.bus.replacing import Latest
from services.bus.topics import SUBMISSIONS
from services.errors import KeyNotFollowed, KeyOther, SettingError, UnknownId
from services.settings import Settings

Progress = Callable[[str, int, int], None]
"""Called with a stage (`read`, `seal`, `follow`), how much of it is done, and how much there is."""
_TOGETHER = 1000
_THREADS = 2
_LOOK_EVERY_SECONDS = 0.3
FOLLOWED_WITHIN_SECONDS = 30.0
"""How long intakes are waited for; one that is frozen leaves its group meanwhile."""
_HEARD_WITHIN_SECONDS = 5.0
_BOXES = ("sealed_contact", "sealed_text")


@dataclass
class Rotated:
    """What a renewal did.

    Attributes:
        key: the new key's fingerprint.
        resealed: contacts and texts that were sealed anew by this call.
        living: how many there are; one that also has a pending one counts once, here and below.
        unopened: how many of them no key here opens.
        forgotten: how many were taken off the topic.
        seconds: how long it took.
    """

    key: str
    resealed: int = 0
    living: int = 0
    unopened: int = 0
    forgotten: int = 0
    seconds: float = 0.0


async def rotate_notifier(
    bootstrap: str,
    settings: Settings,
    progress: Progress = lambda *_: None,
    forget: Collection[bytes] | None = None,
) -> Rotated:
    """Renew the notifier's key, and take off the contacts topic all that was there of the subjects in `forget`.

    Raises:
        KeyMissing, KeyUnsafe: if the key isn't here.
        KeyOther: if it isn't the one in use.
        KeyNotFollowed: if an intake doesn't take the new one; both keys then stay, and calling again goes on.
        UsageError: if somebody else is renewing keys here.
        UnknownId: if there is nothing of those in `forget`, and what lately was can't be opened in any copy by the key of now.
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: both keys stay as well.
    """
    refuse_if_fixed(settings, "notifier")
    began = time.monotonic()
    with keys.renewing(settings):
        async with Contacts(bootstrap, "pumasi-keys") as contacts:
            if forget is not None and keys.is_renewed(settings):
                await _Rotation(bootstrap, settings, contacts, progress).run()
            await contacts.read_on(lambda *at: progress("read", *at))
            opens = keys.fingerprint(keys.notifier_private_key(settings).public_key)
            if forget is not None and not any(contacts.keeps(key, opens) for key in contacts.keys_of(forget)):
                raise UnknownId(
                    "nothing is kept of them", hint="See how the word or the address is written, and --fund."
                )
            rotated = await _Rotation(bootstrap, settings, contacts, progress, forget or ()).run()
    rotated.seconds = round(time.monotonic() - began, 1)
    return rotated


class _Rotation:
    """One renewal."""

    def __init__(
        self,
        bootstrap: str,
        settings: Settings,
        contacts: Contacts,
        progress: Progress,
        forget: Collection[bytes] = (),
    ) -> None:
        self._bootstrap, self._settings, self._contacts, self._progress = bootstrap, settings, contacts, progress
        self._forgotten, self._gone = frozenset(forget), set[bytes]()
        self._former, self._new = keys.notifier_private_key(settings), keys.successor(settings)
        self._done: dict[bytes, bytes | None] = {}  # what has to stand under a key
        self._unopened: set[bytes] = set()
        self.rotated = Rotated(keys.fingerprint(self._new.public_key))

    async def run(self) -> Rotated:
        """Go on from whatever step is the next."""
        former, new = keys.fingerprint(self._former.public_key), self.rotated.key
        told = (await fingerprints.known(self._bootstrap)).get("notifier", former)
        if told != new:
            hold(self._bootstrap, self._settings, "notifier", former, told)
        await self._forget(former)
        await fingerprints.move(self._bootstrap, {"notifier": new, f"notifier{fingerprints.FORMER}": former})
        keys.seal_for(self._settings, self._new.public_key)
        await self._seal_all()
        hint = (
            f"Copy {keys.directory(self._settings) / 'notifier.pub'} to PUMASI_KEYS of the others, which take it at once; then do this "
            "again. Until then nothing is lost: the former key is still here."
        )
        followers = await until_followed(self._bootstrap, "notifier", new, hint, self._progress)
        await self._forget(former)
        await self._seal_all()  # and what came meanwhile; nothing for the former key comes any more
        keys.succeed(self._settings)
        await fingerprints.move(self._bootstrap, {"notifier": new}, gone=followers)
        await until_used(self._bootstrap, "notifier", former)
        living = {key for key, latest in self._contacts.latest.items() if latest.value is not None}
        self.rotated.forgotten = len(self._gone)
        self.rotated.living = len({*map(subject_of, living)})
        self.rotated.unopened = len({*map(subject_of, living & self._unopened)})
        return self.rotated

    async def _forget(self, former: str) -> None:
        """Take off the topic what there is now of those to be forgotten: all at once, so that nobody who goes on sending delays it."""
        await self._contacts.read_on()
        here = [key for key in self._contacts.keys_of(self._forgotten) if self._goes(key)]
        for start in range(0, len(here), _TOGETHER):
            await self._contacts.forget(here[start : start + _TOGETHER], former)
        self._gone.update(map(subject_of, here))

    def _goes(self, key: bytes) -> bool:
        return (
            subject_of(key) in self._forgotten
            and self._contacts.latest[key].value is not None
            and self._contacts.sealed_for(key) != self.rotated.key
        )

    async def _seal_all(self) -> None:
        """Seal anew what is sealed for the former key, until the topic, read back, gives no cause to write anything."""
        wrote = 1
        while wrote:
            wrote, todo = 0, await self._left()
            for start in range(0, len(todo), _TOGETHER):
                self._progress("seal", start, len(todo))
                wrote += await self._seal(todo[start : start + _TOGETHER])

    async def _left(self) -> list[bytes]:
        """What has not been seen to be sealed for the new key, nor to be what was written; once all is read."""
        await self._contacts.read_on(lambda *at: self._progress("read", *at))
        return [
            key
            for key, latest in self._contacts.latest.items()
            if not self._goes(key)
            and (latest.covered or (latest.value is not None and self._done.get(key) != latest.value))
        ]

    async def _seal(self, todo: Sequence[bytes]) -> int:
        """Seal some of it anew, but for what is, and for what was changed meanwhile; how many records were written."""
        was = {key: self._contacts.latest[key] for key in todo}
        anew = await asyncio.to_thread(self._anew, was)
        await self._contacts.read_on()  # so that what came meanwhile is covered for a moment at most, and by few
        same = {key: value for key, value in anew.items() if self._contacts.latest[key] == was[key]}
        fresh = {key: value for key, value in same.items() if was[key].covered or value != was[key].value}
        await self._contacts.seal(fresh, self.rotated.key)
        self._done |= same
        self.rotated.resealed += sum(value != was[key].value for key, value in fresh.items())
        return len(fresh)

    def _anew(self, was: dict[bytes, Latest]) -> dict[bytes, bytes | None]:
        """What has to stand under each key. libsodium lets other threads work meanwhile."""
        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(zip(was, pool.map(self._one_anew, was, was.values()), strict=True))

    def _one_anew(self, key: bytes, latest: Latest) -> bytes | None:
        if latest.value is None:
            return None
        try:
            return _sealed_anew(latest.value, (self._new, self._former))
        except (CryptoError, ValueError, TypeError, KeyError, msgspec.MsgspecError):
            self._unopened.add(key)
            return latest.value


async def _intakes(bootstrap: str) -> int:
    """How many run: one that is about to join its group again is not in it, and one of a former version has no heartbeat."""
    members = (await group_of(bootstrap, access.GROUPS[access.INTAKE], SUBMISSIONS)).members
    return max(members, sum(one.told.service == "intake" for one in await heartbeat.living(bootstrap)))


async def until_followed(
    bootstrap: str, whose: str, key: str, hint: str, progress: Progress = lambda *_: None
) -> list[str]:
    """Wait until every intake that runs says that it uses a new key, and nothing for the former is under way; their names.

    Args:
        whose, key: the key's name, and its fingerprint.
        hint: what to do if an intake doesn't take it.

    Raises:
        KeyNotFollowed: if one doesn't.
    """
    deadline = time.monotonic() + FOLLOWED_WITHIN_SECONDS
    while True:
        intakes = await _intakes(bootstrap)
        told = fingerprints.by_process(await heartbeat.heard(bootstrap))
        followers = [
            process
            for process, words in told.items()
            if process.startswith(f"{access.INTAKE}-") and words.get(whose) == key
        ]
        progress("follow", min(len(followers), intakes), intakes)
        if len(followers) >= intakes:
            return followers
        if time.monotonic() > deadline:
            raise KeyNotFollowed(
                f"{intakes} intakes run, and {len(followers)} of them have the {whose}'s new key", hint=hint
            )
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


async def until_used(bootstrap: str, whose: str, former: str) -> None:
    """Return once no service that runs says that it uses the former key, of this fingerprint, or after some seconds: nothing depends
    on it, but that who looks now sees what is."""
    deadline = time.monotonic() + _HEARD_WITHIN_SECONDS
    while time.monotonic() < deadline:
        if not any(one.told.keys.get(whose) == former for one in await heartbeat.living(bootstrap)):
            return
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def refuse_if_fixed(settings: Settings, whose: str) -> None:
    """Raise SettingError if a setting says whom intake seals for, in place of a key that could be renewed."""
    if getattr(settings, f"{whose}_public_key", None) is not None:
        raise SettingError(
            f"PUMASI_{whose.upper()}_PUBLIC_KEY fixes whom intake seals for",
            hint=f"Put that key into {whose}.pub in PUMASI_KEYS of every intake, unset the setting, and start them again.",
        )


def hold(bootstrap: str, settings: Settings, whose: str, ours: str, *told: str) -> None:
    """Raise KeyOther if our key, of this fingerprint, is none of those in use."""
    if ours not in told:
        raise KeyOther(
            f"not the {whose}'s key in use at {bootstrap}: it is {ours}, not {told[0]}",
            hint=f"Put the former one back into {keys.directory(settings)}. If it is lost for good: pumasi keys make --lost",
        )


def _sealed_anew(value: bytes, ring: Sequence[PrivateKey]) -> bytes:
    """A value of the topic with its box sealed for the first of these keys; the same, if it is already.

    Raises:
        CryptoError, ValueError, TypeError, KeyError, MsgspecError: if it holds no box that one of them opens.
    """
    data = msgspec.json.decode(value, type=dict[str, str])
    field = next(name for name in (*_BOXES, "") if not name or data.get(name) is not None)
    anew = keys.sealed_anew(data[field], ring)
    return value if anew == data[field] else msgspec.json.encode({**data, field: anew})
