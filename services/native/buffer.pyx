# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Bytes being written, in C; see `buffer.py`, which says what it does."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc

cdef bytes ALL_PAIRS = b"".join([b"%02d" % number for number in range(100)])
PAIRS = ALL_PAIRS


cdef class Buffer:
    """Bytes being written, whose room grows."""

    def __cinit__(self):
        self.room = 1 << 14
        self.data = <char *>PyMem_Malloc(self.room)
        if self.data is NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int grow(self, Py_ssize_t more) except -1:
        cdef char *moved
        cdef Py_ssize_t room = self.room
        while self.size + more > room:
            room *= 2
        moved = <char *>PyMem_Realloc(self.data, room)
        if moved is NULL:
            raise MemoryError
        self.data, self.room = moved, room
        return 0

    cdef bytes taken(self):
        """All that was written; the buffer is empty then."""
        cdef bytes found = PyBytes_FromStringAndSize(self.data, self.size)
        self.size = 0
        return found
