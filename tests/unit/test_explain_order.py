"""Why not more: the order of claimants now and then, money that waits for others, and money that was promised and ended."""

from __future__ import annotations

import json

import pytest

from schemas.times import text_of
from services.console.explain.missed import Missed
from services.console.explain.order import order_of, standing_of
from services.console.explain.wording import ORDER_BY_OPENING
from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, WATERFILL, Case, Fund, ReadModel
from services.matcher.engine.engine import Engine
from services.words import LANGUAGES, Words
from tests.ledgers import Told
from tests.oracle.season import log
from tests.unit.test_explain import ask, sentences, went
from tests.unit.test_explain_held import doctored

HELD = "The fund holds {amount} more that it can't have: the donors chose another case, and want it kept for that."


def five(**policy: object) -> Told:
    """Five people of one class who have 0, 100, 200, 50 and 150 of 300."""
    told = Told(share=100, **policy)
    for number, has in enumerate((0, 100, 200, 50, 150), 1):
        told.case(f"c-{number}", 300)
        if has:
            told.pledge(f"q-{number}", has, designation={"case": f"c-{number}"})
    return told


def test_the_order_of_claimants_is_told_as_ranks() -> None:
    found = ask(five(), "case", "c-2")
    assert found.data["order"] == {
        "class": "asap", "place": 3, "of": 5, "key": 200, "before": [{"key": 100, "claimants": 2}], "after": 2,
    }  # fmt: skip
    assert (
        "It is number 3 of 5 in class “asap” now; its next step ends at CNY 2.00. "
        "Before it: 2 with next step CNY 1.00. After it: 2."
    ) in sentences(found)


