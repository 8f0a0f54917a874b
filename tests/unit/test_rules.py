"""The further rules by example, worked by hand, on engine and oracle alike; and that the index of rules is whole.

Steps and lines are those of `test_engine_examples`: share 10, equal weights, no ageing, no vouchers.
"""

from __future__ import annotations

import doctest
import json
import re
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, get_args

import pytest

from schemas.commands import Unreadable
from schemas.values import Rule
from services.bus.envelope import command_headers, read_command
from services.matcher.engine.engine import Engine
from services.matcher.model.breach import ConservationBreach
from services.matcher.rules import index
from services.matcher.rules.example import give
from services.matcher.rules.opening_order import Line
from tests.oracle.oracle import Oracle
from tests.oracle.rules import NEXT
from tests.unit.test_engine_examples import Story, days, waits
from tests.unit.test_intake_admission import findings


@pytest.fixture(params=[Engine, Oracle], ids=["engine", "oracle"])
def story(request: pytest.FixtureRequest) -> Story:
    return Story(request.param)


def test_every_rule_of_the_contract_has_a_book_and_an_oracle() -> None:
    assert list(index.BOOKS) == list(NEXT) == list(get_args(Rule))


MODULES = {
    found[1]: path.stem
    for path in Path(index.__file__).parent.glob("*.py")
    if (found := re.match(r'"""The rule `(.+?)`', path.read_text()))
}
"""The name of each rule → the module that opens with it."""


def test_every_rule_of_the_contract_has_a_module_that_says_what_it_promises() -> None:
    assert MODULES.keys() == set(get_args(Rule))


@pytest.mark.parametrize("module", [*MODULES.values(), "example"])
def test_what_a_rules_module_shows_is_so(module: str) -> None:
    found = doctest.testmod(import_module(f"services.matcher.rules.{module}"))
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("name", ["first-come/2", "first-come", "proportional/1", ""])
def test_an_unknown_rule_is_refused_at_the_door_and_unreadable_behind_it(name: str) -> None:
    told = {"fund": "f", "currency": "CNY", "rule": name}
    assert findings("fund.configured", told) == {("/data/rule", "not_one_of")}
    found = read_command(_Record(json.dumps(told).encode()), 1)
    assert found == Unreadable("rule: not_one_of", "pumasi.fund.configured", 7)


class _Record(NamedTuple):
    value: bytes
    topic: str = "pumasi.commands.v1"
    partition: int = 0
    offset: int = 7
    key: bytes = b"f"
    headers: Any = command_headers("pumasi.fund.configured", "e-1", "/tests", "2026-11-22T10:00:00Z")


# ------------------------------------------------------------------------------------------------ first-come/1


