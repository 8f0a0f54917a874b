import cython

@cython.final
cdef class Form:
    cdef public str fact
    cdef public tuple pieces
    cdef public list places
    cdef public bytes end
    cdef public Py_ssize_t required
