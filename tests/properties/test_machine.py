"""A machine that drives engine and oracle together: one step a command, each of what exists, in any order.

Where `logs()` draws a whole log at once, the machine looks at where things stand before it speaks: it names cases and pledges that
exist, pays what is promised, hands over what is settled. So it reaches deep states that a log from the blue seldom does. After every
step both must have said the same, and stand the same, sum by sum; now and then the engine is thrown away and built anew from what it
has told so far.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.commands import COMMANDS, TICK, Unreadable
from services.matcher.engine.conservation import check_all
from services.matcher.engine.engine import Engine
from tests.oracle.oracle import Oracle
from tests.oracle.rules import CLASSES
from tests.oracle.season import DAY, HOUR, NEEDS, UNREADABLE, Gesture, commands_of
from tests.oracle.trial import misshapen, replayed
from tests.properties.strategies import FUNDS, kinds_of_data, policies
from tests.properties.tries import CAMPAIGN

pytestmark = pytest.mark.timeout(0 if CAMPAIGN else 180)

UNIT = 10
KINDS = kinds_of_data(UNIT)
shares = st.sampled_from([1, 7, 10, 100, 10**12])
jumps = st.sampled_from([0, 0, 0, 1, HOUR, DAY, 7 * DAY, 31 * DAY, 92 * DAY, -DAY])
funds = st.sampled_from(list(FUNDS))


class Both(RuleBasedStateMachine):
    """Engine and oracle, told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.engine, self.oracle = Engine(), Oracle()
        self.said: list[Gesture] = []
        self.told: list[Any] = []  # entries, to build the engine anew from
        self.serial = 0

    def say(self, jump: int, kind: str, **data: Any) -> None:
        """Say one command to both and hear the same from both."""
        self.said.append(Gesture(jump, kind, data))
        command = commands_of(self.said)[-1]
        fund, at, facts = self.engine.execute(command)
        assert (fund, at, facts) == self.oracle.execute(command)
        assert not [wrong for fact in facts if (wrong := misshapen(fact))]
        self.told.append((fund, at, facts, not isinstance(command, Unreadable) and command.type == TICK))

    def number(self, letter: str) -> str:
        self.serial += 1
        return f"{letter}-{self.serial}"

    def some(self, draw: st.DataObject, sort: str, *states: str) -> tuple[str, str]:
        """A fund and the id of a case or pledge in it, as the oracle knows them; of those in these states if there are any."""
        found = [(name, thing) for name, fund in self.oracle.funds.items() for thing in getattr(fund, sort)]
        wanted = [pair for pair in found if getattr(pair[1], "state", "") in states] or found
        fund, thing = wanted[draw.draw(st.integers(0, len(wanted) - 1))]
        return fund, thing.id

    def any_case(self) -> bool:
        return any(fund.cases for fund in self.oracle.funds.values())

    def any_pledge(self) -> bool:
        return any(fund.pledges for fund in self.oracle.funds.values())

    @initialize(one=policies, other=policies, share=shares)
    def open_funds(self, one: dict[str, Any], other: dict[str, Any], share: int) -> None:
        for (fund, currency), policy in zip(FUNDS.items(), (one, other), strict=True):
            self.say(0, "fund.configured", fund=fund, currency=currency, share=share, **policy)

    @rule(jump=jumps, fund=funds, policy=policies, share=shares)
    def configure(self, jump: int, fund: str, policy: dict[str, Any], share: int) -> None:
        self.say(jump, "fund.configured", fund=fund, currency=FUNDS[fund], share=share, **policy)

    @rule(jump=jumps, data=KINDS["case.submitted"], many=st.integers(1, 3))
    def submit(self, jump: int, data: dict[str, Any], many: int) -> None:
        for _ in range(many):
            self.say(jump, "case.submitted", **{**data, "case": self.number("c")})

    @precondition(any_case)
    @rule(jump=jumps, draw=st.data(), voucher=st.sampled_from(["v-1", "v-2"]))
    def vouch(self, jump: int, draw: st.DataObject, voucher: str) -> None:
        fund, case = self.some(draw, "cases", "submitted")
        self.say(jump, "case.vouched", fund=fund, case=case, voucher=voucher)

    @precondition(any_case)
    @rule(jump=jumps, draw=st.data(), data=KINDS["case.amended"])
    def amend(self, jump: int, draw: st.DataObject, data: dict[str, Any]) -> None:
        fund, case = self.some(draw, "cases", "open")
        self.say(jump, "case.amended", **{**data, "fund": fund, "case": case})

    @precondition(any_case)
    @rule(jump=jumps, draw=st.data(), part=st.sampled_from([1, 2, 3]))
    def deliver(self, jump: int, draw: st.DataObject, part: int) -> None:
        """A part of what is settled and not handed over, or a little where that is nothing."""
        name, case = self.some(draw, "cases", "open")
        fund = self.oracle.funds[name]
        [known] = [c for c in fund.cases if c.id == case]
        amount = max(1, (fund.settled(known) - fund.delivered(known)) // part)
        self.say(jump, "case.delivered", fund=name, case=case, delivery=self.number("d"), amount=amount)

    @precondition(any_case)
    @rule(draw=st.data(), data=KINDS["case.thanked"])
    def thank(self, draw: st.DataObject, data: dict[str, Any]) -> None:
        fund, case = self.some(draw, "cases", "open", "closed")
        self.say(0, "case.thanked", **{**data, "fund": fund, "case": case})

    @precondition(any_case)
    @rule(jump=jumps, draw=st.data(), data=KINDS["case.closed"])
    def close(self, jump: int, draw: st.DataObject, data: dict[str, Any]) -> None:
        fund, case = self.some(draw, "cases", "open")
        self.say(jump, "case.closed", **{**data, "fund": fund, "case": case})

    @rule(jump=jumps, data=KINDS["pledge.made"], scale=st.sampled_from([1, 1, 1, 20]))
    def pledge(self, jump: int, data: dict[str, Any], scale: int) -> None:
        self.say(jump, "pledge.made", **{**data, "pledge": self.number("p"), "amount": data["amount"] * scale})

    @precondition(any_case)
    @rule(jump=jumps, draw=st.data(), data=KINDS["pledge.made"], need=st.sampled_from([None, *NEEDS]))
    def designate(self, jump: int, draw: st.DataObject, data: dict[str, Any], need: str | None) -> None:
        fund, case = self.some(draw, "cases", "open")
        designation = {"case": case} if need is None else {"need": need}
        told = {**data, "fund": fund, "pledge": self.number("p"), "currency": FUNDS[fund], "designation": designation}
        self.say(jump, "pledge.made", **told)

    @precondition(any_pledge)
    @rule(jump=jumps, draw=st.data())
    def withdraw(self, jump: int, draw: st.DataObject) -> None:
        fund, pledge = self.some(draw, "pledges")
        self.say(jump, "pledge.withdrawn", fund=fund, pledge=pledge)

    @precondition(any_pledge)
    @rule(jump=jumps, draw=st.data(), part=st.sampled_from([0.5, 1, 1, 1, 1.5]))
    def pay(self, jump: int, draw: st.DataObject, part: float) -> None:
        name, pledge = self.some(draw, "pledges")
        [known] = [p for p in self.oracle.funds[name].pledges if p.id == pledge]
        amount = max(1, int(known.face * part))
        self.say(jump, "payment.received", fund=name, pledge=pledge, payment=self.number("m"), amount=amount)

    @precondition(any_pledge)
    @rule(jump=jumps, draw=st.data())
    def fail(self, jump: int, draw: st.DataObject) -> None:
        fund, pledge = self.some(draw, "pledges")
        self.say(jump, "payment.failed", fund=fund, pledge=pledge, payment=self.number("m"), reason="no-funds")

    @precondition(any_pledge)
    @rule(jump=jumps, draw=st.data())
    def refund(self, jump: int, draw: st.DataObject) -> None:
        """What is paid and waits, or a little where nothing does."""
        name, pledge = self.some(draw, "pledges")
        [known] = [p for p in self.oracle.funds[name].pledges if p.id == pledge]
        amount = max(1, known.waiting_paid)
        self.say(jump, "payment.refunded", fund=name, pledge=pledge, payment=self.number("m"), amount=amount)

    @rule(jump=jumps, data=KINDS["rate.quoted"])
    def quote(self, jump: int, data: dict[str, Any]) -> None:
        self.say(jump, "rate.quoted", **data)

    @rule(jump=st.sampled_from([0, DAY, 31 * DAY, 184 * DAY]))
    def tick(self, jump: int) -> None:
        self.say(jump, "clock.ticked")

    @rule(data=KINDS[UNREADABLE])
    def nonsense(self, data: dict[str, Any]) -> None:
        self.say(0, UNREADABLE, **data)

    @rule(draw=st.data())
    def say_again(self, draw: st.DataObject) -> None:
        earlier = self.said[draw.draw(st.integers(0, len(self.said) - 1))]
        self.say(0, earlier.type, **earlier.data)

    @rule()
    def rebuild(self) -> None:
        self.engine = replayed(self.told)

    @invariant()
    def both_stand_the_same(self) -> None:
        assert self.engine.funds.keys() == self.oracle.funds.keys()
        for name, fund in self.engine.funds.items():
            check_all(fund)
            naive = self.oracle.funds[name]
            assert {c.id: (c.status, c.claim, c.awarded, c.settled, c.delivered) for c in fund.cases.values()} == {
                c.id: (c.state, c.claim, naive.awarded(c), naive.settled(c), naive.delivered(c)) for c in naive.cases
            }
            assert {p.id: (p.amount, p.waiting, p.paid_waiting, p.released) for p in fund.pledges.values()} == {
                p.id: (p.amount or 0, p.waiting, p.waiting_paid, p.released + p.refunded) for p in naive.pledges
            }
            ranks = {c.id: CLASSES[c.rank] for c in fund.open_cases()}
            assert ranks == {c.id: CLASSES[c.shown] for c in naive.open_cases()}


Both.TestCase.settings = settings(max_examples=settings.default.max_examples, stateful_step_count=40)
TestBoth = Both.TestCase


def test_the_machine_says_every_type_of_command() -> None:
    said = re.findall(r'self\.say\(\w+, "([a-z.]+)"', inspect.getsource(Both))
    assert {f"pumasi.{kind}" for kind in said} == set(COMMANDS)
