"""Why not me: the money that came while a case lacked some, and was promised elsewhere.

Each run of the rule (all awards of one pledge at once) that left the case lacking is compared with where the case stands at its
end, whether the case got a part of it or nothing. Money moves along a path from place to place, and the run ended before the
case's next place came; so every part of it has one reason, and the ledger's own `why` names it: a more urgent class, a lesser
key, an earlier opening, a floor that was lacking, an older need of the same person, or the donor's choice. Anything else would be
a defect of the matcher, and is reported as one.
"""

from copy import copy
from dataclasses import dataclass, field

from schemas.values import CLASSES
from services.console.explain.order import Order, Standing, floor_of, key_of, order_of, standing_of
from services.console.explain.runs import WITHIN_A_RUN
from services.console.readmodel.model import FIRST_COME, Case, Fund, Moment, Pledge, Policy
from services.readmodel.books import FactDict

REASONS = ("chosen", "floor", "floor_earlier", "older", "urgent", "lesser", "earlier", "own", "unexplained")
KEYED = ("lesser", "earlier", "older", "floor_earlier")
"""Reasons that are a comparison of keys with the case's own."""


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


@dataclass(frozen=True)
class Part:
    """Money that one run gave to one case in one stage of the rule.

    Attributes:
        stage: "floor", "class", or None under a rule without stages.
        key: of its claimant at its first money in this stage.
        of_need: True if the donor chose the need, so that the run was over such cases alone.
        chosen: True if the donor chose this very case.
    """

    given: Case
    amount: int
    stage: str | None
    rank: int
    key: int
    of_need: bool
    chosen: bool


@dataclass
class Run:
    """One run of the rule that left the case lacking.

    Attributes:
        policy: the fund's, for this run.
        before: where the case stood before it, among all claims.
        urgent, urgent_lacks: open cases in more urgent classes before it, and what they lacked.
        then: cases that have changed since it began, as they were, by id.
        reached: True if the case itself got a part.
    """

    moment: Moment
    pledge: Pledge
    policy: Policy
    before: Standing
    urgent: int
    urgent_lacks: int
    parts: list[Part] = field(default_factory=list)
    shares: dict[str, Share] = field(default_factory=dict)
    then: dict[str, Case] = field(default_factory=dict)
    awards: set[str] = field(default_factory=set)
    reached: bool = False

    def order(self, fund: Fund) -> Order:
        """The order of claimants as the run found it."""
        people = ([self.then.get(c.id, c) for c in cases] for cases in fund.of_beneficiary.values())
        return order_of(people, self.policy, self.before)


class Missed:
    """Follows one case; call `watch` with each fact of its fund before the fact is folded, and `finish` at the end.

    Attributes:
        shares: the money that others got of these runs, by reason.
        runs: how many gave the case nothing; reached: how many gave it a part, and others the rest.
        last: the last of them.
        matched: when the fund's money was last matched to anything, while the case was known.
    """

    def __init__(self, case_id: str) -> None:
        self.case_id = case_id
        self.shares: dict[str, Share] = {}
        self.runs = self.reached = 0
        self.matched: Moment | None = None
        self.last: Run | None = None
        self._run: Run | None = None
        self._fund: Fund | None = None
        self._awards: set[str] = set()

    def watch(self, fund: Fund, fact: FactDict, moment: Moment) -> None:
        """Look at a fact that is about to be folded."""
        self._fund = fund
        if fact["fact"] not in WITHIN_A_RUN:
            self.finish()
        elif fact["fact"] == "awarded":
            pledge = fund.pledges[fact["pledge"]]
            if self._run is None or self._run.pledge is not pledge or self._run.moment.offset != moment.offset:
                self.finish()
                self._run = self._begin(fund, pledge, moment)
            self.matched = moment
            if self._run is not None:
                self._note(self._run, fund, fact)
        case = fund.case_of(fact)
        for run in (self._run, self.last):  # the order of claimants that they found may be asked for
            if case is not None and run is not None and case.id not in run.then:
                run.then[case.id] = copy(case)

    def finish(self) -> None:
        """Close the run at hand."""
        run, self._run = self._run, None
        if run is None or not run.parts:
            return
        assert self._fund is not None, "a run has a fund"
        case = self._fund.cases[self.case_id]
        if not case.lacks:
            return  # it got all it asks for
        for part in run.parts:
            reason = _reason(self._fund, case, run.policy, part)
            run.shares.setdefault(reason, Share()).add(part.amount, part.key)
        self.last, self.runs, self.reached = run, self.runs + (not run.reached), self.reached + run.reached
        self._awards |= run.awards
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
        urgent, lacks = sum(n for n, _ in higher), sum(lacks for _, lacks in higher)
        return Run(moment, pledge, fund.policy, before, urgent, lacks)

    def _note(self, run: Run, fund: Fund, fact: FactDict) -> None:
        if fact["case"] == self.case_id:
            run.reached = True
        else:
            run.parts += _parts(fund, run, fact)
            run.awards.add(fact["award"])

    def voided(self) -> int:
        """How much of the awards counted in `shares` no longer stands, minor units."""
        awards = [self._fund.awards[name] for name in self._awards] if self._fund else []
        return sum(award.given - award.amount for award in awards)


