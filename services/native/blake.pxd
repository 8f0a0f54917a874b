cdef bytes digest_of(const char *data, Py_ssize_t length, int digest_size)
cdef void digest_into(const char *data, Py_ssize_t length, int digest_size, unsigned char *found) noexcept
