cdef class Draft:
    cdef public object seq, watermark
    cdef public bytes _hash
    cdef public list _rows
    cdef public object _links
    cdef public Py_ssize_t bytes
    cdef public object _form
    cdef public object _prefix
