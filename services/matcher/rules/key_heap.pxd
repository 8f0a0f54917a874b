cimport cython


cdef struct Place:
    unsigned long long key
    unsigned int order


@cython.final
cdef class Places:
    cdef Place *data
    cdef Py_ssize_t size, room
    cdef list wide

    cdef int grow(self) except -1
    cdef int widen(self) except -1
    cdef void rise(self, Py_ssize_t at, Place place) noexcept
    cdef void sink(self, Py_ssize_t at, Place place) noexcept
    cdef void replace_top(self, unsigned long long key) noexcept
    cpdef object order(self)
    cpdef bint is_at(self, object key) except -1
    cpdef int push(self, object key, object order) except -1
    cpdef int pop(self) except -1
    cpdef int replace(self, object key, object order) except -1
    cpdef int rebuild(self, object places) except -1
