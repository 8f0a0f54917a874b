"""What became of a command: a read model folded from the ledger, for receipts.

Small on purpose: two bytes and a reference for each command, and the books (`services.readmodel`) with each award. Until the fold has
come to the last of a command's entries, the answer is `accepted`.

What is told of a case or a pledge: `subjects`. What its sender may hear of a verdict: `makers`; so a command is decided here only once
it was read on both topics.

A fact that is unknown here may have changed any figure, so no receipt of its partition is answered any more. Which commands were
decided, and which refused, is still followed: repeats rest on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from schemas.times import parse
from services.bus.envelope import Record
from services.errors import UnknownFact
from services.intake.makers import CLOSED, UNTOLD, WORDS, Heard, Id, Makers, Named, heard_by_others
from services.intake.receipts import Place
from services.intake.subjects import Books, Case, Configuration, Fund, Pledge, configuration
from services.readmodel.books import FactDict

log = logging.getLogger("pumasi.intake")

_UNKNOWN, _APPLIED, _DUPLICATE, _REJECTED = range(4)
_WORD = 4
_TOLD: dict[Heard, dict[str, str]] = {
    Heard.APPLIED: {"state": "applied"},
    Heard.REFUSED: UNTOLD,
    Heard.CASE_CLOSED: CLOSED,
}
"""What is told in place of a verdict."""
_GAP_MAX = 1 << 24  # offsets without a command that are believed: they take memory

_SUBJECT_OF = {  # which fact says what a command was about
    "pumasi.fund.configured": "fund_configured",
    "pumasi.case.submitted": "case_submitted",
    "pumasi.case.vouched": "case_vouched",
    "pumasi.case.amended": "case_amended",
    "pumasi.case.delivered": "case_delivered",
    "pumasi.case.thanked": "case_thanked",
    "pumasi.case.closed": "case_closed",
    "pumasi.pledge.made": "pledge_accepted",
    "pumasi.pledge.withdrawn": "pledge_withdrawn",
    "pumasi.payment.received": "payment_received",
    "pumasi.payment.failed": "payment_failed",
    "pumasi.payment.refunded": "refunded",
}

_PAYMENT = "pumasi.payment.received"
_DETAILS = {  # which on the ledger tell a case's sums
    "exceeds_settled": "more than is settled and not yet delivered",
    "goal_below_delivered": "less than is delivered already",
}


class _Partition:
    """What is known of one partition's commands, by offset.

    Attributes:
        states: what the matcher said, and whether it is about a word (`_WORD`).
        heard: what the sender hears of that (`Heard`); 0 where it isn't known whose the command is.
        raised: by how much a payment raised its pledge.
    """

    def __init__(self) -> None:
        self.states, self.heard = bytearray(), bytearray()
        self.subjects: list[Case | Pledge | Configuration | None] = []
        self.raised: dict[int, int] = {}
        self.stopped: UnknownFact | None = None

    def reach(self, offset: int) -> None:
        short = offset + 1 - len(self.states)
        if offset < 0 or short > _GAP_MAX:
            raise ValueError("the offset of no command")
        if short > 0:
            self.states.extend(bytes(short))
            self.heard.extend(bytes(short))
            self.subjects.extend([None] * short)


class Progress:
    """The fold, and what it answers.

    Args:
        began: called with each fund and the time of each of its configurations, microseconds since 1970.
        makers: tells what a sender may hear; None if all senders are one, which hears all.
    """

    def __init__(
        self, began: Callable[[str, int], None] = lambda _fund, _at: None, makers: Makers | None = None
    ) -> None:
        self._began, self._makers = began, makers
        self._partitions: dict[int, _Partition] = {}
        self._rejections: dict[Place, tuple[str, str]] = {}
        self._books = Books(Fund)
        self._awaited: dict[Place, asyncio.Future[None]] = {}

    def is_refused(self, place: Place) -> bool:
        """Whether the command at `place` was rejected, as its sender hears it."""
        heard = self._heard(place)
        return self._state_of(place) == _REJECTED if heard == Heard.ALL else heard in (Heard.REFUSED, Heard.CASE_CLOSED)

    def said(self, place: Place) -> str | None:
        """What the matcher said of the command at `place`, whatever its sender hears: `applied`, `duplicate` or the code of its
        rejection; None until it is decided."""
        return None if self._state_of(place) == _UNKNOWN else self._code_of(place) or "applied"

    def forgets_after(self, fund: str) -> int:
        """After how many days a fund forgets people; 0: never."""
        known = self._books.funds.get(fund)
        return known.forget_after_days if known else 0

    def is_made_by(self, sender: str, one: Id | None) -> bool:
        """Whether it is remembered that a sender made an id."""
        return self._makers is not None and self._makers.is_made_by(sender, one)

    def came(self, place: Place, named: Named | None) -> None:
        """A command stands at `place` of the commands topic, or what is none; those of a partition come in order."""
        if self._makers is not None:
            if self._makers.came(place, named):
                for awaited in [one for one in self._awaited if one.partition == place.partition and one < place]:
                    self._settle(awaited)  # there is nothing more to wait for
            self._settle(place)

    def decision(self, place: Place) -> asyncio.Future[None] | None:
        """Done as soon as the command at `place` is decided; None if it is already. For many to wait for: nobody may cancel it."""
        if self._heard(place) is not None:
            return None
        if place not in self._awaited:
            self._awaited[place] = asyncio.get_running_loop().create_future()
        return self._awaited[place]

    def answered_to(self, partition: int) -> int:
        """The offset of the last command of a partition that the fold has come to; -1 before the first."""
        found = self._partitions.get(partition)
        return len(found.states) - 1 if found else -1

    def tell(self, place: Place) -> dict[str, Any]:
        """`state`, and where there is one `code`, `detail`, `progress`, `waiting_for`, `configuration`, `raised_by`, of the command at
        `place`.

        Raises:
            UnknownFact: if there is one in its partition's ledger.
        """
        partition = self._partitions.get(place.partition)
        if partition is not None and partition.stopped is not None:
            raise partition.stopped
        heard = self._heard(place)
        if partition is None or heard is None:
            return {"state": "accepted"}
        if heard != Heard.ALL:
            return dict(_TOLD[heard])
        state = self._state_of(place)
        if state == _REJECTED:
            code, detail = self._rejections[place]
            return {"state": "rejected", "code": code, "detail": detail}
        told: dict[str, Any] = {"state": "applied"}
        if state == _DUPLICATE:
            told["code"] = "duplicate"
        subject = partition.subjects[place.offset]
        if isinstance(subject, dict):
            told["configuration"] = subject
        elif subject is not None:
            with contextlib.suppress(TypeError):  # what stands for a sum on a ledger that isn't ours is no number
                told["progress"], told["waiting_for"] = subject.told()
        if (raised := partition.raised.get(place.offset)) is not None:
            told["raised_by"] = raised
        return told

    def fold(self, record: Record) -> None:
        """Take in one entry of the ledger.

        Raises:
            ValueError: if the record is no entry, or its facts do not fit what came before; then it is skipped.
        """
        try:
            self._fold(record)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # receipts of all others go on being told, whatever stands in one record
            raise ValueError(f"not an entry that fits ({type(error).__name__})") from None

    def _fold(self, record: Record) -> None:
        entry = msgspec.json.decode(record.value or b"")
        fund, cause = entry["fund"], entry["cause"]
        place = Place(record.partition, cause["offset"])
        partition = self._partitions.setdefault(record.partition, _Partition())
        partition.reach(place.offset)
        self._keep_books(partition, record.partition, entry)
        state = _APPLIED
        for fact in entry["facts"]:
            name = fact["fact"]
            if name == "rejected":
                code, detail = fact["code"], fact["detail"]
                state, self._rejections[place] = _REJECTED, (code, _DETAILS.get(code, detail))
            elif name == "fund_configured":
                self._began(fund, parse(entry["at"]))
            elif name == "duplicate":
                state = _DUPLICATE
            elif name == "case_closed" and self._makers is not None:
                self._makers.closed(fund, fact["case"], place.offset)
            elif name == "pledge_raised" and cause["type"] == _PAYMENT:
                partition.raised[place.offset] = fact["amount"]
            if _SUBJECT_OF.get(cause["type"]) == name and partition.stopped is None:
                partition.subjects[place.offset] = self._subject_of(fact.get("fund") or fund, fact)
        if entry.get("more"):
            return  # what the command itself came to stands in the last of its entries
        partition.states[place.offset] = state | (_WORD if cause["type"] in WORDS else 0)
        self._settle(place)

    def _settle(self, place: Place) -> None:
        """Make out what the sender of a command hears, and tell who waits, as soon as both topics have told of it."""
        if self._heard(place) is None:
            return
        if self._makers is not None:
            partition, code = self._partitions[place.partition], self._code_of(place)
            if not partition.heard[place.offset]:
                is_word = bool(partition.states[place.offset] & _WORD)
                partition.heard[place.offset] = self._makers.hear(place, code, is_word=is_word)
        if (awaited := self._awaited.pop(place, None)) is not None:
            awaited.set_result(None)

    def _state_of(self, place: Place) -> int:
        partition = self._partitions.get(place.partition)
        if partition is None or place.offset >= len(partition.states):
            return _UNKNOWN
        return partition.states[place.offset] & 3

    def _code_of(self, place: Place) -> str | None:
        """What the matcher said of a command that it decided; None for applied."""
        return {_REJECTED: self._rejections.get(place, ("",))[0], _DUPLICATE: "duplicate"}.get(self._state_of(place))

    def _heard(self, place: Place) -> Heard | None:
        """What the sender of a command hears; None until it is decided, and known whose it is."""
        if self._state_of(place) == _UNKNOWN or (self._makers is not None and not self._makers.has_read(place)):
            return None
        if self._makers is None:
            return Heard.ALL
        partition = self._partitions[place.partition]
        if heard := partition.heard[place.offset]:
            return Heard(heard)
        return heard_by_others(self._code_of(place), is_word=bool(partition.states[place.offset] & _WORD))

    def _keep_books(self, partition: _Partition, number: int, entry: dict[str, Any]) -> None:
        if partition.stopped is None:
            try:
                self._books.feed(number, entry)
            except UnknownFact as unknown:
                partition.stopped = unknown
                log.critical(
                    "no receipt of partition %(partition)d is told any more: %(why)s",
                    {"event": "receipts_stopped", "partition": number, "code": unknown.code, "why": unknown.message},
                )

    def _subject_of(self, fund: str, fact: FactDict) -> Case | Pledge | Configuration:
        if fact["fact"] == "fund_configured":
            return configuration(fund, fact)
        books = self._books.funds[fund]
        return books.cases[fact["case"]] if "case" in fact else books.pledges[fact["pledge"]]
