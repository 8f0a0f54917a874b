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


def check_touched(fund: Fund) -> None:
    """Check what the last answer touched.

    Raises:
        ConservationBreach: naming the pledge or case and its sums.
    """
    check(fund.touched_pledges, fund.touched_cases)


def check(pledges: Iterable[Pledge], cases: Iterable[Case]) -> None:
    """Check pledges and cases.

    Raises:
        ConservationBreach: naming the pledge or case and its sums.
    """
    for p in pledges:
        total = p.waiting + p.awarded + p.settled + p.delivered + p.released
        parts = (p.waiting, p.awarded, p.settled, p.delivered, p.released, p.paid_waiting)
        if p.amount != total or min(parts) < 0 or p.paid_waiting > p.waiting:
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

    Raises:
        ConservationBreach: naming the first that fails.
    """
    check(fund.pledges.values(), fund.cases.values())
    for p in fund.pledges.values():
        awards = p.awards.values()
        sums = (sum(a.amount - a.settled for a in awards), sum(a.settled - a.delivered for a in awards))
        if sums != (p.awarded, p.settled) or sum(a.delivered for a in awards) != p.delivered:
            raise ConservationBreach(f"pledge {p.id}: its awards do not sum up to its figures")
    for c in fund.cases.values():
        awards = c.awards.values()
        if (sum(a.amount for a in awards), sum(a.settled for a in awards)) != (c.awarded, c.settled):
            raise ConservationBreach(f"case {c.id}: its awards do not sum up to its figures")
