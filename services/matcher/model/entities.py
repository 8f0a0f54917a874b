"""What a fund is made of: its policy, cases, pledges and awards, with their sums.

Plain mutable objects with slots; only `engine.facts` changes them, one fact at a time. All money is in the fund's minor units
unless named `face`; times are microseconds since 1970.

Awards to which nothing has happened yet may be mere rows (`award_rows`). A pledge or a case that is asked for its `awards` gives
objects; the two share them, and they last.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from operator import attrgetter, index
from sys import intern
from typing import Any

from schemas.times import DAY, HOUR, parse
from schemas.values import CLASSES
from services.matcher.model.award_rows import NONE, Fresh

RANK = {name: rank for rank, name in enumerate(CLASSES)}

FactDict = dict[str, Any]
Queue = tuple[str, str]
"""For what waiting money waits: `("pool", "")`, `("case", id)` or `("need", need)`."""
POOL: Queue = ("pool", "")
Amounts = tuple[int, int, int]
"""Of an award: all of it, what of that is settled, and what of that is delivered."""
Recurrence = tuple[str, int | None]
"""`every` and `times` of a recurrence."""


class Policy:
    """A fund's configuration, in the units of the engine."""

    __slots__ = ("ageing", "currency", "deadline", "forget_after_days", "rule", "share", "vouchers_required", "weights")

    def __init__(self, fact: FactDict) -> None:
        self.currency: str = fact["currency"]
        self.rule: str = fact["rule"]
        self.share: int = fact["share"]
        self.weights: str = fact["weights"]
        self.ageing: int = index(fact["ageing_days"]) * DAY  # a text times a day would be all memory there is
        self.deadline: int = index(fact["deadline_hours"]) * HOUR
        self.vouchers_required: int = fact["vouchers_required"]
        self.forget_after_days: int = fact.get("forget_after_days", 0)  # the engine has no use for it; readers have

    def same(self, other: Policy) -> bool:
        """True if both say the same."""
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)


class Award:
    """The part of a pledge matched to a case.

    Attributes:
        number: counts the pledge's awards from 1; with the pledge's id it makes the award's.
        order: counts the fund's awards from 0.
        amount: awarded money, settled or not.
        settled: the part of it that is paid, delivered or not.
        delivered: the part of it that was handed over. An award delivered in whole can't change any more and is let go of.
    """

    __slots__ = ("amount", "case", "delivered", "number", "order", "pledge", "settled")

    def begin(self, number: int, order: int, pledge: Pledge, case: Case, amount: int) -> Award:
        """Be an award to which nothing has happened yet."""
        self.number, self.order, self.pledge, self.case = number, order, pledge, case
        self.amount, self.settled, self.delivered = amount, 0, 0
        return self

    @property
    def id(self) -> str:
        """`<pledge>/<number>`."""
        return award_id(self.pledge, self.number)


def award_id(pledge: Pledge, number: int) -> str:
    """The id of a pledge's award."""
    return f"{pledge.id}/{number}"


def amounts_of(award: Award) -> Amounts:
    """An award's amounts."""
    return award.amount, award.settled, award.delivered


