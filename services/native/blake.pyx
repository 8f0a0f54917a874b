# cython: language_level=3
"""BLAKE2b without objects in between; see `blake.h`."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

import sys

cdef extern from "blake.h":
    void pumasi_blake2b(const char *data, size_t length, int digest_size, unsigned char *out) noexcept

if sys.byteorder != "little":
    raise ImportError("this hash is written for little-endian processors")


cdef void digest_into(const char *data, Py_ssize_t length, int digest_size, unsigned char *found) noexcept:
    """The hash, to where it is wanted."""
    pumasi_blake2b(data, length, digest_size, found)


def blake2b(bytes data, int digest_size):
    """The digest of `data`, `digest_size` bytes from 1 to 64, as `hashlib.blake2b(data, digest_size=…).digest()` gives it."""
    cdef unsigned char found[64]
    if not 1 <= digest_size <= 64:
        raise ValueError("digest_size")
    pumasi_blake2b(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), digest_size, found)
    return PyBytes_FromStringAndSize(<const char *>found, digest_size)
