"""Why there, why not me, under each rule a fund may have; and that who is said to come first does."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.times import text_of
from schemas.values import CLASSES
from services.console.explain.missed import Missed
from services.console.explain.order import ahead_of, standing_of
from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, WATERFILL, Case, Fund, ReadModel
from services.matcher.engine.engine import Engine
from services.words import LANGUAGES, Words
from tests.ledgers import Told
from tests.oracle.rules import NEXT
from tests.oracle.season import log
from tests.unit.test_explain import ask, events, sentences, went


def fund_under(rule: str, **policy: Any) -> Told:
    """Three cases, the youngest most urgent, asking 300, 40 and 300 with a share of 100."""
    told = Told(rule=rule, share=100, **policy)
    told.case("c-1", 300, "routine")
    told.case("c-2", 40, "urgent", need="medication")
    told.case("c-3", 300, "stat")
    return told


# ---- first-come/1 -------------------------------------------------------------------------------------------------------


def test_under_first_come_an_award_names_its_place_in_the_order_of_opening() -> None:
    told = fund_under(FIRST_COME)
    told.pledge("p-1", 320)
    found = ask(told, "award", "p-1/2")
    assert found.findings == []
    assert "Of all that lacked money this one had opened first." in sentences(found)
    assert "Cases that had opened in the fund before it: 1." in sentences(found)
    assert "It asked for CNY 0.40 and had CNY 0.00 promised." in sentences(found)
    assert "step" not in sentences(found)
    short = sentences(ask(told, "pledge", "p-1"))
    assert "Award p-1/1: the case that opened first goes first, whatever its class." in short


def test_under_first_come_a_case_learns_that_older_ones_came_first() -> None:
    told = fund_under(FIRST_COME)
    told.pledge("p-1", 250)
    told.pledge("p-2", 20, designation={"case": "c-2"})
    found = ask(told, "case", "c-3")
    assert went(found) == {
        "older": 250,
        "chosen": 20,
    }
    assert found.data["ahead"] == {
        "urgent": 0, "urgent_lacks": 0, "lesser": 0, "lesser_lacks": 0, "own": False,
        "older": 2, "older_lacks": 70, "floors": 0, "floors_lacks": 0,
    }  # fmt: skip
    text = sentences(found)
    assert "Its rule: first come, first served." in text
    assert "CNY 2.50 was promised to cases that opened earlier: they come first, whatever their class" in text
    assert "Cases that opened before it and lack money now: 2, lacking CNY 0.70 together." in text
    assert "cases that had opened before it: 2." in text
    assert "more urgent" not in text


def test_under_first_come_money_that_passed_an_older_case_by_is_a_finding() -> None:
    told = fund_under(FIRST_COME)
    told.pledge("p-1", 30)
    seq, at, value = told.entries[-1]
    told.entries[-1] = (seq, at, value.replace(b'"case":"c-1"', b'"case":"c-3"').replace(b'"key":0', b'"key":2'))
    assert told.entries[-1][2] != value
    [finding] = ask(told, "case", "c-1").findings
    assert "CNY 0.30 has no reason by the rule" in finding


# ---- guaranteed-floor/1 -------------------------------------------------------------------------------------------------


def test_under_guaranteed_floor_an_award_tells_its_stages_apart() -> None:
    told = fund_under(GUARANTEED_FLOOR)
    told.pledge("p-1", 300)  # floors of 100, 40, 100; the other 60 to the most urgent
    told.pledge("p-2", 20)
    floor = sentences(ask(told, "award", "p-1/3"))
    assert "Its own is CNY 1.00." in floor
    assert "CNY 1.00 of it filled the floor. The other CNY 0.60 came when all had theirs" in floor
    assert "before it: 2." in floor
    assert "min(claim, share) = min(300, 100) = 100." in ask(told, "award", "p-1/3").exact[0]
    above = sentences(ask(told, "award", "p-2/1"))
    assert "Every open case that the money could go to had its floor." in above
    assert "Its next step ended at CNY 2.00." in above
    short = sentences(ask(told, "pledge", "p-1"))
    assert "Award p-1/2: every open case first gets a floor" in short
    assert "it had CNY 0.00 of its floor of CNY 0.40." in short


def test_under_guaranteed_floor_a_case_learns_of_floors_before_it() -> None:
    told = fund_under(GUARANTEED_FLOOR)
    told.pledge("p-1", 130)
    found = ask(told, "case", "c-3")  # it lacks its floor, and c-2 lacks 10 of its own
    assert found.data["missed"]["floor_earlier"]["amount"] == 130
    assert (found.data["ahead"]["floors"], found.data["ahead"]["floors_lacks"]) == (1, 10)
    assert "It lacks CNY 1.00 of its own floor of CNY 1.00." in sentences(found)
    assert "Before those that were served then, from 0 to 1 cases had opened." in sentences(found)
    told.pledge("p-2", 110)
    told.case("c-4", 300, "routine")
    told.pledge("p-3", 50)
    found = ask(told, "case", "c-1")  # it has its floor; c-4 lacks a part of its own, and c-3 is more urgent
    assert found.data["missed"]["floor"]["amount"] == 30 + 50 + 110
    assert (found.data["ahead"]["floors"], found.data["ahead"]["floors_lacks"]) == (1, 50)
    assert (found.data["ahead"]["urgent"], found.data["ahead"]["urgent_lacks"]) == (1, 200)
    assert "CNY 1.90 was promised to cases that lacked their floor, while this one had its own" in sentences(found)


def test_money_above_a_floor_has_a_reason_of_its_own() -> None:
    """c-3 gets its floor and more in one award: to c-1, which had its floor, the one part is a floor and the other urgency."""
    told = fund_under(GUARANTEED_FLOOR)
    told.pledge("p-1", 100)
    told.pledge("p-2", 190)
    assert went(ask(told, "case", "c-1")) == {"floor": 140, "urgent": 50}


@pytest.mark.parametrize(
    ("before", "amount", "reasons"),
    [
        # b-1 has 5 more for c-1 once c-2 has its floor as well: from 20 on, whose step is 30, as high as c-3's.
        ({"c-3": 25}, 25, {"floor": 20, "earlier": 5}),
        # c-2 has its floor, c-1 is filled (to 30), and only then c-2 gets 5 more, of the step at 40.
        ({"c-1": 10, "c-3": 35}, 25, {"floor": 10, "lesser": 10, "earlier": 5}),
    ],
)
def test_what_lies_above_a_floor_is_explained_by_where_its_person_stood(
    before: dict[str, int], amount: int, reasons: dict[str, int]
) -> None:
    told = Told(rule=GUARANTEED_FLOOR, share=10)
    told.case("c-1", 20, beneficiary="b-1")
    told.case("c-2", 20, beneficiary="b-1")
    told.case("c-3", 100, beneficiary="b-2")
    for case, part in before.items():
        told.pledge(f"q-{case}", part, designation={"case": case})
    told.pledge("p-1", amount)
    last = ask(told, "case", "c-3").data["last_missed"]["went"]
    assert {reason: share["amount"] for reason, share in last.items()} == reasons


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"key":0', b'"key":1'), (b',"stage":"floor"', b""), (b'"stage":"floor"', b'"stage":"class"')],
)  # fmt: skip
def test_what_does_not_follow_from_the_floor_rule_is_a_finding(old: bytes, new: bytes) -> None:
    told = fund_under(GUARANTEED_FLOOR)
    told.pledge("p-1", 30)
    seq, at, value = told.entries[-1]
    told.entries[-1] = (seq, at, value.replace(old, new))
    assert told.entries[-1][2] != value
    assert "audit the ledger" in ask(told, "award", "p-1/1").findings[0]


# ---- from rule to rule --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_change_of_the_rule_is_told_and_each_award_is_explained_by_the_rule_it_was_made_under(language: str) -> None:
    told = fund_under(FIRST_COME)
    told.pledge("p-1", 50)
    told("fund.configured", currency="CNY", vouchers_required=0, share=100, rule=WATERFILL)
    told.pledge("p-2", 50)
    told("fund.configured", currency="CNY", vouchers_required=0, share=100, weights="claim")  # no change of the rule
    case = ask(told, "case", "c-1", language)
    assert events(case)[-1] == "rule_changed"
    assert events(case).count("rule_changed") == 1
    assert set(went(case)) == {"urgent"}
    words = Words(language)
    then = words.say("The fund's rule was another then: “{rule}”.", rule=words.say("first come, first served"))
    for award, under_another in (("p-1/1", True), ("p-2/1", False)):
        found = ask(told, "award", award, language)
        assert found.findings == []
        assert (then in sentences(found)) is under_another


# ---- ledgers that no rule made ------------------------------------------------------------------------------------------


def tampered(told: Told, *changes: tuple[bytes, bytes]) -> Told:
    """The last entry, with these bytes put for those."""
    seq, at, value = told.entries[-1]
    for old, new in changes:
        assert old in value
        value = value.replace(old, new)
    told.entries[-1] = (seq, at, value)
    return told


def test_a_floor_given_to_the_younger_is_a_finding() -> None:
    told = fund_under(GUARANTEED_FLOOR)
    told.pledge("p-1", 30)
    tampered(told, (b'"case":"c-1"', b'"case":"c-3"'), (b'"key":0', b'"key":2'))
    assert "no reason by the rule" in ask(told, "case", "c-1").findings[0]


def test_money_by_class_while_a_case_lacks_its_floor_is_a_finding() -> None:
    told = fund_under(GUARANTEED_FLOOR)
    told.pledge("p-1", 30)
    tampered(
        told, (b'"case":"c-1"', b'"case":"c-3"'), (b'"stage":"floor"', b'"stage":"class"'), (b'"routine"', b'"stat"')
    )
    assert "no reason by the rule" in ask(told, "case", "c-1").findings[0]


@pytest.mark.parametrize(
    "changes",
    [
        [(b'"case":"c-1"', b'"case":"c-3"'), (b'"class":"stat"', b'"class":"routine"'), (b'"key":100', b'"key":40')],
        [(b'"case":"c-1"', b'"case":"c-2"')],  # as high a key, opened later
        [(b'"case":"c-1"', b'"case":"c-2"'), (b'"key":100', b'"key":200')],
    ],
)  # fmt: skip
def test_money_that_passed_a_more_urgent_or_lower_or_older_case_by_is_a_finding(
    changes: list[tuple[bytes, bytes]],
) -> None:
    told = Told(share=100)
    told.case("c-1", 300, "stat")
    told.case("c-2", 300, "stat")
    told.case("c-3", 40, "routine")
    told.pledge("p-1", 30)
    assert "no reason by the rule" in ask(tampered(told, *changes), "case", "c-1").findings[0]


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        (FIRST_COME, b'"claim":300}', b'"claim":300,"stage":"floor"}'),
        (WATERFILL, b'"claim":300}', b'"claim":300,"stage":"class"}'),
        (GUARANTEED_FLOOR, b'"before":0,"after":30', b'"before":100,"after":130'),
    ],
)
def test_a_stage_that_the_rule_does_not_have_or_that_was_over_is_a_finding(rule: str, old: bytes, new: bytes) -> None:
    told = fund_under(rule)
    told.pledge("p-1", 30)
    assert any("the stage" in finding for finding in ask(tampered(told, (old, new)), "award", "p-1/1").findings)


def test_a_donor_who_chose_the_case_hears_nothing_of_others_floors() -> None:
    told = fund_under(GUARANTEED_FLOOR)
    told.pledge("p-1", 150, designation={"case": "c-1"})
    text = sentences(ask(told, "award", "p-1/1"))
    assert "The donor chose this very case" in text
    assert "filled the floor" not in text


# ---- who comes first ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(300, 380))
def test_who_is_said_to_come_before_a_case_does(seed: int) -> None:
    """The oracle gives on, unit by unit, until the case's claimant is served: to so many, and so much, as was said."""
    engine, model = Engine(), ReadModel()
    for offset, command in enumerate(log(seed)):
        decision = engine.execute(command)
        head = {"seq": offset + 1, "fund": decision.fund, "at": text_of(decision.at), "cause": {"offset": offset}}
        model.feed(0, json.loads(json.dumps({**head, "facts": decision.facts})))
    for fund in model.funds.values():
        for case in fund.cases.values():
            if case.lacks:
                ahead = ahead_of(fund, case)
                assert ahead is not None
                assert (ahead.floors_lacks, ahead.older_lacks, ahead.urgent + ahead.lesser) == _served_before(
                    fund, case
                )
                assert ahead.nobody == (_first_served(fund) is case)


