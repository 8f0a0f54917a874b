"""Contacts: a pseudonym to know a person by, a sealed box to reach them; the address itself is forgotten. Texts of thanks likewise.

The pseudonym is BLAKE2b keyed with this installation's key over the normalised address: the same person, however the address
was written, gets the same pseudonym, and nobody without the key can try addresses out. The box is NaCl's sealed box: intake can't
open what it has sealed for the notifier. Its content is `{"address", "language"}` as JSON, or a text, padded so that its length says
little.

What a sender seals is sealed for intake, which opens it: a box that nobody here looks into could hold anything, legible to all. One
that can't be opened is an alarm, since it may be just that.
"""

from __future__ import annotations

import base64
import logging
import unicodedata
from functools import lru_cache
from hashlib import blake2b

import msgspec
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from pydantic import ValidationError

from schemas.submissions import Contact
from services.intake.ids import Ids
from services.keys import id_key_of

log = logging.getLogger("pumasi.intake")

TEXT_MAX = 1000
"""The longest text of thanks, in characters."""
ADDRESS_MAX = 1024
"""The longest address, in characters, as it is sent and in NFKC, by which one character may become 18."""

_MAIL = {"mailto", "mailtos"}
_PAD_TO = 256


class NotSealed(ValueError):
    """A box that can't be opened here."""


@lru_cache(maxsize=4096)
def _nfkc_length(character: str) -> int:
    return len(unicodedata.normalize("NFKC", character))


def canonical_length(address: str) -> int:
    """About how many characters NFKC makes of an address, without the work of doing it."""
    return len(address) if address.isascii() else sum(map(_nfkc_length, address))


def normalised(address: str) -> str:
    """An address as one of many ways to write it: NFKC, no blanks around, scheme and host in lower case, no slash at the end.

    A mail address is in lower case as a whole.

    >>> normalised("  MailTo://Neighbour@Example.org/ ")
    'mailto://neighbour@example.org'
    >>> normalised("TGRAM://Bot/Chat/")
    'tgram://bot/Chat'
    """
    text = unicodedata.normalize("NFKC", address).strip()
    scheme, _, rest = text.partition(":")
    scheme, slashes, rest = scheme.lower(), "//" if rest.startswith("//") else "", rest.lstrip("/").rstrip("/")
    if scheme in _MAIL:
        return f"{scheme}:{slashes}{rest.lower()}"
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    return f"{scheme}:{slashes}{user}{at}{host.lower()}{slash}{path}"


class Sealer:
    """Turns contacts into pseudonyms and sealed boxes, and what must not stand on the bus into ids.

    Args:
        key: the 32 bytes that pseudonyms are keyed with.
        public_key: whom contacts and texts are sealed for.
        private_key: what opens the senders' boxes; None: one that nobody has sealed for.
        id_key: what ids are hashed with; None: the one that goes with `key`.

    Attributes:
        ids: makes ids.
        unopened: how many boxes could not be opened.
    """

    def __init__(
        self, key: bytes, public_key: PublicKey, private_key: PrivateKey | None = None, id_key: bytes | None = None
    ) -> None:
        self._key, self._box = key, SealedBox(public_key)
        self._opening = SealedBox(private_key or PrivateKey.generate())
        self.ids = Ids(id_key or id_key_of(key))
        self.unopened = 0

    def pseudonym(self, contact: Contact) -> str:
        """The person's pseudonym: `s-` and 26 characters."""
        digest = blake2b(normalised(contact.address).encode(), digest_size=16, key=self._key, person=b"pumasi-subject")
        return "s-" + base64.b32encode(digest.digest()).decode().rstrip("=").lower()

    def seal(self, contact: Contact) -> str:
        """The contact for the notifier's eyes only, base64."""
        return self._sealed(msgspec.json.encode({"address": contact.address.strip(), "language": contact.language}))

    def seal_text(self, text: str) -> str:
        """The same of a text."""
        return self._sealed(text.encode())

    def _sealed(self, content: bytes) -> str:
        padded = content + b" " * (-len(content) % _PAD_TO)  # JSON may end in blanks, and so may a text
        return base64.b64encode(self._box.encrypt(padded)).decode()

    def opened_contact(self, box: str) -> Contact:
        """The contact in a sender's box.

        Raises:
            NotSealed: if it can't be opened.
            ValueError: if no contact is in it.
        """
        content = self._opened(box)
        try:
            return Contact.model_validate_json(content)
        except ValidationError:  # which would repeat what is in it
            raise ValueError("no contact") from None

    def opened_text(self, box: str) -> str:
        """The text in a sender's box, without blanks around.

        Raises:
            NotSealed: if it can't be opened.
            ValueError: if no text of 1 to TEXT_MAX characters is in it.
        """
        text = self._opened(box).decode().strip()
        if not 0 < len(text) <= TEXT_MAX:
            raise ValueError("too short or too long")
        return text

    def _opened(self, box: str) -> bytes:
        try:
            return self._opening.decrypt(base64.b64decode(box, validate=True))
        except (ValueError, TypeError, CryptoError):
            self.unopened += 1
            if (
                self.unopened & (self.unopened - 1) == 0
            ):  # the 1st, 2nd, 4th, 8th, …: an alarm must not drown the others
                log.error(
                    "a sealed box can't be opened (%d by now): somebody may be sending what all can read", self.unopened
                )
            raise NotSealed("not sealed for intake") from None
