# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The express lane: plain pledges, in C.

A pledge is plain if it is new, in the fund's currency, for whoever is next, and without an end or a recurrence. The lane takes a record only
if its bytes are as intake writes them, and a pledge only if `swift.accept` does; whatever is different in any way is left, untouched, to the
general way (`ledger.answer`), which alone says what is unreadable. So the lane has no errors of its own, and no rules. That both ways lead to
the same bytes and the same memory is held by properties, and by every audit: that goes the general way.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.string cimport memcmp, strlen

from services.bus.client.raw_records cimport RawRecord
from services.matcher.ledger.draft cimport Draft
from services.matcher.model.entities cimport Case, Pledge, award_id
from services.matcher.engine.fund cimport Fund
from services.matcher.fast.swift cimport accept

from schemas.commands import AHEAD_MAX
from schemas.numbers import DIGITS_MANY as MANY, holds_number
from schemas.structs import ID_MAX as ID_LENGTH_MAX
from schemas.forms import AWARDED, CASE_FUNDED, PLEDGE_ACCEPTED, WAITING
from schemas.times import parse_given
from schemas.values import AMOUNT_MAX, CLASSES
from services.bus.attributes import is_source
from services.bus.envelope import CLOCK, COMMAND_BYTES_MAX, MAC, SENDER, WALL, partition_of_fund
from services.bus.client.record_batch import sized

PLEDGE = "pumasi.pledge.made"


cdef bytes _pair(str name, bytes value):
    """A header as it stands in a record."""
    return sized(name.encode()) + sized(value)


# What stands in a record before, between and after its values that vary: ce_id, ce_source, ce_time, the sender and the MAC; before it
# the number of headers.
cdef unsigned char SIX = 2 * 6, SEVEN = 2 * 7, EIGHT = 2 * 8, NINE = 2 * 9
cdef bytes BEFORE_ID = _pair("ce_specversion", b"1.0") + sized(b"ce_id")
cdef bytes BEFORE_SOURCE = sized(b"ce_source")
cdef bytes BEFORE_TIME = _pair("ce_type", PLEDGE.encode()) + sized(b"ce_time")
cdef bytes AFTER_TIME = _pair("content-type", b"application/json")
cdef bytes BY_WALL_CLOCK = _pair(CLOCK, WALL.encode())
cdef bytes BEFORE_SENDER = sized(SENDER.encode())
cdef bytes BEFORE_MAC = sized(MAC.encode())

cdef int ID_MAX = ID_LENGTH_MAX
cdef int DIGITS_MANY = MANY
cdef long long MOST = AMOUNT_MAX
cdef long long AHEAD = AHEAD_MAX
cdef int VALUE_MAX = COMMAND_BYTES_MAX
cdef unsigned char IS_ID[256]
for code in range(256):
    IS_ID[code] = chr(code).isascii() and (chr(code).isalnum() or chr(code) in "._~-")


cdef struct Said:
    # A pledge's members, as they lie in its record.
    const char *fund
    const char *pledge
    const char *donor
    const char *currency
    int fund_len, pledge_len, donor_len
    long long amount


cdef inline const char *literal(const char *at, const char *end, const char *text) noexcept:
    """Past `text` if it stands there, else NULL."""
    cdef Py_ssize_t length = <Py_ssize_t>strlen(text)  # the compiler knows
    if at is NULL or end - at < length or memcmp(at, text, length) != 0:
        return NULL
    return at + length


cdef inline const char *these(const char *at, const char *end, bytes text):
    """Past the bytes `text` if they stand there, else NULL."""
    cdef Py_ssize_t length = PyBytes_GET_SIZE(text)
    if at is NULL or end - at < length or memcmp(at, PyBytes_AS_STRING(text), length) != 0:
        return NULL
    return at + length


cdef inline const char *name(const char *at, const char *end, const char **begin, int *length) noexcept:
    """Past an id and the quotation mark that ends it, else NULL."""
    cdef const char *start = at
    if at is NULL:
        return NULL
    while at < end and IS_ID[<unsigned char>at[0]]:
        at += 1
    begin[0] = start
    length[0] = <int>(at - start)
    if at == start or at - start > ID_MAX or at == end or at[0] != b'"':
        return NULL
    return at + 1


cdef inline bint has_number(const char *at, int length) except -1:
    """Whether an id holds somebody's number, which is looked for where many digits have no letter between."""
    cdef int index, digits = 0
    for index in range(length):
        if 48 <= at[index] <= 57:
            digits += 1
            if digits == DIGITS_MANY:
                return holds_number(PyUnicode_DecodeASCII(at, length, NULL))
        elif at[index] >= 65 and at[index] not in (95, 126):  # neither _ nor ~: a letter
            digits = 0
    return False


