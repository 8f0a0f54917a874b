"""The contract once more, as slowly and plainly as it can be said.

This is what the engine must equal, fact by fact. It knows lists and dicts, keeps no index, no heap and no running total that it
could get wrong: sums are taken again whenever they are needed, the next timer is found by looking at everything, and money flows
one boundary at a time (`tests.oracle.rules`). It was written from sections 3–6 of `schemas/CONTRACT.md`, without a look at the engine,
and shares no code with it; it even converts money and counts months in its own way. § marks the section that code says again.

Where the contract leaves room, the reading taken is in the comment beside it.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from schemas.commands import Command, Unreadable
from tests.oracle.rules import CLASSES, NEXT

ASAP, STAT = 2, 3
DIGITS = {"CNY": 2, "USD": 2, "EUR": 2, "KRW": 0, "JPY": 0, "KWD": 3, "BHD": 3, "CLF": 4}
"""ISO 4217 minor units of the currencies the tests use, copied from the standard and not from `schemas`."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 3600 * 10**6
DAY = 24 * HOUR
TWO_MINUTES = 120 * 10**6
EXPIRY, INSTALMENT, RENEWAL, ESCALATION = range(4)  # §5 Timers: their order at one instant


class _AnyDetail:
    """Equal to any text a rejection may carry: the wording is not contract, its being a short text is."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _AnyDetail) or (isinstance(other, str) and 0 < len(other) <= 512)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<a detail>"


class _Rejection(Exception):
    """The command is answered by `rejected: <code>`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Duplicate(Exception):
    """The command says again what was said, or changes nothing."""


@dataclass(eq=False)
class Case:
    id: str
    beneficiary: str
    need: str
    goal: int
    own: int
    claim: int
    priority: int
    needed_by: int | None
    recurrence: Any
    mark: str | None
    vouchers: list[str] = field(default_factory=list)
    state: str = "submitted"  # → open → closed
    outcome: str | None = None
    shown: int = 0  # the class as the facts so far tell it
    opened_at: int = 0
    order: int = -1  # opening order: the first case of a fund to open has 0
    began: int | None = None  # of the current period; None: not open, so it does not age
    period: int = 1


@dataclass(eq=False)
class Pledge:
    id: str
    of: str | None
    donor: str
    face: int
    currency: str
    rate: str | None
    amount: int | None  # in the fund's currency; None while there is no rate
    accepted_at: int
    designation: Any
    fallback: str
    expires_at: int | None
    recurrence: Any
    waiting_unpaid: int = 0
    waiting_paid: int = 0
    released: int = 0
    refunded: int = 0
    face_paid: int = 0
    cancelled: bool = False  # its unpaid part ended before it was ever valued
    withdrawn: bool = False
    expired: bool = False
    instalments: int = 1  # how many there are, the pledge itself being the first
    awards_made: int = 0

    @property
    def waiting(self) -> int:
        return self.waiting_unpaid + self.waiting_paid


@dataclass(eq=False)
class Award:
    id: str
    pledge: Pledge
    case: Case
    amount: int
    settled: int = 0
    delivered: int = 0


@dataclass(eq=False)
class Fund:
    id: str
    policy: Any
    rates: dict[str, str] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    pledges: list[Pledge] = field(default_factory=list)
    awards: list[Award] = field(default_factory=list)  # in the order they were made: oldest first
    known: dict[tuple[str, ...], Any] = field(default_factory=dict)  # business id → the data it came with

    def awards_of(self, owner: Case | Pledge) -> list[Award]:
        return [a for a in self.awards if owner in (a.case, a.pledge)]

    def awarded(self, case: Case) -> int:
        return sum(a.amount for a in self.awards_of(case))

    def settled(self, case: Case) -> int:
        return sum(a.settled for a in self.awards_of(case))

    def delivered(self, case: Case) -> int:
        return sum(a.delivered for a in self.awards_of(case))

    def unpaid(self, pledge: Pledge) -> int:
        return pledge.waiting_unpaid + sum(a.amount - a.settled for a in self.awards_of(pledge))

    def open_cases(self) -> list[Case]:
        return sorted((c for c in self.cases if c.state == "open"), key=lambda c: c.order)


# ---------------------------------------------------------------------------------------------- values


