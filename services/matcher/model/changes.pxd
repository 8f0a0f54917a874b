import cython


@cython.final
cdef class Changes:
    cdef public list _entities

    cpdef add(self, object entity)
