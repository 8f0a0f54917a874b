"""Words that intake makes: keyed hashes for what a sender left out, for people, and for what must not be on the bus as it was sent.

All are BLAKE2b-128, 26 characters of base32 in lower case without padding, each kind under a personalisation of its own; ids
under the id key, words for people under the pseudonym key. Whoever has the same key gets the same word for the same thing, so a
repeat is a repeat; without the key nobody can guess a word, or try numbers. A derived id has a letter before it (`c-`, `p-`,
`d-`); any other word begins with `~`.
"""

from __future__ import annotations

import base64
from hashlib import blake2b

from schemas.submissions import is_hashed
from services.bus.attributes import is_id


class _Words:
    """Makes words under a key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _hash(self, kind: bytes, *parts: str) -> str:
        said = "\0".join(parts).encode("utf-8", "surrogatepass")  # only the last part may hold a NUL itself
        digest = blake2b(said, digest_size=16, key=self._key, person=kind).digest()
        return base64.b32encode(digest).decode().rstrip("=").lower()


class Ids(_Words):
    """Makes ids, under the id key (`id.key`)."""

    def derived(self, prefix: str, sender: str, source: str, event: str) -> str:
        """The id of what an event creates, where its sender gave none."""
        return prefix + self._hash(b"pumasi-own", sender, source, event)

    def event(self, event: str) -> str:
        """An event's id on the bus: its own, if that is an id of the contract."""
        return event if is_id(event) else "~" + self._hash(b"pumasi-event", event)

    def reference(self, fund: str, reference: str) -> str:
        """A payment's reference on the bus; one that is a hash already stays."""
        return reference if is_hashed(reference) else "~" + self._hash(b"pumasi-payment", fund, reference)

    def thanks(self, fund: str, case: str, text: str) -> str:
        """The id of a text that is sealed for the notifier."""
        return "~" + self._hash(b"pumasi-thanks", fund, case, text)

    def mac(self, sender: str, source: str, event: str, kind: str, data: bytes) -> str:
        """A hash that distinguishes a repeat of an event from a conflict: over all that was sent, and nothing that intake adds."""
        return self._hash(b"pumasi-sent", sender, source, kind, str(len(event)), event + data.decode())


class People(_Words):
    """Makes words for people; nothing else is made with a pseudonym key."""

    def pseudonym(self, role: str, fund: str, person: str) -> str:
        """A person in one role in one fund; in any other the word differs. No sender may send a person's word that begins with `~`.

        Args:
            role: `beneficiary`, `donor` or `voucher`.
            person: `services.intake.recipients.Recipient.person`.
        """
        return "~" + self._hash(b"pumasi-subject", role, fund, person)

    def mark(self, fund: str, case: str, person: str) -> str:
        """A person at one case, in whatever role: it finds whoever vouches for themselves, and links nobody elsewhere."""
        return "~" + self._hash(b"pumasi-mark", fund, case, person)