def text_of(moment: datetime) -> str:
    """§2: RFC 3339 UTC."""
    moment = moment.astimezone(UTC)
    text = f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    return text + (f".{moment.microsecond:06}" if moment.microsecond else "") + "Z"


def micros_of(moment: datetime) -> int:
    gap = moment - EPOCH
    return (gap.days * 86400 + gap.seconds) * 10**6 + gap.microseconds


def in_fund_currency(face: int, rate: str, currency: str, into: str) -> int:
    """§3 `rate.quoted`: major units times rate, in minor units again, floored."""
    major = Fraction(face, 10 ** DIGITS[currency])
    minor = major * Fraction(rate) * 10 ** DIGITS[into]
    return minor.numerator // minor.denominator


def periods_after(origin: int, every: str, count: int) -> int | None:
    """§5 Timers: counted from the origin; calendar months, clamped to the month's end. None past the calendar's end."""
    moment = EPOCH + timedelta(microseconds=origin)
    steps, unit = int(every[1:-1]) * count, every[-1]
    if unit in "DW":
        try:
            return micros_of(moment + timedelta(days=steps * {"D": 1, "W": 7}[unit]))
        except OverflowError:
            return None
    year, month = moment.year, moment.month
    for _ in range(steps if unit == "M" else steps * 12):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    if year > 9999:
        return None
    day = moment.day
    while day > calendar.monthrange(year, month)[1]:
        day -= 1
    return micros_of(moment.replace(year=year, month=month, day=day))


