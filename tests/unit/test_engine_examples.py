"""The contract by example: small stories worked by hand, each naming the paragraph it shows.

A story's step is a command; what it answers is told in lines, one a fact, with the members that matter:

    awarded p-1/1 c-1 50 [asap key 50, 0→50 of 100]     award, case, amount [class, key, claimant's before→after of its claim;
                                                        and the stage, under a rule that has stages]
    award_voided p-1/1 50, settled 20                    award, amount, and how much of it was settled

Every story runs twice, on the engine and on the oracle, so that neither can be wrong alone.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas import generate
from schemas.commands import Command, Unreadable, read_data
from schemas.facts import FACTS
from services.matcher.engine.engine import Engine
from tests.oracle.oracle import Oracle

GOLDEN = generate.HERE / "golden" / generate.VERSION / "commands"
START = datetime(2027, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def days(number: float) -> timedelta:
    return timedelta(days=number)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


USUAL: dict[str, dict[str, Any]] = {
    "fund.configured": {
        "currency": "CNY", "share": 10, "weights": "equal", "ageing_days": 0, "deadline_hours": 0, "vouchers_required": 0
    },
    "case.submitted": {"beneficiary": "b-1", "need": "treatment", "route": "clinic", "goal": 100, "priority": "routine"},
    "case.closed": {"outcome": "completed"},
    "pledge.made": {"donor": "d-1", "amount": 10, "currency": "CNY"},
    "payment.failed": {"reason": "no-funds"},
}  # fmt: skip
"""Members a story leaves out because they don't matter to it."""

LINES = {
    "fund_configured": "fund_configured",
    "case_submitted": "case_submitted {case}",
    "case_vouched": "case_vouched {case} {voucher}",
    "case_opened": "case_opened {case} {claim} {class}",
    "case_escalated": "case_escalated {case} {from}→{to} {why}",
    "case_amended": "case_amended {case} {claim} {class}",
    "case_renewed": "case_renewed {case} {claim} {class} #{period}",
    "case_delivered": "case_delivered {case} {delivery} {amount}",
    "case_thanked": "case_thanked {case} {thanks}",
    "case_closed": "case_closed {case} {outcome}",
    "case_funded": "case_funded {case} {claim}",
    "pledge_accepted": "pledge_accepted {pledge} {amount}",
    "pledge_instalment": "pledge_instalment {pledge} {amount} of {of}",
    "pledge_raised": "pledge_raised {pledge} {amount}",
    "pledge_withdrawn": "pledge_withdrawn {pledge}",
    "pledge_expired": "pledge_expired {pledge}",
    "pledge_settled": "pledge_settled {pledge}",
    "awarded": "awarded {award} {case} {amount}",
    "award_settled": "award_settled {award} {amount}",
    "award_voided": "award_voided {award} {amount}, settled {settled}",
    "waiting": "waiting {pledge} {amount}",
    "released": "released {pledge} {amount}",
    "payment_received": "payment_received {pledge} {amount}",
    "payment_failed": "payment_failed {pledge} {payment}",
    "refunded": "refunded {pledge} {amount}",
    "rate_quoted": "rate_quoted {currency} {rate}",
    "duplicate": "duplicate",
    "rejected": "rejected {code}",
}


def line(fact: dict[str, Any]) -> str:
    """A fact in one line; a tick's fact is followed by its fund."""
    told = LINES[fact["fact"]].format(**fact)
    if fact["fact"] == "awarded":
        why = fact["why"]
        stage = f", {why['stage']}" if "stage" in why else ""
        told += f" [{why['class']} key {why['key']}, {why['before']}→{why['after']} of {why['claim']}{stage}]"
    return f"{told} @{fact['fund']}" if "fund" in fact and fact["fact"] != "fund_configured" else told


class Story:
    """A partition, told step by step; `clock` is the time of the last step."""

    def __init__(self, maker: type[Engine] | type[Oracle]) -> None:
        self.matcher = maker()
        self.clock = START
        self.offset = 0
        self.fund: str | None = None
        self.at = 0
        self.facts: list[dict[str, Any]] = []

    def __call__(self, kind: str, *, after: timedelta = timedelta(0), **data: Any) -> list[str]:
        """Say one command, `after` the last; returns its facts in lines. Times in `data` may be datetimes."""
        self.clock += after
        told = dict(USUAL.get(kind, {})) | ({} if kind == "clock.ticked" else {"fund": "f"}) | data
        told = {name: text(value) if isinstance(value, datetime) else value for name, value in told.items()}
        model = read_data(f"pumasi.{kind}", json.dumps(told).encode())
        return self.hear(Command(f"pumasi.{kind}", f"e-{self.offset}", micros(self.clock), model, self.offset))

    def ahead(self, kind: str, **data: Any) -> list[str]:
        """Say one command as another writer does whose wall clock is ten years ahead."""
        told = data | ({} if kind == "clock.ticked" else {"fund": "f"})
        model, at = read_data(f"pumasi.{kind}", json.dumps(told).encode()), micros(self.clock)
        return self.hear(Command(f"pumasi.{kind}", "e-ahead", at + 3650 * 86_400 * 10**6, model, self.offset, at))

    def hear(self, command: Command | Unreadable) -> list[str]:
        answer: Any = self.matcher.execute(command)
        self.fund, self.at, facts = answer
        self.facts = list(facts)
        self.offset += 1
        return [line(fact) for fact in self.facts]

    # The commonest steps, so that examples stay tables.

    def configure(self, **policy: Any) -> list[str]:
        return self("fund.configured", **policy)

    def case(self, case: str, **data: Any) -> list[str]:
        return self("case.submitted", case=case, **data)

    def pledge(self, pledge: str, amount: int, **data: Any) -> list[str]:
        return self("pledge.made", pledge=pledge, amount=amount, **data)

    def pay(self, pledge: str, payment: str, amount: int, **more: Any) -> list[str]:
        return self("payment.received", pledge=pledge, payment=payment, amount=amount, **more)

    def close(self, case: str, **data: Any) -> list[str]:
        return self("case.closed", case=case, **data)

    def tick(self, after: timedelta = timedelta(0)) -> list[str]:
        return self("clock.ticked", after=after)


@pytest.fixture(params=[Engine, Oracle], ids=["engine", "oracle"])
def untold(request: pytest.FixtureRequest) -> Story:
    """A partition without any fund."""
    return Story(request.param)


@pytest.fixture
def story(untold: Story) -> Story:
    """A fund `f`: CNY, share 10, equal weights, no ageing, no deadlines, no vouchers."""
    untold.configure()
    return untold


def waits(pledge: str, amount: int) -> list[str]:
    """The lines of a pledge that finds nothing."""
    return [f"pledge_accepted {pledge} {amount}", f"waiting {pledge} {amount}"]


# ------------------------------------------------------------------------------------------------ 5, the rule


