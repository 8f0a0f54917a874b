cdef class Draft:
    cdef public object seq, watermark
    cdef public bytes hash
    cdef public list rows
    cdef public Py_ssize_t bytes
    cdef public object _form
    cdef public object _prefix
