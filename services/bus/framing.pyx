# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Records of a batch framed one after the other, in C; `prepared.Frames` says what it does."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport memcpy

cdef enum:
    ROOM = 5  # a record's length takes no more
    PLACE_ROOM = 12  # attributes, the time's difference, the offset's


cdef int write_varint(char *at, unsigned long long number) noexcept:
    """A zigzag varint of a number that is not negative; how long it is."""
    cdef unsigned long long left = number << 1
    cdef int length = 0
    while left > 0x7F:
        at[length] = <char>(left & 0x7F | 0x80)
        length += 1
        left >>= 7
    at[length] = <char>left
    return length + 1


cdef class Frames:
    """Records of a batch, framed."""

    cdef char *data
    cdef Py_ssize_t used, room
    cdef readonly Py_ssize_t count, size

    def __dealloc__(self):
        PyMem_Free(self.data)

    def extend(self, list rows, Py_ssize_t start, Py_ssize_t bytes_max):
        """Add records from the `start`-th row on; the index of the first for which there is no room, or how many there are."""
        cdef Py_ssize_t index, length, row_len, needed
        cdef char place[PLACE_ROOM]
        cdef int place_len
        cdef bytes row
        cdef char *moved
        for index in range(start, len(rows)):
            row = <bytes?>rows[index]
            row_len = PyBytes_GET_SIZE(row)
            place[0] = place[1] = 0
            place_len = 2 + write_varint(place + 2, self.count)
            length = place_len + row_len
            if self.count and self.size + length + ROOM > bytes_max:
                return index
            needed = self.used + length + PLACE_ROOM
            if needed > self.room:
                needed = max(needed, 2 * self.room, 1 << 16)
                moved = <char *>PyMem_Realloc(self.data, needed)
                if moved is NULL:
                    raise MemoryError
                self.data, self.room = moved, needed
            self.used += write_varint(self.data + self.used, length)
            memcpy(self.data + self.used, place, place_len)
            self.used += place_len
            memcpy(self.data + self.used, PyBytes_AS_STRING(row), row_len)
            self.used += row_len
            self.size += length + ROOM
            self.count += 1
        return len(rows)

    def taken(self):
        """All of them; none are left."""
        found = PyBytes_FromStringAndSize(self.data, self.used) if self.used else b""
        PyMem_Free(self.data)
        self.data, self.used, self.room = NULL, 0, 0
        return found