class TestRule:
    def test_1_the_claim_is_the_goal_less_ones_own_contribution(self, story: Story) -> None:
        assert story.case("c-1", goal=100, own_contribution=30) == ["case_submitted c-1", "case_opened c-1 70 routine"]
        assert story.pledge("p-1", 80) == [
            "pledge_accepted p-1 80",
            "awarded p-1/1 c-1 70 [routine key 10, 0→70 of 70]",
            "case_funded c-1 70",
            "waiting p-1 10",
        ]

    def test_1_a_claim_of_nothing_is_funded_at_once(self, story: Story) -> None:
        assert story.case("c-1", goal=100, own_contribution=100) == [
            "case_submitted c-1",
            "case_opened c-1 0 routine",
            "case_funded c-1 0",
        ]

    def test_2_classes_are_served_strictly_highest_first(self, story: Story) -> None:
        for n, priority in enumerate(["routine", "stat", "urgent", "asap"]):
            story.case(f"c-{priority}", beneficiary=f"b-{n}", goal=20, priority=priority)
        assert story.pledge("p-1", 75) == [
            "pledge_accepted p-1 75",
            "awarded p-1/1 c-stat 20 [stat key 10, 0→20 of 20]",
            "case_funded c-stat 20",
            "awarded p-1/2 c-asap 20 [asap key 10, 0→20 of 20]",
            "case_funded c-asap 20",
            "awarded p-1/3 c-urgent 20 [urgent key 10, 0→20 of 20]",
            "case_funded c-urgent 20",
            "awarded p-1/4 c-routine 15 [routine key 10, 0→15 of 20]",
        ]

    def test_3_equal_weights_raise_all_in_steps_of_the_share(self, story: Story) -> None:
        """Share 10; claims 25, 100, 100; 60 to give. Steps: 10 10 10 | 10 10 10, and the first stands at 20 of 25."""
        for n, goal in enumerate([25, 100, 100]):
            story.case(f"c-{n}", beneficiary=f"b-{n}", goal=goal)
        assert story.pledge("p-1", 60) == [
            "pledge_accepted p-1 60",
            "awarded p-1/1 c-0 20 [routine key 10, 0→20 of 25]",
            "awarded p-1/2 c-1 20 [routine key 10, 0→20 of 100]",
            "awarded p-1/3 c-2 20 [routine key 10, 0→20 of 100]",
        ]
        # Next boundaries: 25 (its claim), 30, 30. So 5 to the first, 10 to the second, and 2 of 10 to the third.
        assert story.pledge("p-2", 17) == [
            "pledge_accepted p-2 17",
            "awarded p-2/1 c-0 5 [routine key 25, 20→25 of 25]",
            "case_funded c-0 25",
            "awarded p-2/2 c-1 10 [routine key 30, 20→30 of 100]",
            "awarded p-2/3 c-2 2 [routine key 30, 20→22 of 100]",
        ]
        # A step begun is finished first, by the order of opening: c-2 has key 30 still, c-1 has 40.
        assert story.pledge("p-3", 9) == [
            "pledge_accepted p-3 9",
            "awarded p-3/1 c-2 8 [routine key 30, 22→30 of 100]",
            "awarded p-3/2 c-1 1 [routine key 40, 30→31 of 100]",
        ]

    def test_3_weights_by_claim_raise_all_in_equal_parts_of_their_claims(self, untold: Story) -> None:
        """Claims 100 and 300. Keys in 10⁻¹²: 10/100 = 0.1; 10/300 = 0.0333…, 20/300, 30/300 = 0.1; then 20/100 = 0.2."""
        untold.configure(weights="claim")
        untold.case("c-0", beneficiary="b-0", goal=100)
        untold.case("c-1", beneficiary="b-1", goal=300)
        assert untold.pledge("p-1", 20) == [
            "pledge_accepted p-1 20",
            "awarded p-1/1 c-1 20 [routine key 33333333333, 0→20 of 300]",
        ]
        # Both stand before 0.1: the one that opened first goes first, then the other takes its ten.
        assert untold.pledge("p-2", 15) == [
            "pledge_accepted p-2 15",
            "awarded p-2/1 c-0 10 [routine key 100000000000, 0→10 of 100]",
            "awarded p-2/2 c-1 5 [routine key 100000000000, 20→25 of 300]",
        ]

    def test_3_the_order_is_of_opening_not_of_submitting(self, untold: Story) -> None:
        untold.configure(vouchers_required=1)
        untold.case("c-1", beneficiary="b-1")
        untold.case("c-2", beneficiary="b-2")
        untold("case.vouched", case="c-2", voucher="v-1")
        untold("case.vouched", case="c-1", voucher="v-1")
        assert untold.pledge("p-1", 5)[1] == "awarded p-1/1 c-2 5 [routine key 10, 0→5 of 100]"

    def test_3_a_beneficiarys_cases_of_one_class_are_one_claimant(self, story: Story) -> None:
        """b-1 tears a need of 60 into three of 20, b-2 has one of 60: each gets half, b-1's oldest case first."""
        story.case("c-1", beneficiary="b-1", goal=20)
        story.case("c-2", beneficiary="b-1", goal=20)
        story.case("c-3", beneficiary="b-2", goal=60)
        story.case("c-4", beneficiary="b-1", goal=20)
        assert story.pledge("p-1", 60) == [
            "pledge_accepted p-1 60",
            "awarded p-1/1 c-1 20 [routine key 10, 0→20 of 60]",
            "case_funded c-1 20",
            "awarded p-1/2 c-3 30 [routine key 10, 0→30 of 60]",
            "awarded p-1/3 c-2 10 [routine key 30, 20→30 of 60]",
        ]

    def test_3_a_step_goes_on_into_the_next_case_when_the_oldest_is_full(self, story: Story) -> None:
        """c-1 takes 4 of the first step of 10; the claimant's next case is younger than b-2's, so b-2 goes before it."""
        story.case("c-1", beneficiary="b-1", goal=4)
        story.case("c-2", beneficiary="b-2", goal=50)
        story.case("c-3", beneficiary="b-1", goal=50)
        assert story.pledge("p-1", 20) == [
            "pledge_accepted p-1 20",
            "awarded p-1/1 c-1 4 [routine key 10, 0→4 of 54]",
            "case_funded c-1 4",
            "awarded p-1/2 c-2 10 [routine key 10, 0→10 of 50]",
            "awarded p-1/3 c-3 6 [routine key 10, 4→10 of 54]",
        ]

    def test_3_cases_of_one_beneficiary_in_two_classes_are_two_claimants(self, story: Story) -> None:
        story.case("c-1", beneficiary="b-1", goal=20, priority="stat")
        story.case("c-2", beneficiary="b-1", goal=20)
        assert story.pledge("p-1", 25) == [
            "pledge_accepted p-1 25",
            "awarded p-1/1 c-1 20 [stat key 10, 0→20 of 20]",
            "case_funded c-1 20",
            "awarded p-1/2 c-2 5 [routine key 10, 0→5 of 20]",
        ]

    def test_4_what_finds_no_claim_waits_and_is_matched_in_pledge_order(self, story: Story) -> None:
        assert story.pledge("p-2", 10) == waits("p-2", 10)
        assert story.pledge("p-1", 10) == waits("p-1", 10)
        assert story.case("c-1", goal=15) == [
            "case_submitted c-1",
            "case_opened c-1 15 routine",
            "awarded p-2/1 c-1 10 [routine key 10, 0→10 of 15]",
            "awarded p-1/1 c-1 5 [routine key 15, 10→15 of 15]",
            "case_funded c-1 15",
        ]

    def test_5_a_later_more_urgent_case_takes_nothing_away(self, story: Story) -> None:
        story.case("c-1", goal=50)
        story.pledge("p-1", 50)
        assert story.case("c-2", beneficiary="b-2", priority="stat") == [
            "case_submitted c-2",
            "case_opened c-2 100 stat",
        ]

    def test_6_a_withdrawn_pledge_frees_its_claims_for_waiting_money_in_the_same_entry(self, story: Story) -> None:
        story.case("c-1", goal=30)
        story.pledge("p-1", 30)
        story.pledge("p-2", 20)
        assert story("pledge.withdrawn", pledge="p-1") == [
            "pledge_withdrawn p-1",
            "award_voided p-1/1 30, settled 0",
            "released p-1 30",
            "awarded p-2/1 c-1 20 [routine key 10, 0→20 of 30]",
        ]

    def test_6_payments_settle_oldest_first_and_prepaid_money_settles_as_it_is_awarded(self, story: Story) -> None:
        story.case("c-1", goal=10)
        story.case("c-2", beneficiary="b-2", goal=10)
        story.pledge("p-1", 50)  # 10 and 10 awarded, 30 waits
        assert story.pay("p-1", "m-1", 15) == [
            "payment_received p-1 15",
            "award_settled p-1/1 10",
            "award_settled p-1/2 5",
        ]
        assert story.pay("p-1", "m-2", 15) == [
            "payment_received p-1 15",
            "award_settled p-1/2 5",
        ]  # 10 of it wait, paid
        assert story.case("c-3", beneficiary="b-3", goal=8) == [
            "case_submitted c-3",
            "case_opened c-3 8 routine",
            "awarded p-1/3 c-3 8 [routine key 8, 0→8 of 8]",
            "award_settled p-1/3 8",
            "case_funded c-3 8",
        ]
        assert story.case("c-4", beneficiary="b-4", goal=40) == [
            "case_submitted c-4",
            "case_opened c-4 40 routine",
            "awarded p-1/4 c-4 22 [routine key 10, 0→22 of 40]",
            "award_settled p-1/4 2",
        ]
        assert story.pay("p-1", "m-3", 20) == [
            "payment_received p-1 20",
            "award_settled p-1/4 20",
            "pledge_settled p-1",
        ]

    def test_6_a_payment_beyond_the_pledge_raises_it(self, story: Story) -> None:
        story.case("c-1", goal=30)
        story.pledge("p-1", 10)
        assert story.pay("p-1", "m-1", 25) == [
            "payment_received p-1 25",
            "award_settled p-1/1 10",
            "pledge_raised p-1 15",
            "pledge_settled p-1",
            "awarded p-1/2 c-1 15 [routine key 20, 10→25 of 30]",
            "award_settled p-1/2 15",
        ]

    def test_6_settled_money_of_a_closed_case_moves_on_and_stays_settled(self, story: Story) -> None:
        story.case("c-1", goal=30)
        story.pledge("p-1", 30)
        story.pay("p-1", "m-1", 20)
        story("case.delivered", case="c-1", delivery="d-1", amount=5)
        story.case("c-2", beneficiary="b-2", goal=100)
        # 10 unsettled and 15 settled, undelivered come back; 5 are delivered and stay. Paid money is matched first.
        assert story.close("c-1", outcome="deceased") == [
            "case_closed c-1 deceased",
            "award_voided p-1/1 25, settled 15",
            "awarded p-1/2 c-2 25 [routine key 10, 0→25 of 100]",
            "award_settled p-1/2 15",
        ]

    def test_6_deliveries_use_the_oldest_settled_awards(self, story: Story) -> None:
        """5 of the 12 delivered came out of p-2's award, so closing gives back p-2's other 5 and nothing of p-1's."""
        story.case("c-1", goal=17)
        story.pledge("p-1", 7)
        story.pledge("p-2", 10)
        story.pay("p-1", "m-1", 7)
        story.pay("p-2", "m-2", 10)
        assert story("case.delivered", case="c-1", delivery="d-1", amount=12) == ["case_delivered c-1 d-1 12"]
        assert story.close("c-1") == ["case_closed c-1 completed", "award_voided p-2/1 5, settled 5"]

    def test_7_another_currency_is_floored_at_the_latest_rate_which_is_kept(self, story: Story) -> None:
        """KRW has no minor unit, KWD three digits: 1,500,001 × 0.0052 = 7,800.0052 → 780000; 1.234 × 23.5 = 28.999 → 2899."""
        story("rate.quoted", currency="KRW", rate="0.0051")
        story("rate.quoted", currency="KRW", rate="0.0052")
        story("rate.quoted", currency="KWD", rate="23.5")
        story("rate.quoted", currency="USD", rate="7.105")
        assert story.pledge("p-1", 1_500_001, currency="KRW") == waits("p-1", 780_000)
        assert (story.facts[0]["face"], story.facts[0]["currency"], story.facts[0]["rate"]) == (
            1_500_001,
            "KRW",
            "0.0052",
        )
        assert story.pledge("p-2", 1234, currency="KWD") == waits("p-2", 2899)
        assert story.pledge("p-3", 3, currency="USD") == waits("p-3", 21)  # 0.03 × 7.105 = 0.21315
        assert story.pledge("p-4", 2, currency="KRW") == waits("p-4", 1)  # 1.04 fen
        assert story.pledge("p-5", 1, currency="KRW") == ["rejected worth_nothing"]  # 0.52 fen

    def test_7_without_a_rate_the_pledge_waits_for_one(self, story: Story) -> None:
        story.case("c-1", goal=50)
        assert story.pledge("p-1", 10, currency="USD") == ["pledge_accepted p-1 None"]
        assert story.pledge("p-2", 2, currency="USD") == ["pledge_accepted p-2 None"]
        assert story("rate.quoted", currency="USD", rate="7.05") == [
            "rate_quoted USD 7.05",
            "pledge_raised p-1 70",
            "pledge_raised p-2 14",
            "awarded p-1/1 c-1 50 [routine key 10, 0→50 of 50]",
            "case_funded c-1 50",
            "waiting p-1 20",
            "waiting p-2 14",
        ]


