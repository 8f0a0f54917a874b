# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Links of a hash chain, filled in by a thread while Python goes on; see `chain.h`.

Nothing about a chain can be done side by side, but it can be done behind: who makes the next entries needs their text, not their hashes.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc


@cython.no_gc  # it is in no ring; were it cleared by the collector, the thread would write into bytes that are gone
cdef class Links:
    """Entries, in order, in whose bytes the hashes are still to be filled in; nobody else may look at these until `hash` is known.

    Args:
        before: what the first is linked to: 32 bytes, or other links, whose last it follows and which are handed over already.
    """

    def __cinit__(self, before):
        self.rows = []
        if isinstance(before, Links):
            self.before = before
            self.job.previous = self.before.job.hash
        else:
            self.known = before
            if PyBytes_GET_SIZE(self.known) != 32:
                raise ValueError("a hash has 32 bytes")
            self.job.previous = <const unsigned char *>PyBytes_AS_STRING(self.known)

    def __dealloc__(self):
        if self.handed_over and not self.filled_in:
            pumasi_wait_for(&self.job)
        PyMem_RawFree(self.job.links)

    def __len__(self):
        return self.job.count

    cpdef int add(self, bytes row, Py_ssize_t at, Py_ssize_t length) except -1:
        """Add an entry that lies in `row` from `at` on; `length` bytes of it come before its hash."""
        cdef pumasi_link *moved
        if self.job.count == self.room:
            self.room = 2 * self.room if self.room else 1024
            moved = <pumasi_link *>PyMem_RawRealloc(self.job.links, self.room * sizeof(pumasi_link))
            if moved is NULL:
                raise MemoryError
            self.job.links = moved
        self.rows.append(row)
        self.job.links[self.job.count].body = <unsigned char *>PyBytes_AS_STRING(row) + at
        self.job.links[self.job.count].length = length
        self.job.count += 1
        return 0

    def hand_over(self):
        """Let the thread fill them in; none may be added from now on."""
        if not self.handed_over and not self.filled_in:
            self.handed_over = pumasi_hand_over(&self.job)
            if not self.handed_over:
                self.hash()

    def hash(self):
        """The last one's 32 bytes; waits until all are filled in, or does it."""
        cdef int done = 0
        if not self.filled_in:
            if self.handed_over:
                with nogil:
                    done = pumasi_wait_for(&self.job)
            if not done:
                if self.before is not None:
                    self.before.hash()
                pumasi_fill_in(&self.job)
            self.filled_in = True
            self.before, self.known = None, None
            self.rows = None
        return PyBytes_FromStringAndSize(<const char *>self.job.hash, 32)
