cimport cython


@cython.final
cdef class Plain:
    cdef object struct
    cdef tuple names, keys, said
    cdef list words
    cdef int count
    cdef unsigned long long must, order
    cdef int kind[14]
    cdef long long least[14]
    cdef long long most[14]

    cpdef object read(self, bytes value)
    cdef int member(self, const char *begin, int length, int guess) noexcept
    cdef tuple in_order(self, unsigned long long order, int count)
