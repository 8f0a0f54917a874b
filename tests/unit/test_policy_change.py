"""A policy from its text; and what a change of policy would have altered, by hand."""

import json
import re
from typing import Any

import pytest
from rich.console import Console

from schemas.times import DAY, parse, text_of
from services.errors import PolicyInvalid, UsageError
from services.policies.change import DryRun, _fate, dry_run
from services.policies.commandlog import CommandLog, Said
from services.policies.meaning import FIELDS, RULES, TOLD
from services.policies.policy import Policy, parse_policy, usual
from services.policies.report.change import show
from services.policies.runs import SeasonSource, course_of
from services.policies.season.parameters import Season

START = parse("2027-01-01T00:00:00Z")
EQUAL = {"currency": "CNY", "share": 10_000, "ageing_days": 0, "deadline_hours": 0, "vouchers_required": 0}


# ---- a policy


def test_a_policy_is_a_rule_and_fields_in_any_order_and_comes_back_as_it_can_be_said_again() -> None:
    policy = parse_policy(f"weights=claim, {RULES[0]}, share=5000")
    assert dict(policy.changes) == {"rule": RULES[0], "weights": "claim", "share": 5000}
    assert policy.name == f"{RULES[0]},share=5000,weights=claim"
    assert parse_policy(policy.name) == policy
    assert parse_policy("recorded") == Policy()
    assert Policy().name == "recorded"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("no-such-rule/1", "no rule is named 'no-such-rule/1'"),
        ("", "no rule is named ''"),
        ("colour=blue", "no field is named 'colour'"),
        ("fund=jilin", "no field is named 'fund'"),
        ("currency=KRW", "no field is named 'currency'"),
        ("rule=", "no rule is named ''"),
        ("first-come/1,weights=claim", "weights has no effect under first-come/1"),
        ("share=5,first-come/1,weights=claim", "share and weights have no effect"),
        ("share=1,share=2", "share is given twice"),
        (f"{RULES[0]},{RULES[0]}", "rule is given twice"),
        ("recorded,share=1", "nothing goes with it"),
    ],
)
def test_a_policy_the_contract_does_not_know_is_refused_and_what_there_is_told(text: str, what: str) -> None:
    with pytest.raises(PolicyInvalid, match=what) as raised:
        parse_policy(text, "--change")
    assert raised.value.message.startswith(f"--change {text}: ")
    assert all(name in (raised.value.hint or "") for name in (*RULES, *FIELDS))


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("share=0", "share can't be 0", "share: a whole number from 1 to .*minor units; by default 10000"),
        ("share=many", "share can't be 'many'", "share: a whole number from 1"),
        ("share=", "share can't be ''", "share: a whole number from 1"),
        ("weights=heavy", "weights can't be 'heavy'", "weights: equal or claim"),
        ("ageing_days=-1", "ageing_days can't be -1", "ageing_days: a whole number from 0 to 36500 .*Days of waiting"),
    ],
)
def test_a_value_the_contract_does_not_know_is_answered_with_what_it_may_be(text: str, what: str, hint: str) -> None:
    with pytest.raises(PolicyInvalid, match=what) as raised:
        parse_policy(text)
    assert re.match(hint, raised.value.hint or "")


def test_every_rule_is_told_and_a_field_is_said_to_have_no_effect_only_if_it_has_none() -> None:
    assert set(TOLD) == set(RULES)
    season = Season(days=12, generosity=0.4)
    for rule, told in TOLD.items():
        for field, value in (("share", 100), ("weights", "claim")):
            plain, other = (
                [
                    _fate(c)
                    for c in course_of(SeasonSource(season).play(policy), SeasonSource(season).span).cases.values()
                ]
                for policy in (Policy((("rule", rule),)), Policy((("rule", rule), (field, value))))
            )
            assert (plain == other) == (field in told.idle), (rule, field)


