import cython

@cython.final
cdef class Command:
    cdef readonly str type, id
    cdef readonly long long time, offset
    cdef readonly object data, appended
    cdef readonly bytes trace
