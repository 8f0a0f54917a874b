# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Places in line, in C; see `key_heap.py`, which says what they do."""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.ref cimport Py_DECREF, Py_INCREF

NOWHERE = -1

cdef enum:
    ORDER_BITS = 32
    KEY_BITS = 96
    BRANCHES = 4  # the places below one are adjacent, so that few levels are few parts of memory


cdef inline Number number_of(Money key, long long order) noexcept:
    return <Number>key << ORDER_BITS | <Number>order


cdef class Places:
    """A heap of places: each is a key below 2⁹⁶, an order below 2³², neither less than 0, and who stands there."""

    def __dealloc__(self):
        cdef Py_ssize_t at
        for at in range(self.size):
            Py_DECREF(<object>self.data[at].who)
        PyMem_Free(self.data)

    def __len__(self):
        return self.size

    cdef int grow(self) except -1:
        cdef Py_ssize_t room = 2 * self.room if self.room else 4
        cdef Place *moved = <Place *>PyMem_Realloc(self.data, room * sizeof(Place))
        if moved is NULL:
            raise MemoryError
        self.data, self.room = moved, room
        return 0

    cdef void rise(self, Py_ssize_t at, Place place) noexcept:
        """Let a place rise from `at` to where it belongs."""
        cdef Py_ssize_t above
        while at > 0:
            above = (at - 1) // BRANCHES
            if place.number >= self.data[above].number:
                break
            self.data[at] = self.data[above]
            at = above
        self.data[at] = place

    cdef void sink(self, Place place) noexcept:
        """Let a place sink from the top to where it belongs."""
        cdef Py_ssize_t at = 0, below = 1, least, each
        while below < self.size:
            least = below
            for each in range(below + 1, min(below + BRANCHES, self.size)):
                if self.data[each].number < self.data[least].number:
                    least = each
            if self.data[least].number >= place.number:
                break
            self.data[at] = self.data[least]
            at = least
            below = BRANCHES * at + 1
        self.data[at] = place

    cpdef object first(self):
        """Who stands at the top; there must be one."""
        if self.size == 0:
            raise IndexError("nobody is in line")
        return <object>self.data[0].who

    cpdef bint is_at(self, Money key, long long order) except -1:
        """Whether this is the place at the top; there must be one."""
        return self.data[0].number == number_of(key, order)

    cpdef int push(self, Money key, long long order, object who) except -1:
        """Add a place."""
        check(key, order)
        cdef Place place
        place.number, place.who = number_of(key, order), <PyObject *>who
        if self.size == self.room:
            self.grow()
        Py_INCREF(who)
        self.size += 1
        self.rise(self.size - 1, place)
        return 0

    cpdef int pop(self) except -1:
        """Drop the top; there must be one."""
        who = self.first()
        self.size -= 1
        if self.size:
            self.sink(self.data[self.size])
        Py_DECREF(who)
        return 0

    cpdef int replace(self, Money key, long long order, object who) except -1:
        """Put another place in the top's stead; there must be one."""
        check(key, order)
        was = self.first()
        cdef Place place
        place.number, place.who = number_of(key, order), <PyObject *>who
        Py_INCREF(who)
        self.sink(place)
        Py_DECREF(was)
        return 0

    cpdef int rebuild(self, object places) except -1:
        """Be these places, and no others."""
        while self.size:
            self.size -= 1
            Py_DECREF(<object>self.data[self.size].who)
        for key, order, who in places:
            self.push(key, order, who)
        return 0


cdef inline int check(Money key, long long order) except -1:
    if not (0 <= order < <long long>1 << ORDER_BITS and 0 <= key < <Money>1 << KEY_BITS):
        raise OverflowError(f"there is no place {key}, {order}")
    return 0