# ------------------------------------------------------------------------------------------------ 5, the fine print


class TestTimers:
    def test_at_one_instant_expiry_instalment_renewal_escalation(self, untold: Story) -> None:
        """All on 31 January, 00:00, thirty days on. The expiry frees money before the case has risen a class."""
        untold.configure(ageing_days=30)
        untold.pledge("p-x", 5, expires_at=START + days(30))
        untold.pledge("p-r", 5, recurrence={"every": "P30D", "times": 2})
        untold.case("c-r", goal=10, recurrence={"every": "P30D", "times": 2})
        untold.case("c-e", beneficiary="b-2", goal=10)
        assert untold.tick(days(30)) == [
            "pledge_expired p-x @f",
            "award_voided p-x/1 5, settled 0 @f",
            "released p-x 5 @f",
            "pledge_instalment p-r#2 5 of p-r @f",
            "awarded p-r#2/1 c-r 5 [routine key 10, 5→10 of 10] @f",
            "case_funded c-r 10 @f",
            "case_renewed c-r 20 routine #2 @f",
            "case_escalated c-e routine→urgent age @f",
        ]

    def test_a_tick_fires_all_funds_in_due_order_then_by_fund(self, untold: Story) -> None:
        for fund in ("g", "f"):
            untold.configure(fund=fund)
            untold("pledge.made", fund=fund, pledge="p-b", expires_at=START + days(2))
            untold("pledge.made", fund=fund, pledge="p-a", expires_at=START + days(2))
        untold("pledge.made", fund="g", pledge="p-0", expires_at=START + days(1))
        assert untold.tick(days(3)) == [
            "pledge_expired p-0 @g", "released p-0 10 @g",
            "pledge_expired p-a @f", "released p-a 10 @f", "pledge_expired p-b @f", "released p-b 10 @f",
            "pledge_expired p-a @g", "released p-a 10 @g", "pledge_expired p-b @g", "released p-b 10 @g",
        ]  # fmt: skip
        assert untold.fund is None

    def test_a_command_fires_its_own_funds_timers_before_it_takes_effect(self, untold: Story) -> None:
        for fund in ("f", "g"):
            untold.configure(fund=fund)
            untold("pledge.made", fund=fund, pledge="p-1", expires_at=START + days(1))
        assert untold.case("c-1", after=days(1), goal=10) == [
            "pledge_expired p-1",
            "released p-1 10",
            "case_submitted c-1",
            "case_opened c-1 10 routine",
        ]
        assert untold.tick() == ["pledge_expired p-1 @g", "released p-1 10 @g"]

    def test_timers_fire_before_a_rejection_too(self, story: Story) -> None:
        story.pledge("p-1", 10, expires_at=START + days(1))
        assert story.close("c-9", after=days(1)) == ["pledge_expired p-1", "released p-1 10", "rejected unknown_case"]

    def test_months_clamp_to_the_months_end_and_come_back(self, story: Story) -> None:
        """Opened on 31 January 2027: renewed 28 February, 31 March, 30 April."""
        story.tick(days(30))
        story.case("c-1", goal=10, recurrence={"every": "P1M"})
        seen = []
        for _ in range(90):
            seen += [(story.clock.month, story.clock.day, told) for told in story.tick(days(1))]
        assert seen == [
            (2, 28, "case_renewed c-1 20 routine #2 @f"),
            (3, 31, "case_renewed c-1 30 routine #3 @f"),
            (4, 30, "case_renewed c-1 40 routine #4 @f"),
        ]

    def test_a_year_after_the_29th_of_february_is_the_28th(self, story: Story) -> None:
        story.clock = datetime(2028, 2, 29, tzinfo=UTC)
        story.pledge("p-1", 10, recurrence={"every": "P1Y"})
        assert story.tick(days(365) - timedelta(microseconds=1)) == []
        assert story.tick(timedelta(microseconds=1)) == ["pledge_instalment p-1#2 10 of p-1 @f", "waiting p-1#2 10 @f"]
        assert story.clock == datetime(2029, 2, 28, tzinfo=UTC)

    def test_times_counts_the_first_and_no_instalment_comes_at_or_after_the_expiry(self, story: Story) -> None:
        story.pledge("p-1", 10, recurrence={"every": "P1D", "times": 3})
        story.pledge("p-2", 10, recurrence={"every": "P1D"}, expires_at=START + days(2))
        assert story.tick(days(9)) == [
            "pledge_instalment p-1#2 10 of p-1 @f", "waiting p-1#2 10 @f",
            "pledge_instalment p-2#2 10 of p-2 @f", "waiting p-2#2 10 @f",
            "pledge_expired p-2 @f", "released p-2 10 @f",
            "pledge_expired p-2#2 @f", "released p-2#2 10 @f",
            "pledge_instalment p-1#3 10 of p-1 @f", "waiting p-1#3 10 @f",
        ]  # fmt: skip

    def test_escalations_come_one_at_a_time_by_age_never_above_asap(self, untold: Story) -> None:
        untold.configure(ageing_days=7)
        untold.case("c-1", goal=10)
        assert untold.tick(days(7) - timedelta(microseconds=1)) == []
        assert untold.tick(days(100)) == [
            "case_escalated c-1 routine→urgent age @f",
            "case_escalated c-1 urgent→asap age @f",
        ]

    def test_age_and_deadline_together_reach_stat_age_first(self, untold: Story) -> None:
        """Deadline instant: needed in 10 days, 72 hours before is day 7, the very instant of ageing."""
        untold.configure(ageing_days=7, deadline_hours=72)
        untold.case("c-1", goal=10, priority="urgent", needed_by=START + days(10))
        assert untold.tick(days(7)) == [
            "case_escalated c-1 urgent→asap age @f",
            "case_escalated c-1 asap→stat deadline @f",
        ]

    def test_a_renewal_restarts_ageing_and_a_deadline_at_its_instant_follows_it(self, untold: Story) -> None:
        untold.configure(ageing_days=7, deadline_hours=24)
        untold.case("c-1", goal=10, recurrence={"every": "P2W"}, needed_by=START + days(15))
        assert untold.tick(days(13)) == ["case_escalated c-1 routine→urgent age @f"]
        assert untold.tick(days(1)) == [
            "case_renewed c-1 20 routine #2 @f",
            "case_escalated c-1 routine→urgent deadline @f",
        ]
        assert untold.tick(days(7)) == ["case_escalated c-1 urgent→asap age @f"]

    def test_ageing_days_0_switches_ageing_off(self, story: Story) -> None:
        story.case("c-1", goal=10)
        assert story.tick(days(3000)) == []

    def test_a_case_ages_from_its_opening_not_from_its_submission(self, untold: Story) -> None:
        untold.configure(ageing_days=7, vouchers_required=1)
        untold.case("c-1", goal=10)
        assert untold.tick(days(6)) == []
        assert untold("case.vouched", case="c-1", voucher="v-1") == [
            "case_vouched c-1 v-1",
            "case_opened c-1 10 routine",
        ]
        assert untold.tick(days(6)) == []
        assert untold.tick(days(1)) == ["case_escalated c-1 routine→urgent age @f"]

    def test_a_case_opens_in_the_class_its_deadline_gives_it(self, untold: Story) -> None:
        untold.configure(deadline_hours=72)
        assert untold.case("c-1", goal=10, priority="asap", needed_by=START + hours(72))[1] == "case_opened c-1 10 stat"
        assert untold.case("c-2", goal=10, priority="asap", needed_by=START + hours(73))[1] == "case_opened c-2 10 asap"

    def test_a_funded_case_escalates_all_the_same(self, untold: Story) -> None:
        untold.configure(ageing_days=1)
        untold.case("c-1", goal=10)
        untold.pledge("p-1", 10)
        assert untold.tick(days(1)) == ["case_escalated c-1 routine→urgent age @f"]

    def test_a_renewal_opens_a_claim_for_waiting_money(self, story: Story) -> None:
        story.case("c-1", goal=10, recurrence={"every": "P1M", "times": 2})
        story.pledge("p-1", 15)
        assert story.tick(days(31)) == [
            "case_renewed c-1 20 routine #2 @f",
            "awarded p-1/2 c-1 5 [routine key 20, 10→15 of 20] @f",
        ]
        assert story.tick(days(400)) == []


