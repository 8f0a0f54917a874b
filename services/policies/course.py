"""The course of a run: what the facts say of each case, and of the money, over time. Folded from facts alone.

What a measure needs and no more: when each case opened, first had money, was wholly promised, closed; what it asked and what it
had; how much money waited, and for how long, while who lacked some. Amounts are minor units of the one currency all funds share;
times are microseconds since 1970. Promised, settled and delivered are three figures.

The state between two commands is the state after the first. Timers are seen when the command or tick that lets them fire is decided,
so a time is late by at most the gap between ticks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from schemas.commands import Command
from schemas.times import parse
from schemas.values import CLASSES

SAMPLES = 240
"""Instants at which curves are sampled, evenly spread over the log."""
FactDict = dict[str, Any]
_ENDS = {"pledge_withdrawn": "withdrawn", "pledge_expired": "expired", "payment_failed": "failed"}


@dataclass(slots=True)
class CaseCourse:
    """One case; None where something has not happened.

    Attributes:
        priority: as submitted: ageing and policies change a case's class, never this.
        claim: as it stood last.
        promised: awarded, settled or not, delivered or not, and not voided since. What goes back when a case closes is no longer its
            own: else it would count twice, here and where it is matched again.
        lost: promised, and taken back since its pledge was withdrawn, expired or failed.
    """

    fund: str
    case: str
    need: str
    priority: str
    claim: int
    needed_by: int | None = None
    opened_at: int | None = None
    first_money_at: int | None = None
    funded_at: int | None = None
    closed_at: int | None = None
    outcome: str | None = None
    promised: int = 0
    settled: int = 0
    delivered: int = 0
    lost: int = 0

    @property
    def counts(self) -> bool:
        """Whether it is measured: it opened, asks for something, and is no duplicate of another."""
        return self.opened_at is not None and self.claim > 0 and self.outcome != "duplicate"

    @property
    def lacks(self) -> int:
        """What its claim still lacks while it is open."""
        open_ = self.opened_at is not None and self.closed_at is None
        return max(0, self.claim - self.promised) if open_ else 0


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


@dataclass
class _Fund:
    waiting: int = 0
    lacking: int = 0
    in_hand: int = 0


class Course:
    """The course of one run. Feed it with `take`, then `finish`; `cases`, `money`, `samples`, `refusals` are the result.

    `configured` has each configuration that was accepted, with its time.

    Args:
        start: where curves begin; `end`: where the log ends, and what has not happened is counted as not happened.
    """

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.cases: dict[tuple[str, str], CaseCourse] = {}
        self.money = MoneyCourse()
        self.samples: list[Sample] = []
        self.refusals: list[Refusal] = []
        self.currencies: dict[str, str] = {}
        self.configured: list[tuple[int, FactDict]] = []
        self.commands = 0
        self._now = start
        self._funds: defaultdict[str, _Fund] = defaultdict(_Fund)
        self._awards: dict[tuple[str, str], CaseCourse] = {}
        self._ended: dict[tuple[str, str], str] = {}
        self._asked: Counter[str] = Counter()
        self._promised: Counter[str] = Counter()

    def take(self, command: Command, fund: str | None, at: int, facts: list[FactDict]) -> None:
        """Take in what the engine answered to a command: its fund, its time, its facts."""
        self._pass_until(at)
        self.commands += 1
        self._ended.clear()
        for fact in facts:
            name = fact.get("fund") or fund
            if fact["fact"] == "rejected":
                self.refusals.append(self._refusal(command, fund, at, fact["code"]))
            elif name is not None and (fold := _FOLD.get(fact["fact"])):
                fold(self, name, fact, at)

    def finish(self) -> Course:
        """Let time pass to the end, and forget what only the folding needed."""
        self._pass_until(self.end)
        while len(self.samples) <= SAMPLES:
            self._sample()
        self._awards.clear()
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
            lacking = any(fund.lacking for fund in self._funds.values())
            for fund in self._funds.values():
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
        idle, in_hand = (sum(getattr(f, name) for f in self._funds.values()) for name in ("waiting", "in_hand"))
        asked, promised = ({name: sums[name] for name in CLASSES} for sums in (self._asked, self._promised))
        self.samples.append(Sample(self._next_sample(), asked, promised, idle, in_hand))

    def move(self, case: CaseCourse, claim: int = 0, promised: int = 0) -> None:
        """Change what a case asks for or has."""
        lacked = case.lacks
        case.claim += claim
        case.promised += promised
        self._funds[case.fund].lacking += case.lacks - lacked
        self._asked[case.priority] += claim
        if case.outcome != "duplicate":  # what it had left the sums when it closed
            self._promised[case.priority] += promised

    # ---- one fact each

    def _configured(self, fund: str, fact: FactDict, at: int) -> None:
        self.currencies[fund] = fact["currency"]
        self.configured.append((at, fact))

    def _submitted(self, fund: str, fact: FactDict, _at: int) -> None:
        claim = fact["goal"] - fact["own_contribution"]
        case = CaseCourse(fund, fact["case"], fact["need"], fact["priority"], claim, _time(fact))
        self.cases[fund, fact["case"]] = case

    def _opened(self, fund: str, fact: FactDict, at: int) -> None:
        case = self.cases[fund, fact["case"]]
        case.claim, case.opened_at = 0, at
        self.move(case, claim=fact["claim"])

    def _claim(self, fund: str, fact: FactDict, _at: int) -> None:
        case = self.cases[fund, fact["case"]]
        case.needed_by = _time(fact) or case.needed_by
        if case.opened_at is None:
            case.claim = fact["claim"]
        else:
            self.move(case, claim=fact["claim"] - case.claim)

    def _funded(self, fund: str, fact: FactDict, at: int) -> None:
        case = self.cases[fund, fact["case"]]
        case.funded_at = at if case.funded_at is None else case.funded_at

    def _delivered(self, fund: str, fact: FactDict, _at: int) -> None:
        self.cases[fund, fact["case"]].delivered += fact["amount"]
        self._funds[fund].in_hand -= fact["amount"]

    def _closed(self, fund: str, fact: FactDict, at: int) -> None:
        case = self.cases[fund, fact["case"]]
        self._funds[fund].lacking -= case.lacks
        case.closed_at, case.outcome = at, fact["outcome"]
        if case.outcome == "duplicate":
            self._asked[case.priority] -= case.claim if case.opened_at is not None else 0
            self._promised[case.priority] -= case.promised

    def _pledged(self, fund: str, fact: FactDict, _at: int) -> None:
        self.money.pledged += fact["amount"] or 0
        self._funds[fund].waiting += fact["amount"] or 0

    def _given_back(self, fund: str, fact: FactDict, _at: int) -> None:
        why = "refunded" if fact["fact"] == "refunded" else self._ended.get((fund, fact["pledge"]), "unplaced")
        self.money.given_back[why] += fact["amount"]
        self._funds[fund].waiting -= fact["amount"]

    def _pledge_ended(self, fund: str, fact: FactDict, _at: int) -> None:
        self._ended[fund, fact["pledge"]] = _ENDS[fact["fact"]]
        self.money.failures += fact["fact"] == "payment_failed"

    def _paid(self, _fund: str, fact: FactDict, _at: int) -> None:
        self.money.paid += fact["amount"] or 0

    def _awarded(self, fund: str, fact: FactDict, at: int) -> None:
        case = self._awards[fund, fact["award"]] = self.cases[fund, fact["case"]]
        case.first_money_at = at if case.first_money_at is None else case.first_money_at
        self._funds[fund].waiting -= fact["amount"]
        self.move(case, promised=fact["amount"])

    def _settled(self, fund: str, fact: FactDict, _at: int) -> None:
        self._awards[fund, fact["award"]].settled += fact["amount"]
        self._funds[fund].in_hand += fact["amount"]

    def _voided(self, fund: str, fact: FactDict, _at: int) -> None:
        case = self._awards[fund, fact["award"]]
        self._funds[fund].waiting += fact["amount"]
        self._funds[fund].in_hand -= fact["settled"]
        if (fund, fact["award"].rpartition("/")[0]) in self._ended:
            case.lost += fact["amount"]
        case.settled -= fact["settled"]
        self.move(case, promised=-fact["amount"])


def _time(fact: FactDict) -> int | None:
    return parse(fact["needed_by"]) if fact.get("needed_by") else None


_FOLD: dict[str, Callable[[Course, str, FactDict, int], None]] = {
    "fund_configured": Course._configured,
    "case_submitted": Course._submitted,
    "case_opened": Course._opened,
    "case_amended": Course._claim,
    "case_renewed": Course._claim,
    "case_funded": Course._funded,
    "case_delivered": Course._delivered,
    "case_closed": Course._closed,
    "pledge_accepted": Course._pledged,
    "pledge_instalment": Course._pledged,
    "pledge_raised": Course._pledged,
    "released": Course._given_back,
    "refunded": Course._given_back,
    "pledge_withdrawn": Course._pledge_ended,
    "pledge_expired": Course._pledge_ended,
    "payment_failed": Course._pledge_ended,
    "payment_received": Course._paid,
    "awarded": Course._awarded,
    "award_settled": Course._settled,
    "award_voided": Course._voided,
}
"""Fact → what it changes in the course; the rest changes nothing."""
