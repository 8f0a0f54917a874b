cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy, strlen


cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1


cdef inline int varint_size(unsigned long long number) noexcept:
    """How long the zigzag varint of a number is that is not negative."""
    cdef int size = 1
    number <<= 1
    while number > 0x7F:
        number >>= 7
        size += 1
    return size


cdef const char *PAIRS  # "00", "01", … "99"


@cython.final
cdef class Buffer:
    cdef char *data
    cdef Py_ssize_t size, room

    cdef int grow(self, Py_ssize_t more) except -1
    cdef bytes taken(self)

    # What is written piece by piece stands here, so that it is compiled into whoever writes.

    cdef inline int need(self, Py_ssize_t more) except -1:
        """Make room."""
        if self.size + more > self.room:
            self.grow(more)
        return 0

    cdef inline int put(self, const char *text, Py_ssize_t length) except -1:
        self.need(length)
        memcpy(self.data + self.size, text, length)
        self.size += length
        return 0

    cdef inline int put_literal(self, const char *text) except -1:
        return self.put(text, <Py_ssize_t>strlen(text))  # the compiler knows its length

    cdef inline int put_bytes(self, bytes text) except -1:
        return self.put(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef inline int put_sized(self, bytes part) except -1:
        if part is None:
            return self.put(b"\x01", 1)
        self.put_varint(PyBytes_GET_SIZE(part))
        return self.put_bytes(part)

    cdef inline int put_all_of(self, Buffer other) except -1:
        self.put(other.data, other.size)
        other.size = 0
        return 0

    cdef inline void clear(self) noexcept:
        self.size = 0

    cdef inline int put_text(self, str text) except -1:
        cdef Py_ssize_t length
        cdef const char *data = PyUnicode_AsUTF8AndSize(text, &length)
        return self.put(data, length)

    cdef inline int put_word(self, str word) except -1:
        """A text as JSON that has nothing to escape, or null."""
        cdef Py_ssize_t length
        cdef const char *data
        if word is None:
            return self.put_literal(b"null")
        data = PyUnicode_AsUTF8AndSize(word, &length)
        self.need(length + 2)
        self.data[self.size] = b'"'
        memcpy(self.data + self.size + 1, data, length)
        self.data[self.size + length + 1] = b'"'
        self.size += length + 2
        return 0

    cdef inline int put_whole(self, unsigned long long number) except -1:
        """A number in decimal digits."""
        cdef char digits[24]
        cdef int at = 24
        cdef unsigned long long rest
        while number >= 100:
            rest = number // 100
            at -= 2
            memcpy(digits + at, PAIRS + 2 * (number - 100 * rest), 2)
            number = rest
        if number >= 10:
            at -= 2
            memcpy(digits + at, PAIRS + 2 * number, 2)
        else:
            at -= 1
            digits[at] = <char>(48 + number)
        return self.put(digits + at, 24 - at)

    cdef inline int put_int(self, object number) except -1:
        """An integer, however large."""
        cdef int overflow = 0
        cdef long long small = PyLong_AsLongLongAndOverflow(number, &overflow)
        if overflow or small < 0:
            return self.put_text(str(number))
        return self.put_whole(<unsigned long long>small)

    cdef inline int put_varint(self, unsigned long long number) except -1:
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