class TestTime:
    def test_4_a_funds_time_never_goes_back(self, story: Story) -> None:
        story.case("c-1", after=days(5), goal=10)
        assert story.pledge("p-1", 10, after=-days(3), expires_at=START + days(4)) == ["rejected already_expired"]
        assert story.at == micros(START + days(5))

    def test_4_ticks_move_every_fund_even_one_not_yet_configured(self, untold: Story) -> None:
        untold.tick(days(5))
        untold.configure(after=-days(5))
        assert (untold.fund, untold.at) == ("f", micros(START + days(5)))

    def test_4_other_funds_commands_do_not(self, untold: Story) -> None:
        untold.configure()
        untold.configure(fund="g", after=days(5))
        untold.pledge("p-1", 10, after=-days(4))
        assert untold.at == micros(START + days(1))

    def test_4_a_rejected_command_moves_time_too(self, untold: Story) -> None:
        assert untold.pledge("p-1", 10, after=days(2)) == ["rejected unknown_fund"]
        untold.configure(after=-days(2))
        assert untold.at == micros(START + days(2))

    def test_4_a_late_tick_is_answered_at_the_largest_tick(self, untold: Story) -> None:
        untold.tick(days(2))
        assert untold.tick(-days(1)) == []
        assert (untold.fund, untold.at) == (None, micros(START + days(2)))

    def test_an_unreadable_record_stands_at_the_latest_time_of_the_partition(self, untold: Story) -> None:
        assert untold.hear(Unreadable("not JSON at byte 0", None, 0)) == ["rejected unreadable"]
        assert (untold.fund, untold.at) == (None, 0)
        untold.configure(after=days(1))
        untold.hear(Unreadable("not JSON at byte 0", "pumasi.clock.ticked", 2))
        assert (untold.fund, untold.at) == (None, micros(START + days(1)))

    def test_a_clock_that_is_ahead_moves_no_time_and_fires_no_timer(self, story: Story) -> None:
        story.case("c-1", goal=10, priority="routine", recurrence={"every": "P1M"})
        story.pledge("p-1", 30, expires_at=START + days(365), recurrence={"every": "P1M"})
        assert story.ahead("clock.ticked") == ["rejected clock_ahead"]
        assert (story.fund, story.at) == (None, 0), "no tick yet"
        story.tick(hours(1))
        assert story.ahead("clock.ticked") == ["rejected clock_ahead"]
        assert (story.fund, story.at) == (None, micros(START + hours(1)))
        assert story.ahead("case.vouched", case="c-1", voucher="v-1") == ["rejected clock_ahead"]
        assert (story.fund, story.at) == ("f", micros(START + hours(1)))
        assert story.ahead("pledge.withdrawn", pledge="p-1") == ["rejected clock_ahead"]
        assert story.tick(hours(1)) == []
        assert story.pledge("p-2", 10, expires_at=START + days(365)) == waits("p-2", 10)

    def test_what_a_clock_that_is_ahead_says_of_an_unknown_fund_is_refused_for_the_clock(self, untold: Story) -> None:
        assert untold.ahead("pledge.withdrawn", pledge="p-1") == ["rejected clock_ahead"]
        assert (untold.fund, untold.at) == ("f", 0)
        untold.configure()
        assert untold.at == micros(START)

    def test_two_minutes_ahead_are_not_ahead_and_a_microsecond_more_is(self, untold: Story) -> None:
        configured = read_data("pumasi.fund.configured", b'{"fund": "f", "currency": "CNY"}')
        at = micros(START)
        for more, told in ((1, ["rejected clock_ahead"]), (0, ["fund_configured"])):
            command = Command("pumasi.fund.configured", "e", at + 120 * 10**6 + more, configured, 0, at)
            assert [said.partition(" f")[0] for said in untold.hear(command)] == told

    def test_times_before_1970_are_times_too(self, untold: Story) -> None:
        untold.clock = datetime(1965, 1, 1, tzinfo=UTC)
        untold.configure()
        assert untold.at == micros(untold.clock)


