from services.matcher.model.entities cimport Money, Pledge


cdef class Totals:
    cdef public Money waiting, awarded, settled, delivered, released
    cdef public list open

    cpdef add(self, Pledge pledge)
