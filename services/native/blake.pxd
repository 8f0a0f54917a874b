cdef bytes digest_of(const char *data, Py_ssize_t length, int digest_size)
