import cython

from schemas.forms cimport Form
from schemas.times cimport text_of
from services.native.buffer cimport Buffer
from services.native.chain cimport Links as CompiledLinks


@cython.final
cdef class Draft:
    cdef public long long seq, watermark
    cdef public Py_ssize_t bytes
    cdef public list unreadable, traced
    cdef public dict verdicts
    cdef public CompiledLinks _links
    cdef public bytes _hash
    cdef public list _rows
    cdef str _fund
    cdef bytes _key, _prefix, _time
    cdef tuple _parts
    cdef object _at
    cdef Buffer _body, _facts, _name, _row

    cpdef add(self, str fund, at, str event, str kind, long long offset, list facts, bytes trace=*)

    @cython.locals(
        body=Buffer, row=Buffer, name=Buffer, value=bytes, made=bytes, before=bytes, between=bytes, after=bytes, length=Py_ssize_t,
        start=Py_ssize_t,
    )
    cpdef _add_entry(self, str fund, str event, str kind, long long offset, bint more, bytes trace)


@cython.locals(separator=bytes)
cpdef _put_facts(Buffer text, list facts)

@cython.locals(form=Form, pieces=tuple, required=Py_ssize_t, place=Py_ssize_t)
cpdef _put_told(Buffer text, tuple fact)
