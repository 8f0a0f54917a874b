# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Bytes being written in C: JSON, and what Kafka frames it with."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1


cdef const char *HEX = b"0123456789abcdef"


cdef class Buffer:
    """Bytes being written, whose room grows."""

    def __cinit__(self):
        self.room = 1 << 14
        self.data = <char *>PyMem_Malloc(self.room)
        if self.data is NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int need(self, Py_ssize_t more) except -1:
        cdef char *moved
        cdef Py_ssize_t room = self.room
        if self.size + more > room:
            while self.size + more > room:
                room *= 2
            moved = <char *>PyMem_Realloc(self.data, room)
            if moved is NULL:
                raise MemoryError
            self.data, self.room = moved, room
        return 0

    cdef int put(self, const char *text, Py_ssize_t length) except -1:
        self.need(length)
        memcpy(self.data + self.size, text, length)
        self.size += length
        return 0

    cdef int put_bytes(self, bytes text) except -1:
        return self.put(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int put_text(self, str text) except -1:
        cdef Py_ssize_t length
        cdef const char *data = PyUnicode_AsUTF8AndSize(text, &length)
        return self.put(data, length)

    cdef int put_whole(self, unsigned long long number) except -1:
        cdef char digits[24]
        cdef int at = 24
        while True:
            at -= 1
            digits[at] = <char>(48 + number % 10)
            number //= 10
            if number == 0:
                break
        return self.put(digits + at, 24 - at)

    cdef int put_int(self, object number) except -1:
        """An integer that is not negative, however large."""
        cdef int overflow = 0
        cdef long long small = PyLong_AsLongLongAndOverflow(number, &overflow)
        if overflow or small < 0:
            return self.put_text(str(number))
        return self.put_whole(<unsigned long long>small)

    cdef int put_varint(self, unsigned long long number) except -1:
        """A zigzag varint of a number that is not negative."""
        cdef unsigned long long left = number << 1
        self.need(10)
        while left > 0x7F:
            self.data[self.size] = <char>(left & 0x7F | 0x80)
            self.size += 1
            left >>= 7
        self.data[self.size] = <char>left
        self.size += 1
        return 0

    cdef int put_hex(self, bytes digest) except -1:
        """Two hexadecimal digits for each byte."""
        cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(digest)
        cdef Py_ssize_t index, length = PyBytes_GET_SIZE(digest)
        self.need(2 * length)
        for index in range(length):
            self.data[self.size] = HEX[data[index] >> 4]
            self.data[self.size + 1] = HEX[data[index] & 15]
            self.size += 2
        return 0

    cdef bytes taken(self):
        """All that was written; the buffer is empty then."""
        cdef bytes found = PyBytes_FromStringAndSize(self.data, self.size)
        self.size = 0
        return found
