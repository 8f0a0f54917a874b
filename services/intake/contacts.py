"""Contacts: a pseudonym to know a person by, a sealed box to reach them; the address itself is forgotten.

The pseudonym is BLAKE2b keyed with this installation's key over the normalised address: the same person, however the address
was written, gets the same pseudonym, and nobody without the key can try addresses out. The box is NaCl's sealed box: intake can't
open what it has sealed. Its content is `{"address", "language"}` as JSON, padded so that its length says little.
"""

from __future__ import annotations

import base64
import unicodedata
from functools import lru_cache
from hashlib import blake2b

import msgspec
from nacl.public import PublicKey, SealedBox

from schemas.submissions import Contact

ADDRESS_MAX = 1024
"""The longest address, in characters, as it is sent and in NFKC, by which one character may become 18."""

_MAIL = {"mailto", "mailtos"}
_PAD_TO = 256
_BOX_BYTES_MIN = 49  # a sealed box adds 48 to what it holds


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
    """Turns contacts into pseudonyms and sealed boxes.

    Args:
        key: the 32 bytes that pseudonyms are keyed with.
        public_key: whom contacts are sealed for.
    """

    def __init__(self, key: bytes, public_key: PublicKey) -> None:
        self._key, self._box = key, SealedBox(public_key)

    def pseudonym(self, contact: Contact) -> str:
        """The person's pseudonym: `s-` and 26 characters."""
        digest = blake2b(normalised(contact.address).encode(), digest_size=16, key=self._key, person=b"pumasi-subject")
        return "s-" + base64.b32encode(digest.digest()).decode().rstrip("=").lower()

    def seal(self, contact: Contact) -> str:
        """The contact for the notifier's eyes only, base64."""
        content = msgspec.json.encode({"address": contact.address.strip(), "language": contact.language})
        padded = content + b" " * (-len(content) % _PAD_TO)  # JSON may end in blanks
        return base64.b64encode(self._box.encrypt(padded)).decode()


def is_sealed(text: str) -> bool:
    """True if `text` can be a sealed box: base64, long enough, and no text in some language underneath."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return len(content) >= _BOX_BYTES_MIN
    return False  # a box starts with 32 random bytes: it is UTF-8 once in millions of millions