cdef bint read(const char *at, const char *end, Said *said) noexcept:
    """Read a pledge in the one way in which intake writes a plain one; False if it is written in another."""
    cdef int digits = 0
    at = literal(at, end, b'{"fund":"')
    at = name(at, end, &said.fund, &said.fund_len)
    at = literal(at, end, b',"pledge":"')
    at = name(at, end, &said.pledge, &said.pledge_len)
    at = literal(at, end, b',"donor":"')
    at = name(at, end, &said.donor, &said.donor_len)
    at = literal(at, end, b',"amount":')
    if at is NULL or at == end or at[0] < 49 or at[0] > 57:  # 1 to 9: there is no leading zero
        return False
    said.amount = 0
    while at < end and 48 <= at[0] <= 57:
        said.amount = said.amount * 10 + (at[0] - 48)
        digits += 1
        at += 1
        if digits > 16:
            return False
    if said.amount > MOST:
        return False
    at = literal(at, end, b',"currency":"')
    if at is NULL or end - at < 4 or at[3] != b'"':
        return False
    said.currency = at
    for digits in range(3):
        if at[digits] < 65 or at[digits] > 90:
            return False
    at += 4
    if end - at > 1:
        at = literal(at, end, b',"fallback":"pool"')
    return at is not NULL and end - at == 1 and at[0] == b"}"


cdef class Lane:
    """The lane of one partition.

    Args:
        engine: the partition's.
        partition: which.
        partitions: how many there are.
    """

    cdef readonly object engine, partition, partitions
    cdef Fund fund
    cdef bytes fund_bytes, source_bytes, time_bytes
    cdef str fund_name, currency
    cdef object at, clock

    def __init__(self, engine, partition, partitions):
        self.engine, self.partition, self.partitions = engine, partition, partitions

    def run(self, list records, Py_ssize_t start, Py_ssize_t end, Draft draft):
        """Answer records from `start` on for as long as they are plain pledges, `end` at most.

        Returns:
            The place of the first that isn't; `end` if all were.

        Raises:
            ConservationBreach: as `Engine.execute`; the draft holds what comes before the record at fault.
        """
        cdef Py_ssize_t place = start
        self.clock = self.engine.clock  # no pledge moves it
        while place < end and type(records[place]) is RawRecord and self.decide_if_plain(<RawRecord>records[place], draft):
            place += 1
        return place

    cdef bint decide_if_plain(self, RawRecord record, Draft draft) except -1:
        """Decide one record and draft its entry if it is a plain pledge written in the one way; else do nothing."""
        cdef Said said
        cdef const char *event
        cdef const char *source
        cdef const char *time
        cdef int event_len = 0, source_len = 0, time_len = 0, index
        cdef const char *at = <const char *>record.data + record.headers_at
        cdef const char *end = <const char *>record.data + record.end
        cdef bint by_wall_clock = at != end and at[0] in (SEVEN, NINE)
        cdef bint is_sent = at != end and at[0] in (EIGHT, NINE)
        if at == end or not (by_wall_clock or is_sent or at[0] == SIX):
            return False
        at = these(at + 1, end, BEFORE_ID)
        at = value_of(at, end, &event, &event_len)
        at = these(at, end, BEFORE_SOURCE)
        at = value_of(at, end, &source, &source_len)
        at = these(at, end, BEFORE_TIME)
        at = value_of(at, end, &time, &time_len)
        at = these(at, end, AFTER_TIME)
        if by_wall_clock:
            at = these(at, end, BY_WALL_CLOCK)
        if is_sent:
            at = word(these(at, end, BEFORE_SENDER), end)
            at = word(these(at, end, BEFORE_MAC), end)
        if at is NULL or at != end or event_len > ID_MAX or not 0 < record.value_len <= VALUE_MAX:
            return False
        for index in range(event_len):
            if not IS_ID[<unsigned char>event[index]]:
                return False
        if has_number(event, event_len) or not self.is_source(source, source_len):
            return False
        at = <const char *>record.data + record.value_at
        if not read(at, at + record.value_len, &said):
            return False
        if has_number(said.pledge, said.pledge_len) or has_number(said.donor, said.donor_len):
            return False
        if record.key_len >= 0 and (
            record.key_len != said.fund_len or memcmp(record.data + record.key_at, said.fund, said.fund_len) != 0
        ):
            return False
        if not self.is_fund(said.fund, said.fund_len) or record.partition != self.partition:
            return False
        if not self.is_time(time, time_len):
            return False
        if by_wall_clock and <long long>self.at > record.timestamp * 1000 + AHEAD:
            return False
        cdef Fund fund = self.fund
        now = self.at
        if now < self.clock:
            now = self.clock
        if now is not fund.now and now < fund.now:
            now = fund.now
        heap = <list>fund.timers._heap
        if heap and heap[0][0] <= now:
            return False
        currency = self.currency
        if currency is None or memcmp(PyUnicode_AsUTF8AndSize(currency, NULL), said.currency, 3) != 0:
            self.currency = currency = PyUnicode_DecodeASCII(said.currency, 3, NULL)
        cdef Pledge pledge = Pledge.__new__(Pledge)
        shares = accept(
            fund,
            pledge,
            PyUnicode_DecodeASCII(said.pledge, said.pledge_len, NULL),
            PyUnicode_DecodeASCII(said.donor, said.donor_len, NULL),
            said.amount,
            currency,
        )
        if shares is None:
            return False
        fund.now = now
        if self.engine.latest < now:
            self.engine.latest = now
        draft.add(self.fund_name, now, PyUnicode_DecodeASCII(event, event_len, NULL), PLEDGE, record.offset, told(pledge, shares))
        return True

    cdef bint is_fund(self, const char *text, int length) except -1:
        """Make `fund` the one of this name, if there is one and it lies in this partition."""
        if (
            self.fund is not None
            and PyBytes_GET_SIZE(self.fund_bytes) == length
            and memcmp(PyBytes_AS_STRING(self.fund_bytes), text, length) == 0
        ):
            return True
        cdef str name = PyUnicode_DecodeASCII(text, length, NULL)
        cdef Fund fund = self.engine.funds.get(name)
        if fund is None or partition_of_fund(name, self.partitions) != self.partition:
            return False
        self.fund, self.fund_name, self.fund_bytes = fund, name, name.encode()
        return True

    cdef bint is_source(self, const char *text, int length) except -1:
        """Whether this is a source; the last one is remembered."""
        if (
            self.source_bytes is not None
            and PyBytes_GET_SIZE(self.source_bytes) == length
            and memcmp(PyBytes_AS_STRING(self.source_bytes), text, length) == 0
        ):
            return True
        cdef bytes source = PyBytes_FromStringAndSize(text, length)
        if not source.isascii() or not is_source(source.decode()):
            return False
        self.source_bytes = source
        return True

    cdef bint is_time(self, const char *text, int length) except -1:
        """Make `at` this time, if it is one."""
        if (
            self.time_bytes is not None
            and PyBytes_GET_SIZE(self.time_bytes) == length
            and memcmp(PyBytes_AS_STRING(self.time_bytes), text, length) == 0
        ):
            return True
        cdef bytes time = PyBytes_FromStringAndSize(text, length)
        try:
            self.at = parse_given(time.decode())
        except ValueError:
            return False
        self.time_bytes = time
        return True

