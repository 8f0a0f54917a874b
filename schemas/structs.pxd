import cython

from schemas.plain cimport Plain as CompiledPlain


@cython.final
cdef class Reader:
    cdef object _struct, _decode
    cdef CompiledPlain _plain
    cdef tuple _words, _refs, _times, _checks

    cpdef read(self, bytes value, str event=*)

    @cython.locals(word=str, fit=bint)
    cpdef _read(self, bytes value)


@cython.locals(character=Py_UCS4, digits=int, most=int)
cpdef bint is_id(str word) except -1
