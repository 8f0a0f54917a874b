cimport cython


cdef struct Row:
    long long amount
    Py_ssize_t before


@cython.final
cdef class Fresh:
    cdef Py_ssize_t size
    cdef list cases, pledges  # in blocks: a list that grows without end is copied again and again
    cdef list last_cases, last_pledges
    cdef Row **rows
    cdef Py_ssize_t blocks

    cdef int grow(self) except -1
    cpdef Py_ssize_t add(self, object pledge, object case, long long amount, Py_ssize_t before) except -1
    cdef int check(self, Py_ssize_t row) except -1
    cpdef object pledge_of(self, Py_ssize_t row)
    cpdef object case_of(self, Py_ssize_t row)
    cpdef long long amount_of(self, Py_ssize_t row) except -1
    cpdef Py_ssize_t before(self, Py_ssize_t row) except -2