class TestDesignated:
    @pytest.fixture
    def two_needs(self, story: Story) -> Story:
        story.case("c-t", beneficiary="b-1", need="test", goal=10, priority="stat")
        story.case("c-m", beneficiary="b-2", need="medication", goal=10)
        return story

    def test_the_designation_first_then_the_pool(self, two_needs: Story) -> None:
        assert two_needs.pledge("p-1", 25, designation={"case": "c-m"}) == [
            "pledge_accepted p-1 25",
            "awarded p-1/1 c-m 10 [routine key 10, 0→10 of 10]",
            "case_funded c-m 10",
            "awarded p-1/2 c-t 10 [stat key 10, 0→10 of 10]",
            "case_funded c-t 10",
            "waiting p-1 5",
        ]

    def test_hold_waits_for_the_designation_only(self, two_needs: Story) -> None:
        assert two_needs.pledge("p-1", 25, designation={"need": "medication"}, fallback="hold") == [
            "pledge_accepted p-1 25",
            "awarded p-1/1 c-m 10 [routine key 10, 0→10 of 10]",
            "case_funded c-m 10",
            "waiting p-1 15",
        ]
        assert two_needs.case("c-m2", beneficiary="b-3", need="medication", goal=10)[2:] == [
            "awarded p-1/2 c-m2 10 [routine key 10, 0→10 of 10]",
            "case_funded c-m2 10",
        ]

    def test_release_gives_the_unpaid_rest_back(self, two_needs: Story) -> None:
        assert two_needs.pledge("p-1", 25, designation={"case": "c-m"}, fallback="release") == [
            "pledge_accepted p-1 25",
            "awarded p-1/1 c-m 10 [routine key 10, 0→10 of 10]",
            "case_funded c-m 10",
            "released p-1 15",
        ]
        # Paid money is never released: it waits, for the designation.
        assert two_needs.pay("p-1", "m-1", 14) == [
            "payment_received p-1 14",
            "award_settled p-1/1 10",
            "pledge_raised p-1 4",
            "pledge_settled p-1",
        ]
        assert two_needs("case.amended", case="c-m", goal=13)[1:] == [
            "awarded p-1/2 c-m 3 [routine key 13, 10→13 of 13]",
            "award_settled p-1/2 3",
            "case_funded c-m 13",
        ]

    def test_a_designated_case_stands_alone_not_with_its_beneficiarys_others(self, story: Story) -> None:
        story.case("c-1", goal=30)
        story.case("c-2", goal=30)
        assert story.pledge("p-1", 12, designation={"case": "c-2"}, fallback="hold")[1] == (
            "awarded p-1/1 c-2 12 [routine key 10, 0→12 of 30]"
        )

    def test_a_designated_need_sees_the_cases_of_that_need_only(self, story: Story) -> None:
        """b-1 has 30 from elsewhere for a surgery, b-2 has nothing; for their tests both stand at nothing."""
        story.case("c-1", beneficiary="b-1", need="surgery", goal=30)
        story.pledge("p-0", 30)
        story.case("c-2", beneficiary="b-1", need="test", goal=30)
        story.case("c-3", beneficiary="b-2", need="test", goal=30)
        assert story.pledge("p-1", 10, designation={"need": "test"}, fallback="hold")[1] == (
            "awarded p-1/1 c-2 10 [routine key 10, 0→10 of 30]"
        )
        assert story.pledge("p-2", 10)[1] == "awarded p-2/1 c-3 10 [routine key 10, 0→10 of 30]"

    @pytest.mark.parametrize("fallback, rest", [("hold", "waiting p-1 10"), ("release", "released p-1 10")])
    def test_an_unknown_case_places_nothing(self, two_needs: Story, fallback: str, rest: str) -> None:
        assert two_needs.pledge("p-1", 10, designation={"case": "c-9"}, fallback=fallback) == [
            "pledge_accepted p-1 10",
            rest,
        ]

    def test_a_case_not_yet_open_gets_nothing_until_it_opens(self, untold: Story) -> None:
        untold.configure(vouchers_required=1)
        untold.case("c-1", goal=10)
        assert untold.pledge("p-1", 10, designation={"case": "c-1"}, fallback="hold") == waits("p-1", 10)
        assert untold("case.vouched", case="c-1", voucher="v-1")[2:] == [
            "awarded p-1/1 c-1 10 [routine key 10, 0→10 of 10]",
            "case_funded c-1 10",
        ]

    def test_a_closed_case_gets_nothing(self, story: Story) -> None:
        story.case("c-1", goal=10)
        story.close("c-1")
        assert story.pledge("p-1", 10, designation={"case": "c-1"}, fallback="hold") == waits("p-1", 10)
        assert story.pledge("p-2", 10, designation={"case": "c-1"}, fallback="release") == [
            "pledge_accepted p-2 10",
            "released p-2 10",
        ]

    def test_money_of_a_closed_designated_case_goes_by_its_fallback(self, story: Story) -> None:
        story.case("c-1", goal=40)
        for pledge, fallback in [("p-p", "pool"), ("p-h", "hold"), ("p-r", "release")]:
            story.pledge(pledge, 10, designation={"case": "c-1"}, fallback=fallback)
        story.case("c-2", beneficiary="b-2", goal=100)
        assert story.close("c-1", outcome="deceased") == [
            "case_closed c-1 deceased",
            "award_voided p-r/1 10, settled 0",
            "award_voided p-h/1 10, settled 0",
            "award_voided p-p/1 10, settled 0",
            "awarded p-p/2 c-2 10 [routine key 10, 0→10 of 100]",
            "released p-r 10",
        ]


class TestEndings:
    def test_withdrawal_voids_unsettled_awards_newest_first_and_releases_what_is_unpaid(self, story: Story) -> None:
        for n in (1, 2, 3):
            story.case(f"c-{n}", beneficiary=f"b-{n}", goal=10)
        story.pledge("p-1", 35)
        story.pay("p-1", "m-1", 14)
        assert story("pledge.withdrawn", pledge="p-1") == [
            "pledge_withdrawn p-1",
            "award_voided p-1/3 10, settled 0",
            "award_voided p-1/2 6, settled 0",
            "released p-1 21",
        ]

    def test_expiry_comes_even_to_a_pledge_paid_in_full_and_takes_nothing_paid(self, story: Story) -> None:
        story.case("c-1", goal=10)
        story.pledge("p-1", 10, expires_at=START + days(1))
        story.pay("p-1", "m-1", 10)
        assert story.tick(days(1)) == ["pledge_expired p-1 @f"]

    def test_failure_ends_the_unpaid_part_but_not_the_pledge(self, story: Story) -> None:
        story.case("c-1", goal=10)
        story.pledge("p-1", 15, expires_at=START + days(3), recurrence={"every": "P1D", "times": 2})
        assert story("payment.failed", pledge="p-1", payment="m-1") == [
            "payment_failed p-1 m-1",
            "award_voided p-1/1 10, settled 0",
            "released p-1 15",
        ]
        assert story.tick(days(1))[0] == "pledge_instalment p-1#2 15 of p-1 @f"
        assert story("pledge.withdrawn", pledge="p-1") == ["pledge_withdrawn p-1"]

    @pytest.mark.parametrize("how", ["withdrawn", "expired", "failed"])
    def test_a_payment_after_the_end_is_never_refused_and_raises_the_pledge_again(self, story: Story, how: str) -> None:
        story.pledge("p-1", 10, expires_at=START + days(1))
        if how == "withdrawn":
            story("pledge.withdrawn", pledge="p-1")
        elif how == "expired":
            story.tick(days(1))
        else:
            story("payment.failed", pledge="p-1", payment="m-0")
        assert story.pay("p-1", "m-1", 7) == ["payment_received p-1 7", "pledge_raised p-1 7", "pledge_settled p-1"]
        assert story.case("c-1", goal=5)[2:] == [
            "awarded p-1/1 c-1 5 [routine key 5, 0→5 of 5]",
            "award_settled p-1/1 5",
            "case_funded c-1 5",
        ]

    def test_withdrawal_ends_further_instalments_but_not_those_that_came(self, story: Story) -> None:
        story.pledge("p-1", 10, recurrence={"every": "P1D"})
        story.tick(days(1))
        assert story("pledge.withdrawn", pledge="p-1") == ["pledge_withdrawn p-1", "released p-1 10"]
        assert story.tick(days(9)) == []
        assert story.case("c-1", goal=10)[2:] == [
            "awarded p-1#2/1 c-1 10 [routine key 10, 0→10 of 10]",
            "case_funded c-1 10",
        ]

    def test_an_instalment_is_withdrawn_and_paid_by_its_own_name(self, story: Story) -> None:
        story.pledge("p-1", 10, recurrence={"every": "P1D", "times": 3})
        story.tick(days(1))
        assert story.pay("p-1#2", "m-1", 4) == ["payment_received p-1#2 4"]
        assert story("pledge.withdrawn", pledge="p-1#2") == ["pledge_withdrawn p-1#2", "released p-1#2 6"]
        assert story.tick(days(1)) == ["pledge_instalment p-1#3 10 of p-1 @f", "waiting p-1#3 10 @f"]

    def test_waiting_paid_money_can_be_refunded_and_is_not_released_otherwise(self, story: Story) -> None:
        story.pledge("p-1", 10)
        story.pay("p-1", "m-1", 6)
        assert story("pledge.withdrawn", pledge="p-1") == ["pledge_withdrawn p-1", "released p-1 4"]
        assert story("payment.refunded", pledge="p-1", payment="m-1", amount=7) == ["rejected not_refundable"]
        assert story("payment.refunded", pledge="p-1", payment="m-1", amount=4) == ["refunded p-1 4"]
        assert story.case("c-1", goal=10)[2:] == [
            "awarded p-1/1 c-1 2 [routine key 10, 0→2 of 10]",
            "award_settled p-1/1 2",
        ]


