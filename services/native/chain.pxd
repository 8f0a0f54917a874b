cimport cython


cdef extern from "chain.h":
    ctypedef struct pumasi_link:
        unsigned char *body
        size_t length

    ctypedef struct pumasi_links:
        pumasi_link *links
        size_t count
        const unsigned char *previous
        unsigned char hash[32]

    void pumasi_fill_in(pumasi_links *job) noexcept nogil
    int pumasi_hand_over(pumasi_links *job) noexcept nogil
    int pumasi_wait_for(pumasi_links *job) noexcept nogil


@cython.final
cdef class Links:
    cdef pumasi_links job
    cdef size_t room
    cdef Links before
    cdef bytes known
    cdef list rows
    cdef bint handed_over, filled_in

    cpdef int add(self, bytes row, Py_ssize_t at, Py_ssize_t length) except -1
