"""Keys of this installation: what makes pseudonyms, the pairs that contacts are sealed for, and Kafka's passwords.

    pseudonym.key        the same contact gives the same pseudonym only under the same key
    pseudonym-<when>.key the next, by `pumasi keys next`: it serves funds that begin from then on, and each fund keeps its own
    id.key               ids and receipts are hashed with it; made once and never renewed
    intake.key, .pub     opens what senders seal, to look at it and seal it anew for the notifier; what they seal it with
    notifier.key, .pub   opens contacts and texts; intake never reads it; what intake seals them with
    reporter.key, .pub   opens what cases say of access, for `pumasi report access`; no service reads it; what intake seals it with
    notifier.next.key    what takes its place, while all are sealed anew (`services.rotation`): until then either opens
    intake-<which>.key   the former ones, by their fingerprints: they open as well (`services.succession`), until they are revoked
    reporter-<which>.key likewise, without end: what is sealed for it stands on a topic that is kept for ever
    webhook.secret       signs notices to the webhook; the former one too, on a line of its own, until it is revoked
    <user>.password      of a Kafka user, one for each service

They lie in PUMASI_KEYS, or beside the data in `<data>-keys`: never in it, so that no copy of the one opens the other. A key is base64
of 32 bytes and a newline, in a file that is ours alone (`services.secret_files`). A private half is used only if it belongs to the
public half beside it: nothing else opens what is sealed for that.

A process that needs a key reads its file, and makes none: a new key beside old data opens nothing, and gives everybody another
pseudonym. `up` and `demo` make them when they first start, and `pumasi keys make` does; `services.bus.fingerprints` tells whether
they are those in use. On several machines each has the files that its services read; the pseudonym key, the id key and the public
keys of notifier and reporter may come from settings.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final, SupportsBytes

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from schemas.times import SECOND, datetime_of
from services import secret_files
from services.errors import KeyMissing, KeyOther, SettingError, UsageError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from services.settings import Settings

KEY_BYTES: Final = 32
SECRETS: Final = ("pseudonym", "id")
NEXT: Final = "pseudonym-"
"""So the names begin of all pseudonym keys but the first; what follows is the time from which one serves."""
NEXT_AFTER: Final = 15 * 60 * SECOND
"""How long after it was made a pseudonym key serves, in microseconds: by then every intake has it."""
_WHEN: Final = "%Y%m%dT%H%M%SZ"
PAIRS: Final = ("intake", "notifier", "reporter")
READERS: Final = PAIRS[1:]
"""Whom intake seals for; their public halves may come from settings."""
MADE: Final = (*(f"{what}.key" for what in SECRETS), *(f"{whose}.{half}" for whose in PAIRS for half in ("key", "pub")))
"""The files that `make` makes; passwords apart."""
RINGS: Final = ("intake", "reporter")
"""Whose former keys are kept."""
OWN: Final = {"pumasi-intake": ("pseudonym.key", "id.key", "intake.key"), "pumasi-notifier": ("notifier.key",)}
"""The private files that a service can't be without, by its Kafka user; passwords apart."""
_WEBHOOK: Final = "webhook.secret"


# ---- where they lie


def directory(settings: Settings) -> Path:
    """Where keys lie; it need not be there yet.

    Raises:
        SettingError: if that is in the data directory.
    """
    data = settings.data.resolve()
    kept = settings.keys.resolve() if settings.keys else data.with_name(f"{data.name}-keys")
    if kept.is_relative_to(data):
        raise SettingError(
            f"PUMASI_KEYS={kept} lies in the data directory: a copy of the data would open them",
            hint=f"Name another directory, such as {data}-keys.",
        )
    return kept


def missing(settings: Settings) -> list[str]:
    """The files of keys, passwords apart, that aren't there."""
    given = [f"{what}.key" for what in SECRETS if getattr(settings, f"{what}_key")]
    given += [f"{whose}.{half}" for whose in READERS if _told(settings, whose) for half in ("key", "pub")]
    if os.path.lexists(directory(settings) / "reporter.pub"):
        given.append("reporter.key")  # whoever reports has it, elsewhere perhaps
    return [name for name in MADE if name not in given and not os.path.lexists(directory(settings) / name)]


# ---- making