def _views(fund: Fund) -> dict[Any, int]:
    return {
        _View(case=c, id=c.id, claim=c.claim, beneficiary=c.beneficiary, order=c.open_order, shown=c.rank): c.promised
        for c in fund.cases.values()
        if c.status == "open"
    }


class _View(SimpleNamespace):
    __hash__ = object.__hash__


def _first_served(fund: Fund) -> Case:
    views = _views(fund)
    return NEXT[fund.policy.rule](fund.policy, list(views), views)[0].case


def _served_before(fund: Fund, case: Case) -> tuple[int, int, int]:
    """What is given as floors, by opening, and to how many claimants by class, before the claimant of `case` is served."""
    views, floors, older, claimants = _views(fund), 0, 0, set()
    mine = standing_of(fund, case)
    while True:
        view, room, why = NEXT[fund.policy.rule](fund.policy, list(views), views)
        if why.get("stage") == "floor":
            if view.case is case:
                return floors, older, 0
            floors += room
        elif fund.policy.rule == FIRST_COME:
            if view.case is case:
                return floors, older, 0
            older += room
        elif (view.beneficiary, view.shown) == (case.beneficiary, case.rank):
            assert (mine.stage, mine.oldest, mine.key, CLASSES[mine.rank]) == (
                why.get("stage"), view.case, why["key"], why["class"],
            )  # fmt: skip
            return floors, older, len(claimants)
        else:
            claimants.add((view.beneficiary, view.shown))
        views[view] += room


