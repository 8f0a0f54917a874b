"""Runs of the rule, compared with the state they found, which shows what an award's own `why` can't: that nobody was skipped.

Money moves along a path of places, the least first. So a run kept the rule if three things hold at its end: nobody who still lacks
money stands at a place before one that it served; it kept the donor's choice; and class, claim and standing in `why` are those of
the facts. A ledger can have right keys and wrong awards, and this is where it shows.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from schemas.values import CLASSES
from services.console.explain.order import floor_of, key_of, standing_of
from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, Case, Fund, Moment, Pledge, Policy
from services.readmodel.books import FactDict

WITHIN_A_RUN = {"awarded", "award_settled", "case_funded", "waiting"}
"""Facts that may stand between the first and the last award of one run."""


@dataclass(frozen=True)
class Found:
    """What an award's run shows about it.

    Attributes:
        served: what the same run gave to others before it, in order, minor units.
        exhausted: True if the run ended for want of money; filled: True if it left the case with all it asks.
        passed, passed_lacks: claimants that come before the last place it was given, and still lacked money, and how much.
        kept_choice: False if money left the donor's choice that could, or had to, stay there.
        state: "class", "before" and "claim" as the facts before the award have them.
    """

    served: tuple[int, ...]
    exhausted: bool
    filled: bool
    passed: int
    passed_lacks: int
    kept_choice: bool
    state: dict[str, Any]


@dataclass
class _Taken:
    """One award of the run at hand; `start` is what its case had promised before it."""

    fact: FactDict
    case: Case
    start: int


@dataclass
class _Run:
    pledge: Pledge
    policy: Policy
    offset: int
    taken: list[_Taken] = field(default_factory=list)


class Runs:
    """Follows the runs of one fund; call `watch` with each fact before it is folded, and `finish` at the end.

    Args:
        asked: whether an `awarded` fact is asked about; runs without such a fact are not examined.

    Attributes:
        found: by award.
    """

    def __init__(self, asked: Callable[[FactDict], bool]) -> None:
        self.found: dict[str, Found] = {}
        self._asked = asked
        self._run: _Run | None = None
        self._fund: Fund | None = None

    def watch(self, fund: Fund, fact: FactDict, moment: Moment) -> None:
        """Look at a fact that is about to be folded."""
        self._fund = fund
        if fact["fact"] not in WITHIN_A_RUN:
            self.finish()
        elif fact["fact"] == "awarded":
            pledge, case, run = fund.pledges[fact["pledge"]], fund.cases[fact["case"]], self._run
            if run is None or run.pledge is not pledge or run.offset != moment.offset:
                self.finish()
                run = self._run = _Run(pledge, fund.policy, moment.offset)
            run.taken.append(_Taken(fact, case, case.promised))

    def finish(self) -> None:
        """Close the run at hand."""
        run, self._run = self._run, None
        if run is None or not any(self._asked(taken.fact) for taken in run.taken):
            return
        assert self._fund is not None, "a run has a fund"
        judge = _Judge(self._fund, run)
        served: list[int] = []
        for taken in run.taken:
            self.found[taken.fact["award"]] = judge.found(taken, tuple(served))
            served.append(taken.fact["amount"])


class _Judge:
    """Compares one run, just over, with the fund as it is then."""

    def __init__(self, fund: Fund, run: _Run) -> None:
        self.fund, self.run, self.wish = fund, run, run.pledge.designation or {}
        self.starts = {taken.case.id: taken.start for taken in run.taken}
        self._lines: dict[str | None, tuple[list[tuple[int, ...]], list[int]]] = {}

    def found(self, taken: _Taken, served: tuple[int, ...]) -> Found:
        case, chosen = taken.case, self.wish.get("case") == taken.case.id
        need = case.need if self.wish.get("need") == case.need else None
        stage = taken.fact["why"].get("stage")
        alone = chosen or self.run.policy.rule == FIRST_COME or stage == "floor"
        before, claim = (taken.start, case.claim) if alone else self._person(case, need)
        passed, lacks = (0, 0) if chosen else self._before(self._last_place(taken, need), need)
        exhausted = not self.run.pledge.waiting
        state = {"class": CLASSES[case.rank], "before": before, "claim": claim}
        kept = chosen or need is not None or self._may_leave()
        return Found(served, exhausted, not case.lacks, passed, lacks, kept, state)

    def _person(self, case: Case, need: str | None) -> tuple[int, int]:
        """What the case's person had promised in its class when the case's turn came, and what it asked for.

        A person's oldest needs are filled first, so the older ones were full, and the younger ones as before the run.
        """
        before = claim = 0
        for other in self.fund.of_beneficiary[case.beneficiary]:
            if other.status == "open" and other.rank == case.rank and need in (None, other.need):
                claim += other.claim
                had = max(self.starts.get(other.id, other.promised), floor_of(other, self.run.policy))
                before += other.claim if other.open_order < case.open_order else had
        return before, claim

    def _last_place(self, taken: _Taken, need: str | None) -> tuple[int, ...]:
        """Where the award's last unit of money was given."""
        case, policy, amount = taken.case, self.run.policy, taken.fact["amount"]
        staged: tuple[int, ...] = ()
        if policy.rule == FIRST_COME:
            return (case.open_order,)
        if policy.rule == GUARANTEED_FLOOR:
            floor = max(0, floor_of(case, policy) - taken.start)
            if amount <= floor:
                return (0, case.open_order)
            amount, staged = amount - floor, (1,)
        before, claim = self._person(case, need)
        return (*staged, -case.rank, key_of(before + amount - 1, claim, policy), case.open_order)

    def _before(self, place: tuple[int, ...], need: str | None) -> tuple[int, int]:
        places, sums = self._line(need)
        count = bisect_left(places, place)
        return count, sums[count]

    def _line(self, need: str | None) -> tuple[list[tuple[int, ...]], list[int]]:
        """The places of all who lack money now, in order, and what the first of them lack together."""
        if need not in self._lines:
            cases = (c for c in self.fund.cases.values() if c.lacks and need in (None, c.need))
            stands = {s.place: s.lacks for c in cases if (s := standing_of(self.fund, c, need, self.run.policy))}
            places = sorted(stands)
            self._lines[need] = places, [0, *accumulate(stands[place] for place in places)]
        return self._lines[need]

    def _may_leave(self) -> bool:
        """True if money may go to any claim: the donor chose none, or what was chosen lacks nothing and the rest is for all."""
        if not self.wish:
            return True
        return self.run.pledge.fallback == "pool" and not any(may_have(self.wish, c) for c in _lacking(self.fund))


def may_have(wish: dict[str, str], case: Case) -> bool:
    """True if a case fits what a donor chose."""
    return wish.get("case") == case.id or wish.get("need") == case.need


def may_go(pledge: Pledge, case: Case) -> bool:
    """True if a pledge's money may go to a case, now or once what its donor chose lacks nothing."""
    return not pledge.designation or pledge.fallback == "pool" or may_have(pledge.designation, case)


def waits_for(fund: Fund, pledge: Pledge) -> list[Case]:
    """Cases that lack money and may have what of this pledge waits. There are none where the ledger follows from the rule."""
    return [case for case in _lacking(fund) if may_go(pledge, case)] if pledge.waiting else []


def _lacking(fund: Fund) -> list[Case]:
    return [case for case in fund.cases.values() if case.lacks]
