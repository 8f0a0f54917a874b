cimport cython
from cpython.object cimport PyObject

from services.matcher.model.entities cimport Money

cdef extern from *:
    """
    typedef unsigned __int128 Number __attribute__((aligned(8)));
    """
    ctypedef unsigned long long Number


cdef struct Place:
    Number number  # the key, and the order in the lowest bits
    PyObject *who


@cython.final
cdef class Places:
    cdef Place *data
    cdef Py_ssize_t size, room

    cdef int grow(self) except -1
    cdef void rise(self, Py_ssize_t at, Place place) noexcept
    cdef void sink(self, Place place) noexcept
    cpdef object first(self)
    cpdef bint is_at(self, Money key, long long order) except -1
    cpdef int push(self, Money key, long long order, object who) except -1
    cpdef int pop(self) except -1
    cpdef int replace(self, Money key, long long order, object who) except -1
    cpdef int rebuild(self, object places) except -1
