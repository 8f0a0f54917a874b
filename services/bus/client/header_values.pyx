# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The values of headers, in C; see `header_values.py`, which says what they are."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcmp, memcpy

from services.bus.client.raw_records cimport RawRecord

cdef enum:
    HEADERS_MAX = 16  # of more, and of texts longer than 8 KiB, objects are made

ctypedef const unsigned char *Place

cdef struct Part:
    Place at
    int length

cdef list last = []  # what was given last, by place


cpdef list header_values(object record, tuple names):
    """The values of some headers, or None; see `header_values.py`."""
    cdef Part header[HEADERS_MAX]
    cdef Part value[HEADERS_MAX]
    cdef Part name
    cdef RawRecord raw
    cdef Place at
    cdef Place end
    cdef Py_ssize_t length
    cdef int count, index, other
    if type(record) is not RawRecord:
        return by_objects(record, names)
    raw = <RawRecord>record
    at, end = raw.data + raw.headers_at, raw.data + raw.end
    count = at[0] >> 1  # there is such a byte, or it were no record
    if at[0] & 0x81 or count > HEADERS_MAX:
        return by_objects(record, names)
    at += 1
    for index in range(count):
        at = part(part(at, end, &header[index]), end, &value[index])
        if at is NULL:
            return by_objects(record, names)
        for other in range(index):
            if same(header[other], header[index]):
                return None
    found = []
    for index in range(len(names)):
        name.at = <Place>PyUnicode_AsUTF8AndSize(<str>names[index], &length)
        name.length = <int>length
        for other in range(count):
            if same(header[other], name):
                found.append(given(value[other], index))
                break
        else:
            found.append(None)
    return found


cdef bytes given(Part value, int index):
    """A value as an object: the last one of its place, if it is the same."""
    cdef bytes made
    while len(last) <= index:
        last.append(b"")
    made = <bytes>last[index]
    if PyBytes_GET_SIZE(made) != value.length or memcmp(PyBytes_AS_STRING(made), value.at, value.length) != 0:
        last[index] = made = PyBytes_FromStringAndSize(<const char *>value.at, value.length)
    return made


cdef inline bint same(Part one, Part other) noexcept:
    return one.length == other.length and memcmp(one.at, other.at, one.length) == 0


cdef inline Place part(Place at, Place end, Part *found) noexcept:
    """Past a name or a value that is ASCII, with its length before it; NULL if it is anything else."""
    cdef unsigned int size
    cdef unsigned long long eight, all = 0
    cdef int index = 0
    if at is NULL or at == end:
        return NULL
    size = at[0]
    at += 1
    if size & 0x80:
        if at == end or at[0] & 0x80:
            return NULL
        size = size & 0x7F | <unsigned int>at[0] << 7
        at += 1
    if size & 1:  # null
        return NULL
    size >>= 1
    if end - at < size:
        return NULL
    found.at, found.length = at, <int>size
    while index + 8 <= found.length:
        memcpy(&eight, at + index, 8)
        all |= eight
        index += 8
    while index < found.length:
        all |= at[index]
        index += 1
    return NULL if all & <unsigned long long>0x8080808080808080 else at + size


cdef list by_objects(object record, tuple names):
    found, headers = {}, record.headers
    for name, value in headers:
        if value is None or not value.isascii():
            return None
        found[name] = value
    return [found.get(name) for name in names] if len(found) == len(headers) else None
