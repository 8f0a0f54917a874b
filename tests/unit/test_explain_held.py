"""An award is held against the state it found: right keys on wrong awards are findings, and what is said of others is so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.console.readmodel.model import FIRST_COME, GUARANTEED_FLOOR, WATERFILL
from services.words import LANGUAGES, Words
from tests.ledgers import Told
from tests.unit.test_explain import ask, sentences

PASSED_BY = (
    "Claims that come before it by the rule, and were passed by: {count}, lacking {amount} together. Audit the ledger."
)
STANDING_WRONG = (
    "What the ledger says of its class, its claim or what it had is not what the facts before say: audit the ledger."
)
CHOICE_BROKEN = "The money was for what its donor chose, and went elsewhere: audit the ledger."


def doctored(told: Told, change: Callable[[list[dict[str, Any]]], None]) -> Told:
    """The last entry with other facts."""
    seq, at, value = told.entries[-1]
    entry = json.loads(value)
    change(entry["facts"])
    told.entries[-1] = (seq, at, json.dumps(entry).encode())
    return told


def given_to(case: str, **why: Any) -> Callable[[list[dict[str, Any]]], None]:
    """The first award of the entry goes to another case, with a class, a key and a standing that fit it there."""

    def change(facts: list[dict[str, Any]]) -> None:
        fact = next(fact for fact in facts if fact["fact"] == "awarded")
        fact["case"], fact["why"] = case, {**fact["why"], **why}

    return change


def three(rule: str) -> Told:
    """Three people who ask for 300 each with a share of 100: the oldest most urgent, the youngest least."""
    told = Told(rule=rule, share=100)
    for case, priority in (("c-1", "stat"), ("c-2", "urgent"), ("c-3", "routine")):
        told.case(case, 300, priority)
    told.pledge("p-1", 30)
    return told


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("rule", "key"), [(WATERFILL, 100), (FIRST_COME, 2), (GUARANTEED_FLOOR, 2)])
def test_money_that_passed_others_by_is_a_finding_though_its_own_figures_are_right(
    language: str, rule: str, key: int
) -> None:
    told = doctored(three(rule), given_to("c-3", key=key, **{"class": "routine"}))
    for kind, name in (("pledge", "p-1"), ("award", "p-1/1")):
        found = ask(told, kind, name, language)
        assert found.findings == [Words(language).say(PASSED_BY, count=2, amount=_lacks(rule))]
        assert found.findings[0] in sentences(found)
        assert Words(language).say("Nobody was served before it in this matching.") not in sentences(found)


def _lacks(rule: str) -> str:
    return "CNY 2.00" if rule == GUARANTEED_FLOOR else "CNY 6.00"


def test_more_than_a_step_is_a_finding_while_another_stands_lower() -> None:
    told = Told(share=100)
    told.case("c-1", 300)
    told.case("c-2", 300)
    told.pledge("p-1", 150)

    def all_to_the_first(facts: list[dict[str, Any]]) -> None:
        first, second = (fact for fact in facts if fact["fact"] == "awarded")
        facts.remove(second)
        first["amount"], first["why"]["after"] = 150, 150

    assert ask(told, "award", "p-1/1").findings == []
    assert "passed by: 1, lacking CNY 3.00" in ask(doctored(told, all_to_the_first), "award", "p-1/1").findings[0]


@pytest.mark.parametrize("why", [{"class": "urgent"}, {"claim": 290}, {"before": 10}, {"after": 31}])
def test_a_standing_that_the_facts_before_do_not_give_is_a_finding(why: dict[str, Any]) -> None:
    told = doctored(three(WATERFILL), given_to("c-1", **why))
    assert STANDING_WRONG in ask(told, "award", "p-1/1").findings


@pytest.mark.parametrize("fallback", ["pool", "hold"])
def test_money_that_left_its_donors_choice_is_a_finding(fallback: str) -> None:
    told = Told()
    told.case("c-1", 300, need="vaccine")
    told.case("c-2", 300)
    told.pledge("p-1", 30, designation={"need": "vaccine"}, fallback=fallback)
    doctored(told, given_to("c-2"))
    assert CHOICE_BROKEN in ask(told, "pledge", "p-1").findings


def test_money_that_waits_beside_a_claim_is_a_finding() -> None:
    told = three(WATERFILL)

    def unplaced(facts: list[dict[str, Any]]) -> None:
        facts[:] = [fact for fact in facts if fact["fact"] != "awarded"]

    [finding] = ask(doctored(told, unplaced), "pledge", "p-1").findings
    assert finding == "CNY 0.30 waits, though it could go to cases that lack money: 3. Audit the ledger."


def test_each_award_says_who_was_served_before_it_and_why_it_got_no_more() -> None:
    told = Told(share=100)
    told.case("c-1", 70, "stat")
    told.case("c-2", 20, "stat")
    told.case("c-3", 300, "stat")
    told.pledge("p-1", 100)
    short = sentences(ask(told, "pledge", "p-1")).splitlines()
    assert [line.rpartition("promised. ")[2] for line in short if line.startswith("Award")] == [
        "Nobody was served before it in this matching.",  # the least key, not the oldest
        "Served before it in this matching: 1 (CNY 0.20).",
        "Served before it in this matching: 2 (CNY 0.20 and CNY 0.70).",
    ]
    full = ask(told, "award", "p-1/3")
    assert full.data["served_before"] == [20, 70]
    assert "Its next step ended at CNY 1.00." in sentences(full)
    assert "It got no more, since the pledge had no more." in sentences(full)
    assert "With that it has all it asks for." in sentences(ask(told, "award", "p-1/2"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_by_claim_the_least_part_goes_first_and_is_said_in_per_cent(language: str) -> None:
    told = Told(share=275, weights="claim")
    told.case("c-1", 1_000)
    told.pledge("p-1", 100)
    assert "27.5 %" in sentences(ask(told, "award", "p-1/1", language))
    assert (
        Words(language).say("the least part of what is asked")
        in sentences(ask(told, "pledge", "p-1", language)).splitlines()[-1]
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_by_claim_a_case_hears_of_parts_and_of_no_key(language: str) -> None:
    told = Told(share=275, weights="claim")
    told.case("c-1", 1_000)
    told.case("c-2", 2_000)
    told.pledge("p-1", 100)
    text = sentences(ask(told, "case", "c-1", language))
    assert "27.5 %" in text
    assert "13.7 %" in text
    assert "000,000" not in text
    assert "到 所" not in text
