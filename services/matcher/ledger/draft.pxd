cdef class Draft:
    cdef public object seq, watermark, _links
    cdef public bytes _hash, _prefix
    cdef public list _rows
    cdef public Py_ssize_t bytes
    cdef object _form

    cpdef add(self, fund, str time, list bodies, offset, bytes trace=*)
    cpdef bytes _linked(self, fund, bytes body, bytes name, bytes time, form)
