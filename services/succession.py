"""Renewing the reporter's key, or intake's: the new one is used from now on, and the former is kept, since it still opens.

What is sealed for the reporter stands on a topic that is kept for ever, so the former keys are kept for as long as anybody may want a
report of it. What senders seal for intake is read within moments, but a submission may wait on its topic, and a sender may not know
the new key yet. So the former key stays until it is revoked.

    1  <whose>-<fingerprint>.key is made: a copy of the former, which opens from now on
    2  <whose>.next.key is made: the new one
    3  `pumasi.services.v1` says that the new one is in use, and the former still
    4  <whose>.pub and <whose>.key become the new one's
    5  every intake uses the new one, has brought out what it had sealed for the former, and says so there
    6  of intake: senders' signing secrets are sealed anew, until the topic, read back, has none that is sealed for another key
    7  nobody is told of the former any more

Killed anywhere, it goes on from there when it is called again, since each step is seen from what lies there. Nothing is closed at any
moment: whatever a box is sealed for, its key lies here.

`revoke` destroys the former keys. Then nothing opens what was sealed for them, no copy either, unless a key was copied.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey
from pydantic import ValidationError

from schemas.senders import Sender
from services import keys
from services.bus import access, fingerprints
from services.bus.consume.scan import TopicReader, group_of
from services.bus.fingerprints import FORMER
from services.bus.replacing import Replacing
from services.bus.topics import SENDERS, SUBMISSIONS
from services.errors import UsageError
from services.rotation import Progress, hold, refuse_if_fixed, until_followed, until_used
from services.settings import Settings

_FILES = {"reporter": "reporter.pub", "intake": "intake.key, intake.pub and intake-*.key"}
"""What every intake has to have, of each of these keys."""


@dataclass
class Succeeded:
    """What a renewal did.

    Attributes:
        key: the new key's fingerprint.
        kept: the files of the former keys, which still open.
        resealed: senders whose secrets were sealed anew by this call.
        unopened: senders with a secret that no key here opens.
        seconds: how long it took.
    """

    key: str
    kept: list[str]
    resealed: int = 0
    unopened: int = 0
    seconds: float = 0.0


async def renew(bootstrap: str, settings: Settings, whose: str, progress: Progress = lambda *_: None) -> Succeeded:
    """Renew the key of one of `keys.RINGS`, and keep the former.

    Raises:
        KeyMissing, KeyUnsafe: if the key isn't here.
        KeyOther: if it isn't the one in use.
        KeyNotFollowed: if an intake doesn't take the new one; both then open, and calling again goes on.
        UsageError: if somebody else is renewing keys here.
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: as with KeyNotFollowed.
    """
    refuse_if_fixed(settings, whose)
    began = time.monotonic()
    with keys.renewing(settings):
        former = await _succeeded(bootstrap, settings, whose)
        made = Succeeded(_in_use(settings, whose), keys.former_names(settings, whose))
        hint = (
            f"Copy {_FILES[whose]} from {keys.directory(settings)} to PUMASI_KEYS of the others, which take that at once; then do this "
            "again. Until then nothing is lost: the former key opens as well."
        )
        followers = await until_followed(bootstrap, whose, made.key, hint, progress)
        if whose == "intake":
            made.resealed, made.unopened = await _seal_secrets(bootstrap, settings)
        await fingerprints.move(bootstrap, {whose: made.key}, gone=followers)
        await until_used(bootstrap, whose, former)
    made.seconds = round(time.monotonic() - began, 1)
    return made


async def revoke(bootstrap: str, settings: Settings, whose: str) -> list[str]:
    """Destroy the former keys of one of `keys.RINGS`; the names of their files.

    Raises:
        UsageError: if somebody still needs one: a renewal that isn't finished, or submissions that wait.
        KeyMissing, KeyOther, KafkaUnreachable, TopicsMismatch, TopicUnreadable: likewise; then nothing is destroyed.
    """
    with keys.renewing(settings):
        told, key = await fingerprints.known(bootstrap), _in_use(settings, whose)
        if whose + FORMER in told or keys.is_renewed(settings, whose):
            raise UsageError(
                f"the {whose}'s key is being renewed", hint=f"Finish that first: pumasi keys rotate {whose}"
            )
        hold(bootstrap, settings, whose, key, told.get(whose, key))
        if whose == "intake":
            await _seal_secrets(bootstrap, settings)  # of a sender that was changed while the rest was sealed anew
            await _refuse_if_waiting(bootstrap)
        gone = keys.destroy_former(settings, whose)
        await fingerprints.move(bootstrap, {whose: key})  # so that every intake reads its keys again
    return gone


def _in_use(settings: Settings, whose: str) -> str:
    return keys.fingerprint(keys.private_key(settings, whose).public_key)


async def _succeeded(bootstrap: str, settings: Settings, whose: str) -> str:
    """Put a new key in the place of the one in use, unless an earlier attempt did; the fingerprint of the former."""
    told, ours = await fingerprints.known(bootstrap), _in_use(settings, whose)
    if told.get(whose) == ours and whose + FORMER in told:
        if keys.is_renewed(settings, whose):
            keys.succeed(settings, whose)  # the earlier attempt had done so, but for the last step of that
        return told[whose + FORMER]
    hold(bootstrap, settings, whose, ours, told.get(whose, ours), told.get(whose + FORMER, ""))
    keys.keep_former(settings, whose)
    new = keys.fingerprint(keys.successor(settings, whose).public_key)
    await fingerprints.move(bootstrap, {whose: new, whose + FORMER: ours})
    keys.succeed(settings, whose)
    return ours


# ---- senders' secrets, which intake opens


async def _seal_secrets(bootstrap: str, settings: Settings) -> tuple[int, int]:
    """Seal all for the key in use, until the topic, read back, gives no cause to write anything; of how many senders, and of how many
    not, since no key opens theirs."""
    ring, resealed, unopened = keys.private_keys(settings, "intake"), 0, set[bytes]()
    async with Replacing(bootstrap, SENDERS, "pumasi-keys") as senders:
        while True:
            await senders.read_on()
            fresh: dict[bytes, bytes | None] = {}
            for key, latest in senders.latest.items():
                value, opens = _sealed_anew(latest.value, ring)
                if not opens:
                    unopened.add(key)
                if latest.covered or value != latest.value:
                    fresh[key] = value
            if not fresh:
                return resealed, len(unopened)
            await senders.replace(fresh)
            resealed += len(fresh)


def _sealed_anew(value: bytes | None, ring: Sequence[PrivateKey]) -> tuple[bytes | None, bool]:
    """A sender's record with its secrets sealed for the first of these keys; the same, if they are, or if one can't be opened."""
    if value is None:
        return None, True
    try:
        sender = Sender.model_validate_json(value)
        told = [keys.sealed_anew(key.secret, ring) for key in sender.keys]
    except (ValidationError, CryptoError, ValueError):
        return value, False
    if told == [key.secret for key in sender.keys]:
        return value, True
    anew = [key.model_copy(update={"secret": box}) for key, box in zip(sender.keys, told, strict=True)]
    return sender.model_copy(update={"keys": anew}).model_dump_json().encode(), True


async def _refuse_if_waiting(bootstrap: str) -> None:
    """Raise UsageError if a submission waits, which may be sealed for a former key of intake's."""
    offsets = (await group_of(bootstrap, access.GROUPS[access.INTAKE], SUBMISSIONS)).offsets
    async with TopicReader(bootstrap) as reader:
        extents = await reader.extents(SUBMISSIONS)
    if any(extent.end > max(extent.begin, offsets.get(number, 0)) for number, extent in extents.items()):
        raise UsageError(
            "submissions wait, and may be sealed for the former key",
            hint="Let an intake take them first: `pumasi status` says how many are untaken. Then do this again.",
        )
