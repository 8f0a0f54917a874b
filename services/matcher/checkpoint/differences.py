"""Differences: what two engines remember differently, entity by entity.

An engine brought up from a checkpoint must remember what the ledger's facts lead to. All that can't be worked out again is compared,
each by its row, awards with their order among those of a case included; what is derived (timers, queues, books) follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from services.matcher.checkpoint.rows import SAID, Row, case_row, fund_row, pledge_row
from services.matcher.engine import ageing
from services.matcher.engine.engine import Engine
from services.matcher.engine.fund import Fund
from services.matcher.model.entities import Case

Entities = dict[str, Any]
RowOf = Callable[[Any], Row]


def differences(one: Engine, other: Engine) -> Iterator[str]:
    """Names what two engines remember differently: `case f-1/c-1`, `payments of f-1`."""
    for name in ("clock", "latest", "unconfigured"):
        if getattr(one, name) != getattr(other, name):
            yield name
    for name in sorted(one.funds.keys() | other.funds.keys()):
        if name in one.funds and name in other.funds:
            yield from _of_funds(one.funds[name], one.clock, other.funds[name], other.clock)
        else:
            yield f"fund {name}"


def _of_funds(one: Fund, one_clock: int, other: Fund, other_clock: int) -> Iterator[str]:
    if fund_row(one) != fund_row(other):
        yield f"fund {one.name}"
    if one.totals.told() != other.totals.told():
        yield f"totals of {one.name}"
    for name in SAID:
        if getattr(one, name) != getattr(other, name):
            yield f"{name} of {one.name}"
    of_one, of_other = partial(_case, one, one_clock), partial(_case, other, other_clock)
    yield from _unlike(f"case {one.name}", one.cases, of_one, other.cases, of_other)
    yield from _unlike(f"pledge {one.name}", one.pledges, pledge_row, other.pledges, pledge_row)


def _unlike(what: str, one: Entities, of_one: RowOf, other: Entities, of_other: RowOf) -> Iterator[str]:
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other or of_one(one[name]) != of_other(other[name]):
            yield f"{what}/{name}"


def _case(fund: Fund, clock: int, case: Case) -> Row:
    """A case's row, with its awards' order.

    An escalation that fell due and changed nothing leaves no fact: who decided has the next one before it, who read the facts still has
    this one, to no effect. So what is past counts as the one that comes next. Many vouchers, or thanks, have no order.
    """
    due, now = case.next_escalation, max(fund.now, clock)
    if due is not None and due <= now:
        due = ageing.next_escalation(fund.policy, case, now)
    *row, _due, renewal = case_row(case)
    orders = [award.order for award in case.awards]
    return [*(sorted(said) if isinstance(said, list) else said for said in row), due, renewal, orders]