class TestForeign:
    def test_paid_so_far_is_the_floor_of_all_faces_paid(self, story: Story) -> None:
        """JPY at 0.0333: one yen is 3.33 fen. Payments of 1, 1, 1: floors 3, 6, 9; the pledge of 3 is floor 9.99 = 9."""
        story("rate.quoted", currency="JPY", rate="0.0333")
        assert story.pledge("p-1", 3, currency="JPY") == waits("p-1", 9)
        assert story.pay("p-1", "m-1", 1) == ["payment_received p-1 3"]
        assert story.pay("p-1", "m-2", 1) == ["payment_received p-1 3"]
        assert story.pay("p-1", "m-3", 1) == ["payment_received p-1 3", "pledge_settled p-1"]
        # A fourth: floor(13.32) = 13, four more than 9.
        assert story.pay("p-1", "m-4", 1) == ["payment_received p-1 4", "pledge_raised p-1 4", "pledge_settled p-1"]

    def test_the_rate_of_acceptance_stays_with_the_pledge(self, story: Story) -> None:
        story("rate.quoted", currency="USD", rate="7")
        story.pledge("p-1", 10, currency="USD", recurrence={"every": "P1D", "times": 2})
        assert story("rate.quoted", currency="USD", rate="8") == ["rate_quoted USD 8"]
        assert story.pay("p-1", "m-1", 10)[0] == "payment_received p-1 70"
        assert story.tick(days(1))[0] == "pledge_instalment p-1#2 80 of p-1 @f"  # the rate in force then

    def test_the_same_rate_in_other_words_changes_nothing(self, story: Story) -> None:
        story("rate.quoted", currency="USD", rate="7.1")
        assert story("rate.quoted", currency="USD", rate="7.10") == ["duplicate"]

    def test_paid_before_it_is_valued(self, story: Story) -> None:
        """20 of 10 promised are paid before the first rate: worth 140, more than the 70 promised."""
        story.pledge("p-1", 10, currency="USD")
        assert story.pay("p-1", "m-1", 20) == ["payment_received p-1 None"]
        assert story("rate.quoted", currency="USD", rate="7") == [
            "rate_quoted USD 7",
            "pledge_raised p-1 140",
            "pledge_settled p-1",
            "waiting p-1 140",
        ]

    def test_withdrawn_before_it_is_valued_only_what_is_paid_counts(self, story: Story) -> None:
        story.pledge("p-1", 10, currency="USD")
        story.pay("p-1", "m-1", 4)
        assert story("pledge.withdrawn", pledge="p-1") == ["pledge_withdrawn p-1"]
        assert story("rate.quoted", currency="USD", rate="7") == [
            "rate_quoted USD 7",
            "pledge_raised p-1 28",
            "pledge_settled p-1",
            "waiting p-1 28",
        ]


class TestWorthNothing:
    """JPY at 0.003: one yen is 0.3 fen, and three are 0.9; only the fourth makes a fen."""

    def test_a_refused_pledge_leaves_nothing_behind_and_may_come_again(self, story: Story) -> None:
        story("rate.quoted", currency="JPY", rate="0.003")
        assert story.pledge("p-1", 3, currency="JPY") == ["rejected worth_nothing"]
        assert story.pay("p-1", "m-1", 3) == ["rejected unknown_pledge"]
        assert story.pledge("p-1", 4, currency="JPY") == waits("p-1", 1)

    def test_what_a_later_rate_values_at_nothing_is_not_settled_by_nothing(self, story: Story) -> None:
        story.case("c-1", goal=50)
        story.pledge("p-1", 3, currency="JPY")
        story.pledge("p-2", 3, currency="JPY")
        story.pay("p-2", "m-2", 3)
        assert story("rate.quoted", currency="JPY", rate="0.003") == [
            "rate_quoted JPY 0.003",
            "pledge_raised p-1 0",
            "pledge_raised p-2 0",
        ]
        assert story.pay("p-1", "m-1", 3) == ["payment_received p-1 0"]
        assert story.pay("p-1", "m-3", 1) == [  # with what came before it is a fen
            "payment_received p-1 1",
            "pledge_raised p-1 1",
            "pledge_settled p-1",
            "awarded p-1/1 c-1 1 [routine key 10, 0→1 of 50]",
            "award_settled p-1/1 1",
        ]

    def test_an_instalment_is_made_and_moves_nothing(self, story: Story) -> None:
        story.case("c-1", goal=50)
        story("rate.quoted", currency="JPY", rate="1")
        story.pledge("p-1", 3, currency="JPY", recurrence={"every": "P1D", "times": 2})
        story("rate.quoted", currency="JPY", rate="0.003")
        assert story.tick(days(1)) == ["pledge_instalment p-1#2 0 of p-1 @f"]
        assert story.pay("p-1#2", "m-1", 3) == ["payment_received p-1#2 0"]
        assert story("pledge.withdrawn", pledge="p-1#2") == ["pledge_withdrawn p-1#2"]

    def test_identity_and_expiry_come_before_worth(self, story: Story) -> None:
        story.pledge("p-1", 1, currency="JPY")
        story("rate.quoted", currency="JPY", rate="0.003")
        assert story.pledge("p-1", 1, currency="JPY") == ["duplicate"]
        assert story.pledge("p-2", 1, currency="JPY", expires_at=START) == ["rejected already_expired"]


class TestAmending:
    def test_the_claim_changes_by_the_change_of_the_goal(self, story: Story) -> None:
        """Goal 10, renewed once: claim 20. A goal of 15 makes the claim 25, and the next period adds 15."""
        story.case("c-1", goal=10, recurrence={"every": "P1D", "times": 3})
        story.tick(days(1))
        assert story("case.amended", case="c-1", goal=15) == ["case_amended c-1 25 routine"]
        assert story.tick(days(1)) == ["case_renewed c-1 40 routine #3 @f"]

    def test_a_higher_goal_opens_a_claim(self, story: Story) -> None:
        story.case("c-1", goal=10)
        story.pledge("p-1", 12)
        assert story("case.amended", case="c-1", goal=12) == [
            "case_amended c-1 12 routine",
            "awarded p-1/2 c-1 2 [routine key 12, 10→12 of 12]",
            "case_funded c-1 12",
        ]

    def test_a_lower_goal_takes_newest_unsettled_money_first_then_newest_settled(self, story: Story) -> None:
        """p-1: 10 settled. p-2: 10, of it 4 settled. p-3: 10 unsettled. Down to 8: unsettled 10 + 6, then settled 4 + 2."""
        story.case("c-1", goal=40)
        for pledge in ("p-1", "p-2", "p-3"):
            story.pledge(pledge, 10)
        story.pay("p-1", "m-1", 10)
        story.pay("p-2", "m-2", 4)
        assert story("case.amended", case="c-1", goal=8) == [
            "case_amended c-1 8 routine",
            "award_voided p-3/1 10, settled 0",
            "award_voided p-2/1 10, settled 4",
            "award_voided p-1/1 2, settled 2",
            "case_funded c-1 8",
        ]

    def test_what_a_lower_goal_frees_goes_to_other_claims_at_once(self, story: Story) -> None:
        story.case("c-1", goal=20)
        story.pledge("p-1", 20)
        story.case("c-2", beneficiary="b-2", goal=10)
        assert story("case.amended", case="c-1", goal=15) == [
            "case_amended c-1 15 routine",
            "award_voided p-1/1 5, settled 0",
            "awarded p-1/2 c-2 5 [routine key 10, 0→5 of 10]",
        ]

    def test_a_priority_or_a_time_changes_the_class(self, untold: Story) -> None:
        untold.configure(deadline_hours=24)
        untold.case("c-1", goal=10)
        assert untold("case.amended", case="c-1", priority="asap") == ["case_amended c-1 10 asap"]
        assert untold("case.amended", case="c-1", needed_by=START + hours(24)) == ["case_amended c-1 10 stat"]
        assert untold("case.amended", case="c-1", priority="routine") == ["case_amended c-1 10 urgent"]
        assert untold.facts[0]["priority"] == "routine"
        assert not {"goal", "needed_by"} & set(untold.facts[0])  # only what changed is told

    def test_a_case_may_be_amended_before_it_opens(self, untold: Story) -> None:
        untold.configure(vouchers_required=1)
        untold.case("c-1", goal=10)
        assert untold("case.amended", case="c-1", goal=20) == ["case_amended c-1 20 routine"]
        assert untold("case.vouched", case="c-1", voucher="v-1")[1] == "case_opened c-1 20 routine"


