"""The engine: commands in, facts out; a pure function of the command log of one partition.

`Engine.execute` advances the fund's time, fires the timers due, then decides the command. A decision *tells* facts: each is
applied at once (`facts.apply`), so the next decision sees its effect. Replaying the told facts with
`Engine.absorb` leads to the same state without deciding anything. No clock, no random source, no IO, no framework.

Order within an entry: timers in due order, then the command; whatever opens a claim or frees money is followed at once by matching
all waiting money in pledge order (contract, 5: rules 4 to 6).
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any, NamedTuple

from schemas.command import Command
from schemas.commands import TICK, Unreadable
from schemas.forms import Fact, as_dict
from schemas.values import CLASSES
from services.matcher.engine import ageing
from services.matcher.engine.commands import DECIDE, Refused, Repeated, escalate, valued
from services.matcher.engine.conservation import check
from services.matcher.engine.facts import apply
from services.matcher.engine.fund import Fund
from services.matcher.engine.transition import Transition
from services.matcher.model import timers
from services.matcher.model.entities import FactDict

_BEFORE_ALL_TIME = -(1 << 62)


class Decision(NamedTuple):
    """The engine's answer to one command: what an entry says beside its cause and number.

    Attributes:
        fund: None for a tick and for an unreadable record.
        at: microseconds since 1970: the fund's time; for a tick and an unreadable record the partition's.
        facts: plain facts of `schemas.facts`, in order.
    """

    fund: str | None
    at: int
    facts: list[FactDict]


class Engine:
    """All funds of one partition.

    Attributes:
        funds: the configured funds.
        clock: the largest time of the partition's ticks, microseconds since 1970; before all time until the first.
        latest: the largest time of anything in the partition; likewise.
        unconfigured: the times of funds that commands spoke of before they were configured.
    """

    def __init__(self) -> None:
        self.funds: dict[str, Fund] = {}
        self.clock = self.latest = _BEFORE_ALL_TIME
        self.unconfigured: dict[str, int] = {}
        self._timers: list[tuple[int, str]] = []
        self._announced: dict[str, int] = {}

    def execute(self, command: Command | Unreadable) -> Decision:
        """Decide one command and take its facts into the state.

        Raises:
            ConservationBreach: if the facts would lose, double or over-allocate money; the engine must then be thrown away.
        """
        fund, at, facts = self.decide(command)
        return Decision(fund, at, [as_dict(fact) for fact in facts])

    def decide(self, command: Command | Unreadable) -> tuple[str | None, int, list[Fact]]:
        """The same, the facts as they are told (`schemas.forms`)."""
        if type(command) is Unreadable:
            at = 0 if self.latest == _BEFORE_ALL_TIME else self.latest
            return (None, at, [_rejected("unreadable", command.detail)])
        return self._answer(command)

    def _answer(self, command: Command) -> tuple[str | None, int, list[Fact]]:
        if command.appended is not None and command.ahead:
            return self._ahead(command)
        kind, time = command.type, command.time
        if kind == TICK:
            return self._tick(time)
        data = command.data
        name: str = data.fund
        facts: list[Fact] = []
        fund = self.funds.get(name)
        if fund is None:
            now = self._time_of(name, time)
            if kind != "pumasi.fund.configured":
                return (name, now, [_rejected("unknown_fund", f"no fund {name}")])
            fund = self._found(name, now)
        now = time  # the largest of three, spelt out: this is the path of every command
        if now < self.clock:
            now = self.clock
        if now < fund.now:
            now = fund.now
        else:
            fund.now = now
            if self.latest < now:
                self.latest = now
        while fund.timers.any_due(now) and (timer := ageing.next_due(fund, now)):
            self._fire(fund, timer, facts, named=False)
        self._decide(Transition(fund, now, facts), kind, data)
        self._close(fund)
        return name, now, facts

    def absorb(self, fund_name: str | None, at: int, facts: Iterable[FactDict], tick: bool) -> None:
        """Take an entry's facts into the state without deciding anything: replay.

        Args:
            fund_name: the entry's fund.
            at: the entry's time, microseconds since 1970.
            facts: its facts.
            tick: True if its cause is a tick.

        Raises:
            ConservationBreach: if the ledger does not conserve money.
        """
        if tick:
            self.clock = max(self.clock, at)
            self.latest = max(self.latest, at)
        elif fund_name is not None:
            self._time_of(fund_name, at)
        touched = set()
        for fact in facts:
            name: str = fact.get("fund") or fund_name or ""
            if fact["fact"] == "fund_configured" and name not in self.funds:
                self._found(name, at)
            fund = self.funds.get(name)
            if fund is not None:
                apply(fund, fact, at)
                touched.add(name)
        for name in touched:
            self._close(self.funds[name])

    def untie(self) -> None:
        """Break all cycles of references, so that the memory is freed at once; the engine is of no use after that."""
        for fund in self.funds.values():
            for pledge in fund.pledges.values():
                pledge.awards = None
            for case in fund.cases.values():
                case.awards = None
            fund.fresh.clear()

    def _time_of(self, name: str, time: int) -> int:
        """Advance a fund's time to the largest seen in its own commands and in the partition's ticks; it may be unknown yet."""
        fund = self.funds.get(name)
        now = max(time, self.clock, fund.now if fund else self.unconfigured.get(name, time))
        if fund:
            fund.now = now
        else:
            self.unconfigured[name] = now
        self.latest = max(self.latest, now)
        return now

    def _found(self, name: str, now: int) -> Fund:
        self.unconfigured.pop(name, None)
        fund = self.funds[name] = Fund(name, now)
        return fund

    def _decide(self, transition: Transition, kind: str, data: Any) -> None:
        try:
            DECIDE[kind](transition, data)
        except Repeated:
            transition.tell({"fact": "duplicate"})
        except Refused as refused:
            transition.tell(_rejected(refused.code, refused.detail))
        else:
            transition.match()

    def _ahead(self, command: Command) -> tuple[str | None, int, list[Fact]]:
        """Refuse what was stamped by a clock that is ahead. It counts as of 1970, before all times: it moves none, no timer fires."""
        name = None if command.type == TICK else command.data.fund
        at = self._tick(0)[1] if name is None else self._time_of(name, 0)
        return (name, at, [_rejected("clock_ahead", "stamped more than two minutes after it was appended")])

    def _tick(self, time: int) -> tuple[None, int, list[Fact]]:
        self.clock = max(self.clock, time)
        self.latest = max(self.latest, self.clock)
        facts: list[Fact] = []
        fired: dict[str, Fund] = {}
        while self._timers and self._timers[0][0] <= self.clock:
            due, name = heappop(self._timers)
            fund = self.funds[name]
            if self._announced.get(name) == due:
                del self._announced[name]
            while timer := ageing.next_due(fund, due):
                self._fire(fund, timer, facts, named=True)
                fired[name] = fund
            self.announce(fund)
        for fund in fired.values():
            self._close(fund)
        return None, self.clock, facts

    def _close(self, fund: Fund) -> None:
        """End an answer: nothing that does not conserve money goes further."""
        check(fund.touched_pledges, fund.touched_cases)
        fund.settle_in()
        if fund.timers.earlier:
            self.announce(fund)

    def announce(self, fund: Fund) -> None:
        """Let the partition know when the fund's next timer is due."""
        fund.timers.earlier = False
        earliest = fund.timers.earliest()
        known = self._announced.get(fund.name)
        if earliest is not None and (known is None or earliest < known):
            self._announced[fund.name] = earliest
            heappush(self._timers, (earliest, fund.name))

    def _fire(self, fund: Fund, timer: timers.Timer, facts: list[Fact], named: bool) -> None:
        due, kind, owner = timer
        fund.timers.pop()
        transition = Transition(fund, due, facts, named)
        FIRE[kind](transition, owner)
        transition.match()


