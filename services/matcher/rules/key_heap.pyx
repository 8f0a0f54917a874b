# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Places in line, in C; see `places.py`, which says what they do.

A key that needs more than 64 bits (sums of money have no bound here) makes a line go on as Python's own, until it is rebuilt.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from heapq import heappop, heappush, heapreplace

NOWHERE = -1
ORDER_BITS = 32

cdef enum:
    BITS = 32

cdef object ORDER = (<object>1 << BITS) - 1
cdef object WIDE = <object>1 << 64


cdef inline bint before(Place one, Place other) noexcept:
    return one.key < other.key or (one.key == other.key and one.order < other.order)


cdef class Places:
    """A heap of places; each is a key, not negative, and an order, below 2 to the power of `ORDER_BITS`."""

    def __dealloc__(self):
        PyMem_Free(self.data)

    def __len__(self):
        return self.size if self.wide is None else len(self.wide)

    cdef int grow(self) except -1:
        cdef Py_ssize_t room = 2 * self.room if self.room else 64
        cdef Place *moved = <Place *>PyMem_Realloc(self.data, room * sizeof(Place))
        if moved is NULL:
            raise MemoryError
        self.data, self.room = moved, room
        return 0

    cdef int widen(self) except -1:
        """Go on as a heap of Python's: a sorted one is one."""
        cdef Py_ssize_t index
        self.wide = sorted([(<object>self.data[index].key << BITS) | self.data[index].order for index in range(self.size)])
        self.size = 0
        return 0

    cdef void rise(self, Py_ssize_t at, Place place) noexcept:
        """Let a place rise from `at` to where it belongs."""
        cdef Py_ssize_t above
        while at > 0:
            above = (at - 1) >> 1
            if not before(place, self.data[above]):
                break
            self.data[at] = self.data[above]
            at = above
        self.data[at] = place

    cdef void sink(self, Py_ssize_t at, Place place) noexcept:
        """Let a place sink from `at` to where it belongs."""
        cdef Py_ssize_t below = 2 * at + 1
        while below < self.size:
            if below + 1 < self.size and before(self.data[below + 1], self.data[below]):
                below += 1
            if not before(self.data[below], place):
                break
            self.data[at] = self.data[below]
            at = below
            below = 2 * at + 1
        self.data[at] = place

    cdef void replace_top(self, unsigned long long key) noexcept:
        """Give the order at the top another key, where there is one and it is narrow."""
        cdef Place place
        place.key, place.order = key, self.data[0].order
        self.sink(0, place)

    cpdef object order(self):
        """The order at the top, or `NOWHERE`."""
        if self.wide is not None:
            return self.wide[0] & ORDER if self.wide else NOWHERE
        return self.data[0].order if self.size else NOWHERE

    cpdef bint is_at(self, object key) except -1:
        """Whether the key at the top is this one; there must be one."""
        if self.wide is not None:
            return self.wide[0] >> BITS == key
        return 0 <= key < WIDE and self.data[0].key == <unsigned long long>key

    cpdef int push(self, object key, object order) except -1:
        """Add a place."""
        cdef Place place
        if self.wide is None and key >= WIDE:
            self.widen()
        if self.wide is not None:
            heappush(self.wide, key << BITS | order)
            return 0
        place.key, place.order = key, order
        if self.size == self.room:
            self.grow()
        self.size += 1
        self.rise(self.size - 1, place)
        return 0

    cpdef int pop(self) except -1:
        """Drop the top; there must be one."""
        if self.wide is not None:
            heappop(self.wide)
            return 0
        if self.size == 0:
            raise IndexError("nobody is in line")
        self.size -= 1
        if self.size:
            self.sink(0, self.data[self.size])
        return 0

    cpdef int replace(self, object key, object order) except -1:
        """Put another place in the top's stead; there must be one."""
        cdef Place place
        if self.wide is None and key >= WIDE:
            self.widen()
        if self.wide is not None:
            heapreplace(self.wide, key << BITS | order)
            return 0
        if self.size == 0:
            raise IndexError("nobody is in line")
        place.key, place.order = key, order
        self.sink(0, place)
        return 0

    cpdef int rebuild(self, object places) except -1:
        """Be these places, and no others."""
        self.wide, self.size = None, 0
        for key, order in places:
            self.push(key, order)
        return 0