def make(settings: Settings, *, lost: bool = False, also: Iterable[str] = ()) -> list[str]:
    """Make the keys that are missing; the names of their files. Several may do so at once: one of them makes each.

    Args:
        lost: a private key that isn't there beside its public half is lost, and the pair is made anew; the reporter's may be
            elsewhere, so it is lost only if both halves are.
        also: files of more pseudonym keys that are to be there.
    """
    secret_files.own(directory(settings))
    made = [name for file in also for name in _put(directory(settings) / file, secrets.token_bytes(KEY_BYTES))]
    for what in SECRETS:
        if getattr(settings, f"{what}_key") is None:
            made += _put(directory(settings) / f"{what}.key", secrets.token_bytes(KEY_BYTES))
    for whose in PAIRS:
        private, public = (directory(settings) / f"{whose}.{half}" for half in ("key", "pub"))
        if _told(settings, whose):
            continue
        if lost and whose != "reporter" and not os.path.lexists(private):
            public.unlink(missing_ok=True)
        if not os.path.lexists(public):  # beside a public half alone, a new private one would open nothing
            made += _put(private, bytes(PrivateKey.generate()))
            made += _put(public, bytes(PrivateKey(_read(private)).public_key))
    return made


def make_passwords(settings: Settings, users: Iterable[str]) -> list[str]:
    """Make the passwords of Kafka users that are missing; the names of their files."""
    return [name for user in users for name in _put(_password_file(settings, user), secrets.token_bytes(KEY_BYTES))]


def renew_passwords(settings: Settings, users: Iterable[str]) -> list[str]:
    """Make new passwords of Kafka users, over those that are there; the names of their files."""
    kept = [_password_file(settings, user) for user in users]
    for path in kept:
        if not _put(path, fresh := secrets.token_bytes(KEY_BYTES)):
            secret_files.overwrite(path, _encoded(fresh))
    return [path.name for path in kept]


def passwords(settings: Settings, users: Iterable[str]) -> dict[str, str]:
    """The passwords of Kafka users, for a broker that is told them."""
    where = directory(settings)  # once, and not for each: these are looked at every second
    return {user: secret_files.read(where / f"{user}.password") for user in users}


def _password_file(settings: Settings, user: str) -> Path:
    return directory(settings) / f"{user}.password"


def _put(path: Path, key: bytes) -> list[str]:
    """Put a key where there is none; its file's name, unless another process was quicker."""
    return secret_files.put(path, _encoded(key))


def _encoded(key: bytes) -> bytes:
    return base64.b64encode(key) + b"\n"


# ---- renewing a pair, step by step: killed between two of them, all that was sealed can be opened


