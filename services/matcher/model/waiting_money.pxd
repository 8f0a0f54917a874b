from services.matcher.model.entities cimport Pledge

cdef class Lanes:
    cdef dict _lanes
    cdef set _queued

    cpdef wait(self, Pledge pledge)
    cpdef Pledge head(self, tuple lane)