class TestConfiguring:
    def test_classes_are_computed_again_up_and_down_in_opening_order(self, untold: Story) -> None:
        untold.configure(ageing_days=7)
        untold.case("c-2", goal=10)
        untold.case("c-1", goal=10, priority="urgent")
        untold.case("c-3", goal=10, priority="asap")
        untold.tick(days(6))
        assert untold.configure(ageing_days=2) == [
            "fund_configured",
            "case_escalated c-2 routine→asap policy",
            "case_escalated c-1 urgent→asap policy",
        ]
        assert untold.configure(ageing_days=0) == [
            "fund_configured",
            "case_escalated c-2 asap→routine policy",
            "case_escalated c-1 asap→urgent policy",
        ]

    def test_it_applies_to_later_commands(self, story: Story) -> None:
        story.case("c-1", beneficiary="b-1")
        story.case("c-2", beneficiary="b-2")
        story.pledge("p-1", 10)
        story.configure(share=30)
        assert story.pledge("p-2", 30) == [
            "pledge_accepted p-2 30",
            "awarded p-2/1 c-1 20 [routine key 30, 10→30 of 100]",
            "awarded p-2/2 c-2 10 [routine key 30, 0→10 of 100]",
        ]

    def test_nobody_vouches_for_themselves(self, untold: Story) -> None:
        own, other = "~" + "a" * 26, "~" + "b" * 26
        untold("fund.configured", currency="CNY", share=10, vouchers_required=1)
        vouch = {"case": "c-1", "voucher": "~" + "v" * 26}
        assert untold.case("c-1", mark=own) == ["case_submitted c-1"]
        assert untold.case("c-1", mark=other) == ["duplicate"]  # a mark is no part of what a case is
        assert untold("case.vouched", **vouch, mark=own) == ["rejected own_voucher"]
        assert untold("case.vouched", **vouch, mark=own) == ["rejected own_voucher"]  # and leaves no identity
        assert untold("case.vouched", **vouch, mark=other)[:2] == [
            f"case_vouched c-1 {vouch['voucher']}",
            "case_opened c-1 100 routine",
        ]
        assert untold("case.vouched", **vouch, mark=own) == ["duplicate"]
        untold.close("c-1")
        assert untold("case.vouched", case="c-1", voucher="v-9", mark=own) == ["rejected case_closed"]

    def test_where_no_contact_is_known_nobody_is_told_apart(self, untold: Story) -> None:
        untold("fund.configured", currency="CNY", share=10, vouchers_required=1)
        untold.case("c-1")
        assert untold("case.vouched", case="c-1", voucher="v-1")[0] == "case_vouched c-1 v-1"
        assert untold("case.vouched", case="c-1", voucher="v-2", mark="~" + "a" * 26) == ["case_vouched c-1 v-2"]

    def test_fewer_vouchers_open_nothing_until_the_next_vouch(self, untold: Story) -> None:
        untold.configure(vouchers_required=3)
        untold.case("c-1", goal=10)
        untold("case.vouched", case="c-1", voucher="v-1")
        assert untold.configure(vouchers_required=1) == ["fund_configured"]
        assert untold("case.vouched", case="c-1", voucher="v-2") == [
            "case_vouched c-1 v-2",
            "case_opened c-1 10 routine",
        ]

    def test_the_facts_are_the_configuration(self, untold: Story) -> None:
        untold("fund.configured", share=1)
        assert untold.facts == [
            {
                "fact": "fund_configured", "fund": "f", "currency": "CNY", "rule": "urgency-waterfill/1", "share": 1,
                "weights": "equal", "ageing_days": 0, "deadline_hours": 0, "vouchers_required": 0, "forget_after_days": 0,
            }
        ]  # fmt: skip


# ------------------------------------------------------------------------------------------------ 5, identity, rejections

SAID: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
    ("fund.configured", {}, None),
    ("case.submitted", {"case": "c-2"}, {"goal": 101}),
    ("case.vouched", {"case": "c-1", "voucher": "v-1"}, None),
    ("case.amended", {"case": "c-1", "goal": 90, "priority": "urgent"}, None),
    ("case.delivered", {"case": "c-1", "delivery": "d-1", "amount": 1}, {"amount": 2}),
    ("case.thanked", {"case": "c-1", "thanks": "thank-you"}, None),
    ("pledge.made", {"pledge": "p-2"}, {"donor": "d-2"}),
    ("payment.received", {"pledge": "p-1", "payment": "m-1", "amount": 1}, {"amount": 2}),
    ("payment.failed", {"pledge": "p-1", "payment": "m-1"}, {"reason": "other"}),
    ("payment.refunded", {"pledge": "p-1", "payment": "m-1", "amount": 1}, {"amount": 2}),
    ("rate.quoted", {"currency": "USD", "rate": "7.1"}, None),
    ("pledge.withdrawn", {"pledge": "p-1"}, None),
    ("case.closed", {"case": "c-1", "outcome": "deceased"}, None),
]
"""Each command, and a change of data that makes its repeat a conflict (None: it has no data beyond its identity)."""


class TestIdentity:
    @pytest.mark.parametrize("kind, data, other", SAID, ids=[kind for kind, _, _ in SAID])
    def test_the_same_again_is_a_duplicate_and_with_other_data_a_conflict(
        self, story: Story, kind: str, data: dict[str, Any], other: dict[str, Any] | None
    ) -> None:
        story.case("c-1", goal=100)
        story.pledge("p-1", 200)
        story.pay("p-1", "m-0", 150)  # 100 settled, 50 wait, paid; 50 unpaid
        first = story(kind, **data)
        assert first == ["duplicate"] if kind == "fund.configured" else "rejected" not in first[0]
        assert story(kind, **data) == ["duplicate"]
        if other is not None:
            assert story(kind, **data | other) == ["rejected id_conflict"]

    def test_each_type_of_command_has_ids_of_its_own(self, story: Story) -> None:
        story.pledge("x", 10)
        assert story.case("x", goal=30)[0] == "case_submitted x"
        assert story.pay("x", "x", 4)[0] == "payment_received x 4"
        assert story("case.delivered", case="x", delivery="x", amount=1) == ["case_delivered x x 1"]
        assert story("payment.failed", pledge="x", payment="x")[0] == "payment_failed x x"
        assert story("payment.refunded", pledge="x", payment="x", amount=1) == ["rejected not_refundable"]

    def test_a_payments_id_is_known_across_pledges(self, story: Story) -> None:
        story.pledge("p-1", 10)
        story.pledge("p-2", 10)
        story.pay("p-1", "m-1", 5)
        assert story.pay("p-2", "m-1", 5) == ["rejected id_conflict"]

    def test_a_rejected_command_leaves_no_identity_behind(self, story: Story) -> None:
        assert story.case("c-1", goal=10, own_contribution=11) == ["rejected goal_below_own_contribution"]
        assert story.case("c-1", goal=10) == ["case_submitted c-1", "case_opened c-1 10 routine"]

    def test_identity_comes_before_state(self, story: Story) -> None:
        story.pledge("p-1", 10, expires_at=START + days(1))
        story.case("c-1", goal=10)
        story.pay("p-1", "m-1", 10)
        story("case.delivered", case="c-1", delivery="d-1", amount=4)
        story.close("c-1")
        story.tick(days(2))
        assert story.pledge("p-1", 10, expires_at=START + days(1)) == ["duplicate"]  # not already_expired
        assert story("case.delivered", case="c-1", delivery="d-1", amount=4) == ["duplicate"]  # not case_closed
        assert story("case.amended", case="c-1", goal=10) == ["duplicate"]

    def test_what_may_be_left_out_counts_as_its_default(self, story: Story) -> None:
        story.pledge("p-1", 10)
        assert story.pledge("p-1", 10, fallback="pool") == ["duplicate"]
        story("case.submitted", case="c-1")
        assert story("case.submitted", case="c-1", own_contribution=0) == ["duplicate"]


