"""What became of a command: a read model folded from the ledger, for receipts.

Small on purpose: a byte and a number for each command, and figures for each case and pledge. Until the fold has come to the last of a
command's entries, the answer is `accepted`. Money is in the fund's minor units. A pledge's `awarded` counts settled awards too, so
amount = awarded + waiting + released; a case's `promised` counts what is settled, `settled` what is delivered.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.bus.envelope import Record
from services.intake.receipts import Place

FactDict = dict[str, Any]

_UNKNOWN, _APPLIED, _DUPLICATE, _REJECTED = range(4)
_NOBODY = -1
_GAP_MAX = 1 << 24  # offsets without a command that are believed: they take memory

_SUBJECT_OF = {  # which fact tells what a command was about
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


@dataclass(slots=True)
class CaseProgress:
    """A case's figures."""

    status: str = "submitted"
    claim: int = 0
    promised: int = 0
    settled: int = 0
    delivered: int = 0

    def told(self) -> dict[str, Any]:
        """As a receipt tells it."""
        return {name: getattr(self, name) for name in ("status", "claim", "promised", "settled", "delivered")}


@dataclass(slots=True)
class PledgeProgress:
    """A pledge's figures; `cases` has the case of its n-th award at n - 1."""

    amount: int = 0
    awarded: int = 0
    settled: int = 0
    waiting: int = 0
    released: int = 0
    cases: list[CaseProgress] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """As a receipt tells it."""
        return {name: getattr(self, name) for name in ("amount", "awarded", "settled", "waiting", "released")}


class _Partition:
    """What is known of one partition's commands, by offset."""

    def __init__(self) -> None:
        self.states = bytearray()
        self.subjects = array("l")

    def reach(self, offset: int) -> None:
        short = offset + 1 - len(self.states)
        if offset < 0 or short > _GAP_MAX:
            raise ValueError("the offset of no command")
        if short > 0:
            self.states.extend(bytes(short))
            self.subjects.extend([_NOBODY] * short)


