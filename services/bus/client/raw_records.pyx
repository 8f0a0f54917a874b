# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Records as they lie in the bytes of a fetch: found, not yet taken apart.

aiokafka makes several objects of each header of each record. Most commands are read from their bytes (`bus/sound`), and need none
of them; whoever asks a record for its key, value or headers gets these as ever. A batch that is compressed is read from what it stands
for (`codecs`). Batches of an older format or of control records are left to aiokafka.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from services.bus.client.codecs import plain

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>
    #if defined(__x86_64__) && defined(__GNUC__)
    static int pumasi_crc32c_here(void) { return __builtin_cpu_supports("sse4.2"); }
    __attribute__((target("sse4.2")))
    static uint32_t pumasi_crc32c(const unsigned char *at, size_t length) {
        uint64_t crc = 0xFFFFFFFF, eight;
        for (; length >= 8; at += 8, length -= 8) {
            memcpy(&eight, at, 8);
            crc = __builtin_ia32_crc32di(crc, eight);
        }
        for (; length; at++, length--) crc = __builtin_ia32_crc32qi((uint32_t)crc, *at);
        return (uint32_t)crc ^ 0xFFFFFFFF;
    }
    #else
    static int pumasi_crc32c_here(void) { return 0; }
    static uint32_t pumasi_crc32c(const unsigned char *at, size_t length) { return 0; }
    #endif
    """
    int pumasi_crc32c_here() noexcept
    unsigned int pumasi_crc32c(const unsigned char *at, size_t length) noexcept


cdef bint HERE = pumasi_crc32c_here()


def crc32c(const unsigned char[::1] data):
    """CRC-32C (Castagnoli), by the processor's own instruction where it has one: ten times faster than by tables."""
    if not HERE or len(data) == 0:
        return calc_crc32c(memoryview(data))
    return pumasi_crc32c(&data[0], len(data))


DEF HEADER = 61  # bytes of a batch before its records
DEF LOG_OVERHEAD = 12  # offset and length of a batch
DEF CRC_FROM = 21


cdef inline long long number(const unsigned char *at, int size) noexcept:
    """A big-endian signed integer of `size` bytes."""
    cdef unsigned long long found = 0
    cdef int index
    for index in range(size):
        found = found << 8 | at[index]
    if size < 8 and found >> (8 * size - 1):
        found -= (<unsigned long long>1) << (8 * size)
    return <long long>found


cdef class RawRecord:
    """A record; its parts are made when they are asked for."""

    @property
    def key(self):
        """The key, or None."""
        return None if self.key_len < 0 else PyBytes_FromStringAndSize(<const char *>self.data + self.key_at, self.key_len)

    @property
    def value(self):
        """The value, or None."""
        if self.value_len < 0:
            return None
        return PyBytes_FromStringAndSize(<const char *>self.data + self.value_at, self.value_len)

    @property
    def headers(self):
        """Names and values, in order. Where a name is not UTF-8, its value is None: the record can't be read as it was meant."""
        cdef Cursor at = Cursor.__new__(Cursor)
        at.data, at.place, at.end = self.data, self.headers_at, self.end
        found = []
        for _ in range(at.varint()):
            name, value = at.part(), at.part()
            try:
                found.append((name.decode(), value))
            except UnicodeDecodeError:
                found.append((name.decode(errors="replace"), None))
        return tuple(found)

    def __repr__(self):
        return f"RawRecord({self.topic}, partition {self.partition}, offset {self.offset})"


cdef class Cursor:
    """A place in bytes that may end early or be damaged."""

    cdef const unsigned char *data
    cdef Py_ssize_t place, end

    cdef long long varint(self) except? -1:
        """The zigzag varint here."""
        cdef unsigned long long found = 0
        cdef int shift = 0
        cdef unsigned char byte
        while True:
            if self.place >= self.end or shift > 63:
                raise CorruptRecordException("a record ends early")
            byte = self.data[self.place]
            self.place += 1
            found |= (<unsigned long long>(byte & 0x7F)) << shift
            if not byte & 0x80:
                return <long long>(found >> 1) ^ -<long long>(found & 1)
            shift += 7

    cdef Py_ssize_t skip(self) except? -2:
        """Past a part with its length before it; the length, -1 if it is null."""
        cdef long long length = self.varint()
        if length < 0:  # any such is null, to the broker too
            return -1
        if length > self.end - self.place:
            raise CorruptRecordException("a record ends early")
        self.place += length
        return <Py_ssize_t>length

    cdef object part(self):
        """The part here, or None."""
        cdef Py_ssize_t length = self.skip()
        if length < 0:
            return None
        return PyBytes_FromStringAndSize(<const char *>self.data + self.place - length, length)


