"""Makers: who named a case, a pledge, a payment or a delivery first, and so may hear details about its id.

That an id is taken, or unknown, shows whether somebody's case or pledge exists. So a verdict about an id goes to the sender who
made that id, and to no other: whoever tries ids out gets the same answer for all. Followed from the commands topic, as far back
as the memory of repeats reaches; about older ones nobody is told.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from services.intake.receipts import Place

VERDICTS = frozenset(
    {
        "duplicate",
        "id_conflict",
        "own_voucher",
        "unknown_case",
        "unknown_pledge",
        "unknown_payment",
        "unknown_delivery",
    }
)
"""The codes that show whether an id is in use, and whose it is."""
UNTOLD = {
    "state": "rejected",
    "code": "refused",
    "detail": "it names what another sender made, or nobody; more is told to its maker alone",
}
"""What any other sender gets in their place."""
_MADE = {
    "pumasi.case.submitted": "case",
    "pumasi.pledge.made": "pledge",
    "pumasi.payment.received": "payment",
    "pumasi.payment.failed": "payment",
    "pumasi.payment.refunded": "payment",
    "pumasi.case.delivered": "delivery",
}


class Makers:
    """Remembers so many ids and commands.

    Args:
        capacity: how many.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._makers: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        self._own: OrderedDict[Place, None] = OrderedDict()
        self._reached: dict[int, int] = {}

    def came(self, place: Place, sender: str, kind: str, data: Any) -> None:
        """A command stands at `place`; those of a partition come in order."""
        self._reached[place.partition] = place.offset
        own = True
        for name in ("case", "pledge", "payment", "delivery"):
            if (value := getattr(data, name, None)) is not None:
                key = data.fund, name, value.partition("#")[0]
                if _MADE.get(kind) == name:
                    self._makers.setdefault(key, sender)
                own = own and self._makers.get(key) == sender
        if own:
            self._own[place] = None
        for memory in (self._makers, self._own):
            while len(memory) > self._capacity:
                memory.popitem(last=False)

    def is_own(self, place: Place) -> bool | None:
        """Whether the sender of the command at `place` made all that it names; None while that command has not been read."""
        return place in self._own if place.offset <= self._reached.get(place.partition, -1) else None