# ---- why it went elsewhere ----------------------------------------------------------------------------------------------


class Naive:
    """Takes every run once more, step by step by the oracle's rules, and says why each part passed a case by."""

    def __init__(self) -> None:
        self.last: tuple[str, str, int] | None = None
        self.sums: dict[tuple[str, str], Counter[str]] = {}

    def watch(self, fund: Fund, fact: dict[str, Any], moment: Any) -> None:
        run = (fund.name, fact.get("pledge", ""), moment.offset)
        if fact["fact"] in ("award_settled", "case_funded") or (fact["fact"] == "awarded" and run == self.last):
            return  # in the midst of one
        self.last = run if fact["fact"] == "awarded" else None
        if self.last is None:
            return
        pledge, views = fund.pledges[fact["pledge"]], _views(fund)
        wish, money, parts = pledge.designation or {}, pledge.waiting, {}
        for scope in (["wish"] if wish else []) + (["pool"] if not wish or pledge.fallback == "pool" else []):
            among = {
                v: n
                for v, n in views.items()
                if scope == "pool" or wish in ({"case": v.case.id}, {"need": v.case.need})
            }
            while money and (found := NEXT[fund.policy.rule](fund.policy, list(among), among)):
                view, room, why = found
                step = min(room, money)
                part = parts.setdefault((view, scope, why.get("stage")), [0, why])
                part[0] += step
                views[view] += step
                among[view] += step
                money -= step
        for mine, given in views.items():
            if given < mine.claim:
                sums = self.sums.setdefault((fund.name, mine.case.id), Counter())
                for (view, scope, stage), (amount, why) in parts.items():
                    if view is not mine:
                        sums[_naive_reason(fund, views, mine, view, wish if scope == "wish" else {}, stage, why)] += (
                            amount
                        )


