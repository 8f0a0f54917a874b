"""Makers: whose command made an id, and so what a sender may hear of a verdict on one.

That an id is taken, and by what, tells of a person wherever a word of theirs goes with it: whoever guesses a voucher, and hears
`duplicate` instead of `applied`, knows that somebody vouched. So what is the matter with an id is told to its maker, and all others
hear the same of a hit and of a miss: of a word about a case that isn't theirs `applied` and nothing else, of any other id `refused`,
and of a case that was closed before `case_closed`. What they hear also decides whether their event stands, or is taken anew when it
comes again.

The maker is the sender whose command was applied: a refused one makes nothing. Followed from the commands and the ledger, as far back
as the memory reaches; what was forgotten has no maker, and of a command that was, everybody hears what no maker would.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from schemas.commands import Command
from services.intake.admission import NAMES
from services.intake.floods import Floods
from services.intake.receipts import Place

_SUBMITTED, _PLEDGED, VOUCHED = "pumasi.case.submitted", "pumasi.pledge.made", "pumasi.case.vouched"
WORDS = frozenset({VOUCHED, "pumasi.case.thanked"})
"""The types that only add a word, a person's or a text's, to what somebody made: heard of as `applied`, be it new or not."""
_ON_CASE = frozenset({VOUCHED, "pumasi.case.amended", "pumasi.case.delivered", "pumasi.case.closed"})
"""What may not be once a case is closed."""
_MISSING = frozenset({"unknown_case", "unknown_pledge", "unknown_payment", "unknown_delivery"})
_VERDICTS = _MISSING | {"duplicate", "id_conflict", "own_voucher", "case_closed"}
"""The codes that tell of an id whether it is there, and what it stands for."""
UNTOLD = {
    "state": "rejected",
    "code": "refused",
    "detail": "it names what another sender made, or nobody; more is told to its maker alone",
}
"""What any other sender hears in their place."""
CLOSED = {"state": "rejected", "code": "case_closed", "detail": "the case is closed"}
"""And of a case that was closed."""
_MADE = {
    _SUBMITTED: "case",
    _PLEDGED: "pledge",
    "pumasi.payment.received": "payment",
    "pumasi.payment.failed": "payment",
    "pumasi.payment.refunded": "payment",
    "pumasi.case.delivered": "delivery",
}
Id = tuple[str, str, str]
"""A fund, the type that makes such ids, and the id: as the matcher, each type has names of its own."""


class Heard(IntEnum):
    """What the sender of a command hears of its verdict."""

    ALL = 1
    APPLIED = 2
    REFUSED = 3
    CASE_CLOSED = 4


class Named(NamedTuple):
    """A command as it was read.

    Attributes:
        sender, type: of the command.
        id: what a verdict on it is about, if that is an id: the one that it makes, else the one that it names.
        case: the case that it names, if any.
        at: when it was appended, seconds since 1970.
    """

    sender: str
    type: str
    id: Id | None
    case: Id | None
    at: float

    @classmethod
    def of(cls, sender: str, command: Command, at: float) -> Named:
        """Of a command that is no tick."""
        fund, names = command.data.fund, {name: getattr(command.data, name, None) for name in NAMES}
        case = id_of(fund, _SUBMITTED, names) if names["case"] else None
        return cls(sender, command.type, id_of(fund, command.type, names), case, at)


def id_of(fund: str, type: str, names: Mapping[str, Any]) -> Id | None:  # noqa: A002  # as CloudEvents call it
    """The id that a command with these names is about.

    >>> id_of("jilin", "pumasi.payment.received", {"pledge": "p-1", "payment": "~x"})
    ('jilin', 'pumasi.payment.received', '~x')
    >>> id_of("jilin", "pumasi.pledge.withdrawn", {"pledge": "p-1#2"})
    ('jilin', 'pumasi.pledge.made', 'p-1')
    """
    for made, name in ((type, _MADE.get(type)), (_SUBMITTED, "case"), (_PLEDGED, "pledge")):
        if name is not None and (value := names.get(name)) is not None:
            return fund, made, value.partition("#")[0]
    return None


def heard_by_others(code: str | None, *, is_word: bool, was_closed: bool = False) -> Heard:
    """What a sender that didn't make the id hears of a command: `code` is what the matcher said, None for applied."""
    if was_closed:
        return Heard.CASE_CLOSED
    if is_word and (code is None or code in _VERDICTS - _MISSING):
        return Heard.APPLIED
    return Heard.REFUSED if code in _VERDICTS else Heard.ALL


class Makers:
    """Remembers so many ids, and so many commands until they are decided.

    Args:
        floods: counts conflicts; a sender that is held off hears what no maker would.
    """

    def __init__(self, capacity: int, floods: Floods) -> None:
        self._capacity, self._floods = capacity, floods
        self._makers: OrderedDict[Id, str] = OrderedDict()
        self._undecided: OrderedDict[Place, Named] = OrderedDict()
        self._closed: dict[Id, int] = {}
        self._reached: dict[int, int] = {}

    def came(self, place: Place, named: Named | None) -> bool:
        """A command stands at `place`, or what is none; those of a partition come in order. Whether some were passed over."""
        before = self._reached.get(place.partition, -1)
        self._reached[place.partition] = place.offset
        if named is not None:
            self._undecided[place] = named
            self._bound(self._undecided)
        return place.offset > before + 1

    def closed(self, fund: str, case: str, offset: int) -> None:
        """The command at an offset closed a case."""
        self._closed[fund, _SUBMITTED, case] = offset

    def has_read(self, place: Place) -> bool:
        """Whether the command at `place` has come, or was passed over."""
        return place.offset <= self._reached.get(place.partition, -1)

    def is_made_by(self, sender: str, one: Id | None) -> bool:
        """Whether it is remembered that a sender made an id."""
        return one is not None and self._makers.get(one) == sender

    def hear(self, place: Place, code: str | None, *, is_word: bool) -> Heard:
        """What the sender of the command at `place` hears, now that it is decided: called once, in the order of its partition."""
        named = self._undecided.pop(place, None)
        if named is None:
            return heard_by_others(code, is_word=is_word)
        if code is None and named.id is not None and named.type in _MADE:
            self._makers[named.id] = named.sender
            self._bound(self._makers)
        if not self._is_flood(named, code) and (named.id is None or self._makers.get(named.id) == named.sender):
            return Heard.ALL
        was_closed = (
            named.type in _ON_CASE and self._closed.get(named.case or ("", "", ""), place.offset) < place.offset
        )
        return heard_by_others(code, is_word=named.type in WORDS, was_closed=was_closed)

    def _is_flood(self, named: Named, code: str | None) -> bool:
        """Count what may be a guess: data under an id that stands, and vouchers of one case."""
        if named.id is None:
            return False
        if named.type == VOUCHED and code not in _MISSING:
            return self._floods.vouched(named.sender, named.id, named.at)
        if code not in ("id_conflict", "duplicate"):
            return False
        return self._floods.conflicted(named.sender, named.id[0], named.at, is_repeat=code == "duplicate")

    def _bound(self, memory: OrderedDict[Any, Any]) -> None:
        while len(memory) > self._capacity:
            memory.popitem(last=False)