@contextlib.contextmanager
def renewing(settings: Settings) -> Iterator[None]:
    """Nobody else renews keys in this directory meanwhile.

    Raises:
        UsageError: if somebody does.
    """
    kept = directory(settings)
    secret_files.own(kept)
    handle = os.open(kept, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UsageError(f"keys in {kept} are being renewed right now", hint="Let that end, then try again.") from None
    finally:
        os.close(handle)


def private_keys(settings: Settings, whose: str) -> list[PrivateKey]:
    """All that open what is sealed for somebody: the key, its successor while it is being renewed, and former ones that are kept."""
    following, key = _following(settings, whose), private_key(settings, whose)
    return list(dict.fromkeys([key, *following, *(PrivateKey(_read(path)) for path in _former(settings, whose))]))


def opened(box: bytes, ring: Iterable[PrivateKey]) -> bytes:
    """What is in a sealed box; the keys are tried in this order.

    Raises:
        CryptoError: if none of them opens it.
    """
    for key in ring:
        with contextlib.suppress(CryptoError):
            return SealedBox(key).decrypt(box)
    raise CryptoError("no key opens it")


def sealed_anew(box: str, ring: Sequence[PrivateKey]) -> str:
    """A sealed box, base64, sealed for the first of these keys; the same, if it is already.

    Raises:
        CryptoError: if none of them opens it.
        ValueError, TypeError: if it is no base64.
    """
    sealed = base64.b64decode(box, validate=True)
    with contextlib.suppress(CryptoError):
        opened(sealed, ring[:1])
        return box
    content = opened(sealed, ring[1:])
    anew = SealedBox(ring[0].public_key).encrypt(content)
    if opened(anew, ring[:1]) != content:
        raise CryptoError("what was sealed can't be opened")
    return base64.b64encode(anew).decode()


def _following(settings: Settings, whose: str) -> list[PrivateKey]:
    """The successor of somebody's key, while there is one."""
    with contextlib.suppress(KeyMissing):  # done in this very moment
        if is_renewed(settings, whose):
            return [PrivateKey(_read(_next(settings, whose)))]
    return []


def _next(settings: Settings, whose: str) -> Path:
    return directory(settings) / f"{whose}.next.key"


def _former(settings: Settings, whose: str) -> list[Path]:
    """The files of somebody's former keys; of the notifier's none is kept."""
    return sorted(directory(settings).glob(f"{whose}-*.key")) if whose in RINGS else []


def former_names(settings: Settings, whose: str) -> list[str]:
    """The names of the files of somebody's former keys."""
    return [path.name for path in _former(settings, whose)]


def is_renewed(settings: Settings, whose: str = "notifier") -> bool:
    """Whether somebody has begun to renew this key, and has not finished."""
    return os.path.lexists(_next(settings, whose))


def successor(settings: Settings, whose: str = "notifier") -> PrivateKey:
    """The key that takes the place of this one: the one that an earlier attempt made, or a new one."""
    path = _next(settings, whose)
    if os.path.lexists(path) and _read(path) == bytes(private_key(settings, whose)):
        secret_files.destroy(path)  # the earlier attempt had all but ended
    _put(path, bytes(PrivateKey.generate()))
    return PrivateKey(_read(path))


def seal_for(settings: Settings, key: PublicKey, whose: str = "notifier") -> None:
    """Let others seal for this key from now on."""
    secret_files.write(directory(settings) / f"{whose}.pub", _encoded(bytes(key)).decode())


def succeed(settings: Settings, whose: str = "notifier") -> None:
    """Put the successor in the place of the key, whose own bytes are overwritten by it, where they lie.

    The successor's file is destroyed: in its time that key is a former one too.
    """
    following = _next(settings, whose)
    key = _read(following)
    # Whatever was there: no halves are left that don't belong together.
    seal_for(settings, PrivateKey(key).public_key, whose)
    secret_files.overwrite(directory(settings) / f"{whose}.key", _encoded(key))
    secret_files.destroy(following)


def keep_former(settings: Settings, whose: str) -> None:
    """Keep a copy of a key that is about to be succeeded."""
    key = private_key(settings, whose)
    _put(directory(settings) / f"{whose}-{fingerprint(key.public_key)}.key", bytes(key))


def destroy_former(settings: Settings, whose: str) -> list[str]:
    """Destroy the former keys that are kept; their files' names."""
    gone = _former(settings, whose)
    for path in gone:
        secret_files.destroy(path)
    return [path.name for path in gone]


# ---- reading, each process its own


def pseudonym_names(settings: Settings) -> list[str]:
    """The names of the pseudonym keys that there are, the first one first."""
    return ["pseudonym", *sorted(path.stem for path in directory(settings).glob(f"{NEXT}*.key"))]


def pseudonym_keys(settings: Settings) -> dict[int, bytes]:
    """The pseudonym keys, by the time from which each serves funds that begin, microseconds since 1970; the first always did."""
    first, *others = pseudonym_names(settings)
    return {0: secret(settings, first)} | {_since(name): secret(settings, name) for name in others}


def make_next(settings: Settings, now: int) -> str:
    """Make the pseudonym key that serves funds which begin NEXT_AFTER from `now` on; its name."""
    since = datetime_of((now + NEXT_AFTER) // SECOND * SECOND)
    name = f"{NEXT}{since.strftime(_WHEN)}"
    _put(directory(settings) / f"{name}.key", secrets.token_bytes(KEY_BYTES))
    return name


def _since(name: str) -> int:
    try:
        when = datetime.strptime(name.removeprefix(NEXT), _WHEN)  # noqa: DTZ007  # it ends in Z
    except ValueError:
        raise SettingError(f"{name}.key says no time, such as {NEXT}20270101T120000Z.key") from None
    return int(when.replace(tzinfo=UTC).timestamp()) * SECOND


def secret(settings: Settings, what: str) -> bytes:
    """The 32 bytes of one of SECRETS, or of `pseudonym_names`.

    Raises:
        SettingError: if the setting or the file is not a key; KeyMissing, KeyUnsafe. So do all that follow.
    """
    told: SecretStr | None = getattr(settings, f"{what}_key", None)
    if told is not None:
        return _decoded(told.get_secret_value(), f"PUMASI_{what.upper()}_KEY")
    return _read(directory(settings) / f"{what}.key")


def public_key(settings: Settings, whose: str) -> PublicKey:
    """The public half of one of PAIRS: what that one alone may see is sealed for it."""
    if (told := _told(settings, whose)) is not None:
        return PublicKey(_decoded(told, f"PUMASI_{whose.upper()}_PUBLIC_KEY"))
    return PublicKey(_read(directory(settings) / f"{whose}.pub"))


def _told(settings: Settings, whose: str) -> str | None:
    told: str | None = getattr(settings, f"{whose}_public_key", None)
    return told


def notifier_private_key(settings: Settings) -> PrivateKey:
    """What opens contacts and texts."""
    return private_key(settings, "notifier")


def private_key(settings: Settings, whose: str) -> PrivateKey:
    """A private half that belongs to the public half beside it, if there is one.

    While it is being renewed, the public half may be its successor's. The private half is read last: a renewal that goes on meanwhile
    makes it the successor before that is gone.

    Raises:
        KeyOther: if it doesn't.
    """
    path, public = (directory(settings) / f"{whose}.{half}" for half in ("key", "pub"))
    is_beside = os.path.lexists(public) and not _told(settings, whose)
    told = PublicKey(_read(public)) if is_beside else None
    following = _following(settings, whose)
    try:
        key = PrivateKey(_read(path))
    except KeyMissing as error:
        if whose == "reporter":
            error.hint = "Whoever reports holds it: put it there, or name its directory by PUMASI_KEYS."
        raise
    if told is not None and told not in [one.public_key for one in (key, *following)]:
        raise KeyOther(
            f"{path} is another key than the one that {public.name} beside it belongs to",
            hint="Put the former one back from your backup. If it is lost for good, have both made anew: "
            f"rm {quote(str(path))} {quote(str(public))} && pumasi keys make --lost",
        )
    return key


def webhook_secrets(settings: Settings) -> list[str]:
    """What notices to the webhook are signed with, the newest first; none: there is no secret."""
    if settings.webhook_secret is not None:
        return settings.webhook_secret.get_secret_value().split()
    path = directory(settings) / _WEBHOOK
    return secret_files.read(path).split() if os.path.lexists(path) else []


def put_webhook_secrets(settings: Settings, kept: Iterable[str]) -> None:
    """Let notices be signed with these from now on."""
    secret_files.write(directory(settings) / _WEBHOOK, "".join(f"{one}\n" for one in kept))


def kafka_password(settings: Settings, user: str) -> str:
    """A Kafka user's password."""
    try:
        return secret_files.read(settings.kafka_password_file or _password_file(settings, settings.kafka_user or user))
    except KeyMissing as error:
        error.hint = (
            "The embedded broker's lie where it was started: name that --data, or its PUMASI_KEYS. On a cluster, put the user's "
            "password there. If Kafka asks for none: PUMASI_KAFKA_SECURITY=plain."
        )
        raise


def fingerprints(settings: Settings, *names: str) -> dict[str, str]:
    """What may be told of keys, to tell them from others.

    Args:
        names: `pseudonym` (or another of `pseudonym_names`), `id`, `intake`, `notifier`, `reporter`, or none for all; of a pair it is
            told of the public half.
    """
    told = names or (*SECRETS, *PAIRS, *pseudonym_names(settings)[1:])
    return {name: fingerprint((public_key if name in PAIRS else secret)(settings, name)) for name in told}


def own_files(settings: Settings, user: str) -> list[Path]:
    """The private files that a service can't be without, by its Kafka user; its password's too."""
    names = OWN.get(user, ())
    return [*(directory(settings) / name for name in names), _password_file(settings, settings.kafka_user or user)]


def fingerprint(key: SupportsBytes) -> str:
    """Of one key; of a pair it is told of the public half."""
    return blake2b(bytes(key), digest_size=8, person=b"pumasi-finger").hexdigest()


def _read(path: Path) -> bytes:
    return _decoded(secret_files.read(path), str(path))


def _decoded(text: str, place: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingError(f"{place} is not a key: it must be base64 of {KEY_BYTES} bytes")
    return key