def _naive_reason(fund: Fund, views: dict[Any, int], mine: Any, view: Any, wish: Any, stage: Any, why: Any) -> str:
    if "case" in wish or ("need" in wish and mine.case.need != wish["need"]):
        return "chosen"
    among = {v: n for v, n in views.items() if not wish or v.case.need == wish["need"]}
    while True:  # until it is the turn of the case's claimant: there it stands
        turn, room, its_why = NEXT[fund.policy.rule](fund.policy, list(among), among)
        by_case = fund.policy.rule == FIRST_COME or its_why.get("stage") == "floor"
        if turn is mine or (not by_case and (turn.beneficiary, turn.shown) == (mine.beneficiary, mine.shown)):
            break
        among[turn] += room
    if fund.policy.rule == FIRST_COME:
        return "older"
    if stage == "floor":
        return "floor_earlier" if its_why.get("stage") == "floor" else "floor"
    if view.shown > mine.shown:
        return "urgent"
    if view.beneficiary == mine.beneficiary:
        return "own"
    return "lesser" if why["key"] < its_why["key"] else "earlier"


@pytest.mark.parametrize("seed", range(400, 480))
def test_why_money_went_elsewhere_is_what_the_steps_say(seed: int) -> None:
    engine, naive, watched = Engine(), Naive(), {}

    def watch(fund: Fund, fact: dict[str, Any], moment: Any) -> None:
        naive.watch(fund, fact, moment)
        for case in fund.cases:
            watched.setdefault((fund.name, case), Missed(case)).watch(fund, fact, moment)

    model = ReadModel(watch)
    for offset, command in enumerate(log(seed)):
        decision = engine.execute(command)
        head = {"seq": offset + 1, "fund": decision.fund, "at": text_of(decision.at), "cause": {"offset": offset}}
        model.feed(0, {**head, "facts": decision.facts})
    for place, missed in watched.items():
        missed.finish()
        sums = {reason: share.amount for reason, share in missed.shares.items()}
        assert sums == naive.sums.get(place, {}), place
