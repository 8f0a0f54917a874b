import cython

@cython.final
cdef class Timers:
    cdef list _heap
    cdef public bint earlier

    cpdef bint any_due(self, now) except -1
