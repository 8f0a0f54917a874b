"""Seasons: all kinds of commands, mixed as communities send them; from one seed.

`COMMUNITY` has the weights of the five stories: to each case a voucher and some nine pledges, most of which are paid; now and then a
payment that fails, a delivery, a closing. `SLOWEST` is made of what costs most: designations, recurrences, foreign currency, and
closings that free much. What can be paid or delivered depends on who got what, so a season is made beside an engine that decides it.

Goals have a heavy tail, so that a large season has cases as no small one has. `LEVEL` has none, and asks for more than is promised:
whatever its size, a command of it brings about as much.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec

from schemas.commands import Command, read_data
from schemas.times import SECOND, parse, text_of
from services.matcher.engine.engine import Engine
from services.matcher.model.entities import Case
from tests.bench.load import SHARE, Row, amount, event_id, own_id

COMMUNITY = {
    "pledge": 405, "designated": 45, "payment": 360, "case": 50, "vouch": 50, "delivery": 40, "closing": 30, "failure": 30,
}  # fmt: skip
SLOWEST = {
    "pledge": 100, "designated": 200, "recurring": 50, "foreign": 100, "payment": 300, "case": 60, "vouch": 60, "delivery": 30,
    "closing": 50, "failure": 40, "rate": 10,
}  # fmt: skip
MIXTURES = {"community": COMMUNITY, "slowest": SLOWEST}
"""Name → how many of each kind there are among all."""
_FROM = parse("2026-11-22T10:00:00Z")
_EVERY = SECOND // 10
_PRIORITIES = ("routine", "urgent", "asap", "stat")
_NEEDS = ("treatment", "admission", "medication", "surgery", "test", "vaccine", "consultation", "other")
_LOOKS = 12
_FUND = "f"
_PLEDGES_ENDED, _PROMISED = 9, 10_000
FAMILY = 4 + 2 * _PLEDGES_ENDED
"""Entries of a case that has ended: submitted, vouched for, each pledge and its payment, delivered, closed."""


class Goals(NamedTuple):
    """What cases ask: a Pareto distribution from `least` minor units on, cut off at so many times as much."""

    least: int
    most: int


HEAVY, LEVEL = Goals(60_000, 1_000), Goals(150_000, 10)


@dataclass(frozen=True)
class Season:
    """What each partition holds: a fund with so many open cases, then so many commands of a mixture.

    Attributes:
        goals: what the cases ask.
        past: entries of what has ended before all of these, about: cases that were helped, delivered to and closed.
        grown: mixed commands before those that are measured.
    """

    cases: int
    mixed: int
    mixture: str = "community"
    seed: int = 1
    goals: Goals = HEAVY
    past: int = 0
    grown: int = 0

    @property
    def title(self) -> str:
        """What it is, in words."""
        over = f"what {self.grown:,} have left" if self.grown else f"{self.cases:,} open cases"
        return f"{self.mixed:,} mixed commands ({self.mixture}) over {over}"

    @property
    def measured(self) -> int:
        """The commands that are measured."""
        return self.mixed

    @property
    def before(self) -> int:
        """Commands before the mixed ones."""
        return 2 + self.past // FAMILY * FAMILY + 2 * self.cases + self.grown

    @property
    def commands(self) -> int:
        """All commands of a partition."""
        return self.before + self.mixed

    def rows(self, partition: int = 0) -> Iterator[Row]:
        """Each command of a partition in order, without its fund."""
        return self.making(partition).rows(self)

    def making(self, partition: int = 0) -> Making:
        """What makes the rows of a partition."""
        return Making(random.Random(f"{self.seed}/{partition}"), self.goals)  # a load, not a secret

    @cached_property
    def sums(self) -> list[int]:
        """`sums[n]`: of the amounts in the first n commands of partition 0."""
        return [0, *accumulate(data.get("amount", 0) for _kind, _event, data, _at in self.rows())]

    def pledged(self, partition: int = 0) -> int | None:
        """Unknown: a season's ledger is held against its commands by the audit."""


