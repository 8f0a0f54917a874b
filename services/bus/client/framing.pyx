# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Records of a batch framed one after the other, in C; `prepared._Frames` is its definition."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

from services.native.buffer cimport Buffer, varint_size

from services.bus.client.raw_records import crc32c

cdef enum:
    ROOM = 5  # a record's length takes no more
    MORE = 12  # bytes of a record beside its row, at most
    HEADER = 61  # bytes of a batch before its records
    CRC_AT = 17
    CRC_FROM = 21


cdef class Frames:
    """Records of a batch, framed."""

    cdef Buffer text
    cdef readonly Py_ssize_t count, size

    def __cinit__(self):
        self.begin()

    cdef int begin(self) except -1:
        self.text = Buffer()
        self.text.need(HEADER)
        self.text.size = HEADER
        return 0

    @property
    def length(self):
        """Of all records, in bytes."""
        return self.text.size - HEADER

    def extend(self, list rows, Py_ssize_t start, Py_ssize_t bytes_max):
        """Add records from the `start`-th row on; the index of the first for which there is no room, or how many there are."""
        cdef Py_ssize_t index, length, size = 0
        cdef bytes row
        for index in range(start, len(rows)):
            size += PyBytes_GET_SIZE(<bytes?>rows[index]) + MORE
            if size > bytes_max:
                break
        self.text.need(min(size, bytes_max))  # at once: it would be copied each time that it grows
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

    def sealed(self, bytes header):
        """All of them as a batch with this header, its checksum filled in; none are left."""
        cdef bytes found
        cdef unsigned char *at
        cdef unsigned int checksum
        cdef int index
        if PyBytes_GET_SIZE(header) != HEADER:
            raise ValueError("a batch's header has 61 bytes")
        memcpy(self.text.data, PyBytes_AS_STRING(header), HEADER)
        found = self.text.taken()
        self.begin()  # what it had grown to isn't needed any more, and a batch may wait long for its reply
        checksum = crc32c(memoryview(found)[CRC_FROM:])
        at = <unsigned char *>PyBytes_AS_STRING(found)  # nobody else has it yet
        for index in range(4):
            at[CRC_AT + index] = checksum >> (24 - 8 * index)
        return found
