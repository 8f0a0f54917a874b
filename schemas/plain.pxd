cimport cython


@cython.final
cdef class Plain:
    cdef object struct
    cdef tuple names, keys, said
    cdef list known, last
    cdef int count
    cdef unsigned long long must, order
    cdef int kind[14]
    cdef long long least[14]
    cdef long long most[14]

    cpdef object read(self, bytes value)
    cdef object object_at(self, const char **place)
    cdef object word(self, int index, const char *begin, Py_ssize_t length)
    cdef int member(self, const char *begin, int length, int guess) noexcept
    cdef tuple in_order(self, unsigned long long order, int count)
