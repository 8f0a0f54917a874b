"""Contacts: whom an address reaches, and a sealed box to reach them; the address itself is forgotten. Texts of thanks are sealed
likewise. Where care was sought, and under which papers, goes into a box of one length for the reporter, so that nobody else sees
it.

The box is NaCl's sealed box: intake can't open what it has sealed for the notifier. Its content is `{"address", "language"}` as JSON,
or a text, padded so that its length says little.

What a sender seals is sealed for intake, which opens it: a box that nobody here looks into could hold anything, legible to all. One
that can't be opened is an alarm, since it may be just that. A person's word is made here of the address (`ids.People`), never taken
from whoever sent it: so nobody can put an address beside somebody else's word.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Collection
from typing import NamedTuple

import msgspec
from nacl.public import PublicKey, SealedBox
from pydantic import ValidationError

from schemas.submissions import Contact, Language
from schemas.values import SCHEMES, Access
from services.intake.ids import Ids, People
from services.intake.opening import NotSealed, Opener
from services.intake.recipients import Recipient, recipient_of
from services.keys import fingerprint

log = logging.getLogger("pumasi.intake")

TEXT_MAX = 1000
"""The longest text of thanks, in characters."""

_PAD_TO = 256
_ACCESS_BYTES = 72
"""Of what is in a box of access: no province and status together are longer. With NaCl's 48 it is 160 characters of base64."""


class Reached(NamedTuple):
    """A contact, once it is known whom it reaches."""

    recipient: Recipient
    language: Language


class Sealer:
    """Turns contacts into words for people and sealed boxes, and what must not stand on the bus into ids.

    Args:
        key: the 32 bytes that words for people are keyed with.
        public_key: whom contacts and texts are sealed for.
        opener: opens the senders' boxes; None: nothing does.
        id_key: what ids are hashed with; None: `key`.
        schemes: by which somebody may be reached.
        reporter_key: whom access is sealed for; None: whoever contacts are sealed for.
        key_of: says which key makes a fund's words (`services.intake.funds.Funds.key_of`); None: `key`, in every fund.

    Attributes:
        ids: makes ids.
        sealed_for: the fingerprints of the keys that are sealed for now: the `notifier`'s for contacts and texts, the `reporter`'s for
            access.
        unopened: how many boxes could not be opened.
    """

    def __init__(
        self,
        key: bytes,
        public_key: PublicKey,
        opener: Opener | None = None,
        id_key: bytes | None = None,
        schemes: Collection[str] = SCHEMES,
        reporter_key: PublicKey | None = None,
        key_of: Callable[[str, int | None], bytes] | None = None,
    ) -> None:
        self._schemes = schemes
        self._boxes: dict[str, SealedBox[PublicKey]] = {}
        self.sealed_for: dict[str, str] = {}
        self.seal_for(public_key)
        self.seal_for(reporter_key or public_key, "reporter")
        self._opener = opener or Opener(list)
        self.ids, self._key_of = Ids(id_key or key), key_of or (lambda _fund, _sent_at: key)
        self.unopened = 0

    def people_in(self, fund: str, sent_at: int | None = None) -> People:
        """What makes words for people in a fund; `sent_at` is the time that what is sent was given. Raises KafkaUnreachable."""
        return People(self._key_of(fund, sent_at))

    def seal_for(self, public_key: PublicKey, whose: str = "notifier") -> None:
        """Seal what is for them for this key from now on."""
        self._boxes[whose], self.sealed_for[whose] = SealedBox(public_key), fingerprint(public_key)

    def reached(self, contact: Contact) -> Reached:
        """Whom a contact reaches.

        Raises:
            NoRecipient: if that can't be made out.
        """
        return Reached(recipient_of(contact.address, self._schemes), contact.language)

    def seal(self, reached: Reached) -> str:
        """The contact for the notifier's eyes only, base64."""
        return self._sealed(msgspec.json.encode({"address": reached.recipient.address, "language": reached.language}))

    def seal_text(self, text: str) -> str:
        """The same of a text."""
        return self._sealed(text.encode())

    def _sealed(self, content: bytes) -> str:
        padded = content + b" " * (-len(content) % _PAD_TO)  # JSON may end in blanks, and so may a text
        return base64.b64encode(self._boxes["notifier"].encrypt(padded)).decode()

    def seal_access(self, access: Access) -> str:
        """Where care was sought and under which papers, for the reporter's eyes only: base64, always as long."""
        content = access.model_dump_json().encode().ljust(_ACCESS_BYTES)
        assert len(content) == _ACCESS_BYTES, "a longer box would tell of its content"
        return base64.b64encode(self._boxes["reporter"].encrypt(content)).decode()

    def opened_contact(self, box: str, sender: str) -> Contact:
        """The contact in a sender's box.

        Raises:
            NotSealed: if it can't be opened.
            ValueError: if no contact is in it.
        """
        content = self._opened(box, sender)
        try:
            return Contact.model_validate_json(content)
        except ValidationError:  # which would repeat what is in it
            raise ValueError("no contact") from None

    def opened_text(self, box: str, sender: str) -> str:
        """The text in a sender's box, without blanks around.

        Raises:
            NotSealed: if it can't be opened.
            ValueError: if no text of 1 to TEXT_MAX characters is in it.
        """
        text = self._opened(box, sender).decode().strip()
        if not 0 < len(text) <= TEXT_MAX:
            raise ValueError("too short or too long")
        return text

    def _opened(self, box: str, sender: str) -> bytes:
        try:
            return self._opener.opened(box)
        except NotSealed:
            self.unopened += 1
            if (
                self.unopened & (self.unopened - 1) == 0
            ):  # the 1st, 2nd, 4th, 8th, …: an alarm must not drown the others
                log.error(
                    "a sealed box from %(sender)s can't be opened (%(count)d by now, whoever sent them): it may be what all can read",
                    {"event": "box_not_opened", "sender": sender, "count": self.unopened},
                )
            raise
