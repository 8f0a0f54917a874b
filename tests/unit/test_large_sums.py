"""Sums that no word of a processor holds: money is counted exactly, compiled or not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.commands import Command, read_data
from schemas.values import AMOUNT_MAX
from services import native
from services.matcher.checkpoint.restoring import restored
from services.matcher.checkpoint.rows import pledge_row
from services.matcher.checkpoint.writing import Head, Keeper
from services.matcher.engine.conservation import check, check_all
from services.matcher.engine.engine import Engine
from services.matcher.model.breach import ConservationBreach
from tests.properties.test_ways import FUND, PLAIN, answered, raw, told

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


BORDERS = [2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1, 2**64, 2**64 + 1]


def parts(amount: int) -> list[int]:
    """A sum as amounts that may be said."""
    return [AMOUNT_MAX] * (amount // AMOUNT_MAX) + [amount % AMOUNT_MAX]


def paid_up_to(amount: int) -> Engine:
    """An engine with a pledge that payments have raised to a sum."""
    engine = Engine()
    decide(engine, "fund.configured", currency="CNY", share=AMOUNT_MAX, vouchers_required=0)
    decide(engine, "pledge.made", pledge="p", donor="d", amount=1, currency="CNY")
    for number, part in enumerate(parts(amount)):
        decide(engine, "payment.received", pledge="p", payment=f"y-{number}", amount=part)
    return engine


@pytest.mark.parametrize("border", BORDERS)
def test_a_pledge_at_the_border_of_a_word_is_kept_and_counted_exactly(border: int) -> None:
    engine, other = paid_up_to(border), paid_up_to(border)
    pledge = engine.funds["f"].pledges["p"]
    assert (pledge.amount, pledge.waiting, pledge.paid_waiting, pledge.face_paid) == (border,) * 4
    keeper = Keeper()
    records = {key: value for portion in keeper.changes(engine) for key, value in portion if value is not None}
    assert b",%d," % border in records[b"pledge/f/p"]
    assert any(records[b"pledge/f/p"] in row for portion in Keeper().rows(other) for row in portion)
    records.__setitem__(*keeper.head(engine, Head(1, bytes(32), 0, 0)))
    again = restored(records).engine.funds["f"]
    assert pledge_row(again.pledges["p"]) == pledge_row(pledge)
    check_all(again)
    for amiss in (1, -1, 2**32, 2**64, -(2**64)):  # of which a word alone would not see the last two
        pledge.amount = border + amiss
        with pytest.raises(ConservationBreach):
            check([pledge], [])


@pytest.mark.parametrize("border", BORDERS)
def test_a_claim_at_the_border_of_a_word_is_told_exactly(border: int) -> None:
    need = {"fund": FUND, "beneficiary": "b", "need": "test", "route": "home", "priority": "urgent"}
    largest = {"fund": FUND, "currency": "CNY", "share": AMOUNT_MAX, "vouchers_required": 0}
    records = [told(0, "fund.configured", largest)]
    for number, goal in enumerate(parts(border)):
        records.append(told(len(records), "case.submitted", need | {"case": f"c-{number}", "goal": goal}))
    for number, amount in enumerate(parts(border)):
        change = {"pledge": f"p-{number}", "amount": amount}
        records.append(told(len(records), "pledge.made", PLAIN | change))
    last = answered(raw(records) if native.in_use() else records)[0][-1]
    before = border - border % AMOUNT_MAX
    assert b'"before":%d,"after":%d,"claim":%d' % (before, border, border) in last
