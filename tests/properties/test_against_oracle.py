"""The engine against the oracle: the same fund, time and facts for every entry, live and after a replay.

`tests.oracle.trial` holds more than equality: each fact passes its model and comes back as it was, and the sums of money hold over
every award after every entry.
"""

from random import Random
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.currencies import DIGITS
from schemas.values import Rule
from services.matcher.engine.engine import Engine
from tests.oracle.season import DAY, FOREIGN, RULES, Gesture, commands_of
from tests.oracle.trial import report, trial, verdict
from tests.properties.strategies import FUNDS, logs
from tests.properties.tries import CAMPAIGN, TRIES

SEASONS = 200_000 if CAMPAIGN else TRIES * 20
STAIRWAYS = 50_000 if CAMPAIGN else TRIES * 10


@pytest.mark.timeout(0 if CAMPAIGN else 600)  # a failing log needs time to shrink
@settings(max_examples=settings.default.max_examples * 5)
@given(log=logs(), cut=st.integers(0, 40))
def test_the_engine_says_what_the_oracle_says_live_and_replayed(log: list[Gesture], cut: int) -> None:
    wrong = trial(commands_of(log), replay_from=cut)
    assert wrong is None, wrong


@pytest.mark.timeout(0 if CAMPAIGN else 170)
def test_seasons() -> None:
    for seed in range(SEASONS):
        wrong = report(seed)
        assert wrong is None, wrong


def test_the_logs_have_currencies_of_every_count_of_digits_and_every_rule() -> None:
    assert {DIGITS[currency] for currency in FOREIGN} >= {0, 2, 3}
    assert {DIGITS[currency] for currency in FUNDS.values()} == {0, 2}
    assert list(get_args(Rule)) == RULES


def stairway(seed: int) -> list[Gesture]:
    """Few pledges over many small steps, under any rule: what the engine's short cut for large pledges has to get right.

    Shares of 1 to 7 under claims of up to thousands, several cases a claimant, some claims so large that keys of successive
    boundaries fall together (`weights="claim"` keeps twelve digits), designated pledges before that leave odd amounts behind.
    """
    r = Random(seed)
    cases, people = r.randint(1, 12), r.randint(1, 12)
    top = r.choice([50, 500, 1500])
    vast = r.random() < 0.15
    told = [
        Gesture(
            0,
            "fund.configured",
            {
                "fund": "f",
                "currency": "CNY",
                "rule": r.choice([RULES[0], *RULES]),
                "share": r.choice([1, 1, 2, 3, 5, 7]),
                "weights": r.choice(["equal", "claim"]),
                "vouchers_required": 0,
            },
        )
    ]
    for n in range(cases):
        goal = r.choice([9 * 10**15, 5 * 10**12 + 7, 10**12]) if vast and r.random() < 0.5 else r.randint(1, top)
        case = {"case": f"c-{n}", "beneficiary": f"b-{r.randrange(people)}", "need": "test", "route": "home"}
        told.append(
            Gesture(0, "case.submitted", {"fund": "f", **case, "goal": goal, "priority": r.choice(["routine", "stat"])})
        )
    for n in range(r.randint(1, 3)):
        pledge = {"fund": "f", "pledge": f"p-{n}", "donor": "d", "amount": r.randint(1, 4000), "currency": "CNY"}
        if r.random() < 0.3:
            pledge |= {"designation": {"case": f"c-{r.randrange(cases)}"}, "amount": r.randint(1, 60)}
        elif r.random() < 0.3:
            pledge |= {"designation": {"need": "test"}}
        told.append(Gesture(0, "pledge.made", pledge))
    return told


@pytest.mark.parametrize("weights", ["equal", "claim"])
@pytest.mark.parametrize("people", [1, 2, 3])
def test_claims_may_end_at_any_count_of_steps(people: int, weights: str) -> None:
    """The short cut sets in after some hundreds of steps; the claims may be used up just before, just then, or after."""
    for steps in range(240, 300):
        policy = {"currency": "CNY", "share": 1, "weights": weights, "vouchers_required": 0}
        told = [Gesture(0, "fund.configured", {"fund": "f", **policy})]
        for n in range(people):
            goal = (steps + n) // people  # together: as many steps
            case = {"case": f"c-{n}", "beneficiary": f"b-{n}", "need": "test", "route": "home", "goal": goal}
            told.append(Gesture(0, "case.submitted", {"fund": "f", **case, "priority": "urgent"}))
        pledge = {"pledge": "p", "donor": "d", "amount": steps + 10, "currency": "CNY"}
        told.append(Gesture(0, "pledge.made", {"fund": "f", **pledge}))
        wrong = verdict(commands_of(told))
        assert wrong is None, f"{steps} steps: {wrong}"