class Case:
    """One need of one beneficiary.

    Attributes:
        awarded: counts settled awards too; `settled` counts what is delivered too.
        awards: those with money not yet delivered, oldest first.
        person_mark: its beneficiary's, if a contact is known: whoever vouches under the same is the beneficiary.
        mark: its part of the last checkpoint's state hash; 0 if it has no record of its own there.
        listed: whether it has changed since (`changes`).
        touched: whether the answer at hand has changed it.
    """

    __slots__ = (
        "_awards", "_fresh", "_last",
        "awarded", "began", "beneficiary", "claim", "delivered", "goal", "id", "listed", "mark", "need", "needed_by",
        "next_escalation", "next_renewal", "open_order", "opened_at", "origin", "outcome", "own_contribution", "period",
        "person_mark", "priority", "rank", "recurrence", "settled", "status", "thanks", "touched", "vouchers",
    )  # fmt: skip

    _awards: list[Award] | None
    _fresh: Fresh | None
    _last: int

    def __init__(self, fact: FactDict) -> None:
        self.id: str = fact["case"]
        self.beneficiary: str = fact["beneficiary"]
        self.need: str = intern(fact["need"])
        self.goal: int = fact["goal"]
        self.own_contribution: int = fact["own_contribution"]
        self.priority: int = RANK[fact["priority"]]
        self.needed_by: int | None = _time_in(fact, "needed_by")
        self.recurrence = recurrence_of(fact.get("recurrence"))
        self.origin = case_identity(fact)
        self.person_mark: str | None = fact.get("mark")
        self.status = "submitted"
        self.outcome: str | None = None
        self.vouchers: Collection[str] = ()
        self.thanks: Collection[str] = ()
        self.claim: int = self.goal - self.own_contribution if self.own_contribution else self.goal
        self.rank = self.priority
        self.awarded = self.settled = self.delivered = 0
        self.awards = None
        self.open_order = 0
        self.opened_at = self.began = 0
        self.period = 1
        self.next_escalation: int | None = None
        self.next_renewal: int | None = None
        self.mark, self.listed, self.touched = 0, False, False

    def recall(self, origin: tuple[Any, ...], vouchers: Collection[str], thanks: Collection[str]) -> None:
        """Derive what a checkpoint does not say again from what was said when the case was submitted."""
        self.origin, self.beneficiary, self.need = origin, origin[0], intern(origin[1])
        self.own_contribution, self.recurrence = origin[4], origin[7]
        self.vouchers, self.thanks = grown(vouchers), grown(thanks)
        self.awards, self.mark, self.listed, self.touched = None, 0, False, False

    @property
    def awards(self) -> list[Award]:
        """See above; rows become objects."""
        return self.all_awards()

    @awards.setter
    def awards(self, awards: list[Award] | None) -> None:
        self._awards, self._fresh, self._last = awards, None, NONE

    def all_awards(self) -> list[Award]:
        """`awards`, for whoever asks often."""
        awards = self._awards
        if awards is None:  # most cases are never asked
            self._awards = awards = []
        fresh, row = self._fresh, self._last
        if fresh is not None:
            self._fresh, self._last = None, NONE
            found = []
            while row != NONE:
                pledge = fresh.pledge_of(row)
                found.append(pledge.award_of_row(row))
                row = fresh.before(row)
            found.reverse()
            awards += found
            if not _in_order(awards):  # from a checkpoint
                awards.sort(key=_ORDER)
        return awards

    def take_touched(self, award: Award) -> None:
        """Have an award from a checkpoint that is no row. Of many `put_in_order` makes those that are."""
        if self._awards is None:
            self._awards = []
        self._awards.append(award)

    def put_in_order(self) -> None:
        """See `take_touched`."""
        if self._awards:
            self._awards.sort(key=_ORDER)

    @property
    def any_awards(self) -> bool:
        """Whether it has any awards, rows included."""
        return self._fresh is not None or bool(self._awards)

    def amounts(self) -> list[Amounts]:
        """Of each of its awards; rows stay rows."""
        amounts = [amounts_of(award) for award in self._awards or ()]
        fresh, row = self._fresh, self._last
        while fresh is not None and row != NONE:
            amounts.append(fresh.pledge_of(row).amounts_of_row(row))
            row = fresh.before(row)
        return amounts

    def take(self, fresh: Fresh, row: int) -> None:
        """Be given a fresh award, whose row names the last one before it (`last_row`)."""
        self._fresh, self._last = fresh, row

    @property
    def last_row(self) -> int:
        """The row of its newest award, if that is fresh; else `NONE`."""
        return self._last

    def residual(self) -> int:
        """What the claim still lacks; only an open case has one."""
        return max(0, self.claim - self.awarded) if self.status == "open" else 0

    def forget(self, award: Award) -> None:
        """Let go of an award that is void as a whole or delivered in whole."""
        awards = self.all_awards()
        del awards[_place_of(awards, award)]


