import cython

from services.matcher.model.entities cimport Case, Money
from services.matcher.rules.key_heap cimport Places
from services.matcher.rules.protocol cimport RuleBook
from services.matcher.rules.waterfill_arithmetic cimport boundary_of, key_of, level_of


@cython.final
cdef class Claimant:
    cdef public Money awarded, claim, key
    cdef public long long order
    cdef public int cases
    cdef public Case oldest
    cdef public list younger

    @cython.locals(oldest=Case)
    cpdef wait(self, Case case)

    @cython.locals(younger=list)
    cpdef leave(self, Case case)


@cython.final
cdef class Claimants:
    cdef public dict _by_name
    cdef Places _places
    cdef bint _by_claim
    cdef int _rank, _waiting
    cdef long long _share
    cdef public Money residual

    @cython.locals(claimant=Claimant)
    cpdef add(self, Case case)

    @cython.locals(claimant=Claimant, residual=Money)
    cpdef remove(self, Case case)

    @cython.locals(claimant=Claimant, residual=Money, was=Money)
    cpdef update(self, Case case, Money claim, Money awarded)

    @cython.locals(
        places=Places, share="long long", by_claim=bint, whole=Money, first=int, steps=int, leapt=int, level=Money, claimant=Claimant,
        key=Money, before=Money, claim=Money, case=Case, boundary=Money, lacking=Money, step=Money, after=Money, given=Money, place=int,
    )
    cpdef Money walk(self, Money amount, list shares) except *

    @cython.locals(places=Places, claimant=Claimant)
    cpdef Claimant _next(self)

    @cython.locals(was=Money, key=Money, order="long long", oldest=Case, places=Places)
    cpdef _put(self, Claimant claimant)


cdef class Book(RuleBook):
    cdef long long _share
    cdef bint _by_claim
    cdef public list _classes

    @cython.locals(claimants=Claimants)
    cpdef bint any_residual(self) except -1

    @cython.locals(claimants=Claimants)
    cpdef add(self, Case case)

    @cython.locals(claimants=Claimants)
    cpdef remove(self, Case case)

    @cython.locals(claimants=Claimants)
    cpdef update(self, Case case, Money claim, Money awarded)

    @cython.locals(claimants=Claimants)
    cpdef list share_out(self, Money amount)

    @cython.locals(given=Money, key=Money)
    cpdef tuple share_of_one(self, Case case, Money amount)

@cython.locals(place=Py_ssize_t, share=tuple)
cpdef _note(list shares, dict at, Py_ssize_t first, tuple step)
