"""Keys of this installation: what makes pseudonyms, and the pairs that contacts are sealed for.

    keys/pseudonym.key   32 bytes; the same contact gives the same pseudonym only under the same key
    keys/intake.key      intake's private key: opens what senders seal, to look at it and seal it anew for the notifier
    keys/intake.pub      its public half, for senders
    keys/notifier.key    the notifier's private key: opens contacts and texts; intake never reads it
    keys/notifier.pub    its public half, for intake

Each file is base64 of 32 bytes and a newline, mode 0600. The first process that needs a key makes it. On several machines the
pseudonym key and the notifier's public key come from settings (PUMASI_PSEUDONYM_KEY, PUMASI_NOTIFIER_PUBLIC_KEY), the notifier's
private key stays with it, and every intake has a copy of intake's. Without the pseudonym key a person's past
and future submissions can't be linked any more; without the notifier's private key every contact is lost.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from nacl.public import PrivateKey, PublicKey

from services.errors import SettingError

if TYPE_CHECKING:
    from services.settings import Settings

KEY_BYTES = 32
_DIRECTORY = "keys"


def pseudonym_key(settings: Settings) -> bytes:
    """The 32 bytes that pseudonyms are keyed with; made if this installation has none.

    Raises:
        SettingError: if the setting or the file is not a key.
    """
    if settings.pseudonym_key is not None:
        return _decoded(settings.pseudonym_key.get_secret_value(), "PUMASI_PSEUDONYM_KEY")
    return _kept(settings.data / _DIRECTORY / "pseudonym.key", secrets.token_bytes(KEY_BYTES))


def id_key(settings: Settings) -> bytes:
    """The 32 bytes that ids are hashed with (`services.intake.ids`).

    For now derived from the pseudonym key; later a key of its own, made once and never renewed: an id must stay what it is.

    Raises:
        SettingError: as `pseudonym_key`.
    """
    return id_key_of(pseudonym_key(settings))


def id_key_of(pseudonym_key: bytes) -> bytes:
    """The id key that goes with a pseudonym key."""
    return blake2b(digest_size=KEY_BYTES, key=pseudonym_key, person=b"pumasi-id-key").digest()


def notifier_public_key(settings: Settings) -> PublicKey:
    """Whom contacts and texts are sealed for on the bus; a key pair is made if this installation has none.

    Raises:
        SettingError: if the setting or the file is not a key.
    """
    if settings.notifier_public_key is not None:
        return PublicKey(_decoded(settings.notifier_public_key, "PUMASI_NOTIFIER_PUBLIC_KEY"))
    return _public_key(settings, "notifier")


def notifier_private_key(settings: Settings) -> PrivateKey:
    """What opens contacts and texts; made if this installation has none.

    Raises:
        SettingError: if the file is not a key.
    """
    return _private_key(settings, "notifier")


def intake_public_key(settings: Settings) -> PublicKey:
    """Whom senders seal contacts and texts for; a key pair is made if this installation has none.

    Raises:
        SettingError: if the file is not a key.
    """
    return _public_key(settings, "intake")


def intake_private_key(settings: Settings) -> PrivateKey:
    """What opens them; made if this installation has none.

    Raises:
        SettingError: if the file is not a key.
    """
    return _private_key(settings, "intake")


def _public_key(settings: Settings, whose: str) -> PublicKey:
    path = settings.data / _DIRECTORY / f"{whose}.pub"
    if not path.exists():
        _kept(path, bytes(_private_key(settings, whose).public_key))
    return PublicKey(_kept(path, b""))


def _private_key(settings: Settings, whose: str) -> PrivateKey:
    return PrivateKey(_kept(settings.data / _DIRECTORY / f"{whose}.key", bytes(PrivateKey.generate())))


def _kept(path: Path, fresh: bytes) -> bytes:
    """The key in `path`; if there is none, `fresh` is put there, unless another process was quicker."""
    try:
        return _decoded(path.read_text(), str(path))
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"the key {path} can't be read ({type(error).__name__})") from None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(fresh) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)  # whole or not at all, and never over another's
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
    return _decoded(path.read_text(), str(path))


def _decoded(text: str, place: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingError(f"{place} is not a key: it must be base64 of {KEY_BYTES} bytes")
    return key
