# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""A plain pledge decided in C, for numbers that fit a processor's word: to it happens what `engine.commands.pledge` makes of any pledge.

The walk is that of `Book._walk`, which takes over after some hundred stairs, or where a number doesn't fit. It leaves
steps in a `Path`, not objects.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from services.matcher.rules.waterfill cimport Book, Claimant
from services.matcher.model.entities cimport Case
from services.matcher.engine.facts cimport commit
from services.matcher.rules.key_heap cimport Place, Places

from services.matcher.model.breach import ConservationBreach

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

cdef enum:
    RANKS = 4
    STAIRS_MAX = 250  # fewer than the book climbs before it leaps

cdef long long NARROW = <long long>1 << 61  # sums of two, and one more stair, still fit


cdef inline bint narrow(object number, long long *found) except -1:
    """Whether a number that is not negative fits; then it is found."""
    cdef int overflow = 0
    found[0] = PyLong_AsLongLongAndOverflow(number, &overflow)
    return overflow == 0 and 0 <= found[0] < NARROW


cdef class Path:
    """What a walk gave to whom, in order."""

    cdef list as_shares(self):
        """The steps as `Book.share_out` would have given them."""
        cdef int index
        cdef Step *step
        found = []
        for index in range(self.count):
            step = &self.steps[index]
            found.append((step.key, <object>step.case, step.amount, step.before, step.claim, step.rank))
        return found


cdef list accept(Fund fund, Pledge pledge, str name, str donor, long long amount, str currency, Path path):
    """Accept a pledge without terms, and match it.

    Args:
        fund: where it is made.
        pledge: blank, to become the pledge.
        name, donor, amount, currency: what was said.
        path: room for the walk.

    Returns:
        What it gives to whom, one share a case; None, with nothing done, if it is not new or in another currency, or if the walk in C is not the
        fund's.

    Raises:
        ConservationBreach: if money would be over-allocated; the engine must then be thrown away.
    """
    cdef Book pool
    cdef Case case
    cdef long long left
    cdef list shares
    cdef tuple share
    cdef int number = 0
    if type(fund.pool) is not Book or (<Book>fund.pool).by_claim or fund.needs or currency != fund.policy.currency:
        return None
    if fund.pledges.setdefault(name, pledge) is not pledge:
        return None
    pool = <Book>fund.pool
    whole = amount
    pledge.begin(name, fund.pledges_made, donor, whole, currency, "1", whole)
    fund.pledges_made += 1
    fund.totals.waiting += whole
    path.count, path.ends_early = 0, False
    left = walk(pool, amount, path)
    shares = path.as_shares()
    if path.ends_early:
        left = pool.go_on(left, shares, path.first)
    for share in shares:
        number += 1
        case = <Case>share[1]
        commit(fund, pledge, case, number, share[2])
        if case.awarded > case.claim:
            raise ConservationBreach(f"case {case.id}: awarded {case.awarded} > claim {case.claim}")
    if pledge.waiting != left or left < 0:
        raise ConservationBreach(f"pledge {name}: {pledge.waiting} waits and {left} is left of {amount}")
    fund.touch_pledge(pledge)
    fund.settle_in()
    return shares


cdef long long walk(Book book, long long amount, Path path) except -1:
    """`Book.share_out`, as far as it goes in C; what is left."""
    cdef long long left
    cdef int rank, first
    cdef list residual = book.residual
    for rank in range(RANKS - 1, -1, -1):
        if not residual[rank]:
            continue
        first = path.count
        left = walk_class(book, rank, amount, path)
        residual[rank] -= amount - left
        amount = left
        if path.ends_early:
            if not residual[rank]:  # else the book would go on in another class
                raise ConservationBreach(f"the walk stopped with {amount} where nobody lacks money")
            path.first = first
            return amount
        if amount == 0:
            return 0
    return amount


cdef Step *step_to(Path path, int first, PyObject *case) noexcept:
    """The step to a case, from the `first` on; NULL if there is none."""
    cdef int index
    for index in range(first, path.count):
        if path.steps[index].case == case:
            return &path.steps[index]
    return NULL


cdef long long walk_class(Book book, int rank, long long amount, Path path) except -1:
    """`Book._walk`, as far as it goes in C; what is left."""
    cdef Places places = <Places>(<list>book._places)[rank]
    cdef dict by_order = book._by_order
    cdef PyObject *found
    cdef Claimant claimant
    cdef Case case
    cdef Place top
    cdef Step *given
    cdef int first = path.count, stairs = 0
    cdef long long share, key, before, after, claim, goal, awarded, lacking, step, next
    while amount:
        if places.wide is not None:
            path.ends_early = True
            return amount
        if places.size == 0:
            return amount
        top = places.data[0]
        found = PyDict_GetItem(by_order, top.order)
        if found is NULL or (<Claimant>found).rank != rank or not places.is_at((<Claimant>found).key):
            places.pop()
            continue
        claimant = <Claimant>found
        case = <Case>claimant.waiting[0]
        if (
            path.count == STEPS_MAX
            or stairs == STAIRS_MAX
            or not narrow(book.share, &share)
            or not narrow(claimant.key, &key)
            or not narrow(claimant.awarded, &before)
            or not narrow(claimant.claim, &claim)
            or not narrow(case.claim, &goal)
            or not narrow(case.awarded, &awarded)
        ):
            path.ends_early = True
            return amount
        step = key - before
        lacking = goal - awarded
        if lacking < step:
            step = lacking
        if amount < step:
            step = amount
        if step <= 0:  # a walk that stands still would never end
            raise ConservationBreach(
                f"case {case.id}: {step} of {amount} to give, where the book says it lacks money"
            )
        after = before + step
        case.awarded = awarded + step
        claimant.awarded = case.awarded if before == awarded else after
        amount -= step
        stairs += 1
        given = NULL
        if path.count > first and path.steps[first].key != key:  # only under a higher key a case may come again
            given = step_to(path, first, <PyObject *>case)
        if given is not NULL:
            given.amount += step
        else:
            given = &path.steps[path.count]
            path.count += 1
            given.case = <PyObject *>case
            given.key, given.amount, given.before, given.claim, given.rank = key, step, before, claim, rank
        if step == lacking:
            del claimant.waiting[0]
            places.pop()
            book._put(claimant)
        elif after == key:  # a full step: on to the next boundary
            next = (after // share + 1) * share
            if next > claim:
                next = claim
            claimant.key = next
            places.replace_top(<unsigned long long>next)
    return 0


def accepted(Fund fund, str name, str donor, long long amount, str currency):
    """`accept` for callers that are not written in C."""
    return accept(fund, Pledge.__new__(Pledge), name, donor, amount, currency, Path())
