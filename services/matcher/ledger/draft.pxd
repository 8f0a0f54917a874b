import cython

from schemas.forms cimport Form
from services.native.buffer cimport Buffer
from services.native.chain cimport Links as CompiledLinks


@cython.final
cdef class Draft:
    cdef public long long seq, watermark
    cdef public Py_ssize_t bytes
    cdef public list unreadable, verdicts, traced
    cdef public CompiledLinks _links
    cdef public bytes _hash
    cdef public list _rows
    cdef object _at
    cdef str _prefix, _time
    cdef bytes _before, _between, _after
    cdef Buffer _body, _facts, _row

    cpdef add(self, str fund, at, str event, str kind, long long offset, list facts, bytes trace=*)

    @cython.locals(
        body=Buffer, row=Buffer, key=bytes, value=bytes, made=bytes, before=bytes, between=bytes, after=bytes, length=Py_ssize_t,
        start=Py_ssize_t,
    )
    cpdef _add_entry(self, str fund, str event, str kind, long long offset, bint more, bytes trace)


@cython.locals(separator=bytes)
cpdef _put_facts(Buffer text, list facts)

@cython.locals(form=Form, place=Py_ssize_t, values=tuple)
cpdef _put_fact(Buffer text, fact)

cpdef _put_word(Buffer text, str word)
