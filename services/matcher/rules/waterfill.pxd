import cython

from services.matcher.model.entities cimport Case
from services.matcher.rules.key_heap cimport Places
from services.matcher.rules.waterfill_arithmetic cimport boundary_of, key_of, level_of


@cython.final
cdef class Claimant:
    cdef public object awarded, claim, key, order
    cdef public int cases, rank
    cdef public str beneficiary
    cdef public list waiting

@cython.final
cdef class Book:
    cdef public object share
    cdef public bint by_claim
    cdef public list residual, _places, _claimants, _waiting
    cdef public dict _by_order

    @cython.locals(rank=int, claimants=dict, claimant=Claimant)
    cpdef add(self, Case case)

    @cython.locals(rank=int, claimants=dict, claimant=Claimant)
    cpdef remove(self, Case case)

    @cython.locals(claimants=dict)
    cpdef update(self, Case case, claim, awarded, was)

    cpdef list share_out(self, amount)

    @cython.locals(rank=int)
    cpdef object go_on(self, object amount, list shares, int first)

    @cython.locals(places=Places, by_order=dict, claimant=Claimant, case=Case, at=dict, steps=int, leapt=int)
    cpdef _walk(self, int rank, object amount, list shares, int first)

    @cython.locals(rank=int, places=Places, oldest=Case)
    cpdef _put(self, Claimant claimant)

    @cython.locals(rank=int)
    cpdef _shift(self, Claimant claimant, Case case, claim, awarded, was)

    @cython.locals(waiting=list)
    cpdef _drop(self, Claimant claimant, Case case)
