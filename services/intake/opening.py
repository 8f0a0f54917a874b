"""What opens the boxes that senders seal for intake: its key, and the former ones until they are revoked (`services.succession`).

While a key is being renewed, a box for the new one may come before it is known here that there is one. So before a box is taken for
one that nobody sealed for us, the keys in the directory are read again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey

from services import keys
from services.errors import SettingError


class NotSealed(ValueError):
    """A box that can't be opened here."""


class Opener:
    """Intake's ring of keys. `read`: reads the keys that open boxes, the one in use first."""

    def __init__(self, read: Callable[[], Sequence[PrivateKey]]) -> None:
        self._read, self._keys = read, [*read()]

    @property
    def fingerprint(self) -> str:
        """Of the key that senders should seal for."""
        return keys.fingerprint(self._keys[0].public_key)

    def has(self, told: str) -> bool:
        """Whether a key of this fingerprint is among them."""
        return told in [keys.fingerprint(key.public_key) for key in self._keys]

    def renew(self) -> None:
        """Read the keys again, and use no others; if they can't be read, those that we have are better than none."""
        with suppress(SettingError):
            self._keys = [*self._read()]

    def opened(self, box: str) -> bytes:
        """What is in a box, base64.

        Raises:
            NotSealed: if none of the keys opens it.
        """
        try:
            sealed = base64.b64decode(box, validate=True)
        except (ValueError, TypeError):
            raise NotSealed("no box") from None
        try:
            return keys.opened(sealed, self._tried())
        except CryptoError:
            raise NotSealed("not sealed for intake") from None

    def _tried(self) -> Iterator[PrivateKey]:
        """The keys; then, if none of them did, those that have come since."""
        tried = self._keys
        yield from tried
        self.renew()
        yield from (key for key in self._keys if key not in tried)
