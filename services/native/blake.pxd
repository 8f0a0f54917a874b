cdef void digest_into(const char *data, Py_ssize_t length, int digest_size, unsigned char *found) noexcept