class TestFirstCome:
    @pytest.fixture(autouse=True)
    def configured(self, story: Story) -> None:
        story.configure(rule="first-come/1")

    def test_the_oldest_case_takes_all_it_asks_for_whatever_its_class(self, story: Story) -> None:
        """Neither the share of 10 nor the classes nor the persons count; the key is the opening order."""
        story.case("c-1", beneficiary="b-1", goal=35)
        story.case("c-2", beneficiary="b-2", goal=20, priority="stat")
        story.case("c-3", beneficiary="b-1", goal=20, priority="urgent")
        assert story.pledge("p-1", 60) == [
            "pledge_accepted p-1 60",
            "awarded p-1/1 c-1 35 [routine key 0, 0→35 of 35]",
            "case_funded c-1 35",
            "awarded p-1/2 c-2 20 [stat key 1, 0→20 of 20]",
            "case_funded c-2 20",
            "awarded p-1/3 c-3 5 [urgent key 2, 0→5 of 20]",
        ]
        assert story.pledge("p-2", 20)[1:] == [
            "awarded p-2/1 c-3 15 [urgent key 2, 5→20 of 20]",
            "case_funded c-3 20",
            "waiting p-2 5",
        ]

    def test_the_order_is_of_opening_not_of_submitting(self, story: Story) -> None:
        story.configure(rule="first-come/1", vouchers_required=1)
        story.case("c-1", beneficiary="b-1")
        story.case("c-2", beneficiary="b-2")
        story("case.vouched", case="c-2", voucher="v-1")
        story("case.vouched", case="c-1", voucher="v-1")
        assert story.pledge("p-1", 5)[1] == "awarded p-1/1 c-2 5 [routine key 0, 0→5 of 100]"

    def test_weights_have_no_effect(self, story: Story) -> None:
        story.configure(rule="first-come/1", weights="claim", share=3)
        story.case("c-1", beneficiary="b-1", goal=100)
        story.case("c-2", beneficiary="b-2", goal=1000)
        assert story.pledge("p-1", 90)[1:] == ["awarded p-1/1 c-1 90 [routine key 0, 0→90 of 100]"]

    def test_a_case_that_lacks_money_again_has_its_old_place(self, story: Story) -> None:
        """Its goal is raised, its award ends: it opened first, and comes before what was next."""
        story.case("c-1", beneficiary="b-1", goal=10)
        story.case("c-2", beneficiary="b-2", goal=50)
        story.pledge("p-1", 20)
        story("case.amended", case="c-1", goal=14)
        assert story.pledge("p-2", 6)[1:] == [
            "awarded p-2/1 c-1 4 [routine key 0, 10→14 of 14]",
            "case_funded c-1 14",
            "awarded p-2/2 c-2 2 [routine key 1, 10→12 of 50]",
        ]
        story("pledge.withdrawn", pledge="p-1")  # 10 of c-1 and 10 of c-2 end
        assert story.pledge("p-3", 11)[1:] == [
            "awarded p-3/1 c-1 10 [routine key 0, 4→14 of 14]",
            "case_funded c-1 14",
            "awarded p-3/2 c-2 1 [routine key 1, 2→3 of 50]",
        ]

    def test_designated_money_goes_in_the_same_order_among_what_it_may_go_to(self, story: Story) -> None:
        story.case("c-1", need="treatment", goal=20)
        story.case("c-2", need="test", goal=20)
        story.case("c-3", need="test", goal=20, priority="stat")
        assert story.pledge("p-1", 30, designation={"need": "test"})[1:] == [
            "awarded p-1/1 c-2 20 [routine key 1, 0→20 of 20]",
            "case_funded c-2 20",
            "awarded p-1/2 c-3 10 [stat key 2, 0→10 of 20]",
        ]
        assert story.pledge("p-2", 15, designation={"case": "c-3"})[1:] == [
            "awarded p-2/1 c-3 10 [stat key 2, 10→20 of 20]",
            "case_funded c-3 20",
            "awarded p-2/2 c-1 5 [routine key 0, 0→5 of 20]",
        ]

    def test_waiting_money_deadlines_and_ageing_are_as_ever(self, story: Story) -> None:
        story.configure(rule="first-come/1", ageing_days=7)
        assert story.pledge("p-1", 30) == waits("p-1", 30)
        assert story.case("c-1", goal=20)[2:] == [
            "awarded p-1/1 c-1 20 [routine key 0, 0→20 of 20]",
            "case_funded c-1 20",
        ]
        assert story.tick(days(7)) == ["case_escalated c-1 routine→urgent age @f"]

    def test_a_closed_cases_money_goes_to_the_oldest(self, story: Story) -> None:
        story.case("c-1", goal=20)
        story.case("c-2", goal=20)
        story.case("c-3", goal=20, priority="stat")
        story.pledge("p-1", 30)
        story.pay("p-1", "m-1", 20)
        assert story.close("c-1", outcome="deceased") == [
            "case_closed c-1 deceased",
            "award_voided p-1/1 20, settled 20",
            "awarded p-1/3 c-2 10 [routine key 1, 10→20 of 20]",
            "award_settled p-1/3 10",
            "case_funded c-2 20",
            "awarded p-1/4 c-3 10 [stat key 2, 0→10 of 20]",
            "award_settled p-1/4 10",
        ]


# ------------------------------------------------------------------------------------------------ guaranteed-floor/1


