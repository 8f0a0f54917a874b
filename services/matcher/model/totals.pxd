from services.matcher.model.entities cimport Pledge


cdef class Totals:
    cdef public object waiting, awarded, settled, delivered, released
    cdef public list open

    cpdef add(self, Pledge pledge)
