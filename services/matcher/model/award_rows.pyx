# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Fresh awards, in C; see `award_rows.py`, which says what they are."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc

NONE = -1

cdef enum:
    BITS = 10
    BLOCK = 1 << BITS  # rows


cdef class Fresh:
    """The fresh awards of a fund."""

    def __cinit__(self):
        self.cases, self.pledges = [], []

    def __dealloc__(self):
        cdef Py_ssize_t block
        for block in range(self.blocks):
            PyMem_RawFree(self.rows[block])
        PyMem_RawFree(self.rows)

    def __len__(self):
        return self.size

    cdef int grow(self) except -1:
        """Begin another block."""
        cdef Row **rows
        cdef Row *block
        if self.blocks == self.size >> BITS:
            rows = <Row **>PyMem_RawRealloc(self.rows, (self.blocks + 1) * sizeof(Row *))
            if rows is NULL:
                raise MemoryError
            self.rows = rows
            block = <Row *>PyMem_RawMalloc(BLOCK * sizeof(Row))
            if block is NULL:
                raise MemoryError
            rows[self.blocks] = block
            self.blocks += 1
        self.last_cases, self.last_pledges = [], []
        self.cases.append(self.last_cases)
        self.pledges.append(self.last_pledges)
        return 0

    cpdef Py_ssize_t add(self, object pledge, object case, long long amount, Py_ssize_t before) except -1:
        """Add an award; returns its row."""
        cdef Py_ssize_t row = self.size
        cdef Row *at
        if row & (BLOCK - 1) == 0:
            self.grow()
        self.last_pledges.append(pledge)
        self.last_cases.append(case)
        at = &self.rows[row >> BITS][row & (BLOCK - 1)]
        at.amount, at.before = amount, before
        self.size = row + 1
        return row

    cdef int check(self, Py_ssize_t row) except -1:
        if not 0 <= row < self.size:
            raise IndexError(row)
        return 0

    cpdef object pledge_of(self, Py_ssize_t row):
        """Of which pledge it is."""
        self.check(row)
        return (<list>(<list>self.pledges)[row >> BITS])[row & (BLOCK - 1)]

    cpdef object case_of(self, Py_ssize_t row):
        """To which case."""
        self.check(row)
        return (<list>(<list>self.cases)[row >> BITS])[row & (BLOCK - 1)]

    cpdef long long amount_of(self, Py_ssize_t row) except -1:
        """How much."""
        self.check(row)
        return self.rows[row >> BITS][row & (BLOCK - 1)].amount

    cpdef Py_ssize_t before(self, Py_ssize_t row) except -2:
        """The row of the case's fresh award before this one, or `NONE`."""
        self.check(row)
        return self.rows[row >> BITS][row & (BLOCK - 1)].before

    def clear(self):
        """Let go of all; nobody may ask for any row after that."""
        self.size = 0
        self.cases, self.pledges = [], []
        self.last_cases = self.last_pledges = None