def pittance(seed: int) -> list[Gesture]:
    """Pledges and instalments about one minor unit of their fund, before their rate and after, and payments of a part of that."""
    r = Random(seed)
    policy = {"fund": "f", "currency": "CNY", "share": r.choice([1, 2, 10]), "vouchers_required": 0}
    case = {
        "fund": "f",
        "case": "c",
        "beneficiary": "b",
        "need": "test",
        "route": "home",
        "goal": 9,
        "priority": "asap",
    }
    told = [Gesture(0, "fund.configured", policy), Gesture(0, "case.submitted", case)]
    for n in range(r.randint(4, 25)):
        kind = r.choice(["pledge.made", "pledge.made", "payment.received", "payment.received", "rate.quoted", "clock.ticked",
                         "pledge.withdrawn", "payment.failed", "payment.refunded"])  # fmt: skip
        pledge = {"fund": "f", "pledge": r.choice(["p-1", "p-2", "p-3"])}
        part = {"pledge": pledge["pledge"] + r.choice(["", "", "#2", "#3"]), "payment": f"m-{n}"}
        data: dict[str, dict] = {
            "pledge.made": {"donor": "d", "amount": r.randint(1, 6), "currency": r.choice(["JPY", "USD"])}
            | r.choice([{}, {"recurrence": {"every": "P1D", "times": 3}}, {"designation": {"case": "c"}}]),
            "payment.received": {**part, "amount": r.randint(1, 6)},
            "payment.failed": {**part, "reason": "no-funds"},
            "payment.refunded": {**part, "amount": 1},
            "rate.quoted": {
                "currency": r.choice(["JPY", "USD"]),
                "rate": r.choice(["0.003", "0.0099", "0.01", "0.3", "1", "7"]),
            },
        }
        said = {} if kind == "clock.ticked" else pledge | data.get(kind, {})
        if kind == "rate.quoted":
            del said["pledge"]
        told.append(Gesture(r.choice([0, 0, DAY]), kind, said))
    return told


@pytest.mark.timeout(0 if CAMPAIGN else 170)
def test_what_is_worth_less_than_a_minor_unit_is_told_and_kept_as_the_oracle_has_it() -> None:
    seen = set()
    for seed in range(SEASONS):
        log = commands_of(pittance(seed))
        wrong = trial(log)
        assert wrong is None, f"pittance({seed}): {wrong}"
        if seed < 200:
            engine = Engine()
            facts = [fact for command in log for fact in engine.execute(command).facts]
            seen |= {fact["fact"] for fact in facts if fact.get("amount") == 0} | {fact.get("code") for fact in facts}
    assert seen >= {"worth_nothing", "pledge_raised", "pledge_instalment", "payment_received"}, "each kind of nothing"


@pytest.mark.timeout(0 if CAMPAIGN else 170)
def test_the_leap_over_many_steps_ends_where_the_walk_ends() -> None:
    for seed in range(STAIRWAYS):
        wrong = trial(commands_of(stairway(seed)))
        assert wrong is None, f"stairway({seed}): {wrong}"


def test_the_leap_ends_right_whatever_the_amount() -> None:
    """Claims in small ratios, so that keys of several claimants fall together, and amounts that end at every place between."""
    r = Random(7)
    for _ in range(400 if CAMPAIGN else 20):
        base = r.choice([70, 99, 150])
        policy = {"currency": "CNY", "share": r.choice([1, 1, 2, 3]), "weights": "claim", "vouchers_required": 0,
                  "rule": r.choice([RULES[0], RULES[2]])}  # fmt: skip
        told = [Gesture(0, "fund.configured", {"fund": "f", **policy})]
        for n in range(r.randint(2, 4)):
            case = {"case": f"c-{n}", "beneficiary": f"b-{n}", "need": "test", "route": "home"}
            goal = base * r.choice([1, 2, 3, 7]) + r.choice([0, 0, 1])
            told.append(Gesture(0, "case.submitted", {"fund": "f", **case, "goal": goal, "priority": "asap"}))
        least = (256 + 4 * 4) * policy["share"]  # about where the short cut sets in
        for amount in range(least, least + 40):
            pledge = {"fund": "f", "pledge": "p", "donor": "d", "amount": amount, "currency": "CNY"}
            wrong = trial(commands_of([*told, Gesture(0, "pledge.made", pledge)]), replay_from=0)
            assert wrong is None, wrong
