cdef class PreparedBatch:
    cdef public Py_ssize_t _bytes_max
    cdef public object _timestamp, _producer, _built, _frames
    cdef public bint _closed

    cpdef bint append(self, bytes row)
