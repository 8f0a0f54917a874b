"""Sums that no word of a processor holds: money is counted exactly, compiled or not."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.commands import Command, read_data
from schemas.values import AMOUNT_MAX
from services.matcher.engine.conservation import check_all
from services.matcher.engine.engine import Engine

MANY = 1100  # so many of the largest amounts are more than 2⁶³


def decide(engine: Engine, kind: str, **data: Any) -> list[dict[str, Any]]:
    read = read_data(f"pumasi.{kind}", msgspec.json.encode({"fund": "f", **data}))
    return engine.execute(Command(f"pumasi.{kind}", "e", 1, read, 0)).facts


def test_claims_and_sums_beyond_a_word_are_told_and_kept_exactly() -> None:
    engine = Engine()
    decide(engine, "fund.configured", currency="CNY", share=AMOUNT_MAX, vouchers_required=0)
    need = {"beneficiary": "b", "need": "test", "route": "home", "goal": AMOUNT_MAX, "priority": "urgent"}
    for number in range(MANY):
        decide(engine, "case.submitted", case=f"c-{number}", **need)
    for number in range(MANY):
        facts = decide(
            engine, "pledge.made", pledge=f"p-{number}", donor="d", amount=AMOUNT_MAX - 1, currency="CNY",
            designation={"need": "test"},
        )  # fmt: skip
        why = next(fact["why"] for fact in facts if fact["fact"] == "awarded")
        assert (why["before"], why["claim"]) == (number * (AMOUNT_MAX - 1), MANY * AMOUNT_MAX)
    decide(engine, "payment.received", pledge="p-0", payment="y", amount=AMOUNT_MAX)
    for number in range(MANY):
        decide(engine, "payment.received", pledge="p-0", payment=f"y-{number}", amount=AMOUNT_MAX)
    fund = engine.funds["f"]
    check_all(fund)
    paid, promised = (MANY + 1) * AMOUNT_MAX, (MANY - 1) * (AMOUNT_MAX - 1)
    assert paid > 2**63 < promised
    assert sum(fund.totals.told()[0]) == paid + promised
    assert (fund.pledges["p-0"].amount, fund.pledges["p-0"].face_paid) == (paid, paid)
    assert fund.totals.awarded + fund.totals.settled == MANY * AMOUNT_MAX
