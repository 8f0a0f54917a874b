import cython

from services.matcher.model.entities cimport Pledge

@cython.final
cdef class Queues:
    cdef dict _heaps
    cdef set _queued

    cpdef wait(self, Pledge pledge)
    cpdef Pledge head(self, tuple queue)
