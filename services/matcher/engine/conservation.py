"""Conservation: the sums that must hold after every entry, or the partition stops and nothing is written.

For every pledge: amount = waiting + awarded + settled + delivered + released, and the paid part of what waits lies within it.
For every case: delivered ≤ settled ≤ awarded ≤ claim. Only what an entry touched can have changed; an audit checks all, and
sums up the awards, and the fund's totals, besides.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice
from typing import TYPE_CHECKING

from services.matcher.model.breach import ConservationBreach
from services.matcher.model.totals import Totals

if TYPE_CHECKING:
    from services.matcher.engine.fund import Fund
    from services.matcher.model.entities import Case, Pledge


def check(pledges: list[Pledge], cases: list[Case]) -> None:
    """Check pledges and cases.

    Raises:
        ConservationBreach: naming the pledge or case and its sums.
    """
    for p in pledges:
        waiting, awarded, settled, delivered, released = p.waiting, p.awarded, p.settled, p.delivered, p.released
        if (
            p.amount != waiting + awarded + settled + delivered + released
            or awarded < 0
            or settled < 0
            or delivered < 0
            or released < 0
            or not 0 <= p.paid_waiting <= waiting
        ):
            raise ConservationBreach(
                f"pledge {p.id}: amount {p.amount} is not waiting {p.waiting} (of it paid {p.paid_waiting}) + awarded "
                f"{p.awarded} + settled {p.settled} + delivered {p.delivered} + released {p.released}"
            )
    for c in cases:
        if not 0 <= c.delivered <= c.settled <= c.awarded <= c.claim:
            raise ConservationBreach(
                f"case {c.id}: 0 ≤ delivered {c.delivered} ≤ settled {c.settled} ≤ awarded {c.awarded} ≤ claim {c.claim} "
                "does not hold"
            )


def check_all(fund: Fund) -> None:
    """Check every pledge and case of a fund, and that their awards sum up to their figures, and these to the fund's totals.

    Awards delivered in whole are no longer kept: what the others do not explain must be delivered, here and there.

    Raises:
        ConservationBreach: naming the first that fails.
    """
    checks = checking(fund, max(1, len(fund.pledges) + len(fund.cases)))
    while True:
        try:
            next(checks)
        except StopIteration as done:
            totals: Totals = done.value
            break
    if totals.told() != fund.totals.told():
        raise ConservationBreach(f"fund {fund.name}: its totals {fund.totals.told()} are not {totals.told()}")


def checking(fund: Fund, step: int) -> Generator[None, None, Totals]:
    """`check_all` in steps of so many pledges or cases, so that the caller can let others work in between; it returns the totals.

    Raises:
        ConservationBreach: naming the first that fails.
    """
    gone_of_pledges = gone_of_cases = 0
    totals = Totals()
    pledges, cases = iter(fund.pledges.values()), iter(fund.cases.values())
    while some_pledges := list(islice(pledges, step)):
        check(some_pledges, [])
        gone_of_pledges += sum(map(_delivered_and_gone, some_pledges))
        for pledge in some_pledges:
            totals.add(pledge)
        yield
    while some_cases := list(islice(cases, step)):
        check([], some_cases)
        gone_of_cases += sum(map(_handed_over_and_gone, some_cases))
        for case in some_cases:
            if case.status == "open":
                totals.open[case.rank] += 1
        yield
    if gone_of_pledges != gone_of_cases:
        raise ConservationBreach(f"delivered of pledges {gone_of_pledges} is not delivered of cases {gone_of_cases}")
    return totals


def _delivered_and_gone(p: Pledge) -> int:
    """What of a pledge is delivered by awards that are no longer kept."""
    awarded, settled, gone = p.awarded, p.settled, p.delivered
    for amount, paid, handed_over in p.amounts():
        awarded -= amount - paid
        settled -= paid - handed_over
        gone -= handed_over
    if awarded or settled or gone < 0:
        raise ConservationBreach(f"pledge {p.id}: its awards do not sum up to its figures")
    return gone


def _handed_over_and_gone(c: Case) -> int:
    """What of a case is delivered by awards that are no longer kept."""
    awarded, settled, gone = c.awarded, c.settled, c.delivered
    for amount, paid, handed_over in c.amounts():
        awarded -= amount
        settled -= paid
        gone -= handed_over
    if gone < 0 or awarded != gone or settled != gone:
        raise ConservationBreach(f"case {c.id}: its awards do not sum up to its figures")
    return gone
