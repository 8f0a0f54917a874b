cdef class PreparedBatch:
    cdef public Py_ssize_t _bytes_max, _size, _count
    cdef public object _timestamp, _producer, _built
    cdef public list _parts
    cdef public bint _closed

    cpdef bint append(self, bytes row)