class Pledge:
    """A donor's promise, or one instalment of it.

    What few pledges have (a designation, an expiry, a recurrence) is kept beside the slots, so that the many plain ones stay small.

    Attributes:
        amount: the promise in the fund's currency, 0 while `rate` is None.
        waiting: money matched to no case, paid or not.
        paid_waiting: the part of `waiting` that is paid.
        awarded: unsettled awards; `settled`: settled and not delivered; `delivered`: handed over.
        released: given back to the donor, unpaid (released) or paid (refunded).
        face_paid: payments so far in the pledge's own currency.
        awards: those with money not yet delivered, oldest first.
        has_terms: whether there is anything beside the slots that says where its money may go, or when.
        cancelled: its unpaid part has ended before its rate was known.
        closed: "withdrawn" or "expired", or None.
        mark: its part of the last checkpoint's state hash; 0 if it has no record of its own there.
        listed: whether it has changed since (`changes`).
        touched: whether the answer at hand has changed it.
    """

    __slots__ = (
        "__dict__", "_awards", "_first_order", "_first_row", "_fresh", "_rows", "amount", "awarded", "awards_made", "closed",
        "currency", "delivered", "donor", "face", "face_paid", "has_terms", "id", "listed", "mark", "order", "paid_waiting", "rate",
        "released", "settled", "touched", "waiting",
    )  # fmt: skip

    _awards: list[Award] | None
    _fresh: Fresh | None
    _first_order: int
    _first_row: int
    _rows: int
    designation: tuple[str, str] | None = None
    fallback = "pool"
    queue = POOL
    expires_at: int | None = None
    recurrence: Recurrence | None = None
    accepted_at = 0  # of a recurring one
    instalment = 1
    next_instalment: int | None = None
    of: str | None = None
    cancelled = False

    def __init__(self, fact: FactDict, order: int, at: int) -> None:
        self.begin(
            fact["pledge"], order, fact["donor"], fact["face"], fact["currency"], fact["rate"], fact["amount"] or 0
        )
        if len(fact) > _PLAIN_PLEDGE:
            self.take_terms(fact, at)

    def begin(self, name: str, order: int, donor: str, face: int, currency: str, rate: str | None, amount: int) -> None:
        """Be a pledge without terms, of which all waits."""
        self.id, self.order, self.donor, self.face, self.currency, self.rate = name, order, donor, face, currency, rate
        self.amount = self.waiting = amount
        self.closed: str | None = None
        self.paid_waiting = self.awarded = self.settled = self.delivered = self.released = self.face_paid = 0
        self._awards = self._fresh = None
        self.awards_made = self.mark = 0
        self.listed = self.touched = self.has_terms = False

    def take_terms(self, fact: FactDict, at: int) -> None:
        """Have what few pledges have, as a fact of time `at` says it."""
        self.has_terms = True
        for name in fact.keys() & {"fallback", "of"}:
            setattr(self, name, fact[name])
        if "designation" in fact:
            self.designation = designation = designation_of(fact["designation"])
            if self.fallback != "pool":
                self.queue = designation
        if "expires_at" in fact:
            self.expires_at = parse(fact["expires_at"])
        if "recurrence" in fact:
            self.recurrence, self.accepted_at = recurrence_of(fact["recurrence"]), at

    @property
    def awards(self) -> list[Award]:
        """See above; rows become objects."""
        return self.all_awards()

    @awards.setter
    def awards(self, awards: list[Award] | None) -> None:
        self._awards, self._fresh = awards, None

    def all_awards(self) -> list[Award]:
        """`awards`, for whoever asks often."""
        awards, fresh = self._awards, self._fresh
        if awards is None:
            self._awards = awards = []
        if fresh is not None:
            self._fresh = None
            for number in range(self._rows):
                row = self._first_row + number
                award: Award = Award.__new__(Award)
                awards.append(
                    award.begin(number + 1, self._first_order + number, self, fresh.case_of(row), fresh.amount_of(row))
                )
        return awards

    @property
    def any_awards(self) -> bool:
        """Whether it has any awards, rows included."""
        return self._fresh is not None or bool(self._awards)

    def amounts(self) -> list[Amounts]:
        """Of each of its awards; rows stay rows."""
        if self._fresh is None:
            return [amounts_of(award) for award in self._awards or ()]
        return [self.amounts_of_row(row) for row in range(self._first_row, self._first_row + self._rows)]

    def amounts_of_row(self, row: int) -> Amounts:
        """The same of what the award of a row of its own has become."""
        return amounts_of(self.award_of_row(row)) if self._fresh is None else (self._fresh.amount_of(row), 0, 0)

    def add_fresh(self, fresh: Fresh, case: Case, number: int, order: int, amount: int) -> bool:
        """Have another award as a row, behind those it has, if it can be one; whether it could."""
        rows = 0 if self._fresh is None else self._rows
        if amount >= _WORD or number != rows + 1:
            return False
        if not rows:
            self._fresh, self._first_row, self._first_order = fresh, len(fresh), order
        elif len(fresh) != self._first_row + rows or order != self._first_order + rows:
            return False
        case.take(fresh, fresh.add(self, case, amount, case._last))
        self._rows = self.awards_made = number
        return True

    def begin_fresh(self, fresh: Fresh, rows: int, first_order: int) -> None:
        """Have the awards of the last rows of `fresh`: so many, from 1 on, and from `first_order` among the fund's."""
        self._fresh, self._first_row, self._rows, self._first_order = fresh, len(fresh) - rows, rows, first_order
        self.awards_made = rows

    def award_of_row(self, row: int) -> Award:
        """What the award of a row of its own has become. Raises KeyError as `award`."""
        return self.award(row - self._first_row + 1)

    def unpaid(self) -> int:
        """What is promised and not paid: waiting or awarded."""
        return self.waiting - self.paid_waiting + self.awarded

    def award(self, number: int) -> Award:
        """An award by its number.

        Raises:
            KeyError: if it was never made, is void as a whole, or delivered in whole.
        """
        awards = self.all_awards()
        if awards:
            one = awards[0]
            index = number - one.number  # most pledges have let go of none in the middle
            if 0 < index < len(awards):
                one = awards[index]
            if one.number != number:
                one = awards[bisect_left(awards, number, 0, len(awards) - 1, key=_NUMBER)]
            if one.number == number:
                return one
        raise KeyError(number)

    def forget(self, award: Award) -> None:
        """Let go of an award that is void as a whole or delivered in whole."""
        awards = self.all_awards()
        del awards[_place_of(awards, award)]
        if not awards:
            self.awards = None