def test_every_rule_of_the_contract_is_compared_unless_something_is_asked_for() -> None:
    assert {dict(policy.changes).get("rule") for policy in usual(recorded=False)} == set(RULES)
    assert usual(recorded=True)[0] == Policy()


# ---- a change


class Recorded:
    """A recorded log by the day."""

    def __init__(self, **policy: Any) -> None:
        self.said: list[Said] = []
        self.say(0, "fund.configured", **{**EQUAL, **policy})

    def say(self, at: float, kind: str, **data: Any) -> None:
        time = START + int(at * DAY)
        told = {} if kind == "clock.ticked" else {"fund": "f", **data}
        self.said.append(Said(0, f"pumasi.{kind}", f"e-{len(self.said)}", time, json.dumps(told).encode()))

    def case(self, at: float, case: str, goal: int, priority: str = "routine") -> None:
        given = {"beneficiary": f"b-{case}", "need": "treatment", "route": "clinic", "priority": priority}
        self.say(at, "case.submitted", case=case, goal=goal, **given)

    def pledge(self, at: float, pledge: str, amount: int) -> None:
        self.say(at, "pledge.made", pledge=pledge, donor="d", amount=amount, currency="CNY")

    def paid(self, at: float, pledge: str, amount: int) -> None:
        self.say(at, "payment.received", pledge=pledge, payment=f"m-{pledge}", amount=amount)

    def what_if(self, change: str, since: float | None) -> DryRun:
        log = CommandLog(tuple(self.said), 0, "a test")
        return dry_run(log, parse_policy(change), None if since is None else START + int(since * DAY))


@pytest.fixture
def recorded() -> Recorded:
    """Two cases, 10,000 and 40,000, and 30,000 of money in two pledges, the second on day 2.

    As recorded (equal): day 1: 10,000 to small, which is whole. Day 2: 20,000 to large. Paid on day 3, handed over on day 4.
    With weights=claim, the least part of the claim first, from the start: a step of 10,000 is the whole of small and a quarter of
    large, so large first: on day 1 10,000 to large; on day 2 again 20,000 to large (30,000 is three quarters, less than the whole).
    """
    log = Recorded()
    log.case(0, "small", 10_000)
    log.case(0, "large", 40_000)
    log.pledge(1, "p-1", 10_000)
    log.pledge(2, "p-2", 20_000)
    log.paid(3, "p-1", 10_000)
    log.paid(3, "p-2", 20_000)
    log.say(4, "case.delivered", case="small", delivery="h-1", amount=10_000)
    log.say(4, "case.delivered", case="large", delivery="h-2", amount=20_000)
    return log


def test_what_would_have_been_different_by_hand(recorded: Recorded) -> None:
    told = recorded.what_if("weights=claim", None)
    small, large = sorted(told.cases, key=lambda case: case.more)
    assert (small.case, small.more, small.funding, small.first_money) == ("small", -10_000, "no_more", "no_more")
    assert (large.case, large.more, large.funding, large.first_money) == ("large", 10_000, None, "sooner")
    assert (small.recorded["promised"], small.changed["promised"]) == (10_000, 0)
    assert large.changed["first_money"] == text_of(START + DAY)
    assert (told.counts["more"], told.counts["less"], told.moved, told.unchanged) == (1, 1, 10_000, 0)
    [refusal] = told.refused
    assert (refusal.code, refusal.about, refusal.item, refusal.amount, refusal.ready) == (
        "exceeds_settled",
        "small",
        "h-1",
        10_000,
        0,
    )
    assert told.accepted == []
    assert told.before == {"f": {"weights": "equal"}}


