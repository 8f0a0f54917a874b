cdef class RawRecord:
    cdef readonly str topic
    cdef readonly int partition
    cdef readonly long long offset, timestamp
    cdef bytes _buffer
    cdef const unsigned char *data
    cdef Py_ssize_t key_at, key_len, value_at, value_len, headers_at, end