class TestRejections:
    def test_unknown_fund(self, untold: Story) -> None:
        assert untold.pledge("p-1", 10) == ["rejected unknown_fund"]

    @pytest.mark.parametrize(
        "kind, data",
        [
            ("case.vouched", {"voucher": "v-1"}),
            ("case.amended", {"goal": 1}),
            ("case.delivered", {"delivery": "d-1", "amount": 1}),
            ("case.thanked", {"thanks": "thank-you"}),
            ("case.closed", {}),
        ],
    )
    def test_unknown_case(self, story: Story, kind: str, data: dict[str, Any]) -> None:
        assert story(kind, case="c-9", **data) == ["rejected unknown_case"]

    @pytest.mark.parametrize(
        "kind, data",
        [
            ("pledge.withdrawn", {}),
            ("payment.received", {"payment": "m-1", "amount": 1}),
            ("payment.failed", {"payment": "m-1"}),
            ("payment.refunded", {"payment": "m-1", "amount": 1}),
        ],
    )
    def test_unknown_pledge(self, story: Story, kind: str, data: dict[str, Any]) -> None:
        story.pledge("p-1", 10)
        assert story(kind, pledge="p-1#2", **data) == ["rejected unknown_pledge"]

    @pytest.mark.parametrize(
        "kind, data",
        [
            ("case.vouched", {"voucher": "v-9"}),
            ("case.amended", {"goal": 1}),
            ("case.delivered", {"delivery": "d-1", "amount": 1}),
            ("case.closed", {"outcome": "deceased"}),
        ],
    )
    def test_case_closed(self, story: Story, kind: str, data: dict[str, Any]) -> None:
        story.case("c-1")
        story.close("c-1", outcome="completed")
        assert story(kind, case="c-1", **data) == ["rejected case_closed"]

    def test_thanks_may_come_after_the_end(self, story: Story) -> None:
        story.case("c-1")
        story.close("c-1")
        assert story("case.thanked", case="c-1", thanks="thank-you") == ["case_thanked c-1 thank-you"]

    def test_case_not_open(self, untold: Story) -> None:
        untold.configure(vouchers_required=1)
        untold.case("c-1")
        assert untold("case.delivered", case="c-1", delivery="d-1", amount=1) == ["rejected case_not_open"]
        assert untold("case.thanked", case="c-1", thanks="thank-you") == ["rejected case_not_open"]
        assert untold.close("c-1") == ["case_closed c-1 completed"]

    def test_exceeds_settled(self, story: Story) -> None:
        story.case("c-1", goal=10)
        story.pledge("p-1", 10)
        story.pay("p-1", "m-1", 6)
        assert story("case.delivered", case="c-1", delivery="d-1", amount=7) == ["rejected exceeds_settled"]
        assert story("case.delivered", case="c-1", delivery="d-1", amount=6) == ["case_delivered c-1 d-1 6"]
        assert story("case.delivered", case="c-1", delivery="d-2", amount=1) == ["rejected exceeds_settled"]

    def test_goal_below_delivered_and_below_own_contribution(self, story: Story) -> None:
        story.case("c-1", goal=12, own_contribution=2)
        story.pledge("p-1", 10)
        story.pay("p-1", "m-1", 10)
        story("case.delivered", case="c-1", delivery="d-1", amount=6)
        assert story("case.amended", case="c-1", goal=7) == ["rejected goal_below_delivered"]  # claim 5 < 6
        assert story("case.amended", case="c-1", goal=1) == ["rejected goal_below_own_contribution"]
        assert story("case.amended", case="c-1", goal=8)[0] == "case_amended c-1 6 routine"

    def test_already_expired(self, story: Story) -> None:
        assert story.pledge("p-1", 10, expires_at=START) == ["rejected already_expired"]
        assert story.pledge("p-1", 10, expires_at=START + hours(1)) == waits("p-1", 10)

    def test_pledge_closed(self, story: Story) -> None:
        story.pledge("p-x", 10, expires_at=START + hours(1))
        story.pledge("p-w", 10)
        story("pledge.withdrawn", pledge="p-w")
        story.tick(hours(1))
        assert story("pledge.withdrawn", pledge="p-x") == ["rejected pledge_closed"]
        assert story("payment.failed", pledge="p-x", payment="m-1") == ["rejected pledge_closed"]
        assert story("payment.failed", pledge="p-w", payment="m-1") == ["rejected pledge_closed"]

    def test_currency_fixed(self, story: Story) -> None:
        assert story.configure(currency="USD") == ["rejected currency_fixed"]
        assert story("rate.quoted", currency="CNY", rate="1") == ["rejected currency_fixed"]

    def test_not_refundable(self, story: Story) -> None:
        story.case("c-1", goal=10)
        story.pledge("p-1", 15)
        story.pay("p-1", "m-1", 10)  # all of it settled: none waits
        assert story("payment.refunded", pledge="p-1", payment="m-1", amount=1) == ["rejected not_refundable"]

    def test_unreadable(self, story: Story) -> None:
        assert story.hear(Unreadable("unknown field: goals", "pumasi.case.submitted", 1)) == ["rejected unreadable"]
        assert story.facts == [{"fact": "rejected", "code": "unreadable", "detail": "unknown field: goals"}]

    def test_a_detail_is_a_short_text(self, story: Story) -> None:
        story.pledge("p" * 64, 2**53 - 1)
        story("payment.refunded", pledge="p" * 64, payment="m", amount=2**53 - 1)
        assert story.facts[0]["code"] == "not_refundable"
        if isinstance(story.matcher, Engine):  # the oracle has no words of its own
            assert 0 < len(story.facts[0]["detail"]) <= 512


# ------------------------------------------------------------------------------------------------ 6, facts in full


class TestFacts:
    def test_a_pledge_and_its_award_in_full(self, story: Story) -> None:
        story.case("c-1", goal=10_000, priority="stat")
        story.pledge("p-7", 5000, donor="d-3", expires_at=START + days(1), recurrence={"every": "P1M"}, fallback="hold",
                     designation={"need": "treatment"})  # fmt: skip
        assert story.facts == [
            {
                "fact": "pledge_accepted", "pledge": "p-7", "donor": "d-3", "amount": 5000, "face": 5000,
                "currency": "CNY", "rate": "1", "designation": {"need": "treatment"}, "fallback": "hold",
                "expires_at": "2027-01-02T00:00:00Z", "recurrence": {"every": "P1M"},
            },
            {
                "fact": "awarded", "award": "p-7/1", "pledge": "p-7", "case": "c-1", "amount": 5000,
                "why": {"class": "stat", "key": 10, "before": 0, "after": 5000, "claim": 10_000},
            },
        ]  # fmt: skip

    def test_a_case_in_full(self, story: Story) -> None:
        story.case("c-1", goal=5, needed_by=START + days(9) + timedelta(microseconds=5), access_box="A" * 160,
                   recurrence={"every": "P1W", "times": 2})  # fmt: skip
        assert story.facts == [
            {
                "fact": "case_submitted", "case": "c-1", "beneficiary": "b-1", "need": "treatment", "route": "clinic",
                "goal": 5, "own_contribution": 0, "priority": "routine", "needed_by": "2027-01-10T00:00:00.000005Z",
                "recurrence": {"every": "P1W", "times": 2},
            },
            {"fact": "case_opened", "case": "c-1", "claim": 5, "class": "routine"},
        ]  # fmt: skip

    def test_a_case_sealed_anew_is_the_same_case(self, story: Story) -> None:
        for box in ("A" * 160, "B" * 160, None):
            story.case("c-1", access_box=box)
            assert story.facts == [{"fact": "duplicate"}] or box == "A" * 160

    def test_an_instalment_in_full_and_a_ticks_fact_names_its_fund_second(self, story: Story) -> None:
        story("rate.quoted", currency="USD", rate="7")
        story.pledge("p-1", 1, currency="USD", recurrence={"every": "P1D"})
        story.tick(days(1))
        assert story.facts == [
            {
                "fact": "pledge_instalment", "fund": "f", "pledge": "p-1#2", "donor": "d-1", "amount": 7, "face": 1,
                "currency": "USD", "rate": "7", "of": "p-1",
            },
            {"fact": "waiting", "fund": "f", "pledge": "p-1#2", "amount": 7},
        ]  # fmt: skip
        assert all(list(fact)[:2] == ["fact", "fund"] for fact in story.facts)

    def test_a_valued_pledge_tells_its_rate(self, story: Story) -> None:
        story.pledge("p-1", 1, currency="USD")
        story("rate.quoted", currency="USD", rate="7")
        assert story.facts[:2] == [
            {"fact": "rate_quoted", "currency": "USD", "rate": "7"},
            {"fact": "pledge_raised", "pledge": "p-1", "amount": 7, "rate": "7"},
        ]

    def test_awards_are_numbered_by_pledge_and_never_reused(self, story: Story) -> None:
        story.pledge("p-1", 10)
        assert story.case("c-1", goal=10)[2].startswith("awarded p-1/1 c-1 10")
        assert story.close("c-1")[1] == "award_voided p-1/1 10, settled 0"
        assert story.case("c-2", goal=10)[2].startswith("awarded p-1/2 c-2 10")


TERMS = [
    name for name, field in FACTS["pledge_accepted"].model_fields.items() if name != "fund" and not field.is_required()
]


@pytest.mark.parametrize("term", TERMS)
def test_each_term_that_a_pledge_may_have_is_told_and_makes_it_another_also_if_it_is_the_only_one(
    story: Story, term: str
) -> None:
    """Both pledges are said in full by a golden example."""
    golden = map(json.loads, map(Path.read_text, GOLDEN.glob("pumasi.pledge.made.*.json")))
    value = next((one[term] for one in golden if term in one), None)
    assert value is not None, f"{term}: it stands in no golden example of the command"
    story.pledge("p-1", 10, **{term: value})
    told = story.facts[0].get(term)
    assert told == value, (
        f"{term}: the fact doesn't tell it where it is the only one (`_terms` and its `plain` in the engine's commands)"
    )
    assert story.pledge("p-1", 10, **{term: value}) == ["duplicate"]
    assert story.pledge("p-1", 10) == ["rejected id_conflict"], f"{term}: `pledge_identity` lacks it"


def test_the_table_of_lines_knows_every_fact() -> None:
    assert set(LINES) == set(FACTS), "LINES says each fact in a line"
