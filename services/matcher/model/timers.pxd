import cython

@cython.final
cdef class Timers:
    cdef list _heap
    cdef public bint earlier

    @cython.locals(timer=tuple)
    cpdef set(self, long long due, int kind, str owner)

    @cython.locals(heap=list, first=tuple)
    cpdef bint any_due(self, long long now) except -1

    cpdef earliest(self)
