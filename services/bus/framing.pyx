# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Records of a batch framed one after the other, in C; `prepared._Frames` is its definition."""

from cpython.bytes cimport PyBytes_GET_SIZE

from services.native.buffer cimport Buffer, varint_size

cdef enum:
    ROOM = 5  # a record's length takes no more


cdef class Frames:
    """Records of a batch, framed."""

    cdef Buffer text
    cdef readonly Py_ssize_t count, size

    def __cinit__(self):
        self.text = Buffer()

    def extend(self, list rows, Py_ssize_t start, Py_ssize_t bytes_max):
        """Add records from the `start`-th row on; the index of the first for which there is no room, or how many there are."""
        cdef Py_ssize_t index, length
        cdef bytes row
        for index in range(start, len(rows)):
            row = <bytes?>rows[index]
            length = 2 + varint_size(self.count) + PyBytes_GET_SIZE(row)
            if self.count and self.size + length + ROOM > bytes_max:
                return index
            self.text.put_varint(length)
            self.text.put(b"\0\0", 2)  # no attributes, the batch's own time
            self.text.put_varint(self.count)
            self.text.put_bytes(row)
            self.size += length + ROOM
            self.count += 1
        return len(rows)

    def taken(self):
        """All of them; none are left."""
        cdef bytes found = self.text.taken()
        self.text = Buffer()  # what it had grown to isn't needed any more, and a batch may wait long for its reply
        return found
