"""Every measure on logs so small that each figure is worked out by hand, beside it."""

import json
from typing import Any

import pytest

from schemas.commands import TICK, Command, read_data
from schemas.times import DAY, parse, text_of
from services.matcher.engine.engine import Engine
from services.policies.course import Course
from services.policies.measures import BY_NAME, GROUPS, MEASURES, curves, measure, measure_sizes, size_limits
from services.policies.policy import Policy, usual
from services.policies.runs import SeasonSource, course_of
from services.policies.season.parameters import Season

START = parse("2027-01-01T00:00:00Z")


def day(number: float) -> int:
    return START + int(number * DAY)


class Log:
    """Commands by the day, played to an engine."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def say(self, at: float, kind: str, **data: Any) -> None:
        offset = len(self.commands)
        model = read_data(f"pumasi.{kind}", json.dumps(data).encode())
        self.commands.append(Command(f"pumasi.{kind}", f"e-{offset}", day(at), model, offset))

    def fund(self, name: str, **policy: Any) -> None:
        told = {"share": 10_000, "ageing_days": 0, "deadline_hours": 0, "vouchers_required": 0, **policy}
        self.say(0, "fund.configured", fund=name, currency="CNY", **told)

    def case(self, at: float, case: str, goal: int, priority: str = "routine", fund: str = "f", **more: Any) -> None:
        given = {"beneficiary": f"b-{case}", "need": "treatment", "route": "clinic", "priority": priority, **more}
        self.say(at, "case.submitted", fund=fund, case=case, goal=goal, **given)

    def pledge(self, at: float, pledge: str, amount: int, fund: str = "f", **more: Any) -> None:
        self.say(at, "pledge.made", fund=fund, pledge=pledge, donor="d", amount=amount, currency="CNY", **more)

    def course(self, end: float) -> Course:
        self.say(end, "clock.ticked")
        engine = Engine()
        return course_of(((command, engine.execute(command)) for command in self.commands), (day(0), day(end)))


@pytest.fixture
def death() -> Course:
    """Three cases, one of which dies: its money goes on to the next, and 5,000 find nobody any more.

    Day 1: 10,000 to c-1, all it asks.  Day 2: 10,000 each to c-2 and c-3.  Day 3: 10,000 to c-2 and 5,000 to c-3: c-2 has 20,000 of
    30,000, c-3 has 15,000 of 20,000.  Day 5: c-3 dies; of its 15,000 c-2 gets the 10,000 it lacks, 5,000 wait to the end, day 7.
    """
    log = Log()
    log.fund("f")
    log.case(0, "c-1", 10_000, "stat")
    log.case(0, "c-2", 30_000, needed_by=text_of(day(4)))
    log.case(0, "c-3", 20_000, needed_by=text_of(day(10)))
    log.pledge(1, "p-1", 10_000)
    log.pledge(2, "p-2", 20_000)
    log.pledge(3, "p-3", 15_000)
    log.say(5, "case.closed", fund="f", case="c-3", outcome="deceased")
    return log.course(7)


def test_a_death_by_hand(death: Course) -> None:
    told = measure(death)
    all_ = {name: figures["all"] for name, figures in told.items()}
    assert all_["opened"] == 3
    assert all_["asked"] == 60_000
    assert all_["funded"] == pytest.approx(2 / 3)
    assert all_["funding_days_median"] == 5  # c-1 after 1 day, c-2 after 5; c-3 never: F(1) = 1/3, F(5) = 2/3
    assert all_["funding_days_p90"] is None
    assert all_["waiting_days_median"] == 2  # 1, 2, 2
    assert all_["waiting_days_p90"] == 2
    assert (all_["deadlines"], all_["in_time"]) == (1, 0)  # c-2's day 4 has come, funded on day 5; c-3's day 10 hasn't
    assert all_["promised"] == pytest.approx(40 / 60)  # 10,000 and 30,000; what c-3 had is c-2's now, or waits
    assert all_["delivered"] == 0
    assert all_["least_fill"] == all_["least_tenth_fill"] == 0  # c-3 was handed nothing
    assert all_["gini"] == pytest.approx(1 / 3)  # of 0, 1, 1
    assert (all_["deaths"], all_["deaths_unfunded"]) == (1, 1)
    assert (all_["pledged"], all_["paid"], all_["lost"]) == (45_000, 0, 0)
    assert all_["idle"] == 10_000  # 5,000 for two days
    assert all_["idle_days"] == pytest.approx(10_000 / 45_000)
    assert (all_["idle_here"], all_["idle_elsewhere"], all_["in_hand"]) == (0, 0, 0)


def test_a_death_by_class(death: Course) -> None:
    told = measure(death)
    assert told["opened"] == {"stat": 1, "asap": 0, "urgent": 0, "routine": 2, "all": 3}
    assert told["funding_days_median"]["stat"] == 1
    assert told["funding_days_median"]["routine"] == 5  # F(5) = 1/2: one of the two
    assert told["funded"]["routine"] == 0.5
    assert told["gini"]["stat"] == 0
    assert told["funded"]["asap"] is told["gini"]["asap"] is told["least_fill"]["asap"] is None


def test_curves_end_where_the_figures_stand(death: Course) -> None:
    drawn = curves(death)
    assert drawn["funded"]["all"][-1] == (7, pytest.approx(40 / 60))
    assert dict(drawn["funded"]["routine"])[7 / 2] == pytest.approx(35 / 50)  # sampled half-way, on day 3½
    assert drawn["time_to_funding"]["all"] == [(1, pytest.approx(1 / 3)), (5, pytest.approx(2 / 3))]
    assert [value for _, value in drawn["fill"]["all"]] == [0, 1, 1]
    assert drawn["money"]["idle"][-1] == (7, 5_000)
    assert drawn["money"]["idle"][120] == (3.5, 0)


def test_what_is_funded_and_handed_over_is_told_by_size_of_claim() -> None:
    log = Log()
    log.fund("f")
    for number, goal in enumerate((100, 200, 300, 1_000, 50_000, 100_000)):
        log.case(0, f"c-{number}", goal)
    log.pledge(1, "p-1", 1_600)
    log.say(2, "payment.received", fund="f", pledge="p-1", payment="m-1", amount=1_600)
    log.say(3, "case.delivered", fund="f", case="c-0", delivery="h-0", amount=100)
    run = log.course(4)
    assert size_limits(run) == (300, 50_000)
    told = measure_sizes(run, size_limits(run))
    assert told["opened"] == {"small": 3, "medium": 2, "large": 1}
    funded = [case.funded_at is not None for case in run.counted]
    assert told["funded"]["small"] == sum(funded[:3]) / 3
    assert told["whole"] == {"small": pytest.approx(1 / 3), "medium": 0, "large": 0}
    assert measure(run)["whole"]["all"] == pytest.approx(1 / 6)


@pytest.mark.parametrize("policy", usual(recorded=False), ids=lambda policy: policy.name)
def test_no_money_is_promised_twice_under_any_policy(policy: Policy) -> None:
    source = SeasonSource(Season(seed=2, days=40, funds=2, fails=0.2))
    run = course_of(source.play(policy), source.span)
    there = run.money.pledged - sum(run.money.given_back.values())
    assert any(case.outcome in ("deceased", "withdrawn") and case.first_money_at for case in run.cases.values())
    assert sum(case.promised for case in run.cases.values()) + run.samples[-1].idle == there
    assert sum(min(case.promised, case.claim) for case in run.counted) <= there
    assert all(case.promised == case.delivered for case in run.cases.values() if case.closed_at is not None)
    asked, promised = (sum(getattr(run.samples[-1], name).values()) for name in ("asked", "promised"))
    assert asked == sum(case.claim for case in run.counted)
    assert promised == sum(case.promised for case in run.counted)


def test_what_a_duplicate_had_leaves_the_sums_once() -> None:
    log = Log()
    log.fund("f")
    log.case(0, "c-1", 10_000)
    log.pledge(1, "p-1", 4_000)
    log.say(2, "case.closed", fund="f", case="c-1", outcome="duplicate")
    run = log.course(3)
    assert (run.samples[-1].asked["routine"], run.samples[-1].promised["routine"], run.samples[-1].idle) == (
        0,
        0,
        4_000,
    )


def test_an_estimated_time_may_come_where_the_plain_share_has_not_and_its_curve_ends_with_the_longest_wait() -> None:
    log = Log()
    log.fund("f")
    log.case(0, "c-1", 10_000)
    log.pledge(1, "p-1", 10_000)
    for number in range(2, 12):
        log.case(7.5, f"c-{number}", 10_000)
    run = log.course(8)
    told = measure(run)
    assert told["funded"]["all"] == pytest.approx(1 / 11)
    assert told["funding_days_p90"]["all"] == 1  # the ten seen for half a day are taken to do as c-1 did
    assert "plain count" in BY_NAME["funding_days_median"].definition
    assert curves(run)["time_to_funding"]["all"][-1] == (1, 1)


def test_the_estimates_curve_goes_on_flat_as_long_as_somebody_was_seen_and_no_longer() -> None:
    log = Log()
    log.fund("f")
    log.case(0, "c-1", 10_000)
    log.case(0, "c-2", 10_000)
    log.pledge(1, "p-1", 10_000)
    log.pledge(2, "p-2", 2_000)
    run = log.course(6)
    drawn = curves(run)["time_to_funding"]
    assert drawn["all"][-1][0] == 6
    assert drawn["stat"] == []


def test_money_by_hand() -> None:
    """Two funds: one has more than it needs, the other money it may not use.

    f: c-1 asks 20,000 and is promised it on day 1; paid on day 2, handed over on day 4, closed on day 5. p-2's 10,000 wait from day 1
    until it is withdrawn on day 6.
    g: c-9 asks 5,000 from day 2 on. p-5's 3,000 are held for tests from day 3 to the end, day 8. p-6's 4,000 come on day 4, and fail
    on day 5.
    """
    log = Log()
    log.fund("f")
    log.fund("g")
    log.case(0, "c-1", 20_000, "urgent")
    log.pledge(1, "p-1", 20_000)
    log.pledge(1, "p-2", 10_000)
    log.say(2, "payment.received", fund="f", pledge="p-1", payment="m-1", amount=20_000)
    log.case(2, "c-9", 5_000, fund="g")
    log.pledge(3, "p-5", 3_000, fund="g", designation={"need": "test"}, fallback="hold")
    log.say(4, "case.delivered", fund="f", case="c-1", delivery="h-1", amount=20_000)
    log.pledge(4, "p-6", 4_000, fund="g")
    log.say(5, "payment.failed", fund="g", pledge="p-6", payment="m-6", reason="no-funds")
    log.say(5, "case.closed", fund="f", case="c-1")
    log.say(6, "pledge.withdrawn", fund="f", pledge="p-2")
    log.say(7, "case.delivered", fund="g", case="c-9", delivery="h-9", amount=100)
    run = log.course(8)
    told = {name: figures["all"] for name, figures in measure(run).items()}
    assert (told["pledged"], told["paid"]) == (37_000, 20_000)
    assert told["idle"] == 10_000 * 5 + 3_000 * 5
    assert told["idle_here"] == 3_000 * 5  # c-9 lacks money all the while
    assert told["idle_elsewhere"] == 10_000 * 4  # from day 2, when c-9 opens in the other fund
    assert told["in_hand"] == 20_000 * 2
    assert (told["failed"], told["withdrawn"], told["expired"], told["unplaced"]) == (4_000, 10_000, 0, 0)
    assert told["lost"] == 4_000
    assert told["delivered"] == pytest.approx(20 / 25)
    assert told["promised"] == pytest.approx(20 / 25)
    assert told["refused"] == 1
    [refusal] = run.refusals
    assert (refusal.code, refusal.about, refusal.item, refusal.amount, refusal.ready) == (
        "exceeds_settled",
        "c-9",
        "h-9",
        100,
        0,
    )


def test_a_case_that_asks_for_nothing_or_is_a_duplicate_or_never_opened_is_not_measured() -> None:
    log = Log()
    log.fund("f", vouchers_required=1)
    log.case(0, "c-1", 10_000, own_contribution=10_000)
    log.case(0, "c-2", 10_000)
    log.case(0, "c-3", 10_000)
    for case in ("c-1", "c-2"):
        log.say(1, "case.vouched", fund="f", case=case, voucher="v")
    log.say(2, "case.closed", fund="f", case="c-2", outcome="duplicate")
    told = measure(log.course(3))
    assert told["opened"]["all"] == 0
    assert told["funding_days_median"]["all"] is None
    assert told["promised"]["all"] is None


def test_a_promise_that_expires_is_lost_to_its_case_and_the_first_funding_stands() -> None:
    log = Log()
    log.fund("f")
    log.case(0, "c-1", 10_000, "asap")
    log.pledge(1, "p-1", 10_000, expires_at=text_of(day(3)))
    told = measure(log.course(5))
    assert told["funded"]["asap"] == 1
    assert told["funding_days_median"]["asap"] == 1
    assert told["lost"]["asap"] == 10_000
    assert told["expired"]["all"] == 10_000
    assert told["least_fill"]["asap"] == 0
    assert told["idle"]["all"] == 0


def test_every_measure_is_defined_once_and_takes_every_class_or_all() -> None:
    assert len({one.name for one in MEASURES}) == len(MEASURES)
    assert all(one.definition.endswith((".", "got there.")) and one.title for one in MEASURES)
    log = Log()
    log.fund("f")
    told = measure(log.course(1))
    assert all(set(told[one.name]) == (set(GROUPS) if one.by_class else {"all"}) for one in MEASURES)


def test_several_currencies_are_not_added_up() -> None:
    from services.errors import UsageError

    log = Log()
    log.fund("f")
    log.say(0, "fund.configured", fund="g", currency="KRW")
    with pytest.raises(UsageError, match="CNY and KRW"):
        log.course(1)


def test_a_tick_fires_timers_of_every_fund_and_is_taken_in() -> None:
    log = Log()
    log.fund("f")
    log.fund("g")
    log.case(0, "c-1", 10_000, fund="g")
    log.pledge(1, "p-1", 10_000, fund="g", expires_at=text_of(day(2)))
    log.say(3, "clock.ticked")
    assert log.commands[-1].type == TICK
    told = measure(log.course(4))
    assert told["expired"]["all"] == 10_000
