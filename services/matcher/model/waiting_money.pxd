import cython

from services.matcher.model.entities cimport Pledge

@cython.final
cdef class Queues:
    cdef dict _heaps
    cdef set _queued

    cpdef wait(self, Pledge pledge)

    @cython.locals(heap=list, first=tuple, pledge=Pledge)
    cpdef Pledge head(self, tuple queue)
