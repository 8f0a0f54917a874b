"""The course of a run: what the facts say about each case, and about the money, over time. Folded from facts alone.

It keeps what measures need and no more: when each case opened, first had money, was wholly promised, closed; what it asked and
what it had; how much money waited, for how long, and whether its fund or another lacked some meanwhile. Amounts are minor units
of the one currency all funds share; times are microseconds since 1970. Promised, settled and delivered are three figures.

The state between two commands is the state after the first. Timers are seen when the command or tick that lets them fire is decided,
so a time is late by at most the gap between ticks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, get_args

from schemas.commands import Command
from schemas.times import parse
from schemas.values import CLASSES, Rule
from services.readmodel.books import Case, FactDict, Fund, Pledge
from services.readmodel.fold import Fold

SAMPLES = 240
"""Instants at which curves are sampled, evenly spread over the log."""
_ENDS = {"pledge_withdrawn": "withdrawn", "pledge_expired": "expired", "payment_failed": "failed"}


class CaseCourse(Case):
    """One case; None where something has not happened.

    Attributes:
        priority: as submitted: ageing and policies change a case's class, never this.
        promised: awarded, settled or not, delivered or not, and not voided since. What goes back when a case closes is no longer its
            own: else it would count twice, here and where it is matched again.
        lost: promised, and taken back since its pledge was withdrawn, expired or failed.
    """

    __slots__ = (
        "closed_at", "first_money_at", "fund", "funded_at", "lost", "need", "needed_by", "opened_at", "priority",
    )  # fmt: skip

    def __init__(self, fact: FactDict) -> None:
        super().__init__(fact)
        self.fund = ""
        self.need: str = fact["need"]
        self.priority: str = fact["priority"]
        self.needed_by = _time(fact)
        self.opened_at: int | None = None
        self.first_money_at: int | None = None
        self.funded_at: int | None = None
        self.closed_at: int | None = None
        self.lost = 0

    @property
    def counts(self) -> bool:
        """Whether it is measured: it opened, asks for something, and is no duplicate of another."""
        return self.opened_at is not None and self.claim > 0 and self.outcome != "duplicate"

    @property
    def sums(self) -> tuple[int, int, int, int]:
        """What it lacks, asks and has in the curves, and what is in hand for it; a duplicate leaves the curves when it closes."""
        in_hand, duplicate = self.settled - self.delivered, self.outcome == "duplicate"
        asked = 0 if duplicate or self.opened_at is None else self.claim
        return self.lacks, asked, 0 if duplicate else self.promised, in_hand


@dataclass(frozen=True)
class Refusal:
    """A command that was refused: when, which, about what, and why.

    Attributes:
        offset: the command's, in its partition; `id`: its `ce_id`.
        about: the case or pledge; `item`: the delivery or payment, if it is one.
        amount: what it asked for, if anything; `ready`: what was settled and undelivered then, of a delivery.
    """

    at: int
    offset: int
    id: str
    type: str
    code: str
    fund: str | None
    about: str | None
    item: str | None
    amount: int | None
    ready: int | None


@dataclass
class MoneyCourse:
    """Money of all funds, minor units; `…_time`: minor units × microseconds.

    Attributes:
        pledged: by donors, valued; paid: payments received; given_back: released or refunded, by why.
        idle_time: pledged and matched to nothing; of it `here_time` while an open case of the same fund lacked money, and
            `elsewhere_time` while none of the same fund did but one of another.
        in_hand_time: paid, matched, and not yet handed over.
    """

    pledged: int = 0
    paid: int = 0
    failures: int = 0
    given_back: Counter[str] = field(default_factory=Counter)
    idle_time: int = 0
    here_time: int = 0
    elsewhere_time: int = 0
    in_hand_time: int = 0


@dataclass
class Sample:
    """The state at an instant. `asked` and `promised` by priority, of all cases that ever opened; `idle`: matched to nothing."""

    at: int
    asked: dict[str, int]
    promised: dict[str, int]
    idle: int
    in_hand: int


class FundCourse(Fund[CaseCourse, Pledge]):
    """A fund, and what waits, is lacked and is in hand in it now."""

    RULES = get_args(Rule)

    def __init__(self, name: str) -> None:
        super().__init__(name, CaseCourse, Pledge)
        self.waiting = self.lacking = self.in_hand = 0


class Course(Fold[FundCourse]):
    """The course of one run. Feed it with `take`, then `finish`; `cases`, `money`, `samples`, `refusals` are the result.

    `configured` has each configuration that was accepted, with its time.

    Args:
        start: where curves begin; `end`: where the log ends, and what has not happened is counted as not happened.
    """

    def __init__(self, start: int, end: int) -> None:
        super().__init__(FundCourse)
        self.start, self.end = start, end
        self.cases: dict[tuple[str, str], CaseCourse] = {}
        self.money = MoneyCourse()
        self.samples: list[Sample] = []
        self.refusals: list[Refusal] = []
        self.currencies: dict[str, str] = {}
        self.configured: list[tuple[int, FactDict]] = []
        self.commands = 0
        self._now = self._at = start
        self._ended: dict[tuple[str, str], str] = {}
        self._asked: Counter[str] = Counter()
        self._promised: Counter[str] = Counter()

    def take(self, command: Command, fund: str | None, at: int, facts: list[FactDict]) -> None:
        """Take in the engine's answer to a command: its fund, its time, its facts."""
        self._pass_until(at)
        self.commands += 1
        self._at = at
        self._ended.clear()
        self.feed_facts(fund, facts)
        for fact in facts:
            if fact["fact"] == "rejected":
                self.refusals.append(self._refusal(command, fund, at, fact["code"]))

    def finish(self) -> Course:
        """Let time pass to the end, and forget what only the folding needed."""
        self._pass_until(self.end)
        while len(self.samples) <= SAMPLES:
            self._sample()
        self.funds.clear()
        return self

    @property
    def counted(self) -> list[CaseCourse]:
        """The cases that are measured."""
        return [case for case in self.cases.values() if case.counts]

    def _refusal(self, command: Command, fund: str | None, at: int, code: str) -> Refusal:
        data = command.data
        about = getattr(data, "case", None) or getattr(data, "pledge", None)
        item = getattr(data, "delivery", None) or getattr(data, "payment", None)
        case = self.cases.get((fund or "", getattr(data, "case", None) or ""))
        ready = case.settled - case.delivered if case and code == "exceeds_settled" else None
        amount = getattr(data, "amount", None)
        return Refusal(at, command.offset, command.id, command.type, code, fund, about, item, amount, ready)

    def _pass_until(self, at: int) -> None:
        """Let time pass: money that waits has waited longer, and curves are sampled on the way."""
        while len(self.samples) <= SAMPLES and self._next_sample() < at:
            self._sample()
        span = min(at, self.end) - self._now
        if span > 0:
            lacking = any(fund.lacking for fund in self.funds.values())
            for fund in self.funds.values():
                self.money.in_hand_time += fund.in_hand * span
                self.money.idle_time += fund.waiting * span
                if fund.lacking:
                    self.money.here_time += fund.waiting * span
                elif lacking:
                    self.money.elsewhere_time += fund.waiting * span
        self._now = max(self._now, at)

    def _next_sample(self) -> int:
        return self.start + (self.end - self.start) * len(self.samples) // SAMPLES

    def _sample(self) -> None:
        idle, in_hand = (sum(getattr(f, name) for f in self.funds.values()) for name in ("waiting", "in_hand"))
        asked, promised = ({name: sums[name] for name in CLASSES} for sums in (self._asked, self._promised))
        self.samples.append(Sample(self._next_sample(), asked, promised, idle, in_hand))

    def change(self, fund: FundCourse, fact: FactDict) -> Any:
        case = fund.case_of(fact)
        lacked, asked, promised, in_hand = case.sums if case else (0, 0, 0, 0)
        about = super().change(fund, fact)
        self._note(fund, fact, about)
        if case is not None:
            now = case.sums
            fund.lacking += now[0] - lacked
            self._asked[case.priority] += now[1] - asked
            self._promised[case.priority] += now[2] - promised
            fund.in_hand += now[3] - in_hand
        return about

    def _note(self, fund: FundCourse, fact: FactDict, about: Any) -> None:
        """What changes in the course beyond the books, after the fact has taken effect."""
        match fact["fact"]:
            case "fund_configured":
                self.currencies[fund.name] = fund.currency
                self.configured.append((self._at, fact))
            case "case_submitted":
                about.fund = fund.name
                self.cases[fund.name, about.id] = about
            case "case_opened":
                about.opened_at = self._at
            case "case_amended":
                about.needed_by = _time(fact) or about.needed_by
            case "case_funded":
                funded = fund.cases[fact["case"]]
                funded.funded_at = self._at if funded.funded_at is None else funded.funded_at
            case "case_closed":
                about.closed_at = self._at
            case "pledge_accepted" | "pledge_instalment" | "pledge_raised":
                self.money.pledged += fact["amount"] or 0
                fund.waiting += fact["amount"] or 0
            case "pledge_withdrawn" | "pledge_expired" | "payment_failed" as end:
                self._ended[fund.name, fact["pledge"]] = _ENDS[end]
                self.money.failures += end == "payment_failed"
            case "payment_received":
                self.money.paid += fact["amount"] or 0
            case "released" | "refunded" as back:
                why = back if back == "refunded" else self._ended.get((fund.name, about.id), "unplaced")
                self.money.given_back[why] += fact["amount"]
                fund.waiting -= fact["amount"]
            case "awarded":
                about.first_money_at = self._at if about.first_money_at is None else about.first_money_at
                fund.waiting -= fact["amount"]
            case "award_voided":
                fund.waiting += fact["amount"]
                if (fund.name, fact["award"].rpartition("/")[0]) in self._ended:
                    about.lost += fact["amount"]


def _time(fact: FactDict) -> int | None:
    return parse(fact["needed_by"]) if fact.get("needed_by") else None
