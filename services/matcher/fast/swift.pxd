from cpython.object cimport PyObject

from services.matcher.model.entities cimport Pledge
from services.matcher.engine.fund cimport Fund


cdef enum:
    STEPS_MAX = 100


cdef struct Step:
    # What goes to one case, and why; see `protocol.Share`. The case lives as long as the fund.
    PyObject *case
    long long key, amount, before, claim
    int rank


cdef class Path:
    cdef Step steps[STEPS_MAX]
    cdef int count
    cdef bint ends_early
    cdef int first  # the first step of the class in which it ended early

    cdef list as_shares(self)


cdef list accept(Fund fund, Pledge pledge, str name, str donor, long long amount, str currency, Path path)