class Progress:
    """The fold, and what it answers."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}
        self._rejections: dict[Place, tuple[str, str]] = {}
        self._subjects: list[CaseProgress | PledgeProgress] = []
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._awaited: dict[Place, asyncio.Future[None]] = {}

    def is_refused(self, place: Place) -> bool:
        """Whether the command at `place` was rejected."""
        return self._state_of(place) == _REJECTED

    def decision(self, place: Place) -> asyncio.Future[None] | None:
        """Done as soon as the command at `place` is decided; None if it is already. For many to wait for: nobody may cancel it."""
        if self._state_of(place) != _UNKNOWN:
            return None
        if place not in self._awaited:
            self._awaited[place] = asyncio.get_running_loop().create_future()
        return self._awaited[place]

    def answered_to(self, partition: int) -> int:
        """The offset of the last command of a partition that the fold has come to; -1 before the first."""
        found = self._partitions.get(partition)
        return len(found.states) - 1 if found else -1

    def tell(self, place: Place) -> dict[str, Any]:
        """`state`, and where there is one `code`, `detail`, `progress`, of the command at `place`."""
        state = self._state_of(place)
        if state == _UNKNOWN:
            return {"state": "accepted"}
        if state == _REJECTED:
            code, detail = self._rejections[place]
            return {"state": "rejected", "code": code, "detail": detail}
        told: dict[str, Any] = {"state": "applied"}
        if state == _DUPLICATE:
            told["code"] = "duplicate"
        subject = self._partitions[place.partition].subjects[place.offset]
        if subject != _NOBODY:
            told["progress"] = self._subjects[subject].told()
        return told

    def fold(self, record: Record) -> None:
        """Take in one entry of the ledger.

        Raises:
            ValueError: if the record is no entry, or its facts do not fit what came before; then it is passed over.
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
        state = _APPLIED
        for fact in entry["facts"]:
            name, owner = fact["fact"], fact.get("fund") or fund
            if name == "rejected":
                state, self._rejections[place] = _REJECTED, (fact["code"], fact["detail"])
            elif name == "duplicate":
                state = _DUPLICATE
            elif name in _FOLDS:
                _FOLDS[name](self, owner, fact)
            if _SUBJECT_OF.get(cause["type"]) == name:
                partition.subjects[place.offset] = self._subject_of(owner, fact)
        if entry.get("more"):
            return  # what the command itself came to stands in the last of its entries
        partition.states[place.offset] = state
        if (awaited := self._awaited.pop(place, None)) is not None:
            awaited.set_result(None)

    def _state_of(self, place: Place) -> int:
        partition = self._partitions.get(place.partition)
        known = partition is not None and place.offset < len(partition.states)
        return partition.states[place.offset] if known else _UNKNOWN

    def _subject_of(self, fund: str, fact: FactDict) -> int:
        kind = "case" if "case" in fact else "pledge"
        return self._number(fund, kind, fact[kind])

    def _number(self, fund: str, kind: str, name: str) -> int:
        number = self._numbers.setdefault((fund, kind, name), len(self._subjects))
        if number == len(self._subjects):
            self._subjects.append(CaseProgress() if kind == "case" else PledgeProgress())
        return number

    def _case(self, fund: str, name: str) -> CaseProgress:
        found = self._subjects[self._number(fund, "case", name)]
        assert isinstance(found, CaseProgress), "the key says so"
        return found

    def _pledge(self, fund: str, name: str) -> PledgeProgress:
        found = self._subjects[self._number(fund, "pledge", name)]
        assert isinstance(found, PledgeProgress), "the key says so"
        return found

    def _award(self, fund: str, award: str) -> tuple[PledgeProgress, CaseProgress]:
        pledge, _, number = award.rpartition("/")
        found = self._pledge(fund, pledge)
        return found, found.cases[int(number) - 1]

    # ---- one function a fact --------------------------------------------------------------------------------------

    def _case_submitted(self, fund: str, fact: FactDict) -> None:
        self._case(fund, fact["case"]).claim = fact["goal"] - fact["own_contribution"]

    def _case_claims(self, fund: str, fact: FactDict) -> None:
        case = self._case(fund, fact["case"])
        case.claim = fact["claim"]
        if fact["fact"] == "case_opened":
            case.status = "open"

    def _case_delivered(self, fund: str, fact: FactDict) -> None:
        self._case(fund, fact["case"]).delivered += fact["amount"]

    def _case_closed(self, fund: str, fact: FactDict) -> None:
        self._case(fund, fact["case"]).status = "closed"

    def _pledged(self, fund: str, fact: FactDict) -> None:
        pledge = self._pledge(fund, fact["pledge"])
        pledge.amount = pledge.waiting = fact["amount"] or 0

    def _pledge_raised(self, fund: str, fact: FactDict) -> None:
        pledge = self._pledge(fund, fact["pledge"])
        pledge.amount += fact["amount"]
        pledge.waiting += fact["amount"]

    def _given_back(self, fund: str, fact: FactDict) -> None:
        pledge = self._pledge(fund, fact["pledge"])
        pledge.waiting -= fact["amount"]
        pledge.released += fact["amount"]

    def _awarded(self, fund: str, fact: FactDict) -> None:
        pledge, case = self._pledge(fund, fact["pledge"]), self._case(fund, fact["case"])
        number = int(fact["award"].rpartition("/")[2])
        if number != len(pledge.cases) + 1:
            raise ValueError("awards are numbered without a gap")
        pledge.cases.append(case)
        pledge.awarded += fact["amount"]
        pledge.waiting -= fact["amount"]
        case.promised += fact["amount"]

    def _award_settled(self, fund: str, fact: FactDict) -> None:
        for one in self._award(fund, fact["award"]):
            one.settled += fact["amount"]

    def _award_voided(self, fund: str, fact: FactDict) -> None:
        pledge, case = self._award(fund, fact["award"])
        case.promised -= fact["amount"]
        pledge.awarded -= fact["amount"]
        pledge.waiting += fact["amount"]
        for one in (pledge, case):
            one.settled -= fact["settled"]


_FOLDS: dict[str, Callable[[Progress, str, FactDict], None]] = {
    "case_submitted": Progress._case_submitted,
    "case_opened": Progress._case_claims,
    "case_amended": Progress._case_claims,
    "case_renewed": Progress._case_claims,
    "case_delivered": Progress._case_delivered,
    "case_closed": Progress._case_closed,
    "pledge_accepted": Progress._pledged,
    "pledge_instalment": Progress._pledged,
    "pledge_raised": Progress._pledge_raised,
    "released": Progress._given_back,
    "refunded": Progress._given_back,
    "awarded": Progress._awarded,
    "award_settled": Progress._award_settled,
    "award_voided": Progress._award_voided,
}
"""The index of the fold: facts that change a figure."""