def _expire(transition: Transition, owner: str) -> None:
    pledge = transition.fund.pledges[owner]
    transition.tell({"fact": "pledge_expired", "pledge": owner})
    transition.void_pledge(pledge)


def _instalment(transition: Transition, owner: str) -> None:
    fund = transition.fund
    parent = fund.pledges[owner]
    amount, rate = valued(fund, parent.face, parent.currency)
    name = f"{owner}#{parent.instalment + 1}"
    transition.tell(
        {
            "fact": "pledge_instalment",
            "pledge": name,
            "donor": parent.donor,
            "amount": amount,
            "face": parent.face,
            "currency": parent.currency,
            "rate": rate,
            "of": owner,
        }
    )
    transition.money_freed(fund.pledges[name], new=True)


def _renew(transition: Transition, owner: str) -> None:
    fund = transition.fund
    case = fund.cases[owner]
    rank = ageing.class_renewed(fund.policy, case, transition.at)
    transition.tell(
        {
            "fact": "case_renewed",
            "case": owner,
            "claim": case.claim + case.goal,
            "period": case.period + 1,
            "class": CLASSES[rank],
        }
    )
    transition.claim_opened(case)


def _escalate(transition: Transition, owner: str) -> None:
    """Age first, then the deadline, each as a step of its own where both fall due at one instant."""
    fund = transition.fund
    case = fund.cases[owner]
    by_age = ageing.class_before_deadline(fund.policy, case, transition.at)
    escalate(transition, case, by_age, "age")
    escalate(transition, case, ageing.class_at(fund.policy, case, transition.at), "deadline")
    ageing.schedule_case(fund, case, transition.at)


FIRE = {
    timers.EXPIRY: _expire,
    timers.INSTALMENT: _instalment,
    timers.RENEWAL: _renew,
    timers.ESCALATION: _escalate,
}
"""The index of timers: kind → what it does."""


def _rejected(code: str, detail: str) -> FactDict:
    return {"fact": "rejected", "code": code, "detail": detail}