def test_a_case_that_only_had_its_first_money_sooner_is_counted_and_not_listed_as_a_row_without_difference() -> None:
    log = Recorded()
    log.case(0, "small", 10_000)
    log.case(0, "large", 40_000)
    log.pledge(1, "p-1", 10_000)
    log.pledge(2, "p-2", 40_000)
    told = log.what_if("weights=claim", None)
    assert {case.case: (case.more, case.funding, case.first_money) for case in told.cases} == {
        "large": (0, None, "sooner"),
        "small": (0, "later", "later"),
    }
    console = Console(width=100)
    with console.capture() as captured:
        show(told, console)
    assert "1 case would differ in nothing but when money first came" in captured.get()
    assert "\nsmall " in captured.get() and "\nlarge " not in captured.get()


def test_a_change_holds_from_its_instant_on(recorded: Recorded) -> None:
    told = recorded.what_if("weights=claim", 1.5)  # small has its 10,000 by then, and keeps it
    assert told.cases == [] and told.unchanged == 2 and told.refused == []
    told = recorded.what_if("weights=claim", 0.5)
    assert {case.case: case.more for case in told.cases} == {"small": -10_000, "large": 10_000}


def test_a_change_to_what_it_was_changes_nothing(recorded: Recorded) -> None:
    assert recorded.what_if("weights=equal,share=10000", None).cases == []


def test_a_later_configuration_is_changed_too_and_one_before_is_not(recorded: Recorded) -> None:
    recorded.say(5, "fund.configured", **{**EQUAL, "share": 100})
    recorded.case(6, "late", 200)
    told = recorded.what_if("share=7", 5.5)
    assert told.before == {"f": {"share": 100}}
    assert recorded.what_if("share=7", 4.5).before == {"f": {"share": 10_000}}


def test_a_refused_configuration_neither_hides_the_change_nor_is_told_as_what_was() -> None:
    log = Recorded()
    log.case(0, "small", 10_000)
    log.case(0, "large", 40_000)
    log.say(0.2, "fund.configured", **{**EQUAL, "currency": "USD", "weights": "claim"})  # a fund keeps its currency
    log.pledge(1, "p-1", 10_000)
    told = log.what_if("weights=claim", 0.5)
    assert told.before == {"f": {"weights": "equal"}}
    assert {case.case: case.more for case in told.cases} == {"small": -10_000, "large": 10_000}


def test_a_case_that_opens_sooner_or_later_is_told() -> None:
    log = Recorded(vouchers_required=1)
    log.case(0, "c-1", 10_000)
    log.pledge(1, "p-1", 10_000)
    log.say(2, "case.vouched", case="c-1", voucher="v-1")
    [case] = log.what_if("vouchers_required=0", None).cases
    assert (case.funding, case.more) == ("sooner", 0)
    [case] = log.what_if("vouchers_required=2", None).cases
    assert (case.funding, case.more, case.changed["opened"]) == ("no_more", -10_000, None)


def test_ticks_and_escalations_under_the_change_are_seen() -> None:
    log = Recorded()
    log.case(0, "old", 10_000)
    log.case(5, "urgent", 10_000, "urgent")
    log.say(6, "clock.ticked")
    log.pledge(7, "p-1", 10_000)
    told = log.what_if("ageing_days=3", None)  # old is asap by day 7
    assert {case.case: case.more for case in told.cases} == {"urgent": -10_000, "old": 10_000}


def test_a_change_after_the_logs_end_meets_no_command(recorded: Recorded) -> None:
    with pytest.raises(UsageError, match="before 2027-02-10"):
        recorded.what_if("weights=claim", 40)


def test_what_is_told_is_json(recorded: Recorded) -> None:
    told = json.loads(json.dumps(recorded.what_if("weights=claim", None).as_json()))
    assert told["counts"] == {
        "more": 1, "less": 1, "sooner": 0, "later": 0, "only_then": 0, "no_more": 1, "unchanged": 0, "moved": 10_000,
    }  # fmt: skip
    assert [case["case"] for case in told["cases"]] == ["large", "small"]
    assert told["refused"][0]["item"] == "h-1"
    assert told["since"] == "2027-01-01T00:00:00Z"
