import cython

from schemas.plain cimport Plain as CompiledPlain


@cython.final
cdef class Reader:
    cdef object _struct
    cdef readonly object _decode  # for the tests
    cdef CompiledPlain _plain
    cdef tuple _words, _refs, _times, _optional, _checks
    cdef Py_ssize_t _members

    cpdef read(self, bytes value, str event=*)

    @cython.locals(word=str, fit=bint)
    cpdef _read(self, bytes value)

    @cython.locals(colons=Py_ssize_t)
    cpdef bint _said_once(self, data, bytes value) except -1


@cython.locals(character=Py_UCS4, digits=int, most=int)
cpdef bint is_id(str word) except -1