class Making:
    """A season in the making.

    Attributes:
        engine: has decided all that was made, and so knows what may come next.
    """

    def __init__(self, draw: random.Random, goals: Goals) -> None:
        self.draw, self._goals = draw, goals
        self.engine = Engine()
        self._at = _FROM
        self._unvouched: list[str] = []
        self._open: list[str] = []
        self._unpaid: list[tuple[str, int]] = []

    def rows(self, season: Season) -> Iterator[Row]:
        """Each command in order, without its fund."""
        yield self._say("fund.configured", currency="CNY", share=SHARE)
        yield self._say("rate.quoted", currency="KRW", rate="0.0052")
        for _ in range(season.past // FAMILY):
            yield from self._ended()
        for _ in range(season.cases):
            yield self._case()
            yield self._vouch()
        kinds, weights = zip(*MIXTURES[season.mixture].items(), strict=True)
        for kind in self.draw.choices(kinds, weights, k=season.grown + season.mixed):
            yield _MADE[kind](self)

    def _say(self, kind: str, **data: Any) -> Row:
        kind = f"pumasi.{kind}"
        self._at += _EVERY
        read = read_data(kind, msgspec.json.encode({"fund": _FUND, **data}))
        self.engine.execute(Command(kind, "e", self._at, read, 0))
        return kind, event_id(self.draw), data, text_of(self._at)

    @property
    def _cases(self) -> dict[str, Case]:
        return self.engine.funds[_FUND].cases

    def _case(self) -> Row:
        draw, name = self.draw, own_id(self.draw, "c")
        self._unvouched.append(name)
        goal = int(min(draw.paretovariate(1.3), self._goals.most) * self._goals.least)
        return self._say(
            "case.submitted", case=name, beneficiary=own_id(draw, "b"), need=draw.choice(_NEEDS), route="clinic", goal=goal,
            priority=draw.choice(_PRIORITIES),
        )  # fmt: skip

    def _ended(self) -> Iterator[Row]:
        """A case from its beginning to its end, all of it paid and handed over."""
        draw, case, goal = self.draw, own_id(self.draw, "c"), _PLEDGES_ENDED * _PROMISED
        yield self._say(
            "case.submitted", case=case, beneficiary=own_id(draw, "b"), need=draw.choice(_NEEDS), route="clinic",
            goal=goal, priority=draw.choice(_PRIORITIES),
        )  # fmt: skip
        yield self._say("case.vouched", case=case, voucher=own_id(draw, "v"))
        for _ in range(_PLEDGES_ENDED):
            part: dict[str, Any] = {"pledge": own_id(draw, "p"), "amount": _PROMISED}
            yield self._say("pledge.made", donor=own_id(draw, "d"), currency="CNY", designation={"case": case}, **part)
            yield self._say("payment.received", payment=own_id(draw, "y"), **part)
        yield self._say("case.delivered", case=case, delivery=own_id(draw, "h"), amount=goal)
        yield self._say("case.closed", case=case, outcome="completed")

    def _vouch(self) -> Row:
        if not self._unvouched:
            return self._case()
        name = self._taken(self._unvouched)
        self._open.append(name)
        return self._say("case.vouched", case=name, voucher=own_id(self.draw, "v"))

    def _pledge(self, **more: Any) -> Row:
        draw, name, promised = self.draw, own_id(self.draw, "p"), amount(self.draw)
        if more.get("currency") == "KRW":
            promised *= 2
        self._unpaid.append((name, promised))
        return self._say(
            "pledge.made", **{"pledge": name, "donor": own_id(draw, "d"), "amount": promised, "currency": "CNY", **more}
        )

    def _designated(self) -> Row:
        wish = {"need": self.draw.choice(_NEEDS)}
        if self._open and self.draw.random() < 0.5:
            wish = {"case": self.draw.choice(self._open)}
        return self._pledge(designation=wish, fallback=self.draw.choice(("pool", "hold", "release")))

    def _recurring(self) -> Row:
        return self._pledge(
            recurrence={"every": "P1M", "times": 12}, expires_at=text_of(self._at + 400 * 86_400 * SECOND)
        )

    def _foreign(self) -> Row:
        return self._pledge(currency="KRW")

    def _payment(self) -> Row:
        if not self._unpaid:
            return self._pledge()
        name, promised = self._taken(self._unpaid)
        paid = promised if promised < 2 or self.draw.random() < 0.8 else promised // 2
        if paid < promised:
            self._unpaid.append((name, promised - paid))
        return self._say("payment.received", pledge=name, payment=own_id(self.draw, "y"), amount=paid)

    def _failure(self) -> Row:
        if not self._unpaid:
            return self._pledge()
        name, _ = self._taken(self._unpaid)
        return self._say("payment.failed", pledge=name, payment=own_id(self.draw, "y"), reason="insufficient_funds")

    def _delivery(self) -> Row:
        for _ in range(_LOOKS):
            case = self._cases[self.draw.choice(self._open)] if self._open else None
            if case is not None and case.settled > case.delivered:
                handed = case.settled - case.delivered
                return self._say("case.delivered", case=case.id, delivery=own_id(self.draw, "h"), amount=handed)
        return self._payment()

    def _closing(self) -> Row:
        if not self._open:
            return self._vouch()
        name = self._taken(self._open)
        done = self._cases[name].delivered == self._cases[name].claim
        return self._say("case.closed", case=name, outcome="completed" if done else "withdrawn")

    def _rate(self) -> Row:
        return self._say("rate.quoted", currency="KRW", rate=f"0.00{self.draw.randint(480, 560)}")

    def _taken(self, among: list[Any]) -> Any:
        place = self.draw.randrange(len(among))
        among[place], among[-1] = among[-1], among[place]
        return among.pop()


_MADE: dict[str, Callable[[Making], Row]] = {
    "pledge": Making._pledge,
    "designated": Making._designated,
    "recurring": Making._recurring,
    "foreign": Making._foreign,
    "payment": Making._payment,
    "case": Making._case,
    "vouch": Making._vouch,
    "delivery": Making._delivery,
    "closing": Making._closing,
    "failure": Making._failure,
    "rate": Making._rate,
}
"""The index of kinds: what makes one."""