class TestGuaranteedFloor:
    @pytest.fixture(autouse=True)
    def configured(self, story: Story) -> None:
        story.configure(rule="guaranteed-floor/1")

    def test_every_case_first_gets_a_floor_oldest_first_then_the_most_urgent(self, story: Story) -> None:
        """Floors: 10, 4 (all it asks), 10. The other 13 go by class: stat, whose next boundary is 20, then 30."""
        story.case("c-1", beneficiary="b-1", goal=50)
        story.case("c-2", beneficiary="b-2", goal=4)
        story.case("c-3", beneficiary="b-3", goal=50, priority="stat")
        assert story.pledge("p-1", 37) == [
            "pledge_accepted p-1 37",
            "awarded p-1/1 c-1 10 [routine key 0, 0→10 of 50, floor]",
            "awarded p-1/2 c-2 4 [routine key 1, 0→4 of 4, floor]",
            "case_funded c-2 4",
            "awarded p-1/3 c-3 23 [stat key 2, 0→23 of 50, floor]",
        ]
        assert story.pledge("p-2", 30)[1:] == [
            "awarded p-2/1 c-3 27 [stat key 30, 23→50 of 50, class]",
            "case_funded c-3 50",
            "awarded p-2/2 c-1 3 [routine key 20, 10→13 of 50, class]",
        ]

    def test_a_floor_begun_is_finished_before_the_next(self, story: Story) -> None:
        story.case("c-1", beneficiary="b-1", goal=50)
        story.case("c-2", beneficiary="b-2", goal=50, priority="stat")
        assert story.pledge("p-1", 7)[1:] == ["awarded p-1/1 c-1 7 [routine key 0, 0→7 of 50, floor]"]
        assert story.pledge("p-2", 5)[1:] == [
            "awarded p-2/1 c-1 3 [routine key 0, 7→10 of 50, floor]",
            "awarded p-2/2 c-2 2 [stat key 1, 0→2 of 50, floor]",
        ]

    def test_a_new_case_gets_its_floor_before_anyone_gets_more(self, story: Story) -> None:
        story.case("c-1", beneficiary="b-1", goal=50, priority="stat")
        story.pledge("p-1", 30)
        story.case("c-2", beneficiary="b-2", goal=50)
        assert story.pledge("p-2", 15)[1:] == [
            "awarded p-2/1 c-2 10 [routine key 1, 0→10 of 50, floor]",
            "awarded p-2/2 c-1 5 [stat key 40, 30→35 of 50, class]",
        ]

    def test_above_the_floors_all_cases_of_a_person_in_a_class_are_one_claimant(self, story: Story) -> None:
        """b-1 has two floors, 20 in all, so b-2, at 10, goes first: up to 20. Then both are before 30, and b-1 opened first."""
        story.case("c-1", beneficiary="b-1", goal=20)
        story.case("c-2", beneficiary="b-1", goal=20)
        story.case("c-3", beneficiary="b-2", goal=60)
        assert story.pledge("p-1", 45)[1:] == [
            "awarded p-1/1 c-1 15 [routine key 0, 0→15 of 20, floor]",
            "awarded p-1/2 c-2 10 [routine key 1, 0→10 of 20, floor]",
            "awarded p-1/3 c-3 20 [routine key 2, 0→20 of 60, floor]",
        ]
        assert story.pledge("p-2", 20)[1:] == [
            "awarded p-2/1 c-1 5 [routine key 30, 25→30 of 40, class]",
            "case_funded c-1 20",
            "awarded p-2/2 c-3 10 [routine key 30, 20→30 of 60, class]",
            "awarded p-2/3 c-2 5 [routine key 40, 30→35 of 40, class]",
        ]

    def test_the_floor_is_of_the_share_in_force(self, story: Story) -> None:
        story.case("c-1", beneficiary="b-1", goal=50, priority="stat")
        story.case("c-2", beneficiary="b-2", goal=50)
        story.pledge("p-1", 20)
        story.configure(rule="guaranteed-floor/1", share=25)
        assert story.pledge("p-2", 40)[1:] == [
            "awarded p-2/1 c-1 25 [stat key 0, 10→35 of 50, floor]",
            "awarded p-2/2 c-2 15 [routine key 1, 10→25 of 50, floor]",
        ]

    def test_designated_money_gives_floors_among_what_it_may_go_to(self, story: Story) -> None:
        story.case("c-1", beneficiary="b-1", need="treatment", goal=50)
        story.case("c-2", beneficiary="b-2", need="test", goal=50)
        story.case("c-3", beneficiary="b-3", need="test", goal=50, priority="stat")
        assert story.pledge("p-1", 25, designation={"need": "test"})[1:] == [
            "awarded p-1/1 c-2 10 [routine key 1, 0→10 of 50, floor]",
            "awarded p-1/2 c-3 15 [stat key 2, 0→15 of 50, floor]",
        ]
        assert story.pledge("p-2", 15, designation={"case": "c-1"})[1:] == [
            "awarded p-2/1 c-1 15 [routine key 0, 0→15 of 50, floor]"
        ]
        assert story.pledge("p-3", 15, designation={"case": "c-2"})[1:] == [
            "awarded p-3/1 c-2 15 [routine key 20, 10→25 of 50, class]"
        ]

    def test_a_case_whose_award_ended_has_a_floor_again(self, story: Story) -> None:
        story.case("c-1", beneficiary="b-1", goal=50, priority="stat")
        story.case("c-2", beneficiary="b-2", goal=50)
        story.pledge("p-1", 20)
        story.pledge("p-2", 10)
        assert story("pledge.withdrawn", pledge="p-1")[1:] == [
            "award_voided p-1/2 10, settled 0",
            "award_voided p-1/1 10, settled 0",
            "released p-1 20",
        ]
        assert story.pledge("p-3", 15)[1:] == [
            "awarded p-3/1 c-2 10 [routine key 1, 0→10 of 50, floor]",
            "awarded p-3/2 c-1 5 [stat key 20, 10→15 of 50, class]",
        ]