cdef class RawBatch:
    """A batch of records of the present format; the record batch of aiokafka's readers.

    Raises:
        CorruptRecordException, UnsupportedCodecError: while it is iterated, if its bytes are damaged, or of a codec that nobody knows.
    """

    cdef bytes buffer
    cdef const unsigned char *data
    cdef Py_ssize_t begin, end
    cdef Cursor at
    cdef int left
    cdef str topic
    cdef int partition
    cdef readonly long long base_offset, producer_id
    cdef bint wants_on  # whether only records behind those already given are wanted
    cdef long long wanted  # … from this offset on
    cdef readonly bint is_transactional, is_control_batch
    cdef long long first_timestamp, max_timestamp
    cdef bint log_append_time, compressed

    def __iter__(self):
        if self.compressed:  # not before: nobody need read what was aborted
            self.lies(plain(self.buffer[self.begin : self.end]), 0, -1)
        return self

    cdef lies(self, bytes buffer, Py_ssize_t begin, Py_ssize_t end):
        """Say in which bytes the batch lies, and where."""
        self.buffer, self.data = buffer, <const unsigned char *>PyBytes_AS_STRING(buffer)
        self.begin, self.end = begin, PyBytes_GET_SIZE(buffer) if end < 0 else end
        self.compressed = number(self.data + begin + 21, 2) & 0x07
        self.at = Cursor.__new__(Cursor)
        self.at.data, self.at.place, self.at.end = self.data, begin + HEADER, self.end

    def __next__(self):
        cdef RawRecord record
        cdef Cursor at = self.at
        cdef Py_ssize_t length, end
        cdef long long headers, timestamp, offset
        while True:
            if self.left == 0:
                if at.place != at.end:
                    raise CorruptRecordException("a batch has more bytes than records")
                raise StopIteration
            self.left -= 1
            length = <Py_ssize_t>at.varint()
            if length < 1 or length > at.end - at.place:
                raise CorruptRecordException("a record ends early")
            end = at.place + length
            at.place += 1  # attributes: none are defined
            timestamp = self.first_timestamp + at.varint()
            offset = self.base_offset + at.varint()
            if not self.wants_on or offset >= self.wanted:
                break
            at.place = end
        record = RawRecord.__new__(RawRecord)
        record.topic, record.partition, record._buffer, record.data = self.topic, self.partition, self.buffer, self.data
        record.timestamp = self.max_timestamp if self.log_append_time else timestamp
        record.offset = offset
        record.key_len = at.skip()
        record.key_at = at.place - record.key_len
        record.value_len = at.skip()
        record.value_at = at.place - record.value_len
        record.headers_at, record.end = at.place, end
        headers = at.varint()
        if headers < 0:
            raise CorruptRecordException("fewer headers than none")
        for _ in range(headers):
            if at.skip() < 0:
                raise CorruptRecordException("a header has no name")
            at.skip()
        if at.place != end:
            raise CorruptRecordException("a record does not end where it says")
        self.wanted = offset + 1
        return record

    def next_wanted(self, offset=None):
        """The offset of the first record not given yet; with an argument, none before that one is given from now on."""
        if offset is not None:
            self.wants_on, self.wanted = True, offset
        return self.wanted

    @property
    def next_offset(self):
        """The offset of whatever comes after the batch."""
        return self.base_offset + number(self.data + self.begin + 23, 4) + 1

    def validate_crc(self):
        """Whether its bytes are those that were written."""
        found = crc32c(memoryview(self.buffer)[self.begin + CRC_FROM : self.end])
        return found == number(self.data + self.begin + 17, 4) & 0xFFFFFFFF


cdef class RawRecords:
    """The batches of a fetch, in place of aiokafka's `MemoryRecords`.

    Args:
        buffer: as fetched; the last batch may be cut short.
    """

    cdef bytes buffer
    cdef const unsigned char *data
    cdef Py_ssize_t place, end
    cdef str topic
    cdef int partition

    def __init__(self, buffer):
        self.buffer = bytes(buffer)
        self.data = <const unsigned char *>PyBytes_AS_STRING(self.buffer)
        self.place, self.end = 0, PyBytes_GET_SIZE(self.buffer)

    def lie_in(self, str topic, int partition):
        """Say where the records come from."""
        self.topic, self.partition = topic, partition

    def size_in_bytes(self):
        """How large all of it is."""
        return self.end

    cdef Py_ssize_t next_end(self):
        """Where the next batch ends; 0 if there is none, or not all of it."""
        cdef long long length
        if self.end - self.place < LOG_OVERHEAD:
            return 0
        length = number(self.data + self.place + 8, 4)
        if length < 0 or length > self.end - self.place - LOG_OVERHEAD:
            return 0
        return self.place + LOG_OVERHEAD + <Py_ssize_t>length

    def has_next(self):
        """Whether there is another whole batch."""
        return self.next_end() > 0

    def next_batch(self):
        """The next batch, or None."""
        cdef Py_ssize_t begin = self.place, end = self.next_end()
        cdef RawBatch batch
        cdef int attributes
        if end == 0:
            return None
        self.place = end
        attributes = <int>number(self.data + begin + 21, 2) if end - begin >= HEADER else 0
        if end - begin < HEADER or self.data[begin + 16] != 2 or attributes & 0x20:  # of control records
            return MemoryRecords(plain(self.buffer[begin:end])).next_batch()
        batch = RawBatch.__new__(RawBatch)
        batch.lies(self.buffer, begin, end)
        batch.topic, batch.partition = self.topic, self.partition
        batch.base_offset = number(self.data + begin, 8)
        batch.log_append_time, batch.is_transactional = attributes & 8, attributes & 16
        batch.is_control_batch = False
        batch.first_timestamp, batch.max_timestamp = number(self.data + begin + 27, 8), number(self.data + begin + 35, 8)
        batch.producer_id = number(self.data + begin + 43, 8)
        batch.left = <int>number(self.data + begin + 57, 4)
        return batch
