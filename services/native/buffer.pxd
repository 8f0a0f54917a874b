cimport cython
from libc.string cimport strlen


cdef inline int varint_size(unsigned long long number) noexcept:
    """How long the zigzag varint of a number is that is not negative."""
    cdef int size = 1
    number <<= 1
    while number > 0x7F:
        number >>= 7
        size += 1
    return size


@cython.final
cdef class Buffer:
    cdef char *data
    cdef Py_ssize_t size, room

    cdef int need(self, Py_ssize_t more) except -1
    cdef int put(self, const char *text, Py_ssize_t length) except -1
    cdef int put_bytes(self, bytes text) except -1
    cdef int put_text(self, str text) except -1
    cdef int put_whole(self, unsigned long long number) except -1
    cdef int put_int(self, object number) except -1
    cdef int put_varint(self, unsigned long long number) except -1
    cdef int put_hex(self, bytes digest) except -1
    cdef bytes taken(self)

    cdef inline int put_literal(self, const char *text) except -1:
        return self.put(text, <Py_ssize_t>strlen(text))  # the compiler knows its length