def _parts(fund: Fund, run: Run, fact: FactDict) -> list[Part]:
    """An award by the stages that its money came from. The ledger names the first; what lies above a floor came by class."""
    given, why, amount = fund.cases[fact["case"]], fact["why"], fact["amount"]
    wish, stage, rank = run.pledge.designation or {}, why.get("stage"), CLASSES.index(why["class"])
    of_need, chosen = wish.get("need") == given.need, wish.get("case") == given.id
    floor = floor_of(given, run.policy) - given.promised
    if stage != "floor" or amount <= floor:
        return [Part(given, amount, stage, rank, why["key"], of_need, chosen)]
    key = _key_above_floors(fund, given, run.policy, given.need if of_need else None)
    return [
        Part(given, floor, "floor", rank, why["key"], of_need, chosen),
        Part(given, amount - floor, "class", rank, key, of_need, chosen),
    ]


def _key_above_floors(fund: Fund, given: Case, policy: Policy, need: str | None) -> int:
    """The key by which a case got more in the same run, just after its floor.

    Every case had its floor by then, and of one person's cases the older were full: money goes to the oldest that lacks some.
    """
    promised = claim = 0
    for case in fund.of_beneficiary[given.beneficiary]:
        if case.status == "open" and case.rank == given.rank and need in (None, case.need):
            full = case.open_order < given.open_order
            promised += case.claim if full else max(case.promised, floor_of(case, policy))
            claim += case.claim
    return key_of(promised, claim, policy)


def _reason(fund: Fund, case: Case, policy: Policy, part: Part) -> str:
    """Why this money went elsewhere and not to `case`, by the state when the run is over."""
    if part.chosen or (part.of_need and part.given.need != case.need):
        return "chosen"  # as long as a claim of the chosen need lacks money, the run is over these alone
    mine = standing_of(fund, case, case.need if part.of_need else None, policy)
    assert mine is not None, "it lacks money"
    if policy.rule == FIRST_COME:
        return "older" if part.key < mine.order else "unexplained"
    if part.stage == "floor":
        if mine.stage == "class":
            return "floor"
        return "floor_earlier" if part.key < mine.order else "unexplained"
    if mine.stage == "floor":
        return "unexplained"  # it had a right to its floor first
    return _reason_by_class(part, mine, case)


def _reason_by_class(part: Part, mine: Standing, case: Case) -> str:
    if part.rank > mine.rank:
        return "urgent"
    if part.rank == mine.rank and part.given.beneficiary == case.beneficiary:
        return "own"
    if part.rank == mine.rank and part.key < mine.key:
        return "lesser"
    if part.rank == mine.rank and part.key == mine.key and part.given.open_order < mine.order:
        return "earlier"
    return "unexplained"
