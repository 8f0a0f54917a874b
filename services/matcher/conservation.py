"""Conservation: the sums that must hold after every entry, or the partition stops and nothing is written.

For every pledge: amount = waiting + awarded + settled + delivered + released, and the paid part of what waits lies within it.
For every case: delivered ≤ settled ≤ awarded ≤ claim. Only what an entry touched can have changed; an audit checks all, and
sums up the awards besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.matcher.entities import Case, Pledge
    from services.matcher.state import Fund


class ConservationBreach(Exception):
    """Money would be lost, doubled or over-allocated: a defect in the engine, never to be written."""

    code = "conservation_breach"


def check(pledges: Iterable[Pledge], cases: Iterable[Case]) -> None:
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
    """Check every pledge and case of a fund, and that their awards sum up to their figures.

    Awards delivered in whole are no longer kept: what the others do not explain must be delivered, here and there.

    Raises:
        ConservationBreach: naming the first that fails.
    """
    check(fund.pledges.values(), fund.cases.values())
    gone_of_pledges = gone_of_cases = 0
    for p in fund.pledges.values():
        sums = (sum(a.amount - a.settled for a in p.awards), sum(a.settled - a.delivered for a in p.awards))
        gone = p.delivered - sum(a.delivered for a in p.awards)
        if sums != (p.awarded, p.settled) or gone < 0:
            raise ConservationBreach(f"pledge {p.id}: its awards do not sum up to its figures")
        gone_of_pledges += gone
    for c in fund.cases.values():
        gone = c.delivered - sum(a.delivered for a in c.awards)
        rest = (c.awarded - sum(a.amount for a in c.awards), c.settled - sum(a.settled for a in c.awards))
        if gone < 0 or rest != (gone, gone):
            raise ConservationBreach(f"case {c.id}: its awards do not sum up to its figures")
        gone_of_cases += gone
    if gone_of_pledges != gone_of_cases:
        raise ConservationBreach(f"delivered of pledges {gone_of_pledges} is not delivered of cases {gone_of_cases}")