_PLAIN_PLEDGE = len(("fact", "pledge", "donor", "amount", "face", "currency", "rate"))
_NUMBER = attrgetter("number")
_WORD = 1 << 62
_ORDER = attrgetter("order")


def _in_order(awards: list[Award]) -> bool:
    """Whether awards are as old as their orders say, from the oldest to the newest."""
    last = -1
    for award in awards:
        if award.order < last:
            return False
        last = award.order
    return True


def _place_of(awards: list[Award], award: Award) -> int:
    """Where an award is among others, which are as old as their orders say."""
    low, high, order = 0, len(awards) - 1, award.order
    while low < high:
        middle = (low + high) // 2
        one = awards[middle]
        if one.order < order:
            low = middle + 1
        else:
            high = middle
    return low


def grown(said: Collection[str], more: str | None = None) -> Collection[str]:
    """What was said, and one more; most cases have a voucher or two, and a set would be the largest part of such a case."""
    if more is not None:
        if isinstance(said, set):
            said.add(more)
            return said
        said = (*said, more)
    return tuple(said) if len(said) <= _FEW else set(said)


def tupled(value: Any) -> Any:
    """A list out of JSON as the tuple it was; anything else as it is."""
    return tuple(tupled(part) for part in value) if isinstance(value, list) else value


_FEW = 8


def _time_in(fact: FactDict, name: str) -> int | None:
    text = fact.get(name)
    return None if text is None else parse(text)


def recurrence_of(value: FactDict | None) -> Recurrence | None:
    """A recurrence as a tuple."""
    return None if value is None else (value["every"], value.get("times"))


def designation_of(value: FactDict) -> tuple[str, str]:
    """A designation as `("case", id)` or `("need", need)`."""
    return ("case", value["case"]) if value.get("case") else ("need", value["need"])


def case_identity(fact: FactDict) -> tuple[Any, ...]:
    """All that was said of a case when it was submitted, to tell a repeat from a conflict."""
    return (
        fact["beneficiary"], intern(fact["need"]), intern(fact["route"]), fact["goal"], fact["own_contribution"],
        intern(fact["priority"]), _time_in(fact, "needed_by"), recurrence_of(fact.get("recurrence")),
    )  # fmt: skip


def pledge_identity(pledge: Pledge) -> tuple[Any, ...]:
    """All that was said of a pledge when it was made, to tell a repeat from a conflict."""
    return (
        pledge.donor, pledge.face, pledge.currency, pledge.designation, pledge.fallback, pledge.expires_at,
        pledge.recurrence,
    )  # fmt: skip
