"""Why not me: the money that came while a case lacked some, and went elsewhere.

Each run of the rule (one pledge's awards in one go) of which the case got nothing is held against where the case stood just before it.
Every award of such a run has one reason, and the ledger's own `why` names it: a more urgent class, a lesser key, an earlier opening, an
older need of the same person, or the donor's choice. A sixth would be a defect of the matcher, and is said as such.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.values import CLASSES
from services.console.model import Case, FactDict, Fund, Moment, Pledge
from services.console.standing import Standing, standing_of

REASONS = ("chosen", "urgent", "lesser", "earlier", "own", "unexplained")
_WITHIN_A_RUN = {"awarded", "award_settled", "case_funded", "waiting"}


@dataclass
class Share:
    """Money that went elsewhere for one reason: how much, in how many awards, by which keys."""

    amount: int = 0
    awards: int = 0
    key_least: int | None = None
    key_most: int | None = None

    def add(self, amount: int, key: int) -> None:
        self.amount += amount
        self.awards += 1
        self.key_least = key if self.key_least is None else min(self.key_least, key)
        self.key_most = key if self.key_most is None else max(self.key_most, key)


@dataclass
class Run:
    """One run of the rule, of which the case got nothing (yet).

    Attributes:
        before: where the case stood before it, among all claims.
        urgent, urgent_lacks: open cases in more urgent classes before it, and what they lacked.
    """

    moment: Moment
    pledge: Pledge
    before: Standing
    urgent: int
    urgent_lacks: int
    shares: dict[str, Share] = field(default_factory=dict)
    reached: bool = False


class Missed:
    """Follows one case; call `watch` with each fact of its fund before the fact is folded, and `finish` at the end.

    Attributes:
        shares: the money of all runs missed, by reason.
        runs: how many.
        last: the last of them.
    """

    def __init__(self, case_id: str) -> None:
        self.case_id = case_id
        self.shares: dict[str, Share] = {}
        self.runs = 0
        self.last: Run | None = None
        self._run: Run | None = None

    def watch(self, fund: Fund, fact: FactDict, moment: Moment) -> None:
        """Look at a fact that is about to be folded."""
        if fact["fact"] not in _WITHIN_A_RUN:
            self.finish()
        elif fact["fact"] == "awarded":
            pledge = fund.pledges[fact["pledge"]]
            if self._run is None or self._run.pledge is not pledge or self._run.moment.offset != moment.offset:
                self.finish()
                self._run = self._begin(fund, pledge, moment)
            if self._run is not None:
                self._note(self._run, fund, fact)

    def finish(self) -> None:
        """Close the run at hand."""
        run, self._run = self._run, None
        if run is None or run.reached:
            return
        self.last, self.runs = run, self.runs + 1
        for reason, share in run.shares.items():
            total = self.shares.setdefault(reason, Share())
            total.amount += share.amount
            total.awards += share.awards

    def _begin(self, fund: Fund, pledge: Pledge, moment: Moment) -> Run | None:
        case = fund.cases.get(self.case_id)
        if case is None or not case.lacks:
            return None
        before = standing_of(fund, case)
        assert before is not None, "it lacks money"
        higher = fund.lacking[case.rank + 1 :]
        return Run(moment, pledge, before, sum(n for n, _ in higher), sum(lacks for _, lacks in higher))

    def _note(self, run: Run, fund: Fund, fact: FactDict) -> None:
        given, why = fund.cases[fact["case"]], fact["why"]
        if given.id == self.case_id:
            run.reached = True
            return
        if not run.reached:  # a run that reached the case is not counted, so its other reasons don't matter
            reason = _reason(fund, fund.cases[self.case_id], run.pledge, given, why)
            run.shares.setdefault(reason, Share()).add(fact["amount"], why["key"])


def _reason(fund: Fund, case: Case, pledge: Pledge, given: Case, why: FactDict) -> str:
    """Why this money went to `given` and not to `case`, as both stand the moment before."""
    wish = pledge.designation or {}
    if wish.get("case") == given.id:
        return "chosen"
    of_need = wish.get("need") == given.need  # as long as such a claim lacks money, the run is over these alone
    if of_need and given.need != case.need:
        return "chosen"
    mine = standing_of(fund, case, case.need if of_need else None)
    assert mine is not None, "it lacks money"
    rank = CLASSES.index(why["class"])
    if rank > mine.rank:
        return "urgent"
    if rank == mine.rank and given.beneficiary == case.beneficiary:
        return "own"
    if rank == mine.rank and why["key"] < mine.key:
        return "lesser"
    if rank == mine.rank and why["key"] == mine.key and given.open_order < mine.order:
        return "earlier"
    return "unexplained"
