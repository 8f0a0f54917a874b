# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""A plain pledge decided in C: to it happens what `engine.commands.pledge` makes of any pledge."""

from services.matcher.rules.waterfill cimport Book
from services.matcher.model.entities cimport Case
from services.matcher.engine.facts cimport commit

from services.matcher.model.breach import ConservationBreach


cdef list accept(Fund fund, Pledge pledge, str name, str donor, long long amount, str currency):
    """Accept a pledge without terms, and match it.

    Args:
        fund: where it is made.
        pledge: blank, to become the pledge.
        name, donor, amount, currency: what was said.

    Returns:
        What it gives to whom, one share a case; None, with nothing done, if it is not new or in another currency, or if the rule is not the
        water-fill with nothing designated.

    Raises:
        ConservationBreach: if money would be over-allocated; the engine must then be thrown away.
    """
    cdef Case case
    cdef list shares
    cdef tuple share
    cdef int number = 0
    if type(fund.pool) is not Book or fund.needs or currency != fund.policy.currency:
        return None
    if fund.pledges.setdefault(name, pledge) is not pledge:
        return None
    pledge.begin(name, fund.pledges_made, donor, amount, currency, "1", amount)
    fund.pledges_made += 1
    fund.totals.waiting += amount
    shares = fund.pool.share_out(amount)
    for share in shares:
        number += 1
        case = <Case>share[1]
        commit(fund, pledge, case, number, share[2])
        if case.awarded > case.claim:
            raise ConservationBreach(f"case {case.id}: awarded {case.awarded} > claim {case.claim}")
    if pledge.waiting < 0:
        raise ConservationBreach(f"pledge {name}: {pledge.waiting} waits of {amount}")
    fund.touch_pledge(pledge)
    fund.settle_in()
    return shares


def accepted(Fund fund, str name, str donor, long long amount, str currency):
    """`accept` for callers that are not written in C."""
    return accept(fund, Pledge.__new__(Pledge), name, donor, amount, currency)