def given(data: Any, *names: str) -> dict[str, Any]:
    """Those of the optional members that were given, as they stand on the wire."""
    members = {name: getattr(data, name) for name in names}
    return {name: _plain(value) for name, value in members.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return text_of(value)
    if isinstance(value, Struct):
        return {k: v for k, v in asdict(value).items() if v is not None}
    return value


# ---------------------------------------------------------------------------------------------- the oracle


class Oracle:
    """One partition: `execute` takes a command and tells `(fund, at, facts)`."""

    def __init__(self) -> None:
        self.funds: dict[str, Fund] = {}
        self.heard: dict[str, int] = {}  # fund → largest ce_time of its own commands, configured or not
        self.ticked: int | None = None  # largest ce_time of the partition's ticks
        self.facts: list[tuple[str, dict[str, Any]]] = []  # of the current entry: (fund, fact)
        self.now = 0

    def execute(self, command: Command | Unreadable) -> tuple[str | None, int, list[dict[str, Any]]]:
        """Answer one command."""
        self.facts = []
        if isinstance(command, Unreadable):
            # Reading: it has no time of its own, so its entry stands at the latest time seen in the partition.
            seen = [*self.heard.values(), *([self.ticked] if self.ticked is not None else [])]
            return None, max(seen, default=0), [{"fact": "rejected", "code": "unreadable", "detail": command.detail}]
        if command.appended is not None and command.time - command.appended > TWO_MINUTES:
            return self.clock_ahead(command)
        if command.type == "pumasi.clock.ticked":
            self.ticked = command.time if self.ticked is None else max(self.ticked, command.time)
            self.fire_timers(list(self.funds.values()), self.ticked)
            self.check()
            # §6: a tick's entry has no fund, so each fact carries its own.
            return None, self.ticked, [{"fact": fact.pop("fact"), "fund": fund, **fact} for fund, fact in self.facts]
        name = command.data.fund
        self.heard[name] = max(self.heard.get(name, command.time), command.time)
        time = self.heard[name] if self.ticked is None else max(self.heard[name], self.ticked)  # §4
        fund = self.funds.get(name)
        if fund:
            self.fire_timers([fund], time)
        self.now = time
        try:
            if fund is None and command.type != "pumasi.fund.configured":
                raise _Rejection("unknown_fund")
            getattr(self, command.type.removeprefix("pumasi.").replace(".", "_"))(fund, command.data)
        except _Rejection as rejection:
            self.tell(name, "rejected", code=rejection.code, detail=_AnyDetail())
        except _Duplicate:
            self.tell(name, "duplicate")
        self.check()
        return name, time, [fact for _, fact in self.facts]

    def clock_ahead(self, command: Command) -> tuple[str | None, int, list[dict[str, Any]]]:
        """§3: it moves no time. Reading: a tick's entry stands at the last tick's time, another's at its fund's; 1970 if none."""
        name = None if command.type == "pumasi.clock.ticked" else command.data.fund
        seen = [self.heard.get(name, 0), self.ticked or 0]
        return name, max(seen), [{"fact": "rejected", "code": "clock_ahead", "detail": _AnyDetail()}]

    def tell(self, where: Fund | str, fact: str, /, **members: Any) -> None:
        """§5 Facts: they stand in the order in which they happen. (`class_` and `from_` are words of Python's.)"""
        self.facts.append(
            (
                where if isinstance(where, str) else where.id,
                {"fact": fact, **{k.rstrip("_"): v for k, v in members.items()}},
            )
        )

    # ------------------------------------------------------------------------------------------ §4, §5 timers

    def fire_timers(self, funds: list[Fund], until: int) -> None:
        """§4: every timer due by then fires, in due order; firing one may bring the next."""
        while True:
            timers = [timer for fund in funds for timer in self.timers(fund) if timer[0] <= until]
            if not timers:
                return
            due, _, _, _, _, fire = min(timers, key=lambda timer: timer[:5])
            self.now = due
            fire()

    def timers(self, fund: Fund) -> list[tuple[int, str, int, str, int, Any]]:
        """Each thing's next timer: (due, fund, kind, id, tie, what to do). §5 Timers gives the order."""
        found: list[tuple[int, str, int, str, int, Any]] = []
        for p in fund.pledges:
            if p.withdrawn or p.expired:
                continue
            if p.expires_at is not None:
                found.append((p.expires_at, fund.id, EXPIRY, p.id, 0, lambda p=p: self.expire(fund, p)))
            if p.recurrence and (p.recurrence.times is None or p.instalments < p.recurrence.times):
                due = periods_after(p.accepted_at, p.recurrence.every, p.instalments)
                if due is not None and (p.expires_at is None or due < p.expires_at):
                    found.append((due, fund.id, INSTALMENT, p.id, 0, lambda p=p: self.instalment(fund, p)))
        for c in fund.cases:
            if c.state != "open":
                continue
            if c.recurrence and (c.recurrence.times is None or c.period < c.recurrence.times):
                due = periods_after(c.opened_at, c.recurrence.every, c.period)
                if due is not None:
                    found.append((due, fund.id, RENEWAL, c.id, 0, lambda c=c: self.renew(fund, c)))
            # Every rise is of one class, so the class shown tells how many have been told.
            for due, tie, why in self.rises(fund, c)[c.shown - c.priority :][:1]:
                found.append((due, fund.id, ESCALATION, c.id, tie, lambda c=c, why=why: self.escalate(fund, c, why)))
        return found

    def rises(self, fund: Fund, case: Case) -> list[tuple[int, int, str]]:
        """§5 rule 2: the instants at which the case's class rises by one; "age" before "deadline" at one instant."""
        instants = []
        if fund.policy.ageing_days and case.began is not None:
            step = fund.policy.ageing_days * DAY
            instants += [(case.began + n * step, 0, "age") for n in range(1, ASAP - case.priority + 1)]
        if case.needed_by is not None and case.priority < STAT:
            instants.append((case.needed_by - fund.policy.deadline_hours * HOUR, 1, "deadline"))
        return sorted(instants)

    def class_now(self, fund: Fund, case: Case) -> int:
        """§5 rule 2, the formula: instants are inclusive, a case that is not open does not age."""
        by_age = case.priority
        if fund.policy.ageing_days and case.began is not None:
            full = (self.now - case.began) // (fund.policy.ageing_days * DAY)
            by_age = max(case.priority, min(case.priority + full, ASAP))
        near = case.needed_by is not None and self.now >= case.needed_by - fund.policy.deadline_hours * HOUR
        return min(by_age + near, STAT)

    def expire(self, fund: Fund, pledge: Pledge) -> None:
        pledge.expired = True
        self.tell(fund, "pledge_expired", pledge=pledge.id)
        self.cancel_unpaid(fund, pledge)
        self.match(fund)

    def instalment(self, fund: Fund, pledge: Pledge) -> None:
        """§3 recurrence: an instalment `<pledge>#n` is a pledge of its own, valued at the rate then in force."""
        pledge.instalments += 1
        part = Pledge(
            id=f"{pledge.id}#{pledge.instalments}",
            of=pledge.id,
            donor=pledge.donor,
            face=pledge.face,
            currency=pledge.currency,
            rate=None,
            amount=None,
            accepted_at=self.now,
            designation=pledge.designation,
            fallback=pledge.fallback,
            expires_at=pledge.expires_at,
            recurrence=None,
        )
        self.accept(fund, part, "pledge_instalment", {"of": pledge.id})

    def renew(self, fund: Fund, case: Case) -> None:
        """§3 recurrence: the claim grows by the goal, and ageing starts anew."""
        case.period += 1
        case.claim += case.goal
        case.began = self.now
        # A deadline due at this very instant is an escalation, and comes after renewals: only an earlier one counts here.
        passed = case.needed_by is not None and case.needed_by - fund.policy.deadline_hours * HOUR < self.now
        case.shown = min(case.priority + passed, STAT)
        self.tell(fund, "case_renewed", case=case.id, claim=case.claim, period=case.period, class_=CLASSES[case.shown])
        self.match(fund)

    def escalate(self, fund: Fund, case: Case, why: str) -> None:
        case.shown += 1
        self.tell(fund, "case_escalated", case=case.id, from_=CLASSES[case.shown - 1], to=CLASSES[case.shown], why=why)

    # ------------------------------------------------------------------------------------------ §3 commands

    def seen(self, fund: Fund, data: Any, *business_id: str) -> None:
        """§5 Identity: the same business id again."""
        if business_id in fund.known:
            raise _Duplicate if fund.known[business_id] == data else _Rejection("id_conflict")

    def case_of(self, fund: Fund, data: Any) -> Case:
        for case in fund.cases:
            if case.id == data.case:
                return case
        raise _Rejection("unknown_case")

    def pledge_of(self, fund: Fund, data: Any) -> Pledge:
        for pledge in fund.pledges:
            if pledge.id == data.pledge:
                return pledge
        raise _Rejection("unknown_pledge")

    def fund_configured(self, fund: Fund | None, data: Any) -> None:
        if fund is not None:
            if fund.policy == data:
                raise _Duplicate
            if fund.policy.currency != data.currency:
                raise _Rejection("currency_fixed")
        else:
            fund = self.funds[data.fund] = Fund(data.fund, data)
        fund.policy = data
        self.tell(fund, "fund_configured", **asdict(data))
        # §5 Configuring: classes are computed again, up or down, and what changes shows.
        for case in fund.open_cases():
            before, case.shown = case.shown, self.class_now(fund, case)
            if case.shown != before:
                self.tell(
                    fund, "case_escalated", case=case.id, from_=CLASSES[before], to=CLASSES[case.shown], why="policy"
                )

    def case_submitted(self, fund: Fund, data: Any) -> None:
        said = replace(data, mark=None, access_box=None)  # §3: neither is a part of a case's identity
        self.seen(fund, said, "case", data.case)
        if data.goal < data.own_contribution:
            raise _Rejection("goal_below_own_contribution")
        fund.known["case", data.case] = said
        case = Case(
            id=data.case,
            beneficiary=data.beneficiary,
            need=data.need,
            goal=data.goal,
            own=data.own_contribution,
            claim=data.goal - data.own_contribution,  # §5 rule 1
            priority=CLASSES.index(data.priority),
            needed_by=None if data.needed_by is None else micros_of(data.needed_by),
            recurrence=data.recurrence,
            mark=data.mark,
        )
        fund.cases.append(case)
        self.tell(
            fund,
            "case_submitted",
            case=data.case,
            beneficiary=data.beneficiary,
            need=data.need,
            route=data.route,
            goal=data.goal,
            own_contribution=data.own_contribution,
            priority=data.priority,
            **given(data, "needed_by", "recurrence", "mark"),
        )
        self.open_if_vouched(fund, case)

    def case_vouched(self, fund: Fund, data: Any) -> None:
        case = self.case_of(fund, data)
        if data.voucher in case.vouchers:
            raise _Duplicate
        if case.state == "closed":
            raise _Rejection("case_closed")
        # §3: equal marks are own_voucher. Reading: it comes last; and a case without a mark has nobody's.
        if case.mark and data.mark == case.mark:
            raise _Rejection("own_voucher")
        case.vouchers.append(data.voucher)
        self.tell(fund, "case_vouched", case=case.id, voucher=data.voucher)
        self.open_if_vouched(fund, case)

    def open_if_vouched(self, fund: Fund, case: Case) -> None:
        if case.state != "submitted" or len(case.vouchers) < fund.policy.vouchers_required:
            return
        case.state = "open"
        case.order = 1 + max(c.order for c in fund.cases)
        case.opened_at = case.began = self.now
        case.shown = self.class_now(fund, case)
        self.tell(fund, "case_opened", case=case.id, claim=case.claim, class_=CLASSES[case.shown])
        if case.claim == 0:
            self.tell(fund, "case_funded", case=case.id, claim=0)
        self.match(fund)  # §5 rule 6: it opens a claim

    def case_amended(self, fund: Fund, data: Any) -> None:
        case = self.case_of(fund, data)
        needed_by = None if data.needed_by is None else micros_of(data.needed_by)
        changed = {}
        if data.goal is not None and data.goal != case.goal:
            changed["goal"] = data.goal
        if data.priority is not None and CLASSES.index(data.priority) != case.priority:
            changed["priority"] = data.priority
        if needed_by is not None and needed_by != case.needed_by:
            changed["needed_by"] = text_of(data.needed_by)
        if not changed:
            raise _Duplicate
        if case.state == "closed":
            raise _Rejection("case_closed")
        goal = changed.get("goal", case.goal)
        claim = case.claim + goal - case.goal  # §5 Amending: the claim changes by the change of the goal
        if goal < case.own:
            raise _Rejection("goal_below_own_contribution")
        if claim < fund.delivered(case):
            raise _Rejection("goal_below_delivered")
        lacked = fund.awarded(case) < case.claim
        case.goal, case.claim = goal, claim
        case.priority = CLASSES.index(changed.get("priority", CLASSES[case.priority]))
        case.needed_by = needed_by if "needed_by" in changed else case.needed_by
        case.shown = self.class_now(fund, case)
        self.tell(fund, "case_amended", case=case.id, claim=claim, class_=CLASSES[case.shown], **changed)
        if case.state != "open":
            return
        if fund.awarded(case) > claim:
            self.take_back(fund, case, fund.awarded(case) - claim)
        if lacked and fund.awarded(case) == claim:
            self.tell(fund, "case_funded", case=case.id, claim=claim)
        self.match(fund)

    def case_delivered(self, fund: Fund, data: Any) -> None:
        case = self.case_of(fund, data)
        self.seen(fund, data, "delivery", data.delivery)
        if case.state == "closed":
            raise _Rejection("case_closed")
        if case.state != "open":
            raise _Rejection("case_not_open")
        if data.amount > fund.settled(case) - fund.delivered(case):
            raise _Rejection("exceeds_settled")
        fund.known["delivery", data.delivery] = data
        left = data.amount
        for award in fund.awards_of(case):  # §5 rule 6: settled awards, oldest first
            part = min(left, award.settled - award.delivered)
            award.delivered += part
            left -= part
        self.tell(fund, "case_delivered", case=case.id, delivery=data.delivery, amount=data.amount)

    def case_thanked(self, fund: Fund, data: Any) -> None:
        case = self.case_of(fund, data)
        self.seen(fund, data, "thanks", data.case, data.thanks)
        if case.state == "submitted":
            raise _Rejection("case_not_open")
        fund.known["thanks", data.case, data.thanks] = data
        self.tell(fund, "case_thanked", case=case.id, thanks=data.thanks)

    def case_closed(self, fund: Fund, data: Any) -> None:
        case = self.case_of(fund, data)
        if case.state == "closed":
            raise _Duplicate if case.outcome == data.outcome else _Rejection("case_closed")
        case.state, case.outcome = "closed", data.outcome
        self.tell(fund, "case_closed", case=case.id, outcome=data.outcome)
        self.take_back(fund, case, fund.awarded(case) - fund.delivered(case))
        self.match(fund)

    def pledge_made(self, fund: Fund, data: Any) -> None:
        self.seen(fund, data, "pledge", data.pledge)
        expires_at = None if data.expires_at is None else micros_of(data.expires_at)
        if expires_at is not None and expires_at <= self.now:
            raise _Rejection("already_expired")
        rate = fund.rates.get(data.currency)
        valued = data.currency != fund.policy.currency and rate is not None
        # §5 Rejections: less than one minor unit of the fund. An instalment, and what waited for its rate, are accepted: of 0.
        if valued and in_fund_currency(data.amount, rate, data.currency, fund.policy.currency) < 1:
            raise _Rejection("worth_nothing")
        fund.known["pledge", data.pledge] = data
        pledge = Pledge(
            id=data.pledge,
            of=None,
            donor=data.donor,
            face=data.amount,
            currency=data.currency,
            rate=None,
            amount=None,
            accepted_at=self.now,
            designation=data.designation,
            fallback=data.fallback,
            expires_at=expires_at,
            recurrence=data.recurrence,
        )
        extras = given(data, "designation", "fallback", "expires_at", "recurrence")
        if data.fallback == "pool":
            del extras["fallback"]
        self.accept(fund, pledge, "pledge_accepted", extras)

    def accept(self, fund: Fund, pledge: Pledge, fact: str, extras: dict[str, Any]) -> None:
        """A new pledge or instalment: value it (§5 rule 7), match it, and say what is left."""
        pledge.rate = "1" if pledge.currency == fund.policy.currency else fund.rates.get(pledge.currency)
        if pledge.rate is not None:
            pledge.amount = pledge.waiting_unpaid = self.value(fund, pledge, pledge.face)
        fund.pledges.append(pledge)
        self.tell(
            fund,
            fact,
            pledge=pledge.id,
            donor=pledge.donor,
            amount=pledge.amount,
            face=pledge.face,
            currency=pledge.currency,
            rate=pledge.rate,
            **extras,
        )
        self.match(fund, [pledge])

    def value(self, fund: Fund, pledge: Pledge, face: int) -> int:
        """§5 Foreign currency: the rate of acceptance stays with the pledge."""
        if pledge.currency == fund.policy.currency:
            return face
        return in_fund_currency(face, pledge.rate, pledge.currency, fund.policy.currency)

    def pledge_withdrawn(self, fund: Fund, data: Any) -> None:
        pledge = self.pledge_of(fund, data)
        if pledge.withdrawn:
            raise _Duplicate
        if pledge.expired:
            raise _Rejection("pledge_closed")
        pledge.withdrawn = True
        self.tell(fund, "pledge_withdrawn", pledge=pledge.id)
        self.cancel_unpaid(fund, pledge)
        self.match(fund)

    def payment_received(self, fund: Fund, data: Any) -> None:
        pledge = self.pledge_of(fund, data)
        self.seen(fund, data, "received", data.payment)
        fund.known["received", data.payment] = data
        face_before, pledge.face_paid = pledge.face_paid, pledge.face_paid + data.amount
        if pledge.amount is None:
            self.tell(fund, "payment_received", pledge=pledge.id, payment=data.payment, amount=None, face=data.amount)
            return
        # §5 Foreign currency: paid so far = floor(face paid so far × rate); this payment is what that grows by.
        amount = self.value(fund, pledge, pledge.face_paid) - self.value(fund, pledge, face_before)
        self.tell(fund, "payment_received", pledge=pledge.id, payment=data.payment, amount=amount, face=data.amount)
        left = amount
        for award in fund.awards_of(pledge):  # §5 rule 6: awards oldest first
            part = min(left, award.amount - award.settled)
            if part:
                award.settled += part
                left -= part
                self.tell(fund, "award_settled", award=award.id, amount=part)
        part = min(left, pledge.waiting_unpaid)  # then what waits: it settles as it is awarded
        pledge.waiting_unpaid -= part
        pledge.waiting_paid += part
        left -= part
        if left:  # §5 rule 6: the excess raises the pledge
            pledge.amount += left
            pledge.waiting_paid += left
            self.tell(fund, "pledge_raised", pledge=pledge.id, amount=left)
        # Reading: what is worth nothing settles nothing, so a payment leaves nothing unpaid only if money has come by now.
        if fund.unpaid(pledge) == 0 and self.value(fund, pledge, pledge.face_paid) > 0:
            self.tell(fund, "pledge_settled", pledge=pledge.id)
        self.match(fund)

    def payment_failed(self, fund: Fund, data: Any) -> None:
        pledge = self.pledge_of(fund, data)
        self.seen(fund, data, "failed", data.payment)
        if pledge.withdrawn or pledge.expired:
            raise _Rejection("pledge_closed")
        fund.known["failed", data.payment] = data
        self.tell(fund, "payment_failed", pledge=pledge.id, payment=data.payment, reason=data.reason)
        self.cancel_unpaid(fund, pledge)
        self.match(fund)

    def payment_refunded(self, fund: Fund, data: Any) -> None:
        pledge = self.pledge_of(fund, data)
        self.seen(fund, data, "refunded", data.payment)
        if data.amount > pledge.waiting_paid:
            raise _Rejection("not_refundable")
        fund.known["refunded", data.payment] = data
        pledge.waiting_paid -= data.amount
        pledge.refunded += data.amount
        self.tell(fund, "refunded", pledge=pledge.id, payment=data.payment, amount=data.amount)

    def rate_quoted(self, fund: Fund, data: Any) -> None:
        if data.currency == fund.policy.currency:
            raise _Rejection("currency_fixed")
        if Fraction(fund.rates.get(data.currency, 0)) == Fraction(data.rate):  # "7.1" after "7.10" changes nothing
            raise _Duplicate
        fund.rates[data.currency] = data.rate
        self.tell(fund, "rate_quoted", currency=data.currency, rate=data.rate)
        valued = [p for p in fund.pledges if p.amount is None and p.currency == data.currency]
        for p in valued:
            p.rate = data.rate
            paid = self.value(fund, p, p.face_paid)
            p.amount = paid if p.cancelled else max(self.value(fund, p, p.face), paid)
            p.waiting_paid, p.waiting_unpaid = paid, p.amount - paid
            self.tell(fund, "pledge_raised", pledge=p.id, amount=p.amount, rate=p.rate)
            if paid and fund.unpaid(p) == 0:
                self.tell(fund, "pledge_settled", pledge=p.id)
        self.match(fund, valued)

    # ------------------------------------------------------------------------------------------ §5 what money does

    def match(self, fund: Fund, new: list[Pledge] | None = None) -> None:
        """§5 rules 4 and 6: all waiting money, in pledge order. Of pledges that are `new` it is said what is left."""
        for pledge in fund.pledges:
            if pledge.waiting:
                self.place(fund, pledge)
            if new and pledge in new and pledge.waiting:
                self.tell(fund, "waiting", pledge=pledge.id, amount=pledge.waiting)

    def place(self, fund: Fund, pledge: Pledge) -> None:
        """§5 Designated: the designation first, then what its fallback says."""
        if pledge.designation is None:
            self.run(fund, pledge, fund.open_cases())
            return
        self.run(fund, pledge, self.designated(fund, pledge))
        if pledge.fallback == "pool":
            self.run(fund, pledge, fund.open_cases())
        elif pledge.fallback == "release" and pledge.waiting_unpaid:
            self.release_waiting(fund, pledge, pledge.waiting_unpaid)

    def designated(self, fund: Fund, pledge: Pledge) -> list[Case]:
        """The open cases a designation means; claimants are built of these alone."""
        wish = pledge.designation
        return [c for c in fund.open_cases() if (c.id == wish.case if wish.case is not None else c.need == wish.need)]

    def run(self, fund: Fund, pledge: Pledge, cases: list[Case]) -> None:
        """One run of the fund's rule for one pledge over some open cases: who is next is asked anew after every step."""
        money = pledge.waiting
        awarded = {c: fund.awarded(c) for c in cases}
        whys: dict[Case, dict[str, Any]] = {}  # in the order of the first money
        amounts: dict[Case, int] = {}
        while money:
            found = NEXT[fund.policy.rule](fund.policy, cases, awarded)
            if found is None:
                break
            case, room, why = found
            part = min(money, room)
            whys.setdefault(case, why)
            amounts[case] = amounts.get(case, 0) + part
            awarded[case] += part
            money -= part
        for case, why in whys.items():
            self.award(fund, pledge, case, amounts[case], {**why, "after": why["before"] + amounts[case]})

    def award(self, fund: Fund, pledge: Pledge, case: Case, amount: int, why: dict[str, Any]) -> None:
        """One award with what follows it. Paid money goes first: it settles as it is awarded (§5 rule 6)."""
        paid = min(amount, pledge.waiting_paid)
        pledge.waiting_paid -= paid
        pledge.waiting_unpaid -= amount - paid
        pledge.awards_made += 1
        award = Award(f"{pledge.id}/{pledge.awards_made}", pledge, case, amount, settled=paid)
        fund.awards.append(award)
        self.tell(fund, "awarded", award=award.id, pledge=pledge.id, case=case.id, amount=amount, why=why)
        if paid:
            self.tell(fund, "award_settled", award=award.id, amount=paid)
        if fund.awarded(case) == case.claim:
            self.tell(fund, "case_funded", case=case.id, claim=case.claim)

    def cancel_unpaid(self, fund: Fund, pledge: Pledge) -> None:
        """§5 Withdrawal, expiry, failure: unsettled awards end, newest first; all unpaid money is released."""
        if pledge.amount is None:
            pledge.cancelled = True
            return
        for award in reversed(fund.awards_of(pledge)):
            unsettled = award.amount - award.settled
            if unsettled:
                award.amount -= unsettled
                pledge.waiting_unpaid += unsettled
                self.tell(fund, "award_voided", award=award.id, amount=unsettled, settled=0)
        if pledge.waiting_unpaid:
            self.release_waiting(fund, pledge, pledge.waiting_unpaid)

    def release_waiting(self, fund: Fund, pledge: Pledge, amount: int) -> None:
        pledge.waiting_unpaid -= amount
        pledge.released += amount
        self.tell(fund, "released", pledge=pledge.id, amount=amount)

    def take_back(self, fund: Fund, case: Case, amount: int) -> None:
        """§5 rules 5 and 6: a case closes or its goal falls. Unsettled money first, newest awards first, then settled and
        undelivered money, newest first; it goes back to its pledges as waiting, and what is settled stays paid."""
        voided: dict[Award, list[int]] = {}
        newest_first = fund.awards_of(case)[::-1]
        for award in newest_first:
            part = min(amount, award.amount - award.settled)
            if part:
                award.amount -= part
                award.pledge.waiting_unpaid += part
                voided[award] = [part, 0]
                amount -= part
        for award in newest_first:
            part = min(amount, award.settled - award.delivered)
            if part:
                award.amount -= part
                award.settled -= part
                award.pledge.waiting_paid += part
                total = voided.setdefault(award, [0, 0])
                total[0] += part
                total[1] += part
                amount -= part
        assert amount == 0
        for award, (part, settled) in voided.items():
            self.tell(fund, "award_voided", award=award.id, amount=part, settled=settled)

    # ------------------------------------------------------------------------------------------ §6 conservation

    def check(self) -> None:
        """§6 Conservation, after every entry; and §5 rule 4: nothing waits that finds a claim."""
        for fund in self.funds.values():
            for p in fund.pledges:
                awards = fund.awards_of(p)
                settled = sum(a.settled - a.delivered for a in awards)
                delivered = sum(a.delivered for a in awards)
                unsettled = sum(a.amount - a.settled for a in awards)
                parts = [p.waiting_unpaid, p.waiting_paid, unsettled, settled, delivered, p.released, p.refunded]
                assert (p.amount or 0) == sum(parts), p
                assert min(parts) >= 0, p
                paid = 0 if p.amount is None else self.value(fund, p, p.face_paid)
                assert paid == p.waiting_paid + settled + delivered + p.refunded, p
                assert not p.waiting or p.amount is not None
                reach = fund.open_cases()
                if p.designation is not None and p.fallback != "pool":
                    reach = self.designated(fund, p)
                assert not p.waiting or all(fund.awarded(c) == c.claim for c in reach), (p, "waits beside a claim")
                assert not (p.withdrawn or p.expired) or fund.unpaid(p) == 0, p
            for c in fund.cases:
                assert 0 <= fund.delivered(c) <= fund.settled(c) <= fund.awarded(c) <= c.claim, c
                assert c.state == "open" or fund.awarded(c) == fund.delivered(c), c
                if c.state == "open":
                    self.now = max(self.heard[fund.id], self.ticked or self.heard[fund.id])
                    assert c.shown == self.class_now(fund, c), c