# ------------------------------------------------------------------------------------------------ from rule to rule


def test_a_fund_goes_from_rule_to_rule_and_commitments_stay(story: Story) -> None:
    story.configure(rule="first-come/1")
    story.case("c-1", beneficiary="b-1", goal=100)
    story.case("c-2", beneficiary="b-2", goal=100, priority="stat")
    assert story.pledge("p-1", 30)[1:] == ["awarded p-1/1 c-1 30 [routine key 0, 0→30 of 100]"]
    assert story.configure(rule="urgency-waterfill/1") == ["fund_configured"]
    assert story.pledge("p-2", 30)[1:] == ["awarded p-2/1 c-2 30 [stat key 10, 0→30 of 100]"]
    assert story.configure(rule="guaranteed-floor/1") == ["fund_configured"]
    story.case("c-3", beneficiary="b-3", goal=5)
    assert story.pledge("p-3", 30)[1:] == [
        "awarded p-3/1 c-3 5 [routine key 2, 0→5 of 5, floor]",
        "case_funded c-3 5",
        "awarded p-3/2 c-2 25 [stat key 40, 30→55 of 100, class]",
    ]
    assert story.configure(rule="guaranteed-floor/1") == ["duplicate"]


# ------------------------------------------------------------------------------------------------ how they are kept


@pytest.mark.parametrize("seed", range(20))
def test_the_line_is_always_led_by_the_oldest_in_it_and_keeps_no_long_memory(seed: int) -> None:
    """Cases come and go, many more than ever stand in line at once; old ones that had left come again."""
    r, line = Random(seed), Line()
    cases, standing = [_Case(number) for number in range(3_000)], set[int]()
    for _ in range(6_000):
        number = r.choice([r.randrange(3_000), *r.sample(sorted(standing), min(3, len(standing)))])
        lacks = number not in standing and (len(standing) < 5 or r.random() < 0.3)
        line.place(cases[number], lacks)
        (standing.add if lacks else standing.discard)(number)
        if r.random() < 0.05:
            assert line.first() is (cases[min(standing)] if standing else None)
        assert len(line) == len(standing)
        assert not lacks or len(line._heap) <= 64 + 4 * len(standing)


@pytest.mark.parametrize("rule", ["first-come/1", "guaranteed-floor/1"])
def test_a_book_that_was_not_told_of_money_stops_rather_than_stand_still(rule: str) -> None:
    fund = Engine()
    story = Story(lambda: fund)
    story.configure(rule=rule)
    story.case("c-1", goal=10)
    fund.funds["f"].book_of_pool()
    fund.funds["f"].cases["c-1"].awarded = 10
    with pytest.raises(ConservationBreach):
        story.pledge("p-1", 5)


class _Case:
    def __init__(self, number: int) -> None:
        self.open_order = number


@pytest.mark.parametrize("rule", index.BOOKS)
def test_a_large_pledge_over_a_tiny_share_takes_no_time(rule: str) -> None:
    needs = [f"b-{n} asap {10**8 - n}" for n in range(50)]
    assert sum(give(rule, 10**9, *needs, share=1)) == 10**9
