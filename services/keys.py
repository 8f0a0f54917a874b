"""Keys of this installation: what makes pseudonyms, and the pair that contacts are sealed for.

    keys/pseudonym.key   32 bytes; the same contact gives the same pseudonym only under the same key
    keys/notifier.key    the notifier's private key: opens sealed contacts; intake never reads it
    keys/notifier.pub    its public half: seals

Each file is base64 of 32 bytes and a newline, mode 0600, made on first use by whoever comes first. On several machines the
pseudonym key and the public key come from settings (PUMASI_PSEUDONYM_KEY, PUMASI_NOTIFIER_PUBLIC_KEY) and the private key stays with
the notifier. Who loses the pseudonym key loses the link between a person's past and future submissions; who loses the private
key loses every contact.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import tempfile
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


def notifier_public_key(settings: Settings) -> PublicKey:
    """Whom contacts are sealed for; a key pair is made if this installation has none.

    Raises:
        SettingError: if the setting or the file is not a key.
    """
    if settings.notifier_public_key is not None:
        return PublicKey(_decoded(settings.notifier_public_key, "PUMASI_NOTIFIER_PUBLIC_KEY"))
    public = settings.data / _DIRECTORY / "notifier.pub"
    if not public.exists():
        _kept(public, bytes(notifier_private_key(settings).public_key))
    return PublicKey(_kept(public, b""))


def notifier_private_key(settings: Settings) -> PrivateKey:
    """What opens sealed contacts; made if this installation has none.

    Raises:
        SettingError: if the file is not a key.
    """
    return PrivateKey(_kept(settings.data / _DIRECTORY / "notifier.key", bytes(PrivateKey.generate())))


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