cdef list told(Pledge pledge, list shares):
    """The facts of a pledge that was just accepted. A case is told as funded by the state it is in now."""
    cdef list facts = [(PLEDGE_ACCEPTED, pledge.id, pledge.donor, pledge.amount, pledge.face, pledge.currency, "1")]
    cdef int number = 0
    cdef Case case
    for key, case, amount, before, claim, rank in shares:
        number += 1
        name = award_id(pledge, number)
        facts.append((AWARDED, name, pledge.id, case.id, amount, CLASSES[rank], key, before, before + amount, claim))
        if case.awarded >= case.claim:
            facts.append((CASE_FUNDED, case.id, case.claim))
    if pledge.waiting:
        facts.append((WAITING, pledge.id, pledge.waiting))
    return facts


cdef const char *value_of(const char *at, const char *end, const char **begin, int *length) noexcept:
    """Past a header's value that is not empty, with its length before it; else NULL. It is shorter than 8 KiB."""
    cdef unsigned int size
    if at is NULL or at == end:
        return NULL
    size = <unsigned char>at[0]
    at += 1
    if size & 0x80:
        if at == end or <unsigned char>at[0] & 0x80:
            return NULL
        size = size & 0x7F | <unsigned int><unsigned char>at[0] << 7
        at += 1
    if size & 1 or size == 0:  # null, or empty
        return NULL
    size >>= 1
    if end - at < size:
        return NULL
    begin[0] = at
    length[0] = <int>size
    return at + size


cdef const char *word(const char *at, const char *end) noexcept:
    """Past a header's value that is an id, which nobody here needs; else NULL."""
    cdef const char *begin
    cdef int length = 0, index
    at = value_of(at, end, &begin, &length)
    if at is NULL or length > ID_MAX:
        return NULL
    for index in range(length):
        if not IS_ID[<unsigned char>begin[index]]:
            return NULL
    return at
