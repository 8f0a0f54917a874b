# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Sound commands read in C, out of the bytes in which they lie in a fetch.

Almost every command is one. Of any other, and of records that lie elsewhere, nothing is said here: `envelope` reads those step by step.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcmp, memcpy, memset

from schemas.command cimport Command
from schemas.plain cimport ascii, id_of
from schemas.structs cimport Reader
from schemas.times cimport parse_given
from services.bus.client.raw_records cimport RawRecord

from schemas.commands import READERS, TICK
from schemas.structs import Unfit
from services.bus import envelope
from services.bus.attributes import is_source

cdef enum:
    HEADERS_MAX = 16
    VERSION = 0
    MEDIA = 1
    KIND = 2
    EVENT = 3
    SOURCE = 4
    TIME = 5
    STAMPED_BY = 6
    TRACED = 7
    OURS = 8

ctypedef const unsigned char *Place

cdef struct Part:
    Place at  # NULL if it is not there
    int length

cdef tuple NAMES = (b"ce_specversion", b"content-type", b"ce_type", b"ce_id", b"ce_source", b"ce_time", envelope.CLOCK.encode(), envelope.TRACE.encode())
cdef bytes WALL = envelope.WALL.encode(), JSON = envelope.JSON
cdef dict KINDS = {kind.encode(): (kind, reader) for kind, reader in READERS.items()}
cdef int VALUE_MAX = envelope.COMMAS_MAX  # so long a value may have too many
cdef int order[HEADERS_MAX]  # which of ours was where in the last record

# What was read last is mostly read again.
cdef bytes last_kind = b"", last_source = b"", last_fund = b""
cdef tuple last_reader
cdef int last_partition, last_partitions


def sound(record, int partitions):
    """The command of a record; None if there is anything odd about it, or if it is no `RawRecord`."""
    global last_kind, last_reader, last_source
    cdef RawRecord raw
    cdef Part said[OURS]
    cdef Place at
    cdef long long time
    cdef Command found
    if type(record) is not RawRecord or not find((<RawRecord>record), said):
        return None
    raw = <RawRecord>record
    if not is_in(said[VERSION], b"1.0") or not (said[MEDIA].at is NULL or is_in(said[MEDIA], JSON)):
        return None
    if said[KIND].at is NULL or said[EVENT].at is NULL or said[SOURCE].at is NULL or said[TIME].at is NULL:
        return None
    if not 0 <= raw.value_len <= VALUE_MAX:
        return None
    if not is_in(said[KIND], last_kind):
        reader = KINDS.get(made(said[KIND]))
        if reader is None:
            return None
        last_kind, last_reader = made(said[KIND]), reader
    if not is_in(said[SOURCE], last_source):
        source = made(said[SOURCE])
        if not is_source(source.decode()):
            return None
        last_source = source
    event = id_of(<const char *>said[EVENT].at, <const char *>said[EVENT].at + said[EVENT].length)
    if event is None:
        return None
    kind, reader = last_reader
    at = raw.data + raw.value_at
    try:
        time = parse_given(ascii(<const char *>said[TIME].at, said[TIME].length))
        data = (<Reader>reader)._plain.read_at(<const char *>at, raw.value_len)
        if data is None:
            data = (<Reader>reader).read(raw.value)
    except ValueError:  # `Unfit` is one
        return None
    if kind != TICK and not lies_right(raw, data.fund, partitions):
        return None
    found = <Command>Command.__new__(Command)
    found.type, found.id, found.time, found.data, found.offset = kind, event, time, data, raw.offset
    found.appended = raw.timestamp * 1000 if is_in(said[STAMPED_BY], WALL) else None
    found.trace = None if said[TRACED].at is NULL else envelope.carried(made(said[TRACED]))
    return found


cdef bint lies_right(RawRecord raw, str fund, int partitions) except -1:
    """Whether a fund's command lies in its partition, under its key if it has one."""
    global last_fund, last_partition, last_partitions
    cdef Part name
    cdef Py_ssize_t length
    name.at = <Place>PyUnicode_AsUTF8AndSize(fund, &length)
    name.length = <int>length
    if not is_in(name, last_fund) or partitions != last_partitions:
        last_fund, last_partitions, last_partition = made(name), partitions, envelope.partition_of_fund(fund, partitions)
    if raw.key_len >= 0 and (raw.key_len != length or memcmp(raw.data + raw.key_at, name.at, length) != 0):
        return False
    return raw.partition == last_partition


cdef bint find(RawRecord raw, Part *said) except -1:
    """Find our headers; False if any header is null, not ASCII or there twice, or there are very many."""
    cdef Part name
    cdef Part value
    cdef Part others[HEADERS_MAX]
    cdef Place at = raw.data + raw.headers_at
    cdef Place end = raw.data + raw.end
    cdef int count = at[0] >> 1, strange = 0, index, which, other  # there is such a byte, or it were no record
    if at[0] & 0x81 or count > HEADERS_MAX:
        return False
    memset(said, 0, OURS * sizeof(Part))
    at += 1
    for index in range(count):
        at = part(part(at, end, &name), end, &value)
        if at is NULL:
            return False
        which = order[index]
        if not is_in(name, <bytes>NAMES[which]):
            which = 0
            while which < OURS and not is_in(name, <bytes>NAMES[which]):
                which += 1
            if which == OURS:
                for other in range(strange):
                    if others[other].length == name.length and memcmp(others[other].at, name.at, name.length) == 0:
                        return False
                others[strange] = name
                strange += 1
                continue
            order[index] = which
        if said[which].at is not NULL:
            return False
        said[which] = value
    return True


cdef inline bytes made(Part part):
    return PyBytes_FromStringAndSize(<const char *>part.at, part.length)


cdef inline bint is_in(Part part, bytes text) noexcept:
    """Whether these very bytes are there."""
    return (
        part.at is not NULL
        and PyBytes_GET_SIZE(text) == part.length
        and memcmp(PyBytes_AS_STRING(text), part.at, part.length) == 0
    )


cdef inline Place part(Place at, Place end, Part *found) noexcept:
    """Past a name or a value that is ASCII, with its length before it; NULL if it is anything else, or longer than 8 KiB."""
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
