cimport cython
from libc.string cimport memcpy

cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 highest)
    void *PyUnicode_DATA(object text)


cdef inline str ascii(const char *at, Py_ssize_t length):
    """A text that is known to be ASCII."""
    made = PyUnicode_New(length, 127)
    memcpy(PyUnicode_DATA(made), at, length)
    return made


cdef object id_of(const char *begin, const char *end)


@cython.final
cdef class Plain:
    cdef object struct
    cdef tuple names, keys, said
    cdef list known, last
    cdef int count
    cdef unsigned long long must, order
    cdef int kind[14]
    cdef long long least[14]
    cdef long long most[14]

    cpdef object read(self, bytes value)
    cdef object read_at(self, const char *begin, Py_ssize_t length)
    cdef object object_at(self, const char **place)
    cdef object word(self, int index, const char *begin, Py_ssize_t length)
    cdef int member(self, const char *begin, int length, int guess) noexcept
    cdef tuple in_order(self, unsigned long long order, int count)