def test_the_order_then_is_that_of_then() -> None:
    """Whatever came after the last run that passed it by: another opened, one has all, one asks for less."""
    told = five()
    told.pledge("p-1", 20)  # to c-1, which stands lowest and opened first
    then = ask(told, "case", "c-5").data["last_missed"]["order"]
    assert (then["place"], then["of"], then["before"]) == (
        4, 5, [{"key": 100, "claimants": 2}, {"key": 200, "claimants": 1}],
    )  # fmt: skip
    told.case("c-6", 300)
    told("case.amended", case="c-3", goal=200)
    told("case.amended", case="c-4", goal=60)
    found = ask(told, "case", "c-5")
    assert found.data["last_missed"]["order"] == then
    assert found.data["order"]["before"] == [
        {"key": 60, "claimants": 1},
        {"key": 100, "claimants": 2},
        {"key": 200, "claimants": 1},
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rule", [FIRST_COME, GUARANTEED_FLOOR])
def test_where_the_order_of_opening_decides_it_is_that(rule: str, language: str) -> None:
    told = Told(rule=rule, share=100)
    for number in range(1, 4):
        told.case(f"c-{number}", 300)
    told.pledge("p-1", 10)
    found = ask(told, "case", "c-2", language)
    assert found.data["order"] == {
        "class": None,
        "place": 2,
        "of": 3,
        "key": 1,
        "before": [{"key": 0, "claimants": 1}],
        "after": 1,
    }
    words = Words(language)
    after = words.say("{count}", count=1)
    assert words.say(ORDER_BY_OPENING["now"], place=2, of=3, after=after) in sentences(found)
    assert words.say(ORDER_BY_OPENING["then"], place=2, of=3, after=after) in sentences(found)


def test_a_case_that_merely_waits_hears_so_and_since_when() -> None:
    told = five()
    assert "none has been matched since 2026-11-22 10:00 UTC" in sentences(ask(told, "case", "c-5"))
    told.pledge("p-1", 20)
    matched = told.entries[-1][1]
    told("clock.ticked", "2026-11-23T09:00:00Z")
    told.case("c-9", 300)
    assert ask(told, "case", "c-1").data["idle_since"] == matched
    assert ask(told, "case", "c-9").data["idle_since"] == told.entries[-1][1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_waiting_money_that_it_cant_have_is_told_with_the_reason_and_without_a_name(language: str) -> None:
    told = five()
    told.pledge("p-1", 70, designation={"need": "vaccine"}, fallback="hold")
    told.pledge("p-2", 300, designation={"case": "c-3"}, fallback="hold")
    found = ask(told, "case", "c-1", language)
    assert found.data["held"] == [{"need": "vaccine", "amount": 70}, {"need": None, "amount": 200}]
    assert Words(language).say(HELD, amount="CNY 2.00") in sentences(found)
    assert not {"p-1", "p-2", "c-3"} & set(json.dumps(found.as_dict()).replace('"', " ").split())
    assert found.findings == []


def test_waiting_money_that_it_may_have_is_a_finding() -> None:
    told = five()
    told.pledge("p-1", 30)
    doctored(told, lambda facts: facts.pop())
    assert ask(told, "case", "c-5").findings == [
        "CNY 0.30 waits in the fund that this case may have: audit the ledger."
    ]


def test_a_matching_that_gave_it_a_part_and_others_the_rest_counts() -> None:
    told = Told(share=100)
    told.case("c-1", 300)
    told.case("c-2", 300)
    told.pledge("p-1", 250)
    found = ask(told, "case", "c-2")
    assert (found.data["missed"]["runs"], found.data["missed"]["reached"]) == (0, 1)
    assert went(found) == {"lesser": 150}  # c-1 stood lower when its turn came
    told.pledge("p-2", 350)  # all have all
    assert went(ask(told, "case", "c-2")) == went(found)


def test_what_ended_since_is_taken_off() -> None:
    told = five()
    told.pledge("p-1", 40)
    told("pledge.withdrawn", pledge="p-1")
    found = ask(told, "case", "c-5")
    assert found.data["missed"]["voided"] == 40
    assert "Of all this CNY 0.40 has ended since" in sentences(found)


@pytest.mark.parametrize(("amount", "asked"), [(300, False), (200, True)])
def test_a_closed_case_that_has_all_is_not_asked_why_it_has_no_more(amount: int, asked: bool) -> None:
    told = Told()
    told.case("c-1", 300)
    told.pledge("p-1", amount)
    told.pay("p-1", amount)
    told("case.delivered", case="c-1", delivery="h-1", amount=amount)
    told("case.closed", case="c-1", outcome="completed")
    [rows] = [rows for title, rows in ask(told, "case", "c-1").parts if title == "Why not more"]
    assert bool(rows) is asked


def test_the_deadline_is_told() -> None:
    told = Told()
    told.case("c-1", 300, needed_by="2027-01-02T08:30:00Z")
    assert "It is needed by 2027-01-02 08:30 UTC." in sentences(ask(told, "case", "c-1"))
    told("case.amended", case="c-1", needed_by="2027-01-03T00:00:00Z")
    assert ask(told, "case", "c-1").data["needed_by"] == "2027-01-03T00:00:00Z"


@pytest.mark.parametrize("seed", range(500, 540))
def test_the_order_then_is_the_order_that_stood_then(seed: int) -> None:
    """What is kept of cases that changed since, gives the order of a run's beginning; here it is asked at that moment too."""
    engine, watched, seen = Engine(), {}, {}

    def watch(fund: Fund, fact: dict[str, object], moment: object) -> None:
        for name, case in fund.cases.items():
            missed = watched.setdefault((fund.name, name), Missed(name))
            before = missed._run
            missed.watch(fund, fact, moment)
            if missed._run is not None and missed._run is not before:
                seen[id(missed._run)] = (missed._run, _order_now(fund, case))

    model = ReadModel(watch)
    for offset, command in enumerate(log(seed)):
        decision = engine.execute(command)
        head = {"seq": offset + 1, "fund": decision.fund, "at": text_of(decision.at), "cause": {"offset": offset}}
        model.feed(0, {**head, "facts": decision.facts})
    for (fund, _), missed in watched.items():
        missed.finish()
        if missed.last is not None:
            assert missed.last.order(model.funds[fund]) == seen[id(missed.last)][1]


def _order_now(fund: Fund, case: Case) -> object:
    mine = standing_of(fund, case)
    assert mine is not None
    return order_of(fund.of_beneficiary.values(), fund.policy, mine)


def test_place_one_is_nobodys_wait() -> None:
    found = ask(five(), "case", "c-1")
    assert (found.data["order"]["place"], found.data["order"]["before"]) == (1, [])
    assert "Before it: nobody." in sentences(found)
    assert found.data["rule"] == WATERFILL
