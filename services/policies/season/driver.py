"""The driver: plays a season to an engine, and lets people react to the engine's facts.

Donors pay some days after their pledge was first matched, since that is when they are asked to (the notifier's payment-due).
Go-betweens hand over what lies ready, and close what is done. Cases whose deadline passed in vain may be given up. People die.
Each of these waits for facts, so each policy gets the season it brings about; every delay is drawn by name (`draws`), so the same
thing takes as long under each.

Nothing here looks into the engine: commands go in, facts come out, as on the bus.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from heapq import heapify, heappop, heappush
from random import Random
from typing import Any

from schemas.commands import Command, read_data
from schemas.times import DAY
from schemas.values import CLASSES
from services.matcher.engine.engine import Decision
from services.policies.season.arrivals import Step
from services.policies.season.draws import lognormal, stream
from services.policies.season.needs import PlannedCase
from services.policies.season.plan import Plan
from services.policies.season.standing import CaseStanding, FundStanding, PledgeStanding
from services.readmodel.books import FactDict, Fund
from services.readmodel.fold import Fold

Execute = Callable[[Command], Decision]
_say = partial(Step, 0)
"""A command in answer to facts; its time is the instant at which it is sent."""
_DEADLY = ("stat", "asap")
_IN_PARTS_FROM = 500_00


class Driver(Fold[FundStanding]):
    """One run of a season. `configure` may change the data of `fund.configured` (a policy)."""

    def __init__(
        self, plan: Plan, execute: Execute, configure: Callable[[dict[str, Any]], dict[str, Any]] = lambda data: data
    ) -> None:
        super().__init__(lambda name: Fund(name, CaseStanding, PledgeStanding))
        self.plan, self.season = plan, plan.season
        self._execute, self._configure = execute, configure
        self._planned = {(fund.fund, case.id): case for fund in plan.funds for case in fund.cases}
        self._heap: list[tuple[int, int, Callable[[int], Step | None]]] = []
        self._pushed = self._said = self._at = 0

    def play(self) -> Iterator[tuple[Command, Decision]]:
        """Every command of the season with the engine's answer, in order."""
        for step in self.plan.steps():
            self._later(step.at, partial(self._unless_over, step))
        heapify(self._heap)
        while self._heap:
            at, _, due = heappop(self._heap)
            if at > self.plan.end:
                return
            said = due(at)
            if said is None:
                continue
            command = self._command(said, at)
            decision = self._execute(command)
            yield command, decision
            self._at = decision.at
            self.feed_facts(decision.fund, decision.facts)

    def _later(self, at: int, due: Callable[[int], Step | None]) -> None:
        self._pushed += 1
        heappush(self._heap, (at, self._pushed, due))

    def _unless_over(self, step: Step, _at: int) -> Step | None:
        """What was planned, unless it has no object any more: its case is closed, or its pledge has ended."""
        fund = self.funds.get(step.data.get("fund", ""))
        if fund is None or step.type == "pumasi.case.submitted":
            return step
        case, pledge = fund.cases.get(step.data.get("case", "")), fund.pledges.get(step.data.get("pledge", ""))
        return None if (case and case.closed) or (pledge and pledge.ended) else step

    def _command(self, step: Step, at: int) -> Command:
        data = self._configure(step.data) if step.type == "pumasi.fund.configured" else step.data
        model = read_data(step.type, json.dumps(data).encode())
        command = Command(step.type, f"e-{self._said}", at, model, self._said)
        self._said += 1
        return command

    # ---- what people hear of, and what they do about it

    def change(self, fund: FundStanding, fact: FactDict) -> Any:
        was, kind, at = fund.case_of(fact), fact["fact"], self._at
        neglected = was.neglected if was else False
        about = super().change(fund, fact)
        case = fund.case_of(fact)
        if kind == "case_submitted":
            self._watch_over(fund, about, at)
        elif kind == "awarded":
            self._ask_to_pay(fund, fund.pledges[fact["pledge"]], at)
        elif kind == "award_settled":
            self._ready(fund, about, at)
        elif kind == "case_delivered" and about.whole:
            self._close(fund, about, at)
        elif kind in ("pledge_withdrawn", "pledge_expired"):
            fund.pledges[fact["pledge"]].ended = True
        if case and self.season.neglect != 1 and case.neglected != neglected:
            self._neglect_changed(fund, case, at, neglected)
        return about

    def _stream(self, *name: object) -> Random:
        return stream(self.season.seed, *name)

    def _ask_to_pay(self, fund: FundStanding, pledge: PledgeStanding, at: int) -> None:
        """The first match of a pledge: its donor is asked to pay, and does after a while, or fails to."""
        if pledge.asked:
            return
        pledge.asked = True
        r, face = self._stream(fund.name, "payment", pledge.id), pledge.face
        due = at + int(lognormal(r, self.season.pays_days, self.season.pays_sigma) * DAY)
        if r.random() < self.season.fails:
            self._later(due, lambda _at: self._payment(fund, pledge, 1, "failed", reason="no-funds"))
            return
        first = face // 2 if face >= _IN_PARTS_FROM and r.random() < 0.1 else face  # story 1: one paid in two halves
        self._later(due, lambda _at: self._payment(fund, pledge, 1, "received", amount=first))
        if face - first:
            later = due + int(lognormal(r, self.season.pays_days, self.season.pays_sigma) * DAY)
            self._later(later, lambda _at: self._payment(fund, pledge, 2, "received", amount=face - first))

    def _payment(self, fund: FundStanding, pledge: PledgeStanding, number: int, how: str, **more: Any) -> Step | None:
        if pledge.ended:
            return None  # withdrawn or expired meanwhile
        if "amount" in more and not (more := {"amount": pledge.still_due(more["amount"])})["amount"]:
            return None  # released meanwhile: its designation had no room
        payment = f"m-{pledge.id.replace('#', '.')}-{number}"
        data = {"fund": fund.name, "pledge": pledge.id, "payment": payment, **more}
        return _say(f"pumasi.payment.{how}", data)

    def _ready(self, fund: FundStanding, case: CaseStanding, at: int) -> None:
        """Paid money lies ready for a case: somebody goes to hand it over, unless somebody is on the way already."""
        if case.on_the_way or case.closed:
            return
        case.on_the_way, case.ready_since = True, at
        r = self._stream(fund.name, "delivery", case.id, case.deliveries + 1)
        delay = int(lognormal(r, self.season.hands_over_days, 0.6) * DAY)
        self._later(at + delay, lambda now: self._hand_over(fund, case, now))

    def _hand_over(self, fund: FundStanding, case: CaseStanding, now: int) -> Step | None:
        ready = case.settled - case.delivered
        if case.closed or not ready:
            case.on_the_way = False
            return None
        enough = ready >= self.season.hands_over * case.claim or case.settled >= case.claim
        if not enough and now - case.ready_since < self.season.hands_over_at_last_days * DAY:
            self._later(now + DAY, lambda later: self._hand_over(fund, case, later))
            return None
        case.on_the_way = False
        case.deliveries += 1
        delivery = f"h-{case.id}-{case.deliveries}"
        data = {"fund": fund.name, "case": case.id, "delivery": delivery, "amount": ready}
        return _say("pumasi.case.delivered", data)

    def _close(self, fund: FundStanding, case: CaseStanding, at: int) -> None:
        if case.recurring:
            return  # it comes again
        r = self._stream(fund.name, "closing", case.id)
        due = at + int(lognormal(r, self.season.closes_days, 0.6) * DAY)
        self._later(due, lambda _at: self._closing(fund, case, "completed") if case.whole else None)

    def _closing(self, fund: FundStanding, case: CaseStanding, outcome: str) -> Step | None:
        if case.closed:
            return None
        data = {"fund": fund.name, "case": case.id, "outcome": outcome}
        return _say("pumasi.case.closed", data)

    # ---- what may happen to a case

    def _watch_over(self, fund: FundStanding, case: CaseStanding, at: int) -> None:
        planned = self._planned[fund.name, case.id]
        if planned.late_at is not None:
            self._later(planned.late_at, lambda _at: self._closing(fund, case, "withdrawn") if case.neglected else None)
        case.fate, case.fate_since = planned.fate, at
        self._await_death(fund, case, planned, at)

    def _chance(self, case: CaseStanding, planned: PlannedCase, lacks: bool) -> float:
        """Chances of death a day."""
        priority = planned.data["priority"]
        chance = self.season.deaths_a_day[CLASSES.index(priority)]
        return chance * self.season.neglect if lacks and priority in _DEADLY else chance

    def _await_death(self, fund: FundStanding, case: CaseStanding, planned: PlannedCase, at: int) -> None:
        case.fate_version += 1
        version, chance = case.fate_version, self._chance(case, planned, case.neglected)
        if chance > 0:
            due = at + int(case.fate / chance * DAY)
            self._later(
                due, lambda _at: self._closing(fund, case, "deceased") if case.fate_version == version else None
            )

    def _neglect_changed(self, fund: FundStanding, case: CaseStanding, at: int, neglected: bool) -> None:
        planned = self._planned[fund.name, case.id]
        lived = (at - case.fate_since) / DAY * self._chance(case, planned, neglected)
        case.fate, case.fate_since = max(0.0, case.fate - lived), at
        self._await_death(fund, case, planned, at)
