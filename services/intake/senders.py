"""Who may send: what the topic of senders says now, and which sender a request or record is from.

Followed from the start, so that a key that is revoked is refused within a second wherever it is shown. Until all of it is read
nobody is known, and nobody is refused for that. A sender whose record can't be read has no rights: the record may have been its
revocation.

A key's owner is found by the name in it, and its hash is compared in constant time, with a hash of nobody's where the name is
unknown. On the topic a signed event must have all its attributes in its body: headers of binary mode are not signed.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from schemas.senders import ANYONE, SCOPE_OF, Sender
from services.bus.envelope import Record
from services.bus.replacing import is_covering
from services.bus.senders import read_sender
from services.errors import Forbidden, KafkaUnreachable, Unauthenticated, UnreadableRecord, Unsigned
from services.intake.cloudevents import STRUCTURED, Event, media_type, read_record
from services.intake.opening import NotSealed, Opener
from services.senders import (
    ID_HEADER,
    SENDER_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    Mistyped,
    hash_of,
    is_signed,
    sender_of,
)

log = logging.getLogger("pumasi.intake")

_NOBODYS = bytes(32)
_TIME_DIGITS_MAX = 12
_SIGNED_HEADERS = (SENDER_HEADER, ID_HEADER, TIME_HEADER, SIGNATURE_HEADER)


class Known(NamedTuple):
    """A sender as a door knows it; `funds` and `scopes` are None where it may send anything."""

    name: str
    scopes: frozenset[str] | None = None
    funds: frozenset[str] | None = None
    hashes: tuple[bytes, ...] = ()
    secrets: tuple[bytes, ...] = ()

    def hold_scope(self, kind: str) -> None:
        """Check that it may send events of this type; an unknown type passes here. Raises Forbidden if not."""
        scope = SCOPE_OF.get(kind)
        if scope is not None and self.scopes is not None and scope not in self.scopes:
            raise Forbidden(f"this key lacks the scope {scope}, which {kind} needs", scope=scope)

    def hold_fund(self, fund: str) -> None:
        """Check that it may send anything in this fund. Raises Forbidden if not."""
        if self.funds is not None and fund not in self.funds:
            raise Forbidden("this key is not for the fund of the event", fund=fund)


class Senders:
    """All senders. `caught_up`: returns once `follow` has been given all that stands on the topic now."""

    def __init__(self, opener: Opener, caught_up: Callable[[], Awaitable[None]]) -> None:
        self._opener, self._caught_up = opener, caught_up
        self._known: dict[str, Known] = {}
        self._unheard: dict[str, Callable[[], None]] = {}  # tells what is wrong with one
        self._at: dict[str, int] = {}
        self._complete = False

    async def catch_up(self) -> None:
        """Return once everything on the topic now is known."""
        await self._caught_up()
        self._complete = True
        self._tell()

    def follow(self, record: Record) -> None:
        """Take in a record of the topic."""
        name = (record.key or b"").decode("utf-8", "replace")
        if is_covering(record, self._at.get(name)):
            return
        self._at[name] = record.offset
        self._known.pop(name, None)
        self._unheard.pop(name, None)
        try:
            self._known[name] = self._read(read_sender(record))
        except UnreadableRecord as bad:
            why = bad.message
            self._unheard[name] = lambda: log.error(
                "a sender can't be read, and may send nothing: offset %(offset)d (%(why)s)",
                {"event": "sender_not_read", "offset": record.offset, "why": why},
            )
        self._tell()

    def _tell(self) -> None:
        """Tell what is wrong with senders; not before all is read, since until then a later record may have put it right."""
        while self._complete and self._unheard:
            self._unheard.popitem()[1]()

    def _read(self, sender: Sender) -> Known:
        secrets = [self._opened(key.secret) for key in sender.keys]
        if None in secrets:
            self._unheard[sender.sender] = lambda: log.error(
                "%(sender)s can't sign: its secret is sealed for another key than intake's; "
                "`pumasi keys rotate %(sender)s` gives it a new one",
                {"event": "sender_cannot_sign", "sender": sender.sender},
            )
        return Known(
            sender.sender,
            frozenset(sender.scopes),
            None if sender.funds is None else frozenset(sender.funds),
            tuple(bytes.fromhex(key.hash) for key in sender.keys),
            tuple(secret for secret in secrets if secret is not None),
        )

    def _opened(self, box: str) -> bytes | None:
        try:
            return self._opener.opened(box)
        except NotSealed:
            return None

    def bearing(self, authorization: str | None) -> Known:
        """Whose key the header of a request shows.

        Raises:
            Unauthenticated: if it shows none that counts.
            KafkaUnreachable: if nobody is known yet.
        """
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(
                "no key",
                hint="Send `Authorization: Bearer pumasi_…`; whoever runs this Pumasi makes keys (`keys add`).",
            )
        key = key.strip()
        try:
            name = sender_of(key)
        except Mistyped:
            raise Unauthenticated("the key's checksum is wrong: it was mistyped or cut short") from None
        if not self._complete:
            raise KafkaUnreachable("who may send is not known yet", hint="Try again: a repeat is safe.")
        known, shown = self._known.get(name or ""), hash_of(key)
        matches = [hmac.compare_digest(shown, one) for one in (known.hashes if known and known.hashes else (_NOBODYS,))]
        if known is None or not any(matches):
            raise Unauthenticated(
                "no such key, or it is revoked", hint="Whoever runs this Pumasi knows which keys count (`keys list`)."
            )
        return known

    def signing(self, record: Record) -> tuple[Known, Event]:
        """Who signed a record of the submissions topic, and the event in it.

        Raises:
            Unsigned: if there is no signature that counts.
            UnreadableRecord: if it is signed, and no CloudEvent.
        """
        told = [(name, value) for name, value in record.headers if name in _SIGNED_HEADERS]
        given = {name: value for name, value in told if value is not None}
        if not len(told) == len(given) == len(_SIGNED_HEADERS):
            raise Unsigned("no signature: pumasi-sender, webhook-id, webhook-timestamp, webhook-signature, each once")
        at, body = given[TIME_HEADER], record.value or b""
        known = self._known.get(given[SENDER_HEADER].decode("utf-8", "replace"))
        secrets = known.secrets if known and known.secrets else (_NOBODYS,)
        counts = is_signed(secrets, given[ID_HEADER], at, given[SIGNATURE_HEADER], body)
        if known is None or not known.secrets or not counts or not (at.isdigit() and len(at) <= _TIME_DIGITS_MAX):
            raise Unsigned("the signature is none of a sender whose keys count")
        if media_type((dict(record.headers).get("content-type") or b"").decode("utf-8", "replace")) != STRUCTURED:
            raise Unsigned(f"content-type: not {STRUCTURED}; what is signed is a whole event")
        event = read_record(record)
        if event.id.encode("utf-8", "surrogatepass") != given[ID_HEADER]:
            raise Unsigned("webhook-id: not the event's id")
        return known, event

    def funds_of(self, record: Record) -> frozenset[str]:
        """The funds of the sender that a record names, be it signed or not; none where that may send in all."""
        named = dict(record.headers).get(SENDER_HEADER) or b""
        known = self._known.get(named.decode("utf-8", "replace"))
        return (known and known.funds) or frozenset()


NOBODY_ASKED = Known(ANYONE)


class Anyone(Senders):
    """Where keys are switched off: everybody is the same sender, which may send anything."""

    def __init__(self) -> None:
        self._complete, self._known = True, {}

    async def catch_up(self) -> None:
        """There is nothing to know."""

    def bearing(self, authorization: str | None) -> Known:
        return NOBODY_ASKED

    def signing(self, record: Record) -> tuple[Known, Event]:
        """Anyone, and the event; raises UnreadableRecord if it is none."""
        return NOBODY_ASKED, read_record(record)
